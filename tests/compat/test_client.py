"""The client's methods, names of collections, and collection metadata."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

import chroma_nb.compat as chromadb
from tests.compat.conftest import measure


def test_heartbeat_is_in_nanoseconds(client: chromadb.Client) -> None:
    assert abs(client.heartbeat() - time.time_ns()) < 60e9


def test_list_collections_gives_objects_in_order_of_creation(client: chromadb.Client) -> None:
    assert client.list_collections() == []
    made = [client.create_collection(name, metadata={"place": name}) for name in ("zzz", "aaa", "mmm")]
    listed = client.list_collections()
    assert isinstance(listed, list)
    assert listed == made
    assert [type(collection) for collection in listed] == [chromadb.Collection] * 3
    assert [collection.metadata for collection in listed] == [{"place": "zzz"}, {"place": "aaa"}, {"place": "mmm"}]
    assert [collection.name for collection in client.list_collections(limit=1, offset=1)] == ["aaa"]
    with pytest.raises(ValueError, match="limit"):
        client.list_collections(limit=-1)


def test_create_collection_with_positional_arguments(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", {"k": "v"}, measure, True)
    assert (collection.name, collection.metadata, repr(collection)) == ("docs", {"k": "v"}, "Collection(name=docs)")
    collection.add(ids=["a"], documents=["abc d"])
    assert collection.peek()["embeddings"] == [[5.0, 1.0]]


def test_metadata_is_none_when_not_given(client: chromadb.Client) -> None:
    assert client.create_collection("docs").metadata is None
    assert client.get_collection("docs").metadata is None


def test_a_name_that_is_taken(client: chromadb.Client) -> None:
    client.create_collection("docs")
    with pytest.raises(ValueError, match="Collection with name docs already exists"):
        client.create_collection("docs")


def test_get_or_create(client: chromadb.Client) -> None:
    first = client.get_or_create_collection("docs", metadata={"a": 1})
    first.add(ids="x", embeddings=[1, 2])
    kept = client.get_or_create_collection("docs")
    assert (kept.id, kept.metadata, kept.count()) == (first.id, {"a": 1}, 1)
    replaced = client.get_or_create_collection("docs", {"b": 2})
    assert (replaced.id, replaced.metadata) == (first.id, {"b": 2})
    assert client.get_collection("docs").metadata == {"b": 2}
    assert client.create_collection("docs", get_or_create=True).metadata == {"b": 2}


@pytest.mark.parametrize("metadata", [{}, {"a": None}, {"a": [1]}, {"a": {"b": 1}}, {1: "a"}, "text", ["a"]])
def test_bad_collection_metadata(client: chromadb.Client, metadata: Any) -> None:
    with pytest.raises(ValueError, match="metadata"):
        client.create_collection("docs", metadata=metadata)
    assert client.list_collections() == []


def test_missing_collections(client: chromadb.Client) -> None:
    for call in (client.get_collection, client.delete_collection, client.create_index):
        with pytest.raises(ValueError, match="Collection nothing does not exist"):
            call("nothing")


def test_delete_collection(client: chromadb.Client) -> None:
    client.create_collection("docs").add(ids="a", embeddings=[1, 2])
    assert client.delete_collection("docs") is None  # type: ignore[func-returns-value]
    assert client.list_collections() == []
    assert client.create_collection("docs").count() == 0


def test_use_of_a_deleted_collection(client: chromadb.Client) -> None:
    collection = client.create_collection("docs")
    client.delete_collection("docs")
    with pytest.raises(chromadb.errors.NotFoundError, match="deleted"):
        collection.count()
    with pytest.raises(ValueError, match="deleted"):
        collection.add(ids="a", embeddings=[1, 2])


def test_reset(client: chromadb.Client) -> None:
    for name in ("one", "two", "three"):
        client.create_collection(name).add(ids="a", embeddings=[1, 2])
    assert client.reset() is True
    assert client.list_collections() == []
    assert client.create_collection("one").count() == 0


def test_create_index_is_true(client: chromadb.Client) -> None:
    client.create_collection("docs").add(ids="a", embeddings=[1, 2])
    assert client.create_index("docs") is True
    assert client.create_index("docs") is True


def test_raw_sql(client: chromadb.Client) -> None:
    client.create_collection("docs").add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    frame = client.raw_sql("select count(*) as n from docs")
    assert frame["n"].tolist() == [2]


def test_get_collection_by_id(client: chromadb.Client) -> None:
    made = client.create_collection("docs")
    assert client.get_collection_by_id(made.id).name == "docs"
    with pytest.raises(chromadb.errors.NotFoundError, match="deleted"):
        client.get_collection_by_id(uuid.uuid4())


# names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["abc", "a" * 63, "A.b-c_d9", "Upper", "1.2.3.4.5", "12a34b56c78", "0a0", "a.b", "999.999.9999.9"]
)
def test_good_names(client: chromadb.Client, name: str) -> None:
    assert client.create_collection(name).name == name
    assert client.get_collection(name).name == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "-abc", "abc-", "_abc", "a b c", "a/b", "a..b", "1.2.3.4", "999.999.999.999", "äbc"]
)
def test_bad_names(client: chromadb.Client, name: str) -> None:
    with pytest.raises(ValueError, match=r"(?s)^Expected collection name that .*, got ") as caught:
        client.create_collection(name)
    assert str(caught.value).endswith(f", got {name}")
    collection = client.create_collection("good")
    with pytest.raises(ValueError, match="Expected collection name that"):
        collection.modify(name=name)
    assert collection.name == "good"


def test_a_name_that_is_no_text(client: chromadb.Client) -> None:
    with pytest.raises(TypeError, match="name of a collection is a str, got 12"):
        client.create_collection(12)  # type: ignore[arg-type]


# modify -----------------------------------------------------------------------------------------


def test_modify(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", {"a": 1})
    other = client.get_collection("docs")
    collection.add(ids="x", embeddings=[1, 2])
    assert collection.modify(name="papers") is None  # type: ignore[func-returns-value]
    assert (collection.name, collection.metadata) == ("papers", {"a": 1})
    collection.modify(metadata={"b": 2})
    assert (collection.name, collection.metadata) == ("papers", {"b": 2})
    collection.modify("papers", {"c": 3})
    assert client.get_collection("papers").metadata == {"c": 3}
    assert other.count() == 1
    with pytest.raises(ValueError, match="Collection docs does not exist"):
        client.get_collection("docs")


def test_modify_to_a_taken_name(client: chromadb.Client) -> None:
    collection = client.create_collection("docs")
    client.create_collection("taken")
    with pytest.raises(ValueError, match="Collection with name taken already exists"):
        collection.modify(name="taken")
    assert collection.name == "docs"


def test_modify_with_bad_metadata(client: chromadb.Client) -> None:
    collection = client.create_collection("docs", {"a": 1})
    with pytest.raises(ValueError, match="Expected collection metadata to be a non-empty dict"):
        collection.modify(metadata={})
    with pytest.raises(ValueError, match="hnsw:space of collection 'docs' is 'l2' and cannot become 'cosine'"):
        collection.modify(metadata={"hnsw:space": "cosine"})
    assert collection.metadata == {"a": 1}


# by name or id, as old integrations call ----------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "id", "text of the id"])
def test_underscore_methods(client: chromadb.Client, by: str) -> None:
    made = client.create_collection("docs")
    key: Any = {"name": "docs", "id": made.id, "text of the id": str(made.id)}[by]
    assert client._add(["a", "b"], key, [[1, 0], [0, 1]], [{"n": 1}, {"n": 2}], ["x", "y"], True) is True
    assert client._add(ids=["a"], collection_id=key, embeddings=[[5, 5]]) is False
    assert client._add(key, ["c"], [[2, 2]]) is True
    assert client._count(key) == 3
    assert list(client._get(key, ids=["a"])) == ["ids", "embeddings", "documents", "metadatas"]
    assert client._get(key, ids=["a"])["embeddings"] == [[1.0, 0.0]]
    assert client._get(key, where={}, limit=1, offset=1, include=[])["ids"] == ["b"]
    assert client._get(key, page=2, page_size=2, include=[])["ids"] == ["c"]
    assert client._peek(key, n=1)["embeddings"] == [[1.0, 0.0]]
    assert client._query(key, [[0, 1]], n_results=1, where={}, where_document={})["ids"] == [["b"]]
    assert client._update(key, ["a"], documents=["z"], embeddings=[[1, 1]]) is True
    assert client._upsert(key, ["a", "d"], [[1, 2], [3, 4]]) is True
    assert client._get(key, ["a"])["documents"] == ["z"]
    assert client._delete(key, ["a", "nothing"]) == ["a"]
    assert client._delete(key, where={"n": 2}) == ["b"]
    assert client._delete(key) == ["c", "d"]
    client._modify(key, new_name="papers", new_metadata={"k": 1})
    assert client.get_collection("papers").metadata == {"k": 1}


def test_underscore_methods_without_a_collection(client: chromadb.Client) -> None:
    with pytest.raises(ValueError, match="Collection nothing does not exist"):
        client._count("nothing")
    with pytest.raises(ValueError, match="deleted"):
        client._count(uuid.uuid4())


def test_underscore_get_does_not_sort(docs: chromadb.Collection) -> None:
    with pytest.raises(NotImplementedError, match="sort them in Python"):
        docs._client._get(docs.id, sort="id; drop table x")
