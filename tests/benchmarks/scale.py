"""``python -m tests.benchmarks scale --keep FOLDER``: how time and memory grow from 10,000 to 1,000,000 items.

The collections are made once, with their graphs, and kept; each step then runs in a process of its own, interleaved
over sizes and repeats. Medians, growth, verdicts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import machine
from tests.benchmarks.plot import amount, curves
from tests.benchmarks.scale_steps import STEPS, Numbers

SIZES = (10_000, 100_000, 300_000, 1_000_000)
ROUND = ("opening", "holding", "reads", "writes", "adding")
# Smaller collections are searched without a graph: growth is judged from here on.
_WITH_GRAPH = 100_000
_PLOTTED = {
    "open to first answer": "open to first answer ms",
    "one query": "query, frame ms",
    "one query, filter 1 %": "filter 1 % ms",
    "get 1,000 ids": "get 1,000 ids ms",
    "add 1,000": "add 1,000 ms",
    "add 1,000, first of a process": "first add 1,000 ms",
    "delete 100": "delete 100 ms",
}

Medians = Mapping[int, Numbers]


@dataclass(frozen=True)
class Promise:
    """What must hold of a number: whether it does, given the medians by size, and what is promised."""

    name: str
    text: str
    holds: Callable[[Medians, str], bool]

    def verdict(self, medians: Medians) -> str:
        """In words."""
        return "met" if self.holds(medians, self.name) else "MISSED"


def _ends(medians: Medians, name: str) -> tuple[int, float, int, float]:
    sizes = [size for size in sorted(medians) if size >= _WITH_GRAPH] or sorted(medians)
    return sizes[0], medians[sizes[0]][name], sizes[-1], medians[sizes[-1]][name]


def logarithmic(medians: Medians, name: str) -> bool:
    """Times grow like the logarithm of n, and half as much again: memory is slower than caches.

    >>> logarithmic({100_000: {"q": 1.0}, 1_000_000: {"q": 1.7}}, "q")
    True
    >>> logarithmic({100_000: {"q": 1.0}, 1_000_000: {"q": 2.0}}, "q")
    False
    """
    small, before, large, after = _ends(medians, name)
    return after <= before * (1.5 * math.log(large) / math.log(small) if large > small else 1)


def constant(medians: Medians, name: str) -> bool:
    """Times (ms) do not grow with n: by half at most, or by 10 ms if that is no more than double.

    >>> constant({100_000: {"o": 30.0}, 1_000_000: {"o": 44.0}}, "o")
    True
    >>> constant({100_000: {"o": 30.0}, 1_000_000: {"o": 60.0}}, "o")
    False
    >>> constant({100_000: {"o": 0.1}, 1_000_000: {"o": 1.0}}, "o")
    False
    """
    _, before, _, after = _ends(medians, name)
    return after <= max(1.5 * before, before + min(10, before))


def at_least(bound: float) -> Callable[[Medians, str], bool]:
    """A share at every size."""
    return lambda medians, name: all(numbers[name] >= bound for numbers in medians.values())


def at_most(bound: float) -> Callable[[Medians, str], bool]:
    """A number at the largest size."""
    return lambda medians, name: medians[max(medians)][name] <= bound


PROMISES = (
    Promise("query, frame ms", "logarithmic in n", logarithmic),
    Promise("query, dict ms", "logarithmic in n", logarithmic),
    Promise("open to first answer ms", "does not grow with n", constant),
    Promise("add 1,000 ms", "does not grow with n", constant),
    Promise("first add 1,000 ms", "does not grow with n", constant),
    Promise("update 100 ms", "does not grow with n", constant),
    Promise("delete 100 ms", "does not grow with n", constant),
    Promise("get 1,000 ids ms", "does not grow with n", constant),
    Promise("peek ms", "does not grow with n", constant),
    Promise("count ms", "does not grow with n", constant),
    Promise("recall", "at least 0.99", at_least(0.99)),
    Promise("filter 1 % recall", "at least 0.99", at_least(0.99)),
    Promise("filter 10 % recall", "at least 0.99", at_least(0.99)),
    Promise("filter 44 % recall", "at least 0.99", at_least(0.99)),
    Promise("columns, anonymous a row bytes", "at most 1,024 bytes", at_most(1024)),
)


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
    medians = measure(keep, sorted(args.sizes), args.repeats, args.graphs_up_to, args.patience)
    text = report(medians)
    print("\n" + text)
    if args.report is not None:
        args.report.write_text(text)
        args.report.with_suffix(".json").write_text(json.dumps(medians, indent=1) + "\n")
    if args.plot is not None:
        args.plot.write_text(plot(medians))


def measure(keep: Path, sizes: Sequence[int], repeats: int, graphs_up_to: int, patience: float) -> Medians:
    """Medians by size; collections that are not there are made."""
    keep.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        if not (keep / str(size)).exists():
            print(f"making {size:,} items", flush=True)
            _step(keep, "make", size)
    machine.wait_for_quiet(patience)
    found: dict[int, dict[str, list[float]]] = {size: {} for size in sizes}
    plan = [(name, size) for _ in range(repeats) for name in ROUND for size in sizes]
    for name, size in [*plan, *(("graphs", size) for size in sizes if size <= graphs_up_to)]:
        numbers = _step(keep, name, size)
        print(f"{name} {size:,}: {json.dumps(numbers)}", flush=True)
        for key, value in numbers.items():
            found[size].setdefault(key, []).append(value)
    return {size: {key: statistics.median(values) for key, values in runs.items()} for size, runs in found.items()}


def _step(keep: Path, name: str, size: int) -> Numbers:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "tests.benchmarks", "scale", "--keep", str(keep), "--step", name, str(size)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{name} of {size:,} items failed:\n{done.stderr}")
    numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
    return numbers


# telling --------------------------------------------------------------------------------------


def report(medians: Medians) -> str:
    """Markdown: a table of all numbers by size with their growth, and the verdicts."""
    sizes = sorted(medians)
    names = list(dict.fromkeys(name for size in reversed(sizes) for name in medians[size]))
    lines = [
        (
            f"Medians on {machine.description()}; vectors of 384 dimensions, cosine. The last column is the factor "
            "for ten times as many items, from the smallest collection with a graph to the largest."
        ),
        "",
        f"| | {' | '.join(f'{size:,}' for size in sizes)} | x10 |",
        "|---|" + "---|" * (len(sizes) + 1),
    ]
    for name in names:
        cells = [_cell(name, medians[size].get(name)) for size in sizes]
        lines.append(f"| {_label(name)} | {' | '.join(cells)} | {_growth(medians, name)} |")
    lines += ["", "| promise | | |", "|---|---|---|"]
    lines += [f"| {_label(one.name)} | {one.text} | {one.verdict(medians)} |" for one in PROMISES]
    return "\n".join(lines) + "\n"


def _label(name: str) -> str:
    return name.removesuffix(" ms").removesuffix(" s")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name.endswith((" ms", " s")):
        return amount(value / 1000 if name.endswith(" ms") else value, "s")
    return f"{value:.3f}" if name.endswith("recall") else amount(value, "").strip()


def _growth(medians: Medians, name: str) -> str:
    if any(name not in medians[size] for size in medians):
        return ""
    small, before, large, after = _ends(medians, name)
    if large == small or before <= 0 or after <= 0 or name.endswith("recall"):
        return ""
    return f"{(after / before) ** (1 / math.log10(large / small)):.1f}"


def plot(medians: Medians) -> str:
    """Times over sizes, both logarithmic, as SVG."""
    lines = {
        label: [(float(size), medians[size][name] / 1000) for size in sorted(medians)]
        for label, name in _PLOTTED.items()
    }
    return curves("Growth with the number of items (384 dimensions)", lines)
