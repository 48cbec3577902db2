"""The names of ``chromadb.errors``.

Most are other names of classes in `chroma_nb.errors`, so that one ``except`` catches the errors of both
dialects. The classes defined here are never raised: the cases they stand for are no errors any more
(``NoIndexException``), or cannot happen here (``RateLimitError``). They exist for code that imports them.
"""

from __future__ import annotations

from chroma_nb.errors import (
    AuthorizationError,
    ChromaError,
    DuplicateIDError,
    IDAlreadyExistsError,
    InvalidArgumentError,
    InvalidCollectionException,
    InvalidDimensionException,
    InvalidUUIDError,
    NotFoundError,
    UniqueConstraintError,
)

__all__ = [
    "AuthorizationError",
    "BatchSizeExceededError",
    "ChromaAuthError",
    "ChromaError",
    "DuplicateIDError",
    "IDAlreadyExistsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidCollectionException",
    "InvalidDimensionException",
    "InvalidHTTPVersion",
    "InvalidUUIDError",
    "NoDatapointsException",
    "NoIndexException",
    "NotEnoughElementsException",
    "NotFoundError",
    "QuotaError",
    "RateLimitError",
    "UniqueConstraintError",
    "VersionMismatchError",
    "error_types",
]


class NoDatapointsException(ChromaError):
    """A filter matched nothing, up to Chroma 0.3.23; results are empty now."""

    wire_name = "NoDatapoints"
    http_status = 400


class NoIndexException(ChromaError):
    """A query met a collection without vectors, up to Chroma 0.3.23; results are empty now."""

    wire_name = "NoIndex"
    http_status = 400


class NotEnoughElementsException(ChromaError):
    """``n_results`` was larger than the collection, up to Chroma 0.3.23; results are shorter now."""

    wire_name = "NotEnoughElements"
    http_status = 400


class BatchSizeExceededError(ChromaError):
    """One call added too many items for Chroma 0.4 and later; there is no limit here."""

    wire_name = "BatchSizeExceededError"
    http_status = 413


class ChromaAuthError(ChromaError):
    """A server did not accept the credentials."""

    wire_name = "AuthError"
    http_status = 403


class InternalError(ChromaError):
    """Something failed inside Chroma 1.x; here failures have classes of their own."""

    wire_name = "InternalError"


class InvalidHTTPVersion(ChromaError):
    """A request to a server spoke another version of HTTP."""

    wire_name = "InvalidHTTPVersion"
    http_status = 400


class QuotaError(ChromaError):
    """Chroma's cloud refused because of a quota."""

    wire_name = "QuotaError"
    http_status = 400


class RateLimitError(ChromaError):
    """Chroma's cloud was asked too often."""

    wire_name = "RateLimitError"
    http_status = 429


class VersionMismatchError(ChromaError):
    """Client and server do not fit together."""

    wire_name = "VersionMismatchError"


error_types: dict[str, type[ChromaError]] = {
    cls.wire_name: cls
    for cls in (
        ChromaError,
        AuthorizationError,
        BatchSizeExceededError,
        ChromaAuthError,
        DuplicateIDError,
        IDAlreadyExistsError,
        InternalError,
        InvalidArgumentError,
        InvalidCollectionException,
        InvalidDimensionException,
        InvalidHTTPVersion,
        InvalidUUIDError,
        NoDatapointsException,
        NoIndexException,
        NotEnoughElementsException,
        NotFoundError,
        QuotaError,
        RateLimitError,
        UniqueConstraintError,
        VersionMismatchError,
    )
}
"""The classes by the names they have in the error bodies of servers."""
