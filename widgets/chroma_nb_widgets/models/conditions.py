"""The filters of a form, one condition a column, and the ``where`` dict they stand for.

The dict is the truth: conditions are read from it and written back to it, so that a filter set
from code shows as chips in the form, and what the form does can be pasted into code. What no
control of the form can show becomes a `Custom` condition, kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from chroma_nb.types import MetadataValue

Match: TypeAlias = Literal["all", "any"]
Dict: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """A number between two bounds, both inclusive; None leaves a side open."""

    key: str
    low: float | None = None
    high: float | None = None

    @property
    def label(self) -> str:
        """For a chip."""
        low, high = (None if bound is None else number(bound) for bound in (self.low, self.high))
        if low is None or high is None:
            return f"{self.key} ≥ {low}" if high is None else f"{self.key} ≤ {high}"
        return f"{self.key}: {low} – {high}" if low != high else f"{self.key} = {low}"

    def parts(self) -> list[Dict]:
        """The dicts that must all hold."""
        bounds = (("$gte", self.low), ("$lte", self.high))
        return [{self.key: {operator: bound}} for operator, bound in bounds if bound is not None]


@dataclass(frozen=True)
class Choice:
    """One of these values."""

    key: str
    values: tuple[MetadataValue, ...]

    @property
    def label(self) -> str:
        """For a chip."""
        shown = ", ".join(map(str, self.values[:3]))
        return f"{self.key}: {shown}" + (f" +{len(self.values) - 3}" if len(self.values) > 3 else "")

    def parts(self) -> list[Dict]:
        """The dicts that must all hold."""
        return [{self.key: self.values[0] if len(self.values) == 1 else {"$in": list(self.values)}}]


@dataclass(frozen=True)
class Contains:
    """A text of that key holds this one."""

    key: str
    text: str

    @property
    def label(self) -> str:
        """For a chip."""
        return f"{self.key} contains “{self.text}”"

    def parts(self) -> list[Dict]:
        """The dicts that must all hold."""
        return [{self.key: {"$contains": self.text}}]


@dataclass(frozen=True)
class Flag:
    """A bool of that key has this value."""

    key: str
    value: bool

    @property
    def label(self) -> str:
        """For a chip."""
        return f"{self.key}: {'yes' if self.value else 'no'}"

    def parts(self) -> list[Dict]:
        """The dicts that must all hold."""
        return [{self.key: self.value}]


@dataclass(frozen=True)
class Custom:
    """A filter set from code that no control of the form shows; ``text`` is the dict as JSON."""

    text: str
    key: str = ""

    @property
    def label(self) -> str:
        """For a chip."""
        return self.text

    def parts(self) -> list[Dict]:
        """The dicts that must all hold."""
        return [json.loads(self.text)]


def number(value: float) -> str:
    """A bound as people write it: ints in full, whatever their size, and no noise behind other numbers.

    >>> number(20240131), number(0.1 + 0.2), number(2.0)
    ('20240131', '0.3', '2')
    """
    return str(value) if isinstance(value, int) else f"{value:.12g}"


Condition: TypeAlias = Range | Choice | Contains | Flag | Custom


def to_where(conditions: Sequence[Condition], match: Match = "all") -> Dict | None:
    """The ``where`` dict of conditions; None without any.

    >>> to_where([Range("year", 2000, 2010), Flag("draft", False)])
    {'$and': [{'year': {'$gte': 2000}}, {'year': {'$lte': 2010}}, {'draft': False}]}
    """
    groups = [parts for parts in (condition.parts() for condition in conditions) if parts]
    if match == "all":
        members = [part for parts in groups for part in parts]
    else:
        members = [parts[0] if len(parts) == 1 else {"$and": parts} for parts in groups]
    if len(members) < 2:
        return members[0] if members else None
    return {"$and" if match == "all" else "$or": members}


def from_where(where: Mapping[str, Any] | None) -> tuple[tuple[Condition, ...], Match]:
    """The conditions that a valid ``where`` dict stands for, and how they are joined.

    >>> from_where({"$and": [{"year": {"$gte": 2000}}, {"year": {"$lte": 2010}}]})
    ((Range(key='year', low=2000, high=2010),), 'all')
    """
    if not where:
        return (), "all"
    ((operator, members),) = where.items()
    if operator == "$or":
        return tuple(_member(member) for member in members), "any"
    if operator != "$and":
        return (_member(where),), "all"
    return _joined([_member(member) for member in members]), "all"


def _member(where: Mapping[str, Any]) -> Condition:
    ((key, operand),) = where.items()
    if key == "$and":
        joined = _joined([_member(member) for member in operand])
        if len(joined) == 1:
            return joined[0]
    if key not in ("$and", "$or"):
        found = _control(key, operand)
        if found is not None:
            return found
    return Custom(json.dumps(where, ensure_ascii=False, default=_plain))


def _control(key: str, operand: Any) -> Condition | None:
    """The condition of a control, if one shows this."""
    operator, value = next(iter(operand.items())) if isinstance(operand, Mapping) else ("$eq", operand)
    if operator == "$eq":
        return Flag(key, value) if isinstance(value, bool) else Choice(key, (value,))
    if operator == "$in" and len(value):
        return Choice(key, tuple(value))
    if operator == "$gte":
        return Range(key, low=value)
    if operator == "$lte":
        return Range(key, high=value)
    return Contains(key, value) if operator == "$contains" else None


def _joined(conditions: list[Condition]) -> tuple[Condition, ...]:
    """With both bounds of a key in one range."""
    joined: list[Condition] = []
    for condition in conditions:
        last = joined[-1] if joined else None
        if isinstance(condition, Range) and isinstance(last, Range) and _two_sides(last, condition):
            joined[-1] = Range(last.key, last.low, condition.high)
        else:
            joined.append(condition)
    return tuple(joined)


def _two_sides(low: Range, high: Range) -> bool:
    return low.key == high.key and low.high is None and high.low is None


def _plain(value: Any) -> Any:
    """Sets, other mappings than dicts, numpy's numbers and arrays as JSON takes them."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, set | frozenset) else value.tolist()
