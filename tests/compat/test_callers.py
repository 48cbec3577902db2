"""The calls that LangChain's and LlamaIndex's wrappers make, in their form and order.

Written after langchain 0.0.230, langchain-community 0.0.38 and 0.4.2, langchain-chroma 0.1.0 and 1.1.0,
llama-index-vector-stores-chroma 0.1.10 and 0.6.0, which themselves were run against this package.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import chroma_nb.compat as chromadb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = ["the cat sat", "a dog ran", "income tax law"]
METADATAS = [{"k": 1, "t": "pet"}, {"k": 2, "t": "pet"}, {"k": 3, "t": "law"}]
IDS = ["a", "b", "c"]


def embed(text: str) -> list[float]:
    return [float(text.count(letter)) for letter in "aeinostr"]


def embed_documents(texts: list[str]) -> list[list[float]]:
    return [embed(text) for text in texts]


@pytest.fixture
def as_chromadb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``import chromadb`` gives the dialect."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "chromadb"]:
        monkeypatch.delitem(sys.modules, name)
    chromadb.install_as_chromadb()
    yield importlib.import_module("chromadb")
    for name in [name for name in sys.modules if name.partition(".")[0] == "chromadb"]:
        del sys.modules[name]


# standing in for chromadb -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("chromadb", "Client Collection Search Settings PersistentClient HttpClient DEFAULT_TENANT DEFAULT_DATABASE"),
        ("chromadb.config", "Settings"),
        ("chromadb.api", "CreateCollectionConfiguration ClientAPI"),
        ("chromadb.api.types", "ID OneOrMany Where WhereDocument"),
        ("chromadb.api.models.Collection", "Collection"),
        ("chromadb.utils.batch_utils", "create_batches"),
    ],
)
def test_what_they_import(as_chromadb: Any, module: str, names: str) -> None:
    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in names.split())
    assert found is importlib.import_module(module.replace("chromadb", "chroma_nb.compat", 1))


def test_installing_twice_is_harmless(as_chromadb: Any) -> None:
    chromadb.install_as_chromadb()
    assert as_chromadb is chromadb


def test_chromadb_itself_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", type(sys)("chromadb"))
    with pytest.raises(NotImplementedError, match=r"Call install_as_chromadb\(\) before whatever imports it"):
        chromadb.install_as_chromadb()


# LangChain --------------------------------------------------------------------------------------


def langchain_settings(directory: str | None) -> Any:
    """What langchain-community makes of ``persist_directory``."""
    if directory is None:
        return chromadb.config.Settings()
    major, minor, _ = chromadb.__version__.split(".")
    if int(major) == 0 and int(minor) < 4:
        settings = chromadb.config.Settings(chroma_db_impl="duckdb+parquet")
    else:
        settings = chromadb.config.Settings(is_persistent=True)
    settings.persist_directory = directory
    return settings


def similarity_search(
    collection: chromadb.Collection, text: str, k: int = 4, where: Any = None, where_document: Any = None
) -> list[tuple[str | None, dict[str, Any], float]]:
    results = collection.query(
        query_texts=None,
        query_embeddings=[embed(text)],
        n_results=k,
        where=where,
        where_document=where_document,
    )
    assert results["documents"] is not None
    assert results["metadatas"] is not None
    assert results["distances"] is not None
    return [
        (document, metadata or {}, distance)
        for document, metadata, distance in zip(
            results["documents"][0], results["metadatas"][0], results["distances"][0], strict=True
        )
    ]


@pytest.mark.parametrize("directory", [None, "db"])
@pytest.mark.parametrize("function", [None, embed_documents])
def test_langchain_community(tmp_path: Path, directory: str | None, function: Any) -> None:
    path = None if directory is None else str(tmp_path / directory)
    client = chromadb.Client(langchain_settings(path))
    collection = client.get_or_create_collection(name="langchain", embedding_function=function, metadata=None)
    with_batches = hasattr(client, "get_max_batch_size") or hasattr(client, "max_batch_size")
    assert with_batches

    collection.upsert(metadatas=METADATAS, embeddings=embed_documents(TEXTS), documents=TEXTS, ids=IDS)
    collection.upsert(embeddings=embed_documents(["no metadata"]), documents=["no metadata"], ids=["d"])

    assert similarity_search(collection, TEXTS[0], k=1) == [(TEXTS[0], METADATAS[0], 0.0)]
    assert similarity_search(collection, TEXTS[0], where={"t": "law"})[0][0] == TEXTS[2]
    assert [row[0] for row in similarity_search(collection, "x", where_document={"$contains": "dog"})] == [TEXTS[1]]
    assert ("no metadata", {}) in [row[:2] for row in similarity_search(collection, "no", k=10)]

    mmr = collection.query(
        query_embeddings=embed("cat"),
        n_results=20,
        where=None,
        where_document=None,
        include=["metadatas", "documents", "distances", "embeddings"],
    )
    assert np.array(mmr["embeddings"][0] if mmr["embeddings"] else []).shape == (4, 8)

    distance = "l2"
    metadata = collection.metadata
    if metadata and "hnsw:space" in metadata:
        distance = str(metadata["hnsw:space"])
    assert distance == "l2"

    kwargs = {"ids": None, "where": None, "limit": None, "offset": None, "where_document": None}
    assert collection.get(**kwargs)["ids"] == ["a", "b", "c", "d"]  # type: ignore[arg-type]
    only = collection.get(**(kwargs | {"ids": ["b"], "include": ["metadatas"]}))  # type: ignore[arg-type]
    assert only == {"ids": ["b"], "embeddings": None, "documents": None, "metadatas": [METADATAS[1]]}

    batches = chromadb.utils.batch_utils.create_batches(
        api=collection._client,
        ids=["b"],
        metadatas=[{"k": 22}],
        documents=["a wolf ran"],
        embeddings=embed_documents(["a wolf ran"]),
    )
    for batch in batches:
        collection.update(ids=batch[0], embeddings=batch[1], documents=batch[3], metadatas=batch[2])
    assert similarity_search(collection, "a wolf ran", k=1) == [("a wolf ran", {"k": 22}, 0.0)]

    collection.delete(ids=["a"])
    assert collection.count() == 3
    if path is not None:
        assert client.persist()
        client.close()
        client = chromadb.Client(langchain_settings(path))
        assert client.get_or_create_collection(name="langchain", embedding_function=function).count() == 3
    client.delete_collection(collection.name)
    client.close()


def test_langchain_chroma(tmp_path: Path) -> None:
    client = chromadb.PersistentClient(
        path=str(tmp_path / "db"),
        settings=chromadb.Settings(),
        tenant=chromadb.DEFAULT_TENANT,
        database=chromadb.DEFAULT_DATABASE,
    )
    collection = client.get_or_create_collection(
        name="langchain", embedding_function=None, metadata=None, configuration=None
    )
    collection.upsert(metadatas=METADATAS, embeddings=embed_documents(TEXTS), documents=TEXTS, ids=IDS)
    assert (collection.configuration.get("hnsw") or {}).get("space") == "l2"
    assert collection.configuration.get("spann") is None
    found = collection.get(ids=["c", "nothing"])
    assert [
        (document, metadata, id_)
        for document, metadata, id_ in zip(
            found["documents"] or [], found["metadatas"] or [], found["ids"], strict=True
        )
    ] == [(TEXTS[2], METADATAS[2], "c")]
    client.close()


def test_create_batches_cuts() -> None:
    class Small(chromadb.Client):
        def get_max_batch_size(self) -> int:
            return 2

    batches = chromadb.utils.batch_utils.create_batches(Small(), ids=IDS, documents=TEXTS)
    assert batches == [(["a", "b"], None, None, TEXTS[:2]), (["c"], None, None, TEXTS[2:])]


# LlamaIndex -------------------------------------------------------------------------------------


def test_llama_index(client: chromadb.Client) -> None:
    collection = client.get_or_create_collection("quickstart")
    assert isinstance(collection, chromadb.api.models.Collection.Collection)
    assert collection, "an empty collection must not look like a missing one"

    metadatas = [
        metadata | {"document_id": f"doc-{id_}", "n": ""} for id_, metadata in zip(IDS, METADATAS, strict=True)
    ]
    collection.add(embeddings=embed_documents(TEXTS), ids=IDS, metadatas=metadatas, documents=TEXTS)

    found = collection.query(query_embeddings=embed(TEXTS[1]), n_results=2)
    assert found["ids"][0][0] == "b"
    where = {"$and": [{"t": {"$eq": "pet"}}, {"k": {"$gt": 1}}]}
    assert collection.query(query_embeddings=embed("x"), n_results=2, where=where)["ids"] == [["b"]]
    assert collection.query(query_embeddings=embed("x"), n_results=2, where={"k": {"$in": [3]}})["ids"] == [["c"]]

    nodes = collection.get(limit=None, where=where, ids=None)
    assert nodes["ids"] == ["b"]
    missing = collection.get(limit=None, ids=["zz"])
    missing["ids"] = missing["ids"] or [[]]  # type: ignore[list-item] # as they do: results are the caller's own
    assert collection.get(limit=2)["ids"] == ["a", "b"]

    collection.delete(where={"document_id": "doc-a"})
    collection.delete(ids=["b"])
    assert collection.count() == 1
    for _ in range(2):
        collection.delete(ids=collection.get()["ids"])  # clear(), also of an empty collection
    assert collection.count() == 0
    assert collection.query(query_embeddings=embed("x"), n_results=2)["documents"] == [[]]
