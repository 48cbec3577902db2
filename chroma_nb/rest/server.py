"""A store as a web server: `create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from chroma_nb import __version__
from chroma_nb.rest.description import description, page
from chroma_nb.rest.exchange import Receiver
from chroma_nb.rest.gate import OPEN, AccessLog, Gate
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
    threads = ThreadPoolExecutor(chosen.threads, thread_name_prefix="chroma_nb-request")
    searches = ThreadPoolExecutor(4, thread_name_prefix="chroma_nb-query")
    signs = ThreadPoolExecutor(1, thread_name_prefix="chroma_nb-sign")  # of life, also while all others are at work

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.stop()
        for executor in (threads, searches, signs):
            executor.shutdown()

    receiver = Receiver(chosen)
    app = FastAPI(
        title="chroma_nb", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    for path, operations in _by_path().items():
        endpoint: Any = Endpoint(operations, service, receiver, signs if path in OPEN else threads)
        if path.endswith("/query"):
            endpoint = QueryEndpoint(operations["POST"], service, receiver, Gatherer(service.queries.run, searches))
        app.router.routes.append(Route(path, endpoint, methods=list(operations)))
    app.state.stop = service.stop
    described = description(token=chosen.token is not None)
    app.openapi = lambda: described  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", lambda: JSONResponse(described), include_in_schema=False)
    app.add_api_route("/docs", lambda: HTMLResponse(page(described)), include_in_schema=False)
    app.add_middleware(Gate, options=chosen)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=chosen.cors_origins,
        allow_methods=["DELETE", "GET", "POST", "PUT"],
        allow_headers=["*"],
    )
    app.add_middleware(AccessLog)
    return app


def _by_path() -> dict[str, dict[str, Operation]]:
    """The routes by path, in the order in which they are tried: the one that is called most comes first."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in sorted(OPERATIONS, key=lambda operation: operation.name != "query"):
        paths.setdefault(operation.path, {})[operation.method] = operation
    return paths
