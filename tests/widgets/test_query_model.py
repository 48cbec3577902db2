"""The state of a query widget: pages, order, checks from code, failures that it survives."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from chroma_nb_widgets.models.asked import Like
from chroma_nb_widgets.models.conditions import Choice, Flag, Range
from chroma_nb_widgets.models.query import QueryModel
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.columns import column_of
from chroma_nb.errors import InvalidArgumentError, InvalidNumberOfResultsError
from tests.store import strategies
from tests.store.reference import document_matches, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Client, Collection
    from tests.store.reference import Item

_numbers = itertools.count()


def embed(texts: list[str]) -> list[list[float]]:
    return [[len(text), text.count("a"), 1.0] for text in texts]


def stored(memory: Client, items: list[Item]) -> Collection:
    docs = memory.create_collection(f"docs{next(_numbers)}", embedding_function=None)
    docs.add(
        ids=[item.id for item in items],
        embeddings=np.array([item.vector for item in items], dtype=np.float32),
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    return docs


@pytest.fixture
def docs(client: Client) -> Collection:
    docs = client.create_collection("docs", embedding_function=embed)
    docs.add(
        ids=list("abcdef"),
        documents=["a", "aa", "b", "ccc", "aaaa", "river"],
        metadatas=[{"n": 3, "flag": True}, {"n": 1}, {"n": 2, "flag": False}, None, {"n": 1, "lang": "en"}, {"n": "x"}],
    )
    return docs


@pytest.fixture
def model(docs: Collection) -> QueryModel:
    return QueryModel(docs)


# pages ----------------------------------------------------------------------------------------


@given(st.data())
def test_pages_are_the_rows_that_pass(memory: Client, data: st.DataObject) -> None:
    items = data.draw(strategies.item_lists)
    docs = stored(memory, items)
    model = QueryModel(docs, page_size=data.draw(st.integers(1, 5)))
    if data.draw(st.booleans()):
        model.where = data.draw(strategies.wheres(items))
    if data.draw(st.booleans()):
        model.where_document = data.draw(strategies.document_wheres(items))
    assert model.error is None
    passing = [i.id for i in items if matches(i, model.where) and document_matches(i, model.where_document)]
    pages = []
    for page in range(-(-len(passing) // model.page_size)):
        model.page = page
        pages.append(model.table())
    assert [id_ for page in pages for id_ in page.index] == passing
    assert all(len(page) == model.page_size for page in pages[:-1])
    assert model.total == len(passing)
    pd.testing.assert_frame_equal(model.view, docs.get(where=model.where, where_document=model.where_document))


def _rank(value: Any, *, mixed_numbers: bool) -> tuple[int, Any]:
    """Numbers, then texts, then bools."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, str):
        return 1, value
    return 0, float(value) if mixed_numbers else value


@given(st.data())
def test_order_is_that_of_python_with_gaps_at_the_end(memory: Client, data: st.DataObject) -> None:
    items = data.draw(strategies.item_lists)
    keys = [key for item in items for key in item.metadata]
    column = data.draw(st.sampled_from(["id", *map(column_of, keys)]))
    descending = data.draw(st.booleans())
    model = QueryModel(stored(memory, items), sort=(column, descending), page_size=50)
    values = {
        item.id: item.id
        if column == "id"
        else next((v for k, v in item.metadata.items() if column_of(k) == column), None)
        for item in items
    }
    kinds = {type(value) for value in values.values()}
    there = [item.id for item in items if values[item.id] is not None]
    expected: list[str] = []
    for group in (0, 1, 2):
        ranks = {id_: _rank(values[id_], mixed_numbers={int, float} <= kinds) for id_ in there}
        members = [id_ for id_ in there if ranks[id_][0] == group]
        # reverse=True keeps equal ones in their order, as a stable sort does.
        expected += sorted(members, key=lambda id_: ranks[id_][1], reverse=descending)
    expected += [item.id for item in items if values[item.id] is None]
    assert model.table().index.tolist() == expected


def test_order_against_pandas(memory: Client) -> None:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"n": rng.integers(0, 50, 400), "x": rng.normal(size=400), "t": rng.choice(list("abc"), 400)})
    frame.index = pd.Index([f"i{at}" for at in range(400)], name="id")
    frame["embedding"] = list(rng.normal(size=(400, 3)).astype(np.float32))
    docs = memory.create_collection(f"docs{next(_numbers)}")
    docs.add(frame)
    model = QueryModel(docs, page_size=25, where={"t": {"$in": ["a", "b"]}})
    for column, descending in itertools.product("nxt", (False, True)):
        model.sort = (column, descending)
        kept = frame[frame["t"] != "c"].sort_values(column, ascending=not descending, kind="stable")
        for page in (0, 3, -(-len(kept) // 25) - 1):
            model.page = page
            assert model.table().index.tolist() == kept.index[page * 25 : page * 25 + 25].tolist()


def test_results_are_sorted_too(model: QueryModel) -> None:
    model.query = "aaa"
    by_distance = model.results.index.tolist()
    assert model.table().index.tolist() == by_distance
    model.sort = ("n", True)
    assert model.table()["n"].tolist()[:4] == [3, 2, 1, 1]
    assert model.table()["distance"].is_monotonic_increasing is False
    assert model.results.index.tolist() == by_distance
    model.sort = None
    assert model.table().index.tolist() == by_distance


def test_results_newer_than_the_rows_stand_last_when_sorted(model: QueryModel, docs: Collection) -> None:
    docs.add(ids="new", documents="aaa", metadatas={"n": 0})
    model.query = "aaa"
    model.sort = ("n", False)
    assert model.table().index.tolist()[-1] == "new"
    model.refresh()
    assert model.table().index.tolist()[0] == "new"


def test_page_stays_within_what_there_is(model: QueryModel) -> None:
    model.page_size = 4
    model.page = 99
    assert (model.page, len(model.table())) == (1, 2)
    model.page = -1
    assert model.page == 0
    model.page = 1
    model.where = {"n": 1}
    assert model.page == 0


# checks from code -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("where", {"n": {"$gtt": 1}}, r"\$gtt"),
        ("where", {"a": 1, "b": 2}, "exactly one operator"),
        ("where", "n > 1", "to be a dict"),
        ("where_document", {"$like": "x"}, r"\$like"),
        ("query", [1.0, 2.0], "vectors of 3 numbers, the query has 2"),
        ("query", [1.0, float("nan"), 0.0], "finite"),
        ("query", {"similar": "a"}, '{"like": id}'),
        ("query", 3, r"shape \(dim,\)"),
        ("n_results", 0, "cannot be negative, or zero"),
        ("showing", "all", "one of rows, results"),
        ("sort", ("flags", False), "no column .flags.*Did you mean .flag"),
        ("page_size", 0, "at least one row"),
    ],
)
def test_wrong_values_are_refused(model: QueryModel, trait: str, value: Any, message: str) -> None:
    before = getattr(model, trait)
    with pytest.raises((InvalidArgumentError, InvalidNumberOfResultsError), match=message):
        setattr(model, trait, value)
    assert getattr(model, trait) is before or getattr(model, trait) == before
    assert model.error is None


# queries --------------------------------------------------------------------------------------


def test_results_are_those_of_the_collection(model: QueryModel, docs: Collection) -> None:
    model.query = "aa"
    pd.testing.assert_frame_equal(model.results, docs.query("aa", n_results=10))
    model.n_results = 2
    pd.testing.assert_frame_equal(model.results, docs.query("aa", n_results=2))
    model.where = {"n": 1}
    pd.testing.assert_frame_equal(model.results, docs.query("aa", n_results=2, where={"n": 1}))
    model.query = [1, 1, 1]
    pd.testing.assert_frame_equal(model.results, docs.query([[1, 1, 1]], n_results=2, where={"n": 1}))
    assert model.showing == "results"
    model.query = None
    assert len(model.results) == 0
    assert model.results.columns.tolist() == docs.query("aa").columns.tolist()
    assert model.showing == "rows"


def test_like_leaves_the_item_itself_out(model: QueryModel) -> None:
    model.like("b")
    assert model.query == Like("b")
    assert "b" not in model.results.index
    assert len(model.results) == 5
    assert model.results["rank"].tolist() == [0, 1, 2, 3, 4]
    assert model.results["distance"].is_monotonic_increasing


def test_a_failing_query_keeps_the_widget_alive(client: Client) -> None:
    docs = client.create_collection("no-texts", embedding_function=None)
    docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]])
    model = QueryModel(docs)
    model.query = "a text"
    assert "embedding_function=None" in str(model.error)
    assert len(model.results) == 0
    model.query = [1, 0]
    assert model.error is None
    assert model.results.index.tolist() == ["a", "b"]


def test_an_unexpected_failure_is_shown_and_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    def broken(texts: list[str]) -> list[list[float]]:
        raise RuntimeError("the model fell over")

    docs = client.create_collection("broken", embedding_function=broken)
    docs.add(ids="a", embeddings=[[1, 0]])
    model = QueryModel(docs, query="x")
    assert "the model fell over" in str(model.error)
    assert model.table().empty


def test_a_pattern_that_cannot_be_evaluated_is_reported(model: QueryModel) -> None:
    model.where_document = {"$regex": "("}
    assert "missing )" in str(model.error)
    model.where_document = {"$regex": "^a+$"}
    assert model.error is None
    assert model.positions.tolist() == [0, 1, 4]


def test_a_failure_inside_is_not_forgotten_outside(model: QueryModel) -> None:
    model.ask_vector("1 2")
    assert "the query has 2" in str(model.error)
    with model.guarded():
        model.where_document = {"$regex": "("}  # which guards itself
    assert "missing )" in str(model.error)
    with model.guarded(clear=False):
        pass
    assert model.error is not None


def test_vectors_are_read_from_text(model: QueryModel) -> None:
    for text in ("1, 0.5, 2", "[1 0.5 2]", "(1,0.5,\n2)"):
        model.query = None
        model.ask_vector(text)
        assert np.asarray(model.query).tolist() == [1.0, 0.5, 2.0]
    model.ask_vector("1, x, 2")
    assert "numbers between commas" in str(model.error)
    model.ask_vector("1e300, 0, 0")
    assert "finite" in str(model.error)


# filters of the form --------------------------------------------------------------------------


def test_conditions_are_the_where(model: QueryModel) -> None:
    model.put(Range("n", 1, 2))
    assert model.where == {"$and": [{"n": {"$gte": 1}}, {"n": {"$lte": 2}}]}
    model.put(Flag("flag", False))
    assert model.view.index.tolist() == ["c"]
    model.combine("any")
    assert model.match == "any"
    assert model.view.index.tolist() == ["b", "c", "e"]
    model.put(Range("n", 2))
    assert list(model.conditions) == [Range("n", 2), Flag("flag", False)]
    model.remove(Flag("flag", False))
    assert model.where == {"n": {"$gte": 2}}
    model.where = {"lang": "en"}
    assert list(model.conditions) == [Choice("lang", ("en",))]
    model.clear_filters()
    assert model.where is None


def test_a_key_without_letters_is_a_key(client: Client) -> None:
    docs = client.create_collection("odd")
    docs.add(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"": 1}, {"": 2}])
    model = QueryModel(docs, where={"": {"$ne": 7}})
    model.put(Range("", 1))
    model.put(Range("", 2))
    assert model.where == {"$and": [{"": {"$ne": 7}}, {"": {"$gte": 2}}]}


# data that changes ----------------------------------------------------------------------------


def test_refresh_sees_what_others_wrote(model: QueryModel, docs: Collection) -> None:
    assert model.facet("n").kind == "mixed"
    model.query = "aa"
    assert (model.stale, model.refresh()) == (False, False)
    docs.delete(ids=["f", "b"])
    assert model.total == 6  # results, as they were asked
    assert (model.stale, model.refresh(), model.stale) == (True, True, False)
    assert model.facet("n").kind == "number"
    assert model.results.index.tolist() == docs.query("aa").index.tolist()


def test_asking_again_looks_at_the_data_of_now(model: QueryModel, docs: Collection) -> None:
    model.query = "zzzzzzz"
    docs.add(ids="g", documents="zzzzzzz")
    model.ask_again()
    assert model.results.index[0] == "g"
    assert model.version == docs._store.collection_by_id(docs.id).version


@pytest.fixture
def client() -> Iterator[Client]:
    with chroma_nb.Client() as made:
        yield made
