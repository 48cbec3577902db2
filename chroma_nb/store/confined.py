"""SQL for others than the owner of the machine: it sees the collections, and no files, settings or other tables.

DuckDB can shut a database off from files only for good and for all its connections. So what a
statement names is copied to a database of its own, in memory, which is shut off and thrown away.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from chroma_nb.errors import SqlError
from chroma_nb.store.protocol import Store
from chroma_nb.store.schema import quote
from chroma_nb.store.sql_views import ABOUT_TABLES, check_reading

_SETTINGS = (
    "memory_limit = '1GB'",
    "enable_external_access = false",
    "python_enable_replacements = false",
    "lock_configuration = true",
)
# Beside the collections: tables of Chroma 0.3.
_OLD_TABLES = ("collections", "embeddings")


def confined_sql(
    store: Store,
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    seconds: float = 60.0,
    most_bytes: int = 256 * 1024 * 1024,
) -> pa.Table:
    """Run one reading statement with each collection as a table of its name, and nothing else.

    Args:
        store: whose collections.
        statement: as for `Store.sql`.
        parameters: for ``?`` in order, or for ``$name``.
        seconds: after which it is ended.
        most_bytes: that the result may have.

    >>> from chroma_nb.store.local import LocalStore
    >>> confined_sql(LocalStore(), "SELECT 1 + ? AS n", [2]).to_pylist()
    [{'n': 3}]

    Raises:
        SqlError: it is not one reading statement, DuckDB refuses it, or it takes or gives too much.
    """
    late = threading.Event()
    try:
        check_reading(statement)
        # A view has the column of vectors when that is named.
        note = "-- with embedding" if "embedding" in statement.casefold() else ""
        tables = {name: store.sql(f"SELECT * FROM {quote(name)} {note}") for name in _named(store, statement)}
        with _database(tables) as alone, _ended(alone, seconds, late):
            bound = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
            return _result(alone.sql(statement, params=bound or None), most_bytes)
    except (duckdb.Error, OSError) as error:  # OSError: what Arrow makes of errors while it reads
        if late.is_set():
            raise SqlError(f"The statement took longer than {seconds:g} seconds.") from error
        listed = ", ".join(map(quote, [info.name for info in store.list_collections()][:10])) or "none yet"
        raise SqlError(f"{str(error).strip()}\nTables are the collections: {listed}.") from error


def _database(tables: Mapping[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    alone = duckdb.connect()
    for name, table in tables.items():
        alone.register(name, table)
    for setting in _SETTINGS:
        alone.execute(f"SET {setting}")
    return alone


@contextlib.contextmanager
def _ended(alone: duckdb.DuckDBPyConnection, seconds: float, late: threading.Event) -> Iterator[None]:
    """Interrupt what takes longer, and say so."""

    def end() -> None:
        late.set()
        with contextlib.suppress(duckdb.Error):  # it ended just now by itself
            alone.interrupt()

    watchdog = threading.Timer(seconds, end)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _result(relation: duckdb.DuckDBPyRelation | None, most_bytes: int) -> pa.Table:
    if relation is None:
        return pa.table({})
    reader = relation.to_arrow_reader(10_000)
    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch)
        most_bytes -= batch.nbytes
        if most_bytes < 0:
            raise SqlError("The statement gives more than a server sends at once. Ask for less, with LIMIT or WHERE.")
    return pa.Table.from_batches(batches, reader.schema)


def _named(store: Store, statement: str) -> list[str]:
    """The tables that a statement may mean: those whose names occur in it."""
    text = statement.casefold()
    names = [info.name for info in store.list_collections()]
    taken = {name.casefold() for name in names}
    every = any(word in text for word in ABOUT_TABLES)
    meant = [name for name in names if every or name.casefold() in text]
    return meant + [name for name in _OLD_TABLES if name in text and name not in taken]
