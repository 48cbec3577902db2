"""Names and settings: section 1 of what is known of Chroma 0.3, and its module tree."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import chroma_nb
import chroma_nb.compat as chromadb
from chroma_nb.compat.config import Settings

NAMES = {
    "": "API ClientAPI Client Collection DEFAULT_DATABASE DEFAULT_TENANT Documents EmbeddingFunction Embeddings "
    "EphemeralClient GetResult HttpClient IDs Include Metadata Metadatas PersistentClient QueryResult Search Settings "
    "Where WhereDocument __version__ configure get_settings errors config utils api types",
    ".config": "Settings DEFAULT_TENANT DEFAULT_DATABASE",
    ".types": "Metadata UpdateMetadata Vector LiteralValue LogicalOperator WhereOperator OperatorExpression Where "
    "WhereDocumentOperator WhereDocument",
    ".api": "API ClientAPI BaseAPI CreateCollectionConfiguration types models",
    ".api.types": "ID IDs Embedding Embeddings Metadata Metadatas CollectionMetadata UpdateCollectionMetadata Document "
    "Documents OneOrMany Include LiteralValue LogicalOperator WhereOperator OperatorExpression Where "
    "WhereDocumentOperator WhereDocument GetResult QueryResult EmbeddingFunction Embeddable Images URIs",
    ".api.models.Collection": "Collection",
    ".utils": "embedding_functions batch_utils",
    ".utils.batch_utils": "create_batches",
    ".utils.embedding_functions": "DefaultEmbeddingFunction SentenceTransformerEmbeddingFunction "
    "OpenAIEmbeddingFunction CohereEmbeddingFunction HuggingFaceEmbeddingFunction InstructorEmbeddingFunction "
    "Text2VecEmbeddingFunction GooglePalmEmbeddingFunction GoogleVertexEmbeddingFunction ONNXMiniLM_L6_V2",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str) -> None:
    found = importlib.import_module(f"chroma_nb.compat{module}")
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize("module", ["", ".config", ".errors", ".api", ".api.types", ".utils.embedding_functions"])
def test_all_is_true(module: str) -> None:
    found = importlib.import_module(f"chroma_nb.compat{module}")
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_everything_is_there_after_one_import() -> None:
    code = (
        "import sys, chroma_nb.compat as chromadb\n"
        "chromadb.config.Settings, chromadb.utils.embedding_functions.DefaultEmbeddingFunction\n"
        "chromadb.errors.InvalidDimensionException, chromadb.api.types.Documents, chromadb.types.Where\n"
        "chromadb.api.models.Collection.Collection\n"
        "assert not {'onnxruntime', 'umap', 'ipywidgets', 'plotly'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(chroma_nb.__file__).parents[1])


def test_version_has_three_numbers_below_0_4() -> None:
    # LangChain: major, minor, _ = chromadb.__version__.split("."), and the old settings below 0.4.
    major, minor, _ = chromadb.__version__.split(".")
    assert (int(major), int(minor)) == (0, 3)
    assert chromadb.Client().get_version() == chromadb.__version__


def test_everything_is_one_class() -> None:
    assert chromadb.API is chromadb.ClientAPI is chromadb.Client
    client = chromadb.Client()
    collection = client.create_collection("docs")
    assert isinstance(client, chroma_nb.Client)
    assert isinstance(collection, chromadb.api.models.Collection.Collection)
    assert isinstance(collection, chroma_nb.Collection)


def test_search_says_that_it_cannot() -> None:
    with pytest.raises(NotImplementedError, match=r"Use Collection\.query"):
        chromadb.Search()


def test_own_embedding_functions_may_derive_from_the_protocol() -> None:
    class Old(chromadb.EmbeddingFunction):  # type: ignore[type-arg]
        def __call__(self, texts: chromadb.Documents) -> chromadb.Embeddings:
            return [[1.0, 2.0] for _ in texts]

    class New(chromadb.EmbeddingFunction[chromadb.Documents]):
        def __call__(self, input: chromadb.Documents) -> chromadb.Embeddings:
            return [[1.0, 2.0] for _ in input]

    for function in (Old(), New()):
        collection = chromadb.Client().create_collection("docs", embedding_function=function)
        collection.add(ids="a", documents="x")
        assert collection.get(include=["embeddings"])["embeddings"] == [[1.0, 2.0]]


# settings ---------------------------------------------------------------------------------------


def test_settings_from_keywords_environment_and_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_SERVER_HOST", "example")
    settings = Settings(chroma_server_http_port=8000)
    assert settings.chroma_server_host == "example"
    assert settings["chroma_server_http_port"] == "8000"
    with pytest.raises(ValueError, match="Settings has no 'persist_dir'"):
        Settings(persist_dir="x")


def test_configure_changes_what_client_uses(tmp_path: Path) -> None:
    assert chromadb.get_settings().chroma_db_impl is None
    chromadb.configure(chroma_db_impl="duckdb+parquet", persist_directory=str(tmp_path / "db"))
    assert chromadb.get_settings()["persist_directory"] == str(tmp_path / "db")
    with chromadb.Client() as client:
        client.create_collection("docs")
        assert client.get_settings() == chromadb.get_settings()
    with chromadb.PersistentClient(tmp_path / "db") as client:
        assert [collection.name for collection in client.list_collections()] == ["docs"]


def test_settings_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IS_PERSISTENT", "true")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "db"))
    with chromadb.Client() as client:
        client.create_collection("docs")
    assert (tmp_path / "db").is_dir()
    assert chromadb.EphemeralClient().list_collections() == []


def test_default_directory_is_refused() -> None:
    with pytest.raises(ValueError, match="say where the data goes: persist_directory"):
        chromadb.Client(Settings(chroma_db_impl="duckdb+parquet"))


def test_unknown_implementation() -> None:
    with pytest.raises(ValueError, match="chroma_db_impl must be"):
        chromadb.Client(Settings(chroma_db_impl="postgres"))


@pytest.mark.parametrize("name", ["duckdb+parquet", "DuckDB+Parquet", "chromadb.db.duckdb.PersistentDuckDB"])
def test_names_of_the_persistent_implementation(name: str, tmp_path: Path) -> None:
    settings = Settings(chroma_db_impl=name, persist_directory=str(tmp_path / "made" / "here"))
    with chromadb.Client(settings) as client:
        collection = client.create_collection("docs")
        collection.add(ids=["a"], embeddings=[[1, 2]])
        assert client.persist() is True
    with chromadb.Client(settings) as client:
        assert client.get_collection("docs").count() == 1


def test_clients_in_memory_are_isolated() -> None:
    first, second = chromadb.Client(), chromadb.EphemeralClient()
    first.create_collection("docs")
    assert second.list_collections() == []


def test_persist_in_memory() -> None:
    with pytest.raises(NotImplementedError, match=r"chroma_db_impl='duckdb\+parquet'"):
        chromadb.Client().persist()


def test_both_dialects_share_a_directory(tmp_path: Path) -> None:
    with chromadb.PersistentClient(tmp_path / "db") as old, chroma_nb.Client(tmp_path / "db") as new:
        old.create_collection("docs").add(ids="a", embeddings=[1, 2], documents="x", metadatas={"n": 1})
        frame = new["docs"].get()
        assert frame.loc["a", "n"] == 1
        new["docs"].add(ids="b", embeddings=[3, 4])
        assert old["docs"].get()["ids"] == ["a", "b"]


def test_a_collection_knows_its_client(client: chromadb.Client) -> None:
    assert client.create_collection("docs")._client is client
    assert client.list_collections()[0]._client is client


def test_ids_that_are_there_are_logged_not_warned_of(
    docs: chromadb.Collection, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="chroma_nb.compat"):
        docs.add(ids=["a", "new"], embeddings=[[5, 5], [6, 6]])
    assert "1 of the ids exist already and were skipped: 'a'" in caplog.text
    assert docs.get(ids=["a", "new"], include=["embeddings"])["embeddings"] == [[1.0, 0.0], [6.0, 6.0]]


def test_id_is_a_uuid(docs: chromadb.Collection) -> None:
    assert isinstance(docs.id, uuid.UUID)
