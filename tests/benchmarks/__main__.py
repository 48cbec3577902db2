"""``python -m tests.benchmarks compare --data FOLDER``: this project beside the raw libraries.

``python -m tests.benchmarks map --data FOLDER --sizes 10000 50000``: its maps beside umap-learn's.

Steps run in fresh processes, interleaved over the repeats; medians are printed. Nothing else should
run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.benchmarks.map import MAP_STEPS, compare_maps
from tests.benchmarks.steps import STEPS, Numbers


def main() -> None:
    """Run one step (internal) or the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("command", choices=["compare", "map", "step"])
    parser.add_argument("name", nargs="?", choices=sorted(STEPS | MAP_STEPS))
    parser.add_argument("--data", type=Path, required=True, help="folder with wordnet.parquet and its ground truth")
    parser.add_argument("--work", type=Path, help="folder for the stores; default: a temporary one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000], help="of the maps")
    args = parser.parse_args()
    if args.command == "step":
        print(json.dumps((STEPS | MAP_STEPS)[args.name](args.data, args.work)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        if args.command == "map":
            compare_maps(args.data, work, args.sizes, args.repeats, run)
        else:
            compare(args.data, work, args.repeats)


def compare(data: Path, work: Path, repeats: int) -> None:
    """Interleaved repeats of every step, medians at the end."""
    from tests.benchmarks.data import load

    np.save(work / "query.npy", load(data).queries[0])
    plan = [name for _ in range(repeats) for name in ("duckdb_insert", "add")]
    plan += ["raw_hnswlib", "build"]
    plan += [name for _ in range(repeats) for name in ("reads", "opening", "changes")]
    results: dict[str, list[Numbers]] = {}
    for name in plan:
        results.setdefault(name, []).append(run(name, data, work))
        print(f"{name}: {json.dumps(results[name][-1])}", flush=True)
    print("\nmedians")
    for name, runs in results.items():
        for number in runs[0]:
            print(f"{name:>14}  {number:<32} {statistics.median(one[number] for one in runs):10.3f}")


def run(name: str, data: Path, work: Path, extra: Mapping[str, str] | None = None) -> Numbers:
    """One step in a fresh process, with ``extra`` in its environment."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= extra or {}
    command = [sys.executable, "-m", "tests.benchmarks", "step", name, "--data", str(data), "--work", str(work)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
    return numbers


if __name__ == "__main__":
    main()
