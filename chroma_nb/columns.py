"""Names of columns in frames, and how metadata keys share the space with them."""

from __future__ import annotations

QUERY_COLUMNS = ("query", "rank", "distance")
FIXED_COLUMNS = frozenset({"id", "document", "embedding", *QUERY_COLUMNS})
PREFIX = "metadata."


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


def _clashes(name: str) -> bool:
    """Whether the name, less any number of prefixes, is that of a fixed column."""
    while name.startswith(PREFIX):
        name = name.removeprefix(PREFIX)
    return name in FIXED_COLUMNS
