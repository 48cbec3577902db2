"""The measured steps. Each runs in a process of its own and returns numbers by name."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Numbers = dict[str, float]
FILTERS: dict[str, dict[str, Any]] = {
    "0.07 %": {"lexname": "verb.weather"},
    "0.9 %": {"lexname": "noun.event"},
    "9.9 %": {"lexname": "noun.artifact"},
    "44 %": {"gloss_len": {"$lt": 60}},
}


def median_ms(call: Callable[[int], object], repeats: int, warm: int = 3) -> tuple[float, float]:
    """Median and 99th percentile of one call, in milliseconds."""
    for i in range(warm):
        call(i)
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        call(i)
        times.append((time.perf_counter() - start) * 1000)
    return float(np.median(times)), float(np.percentile(times, 99))


def duckdb_insert(data: Path, work: Path) -> Numbers:
    """The same rows with their vectors into a bare DuckDB file, from Arrow, checkpointed."""
    import duckdb
    import pyarrow as pa

    from tests.benchmarks.data import DIMENSION, load

    corpus = load(data)
    file = work / "bare.duckdb"
    file.unlink(missing_ok=True)
    table = pa.Table.from_pandas(corpus.frame.reset_index(), preserve_index=False)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(corpus.vectors.reshape(-1)), DIMENSION)
    table = table.append_column("embedding", vectors)
    connection = duckdb.connect(str(file))
    connection.register("batch", table)
    start = time.perf_counter()
    connection.execute(
        "CREATE TABLE items (id VARCHAR, document VARCHAR, pos VARCHAR, lexname VARCHAR, lemma VARCHAR, "
        f"n_lemmas BIGINT, gloss_len BIGINT, embedding FLOAT[{DIMENSION}])"
    )
    connection.execute("INSERT INTO items SELECT * FROM batch")
    inserted = time.perf_counter() - start
    connection.execute("CHECKPOINT")
    return {"insert s": inserted, "insert and checkpoint s": time.perf_counter() - start}


def add(data: Path, work: Path) -> Numbers:
    """One ``add`` of a 100,000-row frame with vectors to a new directory, then the first query."""
    import chroma_nb
    from tests.benchmarks.data import load

    corpus = load(data)
    shutil.rmtree(work / "store", ignore_errors=True)
    with chroma_nb.Client(work / "store") as client:
        docs = client.create_collection("docs", {"hnsw:space": "cosine"})
        start = time.perf_counter()
        docs.add(corpus.frame, embeddings=corpus.vectors)
        added = time.perf_counter() - start
        first = docs.query(corpus.queries[:1])
        return {"add s": added, "first query after it s": time.perf_counter() - start - added, "hits": len(first)}


def raw_hnswlib(data: Path, work: Path) -> Numbers:
    """hnswlib alone: build and search, ids only."""
    import hnswlib

    from tests.benchmarks.data import DIMENSION, load

    corpus = load(data)
    index = hnswlib.Index("cosine", DIMENSION)
    index.init_index(len(corpus.vectors), M=16, ef_construction=100)
    cpu, wall = time.process_time(), time.perf_counter()
    index.add_items(corpus.vectors)
    built = {"build CPU s": time.process_time() - cpu, "build wall s": time.perf_counter() - wall}
    index.set_ef(100)
    single, _ = median_ms(lambda i: index.knn_query(corpus.queries[i % 1000], 10, num_threads=1), 500)
    start = time.perf_counter()
    labels, _ = index.knn_query(corpus.queries, 10)
    many = time.perf_counter() - start
    return built | {
        "query ms": single,
        "1,000 queries s": many,
        "recall": recall(labels.astype(np.int64), corpus.nearest),
    }


def build(data: Path, work: Path) -> Numbers:
    """The graph of the stored collection caught up in the background; queries meanwhile."""
    import chroma_nb
    from tests.benchmarks.data import load

    corpus = load(data)
    with chroma_nb.Client(work / "store") as client:
        docs = client["docs"]
        docs.query(corpus.queries[:1])
        cpu, wall = time.process_time(), time.perf_counter()
        docs.create_index()
        return {"build CPU s": time.process_time() - cpu, "build wall s": time.perf_counter() - wall}


def reads(data: Path, work: Path) -> Numbers:
    """Queries and reads on the stored collection, graph in place."""
    import chroma_nb
    from tests.benchmarks.data import load

    corpus = load(data)
    with chroma_nb.Client(work / "store") as client:
        docs = client["docs"]
        docs.create_index()
        found: Numbers = {}
        queries = corpus.queries

        def measure(name: str, call: Callable[[int], object], repeats: int = 100) -> None:
            found[f"{name} ms"], found[f"{name} p99 ms"] = median_ms(call, repeats)

        measure("query", lambda i: docs.query(queries[i % 1000]), 500)
        start = time.perf_counter()
        hits = docs.query(queries)
        found["1,000 queries s"] = time.perf_counter() - start
        position = {id_: at for at, id_ in enumerate(corpus.ids)}
        got = np.array([position[id_] for id_ in hits.index]).reshape(1000, 10)
        found["recall"] = recall(got, corpus.nearest)
        for name, where in FILTERS.items():
            measure(f"filter {name}", lambda i, where=where: docs.query(queries[i % 1000], where=where))  # type: ignore[misc]
            found[f"filter {name} recall"] = filtered_recall(docs, queries[:200], where=where)
        for word in ("river", "plant"):
            text = {"$contains": word}
            measure(f"contains {word}", lambda i, text=text: docs.query(queries[i % 1000], where_document=text))  # type: ignore[misc]
        thousand = list(corpus.ids[:1000])
        measure("get 1,000 ids", lambda _: docs.get(thousand))
        measure("get where 9,869 rows", lambda _: docs.get(where=FILTERS["9.9 %"]))
        measure("get all 100,000", lambda _: docs.get(), 10)
        measure("peek", lambda _: docs.peek())
        measure("count", lambda _: docs.count())
        measure("embeddings", lambda _: docs.embeddings(), 5)
        found["peak memory MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return found


def changes(data: Path, work: Path) -> Numbers:
    """10,000 of the 100,000 items deleted, updated, given new vectors; on a copy."""
    import chroma_nb
    from tests.benchmarks.data import load

    corpus = load(data)
    shutil.rmtree(work / "copy", ignore_errors=True)
    shutil.copytree(work / "store", work / "copy")
    with chroma_nb.Client(work / "copy") as client:
        docs = client["docs"]
        docs.query(corpus.queries[:1])
        frame, vectors = corpus.frame.iloc[10_000:20_000], corpus.vectors[10_000:20_000]
        found: Numbers = {}
        steps: dict[str, Callable[[], object]] = {
            "delete 10,000 s": lambda: docs.delete(list(corpus.ids[:10_000])),
            "update 10,000 metadata s": lambda: docs.update(frame.drop(columns="document")),
            "upsert 10,000 vectors s": lambda: docs.upsert(frame, embeddings=vectors),
        }
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            found[name] = time.perf_counter() - start
        return found | {"count": docs.count()}


def opening(data: Path, work: Path) -> Numbers:
    """A new process: import, then open to the first answer."""
    query = np.load(work / "query.npy")
    start = time.perf_counter()
    import chroma_nb

    imported = time.perf_counter()
    with chroma_nb.Client(work / "store") as client:
        hits = client["docs"].query(query)
        answered = time.perf_counter()
    assert len(hits) == 10
    return {"import s": imported - start, "open to first answer s": answered - imported}


def recall(got: np.ndarray[Any, np.dtype[np.int64]], nearest: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Share of the true k nearest that were found."""
    k = got.shape[1]
    return float(np.mean([len(set(row) & set(true[:k])) / k for row, true in zip(got, nearest, strict=True)]))


def filtered_recall(docs: Any, queries: np.ndarray[Any, np.dtype[np.float32]], where: dict[str, Any]) -> float:
    """Recall of single filtered queries against exact ones."""
    shares = []
    for query in queries:
        true = set(docs.query(query, where=where, exact=True).index)
        shares.append(len(true & set(docs.query(query, where=where).index)) / len(true))
    return float(np.mean(shares))


STEPS: dict[str, Callable[[Path, Path], Numbers]] = {
    step.__name__: step for step in (duckdb_insert, add, raw_hnswlib, build, reads, changes, opening)
}
