"""An old directory of Chroma 0.3 becomes a store of ours, beside the old files, when it is opened for the first time.

PATH/chroma_nb.importing/store      the store while it is made
PATH/chroma_nb.importing/complete   it is made: what is left is to move it beside the old files, its database last
PATH/chroma_nb.importing/lock       a DuckDB file, locked by the process that works

As long as the database is not in its place the directory holds no store: what is half imported never looks complete,
and the next opening goes on from there. Of several processes that come at once, one works while the others wait.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

import duckdb

from chroma_nb.errors import CorruptStoreError, ForeignStoreError, ReadOnlyStoreError, StoreError, StoreLockedError
from chroma_nb.migrate.importing import THERE, import_source
from chroma_nb.migrate.reports import Imported
from chroma_nb.migrate.source import open_source
from chroma_nb.store.directory import DATABASE
from chroma_nb.store.duck_errors import translated
from chroma_nb.store.local import LocalStore

_POLL = 0.1  # seconds
_one_thread = threading.Lock()  # DuckDB lets one process open a file several times
_log = logging.getLogger(__name__)


def adopt(path: Path) -> None:
    """Import the files of Chroma 0.3 in a directory into a store in the same directory, unless that was done before.

    Raises:
        CorruptStoreError: the old files are damaged; nothing was imported.
        ReadOnlyStoreError: the directory cannot be written.
        StoreError: writing failed; the next opening goes on from there.
    """
    path = path.expanduser().resolve()
    folder = path / "chroma_nb.importing"
    with _one_thread:
        lock = _locked(path, folder)
        if lock is None:
            return
        try:
            if not (path / DATABASE).exists():  # by a process that was faster
                if not (folder / "complete").exists():
                    _import(path, folder)
                _put_in_place(folder / "store", path)
        finally:
            lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _locked(path: Path, folder: Path) -> duckdb.DuckDBPyConnection | None:
    """What no other process has as long as this one does not close it, or end; None if there is nothing to do."""
    waited = False
    while not (path / DATABASE).exists():
        try:
            with translated(path):
                folder.mkdir(exist_ok=True)
                return duckdb.connect(folder / "lock")
        except StoreLockedError:
            if not waited:
                _log.warning("Another process is importing the data of Chroma 0.3 in %s: waiting for it.", path)
            waited = True
            time.sleep(_POLL)
        except ReadOnlyStoreError as error:
            raise ReadOnlyStoreError(
                f"{error} To import what Chroma 0.3 left there into another directory: "
                f"chroma_nb.Client('./NEW').import_directory({str(path)!r})"
            ) from error
        except StoreError as error:
            if (path / DATABASE).exists():
                continue  # the folder went because all is done
            if not isinstance(error, CorruptStoreError | ForeignStoreError) or not (folder / "lock").is_file():
                raise
            (folder / "lock").unlink(missing_ok=True)  # cut off when it was made, by a full disk; nobody has it
    return None


def _import(path: Path, folder: Path) -> None:
    with open_source(path) as source:
        store = LocalStore(folder / "store")
        try:
            # "skip": between two collections that get their names the process may have ended.
            reports = import_source(source, store, on_conflict="skip")
            store.persist()
        except CorruptStoreError:
            store.close()
            shutil.rmtree(folder / "store", ignore_errors=True)
            raise
        finally:
            store.close()
    (folder / "complete").touch()
    _tell(path, reports)


def _put_in_place(made: Path, path: Path) -> None:
    """Move a store beside the old files; what was moved before the process ended is not there any more."""
    for inner in [inner for inner in made.iterdir() if inner.name != DATABASE]:
        if inner.is_dir():
            (path / inner.name).mkdir(exist_ok=True)
            for file in inner.iterdir():
                file.replace(path / inner.name / file.name)
        else:
            inner.replace(path / inner.name)
    (made / DATABASE).replace(path / DATABASE)


def _tell(path: Path, reports: list[Imported]) -> None:
    # What an earlier run had completed is there already; that is no news.
    left_out = [(report, [reason for reason in report.reasons if reason.what != THERE]) for report in reports]
    items = sum(report.rows - sum(reason.count for reason in reasons) for report, reasons in left_out)
    _log.warning(
        "Imported %d collections with %s items from the files of Chroma 0.3 in %s. These stay as they are; what is "
        "written from now on goes to %s beside them.",
        len(reports),
        f"{items:,}",
        path,
        DATABASE,
    )
    for report, reasons in left_out:
        for reason in reasons:
            _log.warning("Rows of %r that were left out: %s", report.collection, reason)
