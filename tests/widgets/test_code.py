"""What is seen comes back as code: SQL that gives the same rows, cells that run."""

from __future__ import annotations

import enum
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chroma_nb_widgets.models import code
from chroma_nb_widgets.models.asked import Like
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from tests.store import strategies
from tests.store.backend import Backend, fresh_name
from tests.store.reference import Item

ROWS: list[dict[str, Any] | None] = [
    {"year": 1999, "lang": "en", "draft": True, "big": 2**53 + 1},
    {"year": 2005, "lang": "it's", "draft": False, "number": 1, "Lang": "x"},
    {"year": 2010, "lang": 'q"uote', "score": 0.5, "number": 2.5},
    {"year": 2020, "score": float("inf"), "id": "own", "": "empty", "mixed": 3},
    {"lang": "50% _x", "score": 0.30000000000000004, "mixed": "3", "number": 7},
    {"lang": "nul\0!", "mixed": True, "metadata.id": "other", "embedding": "e"},
    None,
]
DOCUMENTS = ["a river", "it's", None, "plain", "A RIVER", "embedding show", "x\0y"]
IDS = list("abcdefg")


@pytest.fixture(scope="module")
def docs(memory: chroma_nb.Client) -> chroma_nb.Collection:
    docs = memory.create_collection("my-docs", embedding_function=lambda texts: [[1.0] * 7 for _ in texts])
    docs.add(ids=IDS, embeddings=np.eye(7), metadatas=ROWS, documents=DOCUMENTS)
    return docs


def ran(lines: list[str], **names: Any) -> dict[str, Any]:
    """The names a cell leaves behind."""
    exec("\n".join(lines), names)  # noqa: S102 - that it runs is what is tested
    return names


def by_sql(client: chroma_nb.Client, docs: chroma_nb.Collection, where: Any, where_document: Any = None) -> list[str]:
    statement = code.select(docs.name, where, where_document, docs._store.stats(docs.id).keys)
    found: list[str] = client.sql(statement)["id"].tolist()
    return found


@pytest.mark.parametrize(
    ("where", "where_document", "ids"),
    [
        (None, None, "abcdefg"),
        ({"year": 2005}, None, "b"),
        ({"year": 2005.0}, None, "b"),
        ({"year": "2005"}, None, ""),
        ({"year": {"$ne": "2005"}}, None, "abcd"),
        ({"year": {"$ne": 2005}}, None, "acd"),
        ({"year": {"$gt": 2004.5}}, None, "bcd"),
        ({"year": {"$lt": 10**30}}, None, "abcd"),
        ({"big": {"$gt": 2**53}}, None, "a"),
        ({"big": float(2**53)}, None, ""),
        ({"$and": [{"year": {"$gte": 2000}}, {"year": {"$lt": 2020}}]}, None, "bc"),
        ({"$or": [{"lang": "it's"}, {"$and": [{"year": {"$gt": 1}}, {"draft": True}]}]}, None, "ab"),
        ({"lang": {"$in": ["en", 'q"uote', 3]}}, None, "ac"),
        ({"lang": {"$nin": ["en", 3]}}, None, "bcef"),
        ({"lang": {"$in": []}}, None, ""),
        ({"lang": {"$nin": []}}, None, "abcef"),
        ({"lang": {"$contains": "% _"}}, None, "e"),
        ({"lang": "nul\0!"}, None, "f"),
        ({"lang": {"$contains": "\0"}}, None, "f"),
        ({"lang": {"$not_regex": "^e"}}, None, "bcef"),
        ({"Lang": "x"}, None, "b"),
        ({"draft": False}, {"$contains": "it's"}, "b"),
        ({"draft": 0}, None, ""),
        ({"score": {"$gte": float("inf")}}, None, "d"),
        ({"score": 0.30000000000000004}, None, "e"),
        ({"score": 0.3}, None, ""),
        ({"id": "own"}, None, "d"),
        ({"metadata.id": "other"}, None, "f"),
        ({"": "empty"}, None, "d"),
        ({"embedding": "e"}, None, "f"),
        ({"unknown": 1}, None, ""),
        ({"$or": [{"unknown": {"$ne": 1}}, {"year": 1999}]}, None, "a"),
        ({"number": {"$gte": 2}}, None, "ce"),
        ({"number": {"$nin": [1, 7.0]}}, None, "c"),
        (None, {"$or": [{"$contains": "river"}, {"$not_contains": "i"}]}, "aeg"),
        (None, {"$contains": "\0"}, "g"),
        (None, {"$contains": "embedding"}, "f"),
    ],
)
def test_sql_gives_the_rows_of_the_filter(
    memory: chroma_nb.Client, docs: chroma_nb.Collection, where: Any, where_document: Any, ids: str
) -> None:
    assert docs.get(where=where, where_document=where_document).index.tolist() == list(ids)  # or the case is wrong
    assert by_sql(memory, docs, where, where_document) == list(ids)


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"mixed": True}, "f"),
        ({"mixed": {"$gt": 2}}, "de"),  # as SQL sees it, "3" is a number too
        ({"mixed": {"$ne": 4}}, "def"),
        ({"mixed": {"$nin": [3, True]}}, ""),
        ({"mixed": {"$in": [3, True]}}, "def"),
        ({"mixed": {"$contains": "3"}}, "de"),
    ],
)
def test_keys_of_several_types_are_text(
    memory: chroma_nb.Client, docs: chroma_nb.Collection, where: Any, ids: str
) -> None:
    assert by_sql(memory, docs, where) == list(ids)
    assert set(docs.get(where=where).index) <= set(ids) or "$n" in str(where)


@given(data=st.data(), items=strategies.item_lists)
def test_sql_and_filters_agree(memory: chroma_nb.Client, data: st.DataObject, items: list[Item]) -> None:
    kinds: dict[str, type] = {}
    for item in items:  # one type a key
        for key, value in list(item.metadata.items()):
            if kinds.setdefault(key, type(value)) is not type(value):
                del item.metadata[key]
    docs = memory.create_collection(fresh_name())
    docs.add(
        ids=[item.id for item in items],
        embeddings=[item.vector for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    where = data.draw(st.none() | strategies.wheres(items))
    where_document = data.draw(st.none() | strategies.document_wheres(items))
    expected = docs.get(where=where, where_document=where_document).index.tolist()
    assert by_sql(memory, docs, where, where_document) == expected
    memory.delete_collection(docs.name)


# cells ----------------------------------------------------------------------------------------


class Odd(str):
    """A text that prints as something else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Odd()"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"a": {"$gt": np.int64(3)}}, {"a": {"$gt": 3}}),
        ({"a": {"$in": np.asarray([1.5, 2.5])}}, {"a": {"$in": [1.5, 2.5]}}),
        ({"a": {"$in": {"y", "x"}}}, {"a": {"$in": ["x", "y"]}}),
        ({"a": {"$in": {1, "x"}}}, {"a": {"$in": [1, "x"]}}),  # True is in a set that holds 1
        ({"a": ("x", np.str_("y"))}, {"a": ["x", "y"]}),
        ({"a": Odd("x"), "b": Level.LOW, "c": np.bool_(True)}, {"a": "x", "b": 1, "c": True}),
        ({"a": float("inf"), "b": -float("inf")}, {"a": float("inf"), "b": -float("inf")}),
    ],
)
def test_filters_as_plain_python(given_: Any, expected: Any) -> None:
    plain = code.plain(given_)
    assert plain == expected
    assert ran([f"found = {code.source(plain)}"])["found"] == expected
    assert json.loads(code.as_json(given_)) == expected


@given(strategies.wheres([]))
def test_filters_are_code(where: dict[str, Any]) -> None:
    assert code.plain(where) == where
    assert ran([f"found = {code.source(code.plain(where))}"])["found"] == where


@pytest.mark.parametrize(
    "query", [None, "text", Like("b"), Like("it's"), np.asarray([0, 1, 0, 0, 0, 0, 0.5], np.float32)]
)
@pytest.mark.parametrize("where", [None, {"year": {"$lt": float("inf")}}, {"year": {"$in": np.asarray([1999, 2005])}}])
def test_cells_run(docs: chroma_nb.Collection, query: Any, where: Any) -> None:
    filters = {"where": where, "where_document": None}
    lines = code.query_lines("docs", query, 2, filters)
    if isinstance(query, Like) and query.id not in IDS:
        with pytest.raises(chroma_nb.errors.InvalidArgumentError):
            ran(lines, docs=docs)
        return
    names = ran(lines, docs=docs)
    expected = docs.get(where=where)
    if query is None:
        pd.testing.assert_frame_equal(names["rows"], expected)
    elif isinstance(query, Like):
        others = set(expected.index) - {query.id}
        assert set(names["hits"].index) <= others
        assert names["hits"]["rank"].tolist() == list(range(min(2, len(others))))
        assert names["hits"]["rank"].dtype == np.int64
    else:
        pd.testing.assert_frame_equal(names["hits"], docs.query(query, n_results=2, where=where))


@pytest.mark.parametrize("count", [0, 1, 20, 21, 50])
def test_the_selection_as_code(count: int) -> None:
    ids = [f"it's {at} \0\n'\"\\" for at in range(count)]

    class Fake:
        def get(self, ids: list[str]) -> list[str]:
            return ids

    names = ran(code.selection_lines("docs", ids), docs=Fake())
    assert names.get("selection", []) == ids


@pytest.mark.parametrize(
    "name", ["docs", "my-docs.v2", "123", "class", "a b", "print", "hits", "rows", "chroma_nb", "None", "ids", "x..y"]
)
def test_variables_are_names_that_cells_do_not_use(name: str) -> None:
    found = code.variable(name)
    assert ran([f"{found} = 1"])[found] == 1
    assert found not in ("print", "hits", "rows", "chroma_nb", "None", "ids", "like", "selection")


def test_opening_a_directory_runs(disk: Backend) -> None:
    disk.client.create_collection("docs").add(ids=["a"], embeddings=[[1, 2]])
    names = ran(code.opening(disk.client._store.location, "docs"))
    assert names["docs"].get().index.tolist() == ["a"]


def test_opening_a_directory_for_reading_runs(disk: Backend) -> None:
    disk.client.create_collection("docs")
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as reader:
        names = ran(code.opening(reader._store.location, "docs", read_only=True))
        assert names["docs"].count() == 0


def test_memory_cannot_be_opened() -> None:
    assert code.opening("memory", "docs") == ["# docs is the collection 'docs' of your client in memory"]
