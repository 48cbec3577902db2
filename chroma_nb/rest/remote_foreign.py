"""A store on one of Chroma's own servers: our semantics, as far as such a server can be brought to them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from chroma_nb.errors import CollectionExistsError, CollectionNotFoundError
from chroma_nb.rest.described import Known
from chroma_nb.rest.dialect import Dialect
from chroma_nb.rest.foreign_reading import Reader
from chroma_nb.rest.foreign_writing import Writer
from chroma_nb.rest.remote import SAMPLE, RemoteStore, can_be_asked_for, not_found
from chroma_nb.rest.rows import metadata_of_rows
from chroma_nb.store.protocol import Progress
from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    Kind,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

_KEYS_FROM = 100  # items


class ForeignServerStore(RemoteStore):
    """A store on a server or cluster of Chroma's.

    What it does not share with a store of ours, beside what `RemoteStore` says:

    * Metadata keys come in alphabetical order, integers always as ``Int64``; a collection's list of keys is what the
      server tells, or what the first items have.
    * Filters that the server does not understand as we do (``$ne``, ``$nin``, ``$not_contains`` and searching in texts
      of metadata) are decided here, about the items that come. It takes more requests, and metadata.
    * A change that others make is noticed by the number of items alone, unless the server counts versions.
    * Without ``exact`` a query is as exact as the server's index.

    Args:
        dialect: of the server.
        location: the address, as people are told it.
        sample: how many items a snapshot holds, at most.
    """

    def __init__(self, dialect: Dialect, location: str, sample: int = SAMPLE) -> None:
        super().__init__(dialect.transport, location, dialect.batch, sample)
        self._dialect = dialect
        self._reader = Reader(dialect)
        self._writer = Writer(dialect, self._reader)
        self._seen: dict[uuid.UUID, tuple[tuple[int, int], int]] = {}
        # What was seen before this client is not known: no version may look like one that another client told.
        self._first_version = time.time_ns() // 1_000_000
        self._keys: dict[uuid.UUID, tuple[int, dict[str, tuple[Kind, ...]]]] = {}

    # collections ------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch."""
        return self._dialect.heartbeat()

    def list_collections(self) -> list[CollectionInfo]:
        """All collections; API v2 keeps no order, they come by name."""
        with self._lock:
            versions = {collection: version for collection, (_, version) in self._seen.items()}
        return [
            replace(known.info, version=versions.get(known.info.id, self._first_version))
            for known in self._dialect.collections()
        ]

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name."""
        if not can_be_asked_for(name):
            raise not_found(name, self.list_collections())
        try:
            known = self._dialect.by_name(name)
        except CollectionNotFoundError as error:
            raise not_found(name, self.list_collections()) from error
        return self._versioned(known, self._dialect.count(known.info.id))

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id."""
        known = self._dialect.by_id(collection)
        return self._versioned(known, self._dialect.count(collection))

    def _versioned(self, known: Known, count: int) -> CollectionInfo:
        """With a version that grows when a change is seen: of the number of items, or of the server's own version."""
        mark = count, known.info.version
        with self._lock:
            before, version = self._seen.get(known.info.id, (mark, self._first_version))
            version += before != mark
            self._seen[known.info.id] = mark, version
        info = known.info if known.info.dimension or not count else self._reader.with_dimension(known.info)
        return replace(info, version=version)

    def _touched(self, collection: uuid.UUID) -> None:
        """We have changed it ourselves, or at least tried."""
        with self._lock:
            if collection in self._seen:
                mark, version = self._seen[collection]
                self._seen[collection] = mark, version + 1
            self._keys.pop(collection, None)

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection; the server chooses its id."""
        try:
            return replace(self._dialect.create(info).info, version=0)
        except CollectionExistsError as error:
            raise CollectionExistsError(f"Collection with name {info.name} already exists") from error

    def modify_collection(
        self,
        collection: uuid.UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        embedding_function: str | None = None,
    ) -> CollectionInfo:
        """Change what is given."""
        before = self.collection_by_id(collection)
        after = replace(
            before,
            name=before.name if name is None else name,
            metadata=before.metadata if metadata is None else dict(metadata),
            embedding_function=embedding_function or before.embedding_function,
        )
        try:
            self._dialect.modify(before, after)
        except CollectionExistsError as error:
            raise CollectionExistsError(f"Collection with name {name} already exists") from error
        return after

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""
        self._dialect.drop(self._dialect.by_id(collection).info)
        self._snapshots.forget(collection)

    def reset(self) -> None:
        """Delete everything on the server, where it allows that."""
        self._dialect.reset()
        self._snapshots.forget()

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count and metadata keys."""
        count = self._dialect.count(collection)
        with self._lock:
            at, keys = self._keys.get(collection, (-1, {}))
        if at != count:
            keys = self._told_keys(collection)
            with self._lock:
                self._keys[collection] = count, keys
        return CollectionStats(count, keys)

    def _told_keys(self, collection: uuid.UUID) -> dict[str, tuple[Kind, ...]]:
        told = self._dialect.by_id(collection).keys
        if told is not None:
            return told
        body = {"include": ["metadatas"], "limit": _KEYS_FROM}
        metadata = metadata_of_rows(self._dialect.read(collection, "get", body)["metadatas"])
        return {key: tuple(kinds) for key, kinds in metadata.items()}

    # items ------------------------------------------------------------------------------------

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        return self._reader.known(collection, ids)

    def add(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Add the items whose ids are new and skip the others."""
        try:
            added = self._writer.add(collection, batch, progress)
        finally:
            self._touched(collection)
        self._record(collection, function)
        return added

    def update(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Change what is given of existing items."""
        try:
            self._writer.update(collection, batch, merge=merge, progress=progress)
        finally:
            self._touched(collection)
        self._record(collection, function)

    def upsert(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Update the items that exist, add the others."""
        try:
            self._writer.upsert(collection, batch, merge=merge, progress=progress)
        finally:
            self._touched(collection)
        self._record(collection, function)

    def _record(self, collection: uuid.UUID, function: str | None) -> None:
        """Keep what embedded the items, if nothing is kept yet."""
        if function is None:
            return
        info = self._dialect.by_id(collection).info
        if info.embedding_function is None:
            self._dialect.modify(info, replace(info, embedding_function=function))

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items."""
        try:
            return self._writer.delete(collection, selection)
        finally:
            self._touched(collection)

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items."""
        return self._reader.get(collection, selection, include, limit, offset)

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
        return self._reader.query(collection, vectors, n_results, selection, include, exact=exact)
