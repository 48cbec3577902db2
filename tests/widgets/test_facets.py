"""What a form learns about a column, against pandas and plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from chroma_nb_widgets.models.facets import BINS, FEW_VALUES, facet
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.types import ARROW_TYPES, Kind
from tests.store import strategies


def column(values: list[Any]) -> dict[Kind, pa.Array]:
    """Values, None for none, as a snapshot gives them."""
    kinds: dict[Kind, pa.Array] = {}
    for kind in dict.fromkeys(Kind(type(value).__name__) for value in values if value is not None):
        own = [value if value is not None and type(value).__name__ == kind else None for value in values]
        kinds[kind] = pa.array(own, type=ARROW_TYPES[kind])
    return kinds


@given(st.lists(st.none() | st.sampled_from(strategies.TRICKY_TEXTS), min_size=1, max_size=60))
def test_choices_are_the_values_with_their_counts(values: list[str | None]) -> None:
    made = facet("k", column(values))
    counts = Counter(value for value in values if value is not None)
    assert made.count == counts.total()
    if len(counts) > FEW_VALUES:
        assert (made.kind, made.values) == ("text", ())
    elif counts:
        assert made.kind == "choice"
        assert dict(made.values) == counts
        assert [count for _, count in made.values] == sorted(counts.values(), reverse=True)


@given(st.lists(st.none() | strategies.int64 | strategies.floats, min_size=1, max_size=50))
def test_numbers_have_a_range_and_a_histogram(values: list[float | None]) -> None:
    series = pd.Series(values, dtype=object).dropna().astype(float)
    finite = series[np.isfinite(series)]
    made = facet("k", column(values))
    assert made.count == len(series)
    if len(finite) == 0:
        assert made.kind == "mixed"
        return
    assert made.kind == "number"
    assert (made.low, made.high) == (finite.min(), finite.max())
    assert made.whole == all(isinstance(value, int) for value in values if value is not None)
    assert made.histogram is not None
    assert made.histogram.sum() == len(finite)
    assert 1 <= len(made.histogram) <= BINS


def test_the_histogram_is_that_of_numpy() -> None:
    numbers = np.random.default_rng(5).normal(size=500)
    made = facet("k", column(numbers.tolist()))
    assert made.histogram is not None
    np.testing.assert_array_equal(made.histogram, np.histogram(numbers, bins=BINS)[0])


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.7976931348623157e308],
        [-1.7976931348623157e308, 1.7976931348623157e308],
        [2.0**53, 2.0**53 + 36],
        [1.0, 1.0 + 2**-52],
        [0.0, 5e-324],
        [7, 7, 7],
    ],
)
def test_ranges_at_the_edge_of_what_numbers_can_hold(values: list[float]) -> None:
    made = facet("k", column(values))
    assert made.histogram is not None
    assert made.histogram.sum() == len(values)
    assert made.histogram[0] >= 1


def test_few_ints_get_a_bin_each() -> None:
    made = facet("k", column([1, 1, 2, 4]))
    assert made.histogram is not None
    assert made.histogram.tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], "mixed"),
        ([True, False, None], "bool"),
        (["a", 1], "mixed"),
        ([True, 1], "mixed"),
        ([1, 2.5], "number"),
        ([float("inf")], "mixed"),
        (["same", "same"], "choice"),
        ([f"v{at}" for at in range(FEW_VALUES + 1)], "text"),
        ([f"v{at}" for at in range(FEW_VALUES)], "choice"),
    ],
)
def test_the_control_fits(values: list[Any], kind: str) -> None:
    assert facet("k", column(values)).kind == kind


def test_bools_are_counted() -> None:
    assert facet("k", column([True, False, True, None])).values == ((True, 2), (False, 1))
