"""What add, update, upsert and delete take and do: sections 2 and 4 of what is known of Chroma 0.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import chroma_nb.compat as chromadb
from chroma_nb.compat import errors
from tests.compat.conftest import filled, measure

if TYPE_CHECKING:
    from pathlib import Path


def everything(collection: chromadb.Collection) -> Any:
    return collection.get(include=["embeddings", "documents", "metadatas"])


# one or many ------------------------------------------------------------------------------------


def test_single_items_are_wrapped(empty: chromadb.Collection) -> None:
    assert empty.add("a", [1.5, 2.5], {"k": "v"}, "text") is None  # type: ignore[func-returns-value]
    assert everything(empty) == {
        "ids": ["a"],
        "embeddings": [[1.5, 2.5]],
        "documents": ["text"],
        "metadatas": [{"k": "v"}],
    }


def test_each_argument_is_wrapped_by_itself(empty: chromadb.Collection) -> None:
    empty.add(ids=["a"], embeddings=[1, 2], documents=["text"], metadatas={"k": 1})
    assert empty.get() == {"ids": ["a"], "embeddings": None, "documents": ["text"], "metadatas": [{"k": 1}]}


@pytest.mark.parametrize(
    "embeddings", [[[1, 2], [3, 4]], [(1, 2), (3, 4)], np.array([[1, 2], [3, 4]]), [np.array([1, 2]), np.array([3, 4])]]
)
def test_vectors_of_any_sort(empty: chromadb.Collection, embeddings: Any) -> None:
    empty.add(ids=["a", "b"], embeddings=embeddings)
    assert everything(empty)["embeddings"] == [[1.0, 2.0], [3.0, 4.0]]


def test_missing_parts_are_none(empty: chromadb.Collection) -> None:
    empty.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    assert empty.get() == {"ids": ["a", "b"], "embeddings": None, "documents": [None, None], "metadatas": [None, None]}
    empty.add(ids=["c", "d"], embeddings=[[1, 2], [3, 4]], documents=[None, "x"], metadatas=[{"k": 1}, None])
    assert empty.get(["c", "d"])["documents"] == [None, "x"]
    assert empty.get(["c", "d"])["metadatas"] == [{"k": 1}, None]


# checks -----------------------------------------------------------------------------------------

TWO = {"ids": ["a", "b"], "embeddings": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ids": [1, 2]}, "Expected ID to be a str, got 1"),
        ({"ids": 5}, "Expected IDs to be a list, got 5"),
        ({"ids": []}, "Expected IDs to be a non-empty list"),
        ({"ids": ["a", "a"]}, "Expected IDs to be unique, found 1 duplicated in the call: 'a'"),
        ({"ids": ["a", "b", "c"]}, "Number of embeddings 2 must match number of ids 3"),
        ({"embeddings": [[1, 2]]}, "Number of embeddings 1 must match number of ids 2"),
        ({"documents": ["x"]}, "Number of documents 1 must match number of ids 2"),
        ({"metadatas": [{"k": 1}]}, "Number of metadatas 1 must match number of ids 2"),
        ({"embeddings": "text"}, "Expected embeddings to be a list"),
        ({"embeddings": []}, "Expected embeddings to be a non-empty list"),
        ({"embeddings": [["x", "y"], ["z", "u"]]}, "Expected embeddings to be numbers|Expected each value"),
        ({"embeddings": [[1, 2], [3]]}, "Expected all embeddings to have one dimension"),
        ({"embeddings": [[1, 2], [3, float("nan")]]}, "NaN or infinite"),
        ({"embeddings": None}, "You must provide either embeddings or documents, or both"),
        ({"documents": [1, 2]}, "Expected document to be a str or None, got 1"),
        ({"metadatas": ["x", "y"]}, "Expected metadata to be a non-empty dict, got 'x'"),
        ({"metadatas": [{}, {"k": 1}]}, "Expected metadata to be a non-empty dict"),
        ({"metadatas": [{1: 1}, {"k": 1}]}, "Expected metadata key to be a str, got 1"),
        ({"metadatas": [{"k": None}, {"k": 1}]}, "Expected metadata value to be a str, int, float or bool, got None"),
        ({"metadatas": [{"k": [1]}, {"k": 1}]}, "Expected metadata value to be a str, int, float or bool"),
        ({"metadatas": [{"k": {"j": 1}}, {"k": 1}]}, "Expected metadata value to be a str, int, float or bool"),
    ],
)
def test_bad_arguments_add_nothing(empty: chromadb.Collection, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = TWO | changed
    for call in (empty.add, empty.upsert):
        with pytest.raises(ValueError, match=message):
            call(**arguments)
    assert empty.count() == 0
    empty.add(ids=["z"], embeddings=[[1, 2, 3]])  # the dimension was not fixed by what failed


def test_duplicated_ids_have_their_class(docs: chromadb.Collection) -> None:
    for call in (docs.add, docs.upsert, docs.update):
        with pytest.raises(errors.DuplicateIDError, match="Expected IDs to be unique"):
            call(ids=["q", "q"], embeddings=[[1, 2], [3, 4]])
    with pytest.raises(errors.DuplicateIDError, match="Expected IDs to be unique"):
        docs.delete(ids=["a", "a"])


def test_the_empty_id_is_an_id(empty: chromadb.Collection) -> None:
    empty.add(ids=[""], embeddings=[[1, 2]])
    assert empty.get(ids="")["ids"] == [""]


# the embedding function ---------------------------------------------------------------------------


def test_documents_are_embedded(empty: chromadb.Collection) -> None:
    empty.add(ids=["a", "b"], documents=["one two", "three"])
    assert everything(empty)["embeddings"] == [[7.0, 1.0], [5.0, 0.0]]
    empty.upsert(ids=["b", "c"], documents=["x y z", "w"])
    assert everything(empty)["embeddings"] == [[7.0, 1.0], [5.0, 2.0], [1.0, 0.0]]
    empty.update(ids="c", documents="four")
    assert empty.get("c", include=["embeddings"])["embeddings"] == [[4.0, 0.0]]


def test_given_vectors_win_and_the_function_is_not_called(client: chromadb.Client) -> None:
    def never(texts: list[str]) -> list[list[float]]:
        raise AssertionError(texts)

    collection = client.create_collection("docs", embedding_function=never)
    collection.add(ids="a", embeddings=[1, 2], documents="text")
    collection.upsert(ids="a", embeddings=[3, 4], documents="other")
    collection.update(ids="a", embeddings=[5, 6], documents="third")
    assert collection.peek()["embeddings"] == [[5.0, 6.0]]
    assert collection.peek()["documents"] == ["third"]


def test_a_lambda_will_do(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", embedding_function=lambda texts: [[1.0, 2.0]] * len(texts))
    collection.add(ids=["a", "b"], documents=["x", "y"])
    assert collection.count() == 2


def test_no_function(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", embedding_function=None)
    with pytest.raises(ValueError, match="You must provide embeddings or a function to compute them"):
        collection.add(ids="a", documents="x")
    collection.add(ids="a", documents="x", embeddings=[1, 2])
    with pytest.raises(ValueError, match="You must provide embeddings or a function to compute them"):
        collection.update(ids="a", documents="y")
    assert collection.peek()["documents"] == ["x"]


def test_own_functions_are_passed_again(client: chromadb.Client) -> None:
    client.create_collection("docs", embedding_function=measure).add(ids="a", documents="x y")
    with pytest.raises(ValueError, match="Pass it: get_collection"):
        client.get_collection("docs").query(query_texts="x")
    assert client.get_collection("docs", measure).query(query_texts="x")["ids"] == [["a"]]


# add --------------------------------------------------------------------------------------------


def test_add_keeps_what_is_there(docs: chromadb.Collection) -> None:
    before = everything(docs)
    docs.add(ids=["a", "e"], embeddings=[[7, 7], [8, 8]], documents=["new", "e"], metadatas=[{"n": 0}, {"n": 5}])
    after = everything(docs)
    assert after["ids"] == [*before["ids"], "e"]
    assert after["documents"] == [*before["documents"], "e"]
    assert after["metadatas"] == [*before["metadatas"], {"n": 5}]
    assert after["embeddings"] == [*before["embeddings"], [8.0, 8.0]]


def test_the_first_vector_fixes_the_dimension(docs: chromadb.Collection) -> None:
    for call in (docs.add, docs.upsert):
        with pytest.raises(
            errors.InvalidDimensionException, match=r"Dimensionality of \(3\) does not match index dimensionality \(2\)"
        ):
            call(ids="z", embeddings=[1, 2, 3])
    with pytest.raises(errors.InvalidDimensionException, match="Dimensionality"):
        docs.update(ids="a", embeddings=[1, 2, 3])
    assert docs.count() == 4
    docs.delete()
    with pytest.raises(errors.InvalidDimensionException, match="Dimensionality"):
        docs.add(ids="z", embeddings=[1, 2, 3])


def test_increment_index_does_not_hide_items(empty: chromadb.Collection) -> None:
    empty.add(ids=["a"], embeddings=[[1, 2]], increment_index=False)
    empty.upsert(ids=["b"], embeddings=[[1, 3]], increment_index=False)
    assert empty.query([1, 2])["ids"] == [["a", "b"]]
    assert empty.create_index() is None  # type: ignore[func-returns-value]
    empty.create_index()
    assert empty.query([1, 2])["ids"] == [["a", "b"]]


def test_create_index_of_an_empty_collection(empty: chromadb.Collection) -> None:
    empty.create_index()
    assert empty.count() == 0


# update and upsert ------------------------------------------------------------------------------


def test_update_changes_what_is_given(docs: chromadb.Collection) -> None:
    assert docs.update(ids="a", metadatas={"z": 1}) is None  # type: ignore[func-returns-value]
    assert docs.get("a") == {"ids": ["a"], "embeddings": None, "documents": ["red fox"], "metadatas": [{"z": 1}]}
    docs.update(ids=["a"], embeddings=[[4, 4]])
    assert docs.get("a", include=["embeddings", "documents"])["embeddings"] == [[4.0, 4.0]]
    docs.update(ids=["a", "d"], documents=["green", "tea"], embeddings=[[1, 1], [2, 2]])
    assert docs.get(["a", "d"])["documents"] == ["green", "tea"]
    assert docs.get("a")["metadatas"] == [{"z": 1}]


def test_update_of_missing_ids_changes_nothing(docs: chromadb.Collection) -> None:
    before = everything(docs)
    with pytest.raises(ValueError, match="Could not find 2 items for update: 'x', 'y'"):
        docs.update(ids=["a", "x", "y"], documents=["1", "2", "3"], embeddings=[[1, 1]] * 3)
    assert everything(docs) == before


def test_update_without_anything(docs: chromadb.Collection) -> None:
    before = everything(docs)
    docs.update()
    docs.update(ids=["a"])
    assert everything(docs) == before


def test_merge(docs: chromadb.Collection) -> None:
    docs.update(ids="b", metadatas={"z": 1}, merge=True)
    assert docs.get("b")["metadatas"] == [{"n": 2, "s": "2", "z": 1}]


def test_upsert(docs: chromadb.Collection) -> None:
    assert docs.upsert(ids=["b", "e"], embeddings=[[5, 5], [6, 6]], metadatas=[{"k": 1}, {"k": 2}]) is None  # type: ignore[func-returns-value]
    assert docs.get(["b", "e"], include=["embeddings", "documents", "metadatas"]) == {
        "ids": ["b", "e"],
        "embeddings": [[5.0, 5.0], [6.0, 6.0]],
        "documents": ["Red 100% wool", None],
        "metadatas": [{"k": 1}, {"k": 2}],
    }


def test_upsert_of_metadata_alone(docs: chromadb.Collection) -> None:
    with pytest.raises(ValueError, match="You must provide either embeddings or documents, or both"):
        docs.upsert(ids="a", metadatas={"k": 1})


# delete -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"ids": ["a", "nothing"]}, ["b", "c", "d"]),
        ({"ids": "a"}, ["b", "c", "d"]),
        ({"where": {"n": {"$gt": 1}}}, ["a", "d"]),
        ({"where_document": {"$contains": "ed"}}, ["c", "d"]),
        ({"ids": ["a", "b"], "where": {"n": 2}}, ["a", "c", "d"]),
        ({}, []),
        ({"where": {}}, []),
        ({"ids": []}, ["a", "b", "c", "d"]),
    ],
)
def test_delete(docs: chromadb.Collection, arguments: dict[str, Any], left: list[str]) -> None:
    assert docs.delete(**arguments) is None  # type: ignore[func-returns-value]
    assert docs.get()["ids"] == left
    assert docs.count() == len(left)
    assert sorted(docs.query([0, 0], n_results=9)["ids"][0]) == left


def test_everything_survives_reopening(tmp_path: Path) -> None:
    client = chromadb.PersistentClient(tmp_path / "store")
    docs = filled(client)
    docs.update("a", metadatas={"n": 9})
    docs.delete("b")
    before = everything(docs)
    client.close()
    with chromadb.PersistentClient(tmp_path / "store") as again:
        assert everything(again.get_collection("docs")) == before
        with pytest.raises(errors.ChromaError, match="closed"):
            docs.count()
