"""Connections that say nothing, or too much; and what ends with the server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

from chroma_nb.rest import connections
from chroma_nb.rest.options import ServerOptions
from chroma_nb.store.local import LocalStore
from tests.rest.threaded import threaded

API = "/api/v1"


def _cut_after(port: int, text: bytes) -> float:
    """How many seconds until the server closes a connection on which this was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        begun = time.perf_counter()
        sock.sendall(text)
        while sock.recv(65536):
            pass
        return time.perf_counter() - begun


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/v1 HTTP/1.1\r\n",
    ],
)
def test_a_head_has_to_come(store: LocalStore, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.3)
    with threaded(store, ServerOptions()) as server:
        assert 0.2 < _cut_after(server.port, text) < 10


def test_a_connection_that_is_used_is_kept(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.3)
    with (
        threaded(store, ServerOptions()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock,
    ):
        for _ in range(3):
            sock.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.4)


def test_connections_have_a_limit(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 3)
    with threaded(store, ServerOptions()) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(3)]
        for one in idle:  # so that the server has seen them all
            one.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
        assert _cut_after(server.port, b"") < 10
        idle.pop().close()
        deadline = time.monotonic() + 20
        while True:
            try:
                assert server.call("GET", API).status == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        for one in idle:
            one.close()


class _Building(LocalStore):
    """A store that builds an index for as long as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def build_index(self, collection: Any, progress: Callable[[int, int], None] | None = None) -> None:
        assert progress is not None
        self.begun.set()
        for done in range(1_000_000):
            progress(done, 1_000_000)
            time.sleep(0.01)


def test_an_index_is_not_waited_for_when_the_server_stops() -> None:
    store = _Building()
    answers = []
    with threaded(store, ServerOptions()) as server:
        server.call("POST", f"{API}/collections", {"name": "docs"})
        thread = threading.Thread(
            target=lambda: answers.append(server.call("POST", f"{API}/collections/docs/create_index"))
        )
        thread.start()
        assert store.begun.wait(20)
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 10
    thread.join(20)
    assert [answer.status for answer in answers] == [503]
    assert "The server stops" in answers[0].json["message"]
    store.close()


def _blas_threads() -> int:
    return max(int(library["num_threads"]) for library in threadpool_info() if library["user_api"] == "blas")


def test_queries_are_the_only_threads_that_calculate(store: LocalStore) -> None:
    before = _blas_threads()  # as many as there are processors
    with threaded(store, ServerOptions()):
        assert _blas_threads() == 1
    assert _blas_threads() == before
