"""What filters and distances mean, in plain Python."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value = str | int | float | bool


@dataclass(frozen=True)
class Item:
    """An item; no metadata and no keys are the same."""

    id: str
    document: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    vector: tuple[float, ...] = ()

    def without_vector(self) -> Item:
        """The item as a result without embeddings shows it."""
        return replace(self, vector=())


def equal(stored: Value, operand: Value) -> bool:
    """Numbers by value and exactly (as Python does), bools and texts only with their own type."""
    if isinstance(stored, bool) or isinstance(operand, bool):
        return isinstance(stored, bool) and isinstance(operand, bool) and stored == operand
    if isinstance(stored, str) or isinstance(operand, str):
        return isinstance(stored, str) and isinstance(operand, str) and stored == operand
    return stored == operand


def matches(item: Item, where: Mapping[str, Any] | None) -> bool:
    """Whether a ``where`` dict holds for an item."""
    if not where:
        return True
    ((key, operand),) = where.items()
    if key == "$and":
        return all(matches(item, member) for member in operand)
    if key == "$or":
        return any(matches(item, member) for member in operand)
    if key not in item.metadata:
        return False
    ((operator, value),) = operand.items() if isinstance(operand, dict) else (("$eq", operand),)
    return _holds(item.metadata[key], operator, value)


def _holds(stored: Value, operator: str, operand: Any) -> bool:
    if operator in ("$eq", "$ne"):
        return equal(stored, operand) == (operator == "$eq")
    if operator in ("$in", "$nin"):
        return any(equal(stored, value) for value in operand) == (operator == "$in")
    if operator in ("$gt", "$gte", "$lt", "$lte"):
        if isinstance(stored, str | bool):
            return False
        compare = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}[operator]
        return bool(compare(stored, operand))
    return isinstance(stored, str) and text_holds(stored, operator, operand)


def text_holds(text: str, operator: str, operand: str, flags: int = 0) -> bool:
    """Substrings and patterns."""
    found = operand in text if operator.endswith("contains") else re.search(operand, text, flags) is not None
    return found != operator.startswith("$not_")


def document_matches(item: Item, where: Mapping[str, Any] | None) -> bool:
    """Whether a ``where_document`` dict holds for an item."""
    if not where:
        return True
    ((operator, operand),) = where.items()
    if operator == "$and":
        return all(document_matches(item, member) for member in operand)
    if operator == "$or":
        return any(document_matches(item, member) for member in operand)
    return item.document is not None and text_holds(item.document, operator, operand)


def selected(
    items: Iterable[Item],
    *,
    ids: list[str] | None = None,
    where: Mapping[str, Any] | None = None,
    where_document: Mapping[str, Any] | None = None,
) -> list[Item]:
    """What `get` is to give: in order of insertion, or of the ids asked for."""
    known = {item.id: item for item in items}
    candidates = list(known.values()) if ids is None else [known[id_] for id_ in ids if id_ in known]
    return [item for item in candidates if matches(item, where) and document_matches(item, where_document)]


def distances(space: str, vectors: npt.ArrayLike, query: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Of float32 vectors (n, dim) to a query (dim,), computed in float64."""
    x = np.asarray(vectors, dtype=np.float32).astype(np.float64)
    q = np.asarray(query, dtype=np.float32).astype(np.float64)
    if space == "l2":
        return np.asarray(((x - q) ** 2).sum(axis=1))
    if space == "ip":
        return np.asarray(1.0 - (x * q).sum(axis=1))
    norms = np.sqrt((x**2).sum(axis=1)) * np.sqrt((q**2).sum())
    return np.asarray([1.0 - dot / norm if norm > 0 else 1.0 for dot, norm in zip(x @ q, norms, strict=True)])
