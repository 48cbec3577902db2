"""Who may do what, how much of it, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from chroma_nb.errors import SqlError
from chroma_nb.rest.exchange import Receiver
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.refusals import DisconnectedError, SlowRequestError
from chroma_nb.rest.server import create_app
from chroma_nb.store.confined import confined_sql
from chroma_nb.store.local import LocalStore
from chroma_nb.types import CollectionStats

API = "/api/v1"
TOKEN = "secret"  # noqa: S105 - of servers that live for a test


@contextmanager
def _served(store: LocalStore, **settings: Any) -> Iterator[TestClient]:
    with TestClient(create_app(store, **settings), base_url="http://localhost") as client:
        yield client


def _name(response: Any) -> str:
    return str(response.json()["error"].split(":")[0])


# who ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer secret"}, {"authorization": "bearer  secret"}, {"X-Chroma-Token": "secret"}],
)
def test_a_token_opens(store: LocalStore, headers: dict[str, str]) -> None:
    with _served(store, token=TOKEN) as client:
        assert client.get(f"{API}/collections", headers=headers).json() == []
        assert client.get("/nope", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "secret"},
        {"Authorization": "Basic secret"},
        {"Authorization": "Bearer"},
        {"X-Chroma-Token": ""},
        {"X-Chroma-Token": "secret2"},
        {"X-Chroma-Token": "s\u00e9cret"},
    ],
)
def test_nothing_opens_without_the_token(store: LocalStore, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    with _served(store, token=TOKEN, allow_reset=True) as client:
        for method, path in (("GET", "collections"), ("POST", "reset"), ("GET", "nope"), ("GET", "pre-flight-checks")):
            refused = client.request(method, f"{API}/{path}", headers=raw)
            assert (refused.status_code, _name(refused)) == (401, "AuthorizationError")
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "secret" not in refused.text.replace("X-Chroma-Token", "")
        for path in (API, f"{API}/heartbeat", f"{API}/version", "/docs", "/openapi.json"):
            assert client.get(path, headers=raw).status_code == 200


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(ServerOptions(token=TOKEN))


def test_the_description_says_that_a_token_is_needed(store: LocalStore) -> None:
    with _served(store, token=TOKEN) as client:
        described = client.get("/openapi.json").json()
    assert set(described["components"]["securitySchemes"]) == {"bearer", "header"}
    assert "security" in described["paths"][f"{API}/collections"]["get"]
    assert "security" not in described["paths"][f"{API}/heartbeat"]["get"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "LOCALHOST"])
def test_names_of_loopback_are_answered(store: LocalStore, host: str) -> None:
    with _served(store, hosts=frozenset({"localhost", "127.0.0.1", "::1"})) as client:
        assert client.get(f"{API}/collections", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:8000", "", "127.0.0.1.x"])
def test_other_names_are_not(store: LocalStore, host: str) -> None:
    """Against pages whose own name is made to point at this machine."""
    with _served(store, hosts=frozenset({"localhost", "127.0.0.1", "::1"})) as client:
        for path in (f"{API}/collections", f"{API}/heartbeat"):
            refused = client.get(path, headers={"Host": host})
            assert (refused.status_code, _name(refused)) == (403, "AuthorizationError")


def test_a_page_that_points_its_name_here_is_refused(store: LocalStore) -> None:
    """Such a page has the same origin as the server, in the eyes of a browser."""
    origin = "http://evil.example:8000"
    for settings, token, status in (
        ({}, None, 403),
        ({"hosts": frozenset({"*"})}, None, 403),
        ({"hosts": frozenset({"*"}), "cors_origins": (origin,)}, None, 200),
        ({"hosts": frozenset({"evil.example"})}, None, 200),
        ({"token": TOKEN}, None, 401),
        ({"token": TOKEN}, TOKEN, 200),
        ({"token": TOKEN, "hosts": frozenset({"localhost"})}, TOKEN, 403),
    ):
        with TestClient(create_app(store, allow_reset=True, **settings), base_url=origin) as page:
            headers = {"Origin": origin} | ({} if token is None else {"X-Chroma-Token": token})
            assert page.post(f"{API}/reset", headers=headers).status_code == status


def test_any_name_is_answered_only_if_that_is_said(store: LocalStore) -> None:
    for hosts, status in ((None, 403), (frozenset({"*"}), 200), (frozenset({"box.lan"}), 200)):
        with TestClient(create_app(store, hosts=hosts), base_url="http://box.lan:8000") as client:
            assert client.get(f"{API}/collections").status_code == status


def test_pages_of_other_origins_change_nothing(store: LocalStore) -> None:
    with _served(store, allow_reset=True) as client:
        for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
            refused = client.post(f"{API}/reset", headers={"Origin": origin})
            assert (refused.status_code, _name(refused)) == (403, "AuthorizationError")
            assert "access-control-allow-origin" not in refused.headers
            asked = client.options(
                f"{API}/collections", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert (asked.status_code, asked.text) == (400, "Disallowed CORS origin")
        assert client.post(f"{API}/reset", headers={"Origin": "http://localhost"}).json() is True


def test_pages_of_named_origins_may_call(store: LocalStore) -> None:
    origin = "http://localhost:3000"
    with _served(store, cors_origins=(origin,), token=TOKEN) as client:
        asked = client.options(
            f"{API}/collections",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,x-chroma-token",
            },
        )
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, origin)
        told = client.get(f"{API}/collections", headers={"Origin": origin, "X-Chroma-Token": "secret"})
        assert told.headers["access-control-allow-origin"] == origin
        # A page can read why it was refused.
        assert client.get(f"{API}/collections", headers={"Origin": origin}).headers["access-control-allow-origin"]


def test_reset_and_sql_are_off(store: LocalStore) -> None:
    with _served(store) as client:
        for refused in (client.post(f"{API}/reset"), client.post(f"{API}/raw_sql", json={"raw_sql": "select 1"})):
            assert (refused.status_code, _name(refused)) == (403, "AuthorizationError")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_text('/etc/hostname')",
        "select * from read_csv('/etc/passwd')",
        "select * from glob('/*')",
        "attach '/tmp/x.db'",
        "copy (select 1) to '/tmp/x.csv'",
        "set enable_external_access = true",
        "pragma database_list",
        "select getenv('PATH')",
        "create table t (x int)",
        "delete from docs",
    ],
)
def test_sql_reads_collections_and_nothing_else(store: LocalStore, statement: str) -> None:
    with _served(store, allow_sql=True) as client:
        refused = client.post(f"{API}/raw_sql", json={"raw_sql": statement})
        assert (refused.status_code, _name(refused)) == (400, "Sql")


def test_sql_ends(store: LocalStore) -> None:
    with pytest.raises(SqlError, match=r"longer than 0\.3 seconds"):
        confined_sql(store, "select count(distinct a.range * b.range) from range(99999) a, range(99999) b", seconds=0.3)
    with pytest.raises(SqlError, match="longer than 0"):  # in the midst of the result
        confined_sql(store, "select range::varchar || 'x' from range(1000000000)", seconds=0.3)
    with pytest.raises(SqlError, match="boom"):
        confined_sql(store, "select case when range = 900000 then error('boom') end from range(1000000)")
    with pytest.raises(SqlError, match="more than a server sends"):
        confined_sql(store, "select range from range(1000000)", most_bytes=1_000_000)
    assert confined_sql(store, "select range from range(50000)").num_rows == 50_000
    assert confined_sql(store, "select 1 as n where false").to_pylist() == []


# how much -------------------------------------------------------------------------------------


def test_bodies_have_a_limit(store: LocalStore) -> None:
    with _served(store, max_body_bytes=1000) as client:
        for content in (b'{"name": "' + b"x" * 2000 + b'"}', iter([b'{"name": "', b"x" * 600, b"x" * 600, b'"}'])):
            refused = client.post(f"{API}/collections", content=content)
            assert (refused.status_code, _name(refused)) == (413, "RequestTooLarge")
            assert "1,000 bytes" in refused.json()["message"]
            assert refused.headers["connection"] == "close"
        assert client.get(f"{API}/count_collections").json() == 0


def test_batches_have_a_limit(store: LocalStore) -> None:
    with _served(store, max_batch_size=2) as client:
        client.post(f"{API}/collections", json={"name": "docs"})
        items = {"ids": ["a", "b", "c"], "embeddings": [[1, 2]] * 3}
        for name in ("add", "update", "upsert", "known"):
            refused = client.post(f"{API}/collections/docs/{name}", json=items)
            assert (refused.status_code, _name(refused)) == (413, "RequestTooLarge")
        assert client.get(f"{API}/collections/docs/count").json() == 0
        assert client.get(f"{API}/pre-flight-checks").json()["max_batch_size"] == 2


class _Waiting(LocalStore):
    """A store whose counting takes until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def stats(self, collection: Any) -> CollectionStats:
        self.begun.release()
        assert self.may_end.wait(20)
        return super().stats(collection)


def test_work_has_a_limit() -> None:
    store = _Waiting()
    answers: list[int] = []
    with _served(store, max_concurrent=2, threads=2) as client:
        client.post(f"{API}/collections", json={"name": "docs"})
        threads = [
            threading.Thread(
                target=lambda: answers.append(client.get(f"{API}/collections/docs/count").status_code), daemon=True
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
            assert store.begun.acquire(timeout=20)
        refused = client.get(f"{API}/collections/docs")
        assert (refused.status_code, _name(refused)) == (503, "Overloaded")
        assert refused.headers["retry-after"] == "1"
        assert client.get(f"{API}/heartbeat").status_code == 200
        store.may_end.set()
        for thread in threads:
            thread.join(20)
        assert answers == [200, 200]
        assert client.get(f"{API}/collections/docs").status_code == 200
    store.close()


def _scope(**headers: str) -> dict[str, Any]:
    return {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


def test_a_body_has_to_come() -> None:
    receiver = Receiver(ServerOptions(body_seconds=0.05))
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await asyncio.sleep(20)
        raise AssertionError

    with pytest.raises(SlowRequestError):
        asyncio.run(receiver.read(_scope(), receive))


def test_a_body_that_keeps_coming_has_time() -> None:
    receiver = Receiver(ServerOptions(body_seconds=0.1, body_rate=10))
    pieces = [{"type": "http.request", "body": b"x" * 10, "more_body": more} for more in (False, True, True, True)]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.07)
        return pieces.pop()

    assert asyncio.run(receiver.read(_scope(), receive)).bytes() == b"x" * 40


def test_a_client_that_goes_away_is_not_answered() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(DisconnectedError):
        asyncio.run(Receiver(ServerOptions()).read(_scope(), receive))


def test_bodies_that_are_read_count_until_they_are_done_with() -> None:
    receiver = Receiver(ServerOptions(max_body_bytes=10))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 10, "more_body": False}

    async def read() -> None:
        held = [await receiver.read(_scope(), receive) for _ in range(4)]
        with pytest.raises(Exception, match="as many bytes of other requests") as refused:
            await receiver.read(_scope(), receive)
        assert getattr(refused.value, "http_status", None) == 503
        held[0].let_go()
        await receiver.read(_scope(), receive)

    asyncio.run(read())


# what is said ---------------------------------------------------------------------------------


class _Failing(LocalStore):
    """A store with a fault inside."""

    def list_collections(self) -> Any:
        raise ZeroDivisionError("secret inside")


def test_a_fault_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    store = _Failing()
    with _served(store) as client:
        failed = client.get(f"{API}/collections")
    store.close()
    assert (failed.status_code, _name(failed)) == (500, "ChromaError")
    assert "secret" not in failed.text
    assert "Traceback" not in failed.text
    assert "ZeroDivisionError: secret inside" in caplog.text


def test_one_line_of_json_for_each_request(store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chroma_nb.rest.access")
    with _served(store, token=TOKEN) as client:
        headers = {"Authorization": "Bearer secret"}
        client.post(f"{API}/collections?x=query", json={"name": "docs"}, headers=headers)
        items = {"ids": ["a"], "embeddings": [[1, 2]], "documents": ["a private text"]}
        client.post(f"{API}/collections/docs/add", json=items, headers=headers)
        client.get(f"{API}/collections/%0A%22nope", headers=headers)
        client.get(f"{API}/collections")
    lines = [record.getMessage() for record in caplog.records if record.name == "chroma_nb.rest.access"]
    assert all("\n" not in line and "secret" not in line and "private" not in line for line in lines)
    entries = [json.loads(line) for line in lines]
    assert [(entry["method"], entry["status"]) for entry in entries] == [
        ("POST", 200),
        ("POST", 201),
        ("GET", 404),
        ("GET", 401),
    ]
    assert set(entries[0]) == {"time", "method", "path", "status", "ms", "bytes", "client"}
    assert entries[1]["path"] == f"{API}/collections/docs/add"
    assert entries[1]["bytes"] == len("true")
    assert entries[0]["ms"] > 0


def test_without_a_reader_no_line_is_made(store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "chroma_nb.rest.access")
    with _served(store) as client:
        assert client.get(f"{API}/collections").status_code == 200
    assert caplog.records == []
