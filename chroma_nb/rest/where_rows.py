"""Filters on items at hand: what a server cannot say exactly is decided here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.types import BoolArray, Kind, MetadataValue, Records
from chroma_nb.where import All, AnyOf, Compare, OneOf, Text, Where

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_NUMBERS = (Kind.INT, Kind.FLOAT)


def holding(tree: Where, records: Records) -> BoolArray:
    """Which items fulfil a filter, bool (n,); documents and metadata that it asks for must be there.

    >>> records = Records(pa.array(["a", "b"]), metadata={"n": {Kind.INT: pa.array([1, None])}})
    >>> holding(Compare("n", "$ne", 2), records)
    array([ True, False])

    Raises:
        InvalidArgumentError: a pattern in it is not a regular expression.
    """
    if isinstance(tree, All | AnyOf):
        parts = [holding(member, records) for member in tree.members]
        found = np.logical_and.reduce(parts) if isinstance(tree, All) else np.logical_or.reduce(parts)
        return np.asarray(found, dtype=np.bool_)
    if isinstance(tree, Text):
        return _text(tree, records)
    if isinstance(tree, Compare) and tree.operator in _ORDER:
        compare = _ORDER[tree.operator]
        return _any(records, tree.key, _NUMBERS, lambda value: compare(value, tree.value))
    values, negated = (
        (tree.values, tree.negated) if isinstance(tree, OneOf) else ((tree.value,), tree.operator == "$ne")
    )
    equal = _equal(records, tree.key, values)
    return _any(records, tree.key, tuple(Kind), lambda _: True) & ~equal if negated else equal


def needs(tree: Where) -> frozenset[str]:
    """What must be fetched of an item to decide: "documents", "metadatas".

    >>> sorted(needs(All((Text(None, "x"), Compare("n", "$eq", 1)))))
    ['documents', 'metadatas']
    """
    if isinstance(tree, All | AnyOf):
        return frozenset().union(*(needs(member) for member in tree.members))
    return frozenset({"documents" if isinstance(tree, Text) and tree.key is None else "metadatas"})


def _equal(records: Records, key: str, values: Sequence[MetadataValue]) -> BoolArray:
    """Numbers are equal by value and exactly, as in Python; texts and bools only to their own kind."""
    texts = {value for value in values if isinstance(value, str)}
    bools = {value for value in values if isinstance(value, bool)}
    numbers = {value for value in values if not isinstance(value, str | bool)}
    found = _any(records, key, (Kind.STR,), texts.__contains__)
    found |= _any(records, key, (Kind.BOOL,), bools.__contains__)
    return found | _any(records, key, _NUMBERS, numbers.__contains__)


def _any(records: Records, key: str, kinds: Sequence[Kind], test: Callable[[Any], bool]) -> BoolArray:
    found = np.zeros(len(records), dtype=np.bool_)
    for column in _columns(records, key, kinds):
        found |= np.fromiter((value is not None and test(value) for value in column.to_pylist()), np.bool_, len(column))
    return found


def _columns(records: Records, key: str, kinds: Sequence[Kind]) -> Iterator[pa.Array]:
    for kind, column in (records.metadata or {}).get(key, {}).items():
        if kind in kinds:
            yield column


def _text(tree: Text, records: Records) -> BoolArray:
    columns = [records.documents] if tree.key is None else list(_columns(records, tree.key, (Kind.STR,)))
    found = np.zeros(len(records), dtype=np.bool_)
    match = pc.match_substring_regex if tree.regex else pc.match_substring
    try:
        match(pa.array([""], pa.large_string()), tree.pattern)  # said also where there is nothing to compare with
        for column in columns:
            if column is not None:
                matched = match(column, tree.pattern)
                matched = pc.invert(matched) if tree.negated else matched
                found |= matched.fill_null(False).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise InvalidArgumentError(f"The filter cannot be evaluated: {error}") from error
    return found
