"""Tag, delete, copy: what is said before, what happens, and what undo brings back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.models.curation import Curation, Plan, typed_value
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidArgumentError,
    ReadOnlyStoreError,
    StoreWriteError,
)
from chroma_nb.types import IntArray
from tests.store import strategies
from tests.store.backend import Backend, exactly, fresh_name, items_in
from tests.store.reference import Item

Docs = chroma_nb.Collection
ITEMS = [
    Item("a", "one", {"lang": "en", "mixed": 1}, (1.0, 0.0, 0.0)),
    Item("b", None, {"lang": "de", "mixed": "x"}, (0.0, 1.0, 0.0)),
    Item("c", "three", {"mixed": True, "score": 0.5}, (0.0, 0.0, 1.0)),
    Item("d", "four", {}, (1.0, 1.0, 0.0)),
]


def filled(client: chroma_nb.Client, items: list[Item] = ITEMS, **options: Any) -> Docs:
    docs = client.create_collection(fresh_name(), **options)
    docs.add(
        ids=[item.id for item in items],
        embeddings=[item.vector for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    return docs


@pytest.fixture
def docs(client: chroma_nb.Client) -> Docs:
    return filled(client)


def made(docs: Docs) -> Curation:
    return Curation(docs._store, docs.id)


def tagged(curation: Curation, docs: Docs, positions: list[int], key: str, value: Any) -> Plan:
    return curation.tag(docs._store.snapshot(docs.id), at(positions), key, value)


def deleting(curation: Curation, docs: Docs, positions: list[int]) -> Plan:
    return curation.delete(docs._store.snapshot(docs.id), at(positions))


def copying(curation: Curation, docs: Docs, positions: list[int], name: str) -> Plan:
    return curation.copy(docs._store.snapshot(docs.id), at(positions), name)


def at(positions: list[int]) -> IntArray:
    return np.asarray(positions, dtype=np.int64)


def dump(docs: Docs) -> list[Any]:
    return [exactly(item) for item in items_in(docs)]


def undone(curation: Curation) -> None:
    assert curation.undo is not None
    curation.undo.run()


# words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positions", "key", "value", "text"),
    [
        ([3], "seen", True, "Write seen = yes to 1 row."),
        ([0], "lang", "fr", "Write lang = 'fr' to 1 row. It has a value of lang already, which is replaced."),
        ([0, 3], "lang", "1", "Write lang = '1' to 2 rows. 1 of them has a value of lang already, which is replaced."),
        ([0, 1], "lang", 1, "Write lang = 1 to 2 rows. All of them have a value of lang already, which is replaced."),
        (
            [0, 1, 2, 3],
            "mixed",
            0.5,
            "Write mixed = 0.5 to 4 rows. 3 of them have a value of mixed already, which is replaced.",
        ),
    ],
)
def test_a_tag_says_what_it_replaces(docs: Docs, positions: list[int], key: str, value: Any, text: str) -> None:
    plan = tagged(made(docs), docs, positions, key, value)
    assert (plan.text, plan.rows) == (text, len(positions))


def test_deleting_and_copying_say_how_many(docs: Docs) -> None:
    assert deleting(made(docs), docs, [1, 2]).text == (
        f"Delete 2 rows of 4 from {docs.name}, with their vectors and documents."
    )
    assert copying(made(docs), docs, [1], "other").text == f"Copy 1 row from {docs.name} to a new collection other."


def test_plans_touch_nothing(client: chroma_nb.Client, docs: Docs) -> None:
    curation, before, version = made(docs), dump(docs), docs._store.collection_by_id(docs.id).version
    tagged(curation, docs, [0], "k", 1)
    deleting(curation, docs, [0])
    copying(curation, docs, [0], "other")
    assert dump(docs) == before
    assert docs._store.collection_by_id(docs.id).version == version
    assert curation.undo is None
    assert "other" not in client


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", 1),
        (" ", 1),
        ("k", None),
        ("k", float("nan")),
        ("k", [1]),
        ("k", 2**64),
        (1, 1),
        ("\ud800", 1),
        ("k", "\ud800"),
    ],
)
def test_what_cannot_be_a_tag(docs: Docs, key: Any, value: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        tagged(made(docs), docs, [0], key, value)


def test_nothing_selected(docs: Docs) -> None:
    with pytest.raises(InvalidArgumentError, match="Nothing is selected"):
        tagged(made(docs), docs, [], "k", 1)
    with pytest.raises(InvalidArgumentError, match="Nothing is selected"):
        deleting(made(docs), docs, [])
    with pytest.raises(InvalidArgumentError, match="Nothing is selected"):
        copying(made(docs), docs, [], "other")


# tags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["x", "", 3, -(2**63), 0.5, float("inf"), True, False, np.int64(4), np.float32(0.5)])
@pytest.mark.parametrize("key", ["seen", "mixed", "id", "distance", " odd 'key\"\0"])
def test_a_tag_and_its_undo(docs: Docs, key: str, value: Any) -> None:
    curation, before = made(docs), dump(docs)
    tagged(curation, docs, [0, 2, 3], key, value).run()
    plain = value.item() if hasattr(value, "item") else value
    written = [Item(i.id, i.document, {**i.metadata, key: plain}, i.vector) if i.id != "b" else i for i in ITEMS]
    assert dump(docs) == [exactly(item) for item in written]
    undone(curation)
    assert dump(docs) == before
    assert curation.undo is None


@strategies.few
@given(
    items=strategies.item_lists, data=st.data(), key=strategies.stored_keys.filter(str.strip), value=strategies.values
)
def test_undo_restores_any_metadata(
    memory: chroma_nb.Client, items: list[Item], data: st.DataObject, key: str, value: Any
) -> None:
    docs = filled(memory, items)
    positions = data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, unique=True).map(sorted))
    curation, before = made(docs), dump(docs)
    tagged(curation, docs, positions, key, value).run()
    assert [item.metadata.get(key) for item in items_in(docs)] == [
        value if place in positions else item.metadata.get(key) for place, item in enumerate(items)
    ]
    undone(curation)
    assert dump(docs) == before
    deleting(curation, docs, positions).run()
    assert [item.id for item in items_in(docs)] == [i.id for place, i in enumerate(items) if place not in positions]
    undone(curation)
    assert sorted(dump(docs)) == sorted(before)
    memory.delete_collection(docs.name)


def test_a_tag_on_items_without_any_metadata(client: chroma_nb.Client) -> None:
    docs = filled(client, [Item("a", "x", {}, (1.0,)), Item("b", "y", {}, (2.0,))])
    curation, before = made(docs), dump(docs)
    tagged(curation, docs, [0, 1], "k", "v").run()
    assert docs.get()["k"].tolist() == ["v", "v"]
    undone(curation)
    assert dump(docs) == before


# deleting and copying -------------------------------------------------------------------------


def test_deleted_items_come_back_behind_the_others(docs: Docs) -> None:
    curation, before = made(docs), dump(docs)
    deleting(curation, docs, [0, 2]).run()
    assert docs.get().index.tolist() == ["b", "d"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        undone(curation)
    assert docs.get().index.tolist() == ["b", "d", "a", "c"]
    assert sorted(dump(docs)) == sorted(before)


def test_all_items_can_be_deleted_and_come_back(disk: Backend) -> None:
    docs = filled(disk.client)
    curation, before = made(docs), dump(docs)
    deleting(curation, docs, [0, 1, 2, 3]).run()
    assert docs.count() == 0
    undone(curation)
    assert dump(docs) == before
    assert dump(disk.reopen()[docs.name]) == before


def test_a_copy_is_like_the_original(client: chroma_nb.Client) -> None:
    metadata = {"hnsw:space": "cosine", "hnsw:M": 8, "about": "test"}
    docs = filled(client, metadata=metadata, embedding_function=None)
    docs._store.modify_collection(docs.id, embedding_function='{"name": "own"}')
    before, curation = dump(docs), made(docs)
    copying(curation, docs, [0, 2], "other").run()
    copy, original = docs._store.collection("other"), docs._store.collection(docs.name)
    assert dump(client["other"]) == [before[0], before[2]]
    for name in ("metadata", "settings", "dimension", "embedding_function"):
        assert getattr(copy, name) == getattr(original, name)
    assert copy.id != original.id
    assert dump(docs) == before
    undone(curation)
    assert "other" not in client
    assert dump(docs) == before


def test_undo_of_a_copy_does_not_mind_writes_to_the_original(client: chroma_nb.Client, docs: Docs) -> None:
    curation = made(docs)
    copying(curation, docs, [0], "other").run()
    docs.delete(ids=["a"])
    undone(curation)
    assert "other" not in client


@pytest.mark.parametrize("change", ["write", "rename", "delete"])
def test_undo_of_a_copy_spares_what_was_done_to_it(client: chroma_nb.Client, docs: Docs, change: str) -> None:
    curation = made(docs)
    copying(curation, docs, [0], "other").run()
    offered = curation.undo
    assert offered is not None
    if change == "write":
        client["other"].add(ids=["z"], embeddings=[[1, 2, 3]])
    elif change == "rename":
        client["other"].modify(name="third")
    else:
        client.delete_collection("other")
    with pytest.raises(InvalidArgumentError, match="cannot be undone"):
        offered.run()
    assert curation.undo is None
    assert client.count_collections() == (1 if change == "delete" else 2)


@pytest.mark.parametrize("name", ["", "a", "no good", "..", "x" * 64])
def test_bad_names_of_copies(docs: Docs, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        copying(made(docs), docs, [0], name)


def test_a_name_that_is_taken(client: chroma_nb.Client, docs: Docs) -> None:
    plan = copying(made(docs), docs, [0], "other")
    client.create_collection("other")
    with pytest.raises(CollectionExistsError):
        copying(made(docs), docs, [0], "other")
    with pytest.raises(CollectionExistsError):
        plan.run()
    assert client["other"].count() == 0


# others write too -----------------------------------------------------------------------------


def test_undo_is_refused_after_other_writes(docs: Docs) -> None:
    curation = made(docs)
    tagged(curation, docs, [0], "k", 1).run()
    offered = curation.undo
    assert offered is not None
    docs.update(ids=["a"], metadatas=[{"own": "work"}])
    after = dump(docs)
    assert curation.undo is None
    with pytest.raises(InvalidArgumentError, match="cannot be undone"):
        offered.run()
    assert dump(docs) == after


def test_undo_works_once(docs: Docs) -> None:
    curation = made(docs)
    deleting(curation, docs, [0]).run()
    offered = curation.undo
    assert offered is not None
    offered.run()
    with pytest.raises(InvalidArgumentError, match="cannot be undone"):
        offered.run()


def test_no_undo_when_somebody_wrote_in_between(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else undo would write what was read before that somebody's change."""
    curation, update = made(docs), docs._store.update

    def late(*arguments: Any, **options: Any) -> None:
        docs.delete(ids=["d"])
        update(*arguments, **options)

    plan = tagged(curation, docs, [0], "k", 1)
    monkeypatch.setattr(docs._store, "update", late)
    plan.run()
    assert docs.get(ids="a")["k"].tolist() == [1]
    assert curation.undo is None


@pytest.mark.parametrize("what", ["tag", "delete", "copy"])
def test_items_that_are_gone(client: chroma_nb.Client, docs: Docs, what: str) -> None:
    curation = made(docs)
    plans = {
        "tag": tagged(curation, docs, [0, 1], "k", 1),
        "delete": deleting(curation, docs, [0, 1]),
        "copy": copying(curation, docs, [0, 1], "other"),
    }
    docs.delete(ids=["a"])
    after = dump(docs)
    with pytest.raises(InvalidArgumentError, match="1 of the selected items was deleted meanwhile"):
        plans[what].run()
    assert dump(docs) == after
    assert "other" not in client
    assert curation.undo is None


def test_a_collection_that_is_gone(client: chroma_nb.Client, docs: Docs) -> None:
    curation = made(docs)
    plan = tagged(curation, docs, [0], "k", 1)
    tagged(curation, docs, [0], "j", 1).run()
    client.delete_collection(docs.name)
    assert curation.undo is None
    with pytest.raises(CollectionNotFoundError):
        plan.run()


@pytest.mark.parametrize("what", ["tag", "delete", "copy"])
def test_stores_that_cannot_be_written(disk: Backend, what: str) -> None:
    name = filled(disk.client).name
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as reader:
        docs = reader[name]
        curation, before = made(docs), dump(docs)
        plans = {
            "tag": tagged(curation, docs, [0], "k", 1),
            "delete": deleting(curation, docs, [0]),
            "copy": copying(curation, docs, [0], "other"),
        }
        with pytest.raises(ReadOnlyStoreError):
            plans[what].run()
        assert dump(docs) == before
        assert curation.undo is None


@pytest.mark.parametrize(("what", "method"), [("tag", "update"), ("delete", "delete"), ("copy", "add")])
def test_failures_leave_everything(
    client: chroma_nb.Client, docs: Docs, monkeypatch: pytest.MonkeyPatch, what: str, method: str
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise StoreWriteError("the disk is full")

    curation, before = made(docs), dump(docs)
    plans = {
        "tag": tagged(curation, docs, [0, 1], "k", 1),
        "delete": deleting(curation, docs, [0, 1]),
        "copy": copying(curation, docs, [0, 1], "other"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(docs._store, method, fails)
        with pytest.raises(StoreWriteError):
            plans[what].run()
    assert dump(docs) == before
    assert client.count_collections() == 1
    assert curation.undo is None


def test_a_failed_undo_can_be_tried_again(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise StoreWriteError("the disk is full")

    curation, before = made(docs), dump(docs)
    tagged(curation, docs, [0], "k", 1).run()
    with monkeypatch.context() as patch:
        patch.setattr(docs._store, "update", fails)
        with pytest.raises(StoreWriteError):
            undone(curation)
    undone(curation)
    assert dump(docs) == before


# typed values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        (" TRUE ", True),
        ("No", False),
        ("false", False),
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("007", "007"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        ("0.50", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("9" * 400, int("9" * 400)),
        ("'3'", "3"),
        ('"yes"', "yes"),
        ("''", ""),
        ("'", "'"),
        ("it's", "it's"),
        ("1,5", "1,5"),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_typed_values(text: str, value: Any) -> None:
    found = typed_value(text)
    assert (found, type(found)) == (value, type(value))


@given(st.text() | strategies.texts)
def test_anything_can_be_typed(text: str) -> None:
    assert isinstance(typed_value(text), str | int | float | bool)
    assert typed_value(f"'{text}'") == text


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_numbers_are_read_as_they_are_written(value: Any) -> None:
    found = typed_value(str(value))
    assert (found, type(found)) == (value, type(value))
