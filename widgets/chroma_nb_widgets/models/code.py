"""What is seen, as code: a cell that reproduces it, and SQL for the rows that pass the filters."""

from __future__ import annotations

import builtins
import json
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chroma_nb.columns import sql_columns
from chroma_nb.store.where_sql import float_bound, int_bound
from chroma_nb.types import Kind, MetadataValue
from chroma_nb.where import All, AnyOf, OneOf, Text, Where, both, parse_where, parse_where_document
from chroma_nb_widgets.models import asked

_SYMBOLS = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NUMBERS = frozenset({Kind.INT, Kind.FLOAT})
_FEW_IDS = 20
_TAKEN = frozenset({"chroma_nb", "rows", "hits", "like", "vector", "ids", "selection", *dir(builtins), *keyword.kwlist})


def variable(name: str) -> str:
    """The name of a collection as a Python variable, other than those that cells use.

    >>> variable("my-docs.v2"), variable("class"), variable("hits")
    ('my_docs_v2', 'class_', 'hits_')
    """
    clean = re.sub(r"\W", "_", name)
    if not clean.isidentifier():
        clean = f"_{clean}"
    return f"{clean}_" if clean in _TAKEN else clean


def plain(value: Any) -> Any:
    """A filter in Python's own types: dicts, lists, str, int, float and bool.

    >>> plain({"year": {"$in": np.asarray([1, 2])}})
    {'year': {'$in': [1, 2]}}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(part) for part in value), key=lambda part: (type(part).__name__, part))
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    for own in (bool, int, float, str):
        if isinstance(value, own):
            return own(value)
    return value


def source(value: Any) -> str:
    """A value as Python code that needs no import.

    >>> source({"score": {"$lt": float("inf")}})
    "{'score': {'$lt': float('inf')}}"
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {source(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(source, value))}]"
    return f"float('{value}')" if isinstance(value, float) and not math.isfinite(value) else repr(value)


# cells ----------------------------------------------------------------------------------------


def opening(location: str, name: str, *, read_only: bool = False) -> list[str]:
    """Lines that open a collection."""
    target = variable(name)
    if location == "memory":
        return [f"# {target} is the collection {name!r} of your client in memory"]
    way = ", read_only=True" if read_only else ""
    return ["import chroma_nb", "", f"{target} = chroma_nb.Client({location!r}{way})[{name!r}]"]


def call(method: str, /, *positional: str, **arguments: Any) -> str:
    """A call with positional arguments, which are code, and those named ones that are not None."""
    named = [f"{name}={source(plain(value))}" for name, value in arguments.items() if value is not None]
    return f"{method}({', '.join([*positional, *named])})"


def query_lines(target: str, query: asked.Query, n_results: int, filters: Mapping[str, Any]) -> list[str]:
    """Lines that run a query; those that get the rows without one."""
    if query is None:
        return [f"rows = {call(f'{target}.get', **filters)}"]
    if isinstance(query, asked.Like):
        return [
            f"like = {target}.embeddings([{query.id!r}])",
            f"hits = {call(f'{target}.query', 'like', n_results=n_results + 1, **filters)}",
            f"hits = hits.drop({query.id!r}, errors='ignore').head({n_results})",
            "hits['rank'] = range(len(hits))",
        ]
    if isinstance(query, str):
        return [f"hits = {call(f'{target}.query', source(plain(query)), n_results=n_results, **filters)}"]
    return [
        f"vector = {source(plain(query))}",
        f"hits = {call(f'{target}.query', 'vector', n_results=n_results, **filters)}",
    ]


def plot_line(target: str, query: asked.Query, **options: Any) -> str:
    """A line that draws the map; a vector is the variable that `query_lines` made."""
    asked_for = "vector" if isinstance(query, np.ndarray) else source(asked.to_json(query))
    return call(f"{target}.plot", *([] if query is None else [f"query={asked_for}"]), **options)


def selection_lines(target: str, ids: Sequence[str]) -> list[str]:
    """Lines that get the selected rows."""
    if not ids:
        return []
    listed = [repr(id_) for id_ in ids]
    if len(ids) <= _FEW_IDS:
        return [f"selection = {target}.get(ids=[{', '.join(listed)}])"]
    rows = [f"    {', '.join(listed[at : at + 8])}," for at in range(0, len(listed), 8)]
    return ["ids = [", *rows, "]", f"selection = {target}.get(ids=ids)"]


# SQL ------------------------------------------------------------------------------------------


def select(name: str, where: Any, where_document: Any, keys: Mapping[str, Sequence[Kind]]) -> str:
    """The rows that pass the filters, for ``client.sql``.

    Args:
        name: of the collection.
        where: the filter on metadata, or None.
        where_document: the filter on documents, or None.
        keys: all metadata keys of the collection, in order of first appearance, with their kinds.

    >>> print(select("docs", {"year": {"$gt": 2000}}, {"$contains": "it's"}, {"year": (Kind.INT,)}))
    SELECT * FROM "docs"
    WHERE "year" > 2000 AND contains("document", 'it''s')

    A key whose values are of several types is text in SQL, and a double where they are ints and floats:
    there a filter may match more than here.
    """
    tree = both(parse_where(where), parse_where_document(where_document))
    lines = [f"SELECT * FROM {_name(name)}"]  # noqa: S608 - names and values are quoted below
    if tree is not None:
        columns = dict(zip(keys, map(_name, sql_columns(keys)), strict=True))
        lines.append(f"WHERE {_Conditions(columns, keys).of(tree, top=True)}")
    return "\n".join(lines)


class _Conditions:
    """Filter trees as SQL over the view of one collection."""

    def __init__(self, columns: Mapping[str, str], kinds: Mapping[str, Sequence[Kind]]) -> None:
        self._columns, self._kinds = columns, kinds

    def of(self, tree: Where, *, top: bool = False) -> str:
        if isinstance(tree, All | AnyOf):
            joined = isinstance(tree, All) and top  # needs no brackets
            word = " AND " if isinstance(tree, All) else " OR "
            text = word.join(self.of(member, top=joined) for member in tree.members)
            return text if joined else f"({text})"
        if isinstance(tree, Text) and tree.key is None:
            return _text('"document"', tree)
        kinds = frozenset(self._kinds.get(str(tree.key), ()))
        if not kinds:
            return "false"
        column = self._columns[str(tree.key)]
        if isinstance(tree, Text):
            return _text(column, tree) if Kind.STR in kinds else "false"
        if isinstance(tree, OneOf):
            return _one_of(column, kinds, tree.values, negated=tree.negated)
        if tree.operator == "$ne":
            return _one_of(column, kinds, (tree.value,), negated=True)
        found = _compared(column, kinds, tree.operator, tree.value)
        return "false" if found is None else "{} {} {}".format(*found)


def _text(column: str, tree: Text) -> str:
    function = "regexp_matches" if tree.regex else "contains"
    return f"{'NOT ' if tree.negated else ''}{function}({column}, {_literal(tree.pattern)})"


def _one_of(column: str, kinds: frozenset[Kind], values: Sequence[MetadataValue], *, negated: bool) -> str:
    found = [found for value in values if (found := _compared(column, kinds, "$eq", value)) is not None]
    if not found:
        return f"{column} IS NOT NULL" if negated else "false"
    # Of several types: numbers are compared as numbers, the rest as text.
    parts = []
    for side in dict.fromkeys(part[0] for part in found):
        literals = [part[2] for part in found if part[0] == side]
        many = f"{'NOT IN' if negated else 'IN'} ({', '.join(literals)})"
        part = f"{side} {many}" if len(literals) > 1 else f"{side} {'<>' if negated else '='} {literals[0]}"
        parts.append(f"coalesce({part}, {column} IS NOT NULL)" if negated and side != column else part)
    text = (" AND " if negated else " OR ").join(parts)
    return text if len(parts) == 1 else f"({text})"


def _compared(column: str, kinds: frozenset[Kind], operator: str, value: MetadataValue) -> tuple[str, str, str] | None:
    """The two sides of a comparison and the symbol between them; None if it holds for nothing."""
    if isinstance(value, bool | str):
        if (Kind.BOOL if isinstance(value, bool) else Kind.STR) not in kinds:
            return None
        text = str(value).lower() if isinstance(value, bool) and len(kinds) > 1 else value
        return column, _SYMBOLS[operator], _literal(text)
    if not kinds & _NUMBERS:
        return None
    bound = int_bound(operator, value) if kinds == {Kind.INT} else float_bound(operator, value)
    side = column if kinds <= _NUMBERS else f"try_cast({column} AS DOUBLE)"
    return None if bound is None else (side, _SYMBOLS[bound[0]], _literal(bound[1]))


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(value: MetadataValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # No literal can hold a NUL.
        parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
        return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return f"'{value}'::DOUBLE"
    text = repr(value)
    # Without an exponent it is a decimal to DuckDB, whose way to a double may round twice.
    return text if "e" in text or len(text) <= 15 else f"{text}e0"


def as_json(value: object) -> str:
    """A filter as the form shows it: JSON on one line, numpy's values as plain ones."""
    return json.dumps(value, ensure_ascii=False, default=plain)
