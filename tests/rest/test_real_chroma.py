"""Our semantics on a real server of Chroma's."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb import Client
from chroma_nb.errors import (
    ClosedStoreError,
    CollectionExistsError,
    CollectionNotFoundError,
    DuplicateIDWarning,
    IDNotFoundError,
    InvalidArgumentError,
    InvalidDimensionError,
    NotFoundError,
    NotSupportedError,
)
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.remote_foreign import ForeignServerStore
from tests.store.backend import fresh_name, items_in
from tests.store.reference import Item, distances, selected
from tests.store.strategies import DIMENSION, document_wheres, few, item_lists, wheres

from .chroma_process import PORT, PROGRAM, chroma_server, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Collection

pytestmark = pytest.mark.slow
present_day = pytest.mark.skipif(bool(os.environ.get(PORT)), reason="of API v2")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as port:
        yield port


@pytest.fixture(scope="module")
def store(port: int) -> Iterator[ForeignServerStore]:
    made = connected(port)
    made.reset()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: ForeignServerStore) -> Client:
    return Client._over(store)


@pytest.fixture
def docs(client: Client) -> Collection:
    """Three items: a with an integer and a text, b with nothing, c with a fraction and a text."""
    made = client.create_collection(fresh_name())
    made.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        documents=["a river", None, "a mountain"],
        metadatas=[{"n": 1, "lang": "en"}, None, {"n": 2.5, "lang": "de"}],
    )
    return made


# filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "abc"),
        ({"lang": {"$ne": "en"}}, "c"),
        ({"lang": {"$nin": ["fr", "de"]}}, "a"),
        ({"lang": {"$nin": []}}, "ac"),
        ({"lang": {"$in": []}}, ""),
        ({"n": {"$in": [1.0, "x", True, 2.5]}}, "ac"),
        ({"n": 1.0}, "a"),
        ({"n": {"$ne": 2.5}}, "a"),
        ({"n": {"$lt": 1.5}}, "a"),
        ({"n": {"$gt": 10**30}}, ""),
        ({"n": {"$lt": float("inf")}}, "ac"),
        ({"n": "1"}, ""),
        ({"n": True}, ""),
        ({"lang": {"$contains": "e"}}, "ac"),
        ({"lang": {"$regex": "^d"}}, "c"),
        ({"$or": [{"n": 1}, {"lang": {"$not_contains": "n"}}]}, "ac"),
        ({"$.x": 1}, ""),
        ({"": 1}, ""),
    ],
)
def test_filters(docs: Collection, where: dict[str, Any], expected: str) -> None:
    assert list(docs.get(where=where).index) == list(expected)
    assert sorted(docs.query([0.9, 0.1], where=where).index) == list(expected)


@pytest.mark.parametrize(
    ("where_document", "expected"),
    [
        ({"$contains": "river"}, "a"),
        ({"$contains": ""}, "ac"),
        ({"$contains": "\0"}, ""),
        ({"$not_contains": "a\0"}, "ac"),
        ({"$not_contains": "river"}, "c"),
        ({"$regex": "r.v|ount"}, "ac"),
        ({"$not_regex": "^a r"}, "c"),
    ],
)
def test_filters_on_documents(docs: Collection, where_document: dict[str, Any], expected: str) -> None:
    assert list(docs.get(where_document=where_document).index) == list(expected)
    assert sorted(docs.query([0.9, 0.1], where_document=where_document).index) == list(expected)


def test_a_pattern_that_is_none(docs: Collection) -> None:
    for chosen in ({"where": {"lang": {"$regex": "("}}}, {"where_document": {"$regex": "("}}):
        with pytest.raises(InvalidArgumentError, match=r"[Rr]egex|filter"):
            docs.get(**chosen)


def _storable(item: Item) -> bool:
    keys = all(key and not key.startswith(("$", "#", "chroma:")) for key in item.metadata)
    finite = all(not isinstance(value, float) or np.isfinite(value) for value in item.metadata.values())
    return bool(item.id) and keys and finite and max(map(abs, item.vector)) < 1e9


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Item], list[tuple[Any, Any]]]:
    items = draw(item_lists.map(lambda items: list(filter(_storable, items))).filter(bool))
    selection = st.tuples(st.none() | wheres(items), st.none() | document_wheres(items))
    return items, draw(st.lists(selection, min_size=2, max_size=6))


@few
@given(case=cases())
def test_any_filter_means_what_the_reference_says(client: Client, case: Any) -> None:
    items, selections = case
    collection = client.create_collection(fresh_name())
    collection.add(
        ids=[item.id for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
        embeddings=[item.vector for item in items],
    )
    for where, where_document in selections:
        chosen = {"where": where, "where_document": where_document}
        expected = [item.id for item in selected(items, **chosen)]
        assert [item.id for item in items_in(collection, **chosen)] == expected
        hits = collection.query([0.0] * DIMENSION, n_results=len(items), **chosen)
        assert sorted(hits.index) == sorted(expected)
    client.delete_collection(collection.name)


def test_what_is_stored_comes_back(docs: Collection) -> None:
    metadata = {"i": 2**53 + 1, "f": 2.0, "b": True, "s": "ключ \0 '\"", "é": -(2**63), "small": 5e-324}
    docs.add(ids="d", embeddings=[[0.1, 1e-20]], documents='x"\\\n\0😀', metadatas=metadata)
    item = items_in(docs, ids="d")[0]
    assert item.document == 'x"\\\n\0😀'
    assert {key: (type(value), value) for key, value in item.metadata.items()} == {
        key: (type(value), value) for key, value in metadata.items()
    }
    assert item.vector == (float(np.float32(0.1)), float(np.float32(1e-20)))


# get and query --------------------------------------------------------------------------------


def test_get_keeps_the_order_asked_for(docs: Collection) -> None:
    assert list(docs.get(ids=["c", "nope", "a"]).index) == ["c", "a"]
    assert list(docs.get(ids=["c", "b", "a"], limit=1, offset=1).index) == ["b"]
    assert len(docs.get(ids=[])) == 0
    assert docs.embeddings([]).shape == (0, 2)
    assert list(docs.get(limit=1, offset=1).index) == ["b"]
    assert list(docs.get(limit=0).index) == list(docs.get(offset=10**30).index) == []
    assert list(docs.get(where={"lang": {"$ne": "fr"}}, limit=1, offset=1).index) == ["c"]


def test_integers_are_nullable_and_keys_in_alphabetical_order(docs: Collection) -> None:
    docs.delete(ids=["b", "c"])
    found = docs.get()
    assert list(found.columns) == ["document", "lang", "n"]
    assert str(found["n"].dtype) == "Int64"


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_distances_are_the_same(client: Client, space: str) -> None:
    docs = client.create_collection(fresh_name(), metadata={"hnsw:space": space})
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    docs.add(ids=[f"i{n}" for n in range(20)], embeddings=vectors)
    hits = docs.query([[1, 2, 3, 4], [0, 0, 1, 0]], n_results=5)
    for number, query in enumerate([[1, 2, 3, 4], [0, 0, 1, 0]]):
        expected = np.sort(distances(space, vectors, query))[:5]
        np.testing.assert_allclose(hits[hits["query"] == number]["distance"], expected, rtol=1e-5, atol=1e-5)


def test_a_search_among_ids(docs: Collection) -> None:
    assert list(docs.query([1, 0.1], ids=["b", "nope", "a"]).index) == ["a", "b"]
    assert len(docs.query([1, 0.1], ids=["nope"])) == len(docs.query([1, 0.1], ids=[])) == 0


def test_an_exact_search_is_done_here(docs: Collection) -> None:
    hits = docs.query([1, 0.1], exact=True, n_results=2, include=["distances", "metadatas"])
    assert list(hits.index) == ["a", "c"]
    assert list(hits.columns) == ["query", "rank", "distance", "lang", "n"]


def test_an_exact_search_among_too_many_is_refused(docs: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.rest.foreign_reading.FETCHED", 2)
    with pytest.raises(NotSupportedError, match="exact"):
        docs.query([1, 0.1], exact=True)


def test_a_filter_that_few_of_the_nearest_pass(client: Client) -> None:
    docs = client.create_collection(fresh_name())
    vectors = np.arange(400, dtype=np.float32)[:, None] * np.ones((1, 2), dtype=np.float32)
    docs.add(
        ids=[f"i{n}" for n in range(400)], embeddings=vectors, metadatas=[{"far": str(n >= 390)} for n in range(400)]
    )
    hits = docs.query([[0, 0]], n_results=3, where={"far": {"$ne": "False"}})
    assert list(hits.index) == ["i390", "i391", "i392"]


def test_a_query_of_an_empty_collection(client: Client) -> None:
    docs = client.create_collection(fresh_name())
    assert len(docs.query([[1, 2]])) == len(docs.get()) == docs.count() == 0
    assert docs.embeddings().shape == (0, 0)


# writing --------------------------------------------------------------------------------------


def test_add_skips_what_is_there(docs: Collection) -> None:
    with pytest.warns(DuplicateIDWarning, match="1 of the ids exist"):
        docs.add(ids=["a", "d"], embeddings=[[9, 9], [8, 8]])
    assert docs.count() == 4
    assert docs.embeddings("a").tolist() == [[1, 0]]


def test_update_replaces_metadata_and_leaves_the_rest(docs: Collection) -> None:
    docs.update(
        ids=["a", "c", "b"],
        metadatas=[{"x": True}, None, {"y": 1}],
        documents=[None, "new", None],
        embeddings=[[5, 5]] * 3,
    )
    items = items_in(docs, ids=["a", "b", "c"])
    assert [item.metadata for item in items] == [{"x": True}, {"y": 1}, {"n": 2.5, "lang": "de"}]
    assert [item.document for item in items] == ["a river", None, "new"]
    docs.update(ids="a", metadatas={"z": 1}, merge=True)
    assert items_in(docs, ids="a")[0].metadata == {"x": True, "z": 1}


def test_update_of_a_missing_item_changes_nothing(docs: Collection) -> None:
    before = items_in(docs)
    with pytest.raises(IDNotFoundError, match="Could not find 1 items for update: 'nope'"):
        docs.update(ids=["a", "nope"], metadatas=[{"x": 1}] * 2)
    assert items_in(docs) == before


def test_upsert_replaces_metadata_and_adds(docs: Collection) -> None:
    docs.upsert(ids=["a", "d"], embeddings=[[7, 7], [6, 6]], metadatas=[{"x": "y"}, {"n": 4}], documents=[None, "d"])
    items = {item.id: item for item in items_in(docs)}
    assert items["a"] == Item("a", "a river", {"x": "y"}, (7, 7))
    assert items["d"] == Item("d", "d", {"n": 4}, (6, 6))
    docs.upsert(ids=["a"], embeddings=[[1, 1]], metadatas=[{"n": 0}], merge=True)
    assert items_in(docs, ids="a")[0].metadata == {"x": "y", "n": 0}


def test_delete(docs: Collection, store: ForeignServerStore) -> None:
    docs.delete(ids=[])
    assert docs.count() == 3
    docs.delete(ids=["a", "nope"])
    docs.delete(where={"lang": {"$ne": "en"}})
    assert list(docs.get().index) == ["b"]
    docs.delete()
    assert docs.count() == 0


def test_large_calls_are_split(client: Client, store: ForeignServerStore) -> None:
    docs = client.create_collection(fresh_name())
    count = min(store.max_batch_size, 6000) + 10
    ids = [f"id {n}" for n in range(count)]
    docs.add(ids=ids, embeddings=np.ones((count, 2)), metadatas=[{"n": n} for n in range(count)])
    assert docs.count() == count
    found = list(docs.get(include=[]).index)
    assert found == ids or (sorted(found) == sorted(ids) and os.environ.get(PORT))  # 0.4 has an order of its own
    assert len(docs.get(ids=ids[::-1], include=["metadatas"])) == count
    assert store.known(docs.id, ["nope", *ids]).tolist() == [False] + [True] * count
    docs.delete(where={"n": {"$gte": 5}})
    assert sorted(docs.get().index) == ids[:5]


def test_what_the_server_cannot_hold_is_refused_before_anything_is_sent(docs: Collection) -> None:
    before = items_in(docs)
    for metadata in ({"chroma:x": 1}, {"n": float("inf")}):
        with pytest.raises(NotSupportedError):
            docs.add(ids=["d", "e"], embeddings=[[1, 1]] * 2, metadatas=[{"n": 1}, metadata])
    assert items_in(docs) == before


@present_day
@pytest.mark.parametrize("key", ["", "$k", "#k"])
def test_keys_that_api_v2_has_not(docs: Collection, key: str) -> None:
    with pytest.raises(NotSupportedError, match="no metadata keys"):
        docs.update(ids="a", metadatas={key: 1})
    with pytest.raises(NotSupportedError, match="no empty ids"):
        docs.add(ids=[""], embeddings=[[1, 1]])


def test_wrong_dimensions(docs: Collection) -> None:
    for call in (
        lambda: docs.add(ids="d", embeddings=[1, 2, 3]),
        lambda: docs.upsert(ids="a", embeddings=[1, 2, 3]),
        lambda: docs.query([1, 2, 3]),
        lambda: docs.query([1, 2, 3], where={"lang": {"$in": []}}),
    ):
        with pytest.raises(InvalidDimensionError, match=r"\(3\) does not match index dimensionality \(2\)"):
            call()
    assert docs.count() == 3


# collections ----------------------------------------------------------------------------------


def test_collections(client: Client, store: ForeignServerStore) -> None:
    name = fresh_name()
    made = client.create_collection(name, metadata={"hnsw:space": "cosine", "x": 1})
    with pytest.raises(CollectionExistsError):
        client.create_collection(name)
    again = client.get_or_create_collection(name, metadata={"x": 2})
    assert (again.id, again.metadata) == (made.id, {"x": 2})
    assert client.get_collection_by_id(made.id).name == name
    assert store.collection(name).settings.space == "cosine"
    other = client.create_collection(fresh_name())
    with pytest.raises(CollectionExistsError):
        other.modify(name=name)
    made.modify(name=f"{name}-new")
    assert made.metadata == client.get_collection(f"{name}-new").metadata
    client.delete_collection(f"{name}-new")
    assert f"{name}-new" not in client
    with pytest.raises(CollectionNotFoundError, match="was deleted"):
        made._refresh()


def test_a_collection_that_is_gone(client: Client, docs: Collection) -> None:
    client.delete_collection(docs.name)
    with pytest.raises(CollectionNotFoundError, match="does not exist"):
        client.get_collection(docs.name)
    with pytest.raises(CollectionNotFoundError):
        client.get_collection_by_id(uuid.uuid4())


def test_close_names_are_offered(client: Client) -> None:
    client.create_collection("reviews-of-films")
    with pytest.raises(CollectionNotFoundError, match='Did you mean "reviews-of-films"'):
        client.get_collection("review-of-films")


def test_lists(client: Client, docs: Collection) -> None:
    row = client.list_collections().loc[docs.name]
    assert (row["count"], row["metadata_keys"], row["space"]) == (3, ["lang", "n"], "l2")
    docs.update(ids="b", metadatas={"zeta": 1})
    assert client.list_collections().loc[docs.name, "metadata_keys"] == ["lang", "n", "zeta"]


def test_the_embedding_function_is_recorded(client: Client) -> None:
    def lengths(texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]

    docs = client.create_collection(fresh_name(), embedding_function=lengths)
    docs.add(ids=["a"], documents=["abc"])
    again = client.get_collection(docs.name)
    assert again.metadata is None
    assert again._info.function_name == "lengths"
    again.modify(metadata={"x": 1})
    assert client.get_collection(docs.name)._info.function_name == "lengths"
    late = client.create_collection(fresh_name())
    client.get_collection(late.name, embedding_function=lengths).add(ids=["a"], documents=["abc"])
    assert client.get_collection(late.name)._info.function_name == "lengths"


# servers of today -----------------------------------------------------------------------------


@present_day
def test_tenants_and_databases(port: int, client: Client) -> None:
    root = f"http://127.0.0.1:{port}/api/v2/tenants"
    httpx.post(root, json={"name": "our-tenant"}).raise_for_status()
    httpx.post(f"{root}/our-tenant/databases", json={"name": "texts"}).raise_for_status()
    with pytest.raises(NotFoundError, match="no tenant 'our-tenant' with a database 'pictures'"):
        connect("127.0.0.1", port, tenant="our-tenant", database="pictures")
    store = connect(f"http://127.0.0.1:{port}", tenant="our-tenant", database="texts")
    assert store.location == f"http://127.0.0.1:{port} (tenant our-tenant, database texts)"
    ours = Client._over(store)
    ours.create_collection("only-here")
    assert list(ours.list_collections().index) == ["only-here"]
    assert "only-here" not in client
    with pytest.raises(NotSupportedError, match="all tenants"):
        ours.reset()
    ours.close()
    with pytest.raises(ClosedStoreError):
        ours.list_collections()


_CHROMA_READS = """
import sys, chromadb
client = chromadb.HttpClient("127.0.0.1", int(sys.argv[1]))
for name in sys.argv[2:]:
    docs = client.get_collection(name)
    print(name, docs.count(), docs.get(include=["metadatas"])["metadatas"])
"""


@present_day
def test_their_client_reads_what_ours_wrote(port: int, client: Client) -> None:
    with_default = client.create_collection(fresh_name(), embedding_function="all-MiniLM-L6-v2")
    other = client.create_collection(fresh_name(), embedding_function="wordllama")
    for docs in (with_default, other):
        docs.add(ids=["a"], embeddings=[[1, 2]], metadatas={"n": 1})
    python = Path(os.environ[PROGRAM]).parent / "python"
    ended = subprocess.run(
        [str(python), "-c", _CHROMA_READS, str(port), with_default.name, other.name],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"{name} 1 [{{'n': 1}}]" for name in (with_default.name, other.name)]


@present_day
def test_their_default_function_is_ours(port: int, client: Client) -> None:
    function = {"type": "known", "name": "default", "config": {}}
    body = {"name": "made-by-chroma", "configuration": {"hnsw": {"space": "ip"}, "embedding_function": function}}
    root = f"http://127.0.0.1:{port}/api/v2/tenants/default_tenant/databases/default_database/collections"
    httpx.post(root, json=body).raise_for_status()
    info = client.get_collection("made-by-chroma")._info
    assert info.function_name == "all-MiniLM-L6-v2"
    assert (info.settings.space, info.settings.search_ef) == ("ip", None)


def test_what_there_is_not(client: Client, docs: Collection) -> None:
    with pytest.raises(NotSupportedError, match="no SQL"):
        client.sql("select 1")
    assert client.persist()
    docs.create_index()
    assert client.heartbeat() > 10**18


def test_zz_reset(client: Client) -> None:
    client.create_collection(fresh_name())
    client.reset()
    assert client.count_collections() == 0
