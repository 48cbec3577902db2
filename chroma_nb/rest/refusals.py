"""Why a server does not do what a request asks, beyond the errors of `chroma_nb.errors`."""

from __future__ import annotations

from typing import Any

from chroma_nb.errors import AuthorizationError, InvalidArgumentError, StoreError


class MalformedRequestError(InvalidArgumentError):
    """A body is not JSON, or a field is missing or of another type than it must be.

    Attributes:
        detail: the place and what is wrong with it, as Chroma 0.3 said it.
    """

    http_status = 422

    def __init__(self, location: list[str | int], message: str, kind: str) -> None:
        super().__init__(f"{'.'.join(map(str, location))}: {message}")
        self.detail: list[dict[str, Any]] = [{"loc": location, "msg": message, "type": kind}]


class LimitError(InvalidArgumentError):
    """A number in a request exceeds what the server allows."""

    http_status = 422


class UnauthenticatedError(AuthorizationError):
    """The token is missing or wrong."""

    http_status = 401


class SlowRequestError(StoreError, TimeoutError):
    """The body of a request did not arrive in time."""

    wire_name = "SlowRequest"
    http_status = 408


class DisconnectedError(StoreError):
    """The client went away before its request was complete: nobody is there to be answered."""
