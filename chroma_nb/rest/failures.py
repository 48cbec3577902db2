"""What can go wrong between a client and a server, as errors that say what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from chroma_nb.errors import (
    AlreadyExistsError,
    AuthorizationError,
    ChromaNbError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidArgumentError,
    InvalidDimensionError,
    NotFoundError,
    NotSupportedError,
    OverloadedError,
    RequestTooLargeError,
    ServerError,
    ServerTimeoutError,
    error_types,
)
from chroma_nb.rest import wire

# What servers of different ages say of the same thing.
_DIMENSIONS = (
    re.compile(r"dimension of (?P<held>\d+), got (?P<given>\d+)"),
    re.compile(r"Dimensionality of \((?P<given>\d+)\) does not match index dimensionality \((?P<held>\d+)\)"),
    re.compile(r"[Dd]imension (?P<given>\d+) does not match collection dimensionality (?P<held>\d+)"),
)
_TAKEN = re.compile(r"already exists|UNIQUE constraint")
_GONE = re.compile(r"Collection.* (does not exist|not found)")
_NO_RESET = re.compile(r"reset.*(disabled|not allowed)|Resetting is not allowed", re.IGNORECASE)
_REPR = re.compile(r"(?P<name>\w+)\((?P<text>['\"].*['\"]),?\)", re.DOTALL)


def answered(status: int, body: Any) -> ChromaNbError:
    """The error that our own server answered with."""
    return wire.error_of(body) or foreign(status, body)


def foreign(status: int, body: Any) -> ChromaNbError:
    """The error that a server of Chroma (or something before it) answered with.

    >>> foreign(500, {"error": "ValueError('Collection docs does not exist')"})
    CollectionNotFoundError('Collection docs does not exist')
    >>> foreign(400, {"error": "InvalidArgumentError", "message": "Invalid where clause"})
    InvalidArgumentError('Invalid where clause')
    """
    name, text = _name_and_text(body)
    if not text:
        text = f"The server answered with status {status} and no explanation."
    found = _by_text(text) or _with_advice(status, text) or _by_name(name, text) or _by_status(status, text)
    return found or ServerError(f"{text} ({status})")


def _name_and_text(body: Any) -> tuple[str, str]:
    if isinstance(body, str):
        return "", body[:500]
    if not isinstance(body, Mapping):
        return "", ""
    error = body["error"] if _said(body, "error") else ""
    wrapped = _REPR.fullmatch(error)
    if wrapped is not None:  # Chroma 0.3 sends the repr of its exception
        return wrapped["name"], _literal(wrapped["text"])
    for key in ("message", "detail"):
        if _said(body, key):
            return error, body[key]
    return error, error or str(dict(body))[:500] * bool(body)


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return text


def _said(body: Any, key: str) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get(key), str)


def _by_text(text: str) -> ChromaNbError | None:
    for pattern in _DIMENSIONS:
        found = pattern.search(text)
        if found is not None:
            return InvalidDimensionError(
                f"Dimensionality of ({found['given']}) does not match index dimensionality ({found['held']}): the "
                f"collection holds vectors of dimension {found['held']}. Use the model it was made with, or make a "
                "new collection for these vectors."
            )
    if _TAKEN.search(text):
        return CollectionExistsError(text)
    if _NO_RESET.search(text):
        return AuthorizationError(f"{text}. A server allows it with allow_reset: true (ALLOW_RESET=TRUE).")
    return CollectionNotFoundError(text) if _GONE.search(text) else None


def _with_advice(status: int, text: str) -> ChromaNbError | None:
    if status in (401, 403):
        return AuthorizationError(
            f"The server refused: {text} Give the token it expects: HttpClient(..., token=...), or headers=...."
        )
    if status == 413:
        return RequestTooLargeError(f"The server refused the request as too large: {text}. Send fewer items at once.")
    if status in (429, 503):
        return OverloadedError(f"The server has too much to do: {text}. Try again later, or with smaller calls.")
    return None


def _by_status(status: int, text: str) -> ChromaNbError | None:
    classes: dict[int, type[ChromaNbError]] = {
        400: InvalidArgumentError,
        404: NotFoundError,
        405: NotSupportedError,
        409: AlreadyExistsError,
        410: NotSupportedError,
        422: InvalidArgumentError,
        501: NotSupportedError,
        504: ServerTimeoutError,
    }
    return classes[status](text) if status in classes else None


def _by_name(name: str, text: str) -> ChromaNbError | None:
    """Chroma 0.3 answers 500 to what was a ValueError or TypeError."""
    if name in ("ValueError", "TypeError"):
        return InvalidArgumentError(text)
    cls = error_types().get(name)
    return None if cls is None or cls is ChromaNbError else cls(text)
