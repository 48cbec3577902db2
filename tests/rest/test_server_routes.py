"""Every route, when it works and when it does not; as clients of Chroma 0.3 call them."""

from __future__ import annotations

import base64
import io
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from chroma_nb import __version__
from chroma_nb.rest import wire
from chroma_nb.rest.routes import OPERATIONS
from chroma_nb.rest.server import create_app
from chroma_nb.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

API = "/api/v1"
DOCS = f"{API}/collections/docs"


@pytest.fixture
def docs(http: TestClient) -> TestClient:
    """Three items in a collection."""
    assert http.post(f"{API}/collections", json={"name": "docs", "metadata": {"a": 1}}).status_code == 200
    items = {
        "ids": ["a", "b", "c"],
        "embeddings": [[1, 0], [0, 1], [5, 5]],
        "metadatas": [{"n": 1, "t": "x"}, {"n": 2.5}, None],
        "documents": ["one", None, "three"],
    }
    assert http.post(f"{DOCS}/add", json=items).json() is True
    return http


def _failed(response: Any) -> tuple[int, str]:
    """Status and name of the error; the message is there."""
    body = response.json()
    assert body["message"]
    return response.status_code, body["error"].split(":")[0]


def _id(client: TestClient) -> str:
    return str(client.get(DOCS).json()["id"])


# the server -----------------------------------------------------------------------------------


def test_signs_of_life(http: TestClient) -> None:
    for path in (API, f"{API}/heartbeat"):
        assert abs(http.get(path).json()["nanosecond heartbeat"] - 1.8e18) < 1e18
    assert http.get(f"{API}/version").json() == __version__
    assert http.head(f"{API}/heartbeat").status_code == 200
    checks = http.get(f"{API}/pre-flight-checks").json()
    assert checks["chroma_nb"] == __version__
    assert checks["max_batch_size"] >= 100_000


def test_reset_and_persist(docs: TestClient, tmp_path: Path) -> None:
    assert _failed(docs.post(f"{API}/persist")) == (501, "NotSupported")
    assert docs.post(f"{API}/reset").json() is True
    assert docs.get(f"{API}/collections").json() == []
    store = LocalStore(tmp_path / "db")
    with TestClient(create_app(store), base_url="http://localhost") as client:
        assert client.post(f"{API}/persist").text == "null"
    store.close()


def test_unknown_routes_and_verbs(http: TestClient) -> None:
    assert (http.get("/nope").status_code, http.get("/nope").json()) == (404, {"detail": "Not Found"})
    wrong = http.put(f"{API}/collections")
    assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
    assert http.get(f"{API}/collections/", follow_redirects=False).status_code == 307


def test_the_description(http: TestClient) -> None:
    described = http.get("/openapi.json").json()
    routes = {(path, verb.upper()) for path, verbs in described["paths"].items() for verb in verbs}
    assert routes == {(operation.path, operation.method) for operation in OPERATIONS}
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/v1/collections/{collection}/query" in page.text
    assert not any(word in page.text for word in ("http:", "https:", "src=", "<script", "<link"))


# collections ----------------------------------------------------------------------------------


def test_a_collection_from_birth_to_death(http: TestClient) -> None:
    body = {"name": "docs", "metadata": {"hnsw:space": "cosine"}, "extra": 1}
    made = http.post(f"{API}/collections", json=body).json()
    assert list(made)[:3] == ["name", "id", "metadata"]
    assert made["configuration_json"]["hnsw"]["space"] == "cosine"
    assert http.get(DOCS).json() == http.get(f"{API}/collections/{made['id']}").json() == made
    assert http.get(f"{API}/collections?extended=true").json() == [made]
    assert http.get(f"{API}/count_collections").json() == 1
    assert http.put(DOCS, json={"new_name": "texts", "new_metadata": {"k": 2.0}}).text == "null"
    assert http.get(f"{API}/collections/texts").json()["metadata"] == {"k": 2.0}
    changed = http.put(f"{API}/collections/texts", json={"new_embedding_function": '{"name":"f"}', "extended": True})
    assert changed.json()["embedding_function"] == '{"name":"f"}'
    assert http.delete(f"{API}/collections/{made['id']}").text == "null"
    assert _failed(http.get(f"{API}/collections/texts")) == (404, "InvalidCollection")
    assert _failed(http.delete(f"{API}/collections/texts")) == (404, "InvalidCollection")


def test_get_or_create(docs: TestClient) -> None:
    body: dict[str, Any] = {"name": "docs"}
    assert _failed(docs.post(f"{API}/collections", json=body)) == (409, "UniqueConstraint")
    same = docs.post(f"{API}/collections", json={**body, "get_or_create": True})
    assert same.json()["metadata"] == {"a": 1}
    replaced = docs.post(f"{API}/collections", json={**body, "get_or_create": True, "metadata": {"b": True}})
    assert (replaced.json()["metadata"], replaced.json()["id"]) == ({"b": True}, same.json()["id"])
    other_space = {**body, "get_or_create": True, "metadata": {"hnsw:space": "ip"}}
    assert _failed(docs.post(f"{API}/collections", json=other_space)) == (400, "InvalidArgumentError")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "docs", "metadata": {"a": None}},
        {"name": "docs", "metadata": {"a": 10**20}},
        {"name": "docs", "metadata": {"hnsw:space": "moon"}},
        {"name": "docs", "configuration": {"hnsw": {"speed": 1}}},
        {"name": "docs", "embedding_function": "no JSON"},
        {"name": "docs", "embedding_function": "[]"},
    ],
)
def test_collections_that_cannot_be(http: TestClient, body: dict[str, Any]) -> None:
    assert _failed(http.post(f"{API}/collections", json=body)) == (400, "InvalidArgumentError")
    assert http.get(f"{API}/count_collections").json() == 0


def test_a_collection_with_an_id(docs: TestClient) -> None:
    wanted = str(uuid.uuid4())
    configuration = {"hnsw": {"space": "ip", "max_neighbors": 8}}
    body = {"name": "made", "id": wanted, "configuration": configuration, "metadata": {}}
    made = docs.post(f"{API}/collections", json=body).json()
    assert (made["id"], made["metadata"], made["configuration_json"]["hnsw"]["max_neighbors"]) == (wanted, None, 8)
    assert _failed(docs.post(f"{API}/collections", json={"name": "other", "id": wanted})) == (409, "UniqueConstraint")
    assert _failed(docs.post(f"{API}/collections", json={"name": "other", "id": "?"})) == (400, "InvalidUUID")


def test_a_collection_named_like_the_id_of_none(http: TestClient) -> None:
    name = str(uuid.uuid4())
    http.post(f"{API}/collections", json={"name": name})
    assert http.get(f"{API}/collections/{name}/count").json() == 0


def test_lists_of_collections_in_parts(http: TestClient) -> None:
    for name in ("one", "two", "three"):
        http.post(f"{API}/collections", json={"name": name})
    parts = http.get(f"{API}/collections", params={"limit": 1, "offset": 1, "tenant": "default_tenant"}).json()
    assert [one["name"] for one in parts] == ["two"]
    assert _failed(http.get(f"{API}/collections?limit=-1")) == (422, "InvalidArgumentError")
    assert _failed(http.get(f"{API}/collections?database=other")) == (404, "NotFoundError")


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("0.3.7", {"name"}),
        ("0.3.10", {"name"}),
        ("0.3.11", {"name", "metadata"}),
        ("0.3.22", {"name", "metadata"}),
        ("0.3.23", {"name", "id", "metadata"}),
        ("0.6", {"name", "id", "metadata"}),
    ],
)
def test_lists_hold_what_old_python_clients_take(store: LocalStore, version: str, fields: set[str]) -> None:
    with TestClient(create_app(store, client_version=version), base_url="http://localhost") as client:
        client.post(f"{API}/collections", json={"name": "docs"})
        assert [set(one) for one in client.get(f"{API}/collections").json()] == [fields]
        assert "version" in client.get(f"{API}/collections", params={"extended": "true"}).json()[0]
        assert _failed(client.get(f"{API}/collections?extended=perhaps")) == (422, "InvalidArgumentError")


def test_changes_that_cannot_be(docs: TestClient) -> None:
    docs.post(f"{API}/collections", json={"name": "other"})
    assert _failed(docs.put(DOCS, json={"new_name": "other"})) == (409, "UniqueConstraint")
    assert _failed(docs.put(DOCS, json={"new_name": "x"})) == (400, "InvalidArgumentError")
    assert _failed(docs.put(DOCS, json={"new_metadata": {"hnsw:space": "ip"}})) == (400, "InvalidArgumentError")
    assert docs.get(DOCS).json()["metadata"] == {"a": 1}


def test_the_one_tenant_and_database(http: TestClient) -> None:
    assert http.get(f"{API}/tenants/default_tenant").json() == {"name": "default_tenant"}
    assert http.get(f"{API}/databases/default_database").json()["tenant"] == "default_tenant"
    for kind in ("tenant", "database"):
        assert _failed(http.get(f"{API}/{kind}s/other")) == (404, "NotFoundError")
        assert _failed(http.post(f"{API}/{kind}s", json={"name": f"default_{kind}"})) == (409, "AlreadyExists")
        assert _failed(http.post(f"{API}/{kind}s", json={"name": "other"})) == (501, "NotSupported")


# items ----------------------------------------------------------------------------------------


def test_get(docs: TestClient) -> None:
    everything = docs.post(f"{DOCS}/get", json={}).json()
    assert list(everything) == ["ids", "embeddings", "documents", "metadatas"]
    assert everything["metadatas"] == [{"n": 1, "t": "x"}, {"n": 2.5}, None]
    include = {"include": ["embeddings"], "ids": ["c", "zz", "a"]}
    assert docs.post(f"{DOCS}/get", json=include).json() == {
        "ids": ["c", "a"],
        "embeddings": [[5.0, 5.0], [1.0, 0.0]],
        "documents": None,
        "metadatas": None,
    }
    filters = {"where": {"n": {"$gt": 0}}, "where_document": {"$contains": "o"}, "limit": "5", "offset": 0, "sort": "x"}
    assert docs.post(f"{DOCS}/get", json=filters).json()["ids"] == ["a"]
    # Clients before 0.3.26 meant all of several keys.
    assert docs.post(f"{DOCS}/get", json={"where": {"n": 1, "t": "x"}}).json()["ids"] == ["a"]
    assert docs.post(f"{DOCS}/get", json={"limit": 1, "offset": 1}).json()["ids"] == ["b"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"where": {"$foo": 1}}, 400),
        ({"where": {"n": {"$gt": "x"}}}, 400),
        ({"where": []}, 422),
        ({"where_document": {"$contains": 1}}, 400),
        ({"where_document": {"$regex": "("}}, 400),
        ({"ids": ["a", "a"]}, 400),
        ({"ids": [{}]}, 422),
        ({"ids": {}}, 422),
        ({"ids": True}, 422),
        ({"include": ["distances"]}, 422),
        ({"include": 1}, 422),
        ({"limit": -1}, 400),
        ({"limit": "many"}, 422),
        ({"offset": 1.5}, 422),
        ({"offset": True}, 422),
        ({"extended": "perhaps"}, 422),
    ],
)
def test_gets_that_make_no_sense(docs: TestClient, body: dict[str, Any], status: int) -> None:
    assert docs.post(f"{DOCS}/get", json=body).status_code == status


def test_query(docs: TestClient) -> None:
    found = docs.post(f"{DOCS}/query", json={"query_embeddings": [[1, 0], [0, 1]], "n_results": "2"}).json()
    assert list(found) == ["ids", "embeddings", "documents", "metadatas", "distances"]
    assert found["ids"] == [["a", "b"], ["b", "a"]]
    assert found["distances"] == [[0.0, 2.0], [0.0, 2.0]]
    assert found["documents"] == [["one", None], [None, "one"]]
    body = {"query_embeddings": [1, 0], "where": {"n": {"$gte": 2}}, "include": ["embeddings"], "exact": True}
    assert docs.post(f"{DOCS}/query", json=body).json() == {
        "ids": [["b"]],
        "embeddings": [[[0.0, 1.0]]],
        "documents": None,
        "metadatas": None,
        "distances": None,
    }
    vector = base64.b64encode(np.array([5, 5], dtype="<f4").tobytes()).decode()
    among = {"query_embeddings": [vector], "ids": ["a", "b"], "where": None, "include": None}
    assert docs.post(f"{DOCS}/query", json=among).json()["distances"] == [[41.0, 41.0]]
    nothing = docs.post(f"{DOCS}/query", json={"query_embeddings": [[1, 0]], "where": {"n": 99}}).json()
    assert (nothing["ids"], nothing["documents"]) == ([[]], [[]])


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({}, (422, "InvalidArgumentError")),
        ({"query_embeddings": "x"}, (422, "InvalidArgumentError")),
        ({"query_embeddings": []}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [[]]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [["x"]]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [[True, False]]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [[None, 1]]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [[1, 2], [1]]}, (400, "InvalidDimension")),
        ({"query_embeddings": [[1, 2, 3]]}, (400, "InvalidDimension")),
        ({"query_embeddings": ["AAAA"]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": ["AACAPwAAAEA=", 5]}, (400, "InvalidArgumentError")),
        ({"query_embeddings": ["AACAPwAAAEA=", "AACAPw=="]}, (400, "InvalidDimension")),
        ({"query_embeddings": [[1, 0]], "n_results": 0}, (400, "InvalidArgumentError")),
        ({"query_embeddings": [[1, 0]], "n_results": 10_001}, (422, "InvalidArgumentError")),
        ({"query_embeddings": [[1, 0]] * 1_001}, (422, "InvalidArgumentError")),
        ({"query_embeddings": [[1, 0]], "include": ["uris"]}, (422, "InvalidArgumentError")),
    ],
)
def test_queries_that_make_no_sense(docs: TestClient, body: dict[str, Any], failure: tuple[int, str]) -> None:
    assert _failed(docs.post(f"{DOCS}/query", json=body)) == failure


def test_add(docs: TestClient) -> None:
    again = {"ids": ["a", "d"], "embeddings": [[9, 9], [9, 9]]}
    assert docs.post(f"{DOCS}/add", json={**again, "extended": True}).json() == {"added": 1}
    repeated = docs.post(f"{DOCS}/add", json=again)
    assert (repeated.status_code, repeated.json()) == (201, False)
    assert docs.get(f"{DOCS}/count").json() == 4
    assert docs.post(f"{DOCS}/get", json={"ids": "a", "include": "embeddings"}).json()["embeddings"] == [[1.0, 0.0]]
    one = {"ids": 7, "embeddings": [1, 2], "metadatas": {"k": 1}, "documents": 5, "increment_index": False}
    assert docs.post(f"{DOCS}/add", json=one).json() is True
    assert docs.post(f"{DOCS}/get", json={"ids": ["7"]}).json()["documents"] == ["5"]
    named = {"ids": ["e"], "embeddings": [[1, 1]], "documents": ["x"], "function": '{"name": "mini"}'}
    assert docs.post(f"{DOCS}/add", json=named).status_code == 201
    assert docs.get(DOCS).json()["embedding_function"] == '{"name": "mini"}'


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({"embeddings": [[1, 2]]}, (422, "InvalidArgumentError")),
        ({"ids": ["x"]}, (422, "InvalidArgumentError")),
        ({"ids": [], "embeddings": [[1, 2]]}, (400, "InvalidArgumentError")),
        ({"ids": ["x", "x"], "embeddings": [[1, 2]] * 2}, (400, "DuplicateID")),
        ({"ids": ["x", "y"], "embeddings": [[1, 2]]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2, 3]]}, (400, "InvalidDimension")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": [{"k": {}}]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": [5]}, (422, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": 5}, (422, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": [{"k": 2**63}]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": [{"k": 10**30}]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "documents": [{}]}, (422, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "keeps": [5], "columns": []}, (422, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "function": "{}"}, (400, "InvalidArgumentError")),
        ({"ids": ["\ud800"], "embeddings": [[1, 2]]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "documents": ["\ud800"]}, (400, "InvalidArgumentError")),
        ({"ids": ["x"], "embeddings": [[1, 2]], "metadatas": [{"\ud800": 1}]}, (400, "InvalidArgumentError")),
    ],
)
def test_adds_that_make_no_sense(docs: TestClient, body: dict[str, Any], failure: tuple[int, str]) -> None:
    assert _failed(docs.post(f"{DOCS}/add", content=wire.dumps(body))) == failure
    assert docs.get(f"{DOCS}/count").json() == 3


@pytest.mark.parametrize("numbers", ["[NaN, 1]", "[1e999, 1]", "[Infinity, 1]", "[1e39, 1]"])
def test_numbers_that_no_vector_holds(docs: TestClient, numbers: str) -> None:
    body = f'{{"ids": ["x"], "embeddings": [{numbers}]}}'
    assert _failed(docs.post(f"{DOCS}/add", content=body)) == (400, "InvalidArgumentError")


def test_update_and_upsert(docs: TestClient) -> None:
    assert docs.post(f"{DOCS}/update", json={"ids": ["a"], "documents": ["new"]}).json() is True
    missing = docs.post(f"{DOCS}/update", json={"ids": ["a", "zz"], "documents": ["y", "y"]})
    assert _failed(missing) == (404, "IDNotFound")
    assert docs.post(f"{DOCS}/get", json={"ids": ["a"]}).json()["documents"] == ["new"]
    change = {"ids": ["a", "d"], "embeddings": [[7, 7], [8, 8]], "metadatas": [{"m": 1}, {"m": 2}], "extended": 1}
    assert docs.post(f"{DOCS}/upsert", json=change).json() == {"added": None}
    found = docs.post(f"{DOCS}/get", json={"ids": ["a", "d"]}).json()
    assert (found["metadatas"], found["documents"]) == ([{"m": 1}, {"m": 2}], ["new", None])
    assert _failed(docs.post(f"{DOCS}/upsert", json={"ids": ["a"]})) == (422, "InvalidArgumentError")


def test_delete(docs: TestClient) -> None:
    assert docs.post(f"{DOCS}/delete", json={"ids": []}).json() == []
    assert docs.post(f"{DOCS}/delete", json={"ids": ["a", "zz"], "where": {}}).json() == ["a"]
    assert docs.post(f"{DOCS}/delete", json={"where": {"n": 2.5}, "extended": True}).json() == {"deleted": 1}
    assert docs.post(f"{DOCS}/delete", json={"where_document": {"$contains": "three"}}).json() == ["c"]
    docs.post(f"{DOCS}/add", json={"ids": ["a", "b"], "embeddings": [[1, 2], [3, 4]]})
    assert docs.post(f"{DOCS}/delete", json={"ids": None, "where": None}).json() == ["a", "b"]
    assert docs.get(f"{DOCS}/count").json() == 0


def test_stats_known_and_index(docs: TestClient) -> None:
    stats = docs.get(f"{API}/collections/{_id(docs)}/stats").json()
    assert stats == {"count": 3, "keys": {"n": ["int", "float"], "t": ["str"]}, "indexed": 0}
    assert docs.post(f"{DOCS}/known", json={"ids": ["zz", "a"]}).json() == [False, True]
    assert docs.post(f"{DOCS}/known", json={"ids": []}).json() == []
    assert docs.post(f"{DOCS}/create_index").json() is True


def test_what_is_not_there(http: TestClient) -> None:
    missing = f"{API}/collections/missing"
    for path in (missing, f"{missing}/count", f"{missing}/stats"):
        assert _failed(http.get(path)) == (404, "InvalidCollection")
    vectors = {"ids": ["a"], "embeddings": [[1]], "query_embeddings": [[1]]}
    for name in ("add", "update", "upsert", "get", "query", "delete", "known", "create_index"):
        assert _failed(http.post(f"{missing}/{name}", json=vectors)) == (404, "InvalidCollection"), name


def test_names_that_clients_look_up_stand_alone_for_those_alone(docs: TestClient) -> None:
    vectors = {"ids": ["d"], "embeddings": [[1, 2, 3]]}
    for path, body, name in (
        (DOCS, vectors, "InvalidDimension"),
        (f"{API}/collections/gone", vectors, "InvalidCollection"),
    ):
        to_python = docs.post(f"{path}/add", json=body, headers={"user-agent": "python-requests/2.31.0"}).json()
        to_javascript = docs.post(f"{path}/add", json=body, headers={"user-agent": "node"}).json()
        assert to_python["error"] == name
        assert to_javascript["error"] == f"{name}: {to_python['message']}"
        assert to_javascript["message"] == to_python["message"] != ""
    plain = docs.post(f"{API}/tenants", json={"name": "t"}, headers={"user-agent": "python-requests/2.31.0"}).json()
    assert plain["error"] == f"NotSupported: {plain['message']}"


# SQL ------------------------------------------------------------------------------------------


def test_sql(docs: TestClient) -> None:
    body: dict[str, Any] = {
        "raw_sql": "select id, n, t, 1::hugeint h from docs where id <> ? order by id",
        "parameters": ["c"],
    }
    assert docs.post(f"{API}/raw_sql", json=body).json() == {
        "id": ["a", "b"],
        "n": [1.0, 2.5],
        "t": ["x", None],
        "h": [1, 1],
    }
    arrow = base64.b64decode(docs.post(f"{API}/raw_sql", json={**body, "extended": True}).json()["arrow"])
    table = pa.ipc.open_stream(io.BytesIO(arrow)).read_all()
    assert table.column("id").to_pylist() == ["a", "b"]
    for wrong in ("drop table docs", "select * from 'x.csv'", "select", "copy docs to 'x'", "install httpfs"):
        assert _failed(docs.post(f"{API}/raw_sql", json={"raw_sql": wrong})) == (400, "Sql"), wrong
    assert _failed(docs.post(f"{API}/raw_sql", json={**body, "parameters": 5})) == (400, "InvalidArgumentError")
    assert docs.get(f"{DOCS}/count").json() == 3


# how bodies come ------------------------------------------------------------------------------


@pytest.fixture
def bare(store: LocalStore) -> Iterator[TestClient]:
    """A client that says nothing of its bodies, as the Python clients of 0.3 do."""
    with TestClient(create_app(store), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"content-type": "application/json; charset=utf-8"}, 200), ({"content-type": "text/plain"}, 422)],
)
def test_types_of_bodies(bare: TestClient, headers: dict[str, str], status: int) -> None:
    answer = bare.post(f"{API}/collections", content=b'{"name": 12345}', headers=headers)
    assert answer.status_code == status
    assert status != 200 or answer.json()["name"] == "12345"


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"5", b'"x"', b"{", b"\xff", b"[" * 50_000, b'{"name": "\xff"}']
)
def test_bodies_that_are_no_objects(bare: TestClient, content: bytes) -> None:
    answer = bare.post(f"{API}/collections", content=content)
    assert _failed(answer) == (422, "InvalidArgumentError")
    assert answer.json()["detail"][0]["loc"][0] == "body"


def test_a_large_query_is_read_beside_the_others(bare: TestClient) -> None:
    bare.post(f"{API}/collections", json={"name": "docs"})
    bare.post(f"{DOCS}/add", json={"ids": ["a"], "embeddings": [[0.5] * 300]})
    many = {"query_embeddings": [[0.123456789] * 300] * 40}
    assert bare.post(f"{DOCS}/query", json=many).json()["ids"] == [["a"]] * 40
