"""The seam: what the notebook face needs of a store, and all it ever sees of one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    IntArray,
    Kind,
    Matrix,
    MetadataValue,
    Records,
    Selection,
    StoredLayout,
)

Progress = Callable[[int, int], None]
"""Called with (done, total) while long work goes on."""


class Snapshot(Protocol):
    """All items of a collection at one moment, in order of insertion, addressed by position.

    What others write meanwhile does not change it. All methods may be called from several threads.
    """

    def __len__(self) -> int: ...

    @property
    def total(self) -> int:
        """How many items the collection had: more than there are here if these are a sample of them."""

    @property
    def info(self) -> CollectionInfo:
        """What the collection was at that moment."""

    @property
    def ids(self) -> pa.Array:
        """Of all n items (Arrow ``large_string``)."""

    @property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys in order of first appearance, with the kinds their values have."""

    @property
    def documented(self) -> bool:
        """Whether any item has a document."""

    def vectors(self, positions: IntArray | None = None) -> Matrix:
        """Of these items (m, dim), or of all (n, dim); a copy."""

    def column(self, key: str) -> dict[Kind, pa.Array]:
        """All n values of one metadata key, by kind, null where an item has none; empty if there is no such key."""

    def records(self, positions: IntArray | Sequence[int], include: frozenset[str]) -> Records:
        """Whole items, in this order; ``include`` as for `Store.get`."""

    def matching(self, selection: Selection) -> IntArray:
        """Positions, ascending, of the items that are selected by their values of *now*, deleted ones left out."""

    def search(self, vectors: Matrix, k: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The k nearest items of each vector (m, dim), closest first.

        Returns:
            Positions int64 (m, k) and distances float64 (m, k) in the collection's metric; k is at most n.

        Raises:
            InvalidDimensionError: the vectors have another dimension than the collection.
        """

    def neighbours(
        self, k: int, progress: Progress | None = None, *, indexing: Progress | None = None
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """Each item's nearest neighbours, itself first, for a map.

        Args:
            k: how many, the item itself included.
            progress: told how many items are done; may raise to end the work.
            indexing: the same, while the index is completed before.

        Returns:
            Positions int64 (n, k) and distances float32 (n, k), finite and not negative: those of the collection's
            metric, for l2 not squared, for inner products shifted. Column 0 is the item with distance 0. k is at
            most n.
        """

    def layout(self, key: str) -> StoredLayout | None:
        """The stored map of that key; items that are new, or whose vector changed since, have no place (NaN)."""

    def save_layout(self, key: str, layout: StoredLayout) -> None:
        """Store a map of these items in the place of the one of that key; ReadOnlyStoreError."""


class Store(Protocol):
    """Collections of items. Every method is one transaction: it happens as a whole or not at all.

    Collections are addressed by id. All methods may be called from several threads. They raise
    the classes of `chroma_nb.errors` and nothing else.
    """

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""

    @property
    def location(self) -> str:
        """Where the data is, for people: a path, an address or "memory"."""

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch, by the clock of the store's machine."""

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

    def add(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Add the items whose ids are new (embeddings required) and skip the others; how many were added.

        ``function`` (JSON) is what embedded them; it is recorded if none was recorded before. ``progress`` is told
        how many items are written, and may raise to take it all back (or, of a server, what is not sent yet).
        """

    def update(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Change what is given of existing items; IDNotFoundError if one is missing."""

    def upsert(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
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

    def snapshot(self, collection: uuid.UUID) -> Snapshot:
        """All items as they are now."""

    def save_view(self, collection: uuid.UUID, name: str, value: str) -> None:
        """Keep what an explorer shows (JSON) in the place of what had that name."""

    def view(self, collection: uuid.UUID, name: str) -> str | None:
        """What was kept under that name."""

    def views(self, collection: uuid.UUID) -> list[str]:
        """The names of what was kept, in alphabetical order."""

    def delete_view(self, collection: uuid.UUID, name: str) -> None:
        """Forget what was kept under that name, if anything was."""

    def sql(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Run one reading statement with each collection as a view of its name; SqlError."""

    def persist(self) -> None:
        """Merge logs into files; NotSupportedError in memory. Data is durable without it."""

    def close(self) -> None:
        """Let go of files and threads; later calls raise ClosedStoreError."""
