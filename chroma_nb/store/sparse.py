"""Values of a rare metadata key: (row, value) pairs instead of a column that is nearly all null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from chroma_nb.types import IntArray, Kind


@dataclass(frozen=True)
class SparseColumn:
    """The values of one (key, kind) pair.

    Attributes:
        rows: int64, ascending: the row numbers of the items that have a value.
        values: their values, aligned.
    """

    rows: IntArray
    values: pa.Array

    def at(self, rows: IntArray) -> pa.Array:
        """The values of these rows, null where there is none."""
        if len(self.rows) == 0:
            return pa.nulls(len(rows), self.values.type)
        found = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return self.values.take(pa.array(found, mask=self.rows[found] != rows))

    @classmethod
    def joined(cls, pieces: Sequence[SparseColumn]) -> SparseColumn:
        """Several columns of one kind, one behind the other."""
        if len(pieces) == 1:
            return pieces[0]
        rows = np.concatenate([piece.rows for piece in pieces])
        return cls(rows, pa.concat_arrays([piece.values for piece in pieces]))

    def between(self, start: int, stop: int) -> SparseColumn:
        """The values of the rows from ``start`` to below ``stop``."""
        first, last = np.searchsorted(self.rows, [start, stop])
        return SparseColumn(self.rows[first:last], self.values.slice(first, last - first))

    def without(self, rows: IntArray) -> SparseColumn:
        """The same column after these rows lost their values."""
        kept = np.isin(self.rows, rows, invert=True)
        return self if kept.all() else SparseColumn(self.rows[kept], self.values.filter(pa.array(kept)))

    def having(self, rows: IntArray, values: pa.Array) -> SparseColumn:
        """The same column with values for rows that had none."""
        if len(rows) == 0:
            return self
        joined = np.concatenate([self.rows, rows])
        order = np.argsort(joined, kind="stable")
        return SparseColumn(joined[order], pa.concat_arrays([self.values, values]).take(pa.array(order)))


@dataclass(frozen=True)
class SparseChange:
    """New sparse values of one (key, kind) pair.

    Attributes:
        number: of the pair.
        kind: of the values.
        rows: row numbers, ascending.
        values: aligned, no nulls.
    """

    number: int
    kind: Kind
    rows: IntArray
    values: pa.Array
