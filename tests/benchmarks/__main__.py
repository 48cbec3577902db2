"""``python -m tests.benchmarks compare --data FOLDER``: this project beside the raw libraries.

``python -m tests.benchmarks map --data FOLDER --sizes 10000 50000``: its maps beside umap-learn's.
``python -m tests.benchmarks serve --chromadb PROGRAM``: its server beside a real ``chroma run``.
``python -m tests.benchmarks share``: what it costs to work through the process that has a directory open.

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
from tests.benchmarks.serving import compare_serving
from tests.benchmarks.sharing import compare_sharing
from tests.benchmarks.steps import STEPS, Numbers


def main() -> None:
    """Run one step (internal) or the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("command", choices=["compare", "map", "serve", "share", "step"])
    parser.add_argument("name", nargs="?", choices=sorted(STEPS | MAP_STEPS))
    parser.add_argument("--data", type=Path, help="folder with wordnet.parquet and its ground truth")
    parser.add_argument("--work", type=Path, help="folder for the stores; default: a temporary one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000], help="of the maps")
    parser.add_argument("--chromadb", type=Path, default=os.environ.get("CHROMA_NB_CHROMADB"), help="the `chroma`")
    parser.add_argument("--keep", type=Path, help="folder for the stores of `serve`, to be used again")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round of `serve`")
    args = parser.parse_args()
    if args.command == "share":
        return compare_sharing()
    if args.command == "serve":
        if args.chromadb is None:
            parser.error("serve needs --chromadb, the program `chroma` of an environment with chromadb")
        return compare_serving(
            args.data, Path(args.chromadb), keep=args.keep, repeats=args.repeats, seconds=args.seconds
        )
    if args.data is None:
        parser.error(f"{args.command} needs --data")
    if args.command == "step":
        return print(json.dumps((STEPS | MAP_STEPS)[args.name](args.data, args.work)))
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        if args.command == "map":
            return compare_maps(args.data, work, args.sizes, args.repeats, run)
        return compare(args.data, work, args.repeats)


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
