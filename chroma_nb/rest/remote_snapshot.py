"""What maps and explorers work on, where the items are on a server: all of them, or a sample."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import StoreError
from chroma_nb.rest.rows import joined
from chroma_nb.rest.vectors_here import VectorsHere
from chroma_nb.rest.where_rows import holding
from chroma_nb.store.protocol import Progress, Snapshot, Store
from chroma_nb.types import CollectionInfo, IntArray, Kind, Matrix, Records, Selection, StoredLayout

_ROWS = frozenset({"documents", "metadatas"})
_PAGE = 1000
_FEW = 100  # vectors that are fetched by themselves


class RemoteSnapshot:
    """A `chroma_nb.store.protocol.Snapshot` of items that were fetched from a server.

    Documents and metadata are here from the beginning, vectors once they are needed. What a
    snapshot answers is about these items alone, although `total` may be larger.

    Args:
        store: the store on the server.
        info: what the collection was.
        total: how many items it had.
        rows: the items fetched, in order of insertion, without vectors.
        here: where the vectors of the collection are kept.
    """

    def __init__(self, store: Store, info: CollectionInfo, total: int, rows: Records, here: VectorsHere) -> None:
        self._store, self.info, self.total = store, info, total
        self._rows, self._here = rows, here
        self._lock = threading.Lock()
        self._taken: Snapshot | None = None

    def __len__(self) -> int:
        return len(self._rows)

    # rows -------------------------------------------------------------------------------------

    @property
    def ids(self) -> pa.Array:
        """Of the items here."""
        return self._rows.ids

    @cached_property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys, with the kinds of their values."""
        return {key: tuple(kinds) for key, kinds in (self._rows.metadata or {}).items() if kinds}

    @cached_property
    def documented(self) -> bool:
        """Whether any item has a document."""
        documents = self._rows.documents
        return documents is not None and documents.null_count < len(documents)

    def column(self, key: str) -> dict[Kind, pa.Array]:
        """All values of one metadata key."""
        return dict((self._rows.metadata or {}).get(key, {}))

    def records(self, positions: IntArray | Sequence[int], include: frozenset[str]) -> Records:
        """Whole items."""
        at = np.asarray(positions, dtype=np.int64)
        found = self._rows.take(at)
        return Records(
            ids=found.ids,
            documents=found.documents if "documents" in include else None,
            metadata=found.metadata if "metadatas" in include else None,
            embeddings=self.vectors(at) if "embeddings" in include else None,
            gaps=found.gaps,
        )

    def matching(self, selection: Selection) -> IntArray:
        """Positions of the items that are selected now."""
        ids, positions = self.ids, np.arange(len(self))
        if selection.ids is not None:
            asked = pa.array(selection.ids, pa.large_string())
            positions = np.flatnonzero(pc.is_in(ids, value_set=asked).to_numpy(zero_copy_only=False))
        if self._store.collection_by_id(self.info.id).version == self.info.version:
            if selection.where is None:
                return positions
            return positions[holding(selection.where, self._rows.take(positions))]
        now = Selection(ids.take(pa.array(positions)).to_pylist(), selection.where)
        found = self._store.get(self.info.id, now, frozenset()).ids
        return np.flatnonzero(pc.is_in(ids, value_set=found).to_numpy(zero_copy_only=False))

    # vectors ----------------------------------------------------------------------------------

    def vectors(self, positions: IntArray | None = None) -> Matrix:
        """Of these items, or of all."""
        if positions is not None and len(positions) <= _FEW and self._taken is None:
            chosen = self.ids.take(pa.array(positions, pa.int64())).to_pylist()
            return fetched_vectors(self._store, self.info, chosen)
        here = self._vectors_here()
        return here.vectors(self._order if positions is None else self._order[positions])

    def search(self, vectors: Matrix, k: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The k nearest items of each vector, among those here."""
        found, distances = self._vectors_here().search(vectors, k)
        return self._place[found], distances

    def neighbours(
        self, k: int, progress: Progress | None = None, *, indexing: Progress | None = None
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """Each item's nearest neighbours, among those here."""
        found, distances = self._vectors_here().neighbours(k, progress, indexing=indexing)
        return self._place[found[self._order]], distances[self._order]

    # maps -------------------------------------------------------------------------------------

    def layout(self, key: str) -> StoredLayout | None:
        """The map of that key that was made with this client."""
        if not self._here.has_layout(key):
            return None
        stored = self._vectors_here().layout(key)
        return None if stored is None else replace(stored, xy=stored.xy[self._order])

    def save_layout(self, key: str, layout: StoredLayout) -> None:
        """Keep a map as long as this client lives."""
        here = self._vectors_here()
        here.save_layout(key, replace(layout, xy=layout.xy[self._place]))
        self._here.saved(key)

    def _vectors_here(self) -> Snapshot:
        with self._lock:
            if self._taken is None:
                vectors = fetched_vectors(self._store, self.info, self.ids.to_pylist())
                self._taken = self._here.taken(self.info, self.ids, vectors)
            return self._taken

    @cached_property
    def _order(self) -> IntArray:
        """Where the items are among the vectors kept here."""
        return np.asarray(pc.index_in(self.ids, value_set=self._vectors_here().ids), dtype=np.int64)

    @cached_property
    def _place(self) -> IntArray:
        """The inverse of `_order`."""
        place = np.empty(len(self), dtype=np.int64)
        place[self._order] = np.arange(len(self))
        return place


class Snapshots:
    """The latest snapshot of each collection of a store; a new one is fetched when something changed.

    Args:
        store: on a server.
        limit: how many items a snapshot holds, at most.
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store, self._limit = store, limit
        self._lock = threading.Lock()
        self._each: dict[uuid.UUID, _Latest] = {}

    def now(self, collection: uuid.UUID) -> RemoteSnapshot:
        """The items as they are now."""
        info = self._store.collection_by_id(collection)
        with self._lock:
            latest = self._each.setdefault(collection, _Latest())
        with latest.lock:
            if latest.snapshot is None or latest.snapshot.info != info:
                total = self._store.stats(collection).count
                rows = fetched_rows(self._store, collection, total, self._limit)
                latest.snapshot = RemoteSnapshot(self._store, info, max(total, len(rows)), rows, latest.here)
            return latest.snapshot

    def forget(self, collection: uuid.UUID | None = None) -> None:
        """Let go of what is kept of a collection, or of all."""
        with self._lock:
            gone = list(self._each) if collection is None else [collection]
            dropped = [self._each.pop(one) for one in gone if one in self._each]
        for latest in dropped:
            latest.here.close()

    def close(self) -> None:
        """Let go of everything."""
        self.forget()


class _Latest:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.snapshot: RemoteSnapshot | None = None
        self.here = VectorsHere()


# fetching -------------------------------------------------------------------------------------


def fetched_rows(store: Store, collection: uuid.UUID, total: int, limit: int) -> Records:
    """Documents and metadata of all items, or of a sample that is spread over all of them.

    Args:
        store: on a server.
        collection: whose items.
        total: how many it has.
        limit: how many are fetched, at most.
    """
    if total <= limit:
        starts = np.arange(0, max(total, 1), min(_PAGE, limit))
        size = min(_PAGE, limit)
    else:
        starts, size = sample_pages(total, limit)
    pages = [store.get(collection, Selection(), _ROWS, limit=size, offset=int(start)) for start in starts]
    found = joined(pages)
    # Where others delete meanwhile, items move over the edges of pages.
    first = np.unique(np.asarray(found.ids.dictionary_encode().indices), return_index=True)[1]
    return found if len(first) == len(found) else found.take(np.sort(first))


def sample_pages(total: int, limit: int) -> tuple[IntArray, int]:
    """Where the pages of a sample begin, each somewhere in a stretch of its own, and how long they are.

    The same for the same numbers.

    >>> starts, size = sample_pages(1_000_000, 2_000)
    >>> len(starts), size, bool((np.diff(starts) >= size).all())
    (20, 100, True)
    """
    size = max(1, min(250, limit // 20))
    count = limit // size
    edges = np.linspace(0, total, count + 1).astype(np.int64)
    room = np.maximum(np.diff(edges) - size, 0)
    return edges[:-1] + np.floor(np.random.default_rng(0).random(count) * (room + 1)).astype(np.int64), size


def fetched_vectors(store: Store, info: CollectionInfo, ids: Sequence[str]) -> Matrix:
    """The vectors of these ids; the middle of all for those that are gone.

    Raises:
        StoreError: all of them are gone.
    """
    found = store.get(info.id, Selection(ids=ids), frozenset({"embeddings"}))
    vectors = found.embeddings
    if vectors is None or (len(vectors) == 0 and len(ids)):
        raise StoreError(f"The items of {info.name} that are shown were deleted meanwhile. Refresh.")
    if len(found) == len(ids):
        return vectors
    at = pc.index_in(pa.array(ids, pa.large_string()), value_set=found.ids)
    places = at.fill_null(len(vectors)).to_numpy(zero_copy_only=False)
    filled: Matrix = np.vstack([vectors, vectors.mean(axis=0, keepdims=True)])[places]
    return filled
