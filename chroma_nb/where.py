"""Filters: Chroma's ``where`` and ``where_document`` dicts -> a frozen tree.

All validation of filters is here; no SQL is. The tree is what stores evaluate.

Grammar of ``where`` (metadata)::

    {key: value}                                   same as {key: {"$eq": value}}
    {key: {"$eq" | "$ne": str | int | float | bool}}
    {key: {"$gt" | "$gte" | "$lt" | "$lte": int | float}}
    {key: {"$in" | "$nin": [str | int | float | bool, ...]}}
    {key: {"$contains" | "$not_contains" | "$regex" | "$not_regex": str}}
    {"$and" | "$or": [where, where, ...]}

and of ``where_document``::

    {"$contains" | "$not_contains" | "$regex" | "$not_regex": str}
    {"$and" | "$or": [where_document, where_document, ...]}

Numbers compare by value (2 == 2.0), bools and strings are types of their own ("2" != 2), text is
compared exactly and case-sensitively, patterns are RE2's and match anywhere in the text. No
operator, the negated ones included, matches an item that lacks the key (or the document).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from chroma_nb.errors import InvalidArgumentError, suggest
from chroma_nb.types import MetadataValue

ORDER_OPERATORS = ("$gt", "$gte", "$lt", "$lte")
TEXT_OPERATORS = ("$contains", "$not_contains", "$regex", "$not_regex")
MOST_LEVELS = 64  # of $and and $or; what walks through a tree does so by recursion
OPERATORS = ("$eq", "$ne", *ORDER_OPERATORS, "$in", "$nin", *TEXT_OPERATORS)


@dataclass(frozen=True)
class Compare:
    """``key operator value``; operator is one of $eq $ne $gt $gte $lt $lte."""

    key: str
    operator: str
    value: MetadataValue


@dataclass(frozen=True)
class OneOf:
    """``key`` is (or, negated, exists and is not) one of ``values``."""

    key: str
    values: tuple[MetadataValue, ...]
    negated: bool = False


@dataclass(frozen=True)
class Text:
    """A substring or pattern in a text; ``key`` None means the document."""

    key: str | None
    pattern: str
    regex: bool = False
    negated: bool = False


@dataclass(frozen=True)
class All:
    """Every member holds."""

    members: tuple[Where, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one member holds."""

    members: tuple[Where, ...]


Where: TypeAlias = Compare | OneOf | Text | All | AnyOf


def parse_where(where: object) -> Where | None:
    """The tree of a ``where`` dict; None for None and for ``{}``, which filter nothing.

    >>> parse_where({"lang": "en"})
    Compare(key='lang', operator='$eq', value='en')
    >>> parse_where({}) is None
    True

    Raises:
        InvalidArgumentError: the dict does not follow the grammar above.
    """
    if where is None or (isinstance(where, Mapping) and not where):
        return None
    return _parse(where, "where", _parse_field)


def parse_where_document(where_document: object) -> Where | None:
    """The tree of a ``where_document`` dict; None for None and for ``{}``.

    >>> parse_where_document({"$contains": "river"})
    Text(key=None, pattern='river', regex=False, negated=False)

    Raises:
        InvalidArgumentError: the dict does not follow the grammar above.
    """
    if where_document is None or (isinstance(where_document, Mapping) and not where_document):
        return None
    return _parse(where_document, "where document", _parse_document)


def _parse(where: object, what: str, leaf: Any, depth: int = 1) -> Where:
    if depth > MOST_LEVELS:
        raise InvalidArgumentError(
            f"Expected {what} to be nested at most {MOST_LEVELS} levels deep. $and and $or take any number of members: "
            "write them side by side."
        )
    operator, operand = _only_item(where, what)
    if operator not in ("$and", "$or"):
        result: Where = leaf(operator, operand)
        return result
    if not isinstance(operand, list | tuple):
        raise InvalidArgumentError(
            f"Expected {what} value for {operator} to be a list of {what} expressions, got {operand!r}"
        )
    if len(operand) < 2:
        raise InvalidArgumentError(
            f"Expected {what} value for {operator} to be a list with at least two {what} expressions, got {operand!r}."
            + (" Write its only member without it." if operand else "")
        )
    members = tuple(_parse(member, what, leaf, depth + 1) for member in operand)
    return All(members) if operator == "$and" else AnyOf(members)


def _only_item(where: object, what: str) -> tuple[str, Any]:
    if not isinstance(where, Mapping):
        raise InvalidArgumentError(f"Expected {what} to be a dict, got {where!r}")
    if len(where) != 1:
        raise InvalidArgumentError(
            f"Expected {what} to have exactly one operator, got {dict(where)!r}." + _rewrite(where)
        )
    ((key, operand),) = where.items()
    if not isinstance(key, str):
        raise InvalidArgumentError(f"Expected {what} key to be a str, got {key!r}")
    _encodable(key, what)
    return key, operand


def _rewrite(where: Mapping[Any, Any]) -> str:
    parts = [{key: value} for key, value in where.items()]
    return f' To ask for all of them write {{"$and": {parts!r}}}.' if parts else " {} alone means no filter."


def _parse_field(key: str, operand: Any) -> Where:
    if re.fullmatch(r"\$\w*", key):  # looks like an operator; a key such as "$.x" does not
        hint = suggest(key, ("$and", "$or", *OPERATORS))
        raise InvalidArgumentError(
            f"Expected where operator to be one of $and, $or, got {key}. Other operators stand inside a key, like "
            f'{{"year": {{"$gt": 2000}}}}.{hint if key not in OPERATORS else ""}'
        )
    if not isinstance(operand, Mapping):
        return Compare(key, "$eq", _scalar(operand, "value to be a str, int, float, bool, or operator expression"))
    if len(operand) != 1:
        raise InvalidArgumentError(
            f"Expected operator expression to have exactly one operator, got {dict(operand)!r} for the where key "
            f"{key!r}." + (_rewrite_range(key, operand) if operand else "")
        )
    ((operator, value),) = operand.items()
    return _parse_operator(key, operator, value)


def _rewrite_range(key: str, operand: Mapping[Any, Any]) -> str:
    return f' Write {{"$and": {[{key: {op: value}} for op, value in operand.items()]!r}}}.'


def _parse_operator(key: str, operator: object, value: Any) -> Where:
    if operator in ("$eq", "$ne"):
        return Compare(key, str(operator), _scalar(value, "operand value to be a str, int, float, or bool"))
    if operator in ORDER_OPERATORS:
        number = _scalar(value, f"operand value to be an int or a float for operator {operator}")
        if isinstance(number, str | bool):
            raise InvalidArgumentError(
                f"Expected where operand value to be an int or a float for operator {operator}, got {value!r}"
            )
        return Compare(key, str(operator), number)
    if operator in ("$in", "$nin"):
        if not isinstance(value, list | tuple | set | frozenset | np.ndarray):
            raise InvalidArgumentError(
                f"Expected where operand value to be a list for operator {operator}, got {value!r}"
            )
        values = tuple(_scalar(v, f"operand values of {operator} to be str, int, float, or bool") for v in value)
        return OneOf(key, values, negated=operator == "$nin")
    if operator in TEXT_OPERATORS:
        return _text(key, str(operator), value, "where")
    raise InvalidArgumentError(
        f"Expected where operator to be one of {', '.join(OPERATORS)}, got {operator!r}.{suggest(operator, OPERATORS)}"
    )


def _parse_document(operator: str, operand: Any) -> Where:
    if operator not in TEXT_OPERATORS:
        raise InvalidArgumentError(
            f"Expected where document operator to be one of {', '.join(TEXT_OPERATORS)}, $and, $or, got {operator!r}."
            + suggest(operator, TEXT_OPERATORS)
        )
    return _text(None, operator, operand, "where document")


def _text(key: str | None, operator: str, value: object, what: str) -> Text:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"Expected {what} operand value for operator {operator} to be a str, got {value!r}")
    _encodable(value, what)
    return Text(key, str(value), regex=operator.endswith("regex"), negated=operator.startswith("$not_"))


def _scalar(value: object, expected: str) -> MetadataValue:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        raise InvalidArgumentError("Expected where operand value to be a number, got NaN, which equals nothing.")
    if not isinstance(value, str | int | float | bool):
        raise InvalidArgumentError(f"Expected where {expected}, got {value!r}")
    if isinstance(value, str):
        _encodable(value, "where")
    return value


def _encodable(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"Expected {what} text to be valid Unicode, got {text!r}, which holds a lone surrogate."
        ) from error


def patterns(tree: Where) -> set[str]:
    """The regular expressions in a tree."""
    if isinstance(tree, All | AnyOf):
        return set().union(*(patterns(member) for member in tree.members))
    return {tree.pattern} if isinstance(tree, Text) and tree.regex else set()


def both(first: Where | None, second: Where | None) -> Where | None:
    """The conjunction of two trees that may be absent.

    >>> both(None, None) is None
    True
    """
    given = tuple(tree for tree in (first, second) if tree is not None)
    return given[0] if len(given) == 1 else All(given) if given else None
