"""What the values of a metadata key look like, so that a form can offer the control that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.types import Kind, MetadataValue

FEW_VALUES = 30
BINS = 24
FacetKind: TypeAlias = Literal["number", "choice", "text", "bool", "mixed"]


TYPE_NAMES = {Kind.STR: "text", Kind.INT: "int", Kind.FLOAT: "float", Kind.BOOL: "yes/no"}


def type_name(kinds: Sequence[Kind]) -> str:
    """What people are told of the values of a key.

    >>> type_name([Kind.STR]), type_name([Kind.STR, Kind.INT])
    ('text', 'mixed')
    """
    return TYPE_NAMES[kinds[0]] if len(kinds) == 1 else "mixed"


@dataclass(frozen=True)
class Facet:
    """One column, as far as its control needs to know it.

    Attributes:
        key: the metadata key.
        kind: "number" (range), "choice" (few values), "text" (contains), "bool", "mixed" (values
            of several types: no control, filter from code).
        count: how many items have a value.
        values: for "choice", the values with their counts, most frequent first.
        low: for "number", the smallest finite value.
        high: for "number", the largest finite value.
        histogram: for "number", int64 counts of equal bins between ``low`` and ``high``.
        whole: for "number", whether all values are ints.
    """

    key: str
    kind: FacetKind
    count: int
    values: tuple[tuple[MetadataValue, int], ...] = ()
    low: float = 0.0
    high: float = 0.0
    histogram: npt.NDArray[np.int64] | None = None
    whole: bool = False


def facet(key: str, kinds: dict[Kind, pa.Array]) -> Facet:
    """Describe one column.

    Args:
        key: its name.
        kinds: its values by kind, n each, as `Snapshot.column` gives them.

    >>> facet("lang", {Kind.STR: pa.array(["en", "de", "en", None])}).values
    (('en', 2), ('de', 1))
    """
    present = {kind: column.drop_null() for kind, column in kinds.items() if column.null_count < len(column)}
    count = sum(len(column) for column in present.values())
    if not present:
        return Facet(key, "mixed", 0)
    if set(present) <= {Kind.INT, Kind.FLOAT}:
        return _number(key, present, count)
    if len(present) > 1:
        return Facet(key, "mixed", count)
    ((kind, column),) = present.items()
    few = _counted(column)
    if kind is Kind.BOOL:
        return Facet(key, "bool", count, few)
    return Facet(key, "choice", count, few) if len(few) <= FEW_VALUES else Facet(key, "text", count)


def _counted(column: pa.Array) -> tuple[tuple[MetadataValue, int], ...]:
    """Values with counts, most frequent first, equal counts in order of the values."""
    counted = pc.value_counts(column)
    if len(counted) > FEW_VALUES:
        counted = counted.slice(0, FEW_VALUES + 1)
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _number(key: str, kinds: dict[Kind, pa.Array], count: int) -> Facet:
    numbers = np.concatenate([column.to_numpy(zero_copy_only=False).astype(np.float64) for column in kinds.values()])
    whole = set(kinds) == {Kind.INT}
    finite = numbers[np.isfinite(numbers)]
    if len(finite) == 0:
        return Facet(key, "mixed", count)
    low, high = float(finite.min()), float(finite.max())
    bins = BINS if not whole else int(min(BINS, high - low + 1))
    histogram = _histogram(finite, bins)
    return Facet(key, "number", count, low=low, high=high, histogram=histogram, whole=whole)


def _histogram(numbers: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.int64]:
    """Counts of equal bins; a single one where float64 cannot tell their edges apart."""
    if np.abs(numbers).max() > 1e300:
        numbers = numbers / 4  # the difference of two such may exceed a float64
    low, high = numbers.min(), numbers.max()
    if (high - low) / bins < 4 * np.spacing(max(abs(low), abs(high))):
        return np.asarray([len(numbers)])
    return np.histogram(numbers, bins=bins, range=(low, high))[0].astype(np.int64)
