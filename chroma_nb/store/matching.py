"""A filter tree evaluated on the mirror: which items match, without asking the database.

Comparing 100,000 values in memory takes 0.05 to 0.2 ms, a statement of SQL 0.6 to 1.5 ms. Both judge alike: by
typed values, and never an item that lacks the key. Regular expressions are left to DuckDB, whose dialect they are in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.store.cores import on_all_cores
from chroma_nb.store.mirror import Chunk
from chroma_nb.store.shelf import State
from chroma_nb.store.substrings import Needle
from chroma_nb.store.where_sql import Place, float_bound, int_bound
from chroma_nb.types import ARROW_TYPES, BoolArray, Kind, MetadataValue
from chroma_nb.where import All, AnyOf, Compare, OneOf, Text, Where

_COMPARE = {"$eq": pc.equal, "$gt": pc.greater, "$gte": pc.greater_equal, "$lt": pc.less, "$lte": pc.less_equal}

# Texts that a thread searches at once: few enough that all threads end at about the same time.
_PIECE_ROWS = 8_192

# Values -> which of them match, bool of the same length, false for nulls.
Test = Callable[[pa.Array], BoolArray]


def mask(tree: Where, state: State) -> BoolArray:
    """Bool (n,) by position: the live items that match; the tree holds no regular expression."""
    return _mask(tree, state) & state.mirror.live


def _mask(tree: Where, state: State) -> BoolArray:
    if isinstance(tree, All | AnyOf):
        join = np.logical_and if isinstance(tree, All) else np.logical_or
        found: BoolArray = join.reduce([_mask(member, state) for member in tree.members])
        return found
    if isinstance(tree, Text):
        return _text_mask(tree, state)
    if isinstance(tree, Compare) and tree.operator != "$ne":
        return _any_kind(state, tree.key, _comparing(tree.operator, tree.value))
    values = tree.values if isinstance(tree, OneOf) else (tree.value,)
    hit = _any_kind(state, tree.key, _among(values))
    if isinstance(tree, OneOf) and not tree.negated:
        return hit
    return _any_kind(state, tree.key, dict.fromkeys(Kind, _there)) & ~hit


def _any_kind(state: State, key: str, tests: dict[Kind, Test]) -> BoolArray:
    """The items whose value of that key passes the test of its kind."""
    found = np.zeros(len(state.mirror), dtype=np.bool_)
    for kind, place in state.places.get(key, {}).items():
        if kind in tests:
            found |= _at(state, kind, place, tests[kind])
    return found


def _at(state: State, kind: Kind, place: Place, test: Test) -> BoolArray:
    mirror = state.mirror
    if place.column is not None:
        return _dense(mirror.chunks, place.column, test, coded=kind is Kind.STR)
    found = np.zeros(len(mirror), dtype=np.bool_)
    column = mirror.sparse.get(place.number)
    if column is not None and len(column.rows):
        found[mirror.positions(column.rows[test(column.values)])] = True
    return found


def _dense(chunks: Sequence[Chunk], column: str, test: Test, *, coded: bool = False) -> BoolArray:
    """The items whose value in a dense column passes; ``coded``: asked of each distinct value, where few differ."""
    found = [np.zeros(0, dtype=np.bool_)]
    for chunk in chunks:
        if column not in chunk.columns:
            found.append(np.zeros(chunk.length, dtype=np.bool_))
            continue
        known = chunk.coded(column) if coded else None
        found.append(test(chunk.columns[column]) if known is None else known.passing(test))
    return np.concatenate(found)


# tests ----------------------------------------------------------------------------------------


def _comparing(operator: str, value: MetadataValue) -> dict[Kind, Test]:
    compare = _COMPARE[operator]
    if isinstance(value, bool | str):
        kind = Kind.BOOL if isinstance(value, bool) else Kind.STR
        scalar = pa.scalar(value, ARROW_TYPES[kind])
        return {kind: lambda values: _bools(compare(values, scalar))}
    bounds = {Kind.INT: int_bound(operator, value), Kind.FLOAT: float_bound(operator, value)}
    return {kind: _bounded(kind, *bound) for kind, bound in bounds.items() if bound is not None}


def _bounded(kind: Kind, operator: str, value: float) -> Test:
    scalar = pa.scalar(value, ARROW_TYPES[kind])
    return lambda values: _bools(_COMPARE[operator](values, scalar))


def _among(values: Sequence[MetadataValue]) -> dict[Kind, Test]:
    """Whether a value is one of these, numbers by value whatever their kind."""
    sets: dict[Kind, list[MetadataValue]] = {}
    for value in values:
        if isinstance(value, bool | str):
            sets.setdefault(Kind.BOOL if isinstance(value, bool) else Kind.STR, []).append(value)
            continue
        for kind, bound in ((Kind.INT, int_bound("$eq", value)), (Kind.FLOAT, float_bound("$eq", value))):
            if bound is not None:
                sets.setdefault(kind, []).append(bound[1])
    return {kind: _one_of(pa.array(wanted, ARROW_TYPES[kind])) for kind, wanted in sets.items()}


def _one_of(wanted: pa.Array) -> Test:
    if len(wanted) == 1:
        return lambda values: _bools(pc.equal(values, wanted[0]))
    return lambda values: _bools(pc.is_in(values, value_set=wanted))


def _there(values: pa.Array) -> BoolArray:
    return _bools(values.is_valid())


def _bools(found: pa.Array) -> BoolArray:
    """Without nulls, as numpy, which unpacks the bits ten times as fast as Arrow does."""
    if found.null_count:
        found = found.fill_null(False)
    bits = np.frombuffer(found.buffers()[1] or b"", dtype=np.uint8)
    stop = found.offset + len(found)
    return np.unpackbits(bits, count=stop, bitorder="little")[found.offset :].view(np.bool_)


# texts ----------------------------------------------------------------------------------------


def _text_mask(tree: Text, state: State) -> BoolArray:
    def test(values: pa.Array) -> BoolArray:
        found = _containing(values, tree.pattern)
        return _there(values) & ~found if tree.negated else found

    if tree.key is None:
        return _dense(state.mirror.chunks, "document", test)
    return _any_kind(state, tree.key, {Kind.STR: test})


def _containing(texts: pa.Array, pattern: str) -> BoolArray:
    needle = Needle.among(texts, pattern)
    if needle is not None:
        # In one thread: its calls are so short that two would mostly wait for the lock of the interpreter.
        return needle.within(texts)
    # As a regular expression it is found twice as fast as by Arrow's own search for substrings.
    expression = quoted(pattern)
    found = np.zeros(len(texts), dtype=np.bool_)

    def search(starts: Iterable[int]) -> None:
        for start in starts:
            piece = texts.slice(start, _PIECE_ROWS)
            found[start : start + len(piece)] = _bools(pc.match_substring_regex(piece, expression))

    on_all_cores(search, range(0, len(texts), _PIECE_ROWS))
    return found


def quoted(text: str) -> str:
    r"""The regular expression of RE2 that matches just this text (the rules are those of its ``QuoteMeta``).

    >>> print(quoted("a.b c"))
    a\.b\ c
    """
    return "".join(
        char if char.isalnum() or char == "_" or not char.isascii() else "\\x00" if char == "\0" else "\\" + char
        for char in text
    )
