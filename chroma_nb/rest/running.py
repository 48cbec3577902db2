"""A server that runs: uvicorn with this library's limits."""

from __future__ import annotations

import socket
import sys

import uvicorn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from chroma_nb.rest.connections import PatientProtocol
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.server import create_app
from chroma_nb.store.protocol import Store


class Running(uvicorn.Server):
    """Serves a store and says so once it listens."""

    def __init__(self, store: Store, options: ServerOptions, says: str) -> None:
        self._app = create_app(store, options)
        super().__init__(
            uvicorn.Config(
                self._app,
                http=PatientProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # or else anybody could name the address that is logged
                timeout_keep_alive=60,
            )
        )
        self._says = says

    def run(self, listener: socket.socket, *, grace: int) -> None:  # type: ignore[override]
        """Serve until a signal comes; what was accepted by then is answered, for ``grace`` seconds at most."""
        self.config.timeout_graceful_shutdown = grace
        # Queries run side by side: with threads of BLAS beside theirs, scans of 7,000 vectors get many times slower.
        with threadpool_limits(1, user_api="blas"):
            super().run(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(f"{self._says}\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, and stop."""
        self._app.state.stop()  # or else the building of an index would be waited for
        await super().shutdown(sockets)
