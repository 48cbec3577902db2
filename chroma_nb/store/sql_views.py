"""``client.sql``: each collection as a view, and one reading statement over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from chroma_nb.columns import sql_columns
from chroma_nb.errors import SqlError
from chroma_nb.store.catalog import Entry
from chroma_nb.store.confined_child import objection
from chroma_nb.store.schema import SCHEMA, items_table, literal, quote, sparse_table
from chroma_nb.store.where_sql import SPARSE_COLUMNS, Place
from chroma_nb.types import Kind, Matrix

ABOUT_TABLES = ("show", "describe", "duckdb_", "information_schema")


@dataclass(frozen=True)
class Source:
    """A collection, as far as a view of it needs to know it.

    Attributes:
        entry: its row in the table of collections.
        places: where its metadata is.
        vectors: gives the vectors of all slots; called only when a statement asks for them.
    """

    entry: Entry
    places: Mapping[str, Mapping[Kind, Place]]
    vectors: Callable[[], Matrix]


class Reader:
    """One statement over views of the collections, on a connection of its own.

    Making it looks at the collections; `run` then needs nothing but the connection.

    Raises:
        SqlError: the statement is not exactly one SELECT, or DuckDB refuses it.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, statement: str, sources: Sequence[Source]) -> None:
        self._cursor, self._statement = cursor, statement
        self._names = ", ".join(quote(source.entry.info.name) for source in sources[:10]) or "none yet"
        with self._translated():
            check_reading(cursor, statement)
            _make_views(cursor, statement, sources)
            # From here on the rows are those the views were made for: a snapshot begins with the
            # first look at the database.
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            cursor.execute(f"SELECT count(*) FROM {SCHEMA}.store").fetchall()

    def run(self, parameters: Sequence[Any] | Mapping[str, Any]) -> pa.Table:
        """The result; Ctrl-C ends it."""
        with self._translated(), ThreadPoolExecutor(1) as worker:
            result = worker.submit(_read, self._cursor, self._statement, parameters)
            try:
                return result.result()
            except KeyboardInterrupt:
                # DuckDB notices Ctrl-C only on some paths when it runs in the main thread.
                self._cursor.interrupt()
                raise
            finally:
                del result  # it refers to its error, and that to this frame: the store would be open as long

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise SqlError(f"{str(error).strip()}\nTables are the collections: {self._names}.") from error


def _read(cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> pa.Table:
    given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    try:
        relation = cursor.sql(statement, params=given or None)
        return pa.table({}) if relation is None else relation.to_arrow_table()
    finally:
        cursor.execute("ROLLBACK")


def check_reading(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """SqlError unless it is one statement that only reads."""
    check_text(statement)
    refused = objection(connection, statement)
    if refused is not None:
        raise SqlError(refused)


def check_text(statement: str) -> None:
    """SqlError unless it is valid text."""
    if not isinstance(statement, str) or any("\ud800" <= char <= "\udfff" for char in statement):
        raise SqlError(f"An SQL statement is a str of valid Unicode, got {statement!r}")


def _make_views(cursor: duckdb.DuckDBPyConnection, statement: str, sources: Sequence[Source]) -> None:
    text = statement.casefold()
    with_vectors = "embedding" in text
    every = any(word in text for word in ABOUT_TABLES)
    names = Counter(source.entry.info.name.casefold() for source in sources)
    for source in sources:
        name = source.entry.info.name
        if every or name.casefold() in text:
            if names[name.casefold()] > 1 and not every:
                raise SqlError(
                    f"SQL ignores case: it cannot tell {quote(name)} from the collection of that name in other case."
                )
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {_view(cursor, source, with_vectors)}")
    taken = {source.entry.info.name.casefold() for source in sources}
    if "collections" in text and "collections" not in taken:
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW collections AS SELECT id AS uuid, name, metadata FROM {SCHEMA}.collections"
        )
    if "embeddings" in text and "embeddings" not in taken:
        cursor.execute(f"CREATE OR REPLACE TEMP VIEW embeddings AS {_old_table(cursor, sources)}")


def _view(cursor: duckdb.DuckDBPyConnection, source: Source, with_vectors: bool) -> str:
    number = source.entry.number
    columns = ["items.id AS id", "items.document AS document"]
    sparse = []
    for kinds, alias in zip(source.places.values(), sql_columns(source.places), strict=True):
        parts = [f"items.{p.column}" if p.column else f"rare.k{p.number}" for p in kinds.values()]
        sparse += [(kind, place) for kind, place in kinds.items() if place.column is None]
        columns.append(f"{_one_value(list(kinds), parts)} AS {quote(alias)}")
    tables = f"{items_table(number)} AS items"
    if sparse:
        tables += f' LEFT JOIN ({_pivot(number, sparse)}) AS rare ON rare."row" = items."row"'
    if with_vectors:
        columns.append("vectors.embedding AS embedding")
        tables += f" LEFT JOIN {_register_vectors(cursor, source)} AS vectors ON vectors.slot = items.slot"
    return f'SELECT {", ".join(columns)} FROM {tables} ORDER BY items."row"'


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


def _register_vectors(cursor: duckdb.DuckDBPyConnection, source: Source) -> str:
    """The vectors as a table (slot, embedding), without a copy."""
    entry = source.entry
    name = f"vectors {entry.number}"  # no collection can have a name with a space
    dimension = entry.info.dimension or 1
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(source.vectors().reshape(-1)), dimension)
    cursor.register(name, pa.table({"slot": np.arange(len(vectors)), "embedding": vectors}))
    return quote(name)


def _old_table(cursor: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> str:
    """The table ``embeddings`` of Chroma 0.3's ``raw_sql``; ``uuid`` is the number of the item."""
    parts = []
    for source in sources:
        view = _view(cursor, source, with_vectors=True)
        entry = source.entry
        keys = [quote(alias) for alias in sql_columns(source.places)]
        # DuckDB 1.5 ends an SQL text at a NUL, which a key may hold.
        names = [literal(key).replace("\0", "' || chr(0) || '") for key in source.places]
        fields = ", ".join(f"{name}, {alias}" for name, alias in zip(names, keys, strict=True))
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
