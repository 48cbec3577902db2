"""All items of a collection at one moment: what maps and explorers work on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.store import neighbours
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.indexer import Indexer
from chroma_nb.store.neighbours import Rows, exact_neighbours, graph_neighbours
from chroma_nb.store.protocol import Progress
from chroma_nb.store.saved import Places
from chroma_nb.store.search import nearest, wants_graph
from chroma_nb.store.selecting import selected
from chroma_nb.store.shelves import Shelves
from chroma_nb.store.writing import wrong_dimension
from chroma_nb.types import CollectionInfo, IntArray, Kind, Matrix, Metric, Records, Selection, StoredLayout


class LocalSnapshot:
    """A `Snapshot` of a `LocalStore`: an immutable state and the vectors it refers to.

    Args:
        opened: enters the store; what it guards happens under the store's lock.
        shelves: of the store.
        indexer: of the store.
        collection: whose items; the store is entered.
    """

    def __init__(
        self,
        opened: Callable[..., AbstractContextManager[None]],
        shelves: Shelves,
        indexer: Indexer,
        collection: uuid.UUID,
    ) -> None:
        self._opened, self._shelves, self._indexer = opened, shelves, indexer
        self._shelf = shelves.shelf(collection)
        self._state = self._shelf.state
        indexer.seek(self._shelf)
        self._space = replace(self._shelf.space())
        self._at = self._state.mirror.live_positions()

    def __len__(self) -> int:
        return len(self._at)

    @property
    def total(self) -> int:
        """As many: a local snapshot has all items."""
        return len(self._at)

    @property
    def info(self) -> CollectionInfo:
        """What the collection was at that moment."""
        return self._state.entry.info

    @cached_property
    def ids(self) -> pa.Array:
        """Of all items."""
        return self._state.mirror.take(self._at, ["id"])["id"]

    @property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys, with the kinds of their values."""
        return self._state.held

    @property
    def documented(self) -> bool:
        """Whether any item has a document."""
        return self._state.mirror.holds("document")

    def vectors(self, positions: IntArray | None = None) -> Matrix:
        """Of these items, or of all."""
        return self._state.embeddings(self._at if positions is None else self._at[positions], self._space.vectors)

    def column(self, key: str) -> dict[Kind, pa.Array]:
        """All values of one metadata key."""
        return self._state.column(key, self._at)

    def records(self, positions: IntArray | Sequence[int], include: frozenset[str]) -> Records:
        """Whole items."""
        return self._state.records(self._at[np.asarray(positions, dtype=np.int64)], include, self._space.vectors)

    def matching(self, selection: Selection) -> IntArray:
        """Positions of the items that are selected now."""
        with self._opened():
            shelf = self._shelves.shelf(self.info.id)
            rows = shelf.state.mirror.rows[selected(self._shelves, shelf, selection)]
        return np.flatnonzero(np.isin(self._rows, rows, assume_unique=True))

    # neighbours -------------------------------------------------------------------------------

    def search(self, vectors: Matrix, k: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The k nearest items of each vector."""
        k = min(k, len(self))
        if k == 0 or len(vectors) == 0:
            return np.empty((len(vectors), k), dtype=np.int64), np.empty((len(vectors), k))
        if vectors.shape[1] != self.info.dimension:
            raise wrong_dimension(self.info, vectors.shape[1])
        found = nearest(self._space, vectors, k, None, force_exact=False)
        slots, distances = (np.stack(column) for column in zip(*found, strict=True))
        return self._place[slots], distances

    def neighbours(
        self, k: int, progress: Progress | None = None, *, indexing: Progress | None = None
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """Each item's nearest neighbours."""
        k = min(k, len(self))
        itself = np.arange(len(self))[:, None]
        if k <= 1:
            return itself[:, :k], np.zeros((len(self), k), dtype=np.float32)
        settings, indexed = self.info.settings, indexing or _only_check(progress)
        self._index(indexed)
        rows = Rows(settings.space, self._space.vectors, self._state.mirror.slots[self._at])
        graph = self._space.graph
        if isinstance(graph, Graph) and graph.upto >= len(self._space.vectors):
            found, distances = graph_neighbours(rows, graph, self._place, k - 1, progress)
        elif len(self) > neighbours.EXACT_ROWS:
            graph = neighbours.graph_of(rows, settings, indexed)
            found, distances = graph_neighbours(rows, graph, itself[:, 0], k - 1, progress)
        else:
            found, distances = exact_neighbours(rows, itself[:, 0], k - 1, progress)
        if settings.space is Metric.IP:
            # Inner products know no bounds; where a map needs distances, only their differences count.
            distances = distances - min(float(distances.min()), 0.0)
        return np.hstack([itself, found]), np.hstack([np.zeros((len(self), 1), dtype=np.float32), distances])

    def _index(self, progress: Progress) -> None:
        """Wait for the graph, where there is to be one, and look at it from here."""
        if not wants_graph(*self._space.vectors.shape):
            return
        self._indexer.catch_up(self._shelf, progress)
        with self._opened():
            if self._shelf.state.entry.generation == self._state.entry.generation:
                self._space.graph = self._shelf.graph

    # maps -------------------------------------------------------------------------------------

    def layout(self, key: str) -> StoredLayout | None:
        """The stored map of that key."""
        with self._opened():
            entry = self._shelves.entry(self.info.id)
            stored = self._shelves.catalog.saved.layout(entry.number, key)
        if stored is None:
            return None
        xy = stored.at(self._rows, self._state.mirror.slots[self._at], self._state.entry.generation)
        return replace(stored.layout, xy=xy)

    def save_layout(self, key: str, layout: StoredLayout) -> None:
        """Store a map of these items."""
        kept = np.flatnonzero(np.isfinite(layout.xy).all(axis=1))
        made = replace(layout, xy=layout.xy[kept], version=self.info.version, created=datetime.now(UTC))
        rows, slots = self._rows[kept], self._state.mirror.slots[self._at[kept]]
        with self._opened(writing=True):
            now = self._shelves.shelf(self.info.id).state
            places = Places(made, self._state.entry.generation, rows, slots)
            if now.entry.generation != self._state.entry.generation:
                live = now.mirror.live_positions()
                rows, slots = now.mirror.rows[live], now.mirror.slots[live]
                xy = places.at(rows, slots, now.entry.generation)
                there = np.isfinite(xy[:, 0])
                places = Places(replace(made, xy=xy[there]), now.entry.generation, rows[there], slots[there])
            with self._shelves.committing(None), self._shelves.catalog.transaction():
                self._shelves.catalog.saved.save_layout(now.entry.number, key, places)

    @cached_property
    def _rows(self) -> IntArray:
        return self._state.mirror.rows[self._at]

    @cached_property
    def _place(self) -> IntArray:
        """Position in the snapshot by slot, -1 where no item's vector is."""
        place = np.full(len(self._space.vectors), -1, dtype=np.int64)
        place[self._state.mirror.slots[self._at]] = np.arange(len(self))
        return place


def _only_check(progress: Progress | None) -> Progress:
    """Let the caller end the work while the index is built, without confusing what is done."""

    def check(done: int, total: int) -> None:
        if progress is not None:
            progress(0, total)

    return check
