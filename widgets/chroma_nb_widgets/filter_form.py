"""The form for filters: a control that fits each column, and what is active as chips and as code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.types import Kind
from chroma_nb_widgets.models import code
from chroma_nb_widgets.models.conditions import Choice, Condition, Contains, Custom, Flag, Range, number
from chroma_nb_widgets.models.facets import Facet, type_name
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.panel import Panel, module

_LONG = 200  # characters of a chip
_LINE = 72  # of a line of code


class FilterForm(Panel):
    """Filters on metadata and documents, over a `QueryModel`.

    The form only shows what the model's ``where`` and ``where_document`` say, so that filters set from code
    appear in it; what it has no control for is shown as it is and stays as it is.

    Args:
        model: what is filtered.
    """

    _esm = module("range.js", "filters.js")
    _model: QueryModel

    def __init__(self, model: QueryModel) -> None:
        self._open: list[str] = []
        self._counted: int | None = None
        super().__init__(model, ("where", "where_document", "version"))

    def _actions(self) -> dict[str, Callable[..., object]]:
        return {
            "columns": self._count,
            "open": self._unfold,
            "fold": self._fold,
            "range": self._range,
            "choose": self._choose,
            "contains": self._contains,
            "flag": self._flag,
            "remove": self._remove,
            "match": self._model.combine,
            "document": self._document,
            "clear": self._model.clear_filters,
        }

    # what is done -----------------------------------------------------------------------------

    def _count(self) -> None:
        """Look through all columns for how many values they have; not before somebody wants to pick one."""
        self._counted = self._model.version

    def _unfold(self, key: str) -> None:
        if key not in self._open:
            self._open.append(key)

    def _fold(self, key: str) -> None:
        self._open = [other for other in self._open if other != key]

    def _range(self, key: str, low: str, high: str) -> None:
        facet = self._model.facet(key)
        bounds = _bound(low, whole=facet.whole), _bound(high, whole=facet.whole)
        if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
            raise InvalidArgumentError(f"No {key} lies between {low} and {high}: the smaller number goes first.")
        self._set(key, None if bounds == (None, None) else Range(key, *bounds))

    def _choose(self, key: str, values: Sequence[str]) -> None:
        self._set(key, Choice(key, tuple(values)) if values else None)

    def _contains(self, key: str, text: str) -> None:
        self._set(key, Contains(key, text) if text else None)

    def _flag(self, key: str, value: bool | None) -> None:
        self._set(key, None if value is None else Flag(key, value))

    def _remove(self, at: int) -> None:
        """Take one condition away; -1 is the filter on documents."""
        if at < 0:
            self._model.where_document = None
        elif at < len(self._model.conditions):
            self._model.remove(self._model.conditions[at])

    def _document(self, text: str, regex: bool) -> None:
        self._model.where_document = {"$regex" if regex else "$contains": text} if text else None

    def _set(self, key: str, condition: Condition | None) -> None:
        """Put a condition in the place of the first one of that key, or take that one away."""
        if condition is not None:
            self._model.put(condition)
        elif (old := self._of(key)) is not None:
            self._model.remove(old)

    def _of(self, key: str) -> Condition | None:
        return next((old for old in self._model.conditions if old.key == key and not isinstance(old, Custom)), None)

    # what is shown ----------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        model = self._model
        keys = model.keys
        self._open = [key for key in self._open if key in keys]
        conditions = model.conditions
        return {
            "columns": [self._column(key, kinds) for key, kinds in keys.items()],
            "chips": [_chip(at, condition, keys) for at, condition in enumerate(conditions)],
            "match": model.match,
            "document": _document_state(model.where_document),
            "editors": [self._editor(key) for key in self._open],
            "code": _code(model.where, model.where_document),
        }

    def _column(self, key: str, kinds: Sequence[Kind]) -> dict[str, Any]:
        type_ = type_name(kinds)
        if set(kinds) == {Kind.INT, Kind.FLOAT}:
            type_ = "float"
        counted = self._counted == self._model.version
        return {"key": key, "type": type_, "count": self._model.facet(key).count if counted else None}

    def _editor(self, key: str) -> dict[str, Any]:
        """What the control of a column shows."""
        facet, condition = self._model.facet(key), self._of(key)
        shown = {"key": key, "kind": facet.kind, "count": facet.count} | _control(facet, condition)
        other = condition is not None and "own" not in shown
        return shown | {"other": condition.label if condition is not None and other else None}


def _control(facet: Facet, condition: Condition | None) -> dict[str, Any]:
    """The values of a control; "own" if it shows the condition there is."""
    if facet.kind == "number":
        return _number_control(facet, condition)
    if facet.kind == "choice":
        chosen = condition.values if isinstance(condition, Choice) else ()
        known = dict(facet.values)
        counts = {value: 0 for value in chosen if value not in known} | known
        values = [(str(value), count, value in chosen) for value, count in counts.items()]
        return {"values": values} | ({"own": True} if chosen else {})
    if facet.kind == "text":
        return {"text": condition.text, "own": True} if isinstance(condition, Contains) else {"text": ""}
    if facet.kind == "bool":
        counts = {bool(value): count for value, count in facet.values}
        own = {"own": True} if isinstance(condition, Flag) else {}
        value = condition.value if isinstance(condition, Flag) else None
        return {"value": value, "yes": counts.get(True, 0), "no": counts.get(False, 0)} | own
    return {}


def _number_control(facet: Facet, condition: Condition | None) -> dict[str, Any]:
    low = high = None
    own: dict[str, Any] = {}
    if isinstance(condition, Range):
        low, high, own = condition.low, condition.high, {"own": True}
    elif isinstance(condition, Choice) and len(condition.values) == 1 and not isinstance(condition.values[0], str):
        low = high = condition.values[0]
        own = {"own": True}
    return own | {
        "low": facet.low,
        "high": facet.high,
        "whole": facet.whole,
        "bins": [] if facet.histogram is None else facet.histogram.tolist(),
        "from": "" if low is None else number(low),
        "to": "" if high is None else number(high),
    }


def _chip(at: int, condition: Condition, keys: Container[str]) -> dict[str, Any]:
    custom = isinstance(condition, Custom)
    label = condition.label
    return {
        "at": at,
        "label": label if len(label) <= _LONG else f"{label[:_LONG]}…",
        "key": condition.key if condition.key in keys and not custom else None,  # of the control to unfold
        "custom": custom,
    }


def _document_state(where: Mapping[str, Any] | None) -> dict[str, Any]:
    """The filter on documents, as the box shows it, or as it is where the box cannot."""
    if where is None:
        return {"text": "", "regex": False, "label": None, "custom": False}
    ((operator, operand),) = where.items()
    if operator in ("$contains", "$regex"):
        regex = operator == "$regex"
        label = f"document {'matches' if regex else 'contains'} “{operand}”"
        return {"text": operand, "regex": regex, "label": label[:_LONG], "custom": False}
    return {"text": "", "regex": False, "label": f"document {json.dumps(where, ensure_ascii=False)}", "custom": True}


def _code(where: Any, where_document: Any) -> str:
    """The filters as Python."""
    given = (("where", where), ("where_document", where_document))
    return "\n".join(f"{name} = {_laid_out(value)}" for name, value in given if value)


def _laid_out(value: Any, indent: str = "") -> str:
    """A filter as Python code, over several lines where one would be long."""
    line = code.source(value)
    if len(indent) + len(line) <= _LINE or not isinstance(value, dict | list):
        return line
    deeper = f"{indent}    "
    if isinstance(value, list):
        parts = [f"{deeper}{_laid_out(part, deeper)},\n" for part in value]
        return f"[\n{''.join(parts)}{indent}]"
    parts = [f"{deeper}{key!r}: {_laid_out(part, deeper)},\n" for key, part in value.items()]
    return f"{{\n{''.join(parts)}{indent}}}"


def _bound(text: str, *, whole: bool) -> float | None:
    """A bound as it was typed; an int where it is one."""
    text = text.strip()
    if not text:
        return None
    for parse in (int, float):
        try:
            value = parse(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return int(value) if whole and value == int(value) else value
    raise InvalidArgumentError(f"A bound is a number such as 2000 or 0.5, not {text!r}.")
