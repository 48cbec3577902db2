"""What every request passes: the access log, who may call at all, and how many at a time."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson

from chroma_nb.errors import AuthorizationError, ChromaNbError, OverloadedError
from chroma_nb.rest.exchange import Receive, Receiver, Scope, Send, header, refuse
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.refusals import UnauthenticatedError
from chroma_nb.rest.routes import OPERATIONS
from chroma_nb.rest.wire import API

App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Answered without a token, and when the server is busy: whether it lives, and how it is spoken to.
_OPEN = frozenset({*(one.path for one in OPERATIONS if one.open), f"{API}/", "/docs", "/openapi.json"})
_access = logging.getLogger("chroma_nb.rest.access")


class AccessLog:
    """One line of JSON for each request; of what it held there is nothing in it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log how it was answered."""
        if scope["type"] != "http" or not _access.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, sent = 0, 0

        async def counting(message: MutableMapping[str, Any]) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            client = scope.get("client")
            line = {
                "time": datetime.now(UTC),
                "method": scope["method"],
                "path": scope["path"],
                "status": status,  # 0: the client went away
                "ms": round((time.perf_counter() - started) * 1000, 3),
                "bytes": sent,
                "client": client[0] if client else None,
            }
            _access.info(orjson.dumps(line, default=repr).decode())


class Gate:
    """Refuses what may not, or cannot now, be answered."""

    def __init__(self, app: App, options: ServerOptions) -> None:
        self._app = app
        self._options = options
        self._hosts = options.answered_hosts
        self._receiver = Receiver(options)
        self._token = None if options.token is None else options.token.encode()
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_open = scope["path"] in _OPEN
        refusal = self._refusal(scope, is_open=is_open)
        if refusal is not None:
            await refuse(scope, receive, send, refusal, self._receiver)
            return
        self._at_work += not is_open
        try:
            await self._app(scope, receive, send)
        finally:
            self._at_work -= not is_open

    def _refusal(self, scope: Scope, *, is_open: bool) -> ChromaNbError | None:
        host = header(scope, b"host")
        if self._hosts is not None and _name(host) not in self._hosts:
            return AuthorizationError(
                f"This server answers requests for the names it was told only, not for {_shown(host)}. "
                f"Allow that with --allow-host {_shown(host)}"
            )
        origin = header(scope, b"origin")
        if origin is not None and not self._may_come_from(origin, host):
            return AuthorizationError(
                f"Pages of {_shown(origin)} may not call this server. Allow it with --cors-origin {_shown(origin)}"
            )
        if self._token is not None and not is_open and not self._knows_token(scope):
            return UnauthenticatedError(
                "This server needs a token: send it as 'Authorization: Bearer TOKEN' or 'X-Chroma-Token: TOKEN'."
            )
        if self._at_work >= self._options.max_concurrent and not is_open:
            return OverloadedError(f"The server works on {self._at_work} requests already. Try again in a moment.")
        return None

    def _may_come_from(self, origin: bytes, host: bytes | None) -> bool:
        # A page of anywhere may send a plain POST without asking first; only the answer is kept from it.
        text = origin.decode("latin-1")
        if text in self._options.cors_origins or "*" in self._options.cors_origins:
            return True
        # Where any name is answered to and nothing else is asked for, one's own name says nothing.
        guarded = self._hosts is not None or self._token is not None
        return guarded and host is not None and text.split("://")[-1] == host.decode("latin-1")

    def _knows_token(self, scope: Scope) -> bool:
        known = False
        for key, value in scope["headers"]:
            if key == b"authorization" and value[:7].lower() == b"bearer ":
                known |= hmac.compare_digest(value[7:].strip(), self._token or b"")
            elif key == b"x-chroma-token":
                known |= hmac.compare_digest(value.strip(), self._token or b"")
        return known


def _name(host: bytes | None) -> str:
    """The name in a Host header, without the port."""
    text = b"" if host is None else host
    name = text.rsplit(b":", 1)[0] if not text.endswith(b"]") else text
    return (name if b":" in text else text).strip(b"[]").decode("latin-1").lower()


def _shown(text: bytes | None) -> str:
    return repr((text or b"").decode("latin-1"))[1:-1][:200]
