"""Connections that do nothing are closed: uvicorn waits for a head, and for what is sent after an answer, for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_SECONDS = 20.0
# Of heads, of what follows the last chunk of a body, and of what is between chunks and requests.
_HEAD_BYTES = 64 * 1024
# Below the usual limit of 1,024 open files.
_MOST_CONNECTIONS = 800


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits on connections, and on how long and how large anything but a body may be."""

    _timer: asyncio.TimerHandle | None = None
    _advanced = False
    _idle_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """A client is there; it has to say something."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.close()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        self._advanced = False
        super().data_received(data)
        self._idle_bytes = 0 if self._advanced else self._idle_bytes + len(data)
        if self._idle_bytes > _HEAD_BYTES:
            self.transport.close()
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()  # nobody reads this any more: a next request has to come

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._advanced = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body of a request."""
        self._advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._advanced = True
        super().on_message_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
