"""The columns of a collection in memory: what the rows of results are read from.

DuckDB is the truth; the mirror follows each committed transaction. Why it exists: DuckDB needs
2.5 to 20 ms to fetch the ten rows of a query's hits and 23 ms for 10,000 rows as a frame; taking
them from Arrow arrays costs 0.2 and 1.3 ms.

A mirror is immutable: a change gives a new one that shares all it can, so a reader works on one
consistent state without a lock. Items have a *position* (0-based, in order of insertion, deleted
items included), a *row* (the number that identifies the item in DuckDB) and a *slot* (where its
vector is).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from chroma_nb.store.coding import Coded
from chroma_nb.store.growing import Growing
from chroma_nb.store.sparse import SparseColumn
from chroma_nb.types import BoolArray, IntArray

# Changing an item rewrites the columns of its chunk; reading crosses chunks. At this size both
# stay below some milliseconds.
CHUNK_ROWS = 65_536
# So few rows are sliced and joined: 35 us for ten of seven columns, however many chunks they come from. Taking them by
# position costs 20 us a chunk.
_FEW_ROWS = 32


@dataclass(frozen=True)
class Chunk:
    """Up to `CHUNK_ROWS` consecutive items; a column that is not there is all null."""

    columns: Mapping[str, pa.Array]
    length: int

    def column(self, name: str, type_: pa.DataType) -> pa.Array:
        """The column of that name, or nulls."""
        found = self.columns.get(name)
        return pa.nulls(self.length, type_) if found is None else found

    def coded(self, name: str) -> Coded | None:
        """The column of that name, which is there, as numbers of its distinct values; None if most of them differ."""
        known = self._coded
        if name not in known:
            known[name] = Coded.of(self.columns[name])
        return known[name]

    @cached_property
    def _coded(self) -> dict[str, Coded | None]:
        return {}

    def slice(self, start: int, length: int) -> Chunk:
        """Consecutive items of the chunk, without a copy."""
        return Chunk({name: col.slice(start, length) for name, col in self.columns.items()}, length)


@dataclass(frozen=True)
class Part:
    """Items with consecutive rows, as they are read.

    Attributes:
        rows: int64 (n,), ascending; or a range.
        slots: int64 (n,); or a range.
        columns: dense columns; one that is not there is all null.
        sparse: values of rare metadata keys, by the number of the (key, kind) pair.
    """

    rows: IntArray | range
    slots: IntArray | range
    columns: Mapping[str, pa.Array]
    sparse: Mapping[int, SparseColumn]

    @classmethod
    def of_table(cls, table: pa.Table, types: Mapping[str, pa.DataType], sparse: Mapping[int, SparseColumn]) -> Part:
        """Of a table with the columns ``row``, ``slot`` and those of ``types``, ordered by row."""
        return cls(
            rows=table.column("row").to_numpy().astype(np.int64),
            slots=table.column("slot").to_numpy().astype(np.int64),
            columns={name: _one(table.column(name), type_) for name, type_ in types.items()},
            sparse=sparse,
        )


class _Growing(NamedTuple):
    """The numbers of a mirror, shared with those that follow it."""

    rows: Growing
    slots: Growing
    live: Growing
    place: Growing


@dataclass(frozen=True)
class Mirror:
    """All columns of a collection.

    Attributes:
        types: Arrow type of each dense column.
        chunks: the dense columns, cut into chunks.
        sparse: values of rare metadata keys, by the number of the (key, kind) pair.
        live: bool (n,), false for deleted items.
        position_of_slot: int64 (slots,), -1 for slots that hold no live item's vector.
        dead: how many items are deleted.
    """

    types: Mapping[str, pa.DataType]
    chunks: tuple[Chunk, ...]
    sparse: Mapping[int, SparseColumn]
    live: BoolArray
    position_of_slot: IntArray
    dead: int
    _growing: _Growing

    @classmethod
    def load(cls, parts: Sequence[Part], types: Mapping[str, pa.DataType], slots: int) -> Mirror:
        """Put together what was read, in ascending order of rows, of a collection with so many slots."""
        parts = [part for part in parts if len(part.rows)]
        rows, item_slots = [part.rows for part in parts], [part.slots for part in parts]
        count = sum(map(len, rows))
        # Reading seldom asks for the first two, and new memory is most of what opening a large collection costs.
        growing = _Growing(
            rows=Growing.later(count, lambda: _numbers(rows)),
            slots=Growing.later(count, lambda: _numbers(item_slots)),
            live=Growing.joined(np.ones(count, dtype=np.bool_)),
            place=_positions(item_slots, slots),
        )
        pieces: dict[int, list[SparseColumn]] = {}
        for part in parts:
            for number, column in part.sparse.items():
                pieces.setdefault(number, []).append(column)
        return cls(
            types=dict(types),
            chunks=tuple(chunk for part in parts for chunk in _cut(Chunk(part.columns, len(part.rows)))),
            sparse={number: SparseColumn.joined(columns) for number, columns in pieces.items()},
            live=growing.live.view,
            position_of_slot=growing.place.view,
            dead=0,
            _growing=growing,
        )

    def __len__(self) -> int:
        """Number of positions, deleted items included."""
        return len(self.live)

    @property
    def rows(self) -> IntArray:
        """The row of each position, int64 (n,), ascending."""
        return self._growing.rows.first(len(self))

    @property
    def slots(self) -> IntArray:
        """The slot of each position, int64 (n,)."""
        return self._growing.slots.first(len(self))

    @property
    def count(self) -> int:
        """Number of live items."""
        return len(self) - self.dead

    @cached_property
    def _starts(self) -> IntArray:
        return np.cumsum([0, *(chunk.length for chunk in self.chunks)], dtype=np.int64)

    def live_positions(self, first: int | None = None) -> IntArray:
        """Positions of all live items, ascending; or of the first so many."""
        first = len(self) if first is None else min(first, len(self))
        return np.flatnonzero(self.live[: first + self.dead])[:first] if self.dead else np.arange(first)

    def positions(self, rows: IntArray) -> IntArray:
        """Positions, ascending, of the live ones of these rows (all of them known)."""
        rows, known = ascending(rows), self.rows
        contiguous = len(known) > 0 and int(known[-1]) - int(known[0]) == len(known) - 1
        found = rows - known[0] if contiguous else np.searchsorted(known, rows)
        return found[self.live[found]] if self.dead else found

    def between(self, start: int, stop: int) -> IntArray:
        """Positions of the live items whose rows are from ``start`` to below ``stop``."""
        first, last = np.searchsorted(self.rows, [start, stop])
        found: IntArray = first + np.flatnonzero(self.live[first:last])
        return found

    def count_rows(self, start: int, stop: int) -> int:
        """How many these are."""
        first, last = np.searchsorted(self.rows, [start, stop])
        return int(np.count_nonzero(self.live[first:last]) if self.dead else last - first)

    # reading ----------------------------------------------------------------------------------

    def take(self, positions: IntArray, names: Sequence[str]) -> dict[str, pa.Array]:
        """Dense columns of the items at these positions, in this order."""
        if not names or len(positions) == 0:
            return {name: pa.array([], self.types[name]) for name in names}
        homes = np.searchsorted(self._starts, positions, side="right") - 1
        if len(positions) <= _FEW_ROWS:
            at = (positions - self._starts[homes]).tolist()
            rows = [self._batch(home, names).slice(start, 1) for home, start in zip(homes.tolist(), at, strict=True)]
            return dict(zip(names, pa.concat_batches(rows).columns, strict=True))
        # All columns of a chunk are taken in one call, and put in order in one.
        places = [np.flatnonzero(homes == home) for home in sorted({*homes.tolist()})]
        found = [
            self._batch(homes[at[0]], names).take(pa.array(positions[at] - self._starts[homes[at[0]]])) for at in places
        ]
        joined = found[0] if len(found) == 1 else pa.concat_batches(found)
        back = np.empty(len(positions), dtype=np.int64)
        back[np.concatenate(places)] = np.arange(len(positions))
        if bool((back[1:] < back[:-1]).any()):
            joined = joined.take(pa.array(back))
        return dict(zip(names, joined.columns, strict=True))

    def _batch(self, home: int, names: Sequence[str]) -> pa.RecordBatch:
        """Columns of a chunk; kept, as one query after the other wants the same."""
        wanted = (home, tuple(names))
        found = self._batches.get(wanted)
        if found is None:
            chunk = self.chunks[home]
            columns = [chunk.column(name, self.types[name]) for name in names]
            found = self._batches[wanted] = pa.RecordBatch.from_arrays(columns, names=list(names))
        return found

    @cached_property
    def _batches(self) -> dict[tuple[int, tuple[str, ...]], pa.RecordBatch]:
        return {}

    def whole(self, name: str) -> pa.Array:
        """One dense column of all positions."""
        type_ = self.types[name]
        arrays = [chunk.column(name, type_) for chunk in self.chunks]
        return pa.concat_arrays(arrays) if len(arrays) > 1 else arrays[0] if arrays else pa.array([], type_)

    def missing(self, names: Sequence[str]) -> bool:
        """Whether some live item has a null in all of these dense columns."""
        at = 0
        for chunk in self.chunks:
            live = self.live[at : at + chunk.length]
            at += chunk.length
            absent = live.copy()
            for name in names:
                column = chunk.columns.get(name)
                if column is not None:
                    if column.null_count == 0:
                        absent[:] = False
                        break
                    absent &= column.is_null().to_numpy(zero_copy_only=False)
            if absent.any():
                return True
        return False

    def holds(self, name: str) -> bool:
        """Whether some live item has a value in this dense column."""
        at = 0
        for chunk in self.chunks:
            live = self.live[at : at + chunk.length]
            at += chunk.length
            column = chunk.columns.get(name)
            if column is None or column.null_count == len(column):
                continue
            if not self.dead or bool((live & column.is_valid().to_numpy(zero_copy_only=False)).any()):
                return True
        return False

    # changing ---------------------------------------------------------------------------------

    def append(
        self, rows: IntArray, slots: IntArray, columns: Mapping[str, pa.Array], types: Mapping[str, Any]
    ) -> Mirror:
        """New items at the end; ``types`` names the type of every column, new ones included."""
        growing, start, known = self._growing, len(self), len(self.position_of_slot)
        growing.rows.write(start, rows)
        growing.slots.write(start, slots)
        growing.live.write(start, np.ones(len(rows), dtype=np.bool_))
        growing.place.write(known, _places(slots, known, start))
        return replace(
            self,
            types=dict(types),
            chunks=_merged(self.chunks, Chunk(columns, len(rows))),
            live=growing.live.view,
            position_of_slot=growing.place.view,
        )

    def change(self, positions: IntArray, columns: Mapping[str, pa.Array], types: Mapping[str, Any]) -> Mirror:
        """Other values in some columns of some items (``positions`` ascending, values aligned)."""
        homes = np.searchsorted(self._starts, positions, side="right") - 1
        chunks = list(self.chunks)
        for home in np.unique(homes):
            chosen = np.flatnonzero(homes == home)
            local = positions[chosen] - self._starts[home]
            values = {name: col.take(pa.array(chosen)) for name, col in columns.items()}
            chunks[home] = _patched(chunks[home], local, values, types)
        return replace(self, types=dict(types), chunks=tuple(chunks))

    def move(self, positions: IntArray, slots: IntArray) -> Mirror:
        """Items whose vectors now are in new slots (all behind the known ones)."""
        known = len(self.position_of_slot)
        new = np.full(slots.max(initial=known - 1) + 1 - known, -1, dtype=np.int64)
        place, item_slots = Growing.joined(self.position_of_slot, new), Growing.joined(self.slots)
        place.view[self.slots[positions]] = -1
        place.view[slots] = positions
        item_slots.view[positions] = slots
        growing = self._growing._replace(slots=item_slots, place=place)
        return replace(self, position_of_slot=place.view, _growing=growing)

    def remove(self, positions: IntArray) -> Mirror:
        """Items deleted; their positions stay."""
        live, place = Growing.joined(self.live), Growing.joined(self.position_of_slot)
        live.view[positions] = False
        place.view[self.slots[positions]] = -1
        growing, dead = self._growing._replace(live=live, place=place), self.dead + len(positions)
        return replace(self, live=live.view, position_of_slot=place.view, dead=dead, _growing=growing)


def _numbers(parts: Sequence[IntArray | range]) -> Growing:
    """These one after the other. Ranges are written into their place."""
    joined = Growing.unset((sum(map(len, parts)),), np.int64)
    at = 0
    for part in parts:
        joined.view[at : at + len(part)] = np.arange(part.start, part.stop) if isinstance(part, range) else part
        at += len(part)
    return joined


def _positions(parts: Sequence[IntArray | range], slots: int) -> Growing:
    """The position of each slot, where these are the slots of the positions; -1 for the others."""
    places = Growing.unset((slots,), np.int64)
    places.view[:] = -1
    at = 0
    for part in parts:
        where = slice(part.start, part.stop) if isinstance(part, range) else part
        places.view[where] = np.arange(at, at + len(part))
        at += len(part)
    return places


def _places(slots: IntArray, known: int, start: int) -> IntArray:
    places = np.full(slots.max(initial=known - 1) + 1 - known, -1, dtype=np.int64)
    places[slots - known] = np.arange(start, start + len(slots))
    return places


def _one(column: pa.ChunkedArray, type_: pa.DataType) -> pa.Array:
    chunks = [chunk.cast(type_) for chunk in column.chunks]
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays([pa.array([], type_), *chunks])


def _cut(chunk: Chunk) -> tuple[Chunk, ...]:
    if chunk.length <= CHUNK_ROWS:
        return (chunk,) if chunk.length else ()
    return tuple(
        chunk.slice(start, min(CHUNK_ROWS, chunk.length - start)) for start in range(0, chunk.length, CHUNK_ROWS)
    )


def _merged(chunks: tuple[Chunk, ...], new: Chunk) -> tuple[Chunk, ...]:
    """Append a chunk, joining it with the last ones while they are not much larger.

    As in a log-structured merge tree: many small adds leave a logarithmic number of chunks, and
    each item is copied a logarithmic number of times.
    """
    kept = list(chunks)
    parts = [new]
    total = new.length
    while kept and kept[-1].length <= 2 * total and kept[-1].length + total <= CHUNK_ROWS:
        total += kept[-1].length
        parts.insert(0, kept.pop())
    if len(parts) == 1:
        return (*kept, *_cut(new))
    types = {name: col.type for part in parts for name, col in part.columns.items()}
    joined = {name: pa.concat_arrays([part.column(name, type_) for part in parts]) for name, type_ in types.items()}
    return (*kept, Chunk(joined, total))


def _patched(chunk: Chunk, positions: IntArray, values: Mapping[str, pa.Array], types: Mapping[str, Any]) -> Chunk:
    source = np.arange(chunk.length)
    source[positions] = np.arange(chunk.length, chunk.length + len(positions))
    picked = pa.array(source)
    columns = dict(chunk.columns)
    for name, new in values.items():
        old = chunk.column(name, types[name])
        columns[name] = pa.concat_arrays([old, new]).take(picked)
    return Chunk(columns, chunk.length)


def ascending(numbers: IntArray) -> IntArray:
    """The same numbers sorted; what is sorted already, the usual case, is only checked."""
    return numbers if bool((numbers[1:] >= numbers[:-1]).all()) else np.sort(numbers)
