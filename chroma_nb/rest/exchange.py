"""One request and its answer, in ASGI's terms: reading bodies within limits, sending JSON."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from chroma_nb.errors import ChromaNbError, OverloadedError, RequestTooLargeError
from chroma_nb.rest import wire
from chroma_nb.rest.answers import body as encode
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.refusals import DisconnectedError, MalformedRequestError, SlowRequestError, UnauthenticatedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Bodies of all requests at work, as a multiple of the largest one.
_IN_FLIGHT = 4
# How long, and how much of, a body that is refused is still read: who sends it reads the answer only afterwards.
_DRAIN_SECONDS = 5.0
# Chroma's Python clients of 0.3 leave the name of their HTTP library as it is.
_LOOKS_UP = b"python-requests/"


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


class Receiver:
    """Reads the bodies of requests, within limits of size, of time and of memory."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._in_flight = 0

    async def read(self, scope: Scope, receive: Receive) -> Incoming:
        """The body of a request, which counts as in flight until it is let go of.

        Raises:
            RequestTooLargeError: it is, or says it is, too large.
            OverloadedError: the bodies of all requests at work would be.
            SlowRequestError: it did not come in time.
            DisconnectedError: the client went away.
        """
        held = Incoming(self)
        try:
            await self._fill(held, scope, receive)
        except BaseException:
            held.let_go()
            raise
        return held

    async def _fill(self, held: Incoming, scope: Scope, receive: Receive) -> None:
        options = self._options
        announced = header(scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > options.max_body_bytes:
            await self._drain(receive)
            raise self._too_large()
        started = time.monotonic()
        more = True
        while more:
            # Whoever keeps up the rate has all the time it takes.
            left = options.body_seconds + held.size / options.body_rate - (time.monotonic() - started)
            message = await self._next(receive, left)
            held.take(message.get("body", b""))
            more = message.get("more_body", False)
            if held.size > options.max_body_bytes:
                if more:
                    await self._drain(receive)
                raise self._too_large()
            if self._in_flight > _IN_FLIGHT * options.max_body_bytes:
                raise OverloadedError("The server holds as many bytes of other requests as it may. Try again later.")

    async def skip(self, receive: Receive) -> None:
        """Read what is still to come of a request that is answered already, for a moment."""
        with contextlib.suppress(DisconnectedError):
            await self._drain(receive)

    async def _next(self, receive: Receive, seconds: float) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError as error:
            raise SlowRequestError("The body of the request did not arrive in time.") from error
        if message["type"] == "http.disconnect":
            raise DisconnectedError("The client closed the connection.")
        return message

    async def _drain(self, receive: Receive) -> None:
        read = 0
        until = time.monotonic() + _DRAIN_SECONDS
        more = True
        while more and read < self._options.max_body_bytes:
            try:
                message = await self._next(receive, until - time.monotonic())
            except SlowRequestError:
                return
            read += len(message.get("body", b""))
            more = message.get("more_body", False)

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"A request may have {self._options.max_body_bytes:,} bytes here. Send fewer items at once."
        )

    def count(self, size: int) -> None:
        """Bytes that came (or, negative, are let go of)."""
        self._in_flight += size


class Incoming:
    """The bytes of a request."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parts: list[bytes] = []
        self.size = 0

    def take(self, part: bytes) -> None:
        """More of it."""
        self._parts.append(part)
        self.size += len(part)
        self._receiver.count(len(part))

    def bytes(self) -> bytes:
        """All of it."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    def let_go(self) -> None:
        """It is no longer in flight."""
        self._receiver.count(-self.size)
        self._parts, self.size = [], 0


async def send_json(
    send: Send,
    content: bytes,
    status: int = 200,
    headers: list[tuple[bytes, bytes]] | None = None,
    *,
    ends: bool = True,
) -> None:
    """Answer with JSON; unless it ends the exchange, an empty piece of the body has to follow."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(content)),
                *(headers or ()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content, "more_body": not ends})


async def refuse(scope: Scope, receive: Receive, send: Send, error: ChromaNbError, receiver: Receiver) -> None:
    """Answer with an error before the body is read, and close the connection.

    Of what is sent nevertheless some is read, or else closing would take the answer from who still sends.
    """
    await send_error(scope, send, error, closes=True)
    await receiver.skip(receive)
    await send({"type": "http.response.body", "body": b""})


async def send_error(scope: Scope, send: Send, error: ChromaNbError, *, closes: bool = False) -> None:
    """Answer with an error: what is wrong, and nothing of the inside.

    Args:
        scope: of the request.
        send: where to.
        error: what is wrong.
        closes: whether the connection is closed, after an empty piece of the body that has to follow.
    """
    looked_up = (header(scope, b"user-agent") or b"").startswith(_LOOKS_UP)
    content: dict[str, Any] = dict(wire.error_body(error, looked_up=looked_up))
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, MalformedRequestError):
        content = {"detail": error.detail, **content}
    if isinstance(error, UnauthenticatedError):
        headers.append((b"www-authenticate", b"Bearer"))
    if error.http_status == 503:
        headers.append((b"retry-after", b"1"))
    if closes or isinstance(error, SlowRequestError | RequestTooLargeError | OverloadedError):
        headers.append((b"connection", b"close"))  # what is still to come of the body is not read
    await send_json(send, encode(content), error.http_status, headers, ends=not closes)
