"""The store on this machine: `Store` over a database, vectors and graphs."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from chroma_nb.errors import (
    ClosedStoreError,
    CollectionNotFoundError,
    NotSupportedError,
    ReadOnlyStoreError,
    StoreError,
    suggest,
)
from chroma_nb.store import sql_views, writing
from chroma_nb.store.directory import DATABASE
from chroma_nb.store.duck_errors import translated
from chroma_nb.store.indexer import Indexer
from chroma_nb.store.local_writing import Written
from chroma_nb.store.protocol import Progress
from chroma_nb.store.search import nearest
from chroma_nb.store.selecting import allowed, selected
from chroma_nb.store.shelves import Shelves
from chroma_nb.store.snapshot import LocalSnapshot
from chroma_nb.types import (
    CollectionInfo,
    CollectionStats,
    Hits,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class LocalStore(Written):
    """A `Store` in memory (``path=None``) or in a directory.

    Attributes:
        read_only: whether every write is refused.
        closed: whether `close` was called.

    Raises:
        StoreError: one of its subclasses says why the directory cannot be used.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.closed = False
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._shelves = Shelves(path, read_only=read_only)
        self._indexer = Indexer(self._shelves, saves=not read_only)

    @property
    def location(self) -> str:
        """The path of the directory, or "memory"."""
        directory = self._shelves.directory
        return "memory" if directory is None else str(directory.path)

    def heartbeat(self) -> int:
        """A sign of life."""
        return time.time_ns()

    # collections ------------------------------------------------------------------------------

    def list_collections(self) -> list[CollectionInfo]:
        """All collections, oldest first."""
        with self._open():
            return [entry.info for entry in self._shelves.entries.values()]

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name."""
        infos = self.list_collections()
        for info in infos:
            if info.name == name:
                return info
        hint = suggest(name, [info.name for info in infos])
        raise CollectionNotFoundError(f"Collection {name} does not exist.{hint}")

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id."""
        with self._open():
            return self._shelves.entry(collection).info

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection."""
        with self._open(writing=True):
            self._shelves.check_free(info.name)
            self._shelves.create(info)
            return info

    def modify_collection(
        self,
        collection: uuid.UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        embedding_function: str | None = None,
    ) -> CollectionInfo:
        """Change what is given."""
        with self._open(writing=True):
            info = self._shelves.entry(collection).info
            if name is not None and name != info.name:
                self._shelves.check_free(name)
                info = replace(info, name=name)
            if metadata is not None:
                info = replace(info, metadata=dict(metadata))
            if embedding_function is not None:
                info = replace(info, embedding_function=embedding_function)
            self._shelves.change(collection, info)
            return info

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""
        with self._open(writing=True):
            self._shelves.drop(collection)

    def reset(self) -> None:
        """Delete every collection."""
        with self._open(writing=True):
            self._shelves.drop(*self._shelves.entries)

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count, metadata keys and state of the index."""
        with self._open():
            shelves = self._shelves
            return CollectionStats(shelves.count(collection), shelves.keys(collection), shelves.indexed(collection))

    # items: reading ---------------------------------------------------------------------------

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items."""
        with self._open():
            shelf = self._shelves.shelf(collection)
            state, vectors = shelf.state, shelf.held()
            stop = None if limit is None else offset + limit
            positions = selected(self._shelves, shelf, selection, stop)
        return state.records(positions[offset:], include, vectors)

    def query(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        selection: Selection,
        include: frozenset[str],
        *,
        exact: bool = False,
    ) -> Hits:
        """The nearest selected items of each row of ``vectors``."""
        with self._open():
            shelf = self._shelves.shelf(collection)
            state = shelf.state
            dimension = state.entry.info.dimension
            if dimension is not None and vectors.shape[1] != dimension:
                raise writing.wrong_dimension(state.entry.info, vectors.shape[1])
            among = None if selection.everything else allowed(self._shelves, shelf, selection)
            self._indexer.seek(shelf)
            space = shelf.space()
        if among is None and not exact:
            self._indexer.read(shelf, len(vectors))
            space.graph = shelf.graph
        found = nearest(space, vectors, n_results, among, force_exact=exact)
        self._indexer.wake(shelf)
        slots, distances = (np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*found, strict=True))
        counts = [len(one) for one, _ in found]
        return Hits(
            records=state.records(space.position_of_slot[slots], include, space.vectors),
            query=np.repeat(np.arange(len(found)), counts),
            rank=np.concatenate([np.arange(count) for count in counts]),
            distance=distances,
            queries=len(found),
        )

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Build the graph until it covers every item."""
        with self._open(writing=True):
            shelf = self._shelves.shelf(collection)
        self._indexer.catch_up(shelf, progress)

    def sql(
        self,
        statement: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        interruptible: Callable[[Callable[[], None]], AbstractContextManager[object]] = nullcontext,
    ) -> pa.Table:
        """Run one reading statement with each collection as a view.

        It runs inside of ``interruptible(interrupt)``, which may call ``interrupt`` from another thread.
        """
        with self._open():
            sources = [
                sql_views.Source(entry, self._shelves.places(collection), partial(self._shelves.vectors, collection))
                for collection, entry in self._shelves.entries.items()
            ]
            cursor = self._shelves.catalog.cursor()
            reader = sql_views.Reader(cursor, statement, sources)
        with cursor, interruptible(cursor.interrupt):
            return reader.run(parameters)

    # maps and explorers -----------------------------------------------------------------------

    def snapshot(self, collection: uuid.UUID) -> LocalSnapshot:
        """All items as they are now."""
        with self._open():
            return LocalSnapshot(self._open, self._shelves, self._indexer, collection)

    def save_view(self, collection: uuid.UUID, name: str, value: str) -> None:
        """Keep what an explorer shows."""
        self._set_view(collection, name, value)

    def view(self, collection: uuid.UUID, name: str) -> str | None:
        """What was kept under that name."""
        with self._open():
            return self._shelves.catalog.saved.view(self._shelves.entry(collection).number, name)

    def views(self, collection: uuid.UUID) -> list[str]:
        """The names of what was kept."""
        with self._open():
            return self._shelves.catalog.saved.views(self._shelves.entry(collection).number)

    def delete_view(self, collection: uuid.UUID, name: str) -> None:
        """Forget what was kept under that name."""
        self._set_view(collection, name, None)

    def _set_view(self, collection: uuid.UUID, name: str, value: str | None) -> None:
        with self._open(writing=True):
            number = self._shelves.entry(collection).number
            with self._shelves.committing(None), self._shelves.catalog.transaction():
                self._shelves.catalog.saved.save_view(number, name, value)

    # other processes --------------------------------------------------------------------------

    def once(self, call: uuid.UUID, work: Callable[[], _Result], again: Callable[[int | None], _Result]) -> _Result:
        """Do a write that came from another process, unless the call of that id was done before.

        ``work`` does it, by one method of this store; ``again`` answers instead, given the number that was returned.
        """
        with self._open(writing=True):
            done = self._shelves.catalog.calls.find(call)
            if done is not None:
                return again(done.result)
            with self._shelves.catalog.calls.noting(call):
                return work()

    def freeze(self, folder: Path) -> None:
        """Put a copy of the store, as it is now, into a folder of the same file system."""
        with self._open():
            copier = self._shelves.freeze(folder)
        with translated(folder):
            copier.copy(folder / DATABASE)

    # the store --------------------------------------------------------------------------------

    def persist(self) -> None:
        """Merge the write-ahead log into the file, and save graphs."""
        if self._shelves.directory is None:
            raise NotSupportedError(
                "This client is in memory: there is nothing to persist to. Use Client(path), or "
                "Settings(chroma_db_impl='duckdb+parquet', persist_directory=...)."
            )
        with self._open(writing=True), self._shelves.committing(None):
            self._shelves.catalog.checkpoint()
            for shelf in self._shelves.loaded():
                self._indexer.save(shelf)
                self._indexer.save_columns(shelf, closing=True)

    def intact(self) -> bool:
        """Whether this is still the store in its directory: open, in this process, and not deleted."""
        directory = self._shelves.directory
        return not self.closed and os.getpid() == self._process and (directory is None or directory.intact())

    def close(self) -> None:
        """Let go of files and threads."""
        if self.closed:
            return
        if os.getpid() != self._process:
            self.closed = True  # a fork's copy: the files belong to the process that opened them
            return
        self._indexer.stop()
        with self._lock:
            self.closed = True
            try:
                for shelf in self._shelves.loaded():
                    self._indexer.save(shelf)
                    self._indexer.save_columns(shelf, closing=True)
            finally:
                self._shelves.close()

    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[None]:
        if os.getpid() != self._process:
            # A forked process shares the files and not their state: both would write over each other.
            raise StoreError("This client was made in another process. Make a new one here with Client(...).")
        with self._lock:
            if self.closed:
                raise ClosedStoreError("This client was closed. Make a new one with Client(...).")
            if writing and self.read_only:
                raise ReadOnlyStoreError(f"{self.location} was opened with read_only=True: it cannot be changed.")
            with translated(None if self._shelves.directory is None else self._shelves.directory.path):
                yield
