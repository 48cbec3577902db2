"""Rows of a Parquet file into a store, beside DuckDB's own insert of the same file: rows a second, and memory.

Each run is a process of its own; runs take turns. Memory is what the process holds beyond what it held before: the
highest of samples of its anonymous memory, as pages of mapped files are the system's to take back.
"""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import fresh, scale_data
from tests.benchmarks.fresh import Numbers
from tests.benchmarks.peers.measuring import MemoryWatch, timing

_GROUP = 50_000  # rows of a row group


def make_file(path: Path, rows: int, *, group: int = _GROUP) -> Path:
    """A Parquet file of so many rows of the corpus, in row groups of ``group``."""
    made: pq.ParquetWriter | None = None
    for batch in scale_data.batches(rows, group):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(batch.vectors.reshape(-1)), scale_data.DIMENSION)
        table = batch.table.append_column("embedding", vectors)
        made = made or pq.ParquetWriter(path, table.schema)
        made.write_table(table)
    assert made is not None
    made.close()
    return path


def compare_importing(rows: int, repeats: int, work: Path | None = None) -> None:
    """Print the medians of all, and whether what is promised holds."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        file = make_file(Path(folder).resolve() / "rows.parquet", rows)
        batch = rows_at_once(file)
        print(f"{rows:,} x {scale_data.DIMENSION} rows, {file.stat().st_size / 1e6:,.0f} MB of Parquet", flush=True)
        found: dict[str, list[Numbers]] = {name: [] for name in _RUNS}
        for _ in range(repeats):
            for name, runs in found.items():
                runs.append(_run(name, file, file.with_name("store"), batch))
                print(name, runs[-1], flush=True)
        medians = {
            name: {what: statistics.median(run[what] for run in runs) for what in runs[0]}
            for name, runs in found.items()
        }
        for name, middle in medians.items():
            speed = rows / middle["seconds"]
            print(f"{name:>10}  {speed:>12,.0f} rows/s  {middle['cpu']:8.1f} CPU s  {middle['memory']:8.0f} MB more")
        print(*verdicts(medians, batch), sep="\n")


def rows_at_once(file: Path) -> int:
    """How many rows of this file an import reads at once: those of its first batch."""
    import chroma_nb
    from chroma_nb.migrate.files import FileSource
    from chroma_nb.migrate.files_columns import Asked
    from chroma_nb.migrate.planning import Way

    def embed(*_: object) -> NoReturn:
        raise AssertionError("the file has vectors")

    with chroma_nb.Client() as client, FileSource([file], "items", Asked(), embed) as source:
        (items,) = source.collections()
        way = Way(source, client._store, on_conflict="error", duplicates="last", batch_size=None)
        return next(source.batches(items, way.rows(items.dimension))).rows


def verdicts(medians: Mapping[str, Numbers], batch: int) -> list[str]:
    """Whether rows come half as fast as DuckDB inserts them, in twice a batch of vectors beside the store's own memory.

    >>> duckdb, add = {"seconds": 10.0, "memory": 90.0}, {"seconds": 9.0, "memory": 200.0}
    >>> verdicts({"duckdb": duckdb, "import": {"seconds": 20.0, "memory": 225.0}, "add": add}, 6_615)
    ['0.50 of the rows/s of DuckDB, at least 0.50: met', '25 MB more than adding takes, at most 20: MISSED']
    """
    speed = medians["duckdb"]["seconds"] / medians["import"]["seconds"]
    more, most = medians["import"]["memory"] - medians["add"]["memory"], 2 * batch * scale_data.DIMENSION * 4 / 1e6
    return [
        f"{speed:.2f} of the rows/s of DuckDB, at least 0.50: {'met' if speed >= 0.5 else 'MISSED'}",
        f"{more:.0f} MB more than adding takes, at most {most:.0f}: {'met' if more <= most else 'MISSED'}",
    ]


def _run(name: str, file: Path, target: Path, batch: int) -> Numbers:
    try:
        return fresh.numbers("-m", "tests.benchmarks.importing", name, str(file), str(target), str(batch))
    finally:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


def _duckdb(file: Path, target: Path, _: int) -> None:
    import duckdb

    with duckdb.connect(target) as connection:
        connection.execute("CREATE TABLE items AS SELECT * FROM read_parquet(?)", [str(file)])
        connection.execute("CHECKPOINT")


def _import(file: Path, target: Path, _: int) -> None:
    import chroma_nb

    with chroma_nb.Client(target) as client:
        report = client.import_file(file, "items")
        assert report["verified"].all()


def _add(file: Path, target: Path, batch: int) -> None:
    """What the store itself needs for these rows: batches of an open file, added."""
    import chroma_nb

    with chroma_nb.Client(target) as client, pq.ParquetFile(file, memory_map=True, pre_buffer=False) as source:
        items = client.create_collection("items")
        for rows in source.iter_batches(batch):
            items.add(rows)


_RUNS: dict[str, Callable[[Path, Path, int], None]] = {"duckdb": _duckdb, "import": _import, "add": _add}


def main() -> None:
    """One run, in a process of its own: seconds, CPU seconds, and the MB that it took at most."""
    name, file, target, batch = sys.argv[1:]
    for library in ("duckdb", "chroma_nb.migrate.files"):  # loading them is not measured
        importlib.import_module(library)
    times, watch = Numbers(), MemoryWatch()
    watch.start()
    with timing(times, "run"):
        _RUNS[name](Path(file), Path(target), int(batch))
    print(json.dumps({"seconds": times["run s"], "cpu": times["run CPU s"], "memory": watch.stop()}))


if __name__ == "__main__":
    main()
