"""A store as a web server: `create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from chroma_nb import __version__
from chroma_nb.rest.description import description, page
from chroma_nb.rest.exchange import Receiver
from chroma_nb.rest.gate import AccessLog, Gate
from chroma_nb.rest.gathering import Gatherer
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.routes import OPERATIONS, Endpoint, Operation, QueryEndpoint
from chroma_nb.rest.service import Service
from chroma_nb.store.protocol import Store


def create_app(store: Store, options: ServerOptions | None = None, **settings: Any) -> FastAPI:
    """The application that serves a store by Chroma's REST API v1.

    Args:
        store: what is served; it stays open when the application ends.
        options: what is allowed, and how much.
        **settings: single ones of `ServerOptions` instead, such as ``token="..."``.

    Returns:
        An application for any ASGI server, in one process: a store is not shared between workers.

    >>> from chroma_nb.store.local import LocalStore
    >>> create_app(LocalStore(), allow_reset=True).title
    'chroma_nb'
    """
    chosen = options or ServerOptions(**settings)
    service = Service(store, chosen)
    executors = _Executors.of(chosen)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.stop()
        executors.shutdown()

    app = FastAPI(
        title="chroma_nb", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.state.stop = service.stop
    app.router.routes.extend(_routes(service, Receiver(chosen), executors))
    _describe(app, token=chosen.token is not None)
    app.add_middleware(Gate, options=chosen)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=chosen.cors_origins,
        allow_methods=["DELETE", "GET", "POST", "PUT"],
        allow_headers=["*"],
    )
    app.add_middleware(AccessLog)
    return app


@dataclass(frozen=True)
class _Executors:
    """The threads of a server, by their work; signs of life have one also while all others are at work."""

    requests: ThreadPoolExecutor
    searches: ThreadPoolExecutor
    signs: ThreadPoolExecutor

    @classmethod
    def of(cls, options: ServerOptions) -> _Executors:
        """Those of a new server."""
        return cls(
            ThreadPoolExecutor(options.threads, thread_name_prefix="chroma_nb-request"),
            ThreadPoolExecutor(4, thread_name_prefix="chroma_nb-query"),
            ThreadPoolExecutor(1, thread_name_prefix="chroma_nb-sign"),
        )

    def shutdown(self) -> None:
        """End them when they have done their work."""
        for executor in (self.requests, self.searches, self.signs):
            executor.shutdown()


def _routes(service: Service, receiver: Receiver, executors: _Executors) -> Iterator[Route]:
    for path, operations in _by_path().items():
        is_open = all(operation.open for operation in operations.values())
        executor = executors.signs if is_open else executors.requests
        endpoint: Any = Endpoint(operations, service, receiver, executor)
        if path.endswith("/query"):
            gatherer = Gatherer(service.queries.run, executors.searches)
            endpoint = QueryEndpoint(operations["POST"], service, receiver, gatherer)
        yield Route(path, endpoint, methods=list(operations))


def _describe(app: FastAPI, *, token: bool) -> None:
    """Add what tells people and programs how it is spoken to."""
    described = description(token=token)
    app.openapi = lambda: described  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", lambda: JSONResponse(described), include_in_schema=False)
    app.add_api_route("/docs", lambda: HTMLResponse(page(described)), include_in_schema=False)


def _by_path() -> dict[str, dict[str, Operation]]:
    """The routes by path, in the order in which they are tried: the one that is called most comes first."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in sorted(OPERATIONS, key=lambda operation: operation.name != "query"):
        paths.setdefault(operation.path, {})[operation.method] = operation
    return paths
