"""The measurements of growth and of imports: what they say follows from the numbers, and growth runs through."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.benchmarks import importing, scale, scale_data
from tests.benchmarks.scale_steps import STEPS


def test_what_grows_and_what_does_not() -> None:
    assert doctest.testmod(scale) == (0, 5)


def test_verdicts_of_imports() -> None:
    assert doctest.testmod(importing) == (0, 2)


def test_rows_do_not_depend_on_the_size_of_batches() -> None:
    whole = scale_data.batch(0, 5_000)
    for size in (777, 4_096):
        parts = list(scale_data.batches(4_900, size, 100))
        assert np.array_equal(np.concatenate([part.vectors for part in parts]), whole.vectors[100:])
        assert pa.concat_tables([part.table for part in parts]).combine_chunks() == whole.table.slice(100)
    assert len(set(whole.table["id"].to_pylist())) == 5_000
    np.testing.assert_allclose(np.linalg.norm(whole.vectors, axis=1), 1, rtol=1e-5)


def test_every_step_gives_what_the_report_tells(tmp_path: Path) -> None:
    medians: dict[int, dict[str, float]] = {}
    for size in (500, 600):
        STEPS["make"](tmp_path / str(size), size)
        medians[size] = {}
        for name in (*scale.ROUND, "graphs"):
            medians[size] |= STEPS[name](tmp_path / str(size), size)
    assert medians[600]["recall"] == 1
    told = scale.report(medians)
    assert all(f"| {scale._label(promise.name)} | {promise.text} | " in told for promise in scale.PROMISES)
    assert "one query" in scale.plot(medians)
