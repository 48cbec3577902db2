"""The SQLite database of a Chroma directory, opened so that nothing in the directory changes.

Opening a database for reading is not enough: one in WAL mode makes files beside it even then, and one that a crash
left behind (``-journal``, ``-wal``) is repaired in place. Such a database is read from a copy in a temporary folder.
The places of the file's header are those of SQLite's documentation of its file format.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import pathname2url

from chroma_nb.errors import ClosedStoreError, CorruptStoreError, StoreError, StoreLockedError, StoreWriteError

_HEADER = 100  # bytes
_MAGIC = b"SQLite format 3\0"
_HOT = bytes.fromhex("d9d505f920a163d7")  # a rollback journal begins so while it is needed
_WAL_MODE = b"\2\2"
_PATIENCE = 30.0  # seconds to wait for a writer's lock
_TRIES = 3


class Database:
    """A database for reading; its methods may be called from several threads, one at a time.

    Args:
        path: of the file.

    Raises:
        CorruptStoreError: it is torn, or no SQLite database.
        StoreLockedError: somebody is writing to it all the time.
        StoreWriteError: it has to be copied, and there is no room for the copy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._connection: sqlite3.Connection | None = None
        try:
            with self._translated():
                self._connection = self._opened()
                self._check()
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement selects."""
        with self._translated():
            return self._execute(statement, parameters).fetchall()

    def parts(self, statement: str, parameters: Sequence[Any], rows: int) -> Iterator[list[tuple[Any, ...]]]:
        """The same, so many rows at once at most."""
        with self._translated():
            cursor = self._execute(statement, parameters)
            try:
                while found := cursor.fetchmany(rows):
                    yield found
            finally:
                cursor.close()  # and with it the lock that keeps writers out

    def columns(self, table: str) -> list[str]:
        """The columns of a table; none if there is no such table."""
        return [name for (name,) in self.rows("SELECT name FROM pragma_table_info(?)", (table,))]

    def close(self) -> None:
        """Let go of the file, and of the copy if one was needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _execute(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise ClosedStoreError(f"The reader of {self._path} was closed.")
        return self._connection.execute(statement, parameters)

    def _opened(self) -> sqlite3.Connection:
        header = _checked_header(self._path)
        wal, journal = (self._path.with_name(self._path.name + suffix) for suffix in ("-wal", "-journal"))
        used = [other for other in (wal, journal) if _holds(other, _HOT if other is journal else b"")]
        if used:
            return self._connected(self._copied(used), "mode=rw")
        return self._connected(self._path, "immutable=1" if header[18:20] == _WAL_MODE else "mode=ro")

    def _connected(self, path: Path, how: str) -> sqlite3.Connection:
        address = f"file:{pathname2url(str(path.absolute()))}?{how}"
        return sqlite3.connect(address, timeout=_PATIENCE, uri=True, check_same_thread=False, isolation_level=None)

    def _check(self) -> None:
        """Reading a damaged page fails; this finds such pages of the tables before anything was imported."""
        if not {"collections", "segments", "embeddings", "embedding_metadata"} <= self._tables():
            raise CorruptStoreError(f"{self._path} is no database of Chroma: tables of it are missing.")
        for table in ("collections", "segments", "embeddings", "embedding_metadata"):
            said = self._execute(f"PRAGMA quick_check('{table}')").fetchone()
            if said != ("ok",):
                raise CorruptStoreError(f"{self._path} is damaged: {str(said[0]).splitlines()[-1]}")

    def _tables(self) -> set[str]:
        return {name for (name,) in self._execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def _copied(self, beside: list[Path]) -> Path:
        """A copy with the files that belong to it, in which SQLite may do its repairs."""
        self._folder = tempfile.TemporaryDirectory(prefix="chroma_nb-import-")
        folder = Path(self._folder.name)
        for _ in range(_TRIES):
            before = _stamps([self._path, *beside])
            for path in (self._path, *beside):
                shutil.copyfile(path, folder / path.name)
            if _stamps([self._path, *beside]) == before:
                return folder / self._path.name
        raise StoreLockedError(f"{self._path} is being written by another process. Stop it, and import again.")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StoreError:  # some of ours are OSErrors too
            raise
        except sqlite3.Error as error:
            raise self._told(error) from error
        except FileNotFoundError as error:
            raise CorruptStoreError(f"{error.filename} vanished while it was read.") from error
        except OSError as error:
            raise StoreWriteError(f"{self._path} cannot be read: {error}") from error

    def _told(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreLockedError(f"{self._path} is being written by another process. Stop it, and import again.")
        if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
            return StoreWriteError(f"There is no room for the copy of {self._path} that has to be read.")
        return CorruptStoreError(f"{self._path} cannot be read, it may be damaged: {error}.")


def _checked_header(path: Path) -> bytes:
    """The header; CorruptStoreError if they are not those of a database, or pages are missing at its end."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    size = path.stat().st_size
    if size == 0:
        raise CorruptStoreError(f"{path} is empty.")
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise CorruptStoreError(f"{path} is not a SQLite database, or its beginning is damaged.")
    page = int.from_bytes(header[16:18], "big")
    pages, changes, valid_for = (int.from_bytes(header[at : at + 4], "big") for at in (28, 24, 92))
    whole = pages * (65536 if page == 1 else page)
    if changes == valid_for and size < whole and header[18:20] != _WAL_MODE:
        raise CorruptStoreError(f"{path} is torn: it has {size:,} of {whole:,} bytes.")
    return header


def _holds(path: Path, beginning: bytes) -> bool:
    """Whether there is such a file with something in it that begins so."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _stamps(paths: Sequence[Path]) -> list[tuple[int, int]]:
    return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in paths)]
