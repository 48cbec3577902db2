"""Where the items with given ids are: by sorted hashes in files, by a dict for the rest.

A dict of 1,000,000 ids takes half a second to make and 150 MB; hashes that were sorted when the columns were written
take neither. A hash only says where to look: the id there is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.store.mirror import Mirror
from chroma_nb.types import IntArray

_BLOCK = 8192  # ids hashed at once: some MB of intermediate results
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hashes(ids: pa.Array) -> npt.NDArray[np.uint64]:
    """64 bits of each text, the same on every machine: part of what a file of columns is, not to be changed.

    The bytes, each times an odd number that its place gives (those of SplitMix64, Steele et al. 2014), summed up and
    mixed.

    Args:
        ids: large_string (n,), no nulls.

    >>> [hex(number) for number in hashes(pa.array(["a", "b", ""], pa.large_string()))]
    ['0x919ae2d88ce9add6', '0x50d0cd59df096cd6', '0x0']
    """
    blocks = [_hashed(ids.slice(start, _BLOCK)) for start in range(0, len(ids), _BLOCK)]
    return np.concatenate([np.empty(0, np.uint64), *blocks])


def _hashed(ids: pa.Array) -> npt.NDArray[np.uint64]:
    _, places, text = ids.buffers()
    ends = np.frombuffer(places, dtype=np.int64)[ids.offset : ids.offset + len(ids) + 1]
    first, last = int(ends[0]), int(ends[-1])
    if first == last:
        return np.zeros(len(ids), dtype=np.uint64)
    starts, lengths = ends[:-1] - first, np.diff(ends)
    place = np.arange(last - first) - np.repeat(starts, lengths)
    factors = _mixed(np.arange(1, int(lengths.max()) + 1, dtype=np.uint64) * _GOLDEN) | np.uint64(1)
    sums = np.zeros(last - first + 1, dtype=np.uint64)
    np.cumsum((np.frombuffer(text, dtype=np.uint8)[first:last] + np.uint64(1)) * factors[place], out=sums[1:])
    return _mixed(sums[ends[1:] - first] - sums[starts])


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@dataclass(frozen=True)
class Sorted:
    """The hashes of the ids of consecutive items.

    Attributes:
        hashes: uint64 (n,), ascending.
        order: uint16 (n,): which of the items each hash is of.
    """

    hashes: npt.NDArray[np.uint64]
    order: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, ids: pa.Array) -> Sorted:
        """Of at most 65,536 ids."""
        found = hashes(ids)
        order = np.argsort(found, kind="stable")
        return cls(found[order], order.astype(np.uint16))

    def candidates(self, wanted: npt.NDArray[np.uint64]) -> Iterator[tuple[IntArray, IntArray]]:
        """Which of the wanted hashes occur, and of which items: once, and again while several ids have the same."""
        which = np.arange(len(wanted))
        at = np.searchsorted(self.hashes, wanted)
        while True:
            there = np.flatnonzero(self.hashes.take(at, mode="clip") == wanted[which])
            which, at = which[there], at[there]
            yield which, self.order[at].astype(np.int64)
            inside = at + 1 < len(self.hashes)
            which, at = which[inside], at[inside] + 1
            if not len(which):
                return


class Ids:
    """The positions of the items of one collection, by id.

    Args:
        mirror: its items.
        indexes: for some stretches of it, by first position, sorted hashes; at most one item has an id.
    """

    def __init__(self, mirror: Mirror, indexes: dict[int, Sorted]) -> None:
        self._indexes = indexes
        self._others = _between(len(mirror), indexes)
        self._dict: dict[str, int] | None = None

    def find(self, ids: Sequence[str], mirror: Mirror) -> IntArray:
        """The position of each of these ids in the mirror as it is now, -1 where there is none."""
        if self._dict is None:
            self._dict = self._made(mirror)
        found = np.fromiter(map(self._dict.get, ids, repeat(-1)), dtype=np.int64, count=len(ids))
        left = np.flatnonzero(found < 0) if self._indexes else found[:0]
        if len(left):
            asked = pa.array([ids[at] for at in left.tolist()] if len(left) < len(ids) else ids, pa.large_string())
            found[left] = self._in_files(asked, mirror)
            # What was asked for once is asked for again.
            self._dict.update(
                (ids[at], position)
                for at, position in zip(left.tolist(), found[left].tolist(), strict=True)
                if position >= 0
            )
        return found

    def _made(self, mirror: Mirror) -> dict[str, int]:
        """Of all live items that no file covers."""
        made: dict[str, int] = {}
        for start, stop in self._others:
            positions = start + np.flatnonzero(mirror.live[start:stop])
            made.update(zip(mirror.take(positions, ["id"])["id"].to_pylist(), positions.tolist(), strict=True))
        return made

    def _in_files(self, asked: pa.Array, mirror: Mirror) -> IntArray:
        wanted = hashes(asked)
        order = np.argsort(wanted)  # neighbours are looked for at neighbouring places
        wanted = wanted[order]
        candidates = [
            (order[which], start + places)
            for start, index in self._indexes.items()
            for which, places in index.candidates(wanted)
        ]
        which, positions = (
            np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*candidates, strict=True)
        )
        right = _equal(mirror.take(positions, ["id"])["id"], asked.take(pa.array(which))) & mirror.live[positions]
        found = np.full(len(asked), -1, dtype=np.int64)
        found[which[right]] = positions[right]
        return found

    def added(self, ids: Sequence[str], start: int) -> None:
        """Items were appended."""
        if self._dict is None:
            self._others.append((start, start + len(ids)))
        else:
            self._dict.update(zip(ids, range(start, start + len(ids)), strict=True))

    def removed(self, ids: Sequence[str]) -> None:
        """Items were deleted."""
        if self._dict:
            for id_ in ids:
                self._dict.pop(id_, None)


def _equal(one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = pc.equal(one, other).to_numpy(zero_copy_only=False)
    return same


def _between(length: int, indexes: dict[int, Sorted]) -> list[tuple[int, int]]:
    """The stretches that no index covers."""
    found, at = [], 0
    for start in sorted(indexes):
        found.append((at, start))
        at = start + len(indexes[start].hashes)
    return [(start, stop) for start, stop in [*found, (at, length)] if start < stop]
