"""Unrestricted items and filters: what is legal is generated, whatever it is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from .reference import Item

# For tests whose examples cost much; a share of what the profile says.
few = settings(max_examples=max(1, settings().max_examples // 4))
DIMENSION = 3
TRICKY_TEXTS = (
    "", "a", "A", "ab", "2", "2.0", "true", "%", "_", "%a_", "'", '"', "''", '"a"', "\\", "a\0b", "\0", "\n", "a\n",
    "😀", "\u00e9", "e\u0301", "$.x", ".", "a.b", "?", "--", "; drop", "NaN", "None", " ", "\u200b", "\ufeff",
    "ß", "SS",
)  # fmt: skip
TRICKY_KEYS = (
    "k", "K", "a.b", "$.x", "'", '"', "", "id", "document", "embedding", "query", "rank", "distance", "row", "slot",
    "c0", "metadata.k", "metadata.id", "metadata.", "\0", "😀", "%", "\u00e9", "e\u0301", "key", "ключ", " ", "s",
)  # fmt: skip
TRICKY_NUMBERS = (
    0, 1, -1, 2, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1, 0.0, -0.0, 1.0, 2.0, 2.5,
    float(2**53), float(2**53 + 2), float(2**63), -float(2**63), 5e-324, -5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, float("inf"), float("-inf"), 0.1,
)  # fmt: skip

# Surrogates cannot be stored, and have tests of their own.
texts = st.sampled_from(TRICKY_TEXTS) | st.text()
# Few different ids, so that calls meet what earlier ones stored.
ids = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", *TRICKY_TEXTS]) | st.text(max_size=3)
stored_keys = st.sampled_from(TRICKY_KEYS) | st.text(max_size=4)
int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
values = st.one_of(st.sampled_from(TRICKY_NUMBERS), texts, int64, floats, st.booleans())
metadatas = st.dictionaries(stored_keys, values, min_size=1, max_size=4)
numbers32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
vectors = st.lists(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0])
    | st.floats(-10, 10, width=32)
    | st.sampled_from([3.4028234663852886e38, -3e38, 1e20, 1e-20, 1.401298464324817e-45, -1e-38])
    | numbers32,
    min_size=DIMENSION,
    max_size=DIMENSION,
).map(lambda numbers: tuple(float(np.float32(number)) for number in numbers))

items = st.builds(Item, id=ids, document=st.none() | texts, metadata=st.just({}) | metadatas, vector=vectors)
item_lists = st.lists(items, unique_by=lambda item: item.id, min_size=1, max_size=12)


def looks_like_operator(key: str) -> bool:
    """Such keys can be stored, but not stand in a filter: they would read as an operator."""
    return re.fullmatch(r"\$\w*", key) is not None


def _among(known: list[Any], others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(known) | others if known else others


def _parts_of(known: list[str]) -> st.SearchStrategy[str]:
    """Pieces of texts that are there, and other texts."""
    if not known:
        return texts
    pieces = st.sampled_from(known).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
            lambda ends: text[min(ends) : max(ends)]
        )
    )
    return pieces | texts


def wheres(known: list[Item]) -> st.SearchStrategy[dict[str, Any]]:
    """Filters on metadata: many of their keys and values occur in the items."""
    there = [(key, value) for item in known for key, value in item.metadata.items()]
    keys = _among([key for key, _ in there], stored_keys).filter(lambda key: not looks_like_operator(key))
    own_values = _among([value for _, value in there], values | st.integers())
    own_numbers = _among(
        [value for _, value in there if not isinstance(value, str | bool)],
        st.sampled_from(TRICKY_NUMBERS) | floats | st.integers() | int64,
    )
    own_texts = _parts_of([value for _, value in there if isinstance(value, str)])
    operations = st.one_of(
        own_values,
        st.tuples(st.sampled_from(["$eq", "$ne"]), own_values),
        st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), own_numbers),
        st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(own_values, max_size=4)),
        st.tuples(st.sampled_from(["$contains", "$not_contains"]), own_texts),
    ).map(lambda made: {made[0]: made[1]} if isinstance(made, tuple) else made)
    leaves = st.tuples(keys, operations).map(lambda pair: {pair[0]: pair[1]})
    filterable = [{key: value} for key, value in there if not looks_like_operator(key)]
    return _combined(_among(filterable, leaves))


def document_wheres(known: list[Item]) -> st.SearchStrategy[dict[str, Any]]:
    """Filters on documents."""
    own = _parts_of([item.document for item in known if item.document is not None])
    return _combined(
        st.tuples(st.sampled_from(["$contains", "$not_contains"]), own).map(lambda pair: {pair[0]: pair[1]})
    )


def _combined(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=2, max_size=3)).map(
            lambda pair: {pair[0]: pair[1]}
        ),
        max_leaves=4,
    )
