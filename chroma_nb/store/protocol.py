"""The seam: what the notebook face needs of a store, and all it ever sees of one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

Progress = Callable[[int, int], None]
"""Called with (done, total) while long work goes on."""


class Store(Protocol):
    """Collections of items. Every method is one transaction: it happens as a whole or not at all.

    Collections are addressed by id. All methods may be called from several threads. They raise
    the classes of `chroma_nb.errors` and nothing else.
    """

    @property
    def location(self) -> str:
        """Where the data is, for people: a path, an address or "memory"."""

    def list_collections(self) -> list[CollectionInfo]:
        """All collections, oldest first."""

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name; CollectionNotFoundError."""

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id, as it is now; CollectionNotFoundError."""

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection; CollectionExistsError if the name is taken."""

    def modify_collection(
        self,
        collection: uuid.UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        embedding_function: str | None = None,
    ) -> CollectionInfo:
        """Change what is given; ``metadata`` replaces. CollectionExistsError if the name is taken."""

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""

    def reset(self) -> None:
        """Delete every collection."""

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count, metadata keys and state of the index."""

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds, bool (n,)."""

    def add(self, collection: uuid.UUID, batch: Records, *, function: str | None = None) -> int:
        """Add the items whose ids are new (embeddings required) and skip the others; how many were added.

        ``function`` (JSON) is what embedded them; it is recorded if none was recorded before.
        """

    def update(self, collection: uuid.UUID, batch: Records, *, merge: bool, function: str | None = None) -> None:
        """Change what is given of existing items; IDNotFoundError if one is missing."""

    def upsert(self, collection: uuid.UUID, batch: Records, *, merge: bool, function: str | None = None) -> None:
        """Update the items that exist, add the others (embeddings required)."""

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items; how many."""

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items in order of insertion, or in the order of the ids asked for.

        ``include`` holds some of "documents", "metadatas", "embeddings".
        """

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
        """The nearest selected items of each row of ``vectors`` (m, dim), closest first."""

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Wait until the index covers every item (nothing to do where search is exact)."""

    def sql(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Run one reading statement with each collection as a view of its name; SqlError."""

    def persist(self) -> None:
        """Merge logs into files; NotSupportedError in memory. Data is durable without it."""

    def close(self) -> None:
        """Let go of files and threads; later calls raise ClosedStoreError."""
