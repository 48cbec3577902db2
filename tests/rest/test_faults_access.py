"""Wrong and missing tokens on every route, foreign hosts and origins, and more at once than is allowed."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from chroma_nb.rest.description import description
from chroma_nb.rest.options import ServerOptions
from chroma_nb.store.local import LocalStore
from tests.rest.process import Answer
from tests.rest.raw import Raw, head, whole
from tests.rest.threaded import ThreadedServer, threaded

TOKEN = "correct-horse-battery"  # noqa: S105 - made up
OPEN = {"/api/v1", "/api/v1/heartbeat", "/api/v1/version"}
_PATHS: dict[str, dict[str, Any]] = description(token=True)["paths"]
ROUTES = [
    (verb.upper(), path.replace("{collection}", "docs").replace("{name}", "default_tenant"))
    for path, verbs in _PATHS.items()
    for verb in verbs
]

WRONG = {
    "none": [],
    "empty": ["Authorization: Bearer "],
    "no scheme": [f"Authorization: {TOKEN}"],
    "another scheme": [f"Authorization: Basic {TOKEN}"],
    "a part": [f"Authorization: Bearer {TOKEN[:-1]}"],
    "longer": [f"Authorization: Bearer {TOKEN}x"],
    "another case": [f"Authorization: Bearer {TOKEN.upper()}"],
    "not ASCII": ["Authorization: Bearer caf\xe9", "X-Chroma-Token: \xff\xfe"],
    "a cookie": [f"Cookie: token={TOKEN}"],
    "another header": [f"X-Token: {TOKEN}"],
}
RIGHT = {
    "bearer": [f"Authorization: Bearer {TOKEN}"],
    "lower case": [f"authorization: bearer {TOKEN}"],
    "of Chroma": [f"X-Chroma-Token: {TOKEN}"],
    "beside a wrong one": ["Authorization: Bearer no", f"X-Chroma-Token: {TOKEN}"],
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[ThreadedServer]:
    """A server with a token that works on two requests at a time."""
    store = LocalStore()
    with threaded(store, ServerOptions(token=TOKEN, allow_reset=True, max_concurrent=2)) as server:
        made = server.call("POST", "/api/v1/collections", {"name": "docs"}, {"X-Chroma-Token": TOKEN})
        assert made.status == 200
        yield server
    store.close()


def _asked(server: ThreadedServer, method: str, path: str, headers: list[str], body: bytes = b"{}") -> Answer:
    with Raw(server.port) as connection:
        connection.send(head(method, path, f"Content-Length: {len(body)}", *headers), body)
        return connection.answer()


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(route) for route in ROUTES])
def test_every_route_asks_for_the_token(guarded: ThreadedServer, method: str, path: str) -> None:
    for headers in WRONG.values():
        answer = _asked(guarded, method, path, headers)
        if path in OPEN:
            assert answer.status == 200
            continue
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json["error"].startswith("AuthorizationError")
        assert TOKEN not in answer.body.decode()
    # Nothing was done on the way: not even by reset, which is allowed here.
    assert _asked(guarded, "GET", "/api/v1/collections/docs/count", RIGHT["bearer"]).json == 0


def test_the_routes_were_found() -> None:
    assert len(ROUTES) > 25
    assert {("POST", "/api/v1/reset"), ("DELETE", "/api/v1/collections/docs")} < set(ROUTES)
    assert {path for _, path in ROUTES} > OPEN


@pytest.mark.parametrize("headers", RIGHT.values(), ids=list(RIGHT))
def test_the_right_token(guarded: ThreadedServer, headers: list[str]) -> None:
    answer = _asked(guarded, "GET", "/api/v1/count_collections", headers)
    assert (answer.status, answer.json) == (200, 1)


def test_the_token_is_in_no_log(guarded: ThreadedServer, caplog: pytest.LogCaptureFixture) -> None:
    access = logging.getLogger("chroma_nb.rest.access")
    with caplog.at_level(logging.DEBUG):
        access.addHandler(caplog.handler)
        access.setLevel(logging.INFO)
        try:
            for headers in [*RIGHT.values(), *WRONG.values()]:
                _asked(guarded, "POST", "/api/v1/collections/docs/get", headers)
                _asked(guarded, "POST", "/api/v1/collections/none/get", headers)
        finally:
            access.removeHandler(caplog.handler)
            access.setLevel(logging.NOTSET)
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name == access.name]
    assert {line["status"] for line in logged} == {200, 401, 404}
    assert TOKEN not in caplog.text
    assert TOKEN[:-1] not in caplog.text


def test_more_at_once_than_allowed_is_told_to_come_back(guarded: ThreadedServer) -> None:
    body = b'{"ids": ["a"]}'
    asked = head("POST", "/api/v1/collections/docs/get", f"Content-Length: {len(body)}", *RIGHT["bearer"])
    with contextlib.ExitStack() as stack:
        holding = [stack.enter_context(Raw(guarded.port)) for _ in range(2)]
        for connection in holding:
            connection.send(asked)
        refused = _until_refused(guarded)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json["error"].startswith("Overloaded")
        assert guarded.seconds_to_answer < 5  # whoever watches the server still gets an answer
        for connection in holding:
            connection.send(body)
            assert connection.answer().status == 200
    assert _asked(guarded, "GET", "/api/v1/count_collections", RIGHT["bearer"]).status == 200


def _until_refused(server: ThreadedServer) -> Answer:
    """The heads of the others may not have been read at once."""
    for _ in range(100):
        answer = _asked(server, "GET", "/api/v1/count_collections", RIGHT["bearer"])
        if answer.status == 503:
            return answer
    raise AssertionError("nothing was refused")


@pytest.fixture(scope="module")
def loopback() -> Iterator[ThreadedServer]:
    """A server as it is on loopback: for no other name."""
    store = LocalStore()
    with threaded(store, ServerOptions(hosts=frozenset({"127.0.0.1", "localhost"}), allow_reset=True)) as server:
        assert server.call("POST", "/api/v1/collections", {"name": "docs"}).status == 200
        yield server
    store.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost:8000", 200), ("LOCALHOST", 200), ("evil.example", 403), ("127.0.0.1.evil", 403),
     ("evil:127.0.0.1", 403), ("", 403), ("localhost@evil.example", 403)],
)  # fmt: skip
def test_names_that_pages_point_here(loopback: ThreadedServer, host: str, status: int) -> None:
    with Raw(loopback.port) as connection:
        connection.send(f"GET /api/v1/collections HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert connection.answer().status == status


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
def test_pages_of_elsewhere_change_nothing(loopback: ThreadedServer, origin: str) -> None:
    """A page may send such a POST without asking first."""
    with Raw(loopback.port) as connection:
        connection.send(whole("/api/v1/reset", b"", f"Origin: {origin}", "Content-Type: text/plain"))
        answer = connection.answer()
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert loopback.call("GET", "/api/v1/count_collections").json == 1
