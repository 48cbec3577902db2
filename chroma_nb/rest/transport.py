"""Requests to one server: pooled connections, retries of what may be repeated, failures as our errors."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from chroma_nb.errors import (
    ChromaNbError,
    ClosedStoreError,
    ConnectionFailedError,
    InvalidArgumentError,
    ServerError,
    ServerTimeoutError,
    StoreError,
)
from chroma_nb.rest import wire

ATTEMPTS = 4
_FIRST_WAIT = 0.1  # seconds; doubled with every attempt
_LONGEST_WAIT = 10.0
# Servers drop idle connections after 5 s or more: ours are gone before, so that no write meets one that just closed.
_IDLE = 4.0
_log = logging.getLogger(__name__)

_PATIENT = httpx.Timeout(None, connect=10.0)

Failure = Callable[[int, Any], ChromaNbError]


@dataclass(frozen=True)
class _Call:
    """A request as it is sent, perhaps several times."""

    method: str
    path: str
    content: bytes | None
    params: Mapping[str, Any]
    repeatable: bool
    patient: bool


@dataclass(frozen=True)
class _Trouble:
    """What came instead of an answer; ``wait`` is what the server asked for, in seconds."""

    error: ChromaNbError
    again: bool
    wait: float = 0.0
    cause: Exception | None = None


class Transport:
    """Sends requests to a server and gives back the JSON of its answers.

    Args:
        base: the address, such as "http://localhost:8000".
        headers: sent with every request; never shown.
        timeout: seconds that the server may be silent.
        client: an `httpx.Client` to use, with its own timeout, which stays open; None: one of its own.

    Attributes:
        failure: makes an error of a status and a body.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str] | None,
        timeout: float,
        failure: Failure,
        client: httpx.Client | None = None,
    ) -> None:
        self.base, self.failure = base, failure
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._owned = client is None
        try:
            httpx.Headers(self._headers)
        except (UnicodeError, TypeError) as error:
            raise InvalidArgumentError("Headers, tokens too, are plain ASCII text.") from error
        self._client = _client(base, timeout) if client is None else client
        self._closed = False
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"Transport({self.base!r})"

    def get(self, path: str, **params: Any) -> Any:
        """The answer to a GET."""
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any = None, *, repeatable: bool = True) -> Any:
        """The answer to a POST of JSON."""
        return self.request("POST", path, body, repeatable=repeatable)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        patient: bool = False,
    ) -> Any:
        """The JSON of the answer; None where it has none.

        Args:
            method: of HTTP.
            path: behind the address.
            body: to be sent as JSON, or bytes that are JSON.
            params: of the query.
            repeatable: whether the server may get the request twice. What it refused, or what never
                reached it, is sent again in any case.
            patient: whether to wait for the answer without end.

        Raises:
            StoreError: one of its subclasses; the server could not be asked.
            ChromaNbError: what the server answered.
        """
        content = body if isinstance(body, bytes) or body is None else wire.dumps(body)
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        call = _Call(method, path, content, asked, repeatable, patient)
        for attempt in range(1, ATTEMPTS + 1):
            self._check_open()
            answer, trouble = self._attempt(call)
            if trouble is None:
                return answer
            wait = max(trouble.wait, _FIRST_WAIT * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
            if attempt == ATTEMPTS or not trouble.again or wait > _LONGEST_WAIT:
                raise trouble.error from trouble.cause
            _log.debug("%s %s again in %.1f s: %s", method, path, wait, trouble.error)
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _attempt(self, call: _Call) -> tuple[Any, _Trouble | None]:
        """The answer, or what came instead of it."""
        try:
            response = self._client.request(
                call.method,
                f"{self.base}{call.path}",
                content=call.content,
                params=call.params,
                headers={**self._headers, **({} if call.content is None else {"Content-Type": "application/json"})},
                follow_redirects=False,
                timeout=_PATIENT if call.patient and self._owned else httpx.USE_CLIENT_DEFAULT,
            )
        except httpx.TransportError as error:
            # What never arrived may be sent again; a server that is silent for long has enough to do already.
            lost = call.repeatable and not isinstance(error, httpx.TimeoutException)
            again = lost or isinstance(error, httpx.ConnectError)
            return None, _Trouble(self._lost(error, call), again, cause=error)
        except httpx.InvalidURL as error:
            raise InvalidArgumentError(f"{self.base} is not the address of a server: {error}") from error
        if response.is_success:
            return self._read(response), None
        again, wait = _asked_again(response, repeatable=call.repeatable)
        return None, _Trouble(self._refused(response), again, wait)

    def close(self) -> None:
        """Close the connections; later requests raise ClosedStoreError."""
        self._closed = True
        if self._owned and os.getpid() == self._process:
            self._client.close()

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            # Two processes would read each other's answers from the same connections.
            raise StoreError("This client was made in another process. Make a new one here with HttpClient(...).")
        if self._closed:
            raise ClosedStoreError("This client was closed. Make a new one with HttpClient(...).")

    def _read(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return wire.loads(response.content)
        except ValueError as error:
            raise ServerError(f"{self.base} answered something that is not JSON. Is it a Chroma server?") from error

    def _refused(self, response: httpx.Response) -> ChromaNbError:
        if response.is_redirect:
            return ServerError(
                f"{self.base} sends elsewhere ({response.status_code} to {response.headers.get('location')!r}). Give "
                "that address; ssl=True if it begins with https."
            )
        try:
            body = wire.loads(response.content) if response.content else None
        except ValueError:
            body = response.text
        return self.failure(response.status_code, body)

    def _lost(self, error: httpx.TransportError, call: _Call) -> ChromaNbError:
        doubt = "" if call.repeatable else " Whether it happened is not known: look before you repeat the call."
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
            return ConnectionFailedError(
                f"Could not connect to a Chroma server at {self.base} ({error}). Are you sure it is running?"
            )
        if isinstance(error, httpx.TimeoutException):
            return ServerTimeoutError(
                f"The server at {self.base} did not answer within {self._timeout:g} s ({call.method} {call.path})."
                f"{doubt} "
                "Give it more time (Settings(chroma_query_request_timeout_seconds=...)), or smaller calls."
            )
        return ConnectionFailedError(f"The connection to the Chroma server at {self.base} was lost ({error}).{doubt}")


def _client(base: str, timeout: float) -> httpx.Client:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_IDLE)
    # To load the certificates takes 50 ms, and without https there is nothing to verify.
    verify = base.startswith("https:")
    return httpx.Client(timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)), limits=limits, verify=verify)


def _asked_again(response: httpx.Response, *, repeatable: bool) -> tuple[bool, float]:
    """Whether to ask again, and in how many seconds at the earliest."""
    if response.status_code not in (429, 502, 503, 504):
        return False, 0.0
    after = response.headers.get("Retry-After", "")
    # A server that names a time has refused the request unread; a gateway that gives up may have passed it on.
    refused = response.status_code == 429 or (response.status_code == 503 and bool(after))
    return repeatable or refused, float(after) if after.isdecimal() else 0.0
