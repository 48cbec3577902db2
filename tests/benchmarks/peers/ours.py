"""This project."""

from __future__ import annotations

import operator
import shutil
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.peers import asking
from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.measuring import Numbers, Ticker, Timed, disk, percentiles, timing

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_FEWEST = 20


def add(given: Given) -> Numbers:
    """One ``add`` of a frame with its vectors to a new directory, and the first query; the graph is not waited for."""
    import chroma_nb

    folder = given.work / "fresh"
    shutil.rmtree(folder, ignore_errors=True)
    frame, vectors, found = given.items.to_pandas().set_index("id"), given.vectors, Numbers()
    with chroma_nb.Client(folder) as client:
        docs = client.create_collection("docs", {"hnsw:space": "cosine"}, embedding_function=None)
        with timing(found, "add"):
            docs.add(frame, embeddings=vectors)
        with timing(found, "first query"):
            hits = docs.query(given.queries[0])
        assert len(hits) == asking.RESULTS
        assert docs.count() == len(frame)
    return found


def build(given: Given) -> Numbers:
    """The graph caught up in the background of a process that has opened the store and asked once.

    The last slots, which the background leaves to be scanned, are inserted in the end.
    """
    import chroma_nb

    folder = asking.fresh_copy(given, "store", "fresh")
    found, ticker = Numbers(), Ticker()
    ticker.start()
    with ExitStack() as stack:
        with timing(found, "build"):
            docs = stack.enter_context(chroma_nb.Client(folder))["docs"]
            assert docs.count() == len(given.vectors), "the process that added them was killed"
            docs.query(given.queries[0])  # wakes the builder
            while _building():
                time.sleep(0.05)
            docs.create_index()
        found["gap ms"] = ticker.stop()
    return found | disk(folder)


def busy(given: Given) -> Numbers:
    """Queries from the first to the last moment of building the graph: their times, whether they are exact, and how
    long others have to wait."""
    import chroma_nb

    found, ticker = Numbers(), Ticker()
    with chroma_nb.Client(asking.fresh_copy(given, "busy", "fresh")) as client:
        docs = client["docs"]
        queries = given.queries
        docs.query(queries[0])  # wakes the builder
        ticker.start()
        milliseconds: list[float] = []
        kept: list[dict[int, list[str]]] = []  # of each time round the queries
        while len(milliseconds) < _FEWEST or _building():
            at = len(milliseconds) % len(queries)
            start = time.perf_counter()
            hits = docs.query(queries[at])
            milliseconds.append((time.perf_counter() - start) * 1000)
            if at == 0:
                kept.append({})
            kept[-1][at] = list(hits.index)
            time.sleep(0.02)  # as a person would rather wait
        found["busy gap ms"] = ticker.stop()
    shares, weights = [given.recall("query", answers) for answers in kept], [len(answers) for answers in kept]
    found["busy recall"] = sum(map(operator.mul, shares, weights)) / sum(weights)
    return found | percentiles("busy", milliseconds) | {"busy longest ms": max(milliseconds)}


def _building() -> bool:
    """Whether the background is at work."""
    return any(thread.name == "chroma_nb indexer" for thread in threading.enumerate())


class Frames:
    """Reading and writing as in a notebook."""

    at_once = 1_000

    def __init__(self, docs: Any) -> None:
        self._docs = docs
        self.count = docs.count
        self.peek = docs.peek
        self.embeddings = docs.embeddings
        self.delete = docs.delete

    def query(self, vector: Any, condition: Any = None) -> Any:
        return self._docs.query(vector, **(condition or {}))

    query_frame = query
    many = query

    def ids(self, answer: Any) -> list[str]:
        return list(answer.index)

    def ids_of_many(self, answer: Any) -> list[list[str]]:
        return [list(hits.index) for _, hits in answer.groupby("query", sort=True)]

    def native(self, condition: Any) -> Any:
        return condition.chroma

    def get_ids(self, ids: list[str]) -> Any:
        return self._docs.get(ids)

    def get_where(self, condition: Any) -> Any:
        return self._docs.get(**condition)

    def update(self, rows: Any) -> None:
        self._docs.update(rows)

    def upsert(self, rows: Any) -> None:
        frame, vectors = rows
        self._docs.upsert(frame, embeddings=vectors)

    def native_rows(self, rows: pa.Table, vectors: np.ndarray[Any, Any] | None = None) -> Any:
        frame = rows.to_pandas().set_index("id")
        return frame.drop(columns="document") if vectors is None else (frame, vectors)


def reads(given: Given) -> Numbers:
    """Everything that reads, as frames; then one query as Chroma's dicts."""
    import duckdb  # noqa: F401 - so that the memory of the libraries is known
    import hnswlib  # noqa: F401
    import pandas as pd  # noqa: F401

    import chroma_nb
    import chroma_nb.compat as chromadb

    before = asking.baseline(given)
    with chroma_nb.Client(given.work / "store") as client:
        docs = client["docs"]
        docs.create_index()  # loaded already or not, single queries shall meet the graph
        found = asking.measure_reads(Frames(docs), given, before)
    dicts = chromadb.PersistentClient(str(given.work / "store"))
    asked = dicts.get_collection("docs", embedding_function=None)
    asked.create_index()
    timed = Timed(
        lambda at: asked.query(given.queries[at], n_results=asking.RESULTS),
        len(given.queries),
        keep=lambda answer: answer["ids"][0],
    )
    dicts.close()
    del found["query ms"], found["query p99 ms"]  # these were frames, timed once more as such
    found["frame recall"] = found.pop("query recall")
    return found | timed.numbers("query") | {"query recall": given.recall("query", timed.kept)}


def changes(given: Given) -> Numbers:
    """On a copy, graph in place."""
    import chroma_nb

    folder = asking.fresh_copy(given, "changed")
    docs = chroma_nb.Client(folder)["docs"]
    docs.query(given.queries[0])
    return asking.measure_changes(Frames(docs), given)


def verify(given: Given) -> Numbers:
    """What the killed process has left."""
    import chroma_nb

    with chroma_nb.Client(given.work / "changed") as client:
        return asking.check_changes(Frames(client["docs"]), given)


def opening(given: Given) -> Numbers:
    """To the first frames."""
    return asking.measure_opening(given, _load, partial(_opened, given.work / "store"))


def _load() -> None:
    import chroma_nb  # noqa: F401


def _opened(folder: Path, stack: ExitStack) -> asking.Ask:
    import chroma_nb

    docs = stack.enter_context(chroma_nb.Client(folder))["docs"]
    return lambda vector: len(docs.query(vector))


STEPS: asking.Steps = {step.__name__: step for step in (add, build, busy, reads, changes, verify, opening)}

if __name__ == "__main__":
    asking.main(STEPS)
