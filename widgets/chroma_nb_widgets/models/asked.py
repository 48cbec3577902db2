"""What can be asked of a collection: a text, a vector, or "like this item"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.types import Matrix


@dataclass(frozen=True)
class Like:
    """The items nearest to this one, itself left out."""

    id: str

    def __repr__(self) -> str:
        return f"Like({self.id!r})"


Query: TypeAlias = str | Like | Matrix | None


def checked(query: Any) -> Query:
    """A query as the explorers keep it.

    Args:
        query: a text; a vector, shape (dim,) or (1, dim); ``Like(id)`` or ``{"like": id}``; None or "" for none.

    >>> checked({"like": "a1"})
    Like('a1')

    Raises:
        InvalidArgumentError: it is none of these.
    """
    if query is None or isinstance(query, Like):
        return query
    if isinstance(query, str):
        return query if query.strip() else None
    if isinstance(query, Mapping):
        if list(query) == ["like"] and isinstance(query["like"], str):
            return Like(query["like"])
        raise InvalidArgumentError(f'A query by item is {{"like": id}}, got {dict(query)!r}')
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            vector = np.asarray(query, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f'A query is a text, a vector or {{"like": id}}, got {query!r}') from error
    if vector.ndim == 2 and len(vector) == 1:
        vector = vector[0]
    if vector.ndim != 1 or len(vector) == 0 or not np.isfinite(vector).all():
        raise InvalidArgumentError(f"A query vector has shape (dim,) and finite numbers, got shape {vector.shape}")
    return vector


def typed(text: str) -> Query:
    """A vector typed or pasted into a form: numbers between commas or spaces, brackets or not.

    >>> typed("[1, 0.5]")
    array([1. , 0.5], dtype=float32)

    Raises:
        InvalidArgumentError: it does not read as numbers.
    """
    numbers = text.strip().strip("[]()").replace(",", " ").split()
    if not numbers:
        return None
    try:
        return checked([float(number) for number in numbers])
    except ValueError as error:
        raise InvalidArgumentError(f"A vector is numbers between commas, such as [0.1, -0.2, 0.3]: {error}") from error


def label(query: Query) -> str:
    """A query in a few words, for pictures and tables."""
    if query is None:
        return ""
    if isinstance(query, Like):
        return f"like {query.id}"
    if isinstance(query, str):
        return query if len(query) <= 60 else f"{query[:59]}…"
    return f"vector ({len(query)} numbers)"


def to_json(query: Query) -> Any:
    """For a saved view."""
    if isinstance(query, Like):
        return {"like": query.id}
    return json.loads(json.dumps(query.tolist())) if isinstance(query, np.ndarray) else query
