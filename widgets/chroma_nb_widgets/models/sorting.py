"""The order of rows by a column whose values may be of several types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.columns import key_of
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import IntArray, Kind


def order(snapshot: Snapshot, positions: IntArray, column: str, descending: bool) -> IntArray:
    """Which of these positions comes first, second, ...: indices into them.

    Numbers come before texts, these before bools, and rows without a value last, in both directions; equal
    rows stay as they were.

    Args:
        snapshot: of the collection.
        positions: of the rows.
        column: a column of frames: "id", or that of a metadata key.
        descending: whether the largest comes first.
    """
    kinds = {Kind.STR: snapshot.ids} if column == "id" else snapshot.column(key_of(column))
    columns = [values.take(pa.array(positions)) for values in _comparable(kinds)]
    if not columns:
        return np.arange(len(positions))
    names = [str(at) for at in range(len(columns))]
    keys = [(name, "descending" if descending else "ascending") for name in names]
    ordered = pc.sort_indices(pa.table(columns, names=names), sort_keys=keys)  # without a value: at the end
    return np.asarray(ordered, dtype=np.int64)


def _comparable(kinds: Mapping[Kind, pa.Array]) -> list[pa.Array]:
    """Columns to sort by, one after the other; ints and floats are one."""
    numbers = [kinds[kind] for kind in (Kind.INT, Kind.FLOAT) if kind in kinds]
    if len(numbers) == 2:  # alone, large ints keep their last digits
        numbers = [pc.coalesce(*(pc.cast(column, pa.float64(), safe=False) for column in numbers))]
    return [*numbers, *(kinds[kind] for kind in (Kind.STR, Kind.BOOL) if kind in kinds)]
