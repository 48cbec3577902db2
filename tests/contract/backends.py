"""What else than memory and a directory of one's own can be behind a client."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chroma_nb.sharing.shared import SharedStore
from tests.store.backend import Backend

if TYPE_CHECKING:
    from chroma_nb import Client
    from chroma_nb.store.protocol import Store


class Host(Protocol):
    """Has a store that clients reach through it."""

    @property
    def store(self) -> Store:
        """The store itself."""

    @property
    def path(self) -> Path | None:
        """Its directory, if it has one."""

    def client(self, dialect: type[Client]) -> Client:
        """A new client of it."""

    def close(self) -> None:
        """Stop."""


class Hosts:
    """The hosts of a test run, by kind, each started when it is first needed."""

    def __init__(self) -> None:
        self._running: dict[str, Host] = {}

    def backend(self, kind: str, dialect: type[Client]) -> HostedBackend:
        """An empty store at the host of that kind, and a client of it."""
        if kind not in self._running:
            self._running[kind] = _started(kind)
        host = self._running[kind]
        host.store.reset()
        return HostedBackend(host, dialect)

    def close(self) -> None:
        """Stop them all."""
        for host in self._running.values():
            host.close()
        self._running.clear()


def _started(kind: str) -> Host:
    if kind == "linked":
        return Notebook()
    from tests.contract.served import Server, SocketServer

    return Server() if kind == "rest" else SocketServer()


class HostedBackend(Backend):
    """A client of a host; opening again is connecting again."""

    def __init__(self, host: Host, dialect: type[Client]) -> None:
        self._host = host
        super().__init__(host.path, dialect)

    def _open(self) -> Client:
        return self._host.client(self._dialect)

    def reopen(self) -> Client:
        """Connect again."""
        self.client.close()
        self.client = self._open()
        return self.client


class Notebook:
    """A notebook that has a directory open; its clients are those of a second one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "store"
        self.store = SharedStore(self.path)

    def client(self, dialect: type[Client]) -> Client:
        """A new client on the same directory."""
        return dialect._over(SharedStore(self.path))

    def close(self) -> None:
        """Close the directory."""
        self.store.close()
        self._folder.cleanup()
