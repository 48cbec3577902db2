"""Rows of a Parquet file into a store, beside DuckDB's own insert of the same file: rows a second, and memory.

Each run is a process of its own; runs take turns. Memory is what the process holds beyond what it held before: the
highest of samples of its anonymous memory, as pages of mapped files are the system's to take back.
"""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import scale_data

_GROUP = 50_000  # rows of a row group
_BATCH = 6_615  # rows that an import reads at once, of this dimension
_SAMPLES = 0.01  # seconds


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
        file = make_file(Path(folder) / "rows.parquet", rows)
        print(f"{rows:,} x {scale_data.DIMENSION} rows, {file.stat().st_size / 1e6:,.0f} MB of Parquet", flush=True)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in _RUNS}
        for _ in range(repeats):
            for name, runs in found.items():
                runs.append(_run(name, file, Path(folder) / "store"))
                print(name, runs[-1], flush=True)
        medians = {
            name: {what: statistics.median(run[what] for run in runs) for what in runs[0]}
            for name, runs in found.items()
        }
        for name, middle in medians.items():
            speed = rows / middle["seconds"]
            print(f"{name:>10}  {speed:>12,.0f} rows/s  {middle['cpu']:8.1f} CPU s  {middle['memory']:8.0f} MB more")
        print(*verdicts(medians), sep="\n")


def verdicts(medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Whether rows come half as fast as DuckDB inserts them, in twice a batch of vectors beside the store's own memory.

    >>> duckdb, add = {"seconds": 10.0, "memory": 90.0}, {"seconds": 9.0, "memory": 200.0}
    >>> verdicts({"duckdb": duckdb, "import": {"seconds": 20.0, "memory": 225.0}, "add": add})
    ['0.50 of the rows/s of DuckDB, at least 0.50: met', '25 MB more than adding takes, at most 20: MISSED']
    """
    speed = medians["duckdb"]["seconds"] / medians["import"]["seconds"]
    more, most = medians["import"]["memory"] - medians["add"]["memory"], 2 * _BATCH * scale_data.DIMENSION * 4 / 1e6
    return [
        f"{speed:.2f} of the rows/s of DuckDB, at least 0.50: {'met' if speed >= 0.5 else 'MISSED'}",
        f"{more:.0f} MB more than adding takes, at most {most:.0f}: {'met' if more <= most else 'MISSED'}",
    ]


def _run(name: str, file: Path, target: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.importing", name, str(file), str(target)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    finally:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def _duckdb(file: Path, target: Path) -> None:
    import duckdb

    with duckdb.connect(target) as connection:
        connection.execute("CREATE TABLE items AS SELECT * FROM read_parquet(?)", [str(file)])
        connection.execute("CHECKPOINT")


def _import(file: Path, target: Path) -> None:
    import chroma_nb

    with chroma_nb.Client(target) as client:
        report = client.import_file(file, "items")
        assert report["verified"].all()


def _add(file: Path, target: Path) -> None:
    """What the store itself needs for these rows: batches of an open file, added."""
    import chroma_nb

    with chroma_nb.Client(target) as client, pq.ParquetFile(file, memory_map=True, pre_buffer=False) as source:
        items = client.create_collection("items")
        for batch in source.iter_batches(_BATCH):
            items.add(batch)


_RUNS: dict[str, Callable[[Path, Path], None]] = {"duckdb": _duckdb, "import": _import, "add": _add}


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Fills seconds, CPU seconds, and megabytes of memory beyond those of the beginning."""
    before, found, ended = _anonymous(), {"memory": 0.0}, threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLES):
            found["memory"] = max(found["memory"], _anonymous() - before)

    watcher = threading.Thread(target=watch)
    started, cpu = time.perf_counter(), time.process_time()
    watcher.start()
    try:
        yield found
    finally:
        found |= {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        ended.set()
        watcher.join()


def _anonymous() -> float:
    """Megabytes of this process that no file is behind (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise OSError("no RssAnon in /proc/self/status")


def main() -> None:
    """One run, in a process of its own."""
    name, file, target = sys.argv[1:]
    for library in ("duckdb", "chroma_nb.migrate.files"):  # loading them is not measured
        importlib.import_module(library)
    with _measured() as found:
        _RUNS[name](Path(file), Path(target))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
