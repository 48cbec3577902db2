"""The measurements of growth and of imports: what they say follows from the numbers, and growth runs through."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.benchmarks import importing, scale, scale_data, scale_report
from tests.benchmarks.scale_steps import STEPS


def test_what_grows_and_what_does_not() -> None:
    assert doctest.testmod(scale_report) == (0, 3)
    sizes = (10_000, 100_000, 1_000_000)
    values = {
        "query, frame ms": (9.0, 1.0, 1.7),
        "query, dict ms": (1.0, 1.0, 2.0),
        "peek ms": (1.0, 30.0, 44.0),
        "count ms": (1.0, 30.0, 50.0),
        "recall": (0.98, 1.0, 1.0),
        "columns, anonymous a row bytes": (5_000.0, 2_000.0, 900.0),
    }
    medians = {size: {name: one[at] for name, one in values.items()} for at, size in enumerate(sizes)}
    told = scale_report.report(medians)
    for line in (
        "| query, as a DataFrame | logarithmic | 1 ms -> 1.7 ms | <= 1.8 ms | met |",
        "| query, as lists and dicts | logarithmic | 1 ms -> 2 ms | <= 1.8 ms | MISSED |",
        "| peek | constant | 30 ms -> 44 ms | <= 45 ms | met |",
        "| count | constant | 30 ms -> 50 ms | <= 45 ms | MISSED |",
        "| query, recall at 10 | at every size | 0.980 | >= 0.99 | MISSED |",
        "| memory of ids, texts and metadata, for each item | at the largest size | 900 bytes | <= 1,024 bytes | met |",
        "| delete 100 | constant |  |  | not judged |",
        "| peek | 1 ms | 30 ms | 44 ms | 1.5 |",
    ):
        assert line in told.splitlines()
    assert "from 100,000 to 1,000,000 items" in told
    assert "not at rest" not in told
    assert "](" not in told
    told = scale_report.report(medians, repeats=3, picture="scale.svg")
    assert "](scale.svg)" in told
    assert "scale --keep FOLDER --repeats 3`" in told
    assert "20% busy" in scale_report.report(medians, 0.2)


def test_growth_of_one_size_is_not_judged() -> None:
    told = scale_report.report({100_000: {"peek ms": 1.0}})
    assert "| peek | constant |  |  | not judged |" in told
    assert "here it is not judged" in told


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
    told = scale_report.report(medians)
    linux_only = {"columns, anonymous a row bytes"}
    expected = {one.name for one in scale_report.PROMISES} - (set() if sys.platform == "linux" else linux_only)
    assert expected <= medians[600].keys()
    assert all(f"| {scale_report.label(promise.name)} | {promise.text} | " in told for promise in scale_report.PROMISES)
    assert "query, as a DataFrame" in scale_report.plot(medians)


def test_an_import_reads_so_many_rows_at_once(tmp_path: Path) -> None:
    file = importing.make_file(tmp_path / "rows.parquet", 7_000)
    assert 5_000 < importing.rows_at_once(file) < 7_000
    if sys.platform == "linux":  # elsewhere nobody tells the memory
        found = importing._run("add", file, tmp_path / "store", 1_000)
        assert found["memory"] > 1
        assert found.keys() == {"seconds", "cpu", "memory"}
        assert not (tmp_path / "store").exists()
