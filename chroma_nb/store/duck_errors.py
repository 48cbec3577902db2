"""DuckDB's exceptions -> ours, at the border, by one context manager."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from chroma_nb.errors import (
    ChromaNbError,
    CorruptStoreError,
    ForeignStoreError,
    NewerStoreError,
    ReadOnlyStoreError,
    StoreError,
    StoreLockedError,
    StoreWriteError,
)

_FAILED_WRITE = (
    "No space left",
    "File too large",
    "uota exceeded",
    "nput/output error",
    "Could not write",
    "Failed to commit",
)
_DAMAGE = ("checksum", "orrupt", "Could not read enough bytes", "attempted to read")


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn what DuckDB raises about the database at ``path`` into errors that say what to do."""
    try:
        yield
    except duckdb.Error as error:
        if "KeyboardInterrupt" in str(error):  # raised while DuckDB read one of our tables
            raise KeyboardInterrupt from None
        raise _translate(error, path) from error
    except RuntimeError as error:
        # So DuckDB 2 reports Ctrl-C (an interrupted kernel) while it works.
        if type(error) is RuntimeError and "nterrupted" in str(error):
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        if isinstance(error, ChromaNbError):
            raise
        raise _os_error(error, path) from error


def _translate(error: duckdb.Error, path: Path | None) -> ChromaNbError:
    text = str(error).splitlines()[0]
    where = "memory" if path is None else str(path)
    if "Could not set lock" in text or "being used by another process" in text:
        holder = re.search(r"PID (\d+)", text)
        who = f"process {holder[1]}" if holder else "another process"
        return StoreLockedError(
            f"{where} is open in {who}, which does not share it. Close it there (client.close(), or restart that "
            "kernel) and try again."
        )
    if "Unique file handle conflict" in text:
        return StoreLockedError(
            f"{where} is still open in this process, or was when this one was forked from another. Close it there, or "
            "use it in a new process (multiprocessing: the start method 'spawn')."
        )
    if "not a valid DuckDB database file" in text:
        return ForeignStoreError(f"{where} is not a chroma_nb store. Choose another directory, or move that file away.")
    if "version number" in text and re.search("read (storage )?versions", text):
        return NewerStoreError(
            f"{where} was written by a newer DuckDB than the {duckdb.__version__} installed here. "
            "Run: pip install --upgrade duckdb"
        )
    if "ermission denied" in text or "Read-only file system" in text:
        return ReadOnlyStoreError(_no_permission(where, path))
    if any(sign in text for sign in _FAILED_WRITE):
        return StoreWriteError(_no_space(where, text))
    if isinstance(error, duckdb.InternalException) or "has been invalidated" in text:
        return StoreError(
            f"DuckDB failed while working on {where}: {text}. What was committed is safe, and the store was opened "
            "anew. Try again; if it happens again, please report it."
        )
    if any(sign in text for sign in _DAMAGE) or isinstance(error, duckdb.SerializationException):
        return CorruptStoreError(f"{where} is damaged: {text}. Restore the directory from a backup.")
    if isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.OutOfMemoryException):
        return StoreWriteError(_no_space(where, text))
    return StoreError(f"The database at {where} failed: {text}")


def _os_error(error: OSError, path: Path | None) -> ChromaNbError:
    where = str(error.filename or path)
    if isinstance(error, NotADirectoryError | FileExistsError):
        return ForeignStoreError(
            f"{where}: a part of this path is a file. A store is a directory: choose another path."
        )
    if isinstance(error, PermissionError) or error.errno == 30:  # 30: read-only file system
        return ReadOnlyStoreError(_no_permission(where, Path(where)))
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{where} is missing: {error}. Restore the directory from a backup, or choose another one.")
    return StoreWriteError(_no_space(where, str(error)))


def _no_permission(where: str, path: Path | None) -> str:
    # os.path.isdir, unlike Path.is_dir, says False of what may not be looked at.
    folder = None if path is None else path if os.path.isdir(path) else path.parent  # noqa: PTH112
    effective = os.access in os.supports_effective_ids
    if folder is not None and not os.access(folder, os.R_OK | os.X_OK, effective_ids=effective):
        return f"No permission to read {where}. Ask its owner for access, or choose a directory of your own."
    return (
        f"No permission to write at {where}. Open it for reading only with Client(path, read_only=True), or choose a "
        "directory of your own."
    )


def _no_space(where: str, text: str) -> str:
    return f"Reading or writing {where} failed: {text}. Nothing of this call was kept. Free some space and try again."
