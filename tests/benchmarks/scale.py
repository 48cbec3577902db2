"""``python -m tests.benchmarks scale --keep FOLDER``: how time and memory grow from 10,000 to 1,000,000 items.

The collections are made once, with their graphs, and kept; each step then runs in a process of its own, interleaved
over sizes and repeats. Medians, growth, verdicts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import fresh, machine
from tests.benchmarks.fresh import Numbers
from tests.benchmarks.scale_report import Medians, has_graph, plot, report
from tests.benchmarks.scale_steps import STEPS

SIZES = (10_000, 100_000, 300_000, 1_000_000)
ROUND = ("opening", "holding", "reads", "writes", "adding")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(run=run)
    parser.add_argument("--keep", type=Path, required=True, help="folder for the collections: 1.7 GB for 1,000,000")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--graphs-up-to", type=int, default=100_000, help="sizes whose graph is built beside hnswlib")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a machine at rest")
    parser.add_argument("--report", type=Path, help="write a report (Markdown), and all numbers beside it (JSON)")
    parser.add_argument("--plot", type=Path, help="write a plot (SVG)")
    parser.add_argument("--step", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """The command."""
    keep = args.keep.resolve()
    if args.step is not None:
        name, size = args.step
        print(json.dumps(STEPS[name](keep / size, int(size))))
        return
    sizes = sorted({*args.sizes})
    make_missing(keep, sizes)
    for size in sizes:
        _read(keep / str(size))
    busy = machine.wait_for_quiet(args.patience)
    medians = measure(keep, sizes, args.repeats, args.graphs_up_to)
    beside = args.plot is not None and args.report is not None and args.plot.parent == args.report.parent
    text = report(
        medians,
        max(busy, machine.busy_share()),
        repeats=args.repeats,
        picture=args.plot.name if beside else None,
    )
    print("\n" + text)
    if args.report is not None:
        args.report.write_text(text, encoding="utf-8")
        args.report.with_suffix(".json").write_text(json.dumps(medians, indent=1) + "\n", encoding="utf-8")
    if args.plot is not None:
        args.plot.write_text(plot(medians), encoding="utf-8")


def make_missing(keep: Path, sizes: Sequence[int]) -> None:
    """The collections that are not there yet."""
    keep.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        if not (keep / str(size)).exists():
            print(f"making {size:,} items", flush=True)
            _step(keep, "make", size)


def _read(folder: Path) -> None:
    """Have all files of a collection in the system's cache, so that opening is measured and not the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                while opened.read(1 << 24):
                    pass


def measure(keep: Path, sizes: Sequence[int], repeats: int, graphs_up_to: int) -> Medians:
    """Medians by size."""
    found: dict[int, dict[str, list[float]]] = {size: {} for size in sizes}
    plan = [(name, size) for _ in range(repeats) for name in ROUND for size in sizes]
    for name, size in [*plan, *(("graphs", size) for size in sizes if size <= graphs_up_to and has_graph(size))]:
        numbers = _step(keep, name, size)
        print(f"{name} {size:,}: {json.dumps(numbers)}", flush=True)
        for key, value in numbers.items():
            found[size].setdefault(key, []).append(value)
    return {size: {key: statistics.median(values) for key, values in runs.items()} for size, runs in found.items()}


def _step(keep: Path, name: str, size: int) -> Numbers:
    return fresh.numbers("-m", "tests.benchmarks", "scale", "--keep", str(keep), "--step", name, str(size))
