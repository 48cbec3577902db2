"""Columns as numbers of their distinct values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.store import coding
from chroma_nb.store.coding import Coded
from chroma_nb.types import BoolArray

VALUES = st.lists(st.none() | st.sampled_from(["", "a", "b", "ab", "日"]), min_size=12, max_size=60)


@given(VALUES, st.sets(st.sampled_from(["", "a", "b", "ab", "日", "x"])), st.integers(0, 4))
def test_what_passes_is_what_would_pass_one_by_one(listed: list[str | None], wanted: set[str], skipped: int) -> None:
    column = pa.array(listed, pa.large_string()).slice(skipped)

    def test(values: pa.Array) -> BoolArray:
        return np.array([value in wanted for value in values.to_pylist()], dtype=np.bool_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "_SHARE", 1.0)
        coded = Coded.of(column)
    assert coded is not None
    assert coded.values.null_count == 0
    assert coded.passing(test).tolist() == [value in wanted for value in column.to_pylist()]


def test_what_differs_much_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Coded.of(pa.array([f"page {n}" for n in range(5000)])) is None
    assert Coded.of(pa.array(["same"] * 2000 + [f"page {n}" for n in range(5000)])) is None
    mostly_the_same = pa.array(["same"] * 10_000 + [f"page {n}" for n in range(5000)])
    assert Coded.of(mostly_the_same) is not None
    monkeypatch.setattr(coding, "_MOST_VALUES", 4000)
    assert Coded.of(mostly_the_same) is None


def test_as_many_values_as_have_numbers() -> None:
    column = pa.array([f"{n % 8192:04}" for n in range(65_536)], pa.large_string())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "_SHARE", 1.0)
        coded = Coded.of(column)
    assert coded is not None
    found = coded.passing(lambda values: pc.equal(values, "8191").to_numpy(zero_copy_only=False))
    assert np.flatnonzero(found).tolist() == list(range(8191, 65_536, 8192))
