"""A cheap load generator: some connections, each with one request under way, in one thread.

Whole requests are made beforehand and sockets are read without a library, so that the generator takes little of the
processor that it shares with the server. The same one drives every server.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


def request(method: str, path: str, port: int, body: bytes = b"") -> bytes:
    """One HTTP request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Round:
    """What one round of load saw.

    Attributes:
        seconds: how long it took.
        latencies: of each answered request, in seconds.
        answers: the last answer of each request by its position, body only.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answers: dict[int, bytes] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds


class _Connection:
    """One client: sends a request, reads its answer, sends the next."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = bytearray()
        self._awaited = -1
        self.position = -1
        self._begun = 0.0

    def send(self, position: int, request: bytes) -> None:
        self.position, self._begun = position, time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The body of the answer once it is whole; ValueError for any other status than 200."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("The server closed a connection under load.")
        self._read += piece
        if self._awaited < 0:
            end = self._read.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = bytes(self._read[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                raise ValueError(f"Not answered: {bytes(self._read[:2000])!r}")
            self._awaited = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            del self._read[: end + 4]
        if len(self._read) < self._awaited:
            return None
        body = bytes(self._read)
        self._read.clear()
        self._awaited = -1
        return body

    @property
    def waited(self) -> float:
        return time.perf_counter() - self._begun


def drive(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Round:
    """Ask for so long, going round in ``requests``; every connection has one request under way."""
    found = Round()
    following = 0
    connections = [_Connection(port) for _ in range(clients)]
    with selectors.DefaultSelector() as ready:
        begun = time.perf_counter()
        for connection in connections:
            ready.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(following % len(requests), requests[following % len(requests)])
            following += 1
        under_way = clients
        while under_way:
            events = ready.select(30)
            if not events:
                raise TimeoutError("No answer for 30 s.")
            for key, _ in events:
                connection = key.data
                body = connection.receive()
                if body is None:
                    continue
                found.latencies.append(connection.waited)
                found.answers[connection.position] = body
                if time.perf_counter() - begun < seconds:
                    connection.send(following % len(requests), requests[following % len(requests)])
                    following += 1
                else:
                    under_way -= 1
    found.seconds = time.perf_counter() - begun
    for connection in connections:
        connection.socket.close()
    return found
