"""What never ends: trailers, lines and bodies of requests that nobody reads any more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from chroma_nb.rest import connections, exchange
from chroma_nb.rest.options import ServerOptions
from chroma_nb.store.local import LocalStore
from tests.rest.raw import Raw, head, whole
from tests.rest.threaded import ThreadedServer, threaded

API = "/api/v1"
TOKEN = "correct-horse-battery"  # noqa: S105 - made up
CHUNKED = "Transfer-Encoding: chunked"
RIGHT = f"X-Chroma-Token: {TOKEN}"
# Far more than a server takes, and than the sockets on both sides hold.
_MOST = 32 * 1024 * 1024
LINES = {
    "lines": b"".join(b"x%d: y\r\n" % number for number in range(6000)),
    "a name": b"x" * 65536,
    "a value": b"x: " + b"y" * 65536,
}


@pytest.fixture
def guarded(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedServer]:
    """A server with a token, less patient than usual."""
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.5)
    monkeypatch.setattr(exchange, "_DRAIN_SECONDS", 0.5)
    with threaded(store, ServerOptions(token=TOKEN)) as server:
        yield server


def _taken(connection: Raw, piece: bytes) -> int:
    """How many bytes the server takes of what does not end, before it closes the connection."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < _MOST:
            connection.send(piece)
            sent += len(piece)
    return sent


def _held(connection: Raw, piece: bytes = b" ") -> float:
    """How many seconds the connection lives while a little comes now and then."""
    begun = time.perf_counter()
    with contextlib.suppress(ConnectionError):
        while time.perf_counter() - begun < 10:
            connection.send(piece)
            time.sleep(0.05)
    return time.perf_counter() - begun


@pytest.mark.parametrize("piece", LINES.values(), ids=list(LINES))
@pytest.mark.parametrize("headers", [[CHUNKED], [CHUNKED, RIGHT]], ids=["refused", "accepted"])
def test_trailers_have_a_limit(guarded: ThreadedServer, headers: list[str], piece: bytes) -> None:
    with Raw(guarded.port) as connection:
        connection.send(head("POST", f"{API}/collections", *headers), b"2\r\n{}\r\n0\r\n")
        assert _taken(connection, piece) < _MOST


def test_trailers_within_the_limit_are_ignored(guarded: ThreadedServer) -> None:
    body = b'{"name": "docs"}'
    with Raw(guarded.port) as connection:
        for status in (200, 409):
            connection.send(
                head("POST", f"{API}/collections", CHUNKED, RIGHT),
                b"%x\r\n%s\r\n0\r\nx: y\r\n\r\n" % (len(body), body),
            )
            assert connection.answer().status == status


@pytest.mark.parametrize(
    "request_head",
    [
        head("POST", f"{API}/collections", "Content-Length: 100000"),
        head("POST", f"{API}/collections", CHUNKED) + b"fffff\r\n",
        head("GET", f"{API}/nope", "Content-Length: 100000"),
        head("GET", f"{API}/heartbeat", "Content-Length: 100000"),  # answered without a token
        head("POST", f"{API}/heartbeat", "Content-Length: 100000", RIGHT),  # no such verb
        head("OPTIONS", API, "Content-Length: 100000", "Origin: http://x", "Access-Control-Request-Method: GET"),
        head("GET", f"{API}/collections", "Content-Length: 100000", RIGHT),
    ],
    ids=["refused", "refused, chunked", "nothing there", "open", "no verb", "a page", "accepted"],
)
def test_a_body_that_nobody_reads_has_to_come(guarded: ThreadedServer, request_head: bytes) -> None:
    with Raw(guarded.port) as connection:
        connection.send(request_head)
        connection.answer()
        assert _held(connection) < 5


def test_empty_lines_are_no_request(guarded: ThreadedServer) -> None:
    with Raw(guarded.port) as connection:
        connection.send(head("GET", f"{API}/heartbeat"))
        assert connection.answer().status == 200
        assert _held(connection, b"\r\n") < 5


def test_who_is_refused_gets_the_answer_and_an_end(guarded: ThreadedServer) -> None:
    """Also with megabytes on their way: to close at once would take the answer away."""
    for content in (b"", b"{}", b" " * 4_000_000):
        with Raw(guarded.port) as connection:
            connection.send(whole(f"{API}/collections", content))
            answer = connection.answer()
            assert (answer.status, answer.headers["connection"]) == (401, "close")
            assert connection.ended()


def test_much_that_is_allowed_is_taken(guarded: ThreadedServer) -> None:
    """Neither small chunks nor many requests on one connection count as endless."""
    chunk = b"1\r\n \r\n"
    with Raw(guarded.port) as connection:
        connection.send(head("POST", f"{API}/collections", CHUNKED, RIGHT), chunk * 100_000, b"2\r\n{}\r\n0\r\n\r\n")
        assert connection.answer().status == 422
        for _ in range(100):
            connection.send(head("GET", f"{API}/heartbeat", "X-Filler: " + "x" * 2000))
            assert connection.answer().status == 200
