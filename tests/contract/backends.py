"""What else than memory and a directory of one's own can be behind a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chroma_nb.sharing.shared import SharedStore
from tests.store.backend import Backend

if TYPE_CHECKING:
    from pathlib import Path

    from chroma_nb import Client
    from tests.contract.served import Server


def open_elsewhere(kind: str, path: Path, dialect: type[Client], servers: Servers) -> Backend:
    """An empty store that another owns, and a client of it; ``path`` is where it may be."""
    if kind == "linked":
        return LinkedBackend(path, dialect)
    return servers.backend(kind, dialect)


class LinkedBackend(Backend):
    """A client of a directory that somebody else has open, as a second notebook is."""

    def __init__(self, path: Path, dialect: type[Client]) -> None:
        self._owner = SharedStore(path)
        super().__init__(path, dialect)

    def _open(self) -> Client:
        assert self.path is not None
        return self._dialect._over(SharedStore(self.path))

    def close(self) -> None:
        """The second notebook first."""
        super().close()
        self._owner.close()


class Servers:
    """The servers of a test run, by kind, each started when it is first needed."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def get(self, kind: str) -> Server:
        """The server of that kind."""
        from tests.contract.served import Server, SocketServer

        if kind not in self._running:
            self._running[kind] = {"rest": Server, "socket": SocketServer}[kind]()
        return self._running[kind]

    def backend(self, kind: str, dialect: type[Client]) -> Backend:
        """An empty store on the server of that kind, and a client of it."""
        from tests.contract.served import ServedBackend

        server = self.get(kind)
        server.store.reset()
        return ServedBackend(server, dialect)

    def close(self) -> None:
        """Stop them all."""
        for server in self._running.values():
            server.close()
        self._running.clear()
