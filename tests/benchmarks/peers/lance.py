"""LanceDB: one Arrow table in, then a graph, and an index of its kind for each column that filters compare."""

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

_COLUMNS = ["id", "document", *METADATA]
_EF, _REFINE = 200, 2


def _opened(folder: Path) -> Any:
    import lancedb

    return lancedb.connect(str(folder)).open_table("docs")


def add(given: Given) -> Numbers:
    """One table, searched by scanning until it is indexed."""
    import lancedb

    folder = given.work / "fresh"
    shutil.rmtree(folder, ignore_errors=True)
    rows, found = _Table(None).native_rows(given.items, given.vectors), Numbers()
    with timing(found, "add"):
        table = lancedb.connect(str(folder)).create_table("docs", data=rows)
    with timing(found, "first query"):
        _Table(table).query(given.queries[0])
    return found


def build(given: Given) -> Numbers:
    """The graph over quantised vectors, and indexes for ids and filters.

    None for parts of texts: with its FM index such queries took 60 to 220 ms instead of the 20 ms of a scan.
    """
    from lancedb.index import Bitmap, BTree, HnswSq

    folder = asking.fresh_copy(given, "store", "fresh")
    table, found = _opened(folder), Numbers()
    with timing(found, "build"):
        table.create_index("vector", config=HnswSq(distance_type="cosine", num_partitions=1))
    with timing(found, "other indexes"):
        for column, config in (("id", BTree()), ("lexname", Bitmap()), ("pos", Bitmap()), ("gloss_len", BTree())):
            table.create_index(column, config=config)
    return found | disk(folder)


class _Table:
    at_once = 1_000

    def __init__(self, table: Any) -> None:
        self._table = table

    def _search(self, vector: Any, condition: str | None = None) -> Any:
        search = self._table.search(vector).distance_type("cosine").ef(_EF).refine_factor(_REFINE)
        search = search.select([*_COLUMNS, "_distance"]).limit(asking.RESULTS)
        return search.where(condition, prefilter=True) if condition else search

    def query(self, vector: Any, condition: Any = None) -> Any:
        return self._search(vector, condition).to_list()

    def query_frame(self, vector: Any) -> Any:
        return self._search(vector).to_pandas()

    def ids(self, answer: Any) -> list[str]:
        return [row["id"] for row in answer]

    def many(self, vectors: Any) -> Any:
        search = self._table.search(vectors).distance_type("cosine").ef(_EF).refine_factor(_REFINE)
        return search.select([*_COLUMNS, "_distance"]).limit(asking.RESULTS).to_arrow()

    def ids_of_many(self, answer: Any) -> list[list[str]]:
        found: dict[int, list[str]] = {}
        for query, id_ in zip(answer["query_index"].to_pylist(), answer["id"].to_pylist(), strict=True):
            found.setdefault(query, []).append(id_)
        return [found[query] for query in sorted(found)]

    def native(self, condition: Any) -> Any:
        return condition.sql

    def get_ids(self, ids: list[str]) -> Any:
        quoted = ", ".join(f"'{id_}'" for id_ in ids)
        return self.get_where(f"id IN ({quoted})")

    def get_where(self, condition: Any) -> Any:
        return self._table.search().where(condition).select(_COLUMNS).to_pandas().set_index("id")

    def peek(self) -> Any:
        return self._table.search().select(_COLUMNS).limit(10).to_pandas()

    def count(self) -> int:
        return int(self._table.count_rows())

    def embeddings(self) -> Any:
        column = self._table.search().select(["vector"]).to_arrow()["vector"].combine_chunks()
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)

    def delete(self, ids: list[str]) -> None:
        quoted = ", ".join(f"'{id_}'" for id_ in ids)
        self._table.delete(f"id IN ({quoted})")

    def update(self, rows: Any) -> None:
        self._table.merge_insert("id").when_matched_update_all().execute(rows)

    def upsert(self, rows: Any) -> None:
        self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def native_rows(self, rows: pa.Table, vectors: Any = None) -> pa.Table:
        import pyarrow as pa

        if vectors is None:
            return rows
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        return rows.append_column("vector", lists)


def reads(given: Given) -> Numbers:
    """Everything that reads."""
    import lancedb  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow as pa  # noqa: F401

    before = asking.baseline(given)
    return asking.measure_reads(_Table(_opened(given.work / "store")), given, before)


def changes(given: Given) -> Numbers:
    """On a copy; new rows are searched by scanning until the next `optimize`, which is not timed."""
    table = _Table(_opened(asking.fresh_copy(given, "changed")))
    table.query(given.queries[0])
    return asking.measure_changes(table, given)


def verify(given: Given) -> Numbers:
    """What the killed process has left."""
    return asking.check_changes(_Table(_opened(given.work / "changed")), given)


def opening(given: Given) -> Numbers:
    """To the first lists."""
    return asking.measure_opening(given, _load, partial(_asking, given.work / "store"))


def _load() -> None:
    import lancedb  # noqa: F401


def _asking(folder: Path, _: ExitStack) -> asking.Ask:
    table = _Table(_opened(folder))
    return lambda vector: len(table.query(vector))


STEPS: asking.Steps = {step.__name__: step for step in (add, build, reads, changes, verify, opening)}

if __name__ == "__main__":
    asking.main(STEPS)
