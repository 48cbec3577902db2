"""The rows of the comparison: what is compared, what is aimed at, and whether that is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OURS, HNSWLIB, DUCKDB, CHROMA, LANCE, UMAP = "chroma_nb", "hnswlib", "DuckDB", "Chroma", "LanceDB", "umap-learn"
RAW = (HNSWLIB, DUCKDB)

Medians = Mapping[str, Mapping[str, float]]
"""Medians by name of the number, by contestant."""

UNITS = {"s": "s", "ms": "ms", "/s": "/s", "MB": "MB", "recall": "", "mistakes": ""}


@dataclass(frozen=True)
class Goal:
    """A number that this project should reach.

    Attributes:
        limit: the highest (or, with ``least``, the lowest) value.
        key: of the number; None: that of the row.
        of: the contestant by whose number it is multiplied; None: it stands by itself.
        least: whether more is better.
    """

    limit: float
    key: str | None = None
    of: str | None = None
    least: bool = False

    def text(self, row: Row) -> str:
        """As it stands in the table."""
        sign = ">=" if self.least else "<="
        key = self.key or row.key
        name = "recall " if key.endswith("recall") else "" if self.key is None else f"{key.rsplit(' ', 1)[0]} "
        unit = f"x {self.of}" if self.of else f" {_unit(key)}"
        return f"{name}{sign} {self.limit:g}{unit}".rstrip()

    def excess(self, row: Row, medians: Medians) -> float | None:
        """By how much it is missed: 1 is met exactly, 2 missed by a factor of two; None: cannot be told."""
        key = self.key or row.key
        value = medians.get(OURS, {}).get(key)
        limit = self.limit
        if self.of is not None:
            other = medians.get(self.of, {}).get(key)
            if other is None:
                return None
            limit *= other
        if value is None:
            return None
        large, small = (limit, value) if self.least else (value, limit)
        return large / small if small else float("inf") if large else 1.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: what is done.
        key: of the number compared; its last word is the unit.
        goals: all of them must be met.
    """

    label: str
    key: str
    goals: tuple[Goal, ...] = ()

    @property
    def unit(self) -> str:
        """Of the number."""
        return _unit(self.key)

    @property
    def more_is_better(self) -> bool:
        """For rates and recall; for everything else it is less."""
        return self.unit == "/s" or self.key.endswith("recall")

    def verdict(self, medians: Medians) -> str:
        """``met``, ``missed: GOAL by 1.30x``, or empty where nothing is asked, or what is known does not tell."""
        known = [(goal.excess(self, medians), goal) for goal in self.goals]
        told = [(excess, goal) for excess, goal in known if excess is not None]
        worst, goal = max(told, key=lambda pair: pair[0], default=(0.0, None))
        if goal is not None and worst > 1:
            return f"missed: {goal.text(self)} by {worst:.2f}x"
        return "met" if told and len(told) == len(known) else ""

    def ratio(self, medians: Medians, other: str) -> float | None:
        """How many times better this project is than another: 2 is twice as fast, or half as large."""
        ours, theirs = (medians.get(name, {}).get(self.key) for name in (OURS, other))
        if not ours or not theirs:
            return None
        return ours / theirs if self.more_is_better else theirs / ours


def _unit(key: str) -> str:
    last = key.rsplit(" ", 1)[-1]
    return UNITS.get(last, "")


def _found(key: str) -> Goal:
    return Goal(0.99, key=f"{key} recall", least=True)


def _filter(label: str, name: str, limit: float | None = None) -> Row:
    goals = () if limit is None else (Goal(limit),)
    return Row(label, f"{name} ms", (*goals, _found(name)))


ROWS = (
    Row("add everything, durable and searchable", "add s", (Goal(3), Goal(1.2, of=DUCKDB))),
    Row("first query after it", "first query s"),
    Row("graph caught up, processor time", "build CPU s", (Goal(1.15, of=HNSWLIB),)),
    Row("graph caught up, wall time", "build s"),
    Row(
        "query while it is built, 99th percentile",
        "busy p99 ms",
        (Goal(50), Goal(0.999, key="busy recall", least=True)),
    ),
    # Once in a build hnswlib copies the whole graph to hand it over, under the lock of the interpreter.
    Row("longest wait of another thread meanwhile", "gap ms", (Goal(250), Goal(250, key="busy gap ms"))),
    Row("query, as lists or dicts", "query ms", (Goal(0.9), _found("query"))),
    Row("query, as a DataFrame", "frame ms", (Goal(1.5), _found("frame"))),
    Row("1,000 queries in one call", "many /s", (Goal(0.75, of=HNSWLIB, least=True), _found("many"))),
    _filter("query, filter passes 0.07 %", "filter 0.07 %", 1.5),
    _filter("query, filter passes 0.9 %", "filter 0.9 %", 2),
    _filter("query, filter passes 9.9 %", "filter 9.9 %", 6),
    _filter("query, filter passes 44 %", "filter 44 %", 3),
    _filter("query, filter: its own category", "filter own category"),
    _filter("query, filter: its own part of speech", "filter own part of speech"),
    _filter("query, documents that contain a word, 0.5 %", "contains 0.5 %", 10),
    _filter("query, documents that contain a word, 2 %", "contains 2 %", 12),
    Row("get 1,000 ids, as a DataFrame", "get ids ms", (Goal(2),)),
    Row("get by filter, 9.9 %, as a DataFrame", "get where ms", (Goal(5),)),
    Row("peek", "peek ms", (Goal(1),)),
    Row("count", "count ms", (Goal(0.1),)),
    Row("all embeddings as one array", "embeddings ms", (Goal(60),)),
    Row("delete a tenth", "delete s", (Goal(0.15),)),
    Row("update the metadata of a tenth", "update s", (Goal(0.2),)),
    Row("upsert new vectors of a tenth", "upsert s", (Goal(0.4),)),
    Row("mistakes after these three and a kill", "mistakes", (Goal(0),)),
    Row("new process: import", "import s", (Goal(0.6),)),
    Row("new process: open to first answer", "open s", (Goal(0.1),)),
    Row("query, first ones of a process", "first queries ms"),
    Row("memory beyond the libraries after all reads", "resident MB", (Goal(450),)),
    Row("of that not shared with files", "anonymous MB"),
    Row("highest on the way", "peak MB"),
    Row("on disk", "disk MB", (Goal(350),)),
    Row("first map of 10,000 from the import on", "map s"),
    Row("the same, first use on a machine", "cold map s"),
)
