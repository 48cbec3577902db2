"""Colours, legends and scales agree with the values they stand for."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from chroma_nb_widgets.map.interface import MOST_COLOURS, NO_VALUE, Colours
from chroma_nb_widgets.models import colours
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.batch import columns_of_values
from tests.store import strategies

FEW_TEXTS = st.sampled_from(["a", "b", "", " ", "<b>", "yes", "1"])


def made(values: list[Any], label: str = "k") -> Colours:
    found = colours.by_column(label, columns_of_values(values, label), len(values))
    check(found, len(values))
    return found


def check(found: Colours, count: int) -> None:
    """What holds for colours of anything."""
    assert found.codes.dtype == np.uint16
    assert found.codes.shape == (count,)
    assert 0 < len(found.palette) <= MOST_COLOURS
    assert all(re.fullmatch("#[0-9a-fA-F]{6}", colour) for colour in found.palette)
    used = Counter(found.codes.tolist())
    assert all(code == NO_VALUE or code < len(found.palette) for code in used)
    if found.kind in ("categorical", "boolean"):
        assert {entry.code: entry.count for entry in found.legend} == dict(used)
        assert len({entry.code for entry in found.legend}) == len(found.legend)
        assert all(entry.code == NO_VALUE or entry.colour == found.palette[entry.code] for entry in found.legend)
        assert all(entry.text.strip() for entry in found.legend)
        assert (found.low, found.high) == (None, None)
    else:
        assert found.legend == ()


@given(
    st.lists(st.none() | strategies.values, max_size=40)
    | st.lists(st.none() | st.integers(0, 30), max_size=60)
    | st.lists(st.none() | st.booleans(), max_size=10)
    | st.lists(st.none() | FEW_TEXTS, max_size=30)
    | st.lists(st.none() | FEW_TEXTS | st.integers(0, 3) | st.floats(allow_nan=False) | st.booleans(), max_size=30)
    | st.lists(st.none() | strategies.floats, max_size=30)
)
def test_anything_can_be_coloured(values: list[Any]) -> None:
    found = made(values)
    assert [code == NO_VALUE for code in found.codes] == [
        value is None or (found.kind == "continuous" and not math.isfinite(value)) for value in values
    ]


@given(st.lists(FEW_TEXTS | st.none(), min_size=1, max_size=30))
def test_equal_texts_have_equal_colours(values: list[str | None]) -> None:
    codes = made(values).codes
    for one, other in zip(range(len(values)), range(1, len(values)), strict=False):
        assert (codes[one] == codes[other]) == (values[one] == values[other])


def test_categories_by_name_so_that_more_rows_change_no_colours() -> None:
    found = made(["b", "a", "c", "c", None])
    assert found.kind == "categorical"
    assert [(entry.text, entry.count, entry.code) for entry in found.legend] == [
        ("a", 1, 0),
        ("b", 1, 1),
        ("c", 2, 2),
        ("no value", 1, NO_VALUE),
    ]
    assert found.codes.tolist() == [1, 0, 2, 2, NO_VALUE]
    assert found.palette == colours.OKABE_ITO[:3]


@pytest.mark.parametrize(("different", "own", "others"), [(19, 19, None), (20, 20, None), (21, 19, "2 others")])
def test_many_categories(different: int, own: int, others: str | None) -> None:
    values = [f"v{at:03}" for at in range(different) for _ in range(different - at)]
    found = made(values)
    assert [entry.text for entry in found.legend[:own]] == [f"v{at:03}" for at in range(own)]
    assert [entry.text for entry in found.legend[own:]] == ([] if others is None else [others])
    if others is not None:
        assert found.legend[-1].count == 2 + 1  # of the last two, which occur twice and once
        assert found.legend[-1].colour == colours.OTHER


def test_bools() -> None:
    found = made([True, None, False, True])
    assert found.kind == "boolean"
    assert [(entry.text, entry.count) for entry in found.legend] == [("no", 1), ("yes", 2), ("no value", 1)]
    assert [entry.text for entry in made([True, True]).legend] == ["yes"]


def test_few_ints_are_categories_in_their_order() -> None:
    found = made([3, 1, 3, 2, 3])
    assert found.kind == "categorical"
    assert [(entry.text, entry.count) for entry in found.legend] == [("1", 1), ("2", 1), ("3", 3)]
    assert made(list(range(20))).kind == "categorical"
    assert made(list(range(21))).kind == "continuous"


def test_several_types_are_categories_of_their_texts() -> None:
    found = made(["x", 1, True, 0.5, None, "x"])
    assert found.kind == "categorical"
    assert {entry.text: entry.count for entry in found.legend} == {"x": 2, "1": 1, "yes": 1, "0.5": 1, "no value": 1}
    assert made([1, 0.5]).kind == "continuous"


def test_a_scale() -> None:
    found = made([0.0, 1.0, 0.5, None, 0.25])
    assert (found.kind, found.low, found.high, len(found.palette)) == ("continuous", 0.0, 1.0, 256)
    assert found.codes.tolist() == [0, 255, 128, NO_VALUE, 64]


@given(st.lists(strategies.floats, min_size=1, max_size=50))
def test_a_scale_keeps_the_order(values: list[float]) -> None:
    found = made(values)
    finite = [(value, int(code)) for value, code in zip(values, found.codes, strict=True) if math.isfinite(value)]
    for (one, one_code), (other, other_code) in zip(sorted(finite), sorted(finite)[1:], strict=False):
        assert one_code <= other_code or one == other
    if finite:
        assert found.low is not None
        assert found.high is not None
        assert min(finite)[0] <= found.low <= found.high <= max(finite)[0]


def test_constant_columns() -> None:
    found = made([2.5] * 5)
    assert (found.low, found.high) == (2.5, 2.5)
    assert found.codes.tolist() == [0] * 5


def test_infinite_numbers_have_no_place_on_the_scale() -> None:
    found = made([math.inf, 1.0, 2.0, -math.inf])
    assert (found.low, found.high) == (1.0, 2.0)
    assert found.codes.tolist() == [NO_VALUE, 0, 255, NO_VALUE]
    assert made([math.inf] * 3).codes.tolist() == [NO_VALUE] * 3


def test_an_outlier_does_not_take_the_scale() -> None:
    found = made([*np.linspace(0, 1, 999).tolist(), 1e9])
    assert found.high is not None
    assert found.high < 1.01
    assert found.codes[-1] == 255
    assert len(set(found.codes.tolist())) > 200


@pytest.mark.parametrize("values", [[-1.7e308, 0.0, 1.7e308], [5e-324, 0.0, 1e-323], [-(2**63), 0, 2**63 - 1]])
def test_ends_of_the_doubles(values: list[Any]) -> None:
    found = colours.by_number("k", np.asarray(values, dtype=np.float64))
    assert found.codes[np.argmin(values)] == 0
    assert found.codes[np.argmax(values)] == 255
    assert 0 < found.codes[1 if values[1] == 0 and values[0] < 0 else 0] < 255


def test_no_values_and_no_items() -> None:
    assert made([None, None]).codes.tolist() == [NO_VALUE] * 2
    assert made([]).legend == ()
    assert colours.by_column("gone", {}, 3).legend[0].count == 3
    check(colours.one_colour(3), 3)
    check(colours.by_number("x", np.zeros(0)), 0)


def test_nulls_under_several_kinds() -> None:
    """As snapshots give them: every kind a full column."""
    kinds = columns_of_values([1, "a", None], "k")
    assert all(isinstance(column, pa.Array) and len(column) == 3 for column in kinds.values())
    assert colours.by_column("k", kinds, 3).codes.tolist() == [0, 1, NO_VALUE]


def test_the_palettes_are_distinct() -> None:
    assert len(set(map(str.lower, (*colours.CATEGORIES, colours.OTHER)))) == 21
    scale = colours.scale()
    assert (len(scale), scale[0], scale[-1]) == (256, "#440154", "#fde725")
    assert len(set(scale)) > 200
