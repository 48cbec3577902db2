"""Which neighbours are found: exactly, by the graph, and with numbers at the ends of float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.store import exact, hnsw, indexer, search, writing

from .backend import fresh_name
from .reference import distances

if TYPE_CHECKING:
    import numpy.typing as npt

    from chroma_nb import Client, Collection

    from .backend import Backend

SPACES = ("l2", "cosine", "ip")
SIZE, DIMENSION = 300, 8


@pytest.fixture
def vectors() -> npt.NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(SIZE, DIMENSION)).astype(np.float32)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bool]]:
    """Graphs from the first item on; each search in one that succeeded: (queries, k, whether filtered)."""
    monkeypatch.setattr(search, "EXACT_ELEMENTS", DIMENSION)
    monkeypatch.setattr(search, "EXACT_SURVIVORS", 0)
    monkeypatch.setattr(search, "_MANY_SURVIVORS", 0)
    monkeypatch.setattr(indexer, "_SLACK_SLOTS", 10)
    calls = []
    original = hnsw.Graph.search

    def spy(self: hnsw.Graph, queries: Any, k: int, allowed: Any, threads: int, ef: int | None = None) -> Any:
        found = original(self, queries, k, allowed, threads, ef)
        if found is not None:
            calls.append((len(queries), k, allowed is not None))
        return found

    monkeypatch.setattr(hnsw.Graph, "search", spy)
    return calls


def filled(client: Client, vectors: Any, space: str = "l2", name: str = "docs") -> Collection:
    collection = client.create_collection(name, {"hnsw:space": space})
    numbers = range(len(vectors))
    collection.add(
        ids=[str(n) for n in numbers], embeddings=vectors, metadatas=[{"n": n, "tenth": n % 10 == 0} for n in numbers]
    )
    return collection


def nearest(vectors: Any, query: Any, k: int, space: str, among: Any = None) -> list[str]:
    positions = np.arange(len(vectors)) if among is None else np.asarray(among)
    order = np.argsort(distances(space, np.asarray(vectors)[positions], query), kind="stable")
    return [str(n) for n in positions[order][:k]]


def indexed(client: Client, collection: Collection) -> int:
    return client._store.stats(collection.id).indexed


# exact ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_exact_search_equals_brute_force(client: Client, vectors: npt.NDArray[np.float32], space: str) -> None:
    collection = filled(client, vectors, space)
    collection.delete(ids=["7", "70", "250"])
    rng = np.random.default_rng(6)
    for share in (1.0, 0.5, 0.02):
        among = [n for n in range(int(SIZE * share)) if n not in (7, 70, 250)]
        where = None if share == 1.0 else {"n": {"$lt": int(SIZE * share)}}
        for queries in (1, 3, 20):
            asked = rng.normal(size=(queries, DIMENSION)).astype(np.float32)
            hits = collection.query(asked, n_results=10, where=where)
            for number, query in enumerate(asked):
                part = hits[hits["query"] == number]
                assert part.index.tolist() == nearest(vectors, query, 10, space, among)
                true = distances(space, vectors[part.index.astype(int)], query)
                np.testing.assert_allclose(part["distance"], true, rtol=1e-9, atol=1e-12)


ENDS = (3.4028234663852886e38, -3.4028234663852886e38, 1e30, 1e19, 1e-19, 1e-30, 1e-38, 1.401298464324817e-45)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("number", ENDS)
def test_numbers_at_the_ends_of_float32(memory: Client, space: str, number: float) -> None:
    directions = np.random.default_rng(7).normal(size=(60, 4))
    scaled = (directions / np.abs(directions).max() * number).astype(np.float32)
    collection = filled(memory, scaled, space, fresh_name())
    for copies in (1, 3):
        for at in (0, 17):
            true = distances(space, scaled, scaled[at])
            hits = collection.query([scaled[at]] * copies, n_results=3)
            for query in range(copies):
                part = hits[hits["query"] == query]
                assert len(part) == 3
                found = true[part.index.astype(int)]
                np.testing.assert_allclose(part["distance"], found, rtol=1e-9, atol=1e-9 if space == "cosine" else 0)
                scale = np.abs(true).max() if space != "cosine" else 1.0
                np.testing.assert_allclose(part["distance"], np.sort(true)[:3], rtol=1e-5, atol=1e-5 * scale)
        assert len(collection.query([scaled[0]] * copies, n_results=1000)) == 60 * copies


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("length", [3e38, 1e25, 1e20, 1e18, 1e-18, 1e-25, 1e-38, 1e-45])
def test_one_odd_vector_among_many(memory: Client, space: str, length: float) -> None:
    vectors = np.array([[length, 0], [-length, 0], *([1, 0.5 + n] for n in range(30))], dtype=np.float32)
    collection = filled(memory, vectors, space, fresh_name())
    for query in ([1, 0], [-1, 0], [length, 0]):
        for size in (len(vectors), 20, 6):
            chosen = None if size == len(vectors) else [str(n) for n in range(size)]
            nearest_two = np.sort(distances(space, vectors[:size], query))[:2]
            for copies in (1, 2, 9):
                hits = collection.query([query] * copies, n_results=2, ids=chosen)
                np.testing.assert_allclose(hits["distance"], np.tile(nearest_two, copies), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_mixed_magnitudes_lose_no_item(client: Client, space: str) -> None:
    mixed = np.array(
        [[3e38, 3e38], [-3e38, 3e38], [1, 2], [0, 0], [1e-40, 0], [-0.0, 1e-45], [3e38, -3e38]], np.float32
    )
    collection = filled(client, mixed, space)
    for query in mixed:
        assert len(collection.query([query], n_results=7)) == 7
        assert len(collection.query([query, query], n_results=7)) == 14
        hits = collection.query([query], n_results=7)
        assert np.isfinite(hits["distance"]).all()
        expected = distances(space, mixed, query)[hits.index.astype(int)]
        np.testing.assert_allclose(hits["distance"], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_dead_vectors_with_huge_numbers(client: Client, space: str) -> None:
    huge = [3e38, 3e38]
    collection = filled(client, [huge, huge, [1, 2]], space)
    collection.delete(ids=["0", "1"])
    for copies in (1, 2):
        assert collection.query([huge] * copies).index.tolist() == ["2"] * copies
        assert collection.query([[0, 0]] * copies).index.tolist() == ["2"] * copies
    collection.delete()
    for copies in (1, 2):
        assert collection.query([huge] * copies).index.tolist() == []


def test_a_zero_vector_is_at_cosine_distance_1(client: Client) -> None:
    collection = filled(client, [[0, 0], [2, 0]], "cosine")
    assert collection.query([[1, 0]])["distance"].tolist() == [0.0, 1.0]
    assert collection.query([[0, 0]])["distance"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("exactly", [True, False])
def test_equal_distances_come_in_order_of_insertion(client: Client, exactly: bool) -> None:
    collection = filled(client, [[1.0, 0.0]] * 9)
    collection.update(ids="3", embeddings=[1.0, 0.0])  # gets a new slot, and stays where it is
    assert collection.query([1.0, 0.0], n_results=9, exact=exactly).index.tolist() == [str(n) for n in range(9)]


@pytest.mark.parametrize("n_results", [5, 10**6, 10**12, 10**30])
def test_more_results_than_items(client: Client, n_results: int) -> None:
    collection = filled(client, np.eye(5))
    for queries in (1, 2, 12):
        asked = np.eye(5)[[0] * queries]
        assert len(collection.query(asked, n_results=n_results)) == 5 * queries
        assert len(collection.query(asked, n_results=n_results, where={"n": {"$lt": 4}})) == 4 * queries


def test_query_of_an_empty_collection_and_of_one_without_hits(client: Client) -> None:
    collection = client.create_collection("docs")
    assert len(collection.query([[1.0, 2.0]])) == 0
    collection.add(ids="a", embeddings=[1.0, 2.0], metadatas={"k": 1})
    assert len(collection.query([[1.0, 2.0]], where={"k": 2})) == 0
    assert len(collection.query([[1.0, 2.0]], ids=[])) == 0
    collection.delete()
    assert len(collection.query([[1.0, 2.0]])) == 0
    assert len(collection.query([[1.0, 2.0], [3.0, 4.0]], exact=True)) == 0


@pytest.mark.parametrize("space", SPACES)
def test_blocks_of_many_queries_give_the_same(
    client: Client, vectors: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    monkeypatch.setattr(exact, "_BLOCK_SCORES", 100)
    monkeypatch.setattr(exact, "_GATHER_ROWS", 7)
    monkeypatch.setattr(exact, "_LENGTH_ROWS", 11)
    collection = filled(client, vectors, space)
    for where, among in ((None, None), ({"tenth": True}, range(0, SIZE, 10))):
        hits = collection.query(vectors[:9], n_results=5, where=where)
        for number in range(9):
            expected = nearest(vectors, vectors[number], 5, space, among)
            assert hits[hits["query"] == number].index.tolist() == expected


# graph ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_the_graph_finds_live_and_matching_items(
    client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any], space: str
) -> None:
    collection = filled(client, vectors, space)
    collection.create_index()
    assert indexed(client, collection) == SIZE
    for where, allowed in (
        (None, set(range(SIZE))),
        ({"tenth": True}, set(range(0, SIZE, 10))),
        ({"n": {"$gte": 150}}, set(range(150, SIZE))),
    ):
        for query in vectors[:10]:
            before = len(graphs)
            hits = collection.query(query, n_results=10, where=where)
            asked = graphs[before:]
            # With a filter first without it, and with it only where too few pass.
            assert asked[:1] == [(1, 10 if where is None else asked[0][1], False)]
            assert asked[1:] in ([], [(1, 10, True)])
            found = hits.index.astype(int)
            assert set(found) <= allowed
            assert len(set(found)) == 10
            assert (np.diff(hits["distance"]) >= 0).all()
            np.testing.assert_allclose(hits["distance"], distances(space, vectors[found], query), rtol=1e-9, atol=1e-12)
            best = nearest(vectors, query, 10, space, sorted(allowed))
            assert len(set(best) & set(hits.index)) >= 9  # ef 100 over 300 items: nearly exact


def test_the_graph_forgets_deleted_and_moved_items(
    backend: Backend, vectors: npt.NDArray[np.float32], graphs: list[Any]
) -> None:
    collection = filled(backend.client, vectors)
    collection.create_index()
    collection.delete(where={"n": {"$lt": 100}})
    collection.update(ids="200", embeddings=vectors[0])
    collection.add(ids="new", embeddings=vectors[0] + 0.001)
    for _ in range(2):
        before = len(graphs)
        hits = collection.query(vectors[0], n_results=5)
        assert len(graphs) == before + 1
        assert hits.index.tolist()[:2] == ["200", "new"]
        assert hits["distance"].iloc[0] == 0.0
        assert all(n == "new" or int(n) >= 100 for n in hits.index)
        collection = backend.reopen().get_collection("docs")
        collection.create_index()


def test_few_that_pass_and_vectors_of_them_that_moved(
    client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any]
) -> None:
    collection = filled(client, vectors)
    collection.create_index()
    collection.update(ids=["17", "31"], embeddings=vectors[:2])  # behind what the graph covers
    where = {"$and": [{"n": {"$gte": 8}}, {"n": {"$lt": 32}}]}
    passing = {str(n) for n in range(8, 32)}
    for exactly in (False, True):
        hits = [collection.query(vectors[n], n_results=3, where=where, exact=exactly).index for n in (0, 1, 8)]
        assert [found[0] for found in hits] == ["17", "31", "8"]
        assert all(set(found) < passing and len(set(found)) == 3 for found in hits)
    assert graphs


def test_fewer_items_in_the_graph_than_asked_for(
    client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any]
) -> None:
    collection = filled(client, vectors)
    collection.create_index()
    collection.delete(where={"n": {"$gte": 4}})
    assert sorted(collection.query(vectors[0], n_results=10).index) == ["0", "1", "2", "3"]
    assert len(collection.query(vectors[:3], n_results=10)) == 12
    assert collection.query(vectors[0], n_results=10, where={"n": 2}).index.tolist() == ["2"]


def test_exact_true_goes_round_the_graph(client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any]) -> None:
    collection = filled(client, vectors)
    collection.create_index()
    assert collection.query(vectors[3], exact=True).index.tolist() == nearest(vectors, vectors[3], 10, "l2")
    assert graphs == []


def test_items_behind_the_graph_are_found(client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any]) -> None:
    collection = filled(client, vectors)
    collection.create_index()
    collection.add(ids=["x", "y"], embeddings=vectors[[4, 5]], metadatas=[{"tenth": True}, {"tenth": False}])
    assert indexed(client, collection) < SIZE + 2
    assert collection.query(vectors[4], n_results=2).index.tolist() == ["4", "x"]
    assert collection.query(vectors[4], n_results=1, where={"tenth": True}).index.tolist() == ["x"]
    assert len(graphs) == 2


def test_a_small_search_ef_does_not_cost_results(
    client: Client, vectors: npt.NDArray[np.float32], graphs: list[Any]
) -> None:
    collection = client.create_collection("docs", {"hnsw:search_ef": 1, "hnsw:M": 2, "hnsw:construction_ef": 1})
    collection.add(ids=[str(n) for n in range(SIZE)], embeddings=vectors)
    collection.create_index()
    for k in (1, 10, 100, SIZE):
        assert len(collection.query(vectors[0], n_results=k)) == k


def test_the_graph_is_loaded_on_opening_again(
    disk: Backend, vectors: npt.NDArray[np.float32], graphs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(disk.client, vectors).create_index()
    collection = disk.reopen().get_collection("docs")

    def refuse(*arguments: object) -> None:
        raise AssertionError("built, not loaded")

    monkeypatch.setattr(hnsw.Graph, "extend", refuse)
    collection.create_index()
    assert indexed(disk.client, collection) == SIZE
    assert collection.query(vectors[9], n_results=1).index.tolist() == ["9"]
    assert len(graphs) == 1


# compaction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_compaction_drops_dead_vectors_and_nothing_else(
    backend: Backend, vectors: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, graphs: list[Any], kept: int
) -> None:
    monkeypatch.setattr(writing, "COMPACT_SLOTS", 10)
    collection = filled(backend.client, vectors)
    collection.create_index()
    collection.update(ids=["5"], embeddings=vectors[50])
    collection.delete(where={"n": {"$gte": kept}})
    expected = vectors[:kept].copy()
    if kept > 5:
        expected[5] = vectors[50]
    collection.add(ids=["after"], embeddings=vectors[200])
    expected = np.concatenate([expected, vectors[200:201]])
    ids = [*map(str, range(kept)), "after"]
    if backend.path is not None:
        (file,) = (backend.path / "vectors").iterdir()
        assert file.stat().st_size <= (kept + 1) * DIMENSION * 4
    for _ in range(2):
        assert collection.get().index.tolist() == ids
        np.testing.assert_array_equal(collection.embeddings(), expected)
        assert collection.query(vectors[200], n_results=1).index.tolist() == ["after"]
        assert len(collection.query(vectors[0], n_results=100)) == kept + 1
        collection = backend.reopen().get_collection("docs")
