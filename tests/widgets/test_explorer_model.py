"""The explorer's model: one state, told once, that follows the data and never falls over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chroma_nb_widgets.map.interface import NO_VALUE
from chroma_nb_widgets.models.asked import Like
from chroma_nb_widgets.models.explorer import DISTANCE, ExplorerModel
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb import compat
from chroma_nb.errors import InvalidArgumentError, ReadOnlyStoreError
from chroma_nb.projection import Projector
from tests.store import reference, strategies
from tests.store.backend import Backend, fresh_name
from tests.store.reference import Item

Docs = chroma_nb.Collection
Make = Callable[..., ExplorerModel]
LONG = 30
WORDS = ("river", "mountain", "forest", "city")


class Words:
    """An embedding function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        return [[float(word in text) for word in WORDS] for text in texts]


def filled(client: chroma_nb.Client, count: int = 24, **options: Any) -> Docs:
    docs = client.create_collection(fresh_name(), **{"embedding_function": Words()} | options)
    grow(docs, range(count))
    return docs


def grow(docs: Docs, numbers: range) -> None:
    random = np.random.default_rng(numbers.start)
    vectors = np.eye(4)[[number % 4 for number in numbers]] + random.normal(0, 0.1, (len(numbers), 4))
    docs.add(
        ids=[f"i{number:03}" for number in numbers],
        embeddings=vectors,
        documents=[f"a {WORDS[number % 4]} {number}" if number % 5 else None for number in numbers],
        metadatas=[
            {"word": WORDS[number % 4], "n": number, "even": number % 2 == 0, "share": number / 10}
            if number % 7
            else None
            for number in numbers
        ],
    )


@pytest.fixture
def docs(memory: chroma_nb.Client) -> Docs:
    return filled(memory)


@pytest.fixture
def explore() -> Iterator[Make]:
    """Makes models, with PCA unless told otherwise, and closes them after the test."""
    made: list[ExplorerModel] = []

    def make(docs: Docs, **options: Any) -> ExplorerModel:
        made.append(ExplorerModel(docs, **{"method": "pca"} | options))
        return made[-1]

    yield make
    for model in made:
        model.close()


def put(model: ExplorerModel, **values: Any) -> None:
    """Set traits, as code does; they need not keep what they are given as it is."""
    for name, value in values.items():
        setattr(model, name, value)


def consistent(model: ExplorerModel) -> None:
    """What always holds, whatever was done."""
    count, ids = len(model.snapshot), model.snapshot.ids.to_pylist()
    assert model.map.xy.shape == (count, 2)
    assert model.colours.codes.shape == model.visible.shape == (count,)
    assert model.marked is None or model.marked.shape == (count,)
    assert model.selected_ids == tuple(model.selection.index) == tuple(ids[at] for at in model.selected)
    assert (model.marked is None) == (len(model.selected) == 0)
    assert model.view.index.tolist() == [ids[at] for at in np.flatnonzero(model.visible)]
    assert len(model.table()) <= model.page_size
    assert model.page == 0 or model.page * model.page_size < model.total
    overlay = model.overlay()
    assert (overlay is None) == (model.query_vector is None or count == 0)
    if overlay is not None:
        assert overlay.query is not None
        assert np.isfinite(overlay.query).all()
        assert [ids[at] for at in overlay.hits] == list(model.results.index)
    assert model.colours.hidden == model.hidden


def told(model: ExplorerModel) -> Counter[str]:
    """How often each trait tells of a change from now on."""
    seen: Counter[str] = Counter()

    def observed(change: Any) -> None:
        seen[change["name"]] += 1
        consistent(model)  # whoever is told may look at everything

    model.observe(observed)
    return seen


# what can be read -----------------------------------------------------------------------------


def test_nothing_asked_for(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    consistent(model)
    every = docs.get()
    pd.testing.assert_frame_equal(model.view, every)
    pd.testing.assert_frame_equal(model.selection, every.iloc[:0])
    pd.testing.assert_frame_equal(model.results, docs.query(np.ones(4), n_results=1).iloc[:0])
    assert (model.where, model.error, model.selected_ids, model.overlay()) == (None, None, (), None)
    assert model.colours.kind == "none"


def test_everything_asked_for(docs: Docs, explore: Make) -> None:
    model = explore(docs, query="a river", where={"n": {"$lt": 20}}, where_document={"$contains": "a "}, color="word")
    consistent(model)
    filters: dict[str, Any] = {"where": {"n": {"$lt": 20}}, "where_document": {"$contains": "a "}}
    pd.testing.assert_frame_equal(model.view, docs.get(**filters))
    pd.testing.assert_frame_equal(model.results, docs.query("a river", **filters))
    pd.testing.assert_frame_equal(model.table(), model.results)
    assert (model.showing, model.query_label, model.error) == ("results", "a river", None)
    assert (model.colours.kind, model.colours.label) == ("categorical", "word")
    found = docs._store.sql(model.sql)["id"].to_pylist()
    assert found == model.view.index.tolist()


def test_selecting(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    model.select([5, 3, 5])
    consistent(model)
    assert model.selected_ids == ("i003", "i005")
    pd.testing.assert_frame_equal(model.selection, docs.get(ids=["i003", "i005"]))
    assert model.showing == "selection"
    pd.testing.assert_frame_equal(model.table(), model.selection)
    put(model, selected_ids=["i009", "i001"])
    consistent(model)
    assert model.selected_ids == ("i001", "i009")
    for given_ in (docs.get().index[2:4], np.asarray(["i002", "i003"]), {"i002", "i003"}):
        put(model, selected_ids=given_)
        assert model.selected_ids == ("i002", "i003")
    put(model, selected_ids="i002")
    assert model.selected.tolist() == [2]
    put(model, selected_ids=None)
    consistent(model)
    assert (model.selected_ids, model.showing) == ((), "rows")
    pd.testing.assert_frame_equal(model.selection, docs.get().iloc[:0])


def test_selecting_what_does_not_exist(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    put(model, selected_ids=["i001", "x", "y"])
    assert model.selected_ids == ("i001",)
    assert model.error == "2 of these ids do not exist: 'x', 'y'."
    put(model, selected_ids=["i002"])
    assert model.error is None


# setting from code ----------------------------------------------------------------------------


def test_each_change_is_told_once(docs: Docs, explore: Make) -> None:
    model = explore(docs, color=DISTANCE, page_size=5)
    seen = told(model)

    def change(**values: Any) -> dict[str, int]:
        seen.clear()
        put(model, **values)
        return dict(seen)

    assert change(where={"n": {"$gt": 3}}) == {"where": 1, "results": 1}
    assert change(where={"n": {"$gt": 3}}) == {}
    assert change(query="a river") == {"query": 1, "results": 1, "showing": 1, "colours": 1}
    assert change(query="a city") == {"query": 1, "results": 1, "colours": 1}
    assert change(n_results=3) == {"n_results": 1, "results": 1}
    assert change(color="word") == {"color": 1, "colours": 1}
    assert change(hidden={0}) == {"hidden": 1, "colours": 1}
    assert change(color="even") == {"color": 1, "colours": 1, "hidden": 1}
    assert change(selected_ids=["i001"]) == {"selected_ids": 1, "showing": 1}
    assert change(showing="rows") == {"showing": 1}
    assert change(page=1) == {"page": 1}
    seen.clear()
    model.select([4, 5])
    assert dict(seen) == {"selected_ids": 1, "showing": 1, "page": 1}
    seen.clear()
    model.where_document = {"$contains": "a"}
    seen.clear()
    model.clear_filters()
    assert dict(seen) == {"where": 1, "where_document": 1, "results": 1}


def test_new_data_is_told_once(docs: Docs, explore: Make) -> None:
    model = explore(docs, color="word", query="a river")
    model.select([1, 2])
    model.hidden = {0}
    seen = told(model)
    docs.delete(ids=["i001"])
    docs.add(ids=["new"], embeddings=[[0, 0, 0, 9]], metadatas=[{"word": "sea"}])
    assert model.refresh()
    assert all(count == 1 for count in seen.values())
    assert set(seen) >= {"version", "colours", "results", "selected_ids"}
    assert model.selected_ids == ("i002",)
    seen.clear()
    assert not model.refresh()
    assert dict(seen) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("color", "wrod"),
        ("where", {"n": {"$gtt": 1}}),
        ("query", 3),
        ("query", [1.0]),
        ("n_results", 0),
        ("showing", "x"),
    ],
)
def test_bad_values_are_refused_and_change_nothing(docs: Docs, explore: Make, name: str, value: Any) -> None:
    model = explore(docs)
    before = getattr(model, name)
    with pytest.raises((InvalidArgumentError, TypeError)):
        setattr(model, name, value)
    assert getattr(model, name) == before
    consistent(model)


def test_unknown_colours_suggest(docs: Docs, explore: Make) -> None:
    with pytest.raises(InvalidArgumentError, match='Did you mean "word"'):
        explore(docs, color="wrod")


def test_filters_are_kept_as_they_were(docs: Docs, explore: Make) -> None:
    given_ = {"n": {"$in": [1, 2]}}
    model = explore(docs, where=given_)
    given_["n"]["$in"].append(3)
    assert model.where == {"n": {"$in": [1, 2]}}
    model.where = {"n": {"$in": np.asarray([1, 2, 3])}}
    assert model.where == {"n": {"$in": [1, 2, 3]}}


def test_a_text_is_embedded_once(memory: chroma_nb.Client, explore: Make) -> None:
    words = Words()
    model = explore(filled(memory, embedding_function=words))
    model.query = "a river"
    for year in range(5):
        model.where = {"n": {"$gt": year}}
    model.n_results = 3
    assert words.calls == 1
    model.query = "a city"
    assert words.calls == 2


# queries on the map ---------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("method", ["pca", "umap"])
def test_the_query_is_on_the_map(memory: chroma_nb.Client, explore: Make, space: str, method: str) -> None:
    docs = filled(memory, metadata={"hnsw:space": space})
    model = explore(docs, method=method, n_results=4, color=DISTANCE)
    assert model.map.wait(LONG)
    for query in ("a river", np.asarray([0, 1, 0, 0], dtype=np.float32), Like("i005"), {"like": "i005"}):
        model.query = query
        assert model.error is None
        consistent(model)
        assert len(model.results) == 4
        vector = model.query_vector
        assert vector is not None
        expected = reference.distances(space, docs.embeddings(), vector[0])
        assert (model.colours.kind, model.colours.label) == ("continuous", "distance to the query")
        assert model.colours.low == pytest.approx(expected.min(), abs=1e-6)
        assert model.colours.codes[np.argmin(expected)] == 0
        assert model.colours.codes[np.argmax(expected)] == 255
    overlay = model.overlay()
    assert overlay is not None
    assert overlay.query == tuple(model.map.xy[5].tolist())
    assert "i005" not in model.results.index
    model.query = None
    consistent(model)
    assert model.colours.kind == "none"
    assert model.color == DISTANCE


def test_a_failing_query_keeps_the_rest(docs: Docs, explore: Make) -> None:
    model = explore(docs, color=DISTANCE)
    model.query = "a river"
    model.query = Like("nobody")
    assert "nobody" in (model.error or "")  # and no observer took it back
    consistent(model)
    assert len(model.results) == 0
    model.query = "a city"
    assert model.error is None
    assert len(model.results) == 10


def test_a_failing_filter_keeps_the_rest(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    model.where_document = {"$regex": "("}
    assert "missing )" in (model.error or "")
    consistent(model)
    assert model.view.equals(docs.get().iloc[:0])
    docs.add(ids=["new"], embeddings=[[1, 1, 1, 1]])
    model.refresh()
    assert "missing )" in (model.error or "")
    assert len(model.snapshot) == len(model.map.xy) == 25
    model.where_document = None
    assert model.error is None
    consistent(model)


# hover and legends ----------------------------------------------------------------------------


def test_hover(memory: chroma_nb.Client, explore: Make) -> None:
    docs = memory.create_collection(fresh_name())
    many = {f"k{number:02}": number for number in range(15)}
    docs.add(
        ids=["<b>", "bare", "many"],
        embeddings=np.eye(3),
        documents=["<script>x</script>" + "y" * 1000, None, "z"],
        metadatas=[{"ok": True, "no": False, "share": 0.5, "word": "<i>"}, None, many],
    )
    model = explore(docs)
    first = model.hover(0)
    assert first.title == "<b>"
    assert first.lines == (("ok", "yes"), ("no", "no"), ("share", "0.5"), ("word", "<i>"))
    assert first.body == "<script>x</script>" + "y" * 582 + "…"
    assert (model.hover(1).title, model.hover(1).lines, model.hover(1).body) == ("bare", (), "")
    assert len(model.hover(2).lines) == 13
    assert model.hover(2).lines[-1] == ("…", "3 more")


def test_a_column_that_vanishes_colours_and_sorts_nothing_any_more(docs: Docs, explore: Make) -> None:
    docs.update(ids=["i001"], metadatas=[{"seen": True}], merge=True)
    model = explore(docs, color="seen", sort=("seen", True))
    docs.update(ids=["i001"], metadatas=[{"n": 1}])
    assert model.refresh()
    assert (model.color, model.sort, model.colours.kind, model.error) == (None, None, "none", None)
    consistent(model)


def test_hidden_categories_stay_hidden_when_codes_change(docs: Docs, explore: Make) -> None:
    model = explore(docs, color="word")
    legend = {entry.text: entry.code for entry in model.colours.legend}
    model.hidden = {legend["river"], legend["no value"]}
    assert model.colours.hidden == {legend["river"], NO_VALUE}
    docs.add(ids=[f"s{at}" for at in range(50)], embeddings=np.ones((50, 4)), metadatas=[{"word": "a sea"}] * 50)
    docs.add(ids=[f"c{at}" for at in range(80)], embeddings=np.ones((80, 4)), metadatas=[{"word": "a city"}] * 80)
    model.refresh()
    changed = {entry.text: entry.code for entry in model.colours.legend}
    assert changed["river"] != legend["river"]
    assert model.hidden == {changed["river"], NO_VALUE}
    consistent(model)


# others change the data -----------------------------------------------------------------------


def test_it_follows_all_changes(docs: Docs, explore: Make) -> None:
    model = explore(docs, query="a river", color="n", where={"n": {"$gte": 0}})
    model.select([1, 2, 3])
    places = dict(zip(model.snapshot.ids.to_pylist(), map(tuple, model.map.xy.tolist()), strict=True))
    docs.add(ids=["new"], embeddings=[[9, 0, 0, 0]], metadatas=[{"n": 1000}], documents=["a new river"])
    assert [model.stale, model.refresh(), model.stale] == [True, True, False]
    consistent(model)
    assert model.view.index[-1] == "new"
    docs.update(ids=["i001"], metadatas=[{"n": -1}])
    docs.delete(ids=["i002"])
    model.refresh()
    consistent(model)
    assert "i001" not in model.view.index
    assert model.selected_ids == ("i001", "i003")
    moved = dict(zip(model.snapshot.ids.to_pylist(), map(tuple, model.map.xy.tolist()), strict=True))
    assert all(moved[id_] == places[id_] for id_ in moved if id_ != "new")
    pd.testing.assert_frame_equal(model.results, docs.query("a river", where=model.where))
    docs.delete()
    model.refresh()
    consistent(model)
    assert (model.selected_ids, model.showing, len(model.view)) == ((), "results", 0)
    grow(docs, range(30))
    model.refresh()
    consistent(model)
    assert len(model.results) == 10


def test_the_page_stays_where_it_can(docs: Docs, explore: Make) -> None:
    model = explore(docs, page_size=5)
    model.page = 4
    docs.add(ids=["new"], embeddings=[[1, 1, 1, 1]])
    model.refresh()
    assert model.page == 4
    docs.delete(ids=[f"i{number:03}" for number in range(14)])
    model.refresh()
    assert model.page == 2
    consistent(model)


def test_it_follows_a_new_name(memory: chroma_nb.Client, docs: Docs, explore: Make) -> None:
    model = explore(docs, where={"n": 3})
    memory[docs.name].modify(name="another-name")
    assert model.name == "another-name"
    assert memory.sql(model.sql)["id"].tolist() == ["i003"]
    assert "another_name.get(" in model.code()


def test_a_collection_that_is_deleted(memory: chroma_nb.Client, docs: Docs, explore: Make) -> None:
    model = explore(docs, query="a river", color="word")
    model.select([1])
    memory.delete_collection(docs.name)
    before = model.selection
    assert not model.refresh()
    assert "deleted" in (model.error or "")
    model.query = "a city"
    assert "deleted" in (model.error or "")
    model.where = {"n": 1}
    assert "deleted" in (model.error or "")
    model.color = "n"
    model.select([2, 3])
    assert not model.carry_out(model.plan_tag("k", 1))
    assert "deleted" in (model.error or "")
    assert model.curation.undo is None
    assert model.hover(1).title == "i001"
    pd.testing.assert_frame_equal(before, model._frame(np.asarray([1])))
    assert isinstance(model.code(), str)
    model.map.method = "pca"


def test_a_client_that_is_closed(disk: Backend, explore: Make) -> None:
    model = explore(filled(disk.client))
    disk.client.close()
    assert not model.refresh()
    assert "closed" in (model.error or "")
    model.query = Like("i001")
    assert "closed" in (model.error or "")
    model.color = "n"
    model.where = {"n": 1}
    assert "closed" in (model.error or "")
    assert isinstance(model.code() + model.sql, str)
    assert model.hover(1).title == "i001"


def test_data_that_comes_while_a_map_is_computed(docs: Docs, explore: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Projector.run

    def slow(projector: Projector, *arguments: Any) -> Any:
        made = run(projector, *arguments)
        docs.add(ids=["late"], embeddings=[[1, 1, 1, 1]])
        return made

    monkeypatch.setattr(Projector, "run", slow)
    model = explore(docs, method="umap")
    assert model.map.wait(LONG)
    consistent(model)
    assert model.map.state == "ready"
    assert model.refresh()
    consistent(model)
    assert model.view.index[-1] == "late"


# odd collections ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pca", "umap"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_items(memory: chroma_nb.Client, explore: Make, count: int, method: str) -> None:
    docs = memory.create_collection(fresh_name(), embedding_function=Words())
    grow(docs, range(count)) if count else None
    model = explore(docs, method=method)
    assert model.map.wait(LONG)
    consistent(model)
    model.query = "a river"
    assert (model.error, len(model.results)) == (None, count)
    consistent(model)
    model.select(range(count))
    model.color = DISTANCE
    consistent(model)
    assert isinstance(model.code() + model.sql, str)
    grow(docs, range(count, 30))
    assert model.refresh()
    assert model.map.wait(LONG)
    consistent(model)
    assert len(model.selected) == count


@pytest.mark.parametrize("key", ["distance", "query", "rank", "id", "document", "embedding", "x", "y", " k", "a b'\"<"])
def test_keys_with_names_that_mean_something(memory: chroma_nb.Client, explore: Make, key: str) -> None:
    docs = memory.create_collection(fresh_name(), embedding_function=Words())
    docs.add(ids=["a", "b", "c"], embeddings=np.eye(3, 4), metadatas=[{key: "u"}, {key: "v"}, None])
    model = explore(docs, color=key, where={key: "v"}, query="a river")
    consistent(model)
    assert model.error is None
    assert (model.colours.kind, model.colours.label) == ("categorical", key)
    assert model.view.index.tolist() == model.results.index.tolist() == ["b"]
    assert model.hover(1).lines == ((key, "v"),)
    assert memory.sql(model.sql)["id"].tolist() == ["b"]
    model.select([0])
    assert model.carry_out(model.plan_tag(key, 3))
    consistent(model)
    assert model.hover(0).lines == ((key, "3"),)


@strategies.few
@given(items=strategies.item_lists, data=st.data())
def test_any_items(memory: chroma_nb.Client, items: list[Item], data: st.DataObject) -> None:
    docs = memory.create_collection(fresh_name())
    docs.add(
        ids=[item.id for item in items],
        embeddings=[item.vector for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    model = ExplorerModel(docs, method="pca")
    where = data.draw(st.none() | strategies.wheres(items))
    model.where = where
    model.color = data.draw(st.sampled_from([None, *model.keys]))
    model.query = Like(data.draw(st.sampled_from([item.id for item in items])))
    model.select(data.draw(st.lists(st.integers(0, len(items) - 1))))
    assert model.error is None
    consistent(model)
    assert model.view.index.tolist() == [item.id for item in reference.selected(items, where=where)]
    for position, item in enumerate(items):
        text = model.hover(position)
        assert (text.title, [key for key, _ in text.lines]) == (item.id, [k for k in model.keys if k in item.metadata])
    model.save("v")
    before = (model.where, model.color, model.query, model.selected_ids, model.showing)
    model.clear_filters()
    put(model, query=None, color=None, selected_ids=())
    model.load("v")
    assert (model.where, model.color, model.query, model.selected_ids, model.showing) == before
    model.close()
    memory.delete_collection(docs.name)


def test_compat_collections(explore: Make) -> None:
    client = compat.EphemeralClient()
    docs = client.create_collection("docs")
    docs.add(ids=["a", "b", "c"], embeddings=np.eye(3).tolist(), metadatas=[{"k": 1}, {"k": 2}, {"k": 3}])
    model = explore(docs._with_frames(), query=[1, 0, 0], where={"k": {"$lt": 3}})
    consistent(model)
    assert model.results.index.tolist() == ["a", "b"]


# curation -------------------------------------------------------------------------------------


def test_tagging_deleting_and_undoing(docs: Docs, explore: Make) -> None:
    model = explore(docs, color="word")
    model.select([1, 2])
    plan = model.plan_tag("seen", True)
    assert plan.text == "Write seen = yes to 2 rows."
    assert model.carry_out(plan)
    consistent(model)
    assert model.selection["seen"].tolist() == [True, True]
    assert "seen" in model.keys
    undo = model.curation.undo
    assert undo is not None
    assert model.carry_out(undo)
    assert "seen" not in model.selection
    assert "seen" not in model.keys
    assert model.carry_out(model.plan_delete())
    consistent(model)
    assert (len(model.view), model.selected_ids, model.showing) == (22, (), "rows")
    undo = model.curation.undo
    assert undo is not None
    assert model.carry_out(undo)
    consistent(model)
    assert (len(model.view), model.error) == (24, None)


def test_what_cannot_be_done_is_told(memory: chroma_nb.Client, docs: Docs, explore: Make) -> None:
    model = explore(docs)
    model.select([1, 2])
    plan = model.plan_delete()
    docs.delete(ids=["i001"])
    assert not model.carry_out(plan)
    assert "deleted meanwhile" in (model.error or "")
    assert docs.count() == 23
    copy = fresh_name()
    model.refresh()
    assert model.carry_out(model.plan_copy(copy))
    assert model.error is None
    assert memory[copy].count() == 1


def test_a_deed_is_done_though_the_query_fails_afterwards(docs: Docs, explore: Make) -> None:
    model = explore(docs, query=Like("i001"))
    model.select([1])
    assert model.carry_out(model.plan_delete())
    assert "i001" in (model.error or "")  # the item that was asked for is no more
    consistent(model)


# code -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [None, "a river", Like("i003"), [0.0, 1.0, 0.0, 0.5]])
def test_the_cell_gives_what_is_seen(docs: Docs, explore: Make, query: Any) -> None:
    model = explore(
        docs, query=query, where={"n": {"$lt": float("inf")}}, where_document={"$contains": "a"}, n_results=4
    )
    model.color = "word" if query is None else DISTANCE
    model.select([1, 4])
    names: dict[str, Any] = {model.code().split(" ")[1]: docs}
    exec(model.code(), names)  # noqa: S102 - that it runs is what is tested
    pd.testing.assert_frame_equal(names["selection"], model.selection)
    if query is None:
        pd.testing.assert_frame_equal(names["rows"], model.view)
    else:
        pd.testing.assert_frame_equal(names["hits"], model.results)


def test_the_cell_of_a_directory_runs_by_itself(disk: Backend, explore: Make) -> None:
    docs = filled(disk.client)
    model = explore(docs, query=[1.0, 0.0, 0.0, 0.0], where={"even": True})
    names: dict[str, Any] = {}
    exec(model.code(), names)  # noqa: S102
    pd.testing.assert_frame_equal(names["hits"], model.results)


def test_large_selections_can_be_left_out_of_the_cell(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    model.select(range(24))
    assert "i023" in model.code()
    assert "i023" not in model.code(most_ids=23)
    assert "# 24 selected ids" in model.code(most_ids=23)
    assert "i023" in model.code(most_ids=24)


# saved views ----------------------------------------------------------------------------------

STATE = (
    "query",
    "n_results",
    "where",
    "where_document",
    "color",
    "hidden",
    "selected_ids",
    "showing",
    "sort",
    "page_size",
)


def state(model: ExplorerModel) -> dict[str, Any]:
    found = {name: getattr(model, name) for name in STATE}
    found["query"] = found["query"].tolist() if isinstance(found["query"], np.ndarray) else found["query"]
    return found | {"method": model.map.method}


@pytest.mark.parametrize("query", [None, "a river", Like("i003"), [0.1, 1.0, 0.0, 0.5]])
def test_saved_and_loaded_after_reopening(disk: Backend, explore: Make, query: Any) -> None:
    docs = filled(disk.client)
    model = explore(docs, query=query, n_results=3, where={"n": {"$lt": float("inf")}}, color="word", page_size=5)
    model.where_document = {"$contains": "it's"}
    model.sort = ("n", True)
    model.select([3, 1])
    model.hidden = {0, 2}
    model.showing = "rows"
    model.save("reviewed / it's")
    before = state(model)
    model.close()
    reopened = explore(disk.reopen().get_collection(docs.name, embedding_function=Words()), method="umap")
    assert reopened.saved_views() == ["reviewed / it's"]
    reopened.load("reviewed / it's")
    assert reopened.error is None
    assert state(reopened) == before
    consistent(reopened)
    pd.testing.assert_frame_equal(reopened.results, model.results)


def test_loading_is_told_once(docs: Docs, explore: Make) -> None:
    model = explore(docs, query="a river", where={"n": {"$gt": 3}}, where_document={"$contains": "a"}, n_results=3)
    model.save("one")
    model.query, model.n_results, model.where_document = "a city", 5, None
    model.clear_filters()
    seen = told(model)
    model.load("one")
    assert seen["results"] == seen["query"] == seen["where"] == 1


def test_views_outlive_what_they_show(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    model.select([1, 2, 3])
    model.save("three")
    docs.delete(ids=["i001", "i002"])
    model.refresh()
    model.load("three")
    assert model.selected_ids == ("i003",)
    assert model.error == "2 of 3 items selected in 'three' were deleted since."
    docs.delete(ids=["i003"])
    model.refresh()
    model.load("three")
    assert (model.selected_ids, model.showing) == ((), "rows")
    consistent(model)


def test_views_that_do_not_exist(docs: Docs, explore: Make) -> None:
    model = explore(docs)
    with pytest.raises(InvalidArgumentError, match=r"Make one with \.save"):
        model.load("reviewed")
    model.save("reviewed")
    with pytest.raises(InvalidArgumentError, match='Did you mean "reviewed"'):
        model.load("reviewd")
    for name in ("", "  ", None):
        with pytest.raises(InvalidArgumentError, match="name"):
            model.save(name)  # type: ignore[arg-type]


def test_read_only_stores_save_nothing(disk: Backend, tmp_path: Path, explore: Make) -> None:
    name = filled(disk.client).name
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as reader:
        model = explore(reader[name], method="umap")
        assert model.map.wait(LONG)
        assert model.map.state == "ready"
        with pytest.raises(ReadOnlyStoreError):
            model.save("x")
        model.select([1])
        assert not model.carry_out(model.plan_delete())
        assert "read_only" in (model.error or "")
        assert "read_only=True" in model.code()
        consistent(model)


def test_closing(docs: Docs, explore: Make) -> None:
    model = explore(docs, method="umap")
    seen = told(model)
    model.close()
    assert not model.map.running
    docs.add(ids=["new"], embeddings=[[1, 1, 1, 1]])
    model.query = "a river"
    assert dict(seen) == {}
    model.close()
