"""Snapshots: one moment of a collection, whatever is written meanwhile, and the neighbours of all its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chroma_nb.arguments import selection
from chroma_nb.errors import ClosedStoreError, InvalidDimensionError, ReadOnlyStoreError
from chroma_nb.store import hnsw, indexer, neighbours, search, writing
from chroma_nb.types import Kind, Metric

from .backend import fresh_name
from .reference import distances

if TYPE_CHECKING:
    import numpy.typing as npt

    from chroma_nb import Client, Collection
    from chroma_nb.store.protocol import Snapshot

    from .backend import Backend

SPACES = ("l2", "cosine", "ip")
SIZE, DIMENSION = 300, 8


def vectors(count: int = SIZE, seed: int = 5) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def filled(client: Client, rows: Any, space: str = "l2") -> Collection:
    collection = client.create_collection(fresh_name(), {"hnsw:space": space})
    ids = [str(n) for n in range(len(rows))]
    collection.add(ids=ids, embeddings=rows, documents=ids, metadatas=[{"n": int(n)} for n in ids])
    return collection


def snapshot(collection: Collection) -> Snapshot:
    return collection._store.snapshot(collection.id)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Graphs from the first item on; how many were asked at once in each search that succeeded."""
    monkeypatch.setattr(search, "EXACT_ELEMENTS", DIMENSION)
    monkeypatch.setattr(indexer, "_SLACK_SLOTS", 10)
    return _spied(monkeypatch)


def _spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    original = hnsw.Graph.search

    def spy(self: hnsw.Graph, queries: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, queries, *args, **kwargs)
        if found is not None:
            calls.append(len(queries))
        return found

    monkeypatch.setattr(hnsw.Graph, "search", spy)
    return calls


# one moment -----------------------------------------------------------------------------------


def test_it_shows_all_items_in_order(client: Client) -> None:
    rows = vectors(20)
    collection = filled(client, rows)
    collection.delete(ids=["3", "7"])
    collection.update(ids=["5"], embeddings=rows[:1] + 1, metadatas=[{"n": 2.5, "new": True}])
    shown = snapshot(collection)
    left = [n for n in range(20) if n not in (3, 7)]
    assert len(shown) == 18
    assert shown.ids.to_pylist() == [str(n) for n in left]
    expected = rows.copy()
    expected[5] = rows[0] + 1
    assert np.array_equal(shown.vectors(), expected[left])
    assert np.array_equal(shown.vectors(np.array([4, 0])), expected[[5, 0]])
    column = shown.column("n")
    assert column[Kind.INT].to_pylist() == [None if n == 5 else n for n in left]
    assert column[Kind.FLOAT].to_pylist() == [2.5 if n == 5 else None for n in left]
    assert shown.column("new")[Kind.BOOL].to_pylist() == [True if n == 5 else None for n in left]
    assert shown.column("unknown") == {}
    records = shown.records([3, 0], frozenset({"documents", "metadatas"}))
    assert records.ids.to_pylist() == ["4", "0"]
    assert records.documents is not None
    assert records.documents.to_pylist() == ["4", "0"]
    assert records.metadata is not None
    assert records.metadata["n"][Kind.INT].to_pylist() == [4, 0]


def test_sparse_keys_are_columns_too(client: Client) -> None:
    collection = client.create_collection(fresh_name())
    metadatas = [{f"key{key}": key} for key in range(80)]
    collection.add(ids=[str(n) for n in range(80)], embeddings=vectors(80), metadatas=metadatas)
    shown = snapshot(collection)
    for key in (0, 79):
        assert shown.column(f"key{key}")[Kind.INT].to_pylist() == [key if n == key else None for n in range(80)]


def test_it_does_not_change(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "COMPACT_SLOTS", 5)
    rows = vectors(40)
    collection = filled(client, rows)
    before = snapshot(collection)
    collection.update(ids=["1"], embeddings=rows[:1], metadatas=[{"n": -1}])
    collection.delete(ids=[str(n) for n in range(10, 40)])  # which compacts
    collection.add(ids=["10", "x"], embeddings=rows[:2])
    assert len(before) == 40
    assert np.array_equal(before.vectors(), rows)
    assert before.column("n")[Kind.INT].to_pylist() == list(range(40))
    found, _ = before.search(rows[20:21], 1)
    assert found.tolist() == [[20]]
    assert before.neighbours(3)[0][:, 0].tolist() == list(range(40))
    assert before.info.version < snapshot(collection).info.version


def test_selections_are_judged_by_the_values_of_now(client: Client) -> None:
    collection = filled(client, vectors(20))
    shown = snapshot(collection)
    assert shown.matching(selection(None, {"n": {"$lt": 3}}, None)).tolist() == [0, 1, 2]
    collection.delete(ids=["1"])
    collection.add(ids=["1", "new"], embeddings=vectors(2), metadatas=[{"n": 1}, {"n": 2}])
    collection.update(ids=["2", "9"], metadatas=[{"n": 100}, {"n": 0}])
    assert shown.matching(selection(None, {"n": {"$lt": 3}}, None)).tolist() == [0, 9]
    assert shown.matching(selection(["5", "0", "new", "1", "unknown"], None, None)).tolist() == [0, 5]
    assert shown.matching(selection(None, None, None)).tolist() == [0, *range(2, 20)]
    assert shown.matching(selection([], None, None)).tolist() == []


def test_search(client: Client) -> None:
    rows = vectors(30)
    collection = filled(client, rows)
    collection.delete(ids=["0", "4"])
    shown = snapshot(collection)
    positions, lengths = shown.search(rows[:2], 5)
    live = np.delete(rows, [0, 4], axis=0)
    for query, found, distance in zip(rows[:2], positions, lengths, strict=True):
        assert distance == pytest.approx(np.sort(distances("l2", live, query))[:5])
        assert distances("l2", live, query)[found] == pytest.approx(distance)
    assert shown.search(rows[:2], 100)[0].shape == (2, 28)
    assert shown.search(rows[:0], 3)[0].shape == (0, 3)
    with pytest.raises(InvalidDimensionError):
        shown.search(np.zeros((1, 3), dtype=np.float32), 1)


def test_an_empty_collection(client: Client) -> None:
    shown = snapshot(client.create_collection(fresh_name()))
    assert len(shown) == 0
    assert shown.ids.to_pylist() == []
    assert shown.vectors().shape == (0, 0)
    assert shown.search(vectors(2), 3)[0].shape == (2, 0)
    assert [part.shape for part in shown.neighbours(15)] == [(0, 0), (0, 0)]


# neighbours -----------------------------------------------------------------------------------


def check_neighbours(rows: Any, space: str, positions: Any, lengths: Any, k: int, least: float = 1.0) -> None:
    """Each row first, then its nearest others; at least that share of them the true ones."""
    n = len(rows)
    assert positions.shape == lengths.shape == (n, min(k, n))
    assert positions.dtype == np.int64
    assert lengths.dtype == np.float32
    assert positions[:, 0].tolist() == list(range(n))
    assert not lengths[:, 0].any()
    assert np.isfinite(lengths).all()
    assert (lengths >= 0).all()
    assert (np.diff(lengths[:, 1:]) >= 0).all()
    true = np.stack([distances(space, rows, row) for row in rows])
    np.fill_diagonal(true, np.inf)
    best = np.sort(true, axis=1)[:, : min(k, n) - 1]
    found = np.take_along_axis(true, positions[:, 1:], axis=1)
    assert len({tuple(sorted(row)) for row in positions.tolist() if len(set(row)) < len(row)}) == 0
    scale = max(float(np.abs(best).max()), 1e-30)
    assert (np.sort(found, axis=1) <= best + 1e-4 * scale).mean() >= least
    expected = np.sqrt(np.maximum(found, 0)) if space == "l2" else found
    if space == "ip":
        expected = expected - min(float(found.min()), 0.0)
    assert lengths[:, 1:] == pytest.approx(
        expected, rel=1e-3, abs=1e-4 * float(np.sqrt(scale) if space == "l2" else scale)
    )


@pytest.mark.parametrize("space", SPACES)
def test_neighbours_are_exact_in_small_collections(client: Client, space: str) -> None:
    rows = vectors(900)
    rows[5:40] = rows[5]
    collection = filled(client, rows, space)
    collection.delete(ids=["0", "50"])
    check_neighbours(np.delete(rows, [0, 50], axis=0), space, *snapshot(collection).neighbours(15), 15)


@pytest.mark.parametrize("space", SPACES)
def test_neighbours_by_the_graph(client: Client, graphs: list[int], space: str) -> None:
    rows = vectors()
    rows[5:40] = rows[5]
    collection = filled(client, rows, space)
    collection.delete(ids=["0", "50"])
    found = snapshot(collection).neighbours(15)
    check_neighbours(np.delete(rows, [0, 50], axis=0), space, *found, 15, least=0.97)
    assert sum(graphs) == SIZE - 2


def test_neighbours_when_the_graph_has_moved_on(client: Client, graphs: list[int]) -> None:
    rows = vectors()
    collection = filled(client, rows)
    shown = snapshot(collection)
    collection.create_index()
    collection.delete(ids=[str(n) for n in range(100)])
    collection.add(ids=[f"new{n}" for n in range(150)], embeddings=rows[:150] + np.float32(1e-3))
    collection.create_index()
    collection.query(rows[0])  # tells the graph what was deleted
    positions, lengths = shown.neighbours(10)
    check_neighbours(rows, "l2", positions, lengths, 10, least=0.4)
    assert graphs


def test_neighbours_with_a_graph_of_their_own(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT_ROWS", 100)
    calls = _spied(monkeypatch)
    rows = vectors()
    steps: list[tuple[int, int]] = []
    found = snapshot(filled(client, rows)).neighbours(10, indexing=lambda done, total: steps.append((done, total)))
    check_neighbours(rows, "l2", *found, 10, least=0.97)
    assert sum(calls) == SIZE
    assert steps[-1] == (SIZE, SIZE)


def test_neighbours_in_a_read_only_store(disk: Backend, graphs: list[int], tmp_path: Any) -> None:
    import chroma_nb

    filled(disk.client, vectors())
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as client:
        collection = client[client.list_collections().index[0]]
        check_neighbours(vectors(), "l2", *snapshot(collection).neighbours(10), 10, least=0.97)
        with pytest.raises(ReadOnlyStoreError):
            client._store.save_view(collection.id, "a", "{}")
    assert graphs


_LARGE = float(np.finfo(np.float32).max)
_NUMBERS = st.floats(-_LARGE, _LARGE, width=32) | st.sampled_from([0.0, 2.0**-140, -(2.0**-100), 1.0, _LARGE, -_LARGE])


@given(
    rows=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=_NUMBERS),
    space=st.sampled_from(SPACES),
    k=st.integers(1, 20),
)
def test_neighbours_of_any_numbers(rows: npt.NDArray[np.float32], space: str, k: int) -> None:
    n = len(rows)
    prepared = neighbours.Rows(Metric(space), rows, np.arange(n))
    if n == 1:
        return
    k = min(k, n - 1)
    positions, lengths = neighbours.exact_neighbours(prepared, np.arange(n), k)
    assert np.isfinite(lengths).all()
    for row, found in enumerate(positions.tolist()):
        assert row not in found
        assert len(set(found)) == k
        assert set(found) <= set(range(n))
    if space != "ip":
        assert (lengths >= 0).all()


def test_progress_can_end_the_work(client: Client, graphs: list[int]) -> None:
    class EndError(Exception):
        pass

    def end(done: int, total: int) -> None:
        raise EndError

    shown = snapshot(filled(client, vectors()))
    with pytest.raises(EndError):
        shown.neighbours(10, lambda done, total: None, indexing=end)
    with pytest.raises(EndError):
        shown.neighbours(10, end)
    steps: list[tuple[int, int]] = []
    shown.neighbours(10, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (SIZE, SIZE)


def test_after_closing(client: Client) -> None:
    collection = filled(client, vectors(20))
    shown = snapshot(collection)
    client.close()
    assert np.array_equal(shown.vectors(), vectors(20))
    for call in (lambda: shown.matching(selection(None, None, None)), lambda: shown.layout("a")):
        with pytest.raises(ClosedStoreError):
            call()


def test_a_key_that_no_item_has_any_more_is_gone(backend: Backend) -> None:
    docs = backend.client.create_collection(fresh_name())
    docs.add(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"n": 1}, {"n": 2}])
    docs.update("a", metadatas={"tag": True}, merge=True)
    assert list(docs.get().columns) == ["document", "n", "tag"]
    docs.update("a", metadatas={"n": 1})
    assert list(docs.get().columns) == ["document", "n"]
    docs = backend.reopen()[docs.name]
    assert list(docs.get().columns) == ["document", "n"]
    docs.update("b", metadatas={"tag": "x"}, merge=True)
    docs.delete("b")
    assert list(docs.get().columns) == ["document", "n"]
    assert docs._store.stats(docs.id).keys == {"n": (Kind.INT,)}
    docs.delete()
    assert set(docs.get().columns) >= {"document", "n"}, "of an empty collection, the keys that there were"
