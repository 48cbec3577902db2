"""Names of columns in frames, and how metadata keys share the space with them."""

from __future__ import annotations

QUERY_COLUMNS = ("query", "rank", "distance")
FIXED_COLUMNS = frozenset({"id", "document", "embedding", *QUERY_COLUMNS})
PREFIX = "metadata."


def column_of(key: str) -> str:
    """The column of a metadata key: its name, with a prefix where that name is taken.

    >>> column_of("lang"), column_of("distance"), column_of("metadata.x")
    ('lang', 'metadata.distance', 'metadata.metadata.x')
    """
    return PREFIX + key if key in FIXED_COLUMNS or key.startswith(PREFIX) else key


def key_of(column: str) -> str:
    """The metadata key of a column; the inverse of `column_of`.

    >>> key_of("metadata.distance")
    'distance'
    """
    return column.removeprefix(PREFIX)
