"""Every error this library raises, in one tree.

Each class also derives from the builtin (or from the old or new Chroma class) that callers
already catch, so ``except ValueError`` written for Chroma 0.3 and ``except NotFoundError``
written for Chroma 1.x both work::

    ChromaNbError (ChromaError)
    ├── InvalidArgumentError (ValueError)                400
    │   ├── InvalidDimensionError                        400  "InvalidDimension"
    │   ├── DuplicateIDError                             400  "DuplicateID"
    │   ├── InvalidUUIDError                             400  "InvalidUUID"
    │   ├── InvalidNumberOfResultsError (TypeError)      400
    │   ├── ColumnNotFoundError (KeyError)               400
    │   ├── EmbeddingFunctionError                       400
    │   └── SqlError                                     400
    ├── NotFoundError (ValueError)                       404
    │   ├── CollectionNotFoundError (KeyError)           404  "InvalidCollection"
    │   └── IDNotFoundError                              404
    ├── AlreadyExistsError (ValueError)                  409
    │   ├── CollectionExistsError                        409  "UniqueConstraint"
    │   └── IDAlreadyExistsError                         409  "IDAlreadyExists"
    ├── AuthorizationError (PermissionError, ValueError) 403
    ├── NotSupportedError (NotImplementedError)          501
    ├── MissingDependencyError (ImportError)             500
    ├── ModelNotFoundError (FileNotFoundError)           500
    └── StoreError                                       500
        ├── StoreLockedError (OSError)                   503
        ├── ReadOnlyStoreError (PermissionError)         403
        ├── ForeignStoreError (ValueError)               500
        ├── NewerStoreError                              500
        ├── CorruptStoreError                            500
        ├── StoreWriteError (OSError)                    507
        ├── ClosedStoreError                             500
        ├── ConnectionFailedError (ConnectionError, ValueError)  503
        ├── ServerTimeoutError (TimeoutError)            504
        ├── OverloadedError                              503
        ├── RequestTooLargeError (ValueError)            413
        ├── ServerError                                  502
        └── PartialWriteError                            500

Two warnings: `DuplicateIDWarning` (``add`` kept items that were already there) and
`EmbeddingFunctionWarning`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChromaNbError(Exception):
    """Base of all errors of this library.

    Attributes:
        wire_name: the name sent in REST error bodies, as Chroma spells it.
        http_status: the HTTP status that a server answers with.
    """

    wire_name: str = "ChromaError"
    http_status: int = 500

    # KeyError prints the repr of its argument and OSError counts its arguments: all of our
    # classes print their message as it was written.
    def __str__(self) -> str:
        return ", ".join(str(arg) for arg in self.args)

    def code(self) -> int:
        """HTTP status, under the name Chroma's classes use."""
        return self.http_status

    def message(self) -> str:
        """The text of the error, under the name Chroma's classes use."""
        return str(self)

    @classmethod
    def name(cls) -> str:
        """The name on the wire, under the name Chroma's classes use."""
        return cls.wire_name


class InvalidArgumentError(ChromaNbError, ValueError):
    """An argument has the wrong value; the message says which, and what is accepted."""

    wire_name = "InvalidArgumentError"
    http_status = 400


class InvalidDimensionError(InvalidArgumentError):
    """Vectors do not have the dimension of the collection."""

    wire_name = "InvalidDimension"


class DuplicateIDError(InvalidArgumentError):
    """The same id stands twice in one call."""

    wire_name = "DuplicateID"


class InvalidUUIDError(InvalidArgumentError):
    """A text that should be a UUID is none."""

    wire_name = "InvalidUUID"


class InvalidNumberOfResultsError(InvalidArgumentError, TypeError):
    """``n_results`` is not a positive integer (Chroma 0.3 raised TypeError here)."""


class ColumnNotFoundError(InvalidArgumentError, KeyError):
    """A frame has no column (or a collection no metadata key) of that name."""

    wire_name = "ColumnNotFound"


class EmbeddingFunctionError(InvalidArgumentError):
    """The embedding function is missing, failed, or is not the one the collection was made with."""

    wire_name = "EmbeddingFunction"


class SqlError(InvalidArgumentError):
    """A statement given to ``sql`` or ``raw_sql`` is wrong or would write."""

    wire_name = "Sql"


class NotFoundError(ChromaNbError, ValueError):
    """Something asked for by name or id does not exist."""

    wire_name = "NotFoundError"
    http_status = 404


class CollectionNotFoundError(NotFoundError, KeyError):
    """No collection of that name (or it was deleted)."""

    wire_name = "InvalidCollection"


class IDNotFoundError(NotFoundError):
    """``update`` was asked for ids that the collection does not hold."""

    wire_name = "IDNotFound"


class AlreadyExistsError(ChromaNbError, ValueError):
    """Something to be created is there already."""

    wire_name = "AlreadyExists"
    http_status = 409


class CollectionExistsError(AlreadyExistsError):
    """A collection of that name exists."""

    wire_name = "UniqueConstraint"


class IDAlreadyExistsError(AlreadyExistsError):
    """An id exists in the collection and the call was told not to skip it."""

    wire_name = "IDAlreadyExists"


class AuthorizationError(ChromaNbError, PermissionError, ValueError):
    """The settings or the server do not allow this."""

    wire_name = "AuthorizationError"
    http_status = 403


class NotSupportedError(ChromaNbError, NotImplementedError):
    """This client, store or server cannot do what was asked."""

    wire_name = "NotSupported"
    http_status = 501


class MissingDependencyError(ChromaNbError, ImportError):
    """An optional package is needed; the message gives the pip line."""

    wire_name = "MissingDependency"
    name = ChromaNbError.name  # type: ignore[assignment] # ImportError has an attribute of that name

    @classmethod
    def for_feature(cls, feature: str, package: str, extra: str | None = None) -> MissingDependencyError:
        """Build the one message all optional dependencies share."""
        target = f'"chroma-nb[{extra}]"' if extra else package
        return cls(f"{feature} needs the package {package!r}, which is not installed. Run: pip install {target}")


class ModelNotFoundError(ChromaNbError, FileNotFoundError):
    """The weights of an embedding model are nowhere to be found."""

    wire_name = "ModelNotFound"


class StoreError(ChromaNbError):
    """The store on disk cannot be used as it is."""

    wire_name = "StoreError"


class StoreLockedError(StoreError, OSError):
    """Another process has this directory open."""

    wire_name = "StoreLocked"
    http_status = 503


class ReadOnlyStoreError(StoreError, PermissionError):
    """The store was opened for reading, or its directory cannot be written."""

    wire_name = "ReadOnly"
    http_status = 403


class ForeignStoreError(StoreError, ValueError):
    """The path holds something that is not a chroma_nb store."""

    wire_name = "ForeignStore"


class NewerStoreError(StoreError):
    """A newer version of chroma_nb wrote this store."""

    wire_name = "NewerStore"


class CorruptStoreError(StoreError):
    """Files of the store are damaged or missing and cannot be rebuilt."""

    wire_name = "CorruptStore"


class StoreWriteError(StoreError, OSError):
    """Writing failed (disk full, quota, input/output error); nothing of the call was kept."""

    wire_name = "StoreWrite"
    http_status = 507


class ClosedStoreError(StoreError):
    """The client was closed."""

    wire_name = "ClosedStore"


class ConnectionFailedError(StoreError, ConnectionError, ValueError):
    """There is no Chroma server at that address, or the connection to it was lost."""

    wire_name = "ConnectionFailed"
    http_status = 503


class ServerTimeoutError(StoreError, TimeoutError):
    """A server did not answer in time; what was asked for may or may not have happened."""

    wire_name = "ServerTimeout"
    http_status = 504


class OverloadedError(StoreError):
    """A server has too much to do and refused the call; nothing happened."""

    wire_name = "Overloaded"
    http_status = 503


class RequestTooLargeError(StoreError, ValueError):
    """A server refused a request as too large; nothing happened."""

    wire_name = "RequestTooLarge"
    http_status = 413


class ServerError(StoreError):
    """A server answered something that no Chroma server answers, or failed inside."""

    wire_name = "ServerError"
    http_status = 502


class PartialWriteError(StoreError):
    """A call that takes several requests failed in the midst of them.

    Attributes:
        written: how many of its items were written before.
    """

    wire_name = "PartialWrite"

    def __init__(self, message: str = "", written: int = 0) -> None:
        super().__init__(message)
        self.written = written


class DuplicateIDWarning(UserWarning):
    """``add`` met ids that the collection holds already and kept the stored items."""


class EmbeddingFunctionWarning(UserWarning):
    """Something about the embedding function deserves a look."""


# The names of Chroma's own classes, for code that imports them.
ChromaError = ChromaNbError
InvalidDimensionException = InvalidDimensionError
InvalidCollectionException = CollectionNotFoundError
UniqueConstraintError = CollectionExistsError


def suggest(name: object, available: Iterable[object]) -> str:
    """A sentence naming the close matches of ``name``, or all that is available if it is little.

    >>> suggest("dosc", ["docs", "images"])
    ' Did you mean "docs"?'
    >>> suggest("zebra", ["docs", "images"])
    ' Available: "docs", "images".'
    >>> suggest("zebra", [])
    ''
    """
    names = [str(other) for other in available]
    close = difflib.get_close_matches(str(name), names, n=3)
    if close:
        return " Did you mean " + " or ".join(f'"{other}"' for other in close) + "?"
    if not names:
        return ""
    shown = ", ".join(f'"{other}"' for other in names[:10])
    return f" Available: {shown}{', ...' if len(names) > 10 else ''}."


def error_types() -> dict[str, type[ChromaNbError]]:
    """Every class of the tree by its wire name; where a base and a subclass share one, the base."""
    found: dict[str, type[ChromaNbError]] = {}
    queue: list[type[ChromaNbError]] = [ChromaNbError]
    while queue:
        cls = queue.pop(0)
        if cls.__module__ == __name__:  # not what others, `chroma_nb.compat` too, derive from them
            found.setdefault(cls.wire_name, cls)
        queue.extend(cls.__subclasses__())
    return found
