"""The Python snippets of the original API reference, for both dialects.

Between a snippet and its checks stands nothing but what puts the items there that it speaks of.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@pytest.fixture(params=["chroma_nb", "chroma_nb.compat"])
def chromadb(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``import ... as chromadb``."""
    monkeypatch.setenv("CHROMA_NB_OFFLINE", "1")
    return importlib.import_module(request.param)


@pytest.fixture
def client(chromadb: Any) -> Any:
    return chromadb.Client()


@pytest.fixture
def collection(client: Any) -> Any:
    """The reference's three-dimensional example items."""
    made = client.create_collection("testname")
    made.add(
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]],
        metadatas=[{"style": "style1"}, {"style": "style2"}, {"style": "style1"}],
        documents=["doc1", "doc2", "doc3"],
        ids=["id1", "id2", "id3"],
    )
    return made


def ids_of(found: dict[str, Any] | pd.DataFrame) -> list[str]:
    return list(found["ids"]) if isinstance(found, dict) else found.index.tolist()


# the client -------------------------------------------------------------------------------------


def test_client_in_memory(chromadb: Any) -> None:
    client = chromadb.Client()

    assert client.heartbeat() > 0


def test_client_with_settings(chromadb: Any, tmp_path: Path) -> None:
    Settings = importlib.import_module(f"{chromadb.__name__}.config").Settings  # noqa: N806 - from .config import Settings
    tmp = str(tmp_path / "db")

    client = chromadb.Client(Settings(chroma_db_impl="duckdb+parquet", persist_directory=tmp))

    client.create_collection("testname").add(ids="a", embeddings=[1, 2])
    client.close()
    with chromadb.Client(Settings(chroma_db_impl="duckdb+parquet", persist_directory=tmp)) as again:
        assert again.get_collection("testname").count() == 1


def test_collections(client: Any) -> None:
    client.list_collections()

    collection = client.create_collection("testname")
    assert collection.name == "testname"
    collection = client.get_collection("testname")
    assert collection.name == "testname"
    collection = client.get_or_create_collection("testname")
    assert collection.name == "testname"

    assert len(client.list_collections()) == 1
    client.delete_collection("testname")
    assert len(client.list_collections()) == 0

    client.get_or_create_collection("testname")
    client.reset()
    assert len(client.list_collections()) == 0

    assert isinstance(client.heartbeat(), int)


# the collection ---------------------------------------------------------------------------------


def test_modify_and_count(client: Any, collection: Any) -> None:
    collection.modify(name="testname2")

    assert client.get_collection("testname2").count() == 3
    assert collection.count() == 3


def test_add_one_item(client: Any) -> None:
    collection = client.create_collection("testname")
    collection.add(
        embeddings=[1.5, 2.9, 3.4],
        metadatas={"uri": "img9.png", "style": "style1"},
        documents="doc1000101",
        ids="uri9",
    )
    assert ids_of(collection.get(where={"uri": "img9.png"}, where_document={"$contains": "doc1"})) == ["uri9"]


def test_add_many_items(client: Any) -> None:
    collection = client.create_collection("testname")
    collection.add(
        embeddings=[[1.5, 2.9, 3.4], [9.8, 2.3, 2.9]],
        metadatas=[{"style": "style1"}, {"style": "style2"}],
        ids=["uri9", "uri10"],
    )
    assert ids_of(collection.get(where={"style": "style2"})) == ["uri10"]


def test_add_documents_with_the_default_function(client: Any) -> None:
    collection = client.create_collection("testname")
    collection.add(
        documents=["doc1000101", "doc288822"],
        metadatas=[{"style": "style1"}, {"style": "style2"}],
        ids=["uri9", "uri10"],
    )
    assert collection.embeddings().shape == (2, 384)
    assert collection.query(query_texts=["doc288822"], n_results=1) is not None


def test_update(collection: Any) -> None:
    collection.update()

    assert collection.count() == 3


def test_upsert(collection: Any) -> None:
    collection.upsert(
        ids=["id1", "id4"],
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4]],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}],
        documents=["doc1", "doc2"],
    )
    assert collection.count() == 4
    assert ids_of(collection.get(where={"chapter": "3"})) == ["id1", "id4"]


def test_get(collection: Any) -> None:
    assert ids_of(collection.get()) == ["id1", "id2", "id3"]


def test_peek(collection: Any) -> None:
    assert ids_of(collection.peek()) == ["id1", "id2", "id3"]


def test_query(collection: Any) -> None:
    found = collection.query(
        query_embeddings=[[1.1, 2.3, 3.2], [5.1, 4.3, 2.2]], n_results=2, where={"style": "style2"}
    )
    expected = [pytest.approx(34.16, rel=1e-5), pytest.approx(11.96, rel=1e-5)]
    if isinstance(found, dict):
        assert found["ids"] == [["id2"], ["id2"]]
        assert [row[0] for row in found["distances"]] == expected
    else:
        assert found.index.tolist() == ["id2", "id2"]
        assert found["query"].tolist() == [0, 1]
        assert found["distance"].tolist() == expected


def test_delete(collection: Any) -> None:
    collection.delete()

    assert collection.count() == 0


def test_create_index(collection: Any) -> None:
    collection.create_index()

    assert collection.count() == 3
