"""``client.sql``: each collection as a view, and one reading statement over them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from chroma_nb.errors import SqlError
from chroma_nb.store.schema import SCHEMA, items_table, literal, quote, sparse_table
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.where_sql import SPARSE_COLUMNS, Place
from chroma_nb.types import Kind

_ABOUT_TABLES = ("show", "describe", "duckdb_", "information_schema")
_FIXED = ("id", "document", "embedding")


def run(
    cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any], shelves: Sequence[Shelf]
) -> pa.Table:
    """Run one statement that only reads.

    Raises:
        SqlError: it is not exactly one SELECT, or DuckDB refuses it.
    """
    try:
        _check_reading(statement)
        _make_views(cursor, statement, shelves)
        with ThreadPoolExecutor(1) as worker:
            result = worker.submit(_read, cursor, statement, parameters)
            try:
                return result.result()
            except KeyboardInterrupt:
                # DuckDB notices Ctrl-C only on some paths when it runs in the main thread.
                cursor.interrupt()
                raise
    except duckdb.Error as error:
        names = ", ".join(quote(shelf.state.entry.info.name) for shelf in shelves[:10]) or "none yet"
        raise SqlError(f"{str(error).strip()}\nTables are the collections: {names}.") from error


def _read(cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any]) -> pa.Table:
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        relation = cursor.sql(statement, params=list(parameters) or None)
        return pa.table({}) if relation is None else relation.to_arrow_table()
    finally:
        cursor.execute("ROLLBACK")


def _check_reading(statement: str) -> None:
    if not isinstance(statement, str) or any("\ud800" <= char <= "\udfff" for char in statement):
        raise SqlError(f"An SQL statement is a str of valid Unicode, got {statement!r}")
    statements = duckdb.extract_statements(statement)
    kind = statements[0].type if len(statements) == 1 else None
    # EXPLAIN ANALYZE runs what it explains, COPY TO a file included.
    harmless = kind is duckdb.StatementType.EXPLAIN and not re.search("analyze", statement, re.IGNORECASE)
    if kind is not duckdb.StatementType.SELECT and not harmless:
        raise SqlError(
            "sql() runs one statement that reads (SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN). "
            "To write, use the methods of a collection."
        )


def _make_views(cursor: duckdb.DuckDBPyConnection, statement: str, shelves: Sequence[Shelf]) -> None:
    text = statement.casefold()
    with_vectors = "embedding" in text
    every = any(word in text for word in _ABOUT_TABLES)
    names = Counter(shelf.state.entry.info.name.casefold() for shelf in shelves)
    for shelf in shelves:
        name = shelf.state.entry.info.name
        if every or name.casefold() in text:
            if names[name.casefold()] > 1 and not every:
                raise SqlError(
                    f"SQL ignores case: it cannot tell {quote(name)} from the collection of that name in other case."
                )
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {_view(cursor, shelf, with_vectors)}")
    taken = {shelf.state.entry.info.name.casefold() for shelf in shelves}
    if "collections" in text and "collections" not in taken:
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW collections AS SELECT id AS uuid, name, metadata FROM {SCHEMA}.collections"
        )
    if "embeddings" in text and "embeddings" not in taken:
        cursor.execute(f"CREATE OR REPLACE TEMP VIEW embeddings AS {_old_table(cursor, shelves)}")


def _view(cursor: duckdb.DuckDBPyConnection, shelf: Shelf, with_vectors: bool) -> str:
    number = shelf.state.entry.number
    columns = ["items.id AS id", "items.document AS document"]
    sparse = []
    for kinds, alias in zip(shelf.state.places.values(), _aliases(list(shelf.state.places)), strict=True):
        parts = [f"items.{p.column}" if p.column else f"rare.k{p.number}" for p in kinds.values()]
        sparse += [(kind, place) for kind, place in kinds.items() if place.column is None]
        columns.append(f"{_one_value(list(kinds), parts)} AS {quote(alias)}")
    source = f"{items_table(number)} AS items"
    if sparse:
        source += f' LEFT JOIN ({_pivot(number, sparse)}) AS rare ON rare."row" = items."row"'
    if with_vectors:
        columns.append("vectors.embedding AS embedding")
        source += f" LEFT JOIN {_register_vectors(cursor, shelf)} AS vectors ON vectors.slot = items.slot"
    return f'SELECT {", ".join(columns)} FROM {source} ORDER BY items."row"'


def _one_value(kinds: list[Kind], parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    common = "DOUBLE" if set(kinds) <= {Kind.INT, Kind.FLOAT} else "VARCHAR"
    return f"coalesce({', '.join(f'{part}::{common}' for part in parts)})"


def _pivot(number: int, sparse: list[tuple[Kind, Place]]) -> str:
    columns = ", ".join(
        f"any_value({SPARSE_COLUMNS[kind]}) FILTER (WHERE key = {place.number:d}) AS k{place.number}"
        for kind, place in sparse
    )
    return f'SELECT "row", {columns} FROM {sparse_table(number)} GROUP BY "row"'


def _aliases(keys: list[str]) -> list[str]:
    """Column names of a view for metadata keys: SQL ignores case, and forbids empty names."""
    taken = set(_FIXED)
    aliases = []
    for key in keys:
        alias = base = f"metadata.{key}" if key in _FIXED else key.replace("\0", "_") or "_"
        count = 2
        while alias.casefold() in taken:
            alias, count = f"{base}_{count}", count + 1
        taken.add(alias.casefold())
        aliases.append(alias)
    return aliases


def _register_vectors(cursor: duckdb.DuckDBPyConnection, shelf: Shelf) -> str:
    """The vectors as a table (slot, embedding), without a copy."""
    entry = shelf.state.entry
    name = f"chroma_nb_vectors_{entry.number}"
    dimension = entry.info.dimension or 1
    flat = np.empty(0, np.float32) if shelf.vectors is None else shelf.vectors.view(entry.next_slot).reshape(-1)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), dimension)
    cursor.register(name, pa.table({"slot": np.arange(len(vectors)), "embedding": vectors}))
    return name


def _old_table(cursor: duckdb.DuckDBPyConnection, shelves: Sequence[Shelf]) -> str:
    """The table ``embeddings`` of Chroma 0.3's ``raw_sql``; ``uuid`` is the number of the item."""
    parts = []
    for shelf in shelves:
        view = _view(cursor, shelf, with_vectors=True)
        entry = shelf.state.entry
        keys = [quote(alias) for alias in _aliases(list(shelf.state.places))]
        fields = ", ".join(f"{literal(key)}, {alias}" for key, alias in zip(shelf.state.places, keys, strict=True))
        metadata = f"json_merge_patch('{{}}', json_object({fields}))" if keys else "NULL"
        parts.append(
            f"SELECT '{entry.info.id}' AS collection_uuid, embedding::FLOAT[] AS embedding, document, id, "
            f"{metadata}::VARCHAR AS metadata FROM ({view})"
        )
    none = (
        "SELECT NULL::VARCHAR AS collection_uuid, NULL::FLOAT[] AS embedding, NULL::VARCHAR AS document, "
        "NULL::VARCHAR AS id, NULL::VARCHAR AS metadata WHERE false"
    )
    return " UNION ALL ".join([*parts, none])
