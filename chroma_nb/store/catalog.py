"""The DuckDB connection: opening, transactions, and the tables of collections and their keys.

A `Catalog` knows rows and transactions, nothing of vectors or of the index. It is not
thread-safe: the store serialises its calls.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from chroma_nb.errors import ForeignStoreError, NewerStoreError, ReadOnlyStoreError
from chroma_nb.store import schema
from chroma_nb.store.calls import CallTable
from chroma_nb.store.duck_errors import translated
from chroma_nb.store.files import publish
from chroma_nb.store.forks import guarded
from chroma_nb.store.items import ItemTables
from chroma_nb.store.saved import SavedTables
from chroma_nb.store.schema import SCHEMA, items_table, literal, sparse_table
from chroma_nb.store.where_sql import SQL_TYPES, Place
from chroma_nb.types import CollectionInfo, IndexSettings, IntArray, Kind, Metric

_log = logging.getLogger(__name__)

_COLLECTION_COLUMNS = (
    "number, id, name, metadata, settings, dimension, embedding_function, next_row, next_slot, generation, version, "
    "stamps"
)


@dataclass(frozen=True)
class Entry:
    """A row of the table of collections."""

    number: int
    info: CollectionInfo
    next_row: int
    next_slot: int
    generation: int
    stamps: tuple[int, ...] = ()

    def stamped(self, rows: IntArray) -> Entry:
        """With other stamps for the chunks of these rows, and one for each chunk that has none."""
        changed = set((rows // schema.CHUNK).tolist())
        known = dict(enumerate(self.stamps))
        chunks = range(-(-self.next_row // schema.CHUNK))
        stamps = (schema.new_stamp() if at in changed or at not in known else known[at] for at in chunks)
        return replace(self, stamps=tuple(stamps))


class Catalog:
    """One database, in memory or in a file.

    Args:
        path: of the file; None for memory.
        read_only: open the file without the right to write.

    Attributes:
        items: the tables of items, in the same database and transactions.
        saved: the tables of maps and views, likewise.
        calls: the journal of calls from other processes, likewise.

    Raises:
        StoreError: one of its subclasses says why the file cannot be used.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self._connection = guarded(duckdb.connect())
        self.items = ItemTables(self._connection)
        self.saved = SavedTables(self._connection)
        self.calls = CallTable(self._connection)
        try:
            with translated(path):
                self._set_up()
                if path is not None and not read_only and not path.exists():
                    self._make(path)
                self._attach(path, "READ_ONLY" if read_only else "READ_WRITE")
                self._migrate(path, read_only)
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self) -> None:
        for setting in (
            # Names in a statement never mean the Python variables of whoever runs it.
            "python_enable_replacements",
            # Nothing is ever downloaded because a statement or a file looks as if it needed it.
            "autoinstall_known_extensions",
            "autoload_known_extensions",
        ):
            self._connection.execute(f"SET {setting} = false")
        # More than 2 GiB of text in a column need 64-bit offsets.
        self._connection.execute("SET arrow_large_buffer_size = true")

    def _attach(self, path: Path | None, options: str) -> None:
        target = ":memory:" if path is None else str(path)
        # Without the type DuckDB guesses it from the file's first bytes.
        self._connection.execute(f"ATTACH {literal(target)} AS store (TYPE duckdb, {options})")
        self._connection.execute("USE store")

    def _make(self, path: Path) -> None:
        """Make the file under another name first: a half-made database never has the final one."""
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
        try:
            self._attach(temporary, f"STORAGE_VERSION '{schema.STORAGE_VERSION}'")
            self._migrate(temporary, read_only=False)
            self._connection.execute("USE memory")
            self._connection.execute("DETACH store")
            publish(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _migrate(self, path: Path | None, read_only: bool) -> None:
        version = self._schema_version(path)
        if version > schema.VERSION:
            raise NewerStoreError(
                f"{path} has version {version} of the tables; this chroma_nb knows {schema.VERSION}. "
                "Run: pip install --upgrade chroma-nb"
            )
        if version == schema.VERSION:
            return
        if read_only:
            raise ReadOnlyStoreError(
                f"{path} has version {version} of the tables and must be brought to {schema.VERSION}: "
                "open it once without read_only=True."
            )
        with self.transaction():
            for migrate in schema.MIGRATIONS[version:]:
                migrate(self._connection)
            self._connection.execute(
                f"UPDATE {SCHEMA}.store SET value = ? WHERE key = 'version'", [str(schema.VERSION)]
            )

    def _schema_version(self, path: Path | None) -> int:
        found = self._connection.execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'store' AND NOT internal"
        ).fetchall()
        if ("chroma_nb",) not in found:
            tables = self._connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'"
            ).fetchall()
            if tables:
                raise ForeignStoreError(
                    f"{path} is a DuckDB database, but not one of chroma_nb. Choose another directory."
                )
            return 0
        rows = self._connection.execute(f"SELECT value FROM {SCHEMA}.store WHERE key = 'version'").fetchall()
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Close the database; a file gets its write-ahead log merged by DuckDB."""
        self._connection.close()

    def alive(self) -> bool:
        """Whether the database still answers; after some failed commits DuckDB refuses all work."""
        try:
            self._connection.execute(f"SELECT count(*) FROM {SCHEMA}.store").fetchall()
        except duckdb.Error:
            return False
        return True

    def checkpoint(self) -> None:
        """Merge the write-ahead log into the file; while a copy is made, it stays, which is as durable."""
        try:
            self._connection.execute("CHECKPOINT store")
        except duckdb.TransactionException as error:
            _log.debug("the write-ahead log is merged later: %s", error)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on leaving; on any exception, interrupts included, roll back and pass it on."""
        try:
            self._connection.execute("BEGIN TRANSACTION")
            yield
            self.calls.commit()
            self._connection.execute("COMMIT")
            self.calls.committed()
        except BaseException:
            self.calls.forget()
            self._rollback()
            raise

    def _rollback(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:
            # A failed COMMIT has rolled back already; the first error is the one to report.
            return

    # collections ------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All collections, oldest first."""
        rows = self._connection.execute(
            f"SELECT {_COLLECTION_COLUMNS} FROM {SCHEMA}.collections ORDER BY number"
        ).fetchall()
        return [_entry(row) for row in rows]

    def create(self, info: CollectionInfo) -> Entry:
        """A new collection with its tables."""
        with self.transaction():
            rows = self._connection.execute(
                f"UPDATE {SCHEMA}.store SET value = (value::INTEGER + 1)::VARCHAR WHERE key = 'collections' "
                "RETURNING value"
            ).fetchall()
            entry = Entry(int(rows[0][0]), info, 0, 0, 0)
            for statement in schema.item_tables(entry.number):
                self._connection.execute(statement)
            self._connection.execute(
                f"INSERT INTO {SCHEMA}.collections ({_COLLECTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _values(entry),
            )
        return entry

    def save_entry(self, entry: Entry) -> None:
        """Write a changed row back (inside a transaction of the caller)."""
        names = [name.strip() for name in _COLLECTION_COLUMNS.split(",")][1:]
        self._connection.execute(
            f"UPDATE {SCHEMA}.collections SET {', '.join(f'{name} = ?' for name in names)} WHERE number = ?",
            [*_values(entry)[1:], entry.number],
        )

    def drop(self, entry: Entry) -> None:
        """Remove a collection and its tables (inside a transaction of the caller)."""
        self._connection.execute(f"DROP TABLE {items_table(entry.number)}")
        self._connection.execute(f"DROP TABLE {sparse_table(entry.number)}")
        self.saved.drop(entry.number)
        self._connection.execute(f"DELETE FROM {SCHEMA}.metadata_keys WHERE collection = ?", [entry.number])
        self._connection.execute(f"DELETE FROM {SCHEMA}.collections WHERE number = ?", [entry.number])

    # metadata keys ----------------------------------------------------------------------------

    def places(self, number: int) -> dict[str, dict[Kind, Place]]:
        """Where the metadata of a collection is, keys in order of first appearance."""
        rows = self._connection.execute(
            f"SELECT key, kind, number, col FROM {SCHEMA}.metadata_keys WHERE collection = ? ORDER BY number", [number]
        ).fetchall()
        places: dict[str, dict[Kind, Place]] = {}
        for key, kind, place, column in rows:
            places.setdefault(key, {})[Kind(kind)] = Place(place, column)
        return places

    def add_places(self, number: int, added: Mapping[tuple[str, Kind], Place]) -> None:
        """Record new pairs and make their columns (inside a transaction of the caller)."""
        for (key, kind), place in added.items():
            self._connection.execute(
                f"INSERT INTO {SCHEMA}.metadata_keys VALUES (?, ?, ?, ?, ?)",
                [number, place.number, key, kind.value, place.column],
            )
            if place.column is not None:
                self._connection.execute(
                    f"ALTER TABLE {items_table(number)} ADD COLUMN {place.column} {SQL_TYPES[kind]}"
                )

    # copies -----------------------------------------------------------------------------------

    def copier(self) -> Copier:
        """Copies the database as it is now, at leisure."""
        return Copier(self.cursor())

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database."""
        cursor = guarded(self._connection.cursor())
        cursor.execute("USE store")
        return cursor


class Copier:
    """Copies a database as it was when this was made; what is written meanwhile neither waits nor shows.

    Not by reading the file: on POSIX systems, to close it again would end DuckDB's lock on it.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute(f"SELECT count(*) FROM {SCHEMA}.store").fetchall()  # this is the moment

    def copy(self, path: Path) -> None:
        """Write the copy; once."""
        name = schema.quote(f"copy {uuid.uuid4().hex}")
        with self._cursor:
            self._cursor.execute(f"ATTACH {literal(str(path))} AS {name} (STORAGE_VERSION '{schema.STORAGE_VERSION}')")
            try:
                self._cursor.execute(f"COPY FROM DATABASE store TO {name}")
                self._cursor.execute("COMMIT")
            finally:
                self._cursor.execute("USE store")
                self._cursor.execute(f"DETACH {name}")


def _values(entry: Entry) -> list[Any]:
    info = entry.info
    return [
        entry.number,
        str(info.id),
        info.name,
        None if info.metadata is None else json.dumps(info.metadata),
        json.dumps(asdict(info.settings)),
        info.dimension,
        info.embedding_function,
        entry.next_row,
        entry.next_slot,
        entry.generation,
        info.version,
        np.array(entry.stamps, dtype="<i8").tobytes(),
    ]


def _entry(row: Sequence[Any]) -> Entry:
    number, id_, name, metadata, settings, dimension, function, next_row, next_slot, generation, version, stamps = row
    read = IndexSettings(**json.loads(settings))
    info = CollectionInfo(
        id=uuid.UUID(id_),
        name=name,
        metadata=None if metadata is None else json.loads(metadata),
        settings=replace(read, space=Metric(read.space)),
        dimension=dimension,
        embedding_function=function,
        version=version,
    )
    return Entry(number, info, next_row, next_slot, generation, tuple(np.frombuffer(stamps, dtype="<i8").tolist()))
