"""Searching a graph file that nobody has read: what is found, what damage does, and when the file is read after all."""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store import hnsw, indexer, search, walking
from chroma_nb.store.exact import Lengths
from chroma_nb.store.graph_files import GraphFile
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.search import Space
from chroma_nb.store.walking import Walker
from chroma_nb.types import IndexSettings, Metric

from .reference import distances

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from chroma_nb import Collection

    from .backend import Backend

IDENTITY = {"collection": "of the test"}
SIZE, DIMENSION, K = 4000, 24, 10


def clustered(count: int, dimension: int = DIMENSION, seed: int = 3) -> npt.NDArray[np.float32]:
    """Vectors of various lengths around 40 centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(2).normal(size=(40, dimension))
    found = centres[rng.integers(0, 40, count)] + rng.normal(scale=0.4, size=(count, dimension))
    return (found * rng.uniform(0.5, 2, size=(count, 1))).astype(np.float32)


def built(
    vectors: npt.NDArray[np.float32], settings: IndexSettings, dead: npt.NDArray[np.bool_] | None = None
) -> Graph:
    graph = Graph(vectors.shape[1], settings, len(vectors))
    graph.extend(vectors, np.arange(len(vectors)), len(vectors), 2)
    if dead is not None:
        graph.forget(~dead)
    return graph


def walker(path: Path, settings: IndexSettings, vectors: npt.NDArray[np.float32]) -> Walker:
    file = GraphFile(path)
    file.check(IDENTITY, len(vectors))
    return Walker(file, settings, vectors)


def truth(space: Metric, vectors: Any, queries: Any, allowed: npt.NDArray[np.bool_]) -> list[set[int]]:
    slots = np.flatnonzero(allowed)
    return [set(slots[np.argsort(distances(space.value, vectors[slots], query))[:K]].tolist()) for query in queries]


def recall(found: Any, expected: list[set[int]]) -> float:
    assert found is not None
    return float(np.mean([len(set(row.tolist()) & best) / K for row, best in zip(found, expected, strict=True)]))


# what is found --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [4, 16, 64])
@pytest.mark.parametrize("space", list(Metric))
def test_a_walk_finds_what_hnswlib_finds(tmp_path: Path, space: Metric, m: int) -> None:
    settings = IndexSettings(space=space, m=m, construction_ef=60, search_ef=40)
    vectors, queries = clustered(SIZE), clustered(200, seed=4)
    dead = np.random.default_rng(5).random(SIZE) < 0.2
    graph = built(vectors, settings, dead)
    graph.save(tmp_path / "x.graph", IDENTITY)
    walking_through = walker(tmp_path / "x.graph", settings, vectors)
    assert len(walking_through) == walking_through.upto == SIZE
    expected = truth(space, vectors, queries, ~dead)
    found = walking_through.search(queries, K, None, 1)
    assert recall(found, expected) >= recall(graph.search(queries, K, None, 1), expected) - 0.005
    assert found is not None
    assert not dead[found].any()
    assert all(len(set(row)) == K for row in found.tolist())


def test_a_walk_among_many_small_clusters(tmp_path: Path) -> None:
    # Of ten each: hnswlib, which goes on with the nearest node of each upper level alone, misses whole ones.
    settings = IndexSettings(m=5, search_ef=K)
    rng = np.random.default_rng(7)
    vectors = (np.repeat(rng.normal(size=(2_000, 32)), 10, axis=0) + rng.normal(0, 0.05, (20_000, 32))).astype("f4")
    graph = Graph(32, settings, len(vectors))
    graph.extend(vectors, np.arange(len(vectors)), len(vectors), 1)
    graph.save(tmp_path / "x.graph", IDENTITY)
    queries = vectors[::100] + np.float32(0.01)
    expected = truth(Metric.L2, vectors, queries, np.ones(len(vectors), dtype=np.bool_))
    found = walker(tmp_path / "x.graph", settings, vectors).search(queries, K, None, 1)
    assert recall(found, expected) > recall(graph.search(queries, K, None, 1), expected) + 0.1


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_a_walk_with_a_filter(tmp_path: Path, share: float) -> None:
    settings = IndexSettings(search_ef=60)
    vectors, queries = clustered(SIZE), clustered(50, seed=4)
    allowed = np.random.default_rng(6).random(SIZE) < share
    graph = built(vectors, settings)
    graph.save(tmp_path / "x.graph", IDENTITY)
    found = walker(tmp_path / "x.graph", settings, vectors).search(queries, K, allowed, 1)
    expected = truth(Metric.L2, vectors, queries, allowed)
    assert recall(found, expected) >= recall(graph.search(queries, K, allowed, 1), expected) - 0.005
    assert found is not None
    assert allowed[found].all()


def test_a_walk_forgets_what_is_deleted_later(tmp_path: Path) -> None:
    settings = IndexSettings()
    vectors = clustered(500)
    built(vectors, settings).save(tmp_path / "x.graph", IDENTITY)
    through = walker(tmp_path / "x.graph", settings, vectors)
    before = through.search(vectors[:1], 3, None, 1)
    assert before is not None
    live = np.ones(500, dtype=np.bool_)
    live[before[0]] = False
    through.forget(live)
    assert (through.deletions, through.lacks(live), through.lacks(np.ones(500, dtype=np.bool_))) == (1, False, True)
    after = through.search(vectors[:1], 3, None, 1)
    assert after is not None
    assert not set(after[0].tolist()) & set(before[0].tolist())
    assert through.search(vectors[:1], 498, None, 1) is None, "only 497 are left"


def test_a_walk_ends_where_all_are_equally_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = IndexSettings(space=Metric.COSINE)
    vectors = clustered(SIZE)
    built(vectors, settings).save(tmp_path / "x.graph", IDENTITY)
    through, seen = walker(tmp_path / "x.graph", settings, vectors), []
    scores = Walker._scores

    def counted(self: Walker, nodes: Any, query: Any) -> Any:
        seen.append(len(nodes))
        return scores(self, nodes, query)

    monkeypatch.setattr(Walker, "_scores", counted)
    found = through.search(np.zeros((1, DIMENSION), dtype=np.float32), K, None, 1)
    assert found is not None
    assert len(set(found[0].tolist())) == K
    assert sum(seen) < SIZE / 2


def test_numbers_that_float32_cannot_multiply_are_left_to_exact_search(tmp_path: Path) -> None:
    vectors = clustered(300)
    vectors[7] = 3e38
    built(vectors, IndexSettings()).save(tmp_path / "x.graph", IDENTITY)
    assert walker(tmp_path / "x.graph", IndexSettings(), vectors).search(vectors[7:8], 300, None, 1) is None


def test_each_graph_is_told_what_is_gone() -> None:
    """One that was read takes the place of one that was mapped: what was agreed with that one says nothing of it."""
    vectors = clustered(100)
    place = np.arange(100)
    place[0] = -1
    space = Space(Metric.L2, vectors, place, dead=True, lengths=Lengths(Metric.L2))
    first, second = (built(vectors, IndexSettings()) for _ in range(2))
    second.forget(np.arange(100) != 5)
    assert space.agree(first) == 1
    assert not len(first.gone(space.live))
    assert space.agree(second) is None, "a newer state deleted slot 5 there"


# files ----------------------------------------------------------------------------------------


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    vectors = clustered(600)
    dead = np.arange(600) % 7 == 0
    graph = built(vectors, IndexSettings(), dead)
    graph.save(tmp_path / "2.graph", IDENTITY)
    new = GraphFile(tmp_path / "2.graph")
    arrays = {name: array for name, array in new.arrays.items() if name != "present"}
    header = new.header | {"arrays": [entry for entry in new.header["arrays"] if entry[0] != "present"]}
    head = json.dumps(header).encode()
    body = len(head).to_bytes(8, "little") + head + b"".join(array.tobytes() for array in arrays.values())
    (tmp_path / "1.graph").write_bytes(b"chroma_nb graph 1\n" + body + zlib.crc32(body).to_bytes(4, "little"))
    old = GraphFile(tmp_path / "1.graph")
    assert (old.walkable, new.walkable) == (False, True)
    for file in (old, new):
        file.verify()
        read = Graph.load(file, IndexSettings(), vectors)
        assert np.array_equal(read.gone(np.zeros(600, dtype=np.bool_)), np.flatnonzero(~dead))
        found, expected = read.search(vectors[:20], 5, None, 1), graph.search(vectors[:20], 5, None, 1)
        assert found is not None
        assert expected is not None
        assert np.array_equal(found, expected)


def test_flipped_bytes_give_no_wrong_slots(tmp_path: Path) -> None:
    vectors = clustered(400)
    path = tmp_path / "x.graph"
    built(vectors, IndexSettings(m=6)).save(path, IDENTITY)
    sound = path.read_bytes()
    outcomes = {"refused": 0, "none": 0, "found": 0}
    for at in np.random.default_rng(8).integers(0, len(sound), 300):
        content = bytearray(sound)
        content[at : at + 400] = bytes(byte ^ 0xFF for byte in content[at : at + 400])
        path.write_bytes(content)
        try:
            through = walker(path, IndexSettings(m=6), vectors)
        except CorruptStoreError:
            outcomes["refused"] += 1
            continue
        with pytest.raises(CorruptStoreError):
            through.file.verify()
        found = through.search(vectors[:8], 5, None, 1)
        outcomes["none" if found is None else "found"] += 1
        if found is not None:
            assert ((found >= 0) & (found < 400)).all()
            assert all(len(set(row)) == 5 for row in found.tolist())
    assert min(outcomes.values()) > 10, outcomes


@pytest.mark.parametrize("array", ["links", "labels", "element_levels", "link_lists", "present"])
@pytest.mark.parametrize("byte", [0x00, 0x01, 0xFF])
def test_a_part_overwritten(tmp_path: Path, array: str, byte: int) -> None:
    vectors = clustered(400)
    path = tmp_path / "x.graph"
    built(vectors, IndexSettings(m=6)).save(path, IDENTITY)
    file = GraphFile(path)
    content = bytearray(path.read_bytes())
    start = content.index(file.arrays[array].tobytes())
    content[start : start + file.arrays[array].nbytes] = bytes([byte]) * file.arrays[array].nbytes
    path.write_bytes(content)
    if array == "element_levels":
        with pytest.raises(CorruptStoreError, match="do not agree"):
            walker(path, IndexSettings(m=6), vectors)
        return
    through = walker(path, IndexSettings(m=6), vectors)
    found = through.search(vectors[:8], 10, None, 1)  # more than the levels above lead to
    if array == "present":
        assert through.lacks(np.ones(400, dtype=np.bool_)) == (byte == 0)
    elif array == "link_lists" and byte == 0:
        assert found is not None, "no links above level 0: another way to begin, no more"
    else:
        assert found is None
        assert through.torn == (byte != 0 or array == "labels")


def test_a_link_to_a_place_that_is_not_on_its_level(tmp_path: Path) -> None:
    settings, vectors, path = IndexSettings(m=6), clustered(400), tmp_path / "x.graph"
    built(vectors, settings).save(path, IDENTITY)
    file = GraphFile(path)
    levels = file.arrays["element_levels"]
    low = int(np.flatnonzero(levels == 0)[0])
    content = bytearray(path.read_bytes())
    start = content.index(file.arrays["link_lists"].tobytes())
    links = np.frombuffer(content, "<u4", file.arrays["link_lists"].nbytes // 4, start).reshape(-1, 7)
    links[np.concatenate([[0], np.cumsum(levels[levels > 0])[:-1]]), 1:] = low  # those of level 1
    path.write_bytes(content)
    through = walker(path, settings, vectors)
    assert through.search(vectors[low : low + 1], 10, None, 1) is None
    assert through.torn


def test_a_file_that_is_cut_or_foreign(tmp_path: Path) -> None:
    vectors = clustered(400)
    path = tmp_path / "x.graph"
    built(vectors, IndexSettings()).save(path, IDENTITY)
    with pytest.raises(CorruptStoreError, match="another collection"):
        GraphFile(path).check({"collection": "another"}, 400)
    with pytest.raises(CorruptStoreError, match="another collection"):
        GraphFile(path).check(IDENTITY, 399)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"max_level": ', b'"max_level":9'))
    with pytest.raises(CorruptStoreError, match="its header is damaged"):
        GraphFile(path)
    for length in (0, 10, 18, 26, 40, 1000, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptStoreError):
            GraphFile(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CorruptStoreError, match="do not agree"):
        GraphFile(path)


# in the store ---------------------------------------------------------------------------------


@pytest.fixture
def indexed(disk: Backend, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A collection of 1,000 with a saved graph, just opened."""
    monkeypatch.setattr(search, "EXACT_ELEMENTS", DIMENSION)
    monkeypatch.setattr(search, "EXACT_SURVIVORS", 0)
    monkeypatch.setattr(search, "_MANY_SURVIVORS", 0)
    collection = disk.client.create_collection("docs")
    numbers = range(1000)
    collection.add(
        ids=[str(n) for n in numbers],
        embeddings=clustered(1000),
        metadatas=[{"n": n, "even": n % 2 == 0} for n in numbers],
    )
    collection.create_index()
    disk.reopen()
    return disk


def graph_of(collection: Collection) -> Any:
    """What the store searches in, whatever is around the store."""
    store: Any = collection._store
    while not hasattr(store, "_shelves"):
        store = store._backing
    return store._shelves.shelf(collection.id).graph


def test_first_answers_come_from_the_mapped_file(indexed: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("read, not mapped")

    monkeypatch.setattr(Graph, "load", refuse)
    collection, vectors = indexed.client.get_collection("docs"), clustered(1000)
    for n in range(5):
        assert collection.query(vectors[n], n_results=3).index[0] == str(n)
    hits = collection.query(vectors[9], n_results=20, where={"even": True})
    assert hits["even"].all()
    assert len(hits) == 20
    assert graph_of(collection).walks == 5 + 1, "half of what is near passes the filter: one walk is enough"
    collection.delete(ids=["0"])
    collection.add(ids=["new"], embeddings=vectors[1:2])
    assert collection.query(vectors[1], n_results=2).index.tolist() == ["1", "new"]
    assert "0" not in collection.query(vectors[0], n_results=500).index
    assert isinstance(graph_of(collection), Walker)


def test_who_asks_often_gets_the_graph_read(indexed: Backend) -> None:
    collection, vectors = indexed.client.get_collection("docs"), clustered(1000)
    for n in range(indexer._WALKS):
        assert isinstance(graph_of(collection), Walker | None)
        collection.query(vectors[n])
    end = time.monotonic() + 20
    while isinstance(graph_of(collection), Walker) and time.monotonic() < end:
        time.sleep(0.01)
    assert isinstance(graph_of(collection), Graph)
    assert collection.query(vectors[3]).index[0] == "3"


def test_many_queries_at_once_wait_for_the_graph(indexed: Backend) -> None:
    collection, vectors = indexed.client.get_collection("docs"), clustered(1000)
    hits = collection.query(vectors[:100], n_results=1)
    assert isinstance(graph_of(collection), Graph)
    assert hits.index.tolist() == [str(n) for n in range(100)]


def test_damage_is_found_out_and_cured(indexed: Backend, caplog: pytest.LogCaptureFixture) -> None:
    assert indexed.path is not None
    (path,) = (indexed.path / "graphs").glob("*.graph")
    links = GraphFile(path).arrays["links"].tobytes()
    path.write_bytes(path.read_bytes().replace(links, b"\xff" * len(links)))
    collection, vectors = indexed.client.get_collection("docs"), clustered(1000)
    assert collection.query(vectors[4]).index[0] == "4"
    assert "is damaged (a link leads nowhere)" in caplog.text
    collection.create_index()
    assert "its checksum is wrong" in caplog.text
    graph = graph_of(collection)
    assert isinstance(graph, Graph)
    assert len(graph) == 1000
    assert collection.query(vectors[:50], n_results=1).index.tolist() == [str(n) for n in range(50)]


def test_a_graph_that_lost_a_live_item_is_not_asked(indexed: Backend) -> None:
    """As after restoring an older database beside a newer graph."""
    assert indexed.path is not None
    (path,) = (indexed.path / "graphs").glob("*.graph")
    present = GraphFile(path).arrays["present"].tobytes()
    path.write_bytes(path.read_bytes().replace(present, b"\1" * 6 + b"\0" + b"\1" * 993))
    collection = indexed.client.get_collection("docs")
    assert collection.query(clustered(1000)[6]).index[0] == "6"
    assert graph_of(collection).walks == 0


@pytest.mark.parametrize(("k", "expected"), [(10, [(2, False)]), (100, [(2, False), (1, True)])])
@pytest.mark.parametrize("read", [False, True])
def test_a_filter_that_keeps_what_is_far_away(
    disk: Backend, monkeypatch: pytest.MonkeyPatch, k: int, expected: list[tuple[int, bool]], *, read: bool
) -> None:
    """The graph would look where the query is, and find too little of what the filter keeps elsewhere."""
    monkeypatch.setattr(search, "EXACT_ELEMENTS", DIMENSION)
    monkeypatch.setattr(search, "EXACT_SURVIVORS", 0)
    rng = np.random.default_rng(9)
    here, there = rng.normal(size=(1500, DIMENSION)), rng.normal(size=(500, DIMENSION)) + 8
    vectors = np.vstack([here, there]).astype(np.float32)
    collection = disk.client.create_collection("docs")
    collection.add(
        ids=[str(n) for n in range(2000)], embeddings=vectors, metadatas=[{"there": n >= 1500} for n in range(2000)]
    )
    collection.create_index()
    collection = disk.reopen().get_collection("docs")
    if read:
        collection.create_index()
    asked: list[tuple[int, bool]] = []
    for kind in (hnsw.Graph, walking.Walker):
        original = kind.search

        def spy(
            self: Any, queries: Any, k: int, allowed: Any, *rest: Any, _original: Any = original, **named: Any
        ) -> Any:
            asked.append((len(queries), allowed is not None))
            return _original(self, queries, k, allowed, *rest, **named)

        monkeypatch.setattr(kind, "search", spy)
    found = collection.query(vectors[[0, 1600]], n_results=k, where={"there": True})
    assert asked == expected, "the query that is far from all that is allowed goes round the graph"
    for number, at in enumerate((0, 1600)):
        best = 1500 + np.argsort(distances("l2", vectors[1500:], vectors[at]))[:k]
        assert found[found["query"] == number].index.tolist() == [str(n) for n in best]
