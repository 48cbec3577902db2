"""A filter tree -> a SQL condition and its parameters. Pure; every value is a bound parameter.

A metadata key has one home per kind of value: a column of the items table, or rows of the table
of sparse values. A condition on a key is the disjunction of typed conditions on its homes, so
that ``"2"`` never equals 2 and true never equals 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from chroma_nb.types import Kind, MetadataValue
from chroma_nb.where import All, AnyOf, Compare, OneOf, Text, Where

Condition: TypeAlias = tuple[str, list[Any]]

SQL_TYPES: dict[Kind, str] = {
    Kind.STR: "VARCHAR",
    Kind.INT: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.BOOL: "BOOLEAN",
}
SPARSE_COLUMNS: dict[Kind, str] = {Kind.STR: "s", Kind.INT: "i", Kind.FLOAT: "f", Kind.BOOL: "b"}
_SYMBOLS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_NEVER: Condition = ("false", [])


@dataclass(frozen=True)
class Place:
    """Where the values of one kind of one metadata key are stored.

    Attributes:
        number: of the (key, kind) pair, unique in the collection; orders keys by appearance.
        column: of the items table; None when the values are rows of the sparse table.
    """

    number: int
    column: str | None


Places: TypeAlias = Mapping[str, Mapping[Kind, Place]]


def condition(tree: Where, places: Places, sparse_table: str) -> Condition:
    """The SQL condition over the items table that holds exactly for the items the tree matches.

    >>> condition(Compare("lang", "$eq", "en"), {"lang": {Kind.STR: Place(0, "c0")}}, "sparse_1")
    ('coalesce(c0 = ?::VARCHAR, false)', ['en'])
    """
    if isinstance(tree, All | AnyOf):
        word = " AND " if isinstance(tree, All) else " OR "
        return _join(word, [condition(member, places, sparse_table) for member in tree.members])
    if isinstance(tree, Text) and tree.key is None:
        return _text_condition("document", tree)
    key = str(tree.key)
    homes = places.get(key, {})
    if isinstance(tree, Text):
        place = homes.get(Kind.STR)
        return _NEVER if place is None else _at(place, Kind.STR, sparse_table, lambda col: _text_condition(col, tree))
    if isinstance(tree, Compare) and tree.operator != "$ne":
        return _compare(homes, sparse_table, tree.operator, tree.value)
    values = tree.values if isinstance(tree, OneOf) else (tree.value,)
    negated = tree.negated if isinstance(tree, OneOf) else True
    hit = _join(" OR ", [_compare(homes, sparse_table, "$eq", value) for value in values])
    return _join(" AND ", [_exists(homes, sparse_table), (f"NOT ({hit[0]})", hit[1])]) if negated else hit


def _join(word: str, parts: list[Condition]) -> Condition:
    if not parts:
        return _NEVER
    return "(" + word.join(sql for sql, _ in parts) + ")", [param for _, params in parts for param in params]


def _exists(homes: Mapping[Kind, Place], sparse_table: str) -> Condition:
    return _join(
        " OR ",
        [_at(place, kind, sparse_table, lambda col: (f"{col} IS NOT NULL", [])) for kind, place in homes.items()],
    )


def _at(place: Place, kind: Kind, sparse_table: str, build: Any) -> Condition:
    """The condition that ``build`` makes of a column, on wherever the values are."""
    if place.column is not None:
        sql, params = build(place.column)
        return f"coalesce({sql}, false)", params
    sql, params = build(SPARSE_COLUMNS[kind])
    return f'"row" IN (SELECT "row" FROM {sparse_table} WHERE key = ? AND {sql})', [place.number, *params]


def _text_condition(column: str, tree: Text) -> Condition:
    function = "regexp_matches" if tree.regex else "contains"
    word = "NOT " if tree.negated else ""
    return f"coalesce({word}{function}({column}, ?::VARCHAR), false)", [tree.pattern]


def _compare(homes: Mapping[Kind, Place], sparse_table: str, operator: str, value: MetadataValue) -> Condition:
    if isinstance(value, bool | str):
        kind = Kind.BOOL if isinstance(value, bool) else Kind.STR
        if kind not in homes:
            return _NEVER
        sql = f"{_SYMBOLS[operator]} ?::{SQL_TYPES[kind]}"
        return _at(homes[kind], kind, sparse_table, lambda col: (f"{col} {sql}", [value]))
    parts = []
    for kind, bound in ((Kind.INT, int_bound(operator, value)), (Kind.FLOAT, float_bound(operator, value))):
        if kind in homes and bound is not None:
            parts.append(_at(homes[kind], kind, sparse_table, _number(kind, bound)))
    return _join(" OR ", parts)


def _number(kind: Kind, bound: tuple[str, float]) -> Any:
    return lambda col: (f"{col} {_SYMBOLS[bound[0]]} ?::{SQL_TYPES[kind]}", [bound[1]])


def int_bound(operator: str, value: float) -> tuple[str, int] | None:
    """The same comparison with a 64-bit integer: ``i > 2.5`` is ``i >= 3``; None if never true.

    >>> int_bound("$gt", 2.5), int_bound("$eq", 2.0), int_bound("$eq", 2.5)
    (('$gte', 3), ('$eq', 2), None)
    """
    if isinstance(value, float) and math.isinf(value):
        value = 2**64 if value > 0 else -(2**64)
    if value == int(value):
        whole = int(value)
    elif operator == "$eq":
        return None
    else:
        whole = math.ceil(value) if operator in ("$gt", "$gte") else math.floor(value)
        operator = "$gte" if operator in ("$gt", "$gte") else "$lte"
    if _INT64_MIN <= whole <= _INT64_MAX:
        return operator, whole
    always = (operator in ("$lt", "$lte")) == (whole > 0)
    return ("$gte", _INT64_MIN) if operator != "$eq" and always else None


def float_bound(operator: str, value: float) -> tuple[str, float] | None:
    """The same comparison with a double, exact also for ints that no double equals.

    >>> float_bound("$gt", 2**53 + 1), float_bound("$eq", 2**53 + 1), float_bound("$lte", 7)
    (('$gt', 9007199254740992.0), None, ('$lte', 7.0))
    """
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    if nearest == value:
        return operator, nearest
    if operator == "$eq":
        return None
    # No double lies between `nearest` and `value`: on its side the strict and the loose
    # comparison mean the same.
    if operator in ("$gt", "$gte"):
        return ("$gt" if nearest < value else "$gte"), nearest
    return ("$lte" if nearest < value else "$lt"), nearest
