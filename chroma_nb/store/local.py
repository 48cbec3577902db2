"""The store on this machine: the only place where rows, vectors and index meet.

Order of a write, which is what makes a crash harmless: vectors are written behind the last
committed slot and fsynced; one DuckDB transaction then inserts the rows that refer to them and
commits; only then does the state in memory change. The graph follows in the background.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.errors import (
    ClosedStoreError,
    CollectionExistsError,
    CollectionNotFoundError,
    IDNotFoundError,
    InvalidDimensionError,
    NotSupportedError,
    ReadOnlyStoreError,
    StoreWriteError,
    suggest,
)
from chroma_nb.store import changes, schema, sql_views, where_sql
from chroma_nb.store.catalog import Catalog, Entry
from chroma_nb.store.directory import Directory
from chroma_nb.store.duck_errors import translated
from chroma_nb.store.indexer import Indexer
from chroma_nb.store.mirror import Mirror, ascending
from chroma_nb.store.protocol import Progress
from chroma_nb.store.search import nearest
from chroma_nb.store.shelf import Shelf, State
from chroma_nb.store.vectors import FileVectors, MemoryVectors, Vectors
from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    IntArray,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

# Vectors of deleted and replaced items are dropped from the file when they are this share of it.
_COMPACT_SHARE = 0.5
_COMPACT_SLOTS = 10_000


class LocalStore:
    """A `Store` in memory (``path=None``) or in a directory.

    Raises:
        StoreError: one of its subclasses says why the directory cannot be used.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self._directory = None if path is None else Directory(path, read_only=read_only)
        self.read_only = read_only
        self._lock = threading.RLock()
        self.closed = False
        self._catalog = self._open_catalog()
        self._entries = {entry.info.id: entry for entry in self._catalog.entries()}
        self._shelves: dict[uuid.UUID, Shelf] = {}
        self._stale: set[uuid.UUID] = set()
        if self._directory is not None and not read_only:
            self._directory.sweep(self._entries.values())
        # The indexer's thread must not keep an abandoned store alive and its file locked.
        own = weakref.ref(self)
        self._indexer = Indexer(lambda shelf: _graph_path(own(), shelf))

    def _open_catalog(self) -> Catalog:
        path = None if self._directory is None else self._directory.database
        return Catalog(path, read_only=self.read_only)

    @property
    def location(self) -> str:
        """The path of the directory, or "memory"."""
        return "memory" if self._directory is None else str(self._directory.path)

    # collections ------------------------------------------------------------------------------

    def list_collections(self) -> list[CollectionInfo]:
        """All collections, oldest first."""
        with self._open():
            return [entry.info for entry in self._entries.values()]

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name."""
        with self._open():
            for entry in self._entries.values():
                if entry.info.name == name:
                    return entry.info
            names = [entry.info.name for entry in self._entries.values()]
            raise CollectionNotFoundError(f"Collection {name} does not exist.{suggest(name, names)}")

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id."""
        with self._open():
            return self._entry(collection).info

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection."""
        with self._open(writing=True):
            self._check_free(info.name)
            with self._committing(None):
                entry = self._catalog.create(info)
            self._entries[info.id] = entry
            return info

    def _check_free(self, name: str) -> None:
        if any(entry.info.name == name for entry in self._entries.values()):
            raise CollectionExistsError(
                f"Collection with name {name} already exists. Use get_collection, or get_or_create_collection."
            )

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
            info = self._entry(collection).info
            if name is not None and name != info.name:
                self._check_free(name)
                info = replace(info, name=name)
            if metadata is not None:
                info = replace(info, metadata=dict(metadata))
            if embedding_function is not None:
                info = replace(info, embedding_function=embedding_function)
            entry = replace(self._entry(collection), info=info)
            with self._committing(collection), self._catalog.transaction():
                self._catalog.save_entry(entry)
            self._set_entry(entry)
            return info

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""
        with self._open(writing=True):
            entry = self._entry(collection)
            with self._committing(collection):
                self._catalog.drop(entry)
            del self._entries[collection]
            shelf = self._shelves.pop(collection, None)
            if shelf is not None:
                shelf.dropped = True
                if shelf.vectors is not None:
                    shelf.vectors.close()
            if self._directory is not None:
                self._directory.remove(self._directory.vectors(entry), self._directory.graph(entry))

    def reset(self) -> None:
        """Delete every collection."""
        with self._open(writing=True):
            for collection in list(self._entries):
                self.delete_collection(collection)

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count, metadata keys and state of the index."""
        with self._open():
            shelf = self._shelf(collection)
            state = shelf.state
            keys = {key: tuple(kinds) for key, kinds in state.places.items()}
            return CollectionStats(state.mirror.count, keys, 0 if shelf.graph is None else shelf.graph.upto)

    # items: writing ---------------------------------------------------------------------------

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        with self._open():
            positions = self._shelf(collection).positions
            return np.fromiter((id_ in positions for id_ in ids), dtype=np.bool_, count=len(ids))

    def add(self, collection: uuid.UUID, batch: Records) -> int:
        """Add the items whose ids are new and skip the others."""
        with self._open(writing=True):
            fresh = ~self.known(collection, batch.ids.to_pylist())
            if not fresh.all():
                batch = batch.take(np.flatnonzero(fresh))
            if len(batch):
                self._write(self._shelf(collection), new=batch)
            return len(batch)

    def update(self, collection: uuid.UUID, batch: Records, *, merge: bool) -> None:
        """Change what is given of existing items."""
        with self._open(writing=True):
            ids = batch.ids.to_pylist()
            known = self.known(collection, ids)
            if not known.all():
                missing = [id_ for id_, there in zip(ids, known, strict=True) if not there]
                raise IDNotFoundError(
                    f"Could not find {len(missing)} items for update: {', '.join(map(repr, missing[:5]))}"
                    f"{', ...' if len(missing) > 5 else ''}. Nothing was changed. Use upsert to add what is missing."
                )
            if len(batch):
                self._write(self._shelf(collection), old=batch, merge=merge)

    def upsert(self, collection: uuid.UUID, batch: Records, *, merge: bool) -> None:
        """Update the items that exist, add the others."""
        with self._open(writing=True):
            known = self.known(collection, batch.ids.to_pylist())
            parts = [batch.take(np.flatnonzero(mask)) if mask.any() else None for mask in (~known, known)]
            if len(batch):
                self._write(self._shelf(collection), new=parts[0], old=parts[1], merge=merge)

    def _write(
        self, shelf: Shelf, *, new: Records | None = None, old: Records | None = None, merge: bool = False
    ) -> None:
        """One transaction: ``new`` items inserted, ``old`` ones changed."""
        state = shelf.state
        entry = self._with_dimension(state.entry, new, old)
        places = self._places(state, new, old)
        added = {
            (k, kind): p
            for k, kinds in places.items()
            for kind, p in kinds.items()
            if kind not in state.places.get(k, {})
        }
        with self._committing(entry.info.id):
            slots_new, slots_old, next_slot = self._write_vectors(shelf, entry, new, old)
            rows = entry.next_row + np.arange(0 if new is None else len(new))
            after = replace(
                entry,
                next_row=entry.next_row + len(rows),
                next_slot=next_slot,
                info=replace(entry.info, version=entry.info.version + 1),
            )
            with self._catalog.transaction():
                self._catalog.add_places(entry.number, added)
                mirror = state.mirror
                if old is not None:
                    mirror = self._alter(shelf, entry.number, places, mirror, old, slots_old, merge=merge)
                if new is not None:
                    mirror = self._insert(entry.number, places, mirror, new, rows, slots_new)
                self._catalog.save_entry(after)
            self._entries[entry.info.id] = after
            shelf.state = State(after, places, mirror)
            if new is not None:
                shelf.added(new.ids, len(state.mirror))
        self._indexer.wake(shelf)

    @staticmethod
    def _with_dimension(entry: Entry, *batches: Records | None) -> Entry:
        for batch in batches:
            if batch is None or batch.embeddings is None:
                continue
            dimension = batch.embeddings.shape[1]
            if entry.info.dimension is None:
                entry = replace(entry, info=replace(entry.info, dimension=dimension))
            elif entry.info.dimension != dimension:
                raise InvalidDimensionError(wrong_dimension(entry.info, dimension))
        return entry

    @staticmethod
    def _places(state: State, *batches: Records | None) -> changes.Places:
        counts: dict[Any, int] = {}
        items = state.mirror.count
        for batch in batches:
            if batch is not None:
                for pair, count in changes.value_counts(batch.metadata).items():
                    counts[pair] = counts.get(pair, 0) + count
                items += len(batch)
        return changes.merged_places(state.places, schema.place_keys(state.places, counts, items))

    def _write_vectors(
        self, shelf: Shelf, entry: Entry, new: Records | None, old: Records | None
    ) -> tuple[IntArray, IntArray | None, int]:
        """Vectors of new items first, then replaced ones; the slots they got and the next free slot."""
        at = entry.next_slot
        new_count = 0 if new is None else len(new)
        slots_old = None
        matrices = [b.embeddings for b in (new, old) if b is not None and b.embeddings is not None]
        if matrices:
            matrix = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
            if shelf.vectors is None:
                shelf.vectors = self._make_vectors(entry, matrix.shape[1])
            shelf.vectors.write(at, matrix)
            if old is not None and old.embeddings is not None:
                slots_old = at + new_count + np.arange(len(old))
            return at + np.arange(new_count), slots_old, at + len(matrix)
        return np.arange(0), None, at

    def _make_vectors(self, entry: Entry, dimension: int) -> Vectors:
        if self._directory is None:
            return MemoryVectors(dimension)
        return FileVectors(self._directory.vectors(entry), dimension, entry.next_slot)

    def _insert(
        self, number: int, places: changes.Places, mirror: Mirror, batch: Records, rows: IntArray, slots: IntArray
    ) -> Mirror:
        change = changes.insertion(batch, places, rows)
        self._catalog.insert(number, {"row": pa.array(rows), "slot": pa.array(slots), **change.columns})
        mirror = mirror.append(rows, slots, change.columns, changes.dense_types(places))
        return self._apply_sparse(number, mirror, change)

    def _alter(
        self,
        shelf: Shelf,
        number: int,
        places: changes.Places,
        mirror: Mirror,
        batch: Records,
        slots: IntArray | None,
        *,
        merge: bool,
    ) -> Mirror:
        order, positions = _ascending(shelf.positions, batch.ids)
        batch = batch.take(order)
        change = changes.alteration(batch, places, mirror, positions, merge=merge)
        columns = {"row": pa.array(mirror.rows[positions]), **change.columns}
        if slots is not None:
            slots = slots[order]
            columns["slot"] = pa.array(slots)
        self._catalog.update(number, columns)
        mirror = mirror.change(positions, change.columns, changes.dense_types(places))
        if slots is not None:
            mirror = mirror.move(positions, slots)
        return self._apply_sparse(number, mirror, change)

    def _apply_sparse(self, number: int, mirror: Mirror, change: changes.Change) -> Mirror:
        if not change.cleared and not change.sparse:
            return mirror
        sparse = dict(mirror.sparse)
        if change.cleared:
            self._catalog.clear_sparse(number, change.cleared)
            for key, rows in change.cleared.items():
                if key in sparse:
                    sparse[key] = sparse[key].without(rows)
        if change.sparse:
            self._catalog.insert_sparse(number, change.sparse)
            for new in change.sparse:
                sparse[new.number] = changes.extended(sparse.get(new.number), new)
        return replace(mirror, sparse=sparse)

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items."""
        with self._open(writing=True):
            shelf = self._shelf(collection)
            state = shelf.state
            positions = ascending(self._select(shelf, selection))
            if len(positions) == 0:
                return 0
            ids = state.mirror.take(positions, ["id"])["id"]
            rows = state.mirror.rows[positions]
            info = replace(state.entry.info, version=state.entry.info.version + 1)
            entry = replace(state.entry, info=info)
            with self._committing(collection):
                with self._catalog.transaction():
                    self._catalog.delete(entry.number, rows)
                    self._catalog.save_entry(entry)
                self._entries[collection] = entry
                sparse = {key: column.without(rows) for key, column in state.mirror.sparse.items()}
                shelf.state = State(entry, state.places, replace(state.mirror.remove(positions), sparse=sparse))
                shelf.removed(ids)
            self._compact_if_hollow(shelf)
            return len(positions)

    def _compact_if_hollow(self, shelf: Shelf) -> None:
        entry = shelf.state.entry
        dead = entry.next_slot - shelf.state.mirror.count
        if dead < _COMPACT_SLOTS or dead < _COMPACT_SHARE * entry.next_slot or shelf.vectors is None:
            return
        mirror = shelf.state.mirror
        live = mirror.live_positions()
        after = replace(entry, next_slot=len(live), generation=entry.generation + 1)
        with self._committing(entry.info.id):
            old, vectors = shelf.vectors, self._make_vectors(replace(after, next_slot=0), shelf.vectors.dimension)
            vectors.write(0, old.view(entry.next_slot)[mirror.slots[live]])
            with self._catalog.transaction():
                columns = {"row": pa.array(mirror.rows[live]), "slot": pa.array(np.arange(len(live)))}
                self._catalog.update(entry.number, columns)
                self._catalog.save_entry(after)
            self._entries[entry.info.id] = after
            shelf.dropped = True
            self._shelves[entry.info.id] = self._load(after, vectors)
        old.close()
        if self._directory is not None:
            self._directory.remove(self._directory.vectors(entry), self._directory.graph(entry))
        self._indexer.wake(self._shelves[entry.info.id])

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
            shelf = self._shelf(collection)
            state, vectors = shelf.state, shelf.vectors
            positions = self._select(shelf, selection)
        stop = len(positions) if limit is None else offset + limit
        return state.records(positions[offset:stop], include, vectors)

    def _select(self, shelf: Shelf, selection: Selection) -> IntArray:
        """Positions of the selected items: in order of insertion, or of the ids asked for."""
        mirror = shelf.state.mirror
        if selection.ids is not None:
            known = shelf.positions
            asked = [known[id_] for id_ in selection.ids if id_ in known]
            positions = np.asarray(asked, dtype=np.int64)
            if selection.where is None:
                return positions
            return positions[np.isin(positions, self._matching(shelf, selection))]
        return mirror.live_positions() if selection.where is None else self._matching(shelf, selection)

    def _matching(self, shelf: Shelf, selection: Selection) -> IntArray:
        entry = shelf.state.entry
        condition = where_sql.condition(selection.where, shelf.state.places, schema.sparse_table(entry.number))
        return shelf.state.mirror.positions(self._catalog.matching(entry.number, condition))

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
            shelf = self._shelf(collection)
            state, kept = shelf.state, shelf.vectors
            dimension = state.entry.info.dimension
            if dimension is not None and vectors.shape[1] != dimension:
                raise InvalidDimensionError(wrong_dimension(state.entry.info, vectors.shape[1]))
            allowed = None
            if not selection.everything:
                allowed = ascending(state.mirror.slots[self._select(shelf, selection)])
            space = shelf.space()
        if kept is None:
            found = [(np.empty(0, dtype=np.int64), np.empty(0))] * len(vectors)
        else:
            found = nearest(space, vectors, n_results, allowed, force_exact=exact)
        self._indexer.wake(shelf)
        counts = [len(slots) for slots, _ in found]
        positions = space.position_of_slot[np.concatenate([slots for slots, _ in found])]
        return Hits(
            records=state.records(positions, include, kept),
            query=np.repeat(np.arange(len(found)), counts),
            rank=np.concatenate([np.arange(count) for count in counts]),
            distance=np.concatenate([distances for _, distances in found]),
            queries=len(found),
        )

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Build the graph until it covers every item."""
        with self._open(writing=True):
            shelf = self._shelf(collection)
        self._indexer.catch_up(shelf, progress)

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run one reading statement with each collection as a view."""
        with self._open():
            shelves = [self._shelf(collection) for collection in self._entries]
            cursor = self._catalog.cursor()
        with cursor:
            return sql_views.run(cursor, statement, parameters, shelves)

    # the store --------------------------------------------------------------------------------

    def persist(self) -> None:
        """Merge the write-ahead log into the file, and save graphs."""
        if self._directory is None:
            raise NotSupportedError(
                "This client is in memory: there is nothing to persist to. Use Client(path), or "
                "Settings(chroma_db_impl='duckdb+parquet', persist_directory=...)."
            )
        with self._open(writing=True), self._committing(None):
            self._catalog.checkpoint()
            for shelf in self._shelves.values():
                self._indexer.save(shelf)

    def close(self) -> None:
        """Let go of files and threads."""
        if self.closed:
            return
        self._indexer.stop()
        with self._lock:
            self.closed = True
            if not self.read_only:
                for shelf in self._shelves.values():
                    self._indexer.save(shelf)
            for shelf in self._shelves.values():
                if shelf.vectors is not None:
                    shelf.vectors.close()
            self._shelves.clear()
            self._catalog.close()

    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[None]:
        with self._lock:
            if self.closed:
                raise ClosedStoreError("This client was closed. Make a new one with Client(...).")
            if writing and self.read_only:
                raise ReadOnlyStoreError(f"{self.location} was opened with read_only=True: it cannot be changed.")
            yield

    @contextmanager
    def _committing(self, collection: uuid.UUID | None) -> Iterator[None]:
        """Guard a write: if anything interrupts it, memory is read again from what was committed."""
        try:
            with translated(None if self._directory is None else self._directory.path):
                yield
        except BaseException as error:
            if collection is not None:
                self._stale.add(collection)
            if isinstance(error, StoreWriteError):
                self._reopen()
            raise

    def _reopen(self) -> None:
        """DuckDB refuses all work after some failed commits; what was committed is safe in the file."""
        if self._directory is not None and not self._catalog.alive():
            self._catalog.close()
            self._catalog = self._open_catalog()

    def _entry(self, collection: uuid.UUID) -> Entry:
        try:
            return self._entries[collection]
        except KeyError:
            raise CollectionNotFoundError(
                "This collection was deleted. Make it again with create_collection."
            ) from None

    def _set_entry(self, entry: Entry) -> None:
        self._entries[entry.info.id] = entry
        shelf = self._shelves.get(entry.info.id)
        if shelf is not None:
            shelf.state = State(entry, shelf.state.places, shelf.state.mirror)

    def _shelf(self, collection: uuid.UUID) -> Shelf:
        """The collection in memory, read from the database when first needed or after a failed write."""
        if collection in self._stale:
            self._entries = {entry.info.id: entry for entry in self._catalog.entries()}
            shelf = self._shelves.pop(collection, None)
            entry = self._entry(collection)
            if shelf is not None:
                shelf.dropped = True
            self._shelves[collection] = self._load(entry, None if shelf is None else shelf.vectors)
            self._stale.discard(collection)
        entry = self._entry(collection)
        if collection not in self._shelves:
            self._shelves[collection] = self._load(entry, None)
        return self._shelves[collection]

    def _load(self, entry: Entry, vectors: Vectors | None) -> Shelf:
        places = self._catalog.places(entry.number)
        types = changes.dense_types(places)
        table = self._catalog.load(entry.number, list(types))
        sparse = self._catalog.load_sparse(entry.number, places)
        if vectors is None and entry.info.dimension is not None:
            vectors = self._make_vectors(entry, entry.info.dimension)
        return Shelf(State(entry, places, Mirror.load(table, types, sparse, entry.next_slot)), vectors)


def wrong_dimension(info: CollectionInfo, given: int) -> str:
    """The message for vectors of another dimension."""
    function = f" (embedding function: {info.embedding_function})" if info.embedding_function else ""
    return (
        f"Dimensionality of ({given}) does not match index dimensionality ({info.dimension}): collection "
        f"{info.name!r} holds vectors of dimension {info.dimension}{function}. Use the model it was made with, or "
        "make a new collection for these vectors."
    )


def _ascending(positions: Mapping[str, int], ids: pa.Array) -> tuple[IntArray, IntArray]:
    """The order that sorts a batch by position, and the sorted positions."""
    found = np.fromiter((positions[id_] for id_ in ids.to_pylist()), dtype=np.int64, count=len(ids))
    order = np.argsort(found, kind="stable")
    return order, found[order]


def _graph_path(store: LocalStore | None, shelf: Shelf) -> Path | None:
    if store is None or store._directory is None:
        return None
    return store._directory.graph(shelf.state.entry)
