"""Every filter against a reference evaluator in plain Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.store import schema

from .backend import fresh_name, items_in
from .reference import Item, selected, text_holds
from .strategies import (
    DIMENSION,
    document_wheres,
    few,
    ids,
    item_lists,
    looks_like_operator,
    stored_keys,
    texts,
    values,
    wheres,
)

if TYPE_CHECKING:
    from chroma_nb import Client, Collection

    from .backend import Backend


@pytest.fixture(params=["dense", "sparse", "one dense"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the values of metadata keys are kept."""
    if request.param != "dense":
        monkeypatch.setattr(schema, "_FEW_COLUMNS", 0 if request.param == "sparse" else 1)
        monkeypatch.setattr(schema, "_DENSE_SHARE", 2.0)
    return str(request.param)


def filled(client: Client, items: list[Item]) -> Collection:
    collection = client.create_collection(fresh_name())
    collection.add(
        ids=[item.id for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
        embeddings=[item.vector for item in items],
    )
    return collection


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Item], list[tuple[Any, Any, Any]]]:
    """Items, and several selections of them: (ids, where, where_document)."""
    items = draw(item_lists)
    asked = st.lists(st.sampled_from([item.id for item in items]) | ids, unique=True, max_size=6)
    selection = st.tuples(st.none() | asked, st.none() | wheres(items), st.one_of(st.none(), document_wheres(items)))
    metadata_only = wheres(items).map(lambda where: (None, where, None))
    document_only = document_wheres(items).map(lambda where: (None, None, where))
    return items, draw(st.lists(selection | metadata_only | document_only, min_size=4, max_size=12))


@given(case=cases())
def test_filters_match_what_the_reference_says(memory: Client, layout: str, case: Any) -> None:
    items, selections = case
    collection = filled(memory, items)
    for ids_, where, where_document in selections:
        chosen = {"ids": ids_, "where": where, "where_document": where_document}
        expected = selected(items, **chosen)
        assert items_in(collection, **chosen) == expected
        hits = collection.query([0.0] * DIMENSION, n_results=len(items), **chosen)
        assert sorted(hits.index) == sorted(item.id for item in expected)
    memory.delete_collection(collection.name)


@few
@given(case=cases())
def test_filters_match_on_disk_before_and_after_opening_again(disk: Backend, layout: str, case: Any) -> None:
    items, selections = case
    collection = filled(disk.client, items)
    name = collection.name
    for _ in range(2):
        for ids_, where, where_document in selections:
            chosen = {"ids": ids_, "where": where, "where_document": where_document}
            expected = selected(items, **chosen)
            assert items_in(collection, **chosen) == expected
            hits = collection.query([0.0] * DIMENSION, n_results=len(items), **chosen)
            assert sorted(hits.index) == sorted(item.id for item in expected)
        collection = disk.reopen().get_collection(name)
    disk.client.delete_collection(name)


@pytest.mark.parametrize(
    "chosen",
    [
        {"where": {"k": "x"}},
        {"where_document": {"$contains": "ri"}},
        {"where_document": {"$regex": "ri"}},
        {"ids": ["a", "b"]},
    ],
)
def test_of_items_that_are_gone_none_passes(disk: Backend, chosen: dict[str, Any]) -> None:
    collection = disk.client.create_collection(fresh_name(), embedding_function=None)
    collection.add(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], [{"k": "x"}, {"k": "y"}], ["river", "lake"])
    collection.delete(["a", "b"])
    for _ in range(2):
        assert len(collection.query([1.0, 0.0], **chosen)) == 0
        collection = disk.reopen().get_collection(collection.name)


@few
@given(items=item_lists, key=stored_keys, value=values)
def test_any_key_and_value_can_be_stored_and_found(
    client: Client, layout: str, items: list[Item], key: str, value: Any
) -> None:
    items = [*items, Item("the one", None, {key: value}, (1.0,) * DIMENSION)]
    items = list({item.id: item for item in items}.values())
    collection = filled(client, items)
    if looks_like_operator(key):
        with pytest.raises(InvalidArgumentError, match="Expected where"):
            collection.get(where={key: value})
    else:
        found = items_in(collection, where={key: value})
        assert found == selected(items, where={key: value})
        assert items_in(collection, ids="the one") == [items[-1]]
    client.delete_collection(collection.name)


# Patterns that mean the same to RE2 and to Python's re.
PATTERNS = [
    ("", 0),
    ("a", 0),
    ("^a", 0),
    ("a.b", 0),
    ("a|b", 0),
    ("(ab)+c?", 0),
    ("a{2,3}", 0),
    ("[a-c]+[0-9]", 0),
    ("[^a]", 0),
    (r"\d", re.ASCII),
    (r"\w\s\w", re.ASCII),
    (r"\bab\b", re.ASCII),
    (r"\.", 0),
    (r"\$\.x", 0),
    ("(?i)AB", 0),
    ("(?s)a.b", 0),
    ("(?m)^b", 0),
    (r"\x00", 0),
    ("é", 0),
    ("😀+", 0),
    ("[α-ω]", 0),
    ("%", 0),
    ("_", 0),
    ("'", 0),
    ('"', 0),
    (r"\\", 0),
]
MATTER = ("aab", "ab ab", "a\nb", "b\na", "abc", "c7", "AB", "αβγ", "5", "٣", "a b", "aXb", "a😀b", "\\d")


@few
@given(drawn=st.lists(texts | st.text(alphabet="ab \n0.", max_size=6), max_size=10))
def test_patterns_match_what_python_matches(client: Client, drawn: list[str]) -> None:
    everything = [*MATTER, *drawn]
    items = [Item(str(n), text, {"k": text}, (1.0,) * DIMENSION) for n, text in enumerate(everything)]
    items.append(Item("none", None, {"k": 1}, (1.0,) * DIMENSION))
    collection = filled(client, items)
    for pattern, flags in PATTERNS:
        expected = [str(n) for n, text in enumerate(everything) if text_holds(text, "$regex", pattern, flags)]
        others = [str(n) for n in range(len(everything)) if str(n) not in expected]
        assert collection.get(where={"k": {"$regex": pattern}}).index.tolist() == expected, pattern
        assert collection.get(where_document={"$regex": pattern}).index.tolist() == expected, pattern
        assert collection.get(where={"k": {"$not_regex": pattern}}).index.tolist() == others, pattern
        assert collection.get(where_document={"$not_regex": pattern}).index.tolist() == others, pattern
    client.delete_collection(collection.name)


def test_a_malformed_pattern_is_an_argument_error(client: Client, layout: str) -> None:
    collection = filled(client, [Item("a", "text", {"k": "text", "n": 1}, (1.0,) * DIMENSION)])
    message = "filter cannot be evaluated|regular expression|pattern"
    for pattern in ("(", "[", "*", "a**", "(?<", "\\", r"\8", "(?=a)"):
        for chosen in (
            {"where": {"k": {"$regex": pattern}}},
            {"where": {"n": {"$regex": pattern}}},
            {"where": {"unknown": {"$not_regex": pattern}}},
            {"where_document": {"$not_regex": pattern}},
        ):
            with pytest.raises(InvalidArgumentError, match=message):
                collection.get(**chosen)
            with pytest.raises(InvalidArgumentError, match=message):
                collection.query([0.0] * DIMENSION, **chosen)
            with pytest.raises(InvalidArgumentError, match=message):
                collection.delete(**chosen)
    assert collection.count() == 1


def test_numbers_are_compared_exactly(client: Client, layout: str) -> None:
    big = 2**53
    collection = client.create_collection("docs")
    stored = {"int": big + 1, "float": float(big), "low": big, "two": 2, "two.0": 2.0, "true": True, "text": "2"}
    collection.add(
        ids=list(stored), embeddings=np.eye(len(stored)), metadatas=[{"n": value} for value in stored.values()]
    )

    def found(condition: object) -> set[str]:
        return set(collection.get(where={"n": condition}).index)

    assert found(big + 1) == {"int"}
    assert found(float(big)) == {"float", "low"}
    assert found({"$gt": float(big)}) == {"int"}
    assert found({"$gte": big + 1}) == {"int"}
    assert found({"$lt": big + 1}) == {"float", "low", "two", "two.0"}
    assert found(2) == found(2.0) == {"two", "two.0"}
    assert found("2") == {"text"}
    assert found(True) == {"true"}
    assert found(1) == set()
    assert found({"$ne": 2}) == {"int", "float", "low", "true", "text"}
    assert found({"$gt": 10**400}) == found({"$lt": -(10**400)}) == set()
    assert found({"$lt": 10**400}) == {"int", "float", "low", "two", "two.0"}
    assert found({"$in": []}) == set()
    assert found({"$nin": []}) == set(stored)


def test_no_operator_matches_an_item_without_the_key_or_the_document(client: Client, layout: str) -> None:
    collection = client.create_collection("docs")
    collection.add(
        ids=["other key", "nothing", "has it"],
        embeddings=np.eye(3),
        metadatas=[{"other": 1}, None, {"k": "text"}],
        documents=[None, None, "text"],
    )
    for condition in ({"$ne": 5}, {"$nin": [5]}, {"$not_contains": "z"}, {"$not_regex": "z"}, "text"):
        assert collection.get(where={"k": condition}).index.tolist() == ["has it"]
    for operator in ("$not_contains", "$not_regex"):
        assert collection.get(where_document={operator: "z"}).index.tolist() == ["has it"]
