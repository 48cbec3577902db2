"""All that differs between what can be behind a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from chroma_nb import Client
from chroma_nb.errors import AuthorizationError, NotSupportedError
from chroma_nb.types import StoredLayout
from tests.contract import scope
from tests.face import test_bad_input, test_frames, test_semantics, test_sql
from tests.store import test_layouts, test_snapshot

if TYPE_CHECKING:
    from chroma_nb import Collection
    from tests.store.backend import Backend

SERVED = ("rest", "socket")


@pytest.fixture
def docs(backend: Backend) -> Collection:
    docs = backend.client.create_collection("docs")
    docs.add(ids=["a", "b"], embeddings=np.eye(2), metadatas=[{"n": 1}, {"n": 2}])
    return docs


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Of the backend under test."""
    return str(request.node.callspec.params["backend"])


def test_maps_and_views_on_a_server_last_as_long_as_the_client(backend: Backend, kind: str, docs: Collection) -> None:
    def kept(client: Client) -> tuple[bool, list[str]]:
        store = client._store
        return store.snapshot(docs.id).layout("umap/any") is not None, store.views(docs.id)

    store = backend.client._store
    store.snapshot(docs.id).save_layout("umap/any", StoredLayout(np.eye(2, dtype=np.float32), "umap"))
    store.save_view(docs.id, "mine", "{}")
    assert kept(backend.client) == (True, ["mine"])
    assert kept(backend.reopen()) == ((False, []) if kind in SERVED else (True, ["mine"]))


def test_persist(backend: Backend, kind: str, docs: Collection) -> None:
    if kind == "memory":
        with pytest.raises(NotSupportedError, match="in memory: there is nothing to persist"):
            backend.client.persist()
    else:  # a server keeps what it has accepted
        assert backend.client.persist() is True


def test_what_a_server_must_be_told_to_allow() -> None:
    from tests.contract.served import Server

    server = Server(allow_reset=False, allow_sql=False)
    try:
        with server.client(Client) as client:
            client.create_collection("docs")
            with pytest.raises(AuthorizationError, match="--allow-reset"):
                client.reset()
            with pytest.raises(AuthorizationError, match="--allow-sql"):
                client.sql("select * from docs")
            assert client.count_collections() == 1
    finally:
        server.close()


def test_the_exceptions_are_tests_that_there_are() -> None:
    modules = (test_bad_input, test_frames, test_layouts, test_semantics, test_snapshot, test_sql)
    assert {name for module in modules for name in vars(module) if name in scope.LOCAL_ONLY} == set(scope.LOCAL_ONLY)
