"""The files of a store: names, first checks, leftovers.

PATH/chroma_nb.duckdb                           rows; the truth
PATH/vectors/<collection id>.<generation>.f32   vectors; the truth (see `vectors`)
PATH/graphs/<collection id>.<generation>.graph  search graphs; a cache
PATH/columns/<collection id>.<...>.columns      columns of items; a cache (see `columns`)

and, of `chroma_nb.sharing`,

PATH/owner.json                                 where the process that has the store open is to be found
PATH/frozen/<number>/                           the same files once more, as they were at some moment
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from chroma_nb.errors import CorruptStoreError, ForeignStoreError, ReadOnlyStoreError
from chroma_nb.store.catalog import Entry
from chroma_nb.store.columns import filed
from chroma_nb.store.duck_errors import translated

_log = logging.getLogger(__name__)

DATABASE = "chroma_nb.duckdb"
_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_NAME = re.compile(rf"{_ID}\.\d+\.((f32|graph|[0-9a-f]+\.tmp)|\d+\.\d+\.columns(\.[0-9a-f]+\.tmp)?)")
_FOLDERS = ("vectors", "graphs", "columns")
_FOREIGN = {
    "chroma.sqlite3": "a database of Chroma 0.4 or later",
    "chroma-embeddings.parquet": "a database of Chroma 0.3 (duckdb+parquet)",
    "chroma-collections.parquet": "a database of Chroma 0.3 (duckdb+parquet)",
}


class Directory:
    """The directory of a store on disk.

    Raises:
        ForeignStoreError: the path is a file, or holds another product's database.
        ReadOnlyStoreError: it does not exist and cannot be made.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._identity: tuple[int, int] | None = None
        with translated(path):
            self._check()
            if not read_only:
                for folder in (path, *(path / name for name in _FOLDERS)):
                    folder.mkdir(parents=True, exist_ok=True)

    def _own_files(self) -> list[Path]:
        """Files with the names this store gives; others, whoever put them there, are none of its business."""
        folders = [self.path / name for name in _FOLDERS if (self.path / name).is_dir()]
        return [path for folder in folders for path in folder.iterdir() if _OWN_NAME.fullmatch(path.name)]

    def _check(self) -> None:
        if os.sep == "/" and "\\" in str(self.path):
            raise ForeignStoreError(f"{self.path}: DuckDB takes a backslash in a path for a slash. Choose another.")
        if self.path.exists() and not self.path.is_dir():
            raise ForeignStoreError(f"{self.path} is a file. A store is a directory: choose another path.")
        if self.database.exists():
            return
        for name, what in _FOREIGN.items():
            if (self.path / name).exists():
                raise ForeignStoreError(
                    f"{self.path} holds {what} ({name}), which chroma_nb does not change in place. Import it into "
                    f"another directory: chroma_nb.Client('./NEW').import_directory({str(self.path)!r}), or on the "
                    f"command line: chroma-nb import {shlex.quote(str(self.path))} --into ./NEW"
                )
        if any(path.suffix == ".f32" for path in self._own_files()):
            raise CorruptStoreError(
                f"{self.path} holds vectors of a store, but {DATABASE} is missing. Put it back, or choose another path."
            )
        if self.read_only:
            raise ReadOnlyStoreError(f"{self.path} holds no store to read. Open it without read_only=True to make one.")

    def opened(self) -> None:
        """Remember which file the database is, for `intact`."""
        self._identity = self._inode()

    def intact(self) -> bool:
        """Whether the database is still the file that was opened."""
        return self._inode() == self._identity

    def _inode(self) -> tuple[int, int] | None:
        try:
            status = self.database.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.path / DATABASE

    def vectors(self, entry: Entry) -> Path:
        """The vectors of a collection."""
        return self.path / "vectors" / f"{entry.info.id}.{entry.generation}.f32"

    def graph(self, entry: Entry) -> Path:
        """The graph of a collection."""
        return self.path / "graphs" / f"{entry.info.id}.{entry.generation}.graph"

    @property
    def columns(self) -> Path:
        """The folder of the columns of all collections."""
        return self.path / "columns"

    def _files(self, entries: Iterable[Entry]) -> list[Path]:
        """What there may be of these collections, as the database says."""
        entries = list(entries)
        columns = (file.path for file in filed(self.columns, entries).values())
        return [*map(self.vectors, entries), *map(self.graph, entries), *columns]

    def remove(self, *paths: Path) -> None:
        """Remove files that nothing refers to any more; what resists goes at the next opening."""
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.info("%s could not be removed yet: %s", path, error)

    def link(self, folder: Path, entries: Iterable[Entry]) -> None:
        """Give the files of collections another name in a folder; copies where links do not work.

        Vectors that are there never change, and graphs and columns are replaced as a whole.
        """
        for name in _FOLDERS:
            (folder / name).mkdir()
        for path in self._files(entries):
            # What is a cache may be replaced by a newer one in this very moment.
            with contextlib.suppress(FileNotFoundError):
                link_or_copy(path, folder / path.relative_to(self.path))

    def sweep(self, entries: Iterable[Entry]) -> None:
        """Remove what interrupted deletions, compactions and savings left behind."""
        kept = set(self._files(entries))
        self.remove(*(path for path in self._own_files() if path not in kept))
        self.remove(*self.path.glob(f"{DATABASE}.*.new*"), *self.path.glob("owner.json.*.new"))


def link_or_copy(path: Path, other: Path) -> None:
    """Another name for a file, or a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
