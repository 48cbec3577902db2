"""Which methods of stores and snapshots others may call, and what becomes of one that is asked for twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from chroma_nb import errors
from chroma_nb.errors import ChromaNbError, StoreError
from chroma_nb.store.local import LocalStore

# Carried out once, however often they are asked for under the same id.
WRITES = frozenset(
    {
        "add",
        "create_collection",
        "delete",
        "delete_collection",
        "delete_view",
        "modify_collection",
        "reset",
        "save_layout",
        "save_view",
        "update",
        "upsert",
    }
)
OF_STORES = (WRITES - {"save_layout"}) | frozenset(
    {
        "build_index",
        "collection",
        "collection_by_id",
        "freeze",
        "get",
        "known",
        "list_collections",
        "persist",
        "query",
        "sql",
        "stats",
        "view",
        "views",
    }
)
OF_SNAPSHOTS = frozenset({"column", "layout", "matching", "neighbours", "records", "save_layout", "search", "vectors"})
# Those that tell how far they are, and what they call it.
PROGRESS = dict.fromkeys(("add", "build_index", "update", "upsert"), ("progress",)) | {
    "neighbours": ("progress", "indexing")
}

_BUILTIN = (
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


def once(store: LocalStore, call: uuid.UUID, name: str, arguments: Sequence[Any], work: Callable[[], Any]) -> Any:
    """Do a write, unless it was done before; then what it returned."""

    def again(number: int | None) -> Any:
        if name == "create_collection":
            return store.collection_by_id(arguments[0].id)
        return store.collection_by_id(arguments[0]) if name == "modify_collection" else number

    return store.once(call, work, again)


def described(error: BaseException) -> list[str]:
    """An error as its class and text, to be raised elsewhere."""
    return [type(error).__name__, str(error)]


def forget_frames(error: BaseException) -> None:
    """Let go of what an error refers to by its traceback: in a cycle, that would keep a store open."""
    chain = [error]
    while chain:
        some = chain.pop()
        if some.__traceback__ is not None:
            some.__traceback__ = None
            chain += [other for other in (some.__cause__, some.__context__) if other is not None]


def raised(description: Sequence[str]) -> BaseException:
    """The error that was described: of the same class, if that is one of ours or a usual one.

    >>> raised(["CollectionNotFoundError", "Collection docs does not exist."])
    CollectionNotFoundError('Collection docs does not exist.')
    """
    name, text = description
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, ChromaNbError):
        return found(text)
    for cls in _BUILTIN:
        if cls.__name__ == name:
            return cls(text)
    return StoreError(f"The process that has the store open failed: {name}: {text}")
