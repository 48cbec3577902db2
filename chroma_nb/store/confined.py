"""SQL for others than the owner of the machine: it sees the collections, and no files, settings or other tables.

DuckDB can shut a database off from files only for good and for all its connections. So what a
statement names is copied to a database of its own, in memory, which is shut off and thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
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
    store: Store, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, seconds: float = 60.0
) -> pa.Table:
    """Run one reading statement with each collection as a table of its name, and nothing else.

    Args:
        store: whose collections.
        statement: as for `Store.sql`.
        parameters: for ``?`` in order, or for ``$name``.
        seconds: after which it is ended.

    >>> from chroma_nb.store.local import LocalStore
    >>> confined_sql(LocalStore(), "SELECT 1 + ? AS n", [2]).to_pylist()
    [{'n': 3}]

    Raises:
        SqlError: it is not one reading statement, DuckDB refuses it, or it takes too long.
    """
    try:
        check_reading(statement)
    except duckdb.Error as error:
        raise SqlError(str(error).strip()) from error
    note = "-- with embedding" if "embedding" in statement.casefold() else ""  # a view has that column when it is named
    tables = {name: store.sql(f"SELECT * FROM {quote(name)} {note}") for name in _named(store, statement)}
    with duckdb.connect() as alone:
        for name, table in tables.items():
            alone.register(name, table)
        for setting in _SETTINGS:
            alone.execute(f"SET {setting}")
        watchdog = threading.Timer(seconds, alone.interrupt)
        watchdog.start()
        try:
            relation = alone.sql(statement, params=_bound(parameters))
            return pa.table({}) if relation is None else relation.to_arrow_table()
        except duckdb.InterruptException as error:
            raise SqlError(f"The statement took longer than {seconds:g} seconds.") from error
        except duckdb.Error as error:
            listed = ", ".join(map(quote, [info.name for info in store.list_collections()][:10])) or "none yet"
            raise SqlError(f"{str(error).strip()}\nTables are the collections: {listed}.") from error
        finally:
            watchdog.cancel()


def _bound(parameters: Sequence[Any] | Mapping[str, Any]) -> Any:
    return (dict(parameters) if isinstance(parameters, Mapping) else list(parameters)) or None


def _named(store: Store, statement: str) -> list[str]:
    """The tables that a statement may mean: those whose names occur in it."""
    text = statement.casefold()
    names = [info.name for info in store.list_collections()]
    taken = {name.casefold() for name in names}
    every = any(word in text for word in ABOUT_TABLES)
    meant = [name for name in names if every or name.casefold() in text]
    return meant + [name for name in _OLD_TABLES if name in text and name not in taken]
