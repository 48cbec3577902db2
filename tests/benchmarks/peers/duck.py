"""DuckDB alone: rows with their vectors in a table, searched by scanning."""

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
    import numpy as np
    import pyarrow as pa

_COLUMNS = ", ".join(("id", "document", *METADATA))
_TYPES = "id VARCHAR, document VARCHAR, pos VARCHAR, lexname VARCHAR, lemma VARCHAR, n_lemmas BIGINT, gloss_len BIGINT"


def add(given: Given) -> Numbers:
    """All rows from one Arrow table, in one statement, which is durable when it returns."""
    import duckdb

    rows = with_vectors(given.items, given.vectors)
    folder = given.work / "store"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = Numbers()
    with duckdb.connect(str(folder / "items.duckdb")) as connection:
        connection.register("given", rows)
        connection.execute(f"CREATE TABLE items ({_TYPES}, embedding FLOAT[{given.vectors.shape[1]}])")
        with timing(found, "add"):
            connection.execute("INSERT INTO items SELECT * FROM given")
        with timing(found, "first query"):
            _Table(connection, given.vectors.shape[1]).query(given.queries[0])
        with timing(found, "checkpoint"):
            connection.execute("CHECKPOINT")
    return found | disk(folder)


def with_vectors(rows: pa.Table, vectors: np.ndarray[Any, Any]) -> pa.Table:
    """The items with a column ``embedding`` of fixed-size lists."""
    import pyarrow as pa

    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    return rows.append_column("embedding", lists)


class _Table:
    at_once = 20

    def __init__(self, connection: Any, dimension: int) -> None:
        self._connection = connection
        self._vector = f"FLOAT[{dimension}]"

    def _nearest(self, vector: Any, condition: str | None) -> Any:
        where = f"WHERE {condition}" if condition else ""
        asked = vector if isinstance(vector, list) else vector.tolist()
        return self._connection.execute(
            f"SELECT {_COLUMNS}, array_cosine_distance(embedding, ?::{self._vector}) AS distance "
            f"FROM items {where} ORDER BY distance LIMIT {asking.RESULTS}",
            [asked],
        )

    def query(self, vector: Any, condition: Any = None) -> Any:
        return self._nearest(vector, condition).fetchall()

    def query_frame(self, vector: Any) -> Any:
        return self._nearest(vector, None).df()

    def ids(self, answer: Any) -> list[str]:
        return [row[0] for row in answer]

    def many(self, vectors: Any) -> Any:
        return [self.query(vector) for vector in vectors]

    def ids_of_many(self, answer: Any) -> list[list[str]]:
        return [self.ids(one) for one in answer]

    def native(self, condition: Any) -> Any:
        return condition.sql

    def get_ids(self, ids: list[str]) -> Any:
        chosen = self._connection.execute(f"SELECT {_COLUMNS} FROM items WHERE id IN (SELECT unnest(?))", [ids])
        return chosen.df().set_index("id")

    def get_where(self, condition: Any) -> Any:
        return self._connection.execute(f"SELECT {_COLUMNS} FROM items WHERE {condition}").df().set_index("id")

    def peek(self) -> Any:
        return self._connection.execute(f"SELECT {_COLUMNS} FROM items LIMIT 10").df()

    def count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM items").fetchone()[0])

    def embeddings(self) -> Any:
        column = self._connection.execute("SELECT embedding FROM items").to_arrow_table()["embedding"]
        return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)

    def delete(self, ids: list[str]) -> None:
        self._connection.execute("DELETE FROM items WHERE id IN (SELECT unnest(?))", [ids])

    def update(self, rows: Any) -> None:
        self._connection.register("given", rows)
        values = ", ".join(f"{name} = given.{name}" for name in METADATA)
        self._connection.execute(f"UPDATE items SET {values} FROM given WHERE items.id = given.id")

    def upsert(self, rows: Any) -> None:
        self._connection.register("given", rows)
        self._connection.execute("BEGIN")
        self._connection.execute("DELETE FROM items WHERE id IN (SELECT id FROM given)")
        self._connection.execute("INSERT INTO items SELECT * FROM given")
        self._connection.execute("COMMIT")

    def native_rows(self, rows: pa.Table, vectors: Any = None) -> Any:
        return rows if vectors is None else with_vectors(rows, vectors)


def reads(given: Given) -> Numbers:
    """Everything that reads."""
    import duckdb
    import pandas as pd  # noqa: F401
    import pyarrow as pa  # noqa: F401

    before = asking.baseline(given)
    with duckdb.connect(str(given.work / "store" / "items.duckdb"), read_only=True) as connection:
        return asking.measure_reads(_Table(connection, given.queries.shape[1]), given, before)


def changes(given: Given) -> Numbers:
    """On a copy."""
    import duckdb

    file = asking.fresh_copy(given, "changed") / "items.duckdb"
    return asking.measure_changes(_Table(duckdb.connect(str(file)), given.queries.shape[1]), given)


def verify(given: Given) -> Numbers:
    """What the killed process has left."""
    import duckdb

    with duckdb.connect(str(given.work / "changed" / "items.duckdb")) as connection:
        return asking.check_changes(_Table(connection, given.queries.shape[1]), given)


def opening(given: Given) -> Numbers:
    """To the first rows."""
    return asking.measure_opening(given, _load, partial(_opened, given.work / "store" / "items.duckdb"))


def _load() -> None:
    import duckdb  # noqa: F401


def _opened(file: Path, stack: ExitStack) -> asking.Ask:
    import duckdb

    connection = stack.enter_context(duckdb.connect(str(file), read_only=True))
    return lambda vector: len(_Table(connection, len(vector)).query(vector))


STEPS: asking.Steps = {step.__name__: step for step in (add, reads, changes, verify, opening)}

if __name__ == "__main__":
    asking.main(STEPS)
