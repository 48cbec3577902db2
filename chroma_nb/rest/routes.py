"""The routes of Chroma's REST API v1 and of this library's extensions, and how a call of one goes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from chroma_nb.errors import ChromaNbError, NotFoundError
from chroma_nb.rest import schemas
from chroma_nb.rest.bodies import parse
from chroma_nb.rest.exchange import Receive, Receiver, Scope, Send, header, send_error, send_json
from chroma_nb.rest.gathering import Gatherer
from chroma_nb.rest.refusals import DisconnectedError, MalformedRequestError
from chroma_nb.rest.service import DEFAULT_DATABASE, DEFAULT_TENANT, Service
from chroma_nb.rest.wire import API

_log = logging.getLogger("chroma_nb.rest")
# Parsing more than this would keep other requests waiting: it goes to a thread.
_PARSED_AT_ONCE = 64 * 1024


@dataclass(frozen=True)
class Operation:
    """One verb of one path.

    Attributes:
        method: the verb.
        path: with ``{name}`` for its variable parts, which are the first arguments of the work.
        name: as Chroma 0.3 called it.
        does: one line for people.
        answer: schema of the answer.
        body: schema of the request's body; None: there is none.
        status: of success.
        fails: statuses of failures, besides those every route has.
        paged: whether it takes ``limit``, ``offset`` and ``extended`` in the query string.
        open: whether it is a sign of life: answered without a token, and when the server is busy.
    """

    method: str
    path: str
    name: str
    does: str
    answer: schemas.Schema
    body: schemas.Schema | None = None
    status: int = 200
    fails: tuple[int, ...] = ()
    paged: bool = False
    open: bool = False

    @property
    def variables(self) -> list[str]:
        """The variable parts of the path."""
        return re.findall(r"\{(\w+)\}", self.path)


_ONE = f"{API}/collections/{{collection}}"
_WRITE = (404, 507)
OPERATIONS = (
    Operation("GET", API, "root", "Whether the server lives.", schemas.HEARTBEAT, open=True),
    Operation("GET", f"{API}/heartbeat", "heartbeat", "Whether the server lives.", schemas.HEARTBEAT, open=True),
    Operation("GET", f"{API}/version", "version", "The version of the server.", schemas.STRING, open=True),
    Operation("GET", f"{API}/pre-flight-checks", "preflight", "What the server takes at once.", schemas.PREFLIGHT),
    Operation("POST", f"{API}/reset", "reset", "Delete everything, if that is allowed.", schemas.TRUE),
    Operation("POST", f"{API}/persist", "persist", "Merge logs into files.", schemas.NULL, fails=(501, 507)),
    Operation(
        "POST", f"{API}/raw_sql", "raw_sql", "Run one reading statement, if allowed.", schemas.TABLE, schemas.RAW_SQL
    ),
    Operation(
        "GET",
        f"{API}/collections",
        "list_collections",
        "All collections, oldest first.",
        schemas.COLLECTIONS,
        paged=True,
    ),
    Operation(
        "POST",
        f"{API}/collections",
        "create_collection",
        "Make a collection, or get it.",
        schemas.COLLECTION,
        schemas.CREATE_COLLECTION,
        fails=(409, 507),
    ),
    Operation("GET", f"{API}/count_collections", "count_collections", "How many there are.", schemas.COUNT),
    Operation("GET", _ONE, "get_collection", "A collection by name or id.", schemas.COLLECTION, fails=(404,)),
    Operation(
        "PUT",
        _ONE,
        "modify_collection",
        "Rename a collection, or replace its metadata.",
        schemas.COLLECTION_OR_NULL,
        schemas.MODIFY_COLLECTION,
        fails=(404, 409, 507),
    ),
    Operation("DELETE", _ONE, "delete_collection", "Delete it with its items.", schemas.NULL, fails=_WRITE),
    Operation("POST", f"{_ONE}/add", "add", "Add new items.", schemas.WRITTEN, schemas.ADD, status=201, fails=_WRITE),
    Operation("POST", f"{_ONE}/update", "update", "Change items.", schemas.WRITTEN, schemas.UPDATE, fails=_WRITE),
    Operation("POST", f"{_ONE}/upsert", "upsert", "Change or add.", schemas.WRITTEN, schemas.UPSERT, fails=_WRITE),
    Operation("POST", f"{_ONE}/delete", "delete", "Delete items.", schemas.DELETED, schemas.DELETE, fails=_WRITE),
    Operation("POST", f"{_ONE}/get", "get", "The items that fit.", schemas.ITEMS, schemas.GET, fails=(404,)),
    Operation("POST", f"{_ONE}/query", "query", "The nearest items.", schemas.HITS, schemas.QUERY, fails=(404,)),
    Operation("GET", f"{_ONE}/count", "count", "How many items there are.", schemas.COUNT, fails=(404,)),
    Operation("POST", f"{_ONE}/create_index", "create_index", "Wait for the index.", schemas.TRUE, fails=_WRITE),
    Operation("GET", f"{_ONE}/stats", "stats", "Count, keys, index.", schemas.STATS, fails=(404,)),
    Operation("POST", f"{_ONE}/known", "known", "Which ids there are.", schemas.FLAGS, schemas.KNOWN, fails=(404,)),
    Operation("GET", f"{API}/tenants/{{name}}", "tenant", "The tenant.", schemas.TENANT, fails=(404,)),
    Operation("POST", f"{API}/tenants", "create_tenant", "Refused.", schemas.NULL, schemas.NAMED, fails=(409, 501)),
    Operation("GET", f"{API}/databases/{{name}}", "database", "The database.", schemas.DATABASE, fails=(404,)),
    Operation("POST", f"{API}/databases", "create_database", "Refused.", schemas.NULL, schemas.NAMED, fails=(409, 501)),
)


class Endpoint:
    """All verbs of one path, as an ASGI application."""

    def __init__(
        self, operations: Mapping[str, Operation], service: Service, receiver: Receiver, executor: Executor
    ) -> None:
        self._calls = {
            method: (operation, getattr(service, "heartbeat" if operation.name == "root" else operation.name))
            for method, operation in operations.items()
            if operation.name != "query"
        }
        self._receiver = receiver
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        operation, work = self._calls["GET" if scope["method"] == "HEAD" else scope["method"]]

        async def answer() -> bytes:
            arguments, named = _arguments(operation, scope)
            loop = asyncio.get_running_loop()
            if operation.body is None:
                return await loop.run_in_executor(self._executor, lambda: work(*arguments, **named))
            held = await self._receiver.read(scope, receive)
            try:
                media = header(scope, b"content-type")
                return await loop.run_in_executor(
                    self._executor, lambda: work(*arguments, parse(held.bytes(), media), **named)
                )
            finally:
                held.let_go()

        await respond(answer, operation.status, scope, send)


class QueryEndpoint:
    """The route that is called most: small bodies are read in the event loop, searches go together."""

    def __init__(self, operation: Operation, service: Service, receiver: Receiver, gatherer: Gatherer) -> None:
        self._operation = operation
        self._service = service
        self._receiver = receiver
        self._gatherer = gatherer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def answer() -> bytes:
            arguments, _ = _arguments(self._operation, scope)
            held = await self._receiver.read(scope, receive)
            try:
                media = header(scope, b"content-type")
                if held.size <= _PARSED_AT_ONCE:
                    query, vectors = self._service.queries.read(arguments[0], parse(held.bytes(), media))
                else:
                    query, vectors = await asyncio.to_thread(
                        lambda: self._service.queries.read(arguments[0], parse(held.bytes(), media))
                    )
                return await self._gatherer.answer(query, vectors)
            finally:
                held.let_go()

        await respond(answer, 200, scope, send)


async def respond(answer: Callable[[], Any], status: int, scope: Scope, send: Send) -> None:
    """Send what ``answer`` gives, or what went wrong."""
    try:
        content: bytes = await answer()
    except DisconnectedError:
        return  # nobody is there to be answered
    except ChromaNbError as error:
        if error.http_status >= 500 and error.http_status not in (501, 503):
            _log.error("%s %s: %s", scope["method"], scope["path"], error)
        await send_error(scope, send, error)
    except Exception:  # noqa: BLE001 - whatever it is goes to the log, and not to the client
        _log.exception("%s %s failed", scope["method"], scope["path"])
        await send_error(scope, send, ChromaNbError("The server failed on this request; its log says why."))
    else:
        await send_json(send, content, status)


def _arguments(operation: Operation, scope: Scope) -> tuple[list[str], dict[str, int]]:
    """The variable parts of the path, and what a list takes from the query string."""
    arguments = [scope["path_params"][name] for name in operation.variables]
    if not scope["query_string"]:
        return arguments, {}
    given = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    for name, present in (("tenant", DEFAULT_TENANT), ("database", DEFAULT_DATABASE)):
        if given.get(name, present) != present:
            raise NotFoundError(f"This server has one {name}, {present}, not {given[name]}.")
    named: dict[str, int] = {}
    if operation.paged:
        for name in given.keys() & {"limit", "offset"}:
            if not re.fullmatch(r"[0-9]{1,4000}", given[name]):
                raise MalformedRequestError(["query", name], "value is not a whole number", "type_error.integer")
            named[name] = int(given[name])
        if "extended" in given:
            if given["extended"] not in ("true", "false"):
                raise MalformedRequestError(["query", "extended"], "neither true nor false", "type_error.bool")
            named["extended"] = given["extended"] == "true"
    return arguments, named
