"""HTTP by hand: requests that no client library would send."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self

from tests.rest.process import Answer


class Raw:
    """One connection on which anything can be sent."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self) -> Answer:
        """The next whole answer."""
        line = self._reader.readline()
        if not line:
            raise EOFError("The server closed the connection without an answer.")
        status = int(line.split()[1])
        headers: dict[str, str] = {}
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status == 100:
            return self.answer()
        assert "chunked" not in headers.get("transfer-encoding", ""), "whole answers have a length"
        return Answer(status, headers, self._reader.read(int(headers.get("content-length", 0))))

    def ended(self) -> bool:
        """Whether the server closes the connection, sending nothing more."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True


def head(method: str, path: str, *headers: str) -> bytes:
    """The beginning of a request, to the empty line."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(path: str, body: Any, *headers: str) -> bytes:
    """A POST request with its body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("POST", path, f"Content-Length: {len(content)}", *headers) + content
