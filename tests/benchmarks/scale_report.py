"""What was measured of growth, told: all numbers by size, and whether what is promised of them holds."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from tests.benchmarks import machine
from tests.benchmarks.data import DIMENSION
from tests.benchmarks.fresh import Numbers
from tests.benchmarks.plot import amount, curves

_UNITS = {"ms": (0.001, "s"), "s": (1, "s"), "MB": (1, "MB"), "bytes": (1, "bytes"), "rows/s": (1, "rows/s")}
_BUSY = 0.1
_PLOTTED = (
    "open to first answer ms",
    "query, frame ms",
    "filter 1 % ms",
    "get 1,000 ids ms",
    "add 1,000 ms",
    "first add 1,000 ms",
    "delete 100 ms",
)
_LABELS = {
    "import s": "import, pandas with it",
    "memory, first answer, anonymous MB": "memory after the first answer: its own",
    "memory, first answer, mapped MB": "memory after the first answer: mapped files",
    "memory, index at work, anonymous MB": "memory with the graph read: its own",
    "memory, index at work, mapped MB": "memory with the graph read: mapped files",
    "disk MB": "on disk",
    "columns, anonymous MB": "memory of ids, texts and metadata",
    "columns, anonymous a row bytes": "memory of ids, texts and metadata, for each item",
    "query, frame ms": "query, as a DataFrame",
    "query, dict ms": "query, as lists and dicts",
    "recall": "query, recall at 10",
    "1,000 queries s": "1,000 queries in one call",
    "get where 1 % ms": "get by filter, 1 %",
    "add all s": "add everything, 50,000 in a call",
    "add all rows/s": "add everything, as a rate",
    "first query after adding ms": "first query after adding everything",
    "graph CPU s": "added in memory and graph built, processor time",
    "graph by hnswlib alone CPU s": "graph built by hnswlib alone, processor time",
}

Medians = Mapping[int, Numbers]


@dataclass(frozen=True)
class Judged:
    """What was measured, what is asked, and whether that holds."""

    measured: str
    asked: str
    holds: bool


@dataclass(frozen=True)
class Promise:
    """What must hold of a number; ``judge`` gives None where what is known does not tell."""

    name: str
    text: str
    judge: Callable[[Medians, str], Judged | None]

    def line(self, medians: Medians) -> list[str]:
        """What, promise, measured, asked, verdict."""
        known = all(self.name in numbers for numbers in medians.values())
        judged = self.judge(medians, self.name) if known else None
        if judged is None:
            return [label(self.name), self.text, "", "", "not judged"]
        verdict = "met" if judged.holds else "MISSED"
        return [label(self.name), self.text, judged.measured, judged.asked, verdict]


def _ends(medians: Medians) -> tuple[int, int] | None:
    """The smallest and the largest collection that are searched by a graph, between which growth is judged."""
    sizes = [size for size in sorted(medians) if has_graph(size)]
    return (sizes[0], sizes[-1]) if len(sizes) > 1 else None


def has_graph(size: int) -> bool:
    """Whether a collection of this size is searched by a graph."""
    from chroma_nb.store.search import wants_graph  # late: steps load this module and time that import

    return wants_graph(size, DIMENSION)


def _at_most(most: Callable[[float, int, int], float]) -> Callable[[Medians, str], Judged | None]:
    """Of a value at both ends: the later one is at most ``most(before, small, large)``."""

    def judge(medians: Medians, name: str) -> Judged | None:
        ends = _ends(medians)
        if ends is None:
            return None
        before, after = (medians[size][name] for size in ends)
        limit = most(before, *ends)
        return Judged(f"{_cell(name, before)} -> {_cell(name, after)}", f"<= {_cell(name, limit)}", after <= limit)

    return judge


def logarithmic(before: float, small: int, large: int) -> float:
    """How much a time may be that grows like the logarithm of n: half as much again, as memory is slower than caches.

    >>> round(logarithmic(1.0, 100_000, 1_000_000), 9)
    1.8
    """
    return before * 1.5 * math.log(large) / math.log(small)


def constant(before: float, small: int, large: int) -> float:
    """How much a time (ms) may be that does not grow with n: half as much again, or 10 ms more up to the double.

    >>> [constant(before, 100_000, 1_000_000) for before in (0.1, 12.0, 30.0)]
    [0.2, 22.0, 45.0]
    """
    return max(1.5 * before, before + min(10, before))


def at_least(bound: float) -> Callable[[Medians, str], Judged]:
    """A share at every size."""

    def judge(medians: Medians, name: str) -> Judged:
        least = min(numbers[name] for numbers in medians.values())
        return Judged(_cell(name, least), f">= {bound:g}", least >= bound)

    return judge


def at_most(bound: float) -> Callable[[Medians, str], Judged | None]:
    """A number at the largest size, unless that is so small that what any collection takes is most of it."""

    def judge(medians: Medians, name: str) -> Judged | None:
        if not has_graph(max(medians)):
            return None
        value = medians[max(medians)][name]
        return Judged(_cell(name, value), f"<= {_cell(name, bound)}", value <= bound)

    return judge


_CONSTANT = (
    "open to first answer ms",
    "add 1,000 ms",
    "first add 1,000 ms",
    "update 100 ms",
    "delete 100 ms",
    "get 1,000 ids ms",
    "peek ms",
    "count ms",
)
PROMISES = (
    Promise("query, frame ms", "logarithmic", _at_most(logarithmic)),
    Promise("query, dict ms", "logarithmic", _at_most(logarithmic)),
    *(Promise(name, "constant", _at_most(constant)) for name in _CONSTANT),
    Promise("recall", "at every size", at_least(0.99)),
    *(Promise(f"filter {share} % recall", "at every size", at_least(0.99)) for share in (1, 10, 44)),
    Promise("columns, anonymous a row bytes", "at the largest size", at_most(1024)),
)
_MEANING = """\
"Logarithmic": the time grows by at most 1.5 times as much as the logarithm of the number of items does; "constant": it
grows to at most 1.5 times, or by 10 ms where that is no more than double.
"""


def report(medians: Medians, busy: float = 0.0, *, repeats: int = 1, picture: str | None = None) -> str:
    """Markdown: a table of all numbers by size with their growth, and the verdicts.

    Args:
        medians: by size.
        busy: share of the processors that others used, before or after.
        repeats: rounds.
        picture: file name of the plot, if it lies beside the report.
    """
    sizes = sorted(medians)
    names = list(dict.fromkeys(name for size in reversed(sizes) for name in medians[size]))
    rows = [
        [label(name), *(_cell(name, medians[size].get(name)) for size in sizes), _growth(medians, name)]
        for name in names
    ]
    unrest = f"\nThe machine was not at rest: others kept it {busy:.0%} busy before or after.\n"
    shown = f"![Times over the number of items, both axes logarithmic]({picture})\n\n" if picture is not None else ""
    lines = [
        "# Growth, measured",
        "",
        f"chroma_nb {version('chroma-nb')}, {dt.datetime.now(dt.UTC).date()}, {machine.description()}.",
        f"Vectors of {DIMENSION} dimensions, cosine. Medians of fresh processes in turns; the last column is the",
        "factor for ten times as many items. Files are in the system's cache. Memory is what a process holds more than",
        "after its imports: of its own, or as pages of mapped files, which the system takes back when it needs them.",
        unrest if busy > _BUSY else "",
        *_table(["", *(f"{size:,}" for size in sizes), "x10"], rows),
        "",
        *_table(["", "promise", "measured", "asked", "verdict"], [one.line(medians) for one in PROMISES]),
        "",
        _MEANING + _judged(medians),
        "",
        shown + f"Made by `python -m tests.benchmarks scale --keep FOLDER --repeats {repeats}`.",
    ]
    return "\n".join(lines) + "\n"


def _judged(medians: Medians) -> str:
    ends = _ends(medians)
    if ends is None:
        return "Growth takes two sizes that are searched by a graph; here it is not judged."
    return f"Both from {ends[0]:,} to {ends[1]:,} items; smaller collections are searched without a graph."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]


def label(name: str) -> str:
    """What a number is, as people read it.

    >>> label("first add 1,000 ms"), label("filter 1 % p99 ms"), label("recall")
    ('add 1,000, first of a process', 'query, filter passes 1 %, 99th percentile', 'query, recall at 10')
    """
    if name in _LABELS:
        return _LABELS[name]
    for end, words in ((" p99 ms", ", 99th percentile"), (" recall", ", recall at 10")):
        if name.endswith(end):
            return label(name.removesuffix(end) + " ms") + words
    if name.startswith("first "):
        return label(name.removeprefix("first ")) + ", first of a process"
    words, _, unit = name.rpartition(" ")
    return (words if unit in _UNITS else name).replace("filter", "query, filter passes")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    factor, unit = _UNITS.get(name.rpartition(" ")[2], (1, ""))
    return amount(value * factor, unit) if unit else f"{value:.3f}"


def _growth(medians: Medians, name: str) -> str:
    ends = _ends(medians)
    if ends is None or name.endswith("recall") or any(name not in numbers for numbers in medians.values()):
        return ""
    before, after = (medians[size][name] for size in ends)
    if before <= 0 or after <= 0:
        return ""
    return f"{(after / before) ** (1 / math.log10(ends[1] / ends[0])):.2g}"


def plot(medians: Medians) -> str:
    """Times over sizes, both logarithmic, as SVG."""
    lines = {label(name): [(float(size), medians[size][name] / 1000) for size in sorted(medians)] for name in _PLOTTED}
    return curves(f"Growth with the number of items ({DIMENSION} dimensions; both axes logarithmic)", lines)
