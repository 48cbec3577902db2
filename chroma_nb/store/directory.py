"""The files of a store: names, first checks, leftovers.

PATH/chroma_nb.duckdb                           rows; the truth
PATH/vectors/<collection id>.<generation>.f32   vectors; the truth (see `vectors`)
PATH/graphs/<collection id>.<generation>.graph  search graphs; a cache
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from chroma_nb.errors import ForeignStoreError, ReadOnlyStoreError
from chroma_nb.store.catalog import Entry
from chroma_nb.store.duck_errors import translated

_log = logging.getLogger(__name__)

DATABASE = "chroma_nb.duckdb"
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
        with translated(path):
            self._check()
            if not read_only:
                for folder in (path, path / "vectors", path / "graphs"):
                    folder.mkdir(parents=True, exist_ok=True)

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ForeignStoreError(f"{self.path} is a file. A store is a directory: choose another path.")
        if self.database.exists():
            return
        for name, what in _FOREIGN.items():
            if (self.path / name).exists():
                raise ForeignStoreError(
                    f"{self.path} holds {what} ({name}), which chroma_nb does not change in place. "
                    "Choose another directory for the new store."
                )
        if self.read_only:
            raise ReadOnlyStoreError(f"{self.path} holds no store to read. Open it without read_only=True to make one.")

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

    def remove(self, *paths: Path) -> None:
        """Remove files that nothing refers to any more; what resists goes at the next opening."""
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.info("%s could not be removed yet: %s", path, error)

    def sweep(self, entries: Iterable[Entry]) -> None:
        """Remove what interrupted deletions, compactions and savings left behind."""
        kept = {path for entry in entries for path in (self.vectors(entry), self.graph(entry))}
        for folder in (self.path / "vectors", self.path / "graphs"):
            self.remove(*(path for path in folder.iterdir() if path not in kept))
        self.remove(*self.path.glob(f"{DATABASE}.*.new*"))
