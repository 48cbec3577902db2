"""Chroma 1.x, embedded: batches of the largest size that it takes, everything else by default but the graph's M."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.peers import asking
from tests.benchmarks.peers.given import METADATA, Given
from tests.benchmarks.peers.measuring import Numbers, disk, timing

if TYPE_CHECKING:
    import pyarrow as pa

_GRAPH = {"hnsw": {"space": "cosine", "max_neighbors": 16, "ef_construction": 100, "ef_search": 100}}


def _opened(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))


def _docs(client: Any) -> Any:
    return client.get_collection("docs", embedding_function=None)


def add(given: Given) -> Numbers:
    """Lists and dicts are made before; what is timed ends with everything searchable."""
    folder = given.work / "store"
    shutil.rmtree(folder, ignore_errors=True)
    client = _opened(folder)
    docs = client.create_collection("docs", embedding_function=None, configuration=_GRAPH)
    asked = _Collection(client, docs)
    rows, found = asked.native_rows(given.items, given.vectors), Numbers()
    with timing(found, "add"):
        asked.in_batches(docs.add, rows)
    with timing(found, "first query"):
        asked.query(given.queries[0])
    return found | disk(folder)


class _Collection:
    at_once = 1_000

    def __init__(self, client: Any, docs: Any) -> None:
        self._docs = docs
        self._batch = client.get_max_batch_size()
        self.count = docs.count
        self.peek = docs.peek

    def in_batches(self, call: Any, columns: dict[str, Any]) -> None:
        for first in range(0, len(columns["ids"]), self._batch):
            call(**{name: values[first : first + self._batch] for name, values in columns.items()})

    def query(self, vector: Any, condition: Any = None) -> Any:
        return self._docs.query(query_embeddings=[vector], n_results=asking.RESULTS, **(condition or {}))

    def query_frame(self, vector: Any) -> Any:
        found = self.query(vector)
        columns = ("ids", "documents", "metadatas")
        return _frame(*(found[name][0] for name in columns)).assign(distance=found["distances"][0])

    def ids(self, answer: Any) -> list[str]:
        ids: list[str] = answer["ids"][0]
        return ids

    def many(self, vectors: Any) -> Any:
        return self._docs.query(query_embeddings=vectors, n_results=asking.RESULTS)

    def ids_of_many(self, answer: Any) -> list[list[str]]:
        ids: list[list[str]] = answer["ids"]
        return ids

    def native(self, condition: Any) -> Any:
        return condition.chroma

    def get_ids(self, ids: list[str]) -> Any:
        return self._got(ids=ids)

    def get_where(self, condition: Any) -> Any:
        return self._got(**condition)

    def _got(self, **conditions: Any) -> Any:
        found = self._docs.get(**conditions)
        return _frame(found["ids"], found["documents"], found["metadatas"])

    def embeddings(self) -> Any:
        import numpy as np

        return np.asarray(self._docs.get(include=["embeddings"])["embeddings"], dtype=np.float32)

    def delete(self, ids: list[str]) -> None:
        self.in_batches(self._docs.delete, {"ids": ids})

    def update(self, rows: Any) -> None:
        self.in_batches(self._docs.update, rows)

    def upsert(self, rows: Any) -> None:
        self.in_batches(self._docs.upsert, rows)

    def native_rows(self, rows: pa.Table, vectors: Any = None) -> dict[str, Any]:
        columns = {"ids": rows["id"].to_pylist(), "metadatas": rows.select(METADATA).to_pylist()}
        if vectors is None:
            return columns
        return columns | {"documents": rows["document"].to_pylist(), "embeddings": vectors}


def _frame(ids: Any, documents: Any, metadatas: Any) -> Any:
    import pandas as pd

    frame = pd.DataFrame(metadatas, index=pd.Index(ids, name="id"))
    frame.insert(0, "document", documents)
    return frame


def reads(given: Given) -> Numbers:
    """Everything that reads."""
    import chromadb  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow as pa  # noqa: F401

    before = asking.baseline(given)
    client = _opened(given.work / "store")
    return asking.measure_reads(_Collection(client, _docs(client)), given, before)


def changes(given: Given) -> Numbers:
    """On a copy, graph in memory."""
    client = _opened(asking.fresh_copy(given, "changed"))
    docs = _Collection(client, _docs(client))
    docs.query(given.queries[0])
    return asking.measure_changes(docs, given)


def verify(given: Given) -> Numbers:
    """What the killed process has left."""
    client = _opened(given.work / "changed")
    return asking.check_changes(_Collection(client, _docs(client)), given)


def opening(given: Given) -> Numbers:
    """To the first dicts."""
    return asking.measure_opening(given, _load, partial(_asking, given.work / "store"))


def _load() -> None:
    import chromadb  # noqa: F401


def _asking(folder: Path, _: ExitStack) -> asking.Ask:
    docs = _docs(_opened(folder))
    return lambda vector: len(docs.query(query_embeddings=[vector], n_results=asking.RESULTS)["ids"][0])


STEPS: asking.Steps = {step.__name__: step for step in (add, reads, changes, verify, opening)}

if __name__ == "__main__":
    asking.main(STEPS)
