"""Filters for servers that mean something else by them: never less than we want, and exactly that where it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.rest.dialect import OLDER
from chroma_nb.rest.rows import records_of_rows
from chroma_nb.rest.where_asked import Abilities, Asked, asked
from chroma_nb.rest.where_rows import holding, needs
from chroma_nb.where import AnyOf, Compare, Text, both, parse_where, parse_where_document
from tests.store.reference import Item, document_matches, matches, selected
from tests.store.strategies import document_wheres, item_lists, wheres

ABLE = Abilities(negates_documents=True, patterns=True, trusted=True, has_key=lambda _: True, says_key=lambda _: True)


def records(items: list[Item]) -> Any:
    ids = [item.id for item in items]
    return records_of_rows(ids, [item.document for item in items], [item.metadata for item in items], None)


@st.composite
def filtered(draw: st.DrawFn) -> tuple[list[Item], Any, Any]:
    items = draw(item_lists)
    return items, draw(st.none() | wheres(items)), draw(st.none() | document_wheres(items))


@given(case=filtered())
def test_items_at_hand_are_judged_as_the_reference_does(case: Any) -> None:
    items, where, where_document = case
    tree = both(parse_where(where), parse_where_document(where_document))
    if tree is not None:
        expected = {item.id for item in selected(items, where=where, where_document=where_document)}
        assert holding(tree, records(items)).tolist() == [item.id in expected for item in items]
        assert needs(tree) == {name for name, given in zip(("metadatas", "documents"), case[1:], strict=True) if given}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("^a", [True, False, False]), ("(?i)B", [True, True, False]), (r"\d", [False, False, False])],
)
def test_patterns(pattern: str, expected: list[bool]) -> None:
    items = records([Item("1", "ab", {"k": "ab"}), Item("2", "b", {"k": "b"}), Item("3", None, {"k": 1})])
    for key in (None, "k"):
        assert holding(Text(key, pattern, regex=True), items).tolist() == expected
    negated = Text("k", pattern, regex=True, negated=True)
    assert holding(negated, items).tolist() == [not expected[0], not expected[1], False]
    with pytest.raises(InvalidArgumentError, match="cannot be evaluated"):
        holding(Text("missing", "(", regex=True), items)


# What servers make of what they are asked, in plain Python ------------------------------------


def as_1_5(item: Item, where: dict[str, Any]) -> bool:
    """As chromadb 1.5.9 was measured to: whole parts for integers, and negations that match what lacks the key."""
    ((key, operand),) = where.items()
    if key in ("$and", "$or"):
        return (all if key == "$and" else any)(as_1_5(item, member) for member in operand)
    ((operator, value),) = operand.items()
    stored = item.metadata.get(key)
    if operator == "$ne":
        return not as_1_5(item, {key: {"$eq": value}})
    if operator == "$in":
        assert len({type(one) for one in value}) == 1, "1.5.9 refuses lists of several types, and empty ones"
    if type(stored) is int and type(value) is float:
        value = int(value)
    return stored is not None and matches(Item("", None, {key: stored}), {key: {operator: value}})


def as_0_4(item: Item, where: dict[str, Any]) -> bool:
    """As 0.4.24: 2 is not 2.0, and a negation holds for another value of the same type."""
    ((key, operand),) = where.items()
    if key in ("$and", "$or"):
        return (all if key == "$and" else any)(as_0_4(item, member) for member in operand)
    ((operator, value),) = operand.items()
    stored = item.metadata.get(key)
    types = {type(one) for one in value} if operator == "$in" else {type(value)}
    return type(stored) in types and matches(item, {key: {operator: value}})


@given(case=filtered())
@pytest.mark.parametrize(
    ("able", "server"), [(ABLE, as_1_5), (OLDER, as_0_4), (OLDER, matches)], ids=["1.5", "0.4", "as we"]
)
def test_never_less_than_is_wanted(able: Abilities, server: Any, case: Any) -> None:
    items, where, where_document = case
    items = [item for item in items if all(map(able.has_key, item.metadata))]
    tree = both(parse_where(where), parse_where_document(where_document))
    sent = asked(tree, able)
    wanted = {item.id for item in selected(items, where=where, where_document=where_document)}
    found = {
        item.id
        for item in items
        if not sent.nothing
        and (sent.where is None or server(item, sent.where))
        and document_matches(item, sent.where_document)
    }
    assert wanted <= found
    if sent.exact:
        assert wanted == found


EN, DE = Compare("lang", "$eq", "en"), Compare("lang", "$eq", "de")


def test_what_is_said_exactly() -> None:
    assert asked(EN, ABLE) == Asked({"lang": {"$eq": "en"}})
    assert asked(AnyOf((EN, DE)), ABLE) == Asked({"$or": [{"lang": {"$eq": "en"}}, {"lang": {"$eq": "de"}}]})
    assert asked(parse_where({"lang": {"$in": ["en", "de"]}}), ABLE) == Asked({"lang": {"$in": ["en", "de"]}})
    assert asked(parse_where({"n": {"$gt": 2}}), ABLE) == Asked({"n": {"$gt": 2}})
    assert asked(Text(None, "x", regex=True), ABLE) == Asked(None, {"$regex": "x"})
    assert asked(Text(None, "a\0"), ABLE) == Asked(exact=False), "SQLite ends a text there"
    assert asked(None, OLDER) == Asked()
    assert not asked(EN, OLDER).exact
    assert asked(parse_where({"n": {"$lt": 2.5}}), ABLE).exact


def test_what_nothing_can_pass_is_not_asked() -> None:
    lacking = replace(ABLE, has_key="k".__eq__)
    assert asked(parse_where({"lang": {"$in": []}}), ABLE).nothing
    assert asked(EN, lacking).nothing
    assert asked(AnyOf((EN, Compare("k", "$eq", 1))), lacking) == Asked({"k": {"$eq": 1}})


def test_rows_of_servers() -> None:
    found = records_of_rows(
        ["a", "b"],
        ["x", "\ud800"],
        [{"z": 1, "a": [1, "x"], "big": 2**70, "none": None}, None],
        [[1, 2], [3, 4]],
    )
    assert list(found.metadata or ()) == ["a", "big", "z"]
    assert found.gaps == {"a", "big", "z"}
    assert found.documents is not None
    assert found.documents.to_pylist() == ["x", "?"]
    assert found.metadata is not None
    columns = {
        (key, kind.value): column.to_pylist() for key, kinds in found.metadata.items() for kind, column in kinds.items()
    }
    assert columns == {
        ("a", "str"): ['[1, "x"]', None],
        ("big", "float"): [float(2**70), None],
        ("z", "int"): [1, None],
    }
    assert found.embeddings is not None
    assert found.embeddings.dtype == np.float32
