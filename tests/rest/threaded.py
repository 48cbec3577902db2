"""A real server on a real socket, in a thread of this process: its limits can be small and its store looked at."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.running import Running
from chroma_nb.store.protocol import Store
from tests.rest.process import Answer, call_port


class ThreadedServer:
    """Listens on ``port`` of this machine."""

    def __init__(self, port: int, store: Store) -> None:
        self.port, self.store = port, store

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        return call_port(self.port, method, path, body, headers)

    @property
    def seconds_to_answer(self) -> float:
        """How long a client with nothing special waits for an answer."""
        begun = time.perf_counter()
        assert self.call("GET", "/api/v1/heartbeat").status == 200
        return time.perf_counter() - begun


@contextlib.contextmanager
def threaded(store: Store, options: ServerOptions) -> Iterator[ThreadedServer]:
    """A server for the length of a block."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    running = Running(store, options, "serves")
    thread = threading.Thread(target=running.run, args=(listener,), kwargs={"grace": 10}, name="server")
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not running.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield ThreadedServer(listener.getsockname()[1], store)
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
