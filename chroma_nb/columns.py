"""Names of columns in frames and in SQL, and how metadata keys share the space with them."""

from __future__ import annotations

from collections.abc import Iterable

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


def _clashes(name: str) -> bool:
    """Whether the name, less any number of prefixes, is that of a fixed column."""
    while name.startswith(PREFIX):
        name = name.removeprefix(PREFIX)
    return name in FIXED_COLUMNS
