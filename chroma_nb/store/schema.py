"""The tables, their history, and which column a metadata key gets.

Everything lives in one DuckDB schema, so that the names of collections stay free for views:

``store(key, value)``
    ``format`` and ``version`` (of this schema), ``collections`` (how many were ever made).
``collections``
    one row each; ``next_row`` and ``next_slot`` are the numbers the next item gets; ``stamps``, little-endian int64,
    one for each `CHUNK` of row numbers, say which files of columns are valid (see `columns`).
``metadata_keys(collection, number, key, kind, col)``
    which column holds the values of that kind of that key; null: the sparse table.
``items_<collection>("row", slot, id, document, c0, c1, ...)``
    the items; ``row`` orders them, ``slot`` finds the vector.
``sparse_<collection>("row", key, s, i, f, b)``
    values of rare keys; ``key`` is the number in ``metadata_keys``.
``layouts(collection, key, method, ..., generation, "rows", slots, xy)``
    stored maps, one row each: little-endian int64, int64 and float32 pairs, ordered by row. A place belongs to a row
    *and* its slot, so that an item whose vector was changed has none; ``generation`` says whose slots these are.
``views(collection, name, value)``
    what explorers saved, as JSON.
``calls(number, id, result)``
    the latest calls that came from other processes.

Why a column for each (key, kind): filters on a real column take 0.003-0.015 s over 1,000,000 rows,
on JSON 0.2-0.9 s, and DuckDB's VARIANT needs files that DuckDB 1.5 cannot open. Why not for every
key: 500 x ADD COLUMN cost 12 s at 1,000,000 rows.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Mapping

import duckdb

from chroma_nb.store.where_sql import Place
from chroma_nb.types import Kind

FORMAT = "chroma_nb"
SCHEMA = "store.chroma_nb"
# Written so that DuckDB 1.5 and 2.x both open the file.
STORAGE_VERSION = "v1.4.0"

# Row numbers that have one stamp, and one file of columns. Part of what a store is: not to be changed.
CHUNK = 65_536

# A key gets a column while there are few, or when enough items have it; else its values are sparse.
_FEW_COLUMNS = 64
_MOST_COLUMNS = 1000
_DENSE_SHARE = 0.05


def new_stamp() -> int:
    """A stamp that no chunk of any store ever had."""
    return secrets.randbits(63)


def m001_first(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables of version 1."""
    for statement in (
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE TABLE {SCHEMA}.store (key VARCHAR NOT NULL, value VARCHAR NOT NULL)",
        f"INSERT INTO {SCHEMA}.store VALUES ('format', '{FORMAT}'), ('version', '0'), ('collections', '0')",
        f"""CREATE TABLE {SCHEMA}.collections (
            number INTEGER NOT NULL, id VARCHAR NOT NULL, name VARCHAR NOT NULL, metadata VARCHAR,
            settings VARCHAR NOT NULL, dimension INTEGER, embedding_function VARCHAR,
            next_row BIGINT NOT NULL, next_slot BIGINT NOT NULL, generation INTEGER NOT NULL, version BIGINT NOT NULL
        )""",
        f"""CREATE TABLE {SCHEMA}.metadata_keys (
            collection INTEGER NOT NULL, number INTEGER NOT NULL, key VARCHAR NOT NULL, kind VARCHAR NOT NULL,
            col VARCHAR
        )""",
    ):
        connection.execute(statement)


def m002_maps(connection: duckdb.DuckDBPyConnection) -> None:
    """Stored maps and views of explorers."""
    connection.execute(
        f"""CREATE TABLE {SCHEMA}.layouts (
            collection INTEGER NOT NULL, key VARCHAR NOT NULL, method VARCHAR NOT NULL, parameters VARCHAR NOT NULL,
            version BIGINT NOT NULL, created VARCHAR NOT NULL, fitted BIGINT NOT NULL, generation INTEGER NOT NULL,
            "rows" BLOB NOT NULL, slots BLOB NOT NULL, xy BLOB NOT NULL
        )"""
    )
    connection.execute(
        f"CREATE TABLE {SCHEMA}.views (collection INTEGER NOT NULL, name VARCHAR NOT NULL, value VARCHAR NOT NULL)"
    )


def m003_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """The journal of calls from other processes."""
    connection.execute(f"CREATE TABLE {SCHEMA}.calls (number BIGINT NOT NULL, id VARCHAR NOT NULL, result BIGINT)")


def m004_stamps(connection: duckdb.DuckDBPyConnection) -> None:
    """Stamps of chunks."""
    connection.execute(f"ALTER TABLE {SCHEMA}.collections ADD COLUMN stamps BLOB")
    for number, rows in connection.execute(f"SELECT number, next_row FROM {SCHEMA}.collections").fetchall():
        stamps = b"".join(struct.pack("<q", new_stamp()) for _ in range(0, rows, CHUNK))
        connection.execute(f"UPDATE {SCHEMA}.collections SET stamps = ? WHERE number = ?", [stamps, number])


# Applied in order on opening, each once, all in one transaction. Reading them top to bottom is
# the history of the schema; a released one is never edited.
MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection], None], ...] = (m001_first, m002_maps, m003_calls, m004_stamps)
VERSION = len(MIGRATIONS)


def quote(identifier: str) -> str:
    """A name as an SQL identifier.

    >>> print(quote('my "docs" here'))
    "my ""docs"" here"
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal, for the few places where no parameter can stand (views, ATTACH).

    >>> print(literal("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def items_table(number: int) -> str:
    """The items of a collection."""
    return f"{SCHEMA}.items_{number:d}"


def sparse_table(number: int) -> str:
    """The sparse metadata values of a collection."""
    return f"{SCHEMA}.sparse_{number:d}"


def item_tables(number: int) -> tuple[str, str]:
    """The statements that make both tables of a collection."""
    items = '"row" BIGINT NOT NULL, slot BIGINT NOT NULL, id VARCHAR NOT NULL, document VARCHAR'
    sparse = '"row" BIGINT NOT NULL, key INTEGER NOT NULL, s VARCHAR, i BIGINT, f DOUBLE, b BOOLEAN'
    return f"CREATE TABLE {items_table(number)} ({items})", f"CREATE TABLE {sparse_table(number)} ({sparse})"


def place_keys(
    known: Mapping[str, Mapping[Kind, Place]], values: Mapping[tuple[str, Kind], int], items: int
) -> dict[tuple[str, Kind], Place]:
    """Places for the (key, kind) pairs that have none yet.

    Args:
        known: the places there are.
        values: for each pair of the batch, in order of appearance, how many items have a value.
        items: how many items there will be.

    >>> place_keys({}, {("lang", Kind.STR): 3}, 3)
    {('lang', <Kind.STR: 'str'>): Place(number=0, column='c0')}
    """
    places = [place for kinds in known.values() for place in kinds.values()]
    number = len(places)
    columns = sum(place.column is not None for place in places)
    added: dict[tuple[str, Kind], Place] = {}
    for (key, kind), count in values.items():
        if kind in known.get(key, {}):
            continue
        dense = columns < _FEW_COLUMNS or (columns < _MOST_COLUMNS and count >= _DENSE_SHARE * items)
        added[key, kind] = Place(number, f"c{number}" if dense else None)
        number += 1
        columns += dense
    return added
