"""Columns of texts of which few differ, such as categories, as numbers: filters compare numbers, not texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.types import BoolArray

# Of so many values no more than this share may differ, of all no more than that number.
_SAMPLE = 1024
_SHARE = 0.5
_MOST_VALUES = 8192


@dataclass(frozen=True)
class Coded:
    """A column as its distinct values and the number of the value of each item.

    Attributes:
        values: the distinct ones, without null.
        codes: uint16 (n,), positions in ``values``; for null one more than the last.
    """

    values: pa.Array
    codes: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, column: pa.Array) -> Coded | None:
        """Of a column, which takes about as long as three comparisons of its texts; None if most of them differ.

        >>> Coded.of(pa.array(["river", "lake", None, "river"] * 2)).codes
        array([0, 1, 2, 0, 0, 1, 2, 0], dtype=uint16)
        """
        sample = column.take(pa.array(np.arange(0, len(column), max(1, len(column) // _SAMPLE))))
        if pc.count_distinct(sample, mode="all").as_py() > _SHARE * len(sample):
            return None
        encoded = column.dictionary_encode()
        values = encoded.dictionary
        if len(values) > _MOST_VALUES:
            return None
        codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        return cls(values, codes.astype(np.uint16))

    def passing(self, test: Callable[[pa.Array], BoolArray]) -> BoolArray:
        """Which items' values pass a test that is asked once of each distinct value; null does not."""
        hit = np.append(test(self.values), False)
        chosen = np.flatnonzero(hit)
        if len(chosen) == 1:
            return np.equal(self.codes, np.uint16(chosen[0]))
        return np.take(hit, self.codes)
