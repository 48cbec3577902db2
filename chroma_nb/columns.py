"""Columns: their names in frames and in SQL, which metadata keys share; and what they hold, as Python's lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.types import MetadataColumns, MetadataValue

QUERY_COLUMNS = ("query", "rank", "distance")
FIXED_COLUMNS = frozenset({"id", "document", "embedding", *QUERY_COLUMNS})
PREFIX = "metadata."
_SQL_COLUMNS = ("id", "document", "embedding")


def column_of(key: str) -> str:
    """The column of a metadata key: its name, with a prefix where that name is taken.

    >>> column_of("lang"), column_of("distance"), column_of("metadata.distance")
    ('lang', 'metadata.distance', 'metadata.metadata.distance')
    """
    return PREFIX + key if _clashes(key) else key


def key_of(column: str) -> str:
    """The metadata key of a column; the inverse of `column_of`.

    >>> key_of("metadata.distance"), key_of("metadata.source")
    ('distance', 'metadata.source')
    """
    return column.removeprefix(PREFIX) if _clashes(column) else column


def sql_columns(keys: Iterable[str]) -> list[str]:
    """The columns of metadata keys in SQL, which ignores case and forbids empty names.

    >>> sql_columns(["lang", "Lang", "id", ""])
    ['lang', 'Lang_2', 'metadata.id', '_']
    """
    taken = set(_SQL_COLUMNS)
    columns = []
    for key in keys:
        column = base = PREFIX + key if key in _SQL_COLUMNS else key.replace("\0", "_") or "_"
        count = 2
        while column.casefold() in taken:
            column, count = f"{base}_{count}", count + 1
        taken.add(column.casefold())
        columns.append(column)
    return columns


def texts(column: pa.Array) -> list[Any]:
    """Strings as a list, with None for nulls: by way of numpy, ten times as fast as ``to_pylist``.

    >>> texts(pa.array(["a", None]))
    ['a', None]
    """
    listed: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return listed


def metadata_dicts(metadata: MetadataColumns, length: int) -> list[dict[str, MetadataValue] | None]:
    """One dict an item with the keys it has; None for an item without any.

    >>> from chroma_nb.types import Kind
    >>> metadata_dicts({"n": {Kind.INT: pa.array([1, None])}}, 2)
    [{'n': 1}, None]
    """
    rows: list[dict[str, MetadataValue]] = [{} for _ in range(length)]
    for key, kinds in metadata.items():
        for column in kinds.values():
            if column.null_count == length:
                continue
            there = rows
            if column.null_count:
                there = [rows[at] for at in np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).tolist()]
                column = column.drop_null()  # noqa: PLW2901 - the rest is the same for both
            # Without nulls numpy changes no type.
            for row, value in zip(there, texts(column), strict=True):
                row[key] = value
    return [row or None for row in rows]


def _clashes(name: str) -> bool:
    """Whether the name, less any number of prefixes, is that of a fixed column."""
    while name.startswith(PREFIX):
        name = name.removeprefix(PREFIX)
    return name in FIXED_COLUMNS
