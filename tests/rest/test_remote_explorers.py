"""Maps and explorers over stores on servers: ours, one of API v1, and a real one of API v2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.models.browser import BrowserModel
from chroma_nb_widgets.models.explorer import ExplorerModel
from chroma_nb_widgets.models.query import QueryModel

from chroma_nb import Client, Collection
from chroma_nb.errors import CollectionNotFoundError, InvalidDimensionError, StoreError
from chroma_nb.projection import Projector
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.remote import RemoteStore
from chroma_nb.rest.remote_snapshot import RemoteSnapshot, sample_pages
from chroma_nb.store.local import LocalStore
from chroma_nb.types import Selection
from chroma_nb.where import Compare
from tests.store.backend import fresh_name

from .chroma_process import chroma_server
from .old_chroma import OldChroma
from .threaded import threaded

LONG = 60
COUNT, SAMPLE = 300, 100


class Place:
    """A server, and how to make stores on it."""

    def __init__(self, kind: str, stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.kind = kind
        if kind == "ours":
            self._port = stack.enter_context(threaded(LocalStore(), ServerOptions())).port
        elif kind == "v1":
            self._old = OldChroma()
        else:
            self._port = stack.enter_context(chroma_server(tmp_path_factory.mktemp("chroma")))

    def store(self, sample: int) -> RemoteStore:
        """A new store."""
        if self.kind == "v1":
            return connect(client=self._old.client(), sample=sample)
        return connect("127.0.0.1", self._port, sample=sample)


@pytest.fixture(scope="module", params=["ours", "v1", pytest.param("v2", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(request.param, stack, tmp_path_factory)


@pytest.fixture
def store(place: Place) -> Iterator[RemoteStore]:
    """A store whose snapshots hold at most 100 items."""
    made = place.store(SAMPLE)
    yield made
    made.close()


@pytest.fixture
def docs(store: RemoteStore) -> Collection:
    """60 items: all of them are in a snapshot."""
    return filled(store, 60)


def filled(store: RemoteStore, count: int) -> Collection:
    docs = Client._over(store).create_collection(fresh_name())
    grow(docs, range(count))
    return docs


def grow(docs: Collection, numbers: range) -> None:
    vectors = np.random.default_rng(numbers.start).normal(size=(len(numbers), 4)) + np.eye(4)[np.array(numbers) % 4] * 9
    docs.upsert(
        ids=[f"i{number:03}" for number in numbers],
        embeddings=vectors,
        documents=[f"text {number}" for number in numbers],
        metadatas=[{"n": number, "even": number % 2 == 0} for number in numbers],
    )


# snapshots ------------------------------------------------------------------------------------


def test_a_snapshot_of_all(docs: Collection, store: RemoteStore) -> None:
    snapshot = store.snapshot(docs.id)
    assert (len(snapshot), snapshot.total) == (60, 60)
    assert snapshot.ids.to_pylist() == [f"i{number:03}" for number in range(60)]
    assert set(snapshot.keys) == {"n", "even"}
    assert snapshot.documented
    assert snapshot.vectors(np.array([3])).tolist() == docs.embeddings("i003").tolist()
    np.testing.assert_array_equal(snapshot.vectors(), docs.embeddings())
    found, distances = snapshot.search(docs.embeddings("i007"), 3)
    assert found[0, 0] == 7
    hits = docs.query(docs.embeddings("i007"), n_results=3)
    assert [f"i{at:03}" for at in found[0]] == hits.index.tolist()
    np.testing.assert_allclose(distances[0], hits["distance"], rtol=1e-4, atol=1e-4)
    near, away = snapshot.neighbours(5)
    assert (near[:, 0] == np.arange(60)).all()
    assert ((near % 4) == (np.arange(60) % 4)[:, None]).mean() > 0.9
    assert away.shape == (60, 5)
    with pytest.raises(InvalidDimensionError):
        snapshot.search(np.ones((1, 3), dtype=np.float32), 1)
    records = snapshot.records([5, 2], frozenset({"documents", "embeddings"}))
    assert (records.ids.to_pylist(), records.metadata) == (["i005", "i002"], None)
    assert records.embeddings is not None


def test_a_snapshot_is_fetched_again_only_when_something_changed(docs: Collection, store: RemoteStore) -> None:
    first = store.snapshot(docs.id)
    assert store.snapshot(docs.id) is first
    docs.update(ids=["i000"], metadatas=[{"n": -1}])
    docs.add(ids=["new"], embeddings=[[0, 0, 0, 0]])
    second = store.snapshot(docs.id)
    assert second is not first
    assert (len(first), len(second)) == (60, 61)
    assert second.info.version > first.info.version
    assert first.column("n")["int"].to_pylist()[0] == 0  # type: ignore[index]
    assert second.column("n")["int"].to_pylist()[0] == -1  # type: ignore[index]


def test_what_matches_is_judged_by_the_values_of_now(docs: Collection, store: RemoteStore) -> None:
    snapshot = store.snapshot(docs.id)
    first = Selection(where=Compare("n", "$lt", 3))
    assert snapshot.matching(first).tolist() == [0, 1, 2]
    assert snapshot.matching(Selection(ids=["i004", "nope"])).tolist() == [4]
    docs.update(ids=["i050", "i001"], metadatas=[{"n": 0}, {"n": 100}])
    docs.delete(ids=["i002"])
    assert snapshot.matching(first).tolist() == [0, 50]
    assert snapshot.matching(Selection(ids=["i002", "i004"])).tolist() == [4]
    assert len(snapshot.matching(Selection())) == 59


def test_a_sample_says_so_and_is_spread(store: RemoteStore) -> None:
    docs = filled(store, COUNT)
    snapshot = store.snapshot(docs.id)
    assert (len(snapshot), snapshot.total) == (SAMPLE, COUNT)
    ids = snapshot.ids.to_pylist()
    assert ids == sorted(set(ids))
    numbers = np.array([int(id_[1:]) for id_ in ids])
    assert np.bincount(numbers // 100).tolist() == pytest.approx([33, 33, 33], abs=6)
    assert len(snapshot.vectors()) == SAMPLE
    np.testing.assert_array_equal(snapshot.vectors(), docs.embeddings(ids))
    near, _ = snapshot.neighbours(4)
    assert near.max() < SAMPLE


def test_pages_of_samples_do_not_overlap() -> None:
    for total, limit in ((101, 100), (1_000_000, 20_000), (250, 100), (25_000, 20_000)):
        starts, size = sample_pages(total, limit)
        assert (np.diff(starts) >= size).all()
        assert (starts[0] >= 0, starts[-1] + size <= total, len(starts) * size <= limit) == (True, True, True)


def test_items_that_are_gone_before_their_vectors_came(docs: Collection, store: RemoteStore) -> None:
    snapshot = store.snapshot(docs.id)
    every = docs.embeddings()
    docs.delete(ids=["i000", "i001"])
    vectors = snapshot.vectors()
    np.testing.assert_array_equal(vectors[2:], every[2:])
    np.testing.assert_allclose(vectors[0], every[2:].mean(axis=0), rtol=1e-5)
    gone = store.snapshot(docs.id)
    docs.delete()
    with pytest.raises(StoreError, match="deleted meanwhile"):
        RemoteSnapshot.vectors(gone)  # type: ignore[arg-type]


def test_a_map_is_computed_once(docs: Collection, store: RemoteStore) -> None:
    made = Projector(store, docs.id, engine="native", seed=1).run()
    assert made.complete
    stored = Projector(store, docs.id, engine="native", seed=1).stored()
    assert stored is not None
    np.testing.assert_array_equal(stored.xy, made.xy)
    docs.delete(ids=["i001"])
    grow(docs, range(60, 64))
    again = Projector(store, docs.id, engine="native", seed=1).stored()
    assert again is not None
    assert again.snapshot.ids.to_pylist() == [f"i{number:03}" for number in (0, *range(2, 64))]
    np.testing.assert_array_equal(again.xy[:59], np.delete(made.xy, 1, axis=0))
    assert np.isfinite(again.xy).all()
    client = Client._over(store)
    client.delete_collection(docs.name)
    with pytest.raises(CollectionNotFoundError):
        store.snapshot(docs.id)


# explorers ------------------------------------------------------------------------------------


def test_an_explorer(docs: Collection) -> None:
    model = ExplorerModel(docs, method="pca")
    try:
        assert model.map.wait(LONG)
        assert model.error is None
        assert np.isfinite(model.map.xy).all()
        model.where = {"n": {"$gte": 50}}
        assert model.view.index.tolist() == [f"i{number:03}" for number in range(50, 60)]
        model.query = {"like": "i050"}
        assert sorted(model.results["n"]) == list(range(51, 60))
        model.where = None
        model.color = "even"
        assert model.colours.kind != "none"
        model.select(np.array([1, 2]))
        assert model.selected_ids == ("i001", "i002")
        grow(docs, range(60, 62))
        assert model.refresh()
        assert len(model.snapshot) == 62
        assert model.error is None
    finally:
        model.close()


def test_a_query_widget_sorts_and_pages(docs: Collection) -> None:
    model = QueryModel(docs, sort=("n", True), page_size=5)
    assert model.table()["n"].tolist() == [59, 58, 57, 56, 55]
    model.where_document = {"$contains": "text 1"}
    assert model.total == 11
    model.where_document = {"$not_contains": "1"}
    assert model.error is None
    assert model.facet("n").count == 60


def test_views_live_as_long_as_the_client(docs: Collection, store: RemoteStore) -> None:
    store.save_view(docs.id, "b", "{}")
    store.save_view(docs.id, "a", "[]")
    assert (store.views(docs.id), store.view(docs.id, "a"), store.view(docs.id, "c")) == (["a", "b"], "[]", None)
    store.delete_view(docs.id, "a")
    assert store.views(docs.id) == ["b"]


def test_a_picture_and_a_map_frame(docs: Collection) -> None:
    xy = docs.project("pca")
    assert xy.index.tolist() == docs.get(include=[]).index.tolist()
    figure: Any = docs.plot("n", method="pca", where={"even": True}, query={"like": "i004"})
    assert sum(len(trace.x) for trace in figure.data if trace.x is not None) >= 60


def test_a_browser(docs: Collection, store: RemoteStore) -> None:
    client = Client._over(store)
    model = BrowserModel(client, lambda collection: None)
    listed = {one.name: one for one in model.collections}[docs.name]
    assert (listed.count, sorted(key for key, _ in listed.keys)) == (60, ["even", "n"])
    model.collection = docs.name
    assert len(model.peek()) > 0
    assert model.error is None
