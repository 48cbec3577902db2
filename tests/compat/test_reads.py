"""What get, peek and query return, and the filters: sections 3 and 5 of what is known of Chroma 0.3."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chroma_nb.compat as chromadb
from chroma_nb.compat import errors
from tests.compat.conftest import measure, where_ids

GET_KEYS = ["ids", "embeddings", "documents", "metadatas"]
QUERY_KEYS = [*GET_KEYS, "distances"]


# get and peek -----------------------------------------------------------------------------------


def test_get(library: chromadb.Collection) -> None:
    found = library.get()
    assert list(found) == GET_KEYS
    assert found == {
        "ids": ["a", "b", "c", "d"],
        "embeddings": None,
        "documents": ["red fox", "Red 100% wool", None, "blue_sea"],
        "metadatas": [{"n": 1, "s": "x", "f": 0.5, "b": True}, {"n": 2, "s": "2"}, {"n": 2.5}, None],
    }


def test_values_are_plain_python_and_keep_their_types(library: chromadb.Collection) -> None:
    found = library.peek()
    assert type(found) is dict
    assert found["metadatas"] is not None
    assert found["embeddings"] is not None
    assert found["metadatas"][0] is not None
    assert {key: type(value) for key, value in found["metadatas"][0].items()} == {
        "n": int,
        "s": str,
        "f": float,
        "b": bool,
    }
    assert [type(row["n"]) for row in found["metadatas"] if row] == [int, int, float]
    assert {type(number) for vector in found["embeddings"] for number in vector} == {float}
    assert {type(column) for column in found.values()} == {list}
    assert json.loads(json.dumps(found)) == found
    assert json.loads(json.dumps(library.query([0, 0], include=list(QUERY_KEYS[1:]))))["ids"] == [["a", "b", "c", "d"]]


def test_peek_has_the_embeddings(library: chromadb.Collection) -> None:
    found = library.peek()
    assert list(found) == GET_KEYS
    assert found["embeddings"] == [[1.0, 0.0], [0.0, 2.0], [3.5, 3.0], [9.0, 9.0]]
    assert found["documents"] == library.get()["documents"]
    assert found["metadatas"] == library.get()["metadatas"]
    assert library.peek(2)["ids"] == library.peek(limit=2)["ids"] == ["a", "b"]


def test_peek_shows_ten(empty: chromadb.Collection) -> None:
    empty.add(ids=[str(n) for n in range(12)], embeddings=[[n, n] for n in range(12)])
    assert empty.peek()["ids"] == [str(n) for n in range(10)]


@pytest.mark.parametrize(
    "include", [[], ["documents"], ["metadatas"], ["embeddings"], ["documents", "embeddings"], GET_KEYS[1:]]
)
def test_get_include(library: chromadb.Collection, include: list[str]) -> None:
    found = library.get(include=include)
    assert list(found) == GET_KEYS
    assert found["ids"] == ["a", "b", "c", "d"]
    assert [key for key in GET_KEYS[1:] if dict(found)[key] is not None] == [k for k in GET_KEYS[1:] if k in include]


@pytest.mark.parametrize("include", ["documents", None, ["distances"], ["vectors"], ["documents", 1]])
def test_get_bad_include(library: chromadb.Collection, include: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"Expected include (to be a list, got|item to be one of metadatas, documents, embeddings, got)",
    ):
        library.get(include=include)


def test_get_of_an_empty_collection(empty: chromadb.Collection) -> None:
    assert empty.get() == {"ids": [], "embeddings": None, "documents": [], "metadatas": []}
    assert empty.peek() == {"ids": [], "embeddings": [], "documents": [], "metadatas": []}


def test_get_finds_nothing(library: chromadb.Collection) -> None:
    nothing: Any = {"ids": [], "embeddings": [], "documents": [], "metadatas": []}
    assert library.get(ids=["zzz"], include=GET_KEYS[1:]) == nothing
    assert library.get(where={"n": 99}, include=GET_KEYS[1:]) == nothing
    assert library.get(ids=[], include=GET_KEYS[1:]) == nothing


def test_get_by_ids_keeps_the_order_asked_for(library: chromadb.Collection) -> None:
    assert library.get(ids=["d", "zzz", "a"])["ids"] == ["d", "a"]
    assert library.get("b")["ids"] == ["b"]
    with pytest.raises(errors.DuplicateIDError, match="Expected IDs to be unique, found 1 duplicated"):
        library.get(ids=["a", "a"])


def test_no_ids_beside_a_filter_are_logged(docs: chromadb.Collection, caplog: pytest.LogCaptureFixture) -> None:
    assert docs.get(ids=[], where={"n": 1})["ids"] == []
    assert "get(ids=[], ...) selects nothing" in caplog.text
    docs.delete(ids=[], where={"n": 1})
    assert "delete(ids=[], ...) selects nothing" in caplog.text
    assert docs.count() == 4


@pytest.mark.parametrize(
    ("limit", "offset", "ids"),
    [
        (2, None, ["a", "b"]),
        (2, 1, ["b", "c"]),
        (None, 3, ["d"]),
        (0, None, []),
        (5, 9, []),
        (99, 0, ["a", "b", "c", "d"]),
    ],
)
def test_limit_and_offset(library: chromadb.Collection, limit: int | None, offset: int | None, ids: list[str]) -> None:
    assert library.get(limit=limit, offset=offset)["ids"] == ids


def test_limit_and_offset_come_after_the_filter(library: chromadb.Collection) -> None:
    assert library.get(where={"n": {"$gt": 1}}, limit=1, offset=1)["ids"] == ["c"]


@pytest.mark.parametrize("arguments", [{"limit": -1}, {"offset": -1}, {"limit": 1.5}, {"limit": True}])
def test_bad_limit_and_offset(library: chromadb.Collection, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expected (limit|offset) to be a whole number, 0 or more"):
        library.get(**arguments)


def test_order_after_changes(docs: chromadb.Collection) -> None:
    docs.update(ids="a", metadatas={"n": 7})
    docs.delete("b")
    docs.add(ids="b", embeddings=[0, 2])
    assert docs.get()["ids"] == ["a", "c", "d", "b"]


# query ------------------------------------------------------------------------------------------


def test_query(library: chromadb.Collection) -> None:
    found = library.query(query_embeddings=[[1, 0], [9, 8]], n_results=2)
    assert list(found) == QUERY_KEYS
    assert found == {
        "ids": [["a", "b"], ["d", "c"]],
        "embeddings": None,
        "documents": [["red fox", "Red 100% wool"], ["blue_sea", None]],
        "metadatas": [[{"n": 1, "s": "x", "f": 0.5, "b": True}, {"n": 2, "s": "2"}], [None, {"n": 2.5}]],
        "distances": [[0.0, 5.0], [1.0, 55.25]],
    }
    assert {type(number) for row in found["distances"] or [] for number in row} == {float}


@pytest.mark.parametrize("include", [[], ["distances"], ["embeddings"], ["documents", "metadatas"], QUERY_KEYS[1:]])
def test_query_include(library: chromadb.Collection, include: list[str]) -> None:
    found = library.query([1, 0], n_results=2, include=include)
    assert list(found) == QUERY_KEYS
    assert found["ids"] == [["a", "b"]]
    assert [key for key in QUERY_KEYS[1:] if dict(found)[key] is not None] == [
        k for k in QUERY_KEYS[1:] if k in include
    ]
    if "embeddings" in include:
        assert found["embeddings"] == [[[1.0, 0.0], [0.0, 2.0]]]


@pytest.mark.parametrize("include", ["documents", ("documents", "vectors"), None])
def test_query_bad_include(library: chromadb.Collection, include: Any) -> None:
    with pytest.raises(ValueError, match="Expected include"):
        library.query([1, 0], include=include)


def test_one_vector_gives_one_inner_list(library: chromadb.Collection) -> None:
    for vector in ([1, 0], [[1, 0]], np.array([1.0, 0.0]), np.array([[1.0, 0.0]])):
        assert library.query(vector, n_results=1)["ids"] == [["a"]]


def test_query_texts(library: chromadb.Collection) -> None:
    # measure("red fox") is [7, 1]
    one = library.query(query_texts="red fox", n_results=1)
    assert one["ids"] == [["c"]]
    assert one["distances"] == [[3.5**2 + 4]]
    assert library.query(query_texts=["red fox", ""], n_results=1)["ids"] == [["c"], ["a"]]


def test_fewer_than_asked_for(library: chromadb.Collection) -> None:
    assert library.query([0, 0], n_results=100)["ids"] == [["a", "b", "c", "d"]]
    assert library.query([0, 0], where={"s": "x"}, n_results=3)["ids"] == [["a"]]


def test_inner_lists_are_there_when_nothing_matches(library: chromadb.Collection) -> None:
    found = library.query([[1, 0], [2, 2]], where={"n": 99}, include=QUERY_KEYS[1:])
    assert found == {key: [[], []] for key in QUERY_KEYS}
    assert library.query([[1, 0], [2, 2]], where={"n": 99}, include=[]) == {
        "ids": [[], []],
        **dict.fromkeys(QUERY_KEYS[1:]),
    }


def test_query_of_an_empty_collection(empty: chromadb.Collection, docs: chromadb.Collection) -> None:
    assert empty.query([[1, 2, 3], [4, 5, 6]], include=QUERY_KEYS[1:]) == {key: [[], []] for key in QUERY_KEYS}
    docs.delete()
    assert docs.query([[1, 2]])["ids"] == [[]]
    assert docs.query(query_texts="text")["ids"] == [[]]


def test_query_with_another_dimension(library: chromadb.Collection) -> None:
    with pytest.raises(
        errors.InvalidDimensionException, match=r"Dimensionality of \(3\) does not match index dimensionality \(2\)"
    ):
        library.query([1, 2, 3])


@pytest.mark.parametrize("arguments", [{}, {"query_embeddings": [1, 0], "query_texts": "x"}])
def test_query_needs_exactly_one_of_vectors_and_texts(library: chromadb.Collection, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either query embeddings or query texts, but not both"):
        library.query(**arguments)


def test_query_texts_without_a_function(client: chromadb.Client, docs: chromadb.Collection) -> None:
    with pytest.raises(ValueError, match="You must provide embeddings or a function to compute them"):
        client.get_collection("docs", embedding_function=None).query(query_texts="x")


@pytest.mark.parametrize("number", [0, -1])
def test_n_results_too_small(library: chromadb.Collection, number: int) -> None:
    with pytest.raises(TypeError, match=f"Number of requested results {number}, cannot be negative, or zero"):
        library.query([1, 0], n_results=number)


@pytest.mark.parametrize("number", ["3", 2.0, None])
def test_n_results_of_another_type(library: chromadb.Collection, number: Any) -> None:
    with pytest.raises(ValueError, match="Expected requested number of results to be a int"):
        library.query([1, 0], n_results=number)


def test_query_among_ids(library: chromadb.Collection) -> None:
    assert library.query([0, 0], ids=["c", "d"], n_results=1)["ids"] == [["c"]]


# filters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (None, ["a", "b", "c", "d"]),
        ({}, ["a", "b", "c", "d"]),
        ({"n": 1}, ["a"]),
        ({"n": 2.0}, ["b"]),
        ({"n": {"$eq": 2}}, ["b"]),
        ({"n": "2"}, []),
        ({"s": "2"}, ["b"]),
        ({"s": 2}, []),
        ({"s": "X"}, []),
        ({"n": {"$ne": 1}}, ["b", "c"]),
        ({"n": {"$gt": 1}}, ["b", "c"]),
        ({"n": {"$gte": 2}}, ["b", "c"]),
        ({"n": {"$lt": 2.5}}, ["a", "b"]),
        ({"n": {"$lte": 2.5}}, ["a", "b", "c"]),
        ({"s": {"$gt": 0}}, []),
        ({"b": True}, ["a"]),
        ({"b": False}, []),
        ({"b": 1}, []),
        ({"n": {"$in": [1, 2.5, "x"]}}, ["a", "c"]),
        ({"n": {"$nin": [1]}}, ["b", "c"]),
        ({"missing": {"$ne": 1}}, []),
        ({"$and": [{"n": {"$gt": 1}}, {"s": "2"}]}, ["b"]),
        ({"$or": [{"n": 1}, {"n": 2.5}]}, ["a", "c"]),
        ({"$or": [{"n": 1}, {"$and": [{"n": 2}, {"s": "2"}]}]}, ["a", "b"]),
    ],
)
def test_where(library: chromadb.Collection, where: Any, ids: list[str]) -> None:
    assert where_ids(library, where) == ids


@pytest.mark.parametrize(
    "where",
    [
        "text",
        [],
        {"n": 1, "s": "x"},
        {"n": {"$gt": 1, "$lt": 3}},
        {"n": {"$gt": "1"}},
        {"n": {"$like": 1}},
        {"n": {"$eq": None}},
        {"n": None},
        {"n": [1]},
        {"n": {"$eq": [1]}},
        {1: 2},
        {"$and": {"n": 1}},
        {"$and": [{"n": 1}]},
        {"$or": []},
        {"$and": [{"n": 1}, {"n": 1, "s": "x"}]},
    ],
)
def test_bad_where(library: chromadb.Collection, where: Any) -> None:
    for call in (library.get, library.delete):
        with pytest.raises(ValueError, match=r"(where|operator expression)"):
            call(where=where)
    with pytest.raises(ValueError, match=r"(where|operator expression)"):
        library.query([1, 0], where=where)
    assert library.count() == 4


def test_any_text_is_a_key_and_a_value(empty: chromadb.Collection) -> None:
    texts = ["a.b", "it's", 'q"uote', "ключ", "", "a;--", "%", "/"]
    empty.add(
        ids=[str(n) for n in range(len(texts))],
        embeddings=np.eye(len(texts)),
        metadatas=[{text: text} for text in texts],
    )
    for n, text in enumerate(texts):
        assert empty.get(where={text: text})["ids"] == [str(n)]
        assert empty.get(where={text: {"$ne": text}})["ids"] == []


@pytest.mark.parametrize(
    ("where_document", "ids"),
    [
        ({}, ["a", "b", "c", "d"]),
        ({"$contains": "red"}, ["a"]),
        ({"$contains": "Red"}, ["b"]),
        ({"$contains": "100%"}, ["b"]),
        ({"$contains": "%"}, ["b"]),
        ({"$contains": "_"}, ["d"]),
        ({"$contains": ""}, ["a", "b", "d"]),
        ({"$not_contains": "red"}, ["b", "d"]),
        ({"$regex": "^[rR]ed"}, ["a", "b"]),
        ({"$and": [{"$contains": "Red"}, {"$contains": "wool"}]}, ["b"]),
        ({"$or": [{"$contains": "fox"}, {"$contains": "sea"}]}, ["a", "d"]),
    ],
)
def test_where_document(library: chromadb.Collection, where_document: Any, ids: list[str]) -> None:
    assert where_ids(library, where_document=where_document) == ids


@pytest.mark.parametrize(
    "where_document",
    ["text", {"$contains": 1}, {"$like": "a"}, {"$and": [{"$contains": "a"}]}, {"$or": "a"}, {"a": "b"}],
)
def test_bad_where_document(library: chromadb.Collection, where_document: Any) -> None:
    with pytest.raises(ValueError, match="where document"):
        library.get(where_document=where_document)


def test_conditions_are_combined(docs: chromadb.Collection) -> None:
    arguments = {"where": {"n": {"$gte": 1}}, "where_document": {"$contains": "ed"}}
    assert docs.get(ids=["c", "b", "a"], **arguments)["ids"] == ["b", "a"]  # type: ignore[arg-type]
    assert docs.query([9, 9], n_results=1, **arguments)["ids"] == [["b"]]  # type: ignore[arg-type]
    docs.delete(ids=["a", "c", "d"], **arguments)
    assert docs.get()["ids"] == ["b", "c", "d"]


# distances --------------------------------------------------------------------------------------

ROWS = [[1.0, 2.0, 2.0], [0.0, 3.0, 4.0], [-1.0, 0.5, 0.0]]
ASKED = [1.0, 1.0, 0.5]


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_distances(client: chromadb.Client, space: str) -> None:
    rows, asked = np.array(ROWS), np.array(ASKED)
    expected = {
        "l2": ((rows - asked) ** 2).sum(axis=1),
        "ip": 1 - rows @ asked,
        "cosine": 1 - rows @ asked / (np.linalg.norm(rows, axis=1) * np.linalg.norm(asked)),
    }[space]
    collection = client.create_collection("docs", metadata={"hnsw:space": space})
    collection.add(ids=["0", "1", "2"], embeddings=ROWS)
    found = collection.query(ASKED, n_results=3, include=["distances", "embeddings"])
    order = np.argsort(expected)
    assert found["ids"] == [[str(n) for n in order]]
    assert found["distances"] is not None
    assert found["distances"][0] == pytest.approx(expected[order].tolist(), abs=1e-6)
    assert found["embeddings"] == [[ROWS[n] for n in order]]
    assert collection.configuration["hnsw"]["space"] == space


def test_zero_vectors_have_cosine_distance_one(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", metadata={"hnsw:space": "cosine"})
    collection.add(ids=["zero", "same"], embeddings=[[0, 0], [3, 4]])
    found = collection.query([6, 8])
    assert found["ids"] == [["same", "zero"]]
    assert found["distances"] is not None
    assert found["distances"][0] == pytest.approx([0, 1], abs=1e-6)


def test_index_settings_may_be_texts(client: chromadb.Client) -> None:
    metadata = {"hnsw:space": "ip", "hnsw:M": "32", "hnsw:construction_ef": 200, "hnsw:search_ef": "50"}
    collection = client.create_collection("docs", metadata)
    assert collection.metadata == metadata
    hnsw = collection.configuration["hnsw"]
    assert (hnsw["space"], hnsw["max_neighbors"], hnsw["ef_construction"], hnsw["ef_search"]) == ("ip", 32, 200, 50)
    modern = client.create_collection("modern", configuration={"hnsw": {"space": "cosine"}})
    assert modern.configuration["hnsw"]["space"] == "cosine"
    assert modern.configuration["spann"] is None


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"hnsw:nothing": 1}, "Unknown HNSW parameter: hnsw:nothing"),
        ({"hnsw:M": "many"}, "Invalid value for HNSW parameter: hnsw:M = 'many'"),
        ({"hnsw:space": "manhattan"}, 'hnsw:space must be "l2", "cosine" or "ip"'),
    ],
)
def test_bad_index_settings(client: chromadb.Client, metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        client.create_collection("docs", metadata)


def test_recorded_function(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", embedding_function=measure)
    assert collection.configuration["embedding_function"] == "measure"
