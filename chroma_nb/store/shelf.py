"""What is kept in memory about one collection: its state, and the parts that outlive a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from chroma_nb.store.catalog import Entry
from chroma_nb.store.changes import Places, dense_types
from chroma_nb.store.columns import Columns
from chroma_nb.store.columns_ids import Ids
from chroma_nb.store.exact import Lengths
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.mirror import Mirror
from chroma_nb.store.search import Space
from chroma_nb.store.vectors import Vectors
from chroma_nb.store.walking import Walker
from chroma_nb.store.where_sql import Place
from chroma_nb.types import ARROW_TYPES, IntArray, Kind, Matrix, MetadataColumns, Records


@dataclass(frozen=True)
class State:
    """One committed state of a collection. Immutable: readers keep it while writers go on."""

    entry: Entry
    places: Places
    mirror: Mirror

    @cached_property
    def gaps(self) -> frozenset[str]:
        """Integer keys that some item lacks."""
        found = []
        for key, kinds in self.places.items():
            if set(kinds) == {Kind.INT}:
                column = kinds[Kind.INT].column
                if column is None or self.mirror.missing([column]):
                    found.append(key)
        return frozenset(found)

    @cached_property
    def held(self) -> dict[str, tuple[Kind, ...]]:
        """The keys that items have, with the kinds of their values; without items, all that there ever were."""
        if self.mirror.count == 0:
            return {key: tuple(kinds) for key, kinds in self.places.items()}
        held = {
            key: tuple(kind for kind, place in kinds.items() if self._holds(place))
            for key, kinds in self.places.items()
        }
        return {key: kinds for key, kinds in held.items() if kinds}

    def _holds(self, place: Place) -> bool:
        if place.column is not None:
            return self.mirror.holds(place.column)
        return place.number in self.mirror.sparse and len(self.mirror.sparse[place.number].rows) > 0

    def records(self, positions: IntArray, include: frozenset[str], vectors: Matrix) -> Records:
        """The items at these positions, in this order; ``vectors`` are those of all slots."""
        names = ["id"]
        if "documents" in include:
            names.append("document")
        if "metadatas" in include:
            names += [place.column for key in self.held for place in self.places[key].values() if place.column]
        taken = self.mirror.take(positions, names)
        embeddings = None
        if "embeddings" in include:
            embeddings = self.embeddings(positions, vectors)
        return Records(
            ids=taken["id"],
            documents=taken.get("document"),
            metadata=self._metadata(taken, positions) if "metadatas" in include else None,
            embeddings=embeddings,
            gaps=self.gaps,
        )

    def embeddings(self, positions: IntArray, vectors: Matrix) -> Matrix:
        """The vectors of the items at these positions, float32 (m, dim), as a copy."""
        if len(positions) == 0:
            return np.empty((0, self.entry.info.dimension or 0), dtype=np.float32)
        slots = self.mirror.slots[positions]
        first = int(slots[0])
        if bool((np.diff(slots) == 1).all()):
            return vectors[first : first + len(slots)].copy()  # a copy in one piece is twice as fast
        return vectors[slots]

    def column(self, key: str, positions: IntArray) -> dict[Kind, pa.Array]:
        """The values of one metadata key of the items at these positions; empty if there is no such key."""
        names = [place.column for place in self.places.get(key, {}).values() if place.column]
        return self._values(key, self.mirror.take(positions, names), positions)

    def _metadata(self, taken: dict[str, pa.Array], positions: IntArray) -> MetadataColumns:
        return {key: self._values(key, taken, positions) for key in self.held}

    def _values(self, key: str, taken: dict[str, pa.Array], positions: IntArray) -> dict[Kind, pa.Array]:
        found = {}
        for kind, place in self.places.get(key, {}).items():
            if place.column is not None:
                found[kind] = taken[place.column]
            elif place.number in self.mirror.sparse:
                found[kind] = self.mirror.sparse[place.number].at(self.mirror.rows[positions])
            else:
                found[kind] = pa.nulls(len(positions), ARROW_TYPES[kind])
        return found

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Arrow types of the dense columns."""
        return dense_types(self.places)


class Shelf:
    """A collection in memory.

    Attributes:
        state: the last committed one; replaced as a whole.
        vectors: where they are; None before the first.
        columns: the files of columns; None in memory.
        graph: None while there is none; a walker while its file is only mapped.
        saved: how many slots the graph file covers.
        dropped: nobody shall use this shelf any more.
        graph_sought: whether the graph file was looked for.
        graph_read: whether it was read, if it was there.
        graph_failed: building failed once; it is not tried again before the next opening.
        successors: vectors of later generations, should a compaction be interrupted.
    """

    def __init__(self, state: State, vectors: Vectors | None, columns: Columns | None) -> None:
        self.vectors = vectors
        self.columns = columns
        self.graph: Graph | Walker | None = None
        self.saved = 0
        self.dropped = False
        self.graph_sought = False
        self.graph_read = False
        self.graph_failed = False
        self.successors: dict[int, Vectors] = {}
        self._lengths = Lengths(state.entry.info.settings.space)
        self.state = state

    @cached_property
    def _ids(self) -> Ids:
        # Made when first needed: queries that open a large collection need no row numbers, which take memory.
        mirror = self.state.mirror
        return Ids(mirror, {}) if self.columns is None else self.columns.ids(mirror)

    def find(self, ids: Sequence[str]) -> IntArray:
        """The position of each live item by its id, int64 (n,), -1 where there is none."""
        return self._ids.find(ids, self.state.mirror)

    def added(self, ids: pa.Array, start: int) -> None:
        """Items were appended from this position on."""
        self._ids.added(ids.to_pylist(), start)

    def removed(self, ids: pa.Array) -> None:
        """Items were deleted."""
        self._ids.removed(ids.to_pylist())

    def held(self) -> Matrix:
        """The vectors of all slots of the current state, without a copy.

        Taken while the store is locked: the file behind a matrix may go, the matrix stays.
        """
        if self.vectors is None:
            return np.empty((0, self.state.entry.info.dimension or 0), dtype=np.float32)
        return self.vectors.view(self.state.entry.next_slot)

    def space(self) -> Space:
        """The vectors of the current state, to be searched; one object per state."""
        state = self.state
        cached: Space | None = self.__dict__.get("_space")
        if cached is None or cached.position_of_slot is not state.mirror.position_of_slot:
            place = state.mirror.position_of_slot
            dead = len(place) != state.mirror.count
            cached = Space(state.entry.info.settings.space, self.held(), place, dead, self._lengths)
            self.__dict__["_space"] = cached
        cached.graph = self.graph
        return cached
