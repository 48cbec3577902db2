"""A server in a process of its own, and plain requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_SERVES = re.compile(r"at http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """``chroma-nb serve`` on a free port of this machine; ``log`` is its standard error."""

    def __init__(self, path: Path, log: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "chroma_nb", "serve", str(path), "--port", "0", *options]
        inherited = {key: value for key, value in os.environ.items() if key != "CHROMA_NB_TOKEN"}
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=inherited | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
            )
        self.port = self._read_port()

    def _read_port(self) -> int:
        """The port it says, once it listens."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                found = _SERVES.search(line)
                if found is not None:
                    return int(found[1])
        finally:
            watchdog.cancel()
        raise AssertionError(f"the server did not start: {self.log}")

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> Answer:
        """One request on a connection of its own."""
        return call_port(self.port, method, path, body, headers, timeout)

    def kill(self) -> None:
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.ended()

    def stop(self) -> int:
        """As an operator does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self, timeout: float = 30) -> int:
        """Wait until it is gone; the exit code."""
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


def call_port(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 30
) -> Answer:
    """One request on a connection of its own; bytes are sent as they are, anything else as JSON."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        return ask(connection, method, path, body, headers)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on an open connection."""
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content, headers or {})
    answer = connection.getresponse()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def free_port() -> int:
    """A port of this machine that nobody uses yet, for programs that do not say which one they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(path: Path, log: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    """A server for the length of a block."""
    server = ServerProcess(path, log, *options, environment=environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
        server.ended()
