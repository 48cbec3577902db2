"""Our semantics on a server of Chroma 0.3.29, as a fake. `test_real_chroma` can be run with a real one by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from chroma_nb import Client
from chroma_nb.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    IDNotFoundError,
    InvalidDimensionError,
    NotSupportedError,
)
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.remote_foreign import ForeignServerStore
from tests.store.backend import fresh_name, items_in
from tests.store.reference import Item, selected
from tests.store.strategies import DIMENSION, few

from .old_chroma import OldChroma
from .test_real_chroma import cases


@pytest.fixture
def old() -> OldChroma:
    return OldChroma()


@pytest.fixture
def client(old: OldChroma) -> Client:
    return Client._over(connect(client=old.client()))


@pytest.fixture
def docs(client: Client) -> Any:
    made = client.create_collection("docs", metadata={"hnsw:space": "l2", "x": 1})
    made.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        documents=["a river", None, "a mountain"],
        metadatas=[{"n": 1, "lang": "en"}, None, {"n": 2.5, "lang": "de"}],
    )
    return made


def test_it_is_recognised(old: OldChroma, client: Client) -> None:
    assert isinstance(client._store, ForeignServerStore)
    assert client._store.location == "http://localhost:8000"
    assert [path for _, path, _ in old.asked] == [
        "/api/v2/pre-flight-checks",
        "/api/v1/pre-flight-checks",
        "/api/v1/version",
        "/api/v1/collections",
    ]
    with pytest.raises(NotSupportedError, match=r"0\.3\.22.*0\.3\.25"):
        connect(client=OldChroma("0.3.22").client())


def test_items(old: OldChroma, docs: Any) -> None:
    assert [item.metadata for item in items_in(docs)] == [{"n": 1, "lang": "en"}, {}, {"n": 2.5, "lang": "de"}]
    assert [item.document for item in items_in(docs)] == ["a river", None, "a mountain"]
    adds = [body["ids"] for _, path, body in old.asked if path.endswith("/add")]
    assert adds == [["a"], ["b"], ["c"]], "items with and without a document in requests of their own"
    assert docs.embeddings([]).shape == (0, 2)


def test_update_and_upsert(docs: Any) -> None:
    docs.update(ids=["a", "b"], metadatas=[{"x": True}, None], documents=[None, "new"], embeddings=[[1, 0], [0, 1]])
    docs.upsert(ids=["c", "d"], embeddings=[[7, 7], [6, 6]], metadatas=[{"y": 1}, {"n": 4}], merge=True)
    assert items_in(docs) == [
        Item("a", "a river", {"x": True}, (1, 0)),
        Item("b", "new", {}, (0, 1)),
        Item("c", "a mountain", {"n": 2.5, "lang": "de", "y": 1}, (7, 7)),
        Item("d", None, {"n": 4}, (6, 6)),
    ]
    with pytest.raises(IDNotFoundError):
        docs.update(ids=["a", "nope"], metadatas=[{"n": 1}] * 2)
    for call in (docs.add, docs.upsert):
        with pytest.raises(InvalidDimensionError, match=r"\(3\).*\(2\)"):
            call(ids=["e"], embeddings=[[1, 2, 3]])


def test_pages_without_an_order_are_not_asked_for(client: Client) -> None:
    docs = client.create_collection("many")
    ids = [f"id {number}" for number in range(2500)]
    docs.add(ids=ids, embeddings=np.ones((2500, 1)))
    assert list(docs.get(include=[]).index) == ids
    assert list(docs.get(limit=2, offset=1).index) == ids[1:3]
    assert docs.peek(3).index.tolist() == ids[:3]
    docs.delete()
    assert docs.count() == 0


def test_searches_that_the_server_cannot_do_are_done_here(docs: Any) -> None:
    assert docs.query([1, 0.1], ids=["b", "a", "nope"]).index.tolist() == ["a", "b"]
    assert docs.query([1, 0.1], where={"lang": {"$regex": "^d"}}).index.tolist() == ["c"]
    assert docs.query([1, 0.1], where_document={"$not_contains": "river"}, n_results=5).index.tolist() == ["c"]
    assert docs.query([1, 0.1], n_results=1)["distance"].tolist() == pytest.approx([0.01])


def test_collections(client: Client, docs: Any) -> None:
    with pytest.raises(CollectionExistsError):
        client.create_collection("docs")
    with pytest.raises(CollectionNotFoundError, match='Did you mean "docs"'):
        client.get_collection("dosc")
    docs.modify(name="texts", metadata={"y": 2})
    assert client.get_collection("texts").metadata == {"y": 2}
    row = client.list_collections().loc["texts"]
    assert (row["count"], row["metadata_keys"]) == (3, ["lang", "n"])
    client.delete_collection("texts")
    assert client.count_collections() == 0
    with pytest.raises(CollectionNotFoundError, match="was deleted"):
        docs._refresh()


def test_the_embedding_function_is_recorded(client: Client) -> None:
    made = client.create_collection(fresh_name(), embedding_function="all-MiniLM-L6-v2")
    again = client.get_collection(made.name)
    assert (again._info.function_name, again.metadata) == ("all-MiniLM-L6-v2", None)


@few
@given(case=cases())
def test_any_filter_means_what_the_reference_says(case: Any) -> None:
    items, selections = case
    items = [item for item in items if "'" not in item.id]
    collection = Client._over(connect(client=OldChroma().client())).create_collection("docs")
    if not items:
        return
    collection.add(
        ids=[item.id for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
        embeddings=[item.vector for item in items],
    )
    for where, where_document in selections:
        chosen = {"where": where, "where_document": where_document}
        expected = [item.id for item in selected(items, **chosen)]
        assert sorted(item.id for item in items_in(collection, **chosen)) == sorted(expected)
        hits = collection.query([0.0] * DIMENSION, n_results=len(items), **chosen)
        assert sorted(hits.index) == sorted(expected)
