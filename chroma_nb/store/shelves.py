"""The database and what memory holds of it, kept in step.

A write goes through `committing`: whatever interrupts it - a full disk, Ctrl-C, a bug - the
collection is read again from what was committed before it is used again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from chroma_nb.errors import CollectionExistsError, CollectionNotFoundError
from chroma_nb.store import changes
from chroma_nb.store.catalog import Catalog, Copier, Entry
from chroma_nb.store.columns import Columns
from chroma_nb.store.directory import Directory
from chroma_nb.store.duck_errors import translated
from chroma_nb.store.mirror import Mirror, Part
from chroma_nb.store.shelf import Shelf, State
from chroma_nb.store.vectors import FileVectors, MemoryVectors, Vectors
from chroma_nb.types import CollectionInfo, Kind, Matrix


class Shelves:
    """All collections of a store. Not thread-safe: the store holds its lock.

    Attributes:
        catalog: the database.
        directory: of the files; None in memory.
    """

    def __init__(self, path: Path | None, *, read_only: bool) -> None:
        self._read_only = read_only
        self.directory = None if path is None else Directory(path, read_only=read_only)
        self.catalog = self._open_catalog()
        if self.directory is not None:
            self.directory.opened()
        self._entries: dict[uuid.UUID, Entry] | None = None
        self._shelves: dict[uuid.UUID, Shelf] = {}
        self._stale: set[uuid.UUID] = set()
        if self.directory is not None and not read_only:
            self.directory.sweep(self.entries.values())

    def _open_catalog(self) -> Catalog:
        return Catalog(None if self.directory is None else self.directory.database, read_only=self._read_only)

    # collections ------------------------------------------------------------------------------

    @property
    def entries(self) -> dict[uuid.UUID, Entry]:
        """The rows of the table of collections, by collection id; read again after a failed write."""
        if self._entries is None:
            self._entries = {entry.info.id: entry for entry in self.catalog.entries()}
        return self._entries

    def entry(self, collection: uuid.UUID) -> Entry:
        """The collection of that id; CollectionNotFoundError."""
        try:
            return self.entries[collection]
        except KeyError:
            raise CollectionNotFoundError(
                "This collection was deleted. Make it again with create_collection."
            ) from None

    def check_free(self, name: str) -> None:
        """CollectionExistsError if a collection has that name."""
        if any(entry.info.name == name for entry in self.entries.values()):
            raise CollectionExistsError(
                f"Collection with name {name} already exists. Use get_collection, or get_or_create_collection."
            )

    def create(self, info: CollectionInfo) -> None:
        """A new collection."""
        with self.committing(None):
            self.entries[info.id] = self.catalog.create(info)

    def change(self, collection: uuid.UUID, info: CollectionInfo) -> None:
        """Another name, metadata or function for a collection."""
        entry = replace(self.entry(collection), info=info)
        with self.committing(collection):
            with self.catalog.transaction():
                self.catalog.save_entry(entry)
            self.entries[collection] = entry
            shelf = self._shelves.get(collection)
            if shelf is not None:
                shelf.state = State(entry, shelf.state.places, shelf.state.mirror)

    def drop(self, *collections: uuid.UUID) -> None:
        """Delete collections, all or none, and then their files."""
        entries = [self.entry(collection) for collection in collections]
        with self.committing(None):
            with self.catalog.transaction():
                for entry in entries:
                    self.catalog.drop(entry)
            for entry in entries:
                del self.entries[entry.info.id]
        for entry in entries:
            self._stale.discard(entry.info.id)
            shelf = self._shelves.pop(entry.info.id, None)
            if shelf is not None:
                shelf.dropped = True
                if shelf.columns is not None:
                    shelf.columns.dropped = True
                if shelf.vectors is not None:
                    shelf.vectors.close()
            self.remove_files(entry)

    # shelves ----------------------------------------------------------------------------------

    def loaded(self) -> list[Shelf]:
        """The collections that are in memory."""
        return list(self._shelves.values())

    def shelf(self, collection: uuid.UUID) -> Shelf:
        """The collection in memory, read from the database when first needed or after a failed write."""
        if collection in self._stale:
            old = self._shelves.get(collection)
            entry = self.entry(collection)
            vectors = None
            if old is not None and self.directory is None and entry.info.dimension is not None:
                # In memory the vectors themselves are all there is of them.
                vectors = old.successors.get(entry.generation, old.vectors)
            self._shelves[collection] = self.load(entry, vectors)
            self._stale.discard(collection)
            if old is not None:
                old.dropped = True
        elif collection not in self._shelves:
            self._shelves[collection] = self.load(self.entry(collection), None)
        return self._shelves[collection]

    def count(self, collection: uuid.UUID) -> int:
        """How many items there are; of a collection not in memory, without reading it."""
        if collection in self._shelves and collection not in self._stale:
            return self._shelves[collection].state.mirror.count
        return self.catalog.items.count(self.entry(collection).number)

    def places(self, collection: uuid.UUID) -> changes.Places:
        """Where the metadata of a collection is, without reading its items."""
        if collection in self._shelves and collection not in self._stale:
            return self._shelves[collection].state.places
        return self.catalog.places(self.entry(collection).number)

    def keys(self, collection: uuid.UUID) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys with the kinds of their values; of a collection not in memory, all that there ever were."""
        if collection in self._shelves and collection not in self._stale:
            return self._shelves[collection].state.held
        return {key: tuple(kinds) for key, kinds in self.places(collection).items()}

    def indexed(self, collection: uuid.UUID) -> int:
        """How many slots the graph covers, as far as is known without reading it."""
        shelf = self._shelves.get(collection)
        return 0 if shelf is None or shelf.graph is None else shelf.graph.upto

    def vectors(self, collection: uuid.UUID) -> Matrix:
        """The vectors of all slots, shape (slots, dim), without a copy."""
        return self.shelf(collection).held()

    def replace(self, shelf: Shelf, successor: Shelf) -> None:
        """Put another shelf in the place of one that nobody shall use any more."""
        shelf.dropped = True
        self._shelves[successor.state.entry.info.id] = successor

    def load(self, entry: Entry, vectors: Vectors | None) -> Shelf:
        """Read a collection from the database."""
        places = self.catalog.places(entry.number)
        types = changes.dense_types(places)
        columns = None if self.directory is None else Columns(self.directory.columns)
        parts = [] if columns is None else columns.load(entry)
        for start, stop in [(0, entry.next_row)] if columns is None else columns.missing(entry):
            table = self.catalog.items.load(entry.number, list(types), start, stop)
            sparse = self.catalog.items.load_sparse(entry.number, places, start, stop)
            parts.append(Part.of_table(table, types, sparse))
        parts = sorted((part for part in parts if len(part.rows)), key=lambda part: int(part.rows[0]))
        if vectors is None and entry.info.dimension is not None:
            vectors = self.make_vectors(entry, entry.info.dimension)
        return Shelf(State(entry, places, Mirror.load(parts, types, entry.next_slot)), vectors, columns)

    def make_vectors(self, entry: Entry, dimension: int) -> Vectors:
        """The place for the vectors of a collection."""
        if self.directory is None:
            return MemoryVectors(dimension)
        return FileVectors(self.directory.vectors(entry), dimension, entry.next_slot)

    def remove_files(self, entry: Entry) -> None:
        """Remove the files of a collection, or of a generation of it, that nothing refers to any more."""
        if self.directory is not None:
            columns = self.directory.columns.glob(f"{entry.info.id}.*.columns")
            self.directory.remove(self.directory.vectors(entry), self.directory.graph(entry), *columns)

    def freeze(self, folder: Path) -> Copier:
        """Put the files beside the database into a folder; what copies the database of this moment."""
        copier = self.catalog.copier()
        if self.directory is not None:
            self.directory.link(folder, self.entries.values())
        return copier

    def close(self) -> None:
        """Let go of all files."""
        for shelf in self._shelves.values():
            if shelf.vectors is not None:
                shelf.vectors.close()
        self._shelves.clear()
        self.catalog.close()

    # failures ---------------------------------------------------------------------------------

    @contextmanager
    def committing(self, collection: uuid.UUID | None) -> Iterator[None]:
        """Guard a write to a collection (None: to no collection in memory)."""
        try:
            with translated(None if self.directory is None else self.directory.path):
                yield
        except BaseException:
            self._entries = None
            if collection is not None:
                self._stale.add(collection)
            self._reopen()
            raise

    def _reopen(self) -> None:
        """DuckDB refuses all work after some failed commits; what was committed is safe in the file."""
        if self.directory is not None and not self.catalog.alive():
            self.catalog.close()
            self.catalog = self._open_catalog()
