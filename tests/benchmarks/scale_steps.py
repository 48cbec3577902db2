"""What is measured of a collection of n items. Each step runs in a process of its own and returns numbers by name.

Names end with their unit: s, ms, MB, bytes (a row), rows/s, or none for shares.
"""

from __future__ import annotations

import gc
import importlib
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.benchmarks import scale_data
from tests.benchmarks.fresh import Numbers
from tests.benchmarks.peers.measuring import Timed, disk, memory, timing

if TYPE_CHECKING:
    import chroma_nb

NAME = "docs"
SETTINGS = {"hnsw:space": "cosine"}
BATCH = 50_000
ADDED = 1_000
CHANGED = 100
_TRUTHS = 200
_ROUNDS = 4
_EQUAL = 1e-6


def make(path: Path, items: int) -> Numbers:
    """The collection, its graph complete; made in a folder beside and renamed, so that what is there is whole."""
    import chroma_nb

    half_made = path.with_name(f"{path.name}.half")
    shutil.rmtree(half_made, ignore_errors=True)
    with chroma_nb.Client(half_made) as client:
        docs = client.create_collection(NAME, SETTINGS)
        for part in scale_data.batches(items, BATCH):
            docs.add(part.frame(), embeddings=part.vectors)
        docs.create_index()
    half_made.rename(path)
    return {}


def adding(path: Path, items: int) -> Numbers:
    """All items added to a new directory, 50,000 in a call, then the first query; the making of them not counted."""
    import chroma_nb

    fresh = path.with_name(f"{path.name}.adding")
    shutil.rmtree(fresh, ignore_errors=True)
    query = scale_data.queries(1)
    seconds = []
    try:
        with chroma_nb.Client(fresh) as client:
            docs = client.create_collection(NAME, SETTINGS)
            for part in scale_data.batches(items, BATCH):
                frame = part.frame()
                start = time.perf_counter()
                docs.add(frame, embeddings=part.vectors)
                seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
            assert len(docs.query(query)) == 10
            queried = time.perf_counter() - start
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return {
        "add all s": sum(seconds),
        "add all rows/s": items / sum(seconds),
        "first query after adding ms": queried * 1e3,
    }


def opening(path: Path, items: int) -> Numbers:
    """A new process: import, then open to the first answer; memory then, and with the graph at work."""
    query = np.load(_query_file(path))
    start = time.perf_counter()
    # Frames need pandas, which the first one imports: the price of an import, not of opening.
    importlib.import_module("pandas")
    import chroma_nb

    before, imported = memory(), time.perf_counter()  # in this order: asking the system takes a while
    with chroma_nb.Client(path) as client:
        hits = client[NAME].query(query)
        answered, first = time.perf_counter(), memory()
        assert len(hits) == 10
        client[NAME].create_index()
        graph = memory()
    numbers = {"import s": imported - start, "open to first answer ms": (answered - imported) * 1e3}
    for when, then in {"first answer": first, "index at work": graph}.items():
        more = {kind: then[kind] - before[kind] for kind in then}
        if more:
            numbers[f"memory, {when}, anonymous MB"] = more["anonymous MB"]
            numbers[f"memory, {when}, mapped MB"] = more["resident MB"] - more["anonymous MB"]
    return numbers | disk(path)


def holding(path: Path, items: int) -> Numbers:
    """Memory that the columns take once each kind of reading and writing was done; no query, so no graph."""
    importlib.import_module("pandas")
    import chroma_nb

    before = memory()
    with chroma_nb.Client(path) as client:
        docs = client[NAME]
        some = docs.peek(CHANGED)
        docs.get(some.index.tolist())
        docs.get(where=scale_data.FILTERS["1 %"], where_document={"$contains": "glacier"})
        docs.update(some[["score"]], merge=True)
        gc.collect()
        after = memory()
    if not before:
        return {}
    kept = after["anonymous MB"] - before["anonymous MB"]
    return {"columns, anonymous MB": kept, "columns, anonymous a row bytes": kept * 1e6 / items}


def _query_file(path: Path) -> Path:
    """One query, so that a process need not make a corpus for it."""
    file = path.with_name("query.npy")
    if not file.exists():
        np.save(file, scale_data.queries(1))
    return file


def reads(path: Path, items: int) -> Numbers:
    """Queries and reads with the graph in place."""
    import chroma_nb

    queries = scale_data.queries(1_000)
    found: Numbers = {}
    with chroma_nb.Client(path) as client:
        docs = client[NAME]
        docs.create_index()

        def measure(name: str, call: Callable[[int], object], repeats: int = 50) -> None:
            found.update(Timed(call, repeats).numbers(name))

        measure("query, frame", lambda i: docs.query(queries[i]), 200)
        found["recall"] = _recall(docs, queries[:_TRUTHS])
        for name, where in scale_data.FILTERS.items():
            measure(f"filter {name}", lambda i, where=where: docs.query(queries[i], where=where))  # type: ignore[misc]
            found[f"filter {name} recall"] = _filtered_recall(docs, queries[:30], where)
        start = time.perf_counter()
        hits = docs.query(queries)
        found["1,000 queries s"] = time.perf_counter() - start
        assert len(hits) == 10_000
        ids = docs.get(where=scale_data.FILTERS["10 %"], include=[]).index[:ADDED].tolist()
        measure("get 1,000 ids", lambda _: docs.get(ids), 20)
        measure("get where 1 %", lambda _: docs.get(where=scale_data.FILTERS["1 %"]), 10)
        measure("peek", lambda _: docs.peek())
        measure("count", lambda _: docs.count())
    return found | _dicts(path, queries)


def _dicts(path: Path, queries: npt.NDArray[np.float32]) -> Numbers:
    """Queries as Chroma's lists and dicts."""
    import chroma_nb.compat

    with chroma_nb.compat.PersistentClient(path=str(path)) as client:
        docs = client.get_collection(NAME)
        docs.query(query_embeddings=queries[:1])
        client._store.build_index(docs.id)
        return Timed(lambda i: docs.query(query_embeddings=[queries[i]]), 200).numbers("query, dict")


def writes(path: Path, items: int) -> Numbers:
    """1,000 items added, 100 updated and 100 deleted, the first time in a process and after; then all is as it was."""
    import chroma_nb

    new = [scale_data.batch(items + at, items + at + ADDED) for at in range(0, _ROUNDS * ADDED, ADDED)]
    times: dict[str, list[float]] = {}
    with chroma_nb.Client(path) as client:
        docs = client[NAME]
        kept = docs.peek(_ROUNDS * CHANGED)[["score"]]

        def timed(name: str, call: Callable[[], object]) -> None:
            start = time.perf_counter()
            call()
            times.setdefault(name, []).append((time.perf_counter() - start) * 1e3)

        for number, part in enumerate(new):
            frame, ids, twin = part.frame(), part.table["id"].to_pylist(), part.vectors[CHANGED]
            some = kept.iloc[number * CHANGED : (number + 1) * CHANGED]
            timed("add 1,000", partial(docs.add, frame, embeddings=part.vectors))
            timed("update 100", partial(docs.update, some, merge=True))
            timed("update 100 vectors", partial(docs.update, ids[:CHANGED], part.vectors[CHANGED : 2 * CHANGED]))
            assert docs.query(twin, n_results=2)["distance"].max() < _EQUAL, "new vectors are found"
            timed("delete 100", partial(docs.delete, ids[:CHANGED]))
            assert docs.query(twin, n_results=2)["distance"].max() > _EQUAL, "deleted ones are not"
            timed("delete 900", partial(docs.delete, ids[CHANGED:]))
        assert docs.count() == items
    first = {f"first {name} ms": found[0] for name, found in times.items()}
    return first | {f"{name} ms": float(np.median(found[1:])) for name, found in times.items()}


def graphs(path: Path, items: int) -> Numbers:
    """Items added in memory and their graph built, after hnswlib alone has built one; CPU seconds.

    The background builds while items are added, so what adding takes, a few hundredths of the whole, is in it.
    """
    import hnswlib

    import chroma_nb

    parts = list(scale_data.batches(items, BATCH))
    index = hnswlib.Index("cosine", scale_data.DIMENSION)
    found = Numbers()
    with timing(found, "graph by hnswlib alone"):
        index.init_index(items, M=16, ef_construction=100)
        for part in parts:
            index.add_items(part.vectors)
    frames = [part.frame() for part in parts]
    with chroma_nb.Client() as client:
        docs = client.create_collection(NAME, SETTINGS)
        with timing(found, "graph"):
            for part, frame in zip(parts, frames, strict=True):
                docs.add(frame, embeddings=part.vectors)
            docs.create_index()
    return {name: value for name, value in found.items() if name.endswith("CPU s")}


def _filtered_recall(docs: chroma_nb.Collection, queries: npt.NDArray[np.float32], where: dict[str, Any]) -> float:
    """Recall@10 of single filtered queries against comparison with every item that passes."""
    shares = []
    for query in queries:
        true = set(docs.query(query, where=where, exact=True).index)
        shares.append(len(true & set(docs.query(query, where=where).index)) / len(true))
    return float(np.mean(shares))


def _recall(docs: chroma_nb.Collection, queries: npt.NDArray[np.float32]) -> float:
    """Recall@10 against comparison with every item."""
    true = docs.query(queries, exact=True, include=["distances"])
    got = docs.query(queries, include=["distances"])
    shares = [
        len(set(true.index[true["query"] == i]) & set(got.index[got["query"] == i])) / 10 for i in range(len(queries))
    ]
    return float(np.mean(shares))


STEPS: dict[str, Callable[[Path, int], Numbers]] = {
    "make": make,
    "adding": adding,
    "opening": opening,
    "holding": holding,
    "reads": reads,
    "writes": writes,
    "graphs": graphs,
}
