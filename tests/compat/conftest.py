from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

import chroma_nb.compat as chromadb
from chroma_nb.compat import config
from tests.contract import scope
from tests.contract.backends import Hosts
from tests.store.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _clean_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dict(chromadb.Settings()):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(config, "_configured", None)


@pytest.fixture
def dialect() -> type[chromadb.Client]:
    return chromadb.Client


@pytest.fixture
def client(backend: Backend) -> chromadb.Client:
    """An empty client of the dialect, of any kind of backend."""
    assert isinstance(backend.client, chromadb.Client)
    return backend.client


@pytest.fixture
def empty(client: chromadb.Client) -> chromadb.Collection:
    """A collection without items, whose function gives a text's length and number of spaces."""
    return client.create_collection("empty", embedding_function=measure)


@pytest.fixture
def docs(client: chromadb.Client) -> chromadb.Collection:
    """Four items: with all kinds of metadata, without metadata, without document."""
    return filled(client)


@pytest.fixture(scope="module", params=scope.KINDS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromadb.Collection]:
    """The items of `docs`, for tests that only read: one collection for all tests of a module."""
    made: Backend
    hosts = Hosts()  # of its own: those of the other tests are emptied before each
    if request.param in scope.LOCAL:
        path = tmp_path_factory.mktemp("library") / "store"
        made = Backend(path if request.param == "disk" else None, chromadb.Client)
    else:
        made = hosts.backend(request.param, chromadb.Client)
    yield filled(cast("chromadb.Client", made.client))
    made.close()
    hosts.close()


def filled(client: chromadb.Client) -> chromadb.Collection:
    made = client.create_collection("docs", embedding_function=measure)
    made.add(
        ids=["a", "b", "c", "d"],
        embeddings=[[1, 0], [0, 2], [3.5, 3], [9, 9]],
        documents=["red fox", "Red 100% wool", None, "blue_sea"],
        metadatas=[{"n": 1, "s": "x", "f": 0.5, "b": True}, {"n": 2, "s": "2"}, {"n": 2.5}, None],
    )
    return made


def measure(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), float(text.count(" "))] for text in texts]


def where_ids(collection: chromadb.Collection, where: Any = None, where_document: Any = None) -> list[str]:
    """The ids that a filter finds, which `get` and `query` must agree on."""
    found = collection.get(where=where, where_document=where_document, include=[])["ids"]
    hits = collection.query([0, 0], n_results=100, where=where, where_document=where_document, include=[])["ids"][0]
    assert sorted(hits) == sorted(found)
    return found
