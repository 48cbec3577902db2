"""Bringing a collection into a store, wherever it comes from: halves, conflicts, ids, certainty.

A collection that is not in the store yet arrives under a name of its own, made of the identity and the state of its
source, and gets its real name as the very last step: a half collection never looks complete, and the next run finds
it and goes on. Rows are told apart by their ids, so none comes twice.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import (
    CollectionExistsError,
    CorruptStoreError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    InvalidDimensionError,
    StoreError,
)
from chroma_nb.store.protocol import Store
from chroma_nb.types import BoolArray, CollectionInfo, Records, Selection

OnConflict: TypeAlias = Literal["error", "skip", "upsert", "replace"]

_COMPARED_ROWS = 100_000
_ID_ROWS = 10_000  # where only ids travel
_HALF = re.compile(r"copying-[0-9a-f]{32}-\d+|(importing|filling)-[0-9a-f]{32}-[0-9a-f]{16}")
_log = logging.getLogger(__name__)


# what is asked for ----------------------------------------------------------------------------


def asked(store: Store, collections: Sequence[str] | str | None) -> list[CollectionInfo]:
    """The collections of these names; None: all that have wholly arrived.

    Raises:
        InvalidArgumentError: a name is no text.
        CollectionNotFoundError: there is none of that name.
    """
    if collections is None:
        return [info for info in store.list_collections() if not is_half(info.name)]
    names = [collections] if isinstance(collections, str) else list(collections)
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"Expected the names of collections, got {name!r}")
    return [store.collection(name) for name in dict.fromkeys(names)]


def checked_conflict(on_conflict: str) -> str:
    """InvalidArgumentError for anything but one of `OnConflict`."""
    choices = get_args(OnConflict)
    if on_conflict not in choices:
        raise InvalidArgumentError(f"on_conflict must be one of {', '.join(map(repr, choices))}, got {on_conflict!r}")
    return on_conflict


def checked_rows(batch_size: object, default: int) -> int:
    """How many rows at once; InvalidArgumentError for anything but None or a positive int."""
    if batch_size is None:
        return default
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise InvalidArgumentError(f"batch_size must be a positive int, got {batch_size!r}")
    return int(batch_size)


def check_goes_with(info: CollectionInfo, other: CollectionInfo, on_conflict: str, done: str) -> None:
    """Whether a collection can go where the target has one of its name; ``done``: "copied", "imported"."""
    if on_conflict == "error":
        raise CollectionExistsError(
            f"The target has a collection {other.name!r} already; nothing was {done}. Say on_conflict='skip', 'upsert' "
            "or 'replace', or leave this collection out."
        )
    if on_conflict == "replace":
        return
    advice = "Their vectors do not go together: on_conflict='replace' puts the one in the place of the other."
    if None not in (info.dimension, other.dimension) and info.dimension != other.dimension:
        raise InvalidDimensionError(
            f"{info.name!r} has vectors of dimension {info.dimension}, and of {other.dimension} in the target. {advice}"
        )
    if info.settings.space is not other.settings.space:
        raise InvalidArgumentError(
            f"hnsw:space of {info.name!r} is {info.settings.space.value!r}, and {other.settings.space.value!r} in the "
            f"target. {advice}"
        )
    if None not in (info.function_name, other.function_name) and info.function_name != other.function_name:
        raise EmbeddingFunctionError(
            f"{info.name!r} was made with the embedding function {info.function_name!r}, and with "
            f"{other.function_name!r} in the target. {advice}"
        )


# half collections -----------------------------------------------------------------------------


def is_half(name: str) -> bool:
    """Whether that is the name of a collection that has not wholly arrived.

    >>> is_half("copying-" + 32 * "a" + "-7"), is_half("copying-machines")
    (True, False)
    """
    return _HALF.fullmatch(name) is not None


def half(target: Store, info: CollectionInfo, name: str, ids: pa.Array) -> tuple[CollectionInfo, BoolArray]:
    """The half collection of that name, which an interrupted run left or which is made; and which of the ids it holds.

    Args:
        target: the store.
        info: what the collection will be; its id is kept if the target has none of that id.
        name: of the half: what is being done, the identity of the source, its state.
        ids: of all rows that will come, unique.
    """
    infos = target.list_collections()
    found = [other for other in infos if other.name == name]
    if found:
        there = known(target, found[0].id, ids)
        if target.stats(found[0].id).count == there.sum():
            return found[0], there
    # What came from another state of the source would have to be compared row by row.
    forget_halves(target, name, info.name)
    taken = any(other.id == info.id for other in infos if other not in found)
    id_ = uuid.uuid4() if taken else info.id
    made = target.create_collection(replace(info, id=id_, name=name, dimension=None, version=0))
    return made, np.zeros(len(ids), dtype=np.bool_)


def forget_halves(target: Store, name: str, collection: str) -> None:
    """Delete what interrupted runs left of the source of the half of that name, whatever its state was."""
    source = name.rpartition("-")[0]
    what = "copy" if name.startswith("copying") else "import"
    for other in target.list_collections():
        if is_half(other.name) and other.name.rpartition("-")[0] == source:
            _log.warning("dropping what an interrupted %s left of %r: it does not go with this one", what, collection)
            target.delete_collection(other.id)


def complete(target: Store, made: CollectionInfo, name: str, existing: CollectionInfo | None) -> None:
    """Give a half collection its name, in the place of the one that has it."""
    if existing is not None:
        target.delete_collection(existing.id)
    target.modify_collection(made.id, name=name)


@contextmanager
def continued(name: str, done: str, call: str) -> Iterator[None]:
    """Errors of the store and interrupts say that what arrived stays, and how it goes on.

    Args:
        name: of the collection.
        done: what did not happen completely: "copied", "imported".
        call: that goes on: "copy_to".
    """
    advice = f"{name!r} is not {done} completely; what is {done} stays. The same {call} again goes on from there."
    try:
        yield
    except CorruptStoreError:
        raise  # it would not go on
    except StoreError as error:
        error.args = (f"{error} {advice}",)  # the same error: it may know how much was written
        raise
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(advice)
        raise


# ids and items --------------------------------------------------------------------------------


def known(target: Store, collection: uuid.UUID, ids: pa.Array) -> BoolArray:
    """Which of these ids a collection holds."""
    found = [target.known(collection, part) for part in parts(ids)]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)


def all_ids(target: Store, collection: uuid.UUID) -> pa.Array:
    """The ids of a collection in order."""
    return target.get(collection, Selection(), frozenset()).ids


def held(target: Store, collection: uuid.UUID, ids: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Those of these ids that a collection holds."""
    found = [target.get(collection, Selection(ids=part), frozenset()).ids for part in parts(ids)]
    return pa.chunked_array(found, pa.large_string())


def parts(ids: pa.Array | pa.ChunkedArray) -> Iterator[list[str]]:
    """Ids as lists that a call can take."""
    for start in range(0, len(ids), _ID_ROWS):
        yield ids.slice(start, _ID_ROWS).to_pylist()


def upsert_whole(target: Store, collection: uuid.UUID, records: Records, function: str | None) -> None:
    """Put items in the place of those with their ids, without leaving anything of them.

    An upsert leaves the document of an item that comes without one: such items are made anew.
    """
    bare = records.ids.filter(pc.is_null(records.documents))
    if len(bare):
        old = target.get(collection, Selection(ids=bare.to_pylist()), frozenset({"documents"}))
        stale = old.ids.filter(pc.is_valid(old.documents)).to_pylist()
        if stale:
            target.delete(collection, Selection(ids=stale))
    target.upsert(collection, records, merge=False, function=function)


def checksum(ids: pa.Array | pa.ChunkedArray) -> str:
    """A sum over ids that does not depend on their order.

    >>> checksum(pa.array(["a", "b"])) == checksum(pa.array(["b", "a"])) != checksum(pa.array(["a", "a"]))
    True
    """
    total = 0
    for part in parts(ids):
        total += sum(int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=16).digest()) for id_ in part)
    return f"{total % (1 << 128):032x}"


def verify(expected: pa.ChunkedArray, found: pa.Array | pa.ChunkedArray) -> None:
    """StoreError unless both are the same ids, in whatever order."""
    if expected.equals(pa.chunked_array(found if isinstance(found, pa.ChunkedArray) else [found], pa.large_string())):
        return
    if len(found) != len(expected) or checksum(found) != checksum(expected):
        raise StoreError(
            f"The target holds {len(found):,} of the items, where {len(expected):,} were written: the ids are not the "
            "same. Somebody else writes to it."
        )


def verify_all(target: Store, collection: uuid.UUID, expected: pa.Array) -> None:
    """StoreError unless these ids, in whatever order, are those of a collection; they are not held a second time."""
    for start in range(0, len(expected) + 1, _COMPARED_ROWS):
        part = expected.slice(start, _COMPARED_ROWS)
        if not target.get(collection, Selection(), frozenset(), limit=_COMPARED_ROWS, offset=start).ids.equals(part):
            verify(pa.chunked_array([expected], pa.large_string()), all_ids(target, collection))
            return
