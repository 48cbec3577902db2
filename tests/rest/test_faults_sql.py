"""Statements that would take a server down: they are refused or ended, and it goes on."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from chroma_nb import batch
from chroma_nb.errors import SqlError
from chroma_nb.store import confined
from chroma_nb.store.confined import confined_sql
from chroma_nb.types import CollectionInfo

if TYPE_CHECKING:
    from chroma_nb.store.local import LocalStore

LINUX = sys.platform == "linux"


@pytest.mark.parametrize(
    "statement",
    [
        "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7",
        "select 1 " + "union all select 1 " * 3400,  # in the planner, which does not let itself be interrupted
        "select a.range, repeat('a', 200) s from range(50000000) a order by hash(a.range) limit 10 offset 40000000",
    ],
    ids=["long", "planner", "sort"],
)
def test_a_statement_is_ended_in_time(
    store: LocalStore, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = time.perf_counter()
    # A sort meets the limit of memory first where the machine is quick.
    with pytest.raises(SqlError, match=r"longer than 1\.5 seconds|Out of Memory"):
        confined_sql(store, statement, seconds=1.5)
    assert time.perf_counter() - begun < 30, "not ended at all"
    assert list(tmp_path.iterdir()) == []  # nothing went to the disk


@pytest.mark.skipif(not LINUX, reason="no limit of memory there")
@pytest.mark.parametrize(
    "statement",
    ["select length(repeat(repeat('a', 1000000), 3000))", "select len(range(400000000))"],
    ids=["text", "list"],
)
def test_single_values_count(store: LocalStore, statement: str) -> None:
    with pytest.raises(SqlError, match=r"[Mm]emory"):
        confined_sql(store, statement, seconds=20)


def test_a_statement_has_a_length(store: LocalStore) -> None:
    assert confined_sql(store, f"select length('{'x' * 60_000}') as n").to_pylist() == [{"n": 60_000}]
    for text in ("select '" + "x" * 65_536 + "'", "select '" + "\xe9" * 33_000 + "'"):
        with pytest.raises(SqlError, match="65,536 bytes"):
            confined_sql(store, text)


def test_no_path_is_told(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path(Path.cwd().anchor, "somewhere")))
    settings = confined_sql(store, "select name, value from duckdb_settings()").to_pylist()
    assert len(settings) > 50
    assert [one for one in settings if (one["value"] or "").startswith(("/", "~", "."))] == []
    assert confined_sql(store, "select path from duckdb_databases() where path is not null").to_pylist() == []


def test_a_process_that_breaks_down_is_an_error(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os\nos.abort()\n", encoding="utf-8")
    monkeypatch.setattr(confined, "_CHILD", child)
    with pytest.raises(SqlError, match="more memory"):
        confined_sql(store, "select 1")


def test_all_tables_and_values_arrive(store: LocalStore) -> None:
    names = ["docs", "texts"]
    for name in names:
        made = store.create_collection(CollectionInfo(uuid.uuid4(), name))
        vectors = np.arange(60_000, dtype=np.float32).reshape(20_000, 3)
        ids = [f"{name}-{number}" for number in range(20_000)]
        store.add(made.id, batch.records(ids, vectors, [{"n": n} for n in range(20_000)], ["caf\xe9"] * 20_000))
    both = " union all ".join(f'select id, document, n, embedding from "{name}"' for name in names)
    found = confined_sql(store, f"select * from ({both}) where n >= $least order by n, id", {"least": 10_000})
    assert found.num_rows == 20_000
    first = found.slice(0, 1).to_pylist()[0]
    assert (first["document"], first["n"], first["embedding"]) == ("caf\xe9", 10_000, [30_000.0, 30_001.0, 30_002.0])
    given = confined_sql(store, "select ? as a, ? as b, ? as c, ? as d", ["x\n\xe9", 2**40, 0.1, None])
    assert given.to_pylist() == [{"a": "x\n\xe9", "b": 2**40, "c": 0.1, "d": None}]
