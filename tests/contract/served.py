"""Our server as what is behind a client: within the process, or on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TypeVar

import httpx

from chroma_nb import Client, Settings
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.server import create_app
from chroma_nb.store.local import LocalStore
from tests.rest.threaded import threaded

_Dialect = TypeVar("_Dialect", bound=Client)


class Server:
    """Our server over a store in memory, within this process and without a socket."""

    def __init__(self, *, allow_reset: bool = True, allow_sql: bool = True) -> None:
        self.store = LocalStore()
        self.path = None
        self.app = create_app(self.store, allow_reset=allow_reset, allow_sql=allow_sql)
        self._bridge = Bridge(self.app)

    def client(self, dialect: type[_Dialect]) -> _Dialect:
        """A new client of it."""
        return dialect._over(connect("127.0.0.1", 8000, client=httpx.Client(transport=self._bridge)))

    def close(self) -> None:
        """Stop."""
        self._bridge.stop()
        self.store.close()


class Bridge(httpx.BaseTransport):
    """Carries the requests of an ordinary client to an app that runs in an event loop of its own."""

    def __init__(self, app: object) -> None:
        self._inner = httpx.ASGITransport(app)  # type: ignore[arg-type]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bridge")
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request and its answer."""
        return asyncio.run_coroutine_threadsafe(self._answer(request), self._loop).result(60)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._inner.handle_async_request(sent)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        """Nothing: one client less, not the last one."""

    def stop(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SocketServer:
    """Our server as it runs, on a socket of this machine."""

    def __init__(self) -> None:
        self.store = LocalStore()
        self.path = None
        self._running = contextlib.ExitStack()
        self._server = self._running.enter_context(
            threaded(self.store, ServerOptions(allow_reset=True, allow_sql=True))
        )

    def client(self, dialect: type[_Dialect]) -> _Dialect:
        """A new client of it."""
        return dialect(
            Settings(chroma_api_impl="rest", chroma_server_host="127.0.0.1", chroma_server_http_port=self._server.port)
        )

    def close(self) -> None:
        """Stop."""
        self._running.close()
        self.store.close()
