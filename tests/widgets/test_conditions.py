"""Conditions of the form and the ``where`` dict: the one as the other, and back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.models.conditions import (
    Choice,
    Condition,
    Contains,
    Custom,
    Flag,
    Match,
    Range,
    from_where,
    to_where,
)
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.where import parse_where
from tests.store import strategies
from tests.store.reference import matches

keys = strategies.stored_keys.filter(lambda key: not strategies.looks_like_operator(key))
bounds = strategies.int64 | strategies.floats
matching: st.SearchStrategy[Match] = st.sampled_from(["all", "any"])


def _range(key: str, low: float | None, high: float | None) -> Range:
    return Range(key, low, high) if (low, high) != (None, None) else Range(key, 0)


def _choice(key: str, values: list[Any]) -> Condition:
    # One bool is what a flag stands for.
    return Flag(key, values[0]) if len(values) == 1 and isinstance(values[0], bool) else Choice(key, tuple(values))


conditions = st.one_of(
    st.builds(_range, keys, st.none() | bounds, st.none() | bounds),
    st.builds(_choice, keys, st.lists(strategies.values, min_size=1, max_size=4)),
    st.builds(Contains, keys, strategies.texts),
    st.builds(Flag, keys, st.booleans()),
)
# As in the form: a key has one condition.
forms = st.lists(conditions, max_size=5, unique_by=lambda condition: condition.key)


@given(forms, matching)
def test_what_the_form_does_comes_back_as_it_was(made: list[Condition], match: Match) -> None:
    where = to_where(made, match)
    parse_where(where)
    back, joined = from_where(where)
    assert back == tuple(made)
    assert all(type(one) is type(other) for one, other in zip(back, made, strict=True))
    assert joined == (match if len(made) > 1 else "all")


@given(st.data())
def test_a_filter_from_code_means_the_same_after_the_form_has_read_it(data: st.DataObject) -> None:
    items = data.draw(strategies.item_lists)
    where = data.draw(strategies.wheres(items))
    again = to_where(*from_where(where))
    parse_where(again)
    assert [matches(item, again) for item in items] == [matches(item, where) for item in items]
    assert from_where(again) == from_where(where)


@given(st.data(), conditions)
def test_another_condition_beside_it_leaves_it_as_it_was(data: st.DataObject, added: Condition) -> None:
    items = data.draw(strategies.item_lists)
    where = data.draw(strategies.wheres(items))
    found, match = from_where(where)
    both = to_where([*found, added], match)
    join = all if match == "all" else any
    for item in items:
        assert matches(item, both) == join([matches(item, where), matches(item, to_where([added]))])


@pytest.mark.parametrize(
    "where",
    [
        {"year": {"$gt": 2000}},
        {"year": {"$ne": 2000}},
        {"lang": {"$nin": ["en"]}},
        {"lang": {"$in": []}},
        {"lang": {"$regex": "^e"}},
        {"$and": [{"a": 1}, {"$or": [{"b": 2}, {"c": 3}]}]},
    ],
)
def test_what_no_control_shows_is_kept_as_it_is(where: dict[str, Any]) -> None:
    found, match = from_where(where)
    assert any(isinstance(condition, Custom) for condition in found)
    assert to_where(found, match) == where


def test_custom_filters_may_hold_what_python_holds() -> None:
    where = {"n": {"$nin": np.array([1, 2])}}
    assert to_where(*from_where(where)) == {"n": {"$nin": [1, 2]}}
    nested = {"$and": [{"n": {"$ne": np.int64(3)}}, {"$or": [MappingProxyType({"a": 1}), {"b": {"$nin": {"x"}}}]}]}
    assert to_where(*from_where(nested)) == {
        "$and": [{"n": {"$ne": 3}}, {"$or": [{"a": 1}, {"b": {"$nin": ["x"]}}]}],
    }


def test_both_bounds_of_a_key_are_one_range() -> None:
    where = {"$and": [{"n": {"$gte": 1}}, {"n": {"$lte": 5}}, {"flag": True}]}
    assert from_where(where)[0] == (Range("n", 1, 5), Flag("flag", True))
    either = {"$or": [{"$and": [{"n": {"$gte": 1}}, {"n": {"$lte": 5}}]}, {"flag": True}]}
    assert from_where(either) == ((Range("n", 1, 5), Flag("flag", True)), "any")
    assert to_where(*from_where(either)) == either


def test_nothing_is_no_filter() -> None:
    assert from_where(None) == ((), "all")
    assert from_where({}) == ((), "all")
    assert to_where([]) is None
    assert to_where([Range("n")]) is None


@pytest.mark.parametrize(
    ("condition", "label"),
    [
        (Range("year", 2000, 2010), "year: 2000 – 2010"),
        (Range("year", low=20240131), "year ≥ 20240131"),
        (Range("share", high=0.1 + 0.2), "share ≤ 0.3"),
        (Range("year", 2000, 2000), "year = 2000"),
        (Choice("lang", ("en", "de")), "lang: en, de"),
        (Choice("lang", tuple("abcde")), "lang: a, b, c +2"),
        (Contains("lemma", "cat"), "lemma contains “cat”"),
        (Flag("draft", False), "draft: no"),
        (Custom('{"n": {"$gt": 1}}'), '{"n": {"$gt": 1}}'),
    ],
)
def test_labels(condition: Condition, label: str) -> None:
    assert condition.label == label
