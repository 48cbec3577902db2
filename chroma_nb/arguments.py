"""Arguments of a collection's methods -> what a store takes; all their checks that need no store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chroma_nb import batch, tables
from chroma_nb.errors import InvalidArgumentError, InvalidNumberOfResultsError, suggest
from chroma_nb.types import Records, Selection
from chroma_nb.where import both, parse_where, parse_where_document


def records(ids: Any, embeddings: Any, metadatas: Any, documents: Any, columns: dict[str, Any]) -> Records:
    """The items of an ``add``, ``update`` or ``upsert``: of Chroma's keywords, or of a DataFrame."""
    unknown = set(columns) - {"id", "document", "embedding", "metadata"}
    if unknown:
        name = sorted(unknown)[0]
        accepted = ("ids", "embeddings", "metadatas", "documents", "id", "document", "embedding", "metadata")
        raise TypeError(f"Unexpected argument {name!r}.{suggest(name, accepted)}")
    if not tables.is_table(ids):
        if columns:
            raise InvalidArgumentError(
                f"{', '.join(sorted(columns))} name columns of a DataFrame: pass the DataFrame first, or use ids=, "
                "embeddings=, metadatas=, documents=."
            )
        return batch.records(ids, embeddings, metadatas, documents)
    if metadatas is not None or documents is not None:
        raise InvalidArgumentError(
            'With a DataFrame, name its columns: document="...", metadata=[...] instead of documents=, metadatas=.'
        )
    return tables.records(ids, embeddings=embeddings, **columns)


def need_content(records: Records) -> None:
    """InvalidArgumentError unless there are vectors, or texts to make them of."""
    if records.embeddings is None and records.documents is None:
        raise InvalidArgumentError(
            "You must provide either embeddings or documents, or both. With a DataFrame, name the columns that "
            'hold them: document="..." or embedding="...".'
        )


def known_text(ids: list[str], skipped: int) -> str:
    """What is said of ids that ``add`` skips."""
    shown = ", ".join(map(repr, ids[:5])) + (", ..." if len(ids) > 5 else "")
    return f"{skipped} of the ids exist already and were skipped: {shown}. Use upsert to replace them."


def is_texts(value: object) -> bool:
    """Whether the first argument of ``query`` holds texts, not vectors."""
    return isinstance(value, str) or (isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], str))


def selection(ids: Any, where: Any, where_document: Any) -> Selection:
    """Which items the conditions of ``get``, ``query`` and ``delete`` choose."""
    listed = None if ids is None else batch.ids_array(ids, may_be_empty=True).to_pylist()
    return Selection(listed, both(parse_where(where), parse_where_document(where_document)))


def included(include: object, names: Sequence[str]) -> frozenset[str]:
    """The checked ``include``."""
    if not isinstance(include, list | tuple | set | frozenset):
        raise InvalidArgumentError(f"Expected include to be a list, got {include!r}")
    for name in include:
        if name not in names:
            raise InvalidArgumentError(
                f"Expected include item to be one of {', '.join(names)}, got {name!r}.{suggest(name, names)}"
            )
    return frozenset(include)


def n_results(number: object) -> int:
    """The checked ``n_results``."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise InvalidNumberOfResultsError(f"Expected requested number of results to be a int, got {number!r}")
    if number < 1:
        raise InvalidNumberOfResultsError(f"Number of requested results {number}, cannot be negative, or zero.")
    return int(number)
