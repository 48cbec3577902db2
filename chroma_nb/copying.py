"""Collections from one store to any other: in batches, with progress, to be continued after an interruption.

A collection that is not in the target yet is copied under a name of its own (``copying-`` and the identity and
version of the source) and gets its real name as the very last step: what is half-copied never looks complete, and
the next run finds it and goes on. Rows are told apart by their ids, so none comes twice.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import (
    CollectionExistsError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    InvalidDimensionError,
    ReadOnlyStoreError,
    StoreError,
)
from chroma_nb.progress import bar
from chroma_nb.store.protocol import Progress, Store
from chroma_nb.types import BoolArray, CollectionInfo, Records, Selection

OnConflict: TypeAlias = Literal["error", "skip", "upsert", "replace"]

_BATCH_ROWS = 5_000
_BATCH_BYTES = 16 << 20
_FIRST_BYTES = 1 << 20  # of the first batch: how long the documents are is not known yet
_ID_ROWS = 10_000  # where only ids travel
_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})
_NOTHING: frozenset[str] = frozenset()
_HALF = re.compile(r"copying-[0-9a-f]{32}-\d+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """What became of one collection.

    Attributes:
        collection: its name.
        items: that the source held when its copying began.
        copied: written by this run.
        skipped: left as the target had them (``on_conflict="skip"``).
        already_there: copied by an earlier run that was interrupted.
        seconds: that it took.
        verified: that the target was seen to hold these ids; what is not so ends in an error.
    """

    collection: str
    items: int
    copied: int
    skipped: int
    already_there: int
    seconds: float
    verified: bool


@dataclass(frozen=True)
class _Way:
    """From where to where, and how many rows at once at most."""

    source: Store
    target: Store
    rows: int


def copy(
    source: Store,
    target: Store,
    collections: Sequence[str] | str | None = None,
    *,
    batch_size: int | None = None,
    on_conflict: str = "error",
) -> list[Copied]:
    """Copy collections with their items, metadata, index settings and embedding functions.

    Items are copied in order of insertion. Those that others add while a collection is copied are left out; those
    that they change or delete are copied as they are when their turn comes. Maps and saved views stay behind.

    Args:
        source: to copy from.
        target: to copy to.
        collections: their names; None: all.
        batch_size: rows read and written at once, at most; batches are also kept below 16 MB or so.
        on_conflict: what happens to a collection whose name the target has: "error" refuses before anything is
            copied, "skip" adds the items whose ids are new, "upsert" adds those and overwrites the others,
            "replace" deletes the target's collection once the copy is complete.

    Returns:
        One report for each collection, in order.

    Raises:
        CollectionNotFoundError: the source has no collection of that name; nothing was copied.
        CollectionExistsError: the target has one; nothing was copied.
        InvalidDimensionError: the two hold vectors of different dimensions; nothing was copied.
        StoreError: reading or writing failed, or the copy is not what it should be; what was copied so far stays,
            and the same call goes on from there.
    """
    _check_way(source, target, on_conflict)
    way = _Way(source, target, _rows(batch_size))
    infos = _asked(source, collections)
    there = {info.name: info for info in target.list_collections()}
    for info in infos:
        if info.name in there:
            _check_conflict(info, there[info.name], on_conflict)
    return [_copy(way, info, there.get(info.name), on_conflict) for info in infos]


# what is asked for ----------------------------------------------------------------------------


def _check_way(source: Store, target: Store, on_conflict: str) -> None:
    choices = get_args(OnConflict)
    if on_conflict not in choices:
        raise InvalidArgumentError(f"on_conflict must be one of {', '.join(map(repr, choices))}, got {on_conflict!r}")
    ids = {info.id for info in source.list_collections()}
    if source is target or any(info.id in ids for info in target.list_collections()):
        raise InvalidArgumentError(f"Both clients are on the same store ({source.location}): give another one.")
    if target.read_only:
        raise ReadOnlyStoreError(f"{target.location} was opened with read_only=True: nothing can be copied to it.")


def _rows(batch_size: object) -> int:
    if batch_size is None:
        return _BATCH_ROWS
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise InvalidArgumentError(f"batch_size must be a positive int, got {batch_size!r}")
    return int(batch_size)


def _asked(source: Store, collections: Sequence[str] | str | None) -> list[CollectionInfo]:
    if collections is None:
        return [info for info in source.list_collections() if not _HALF.fullmatch(info.name)]
    names = [collections] if isinstance(collections, str) else list(collections)
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"Expected the names of collections, got {name!r}")
    return [source.collection(name) for name in dict.fromkeys(names)]


def _check_conflict(info: CollectionInfo, other: CollectionInfo, on_conflict: str) -> None:
    if on_conflict == "error":
        raise CollectionExistsError(
            f"The target has a collection {info.name!r} already; nothing was copied. Say on_conflict='skip', 'upsert' "
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


# one collection -------------------------------------------------------------------------------


def _copy(way: _Way, info: CollectionInfo, existing: CollectionInfo | None, on_conflict: str) -> Copied:
    started = time.perf_counter()
    with _continued_by_the_same_call(info.name), bar(f"copying {info.name}", "items") as move:
        ids = way.source.get(info.id, Selection(), _NOTHING).ids
        if existing is None or on_conflict == "replace":
            copied, known = _whole(way, info, existing, ids, move)
            skipped, already_there = 0, known
        else:
            copied, skipped = _into(way, info, existing, ids, move, overwrite=on_conflict == "upsert")
            _forget_halves(way.target, info)
            already_there = 0
    seconds = time.perf_counter() - started
    return Copied(info.name, len(ids), copied, skipped, already_there, seconds, verified=True)


def _whole(
    way: _Way, info: CollectionInfo, existing: CollectionInfo | None, ids: pa.Array, move: Progress
) -> tuple[int, int]:
    """A collection of its own, which gets its name in the end: how many were copied, now and earlier."""
    half, known = _half(way.target, info, ids)
    kept, copied = ids.filter(pa.array(known)), []
    for records in _batches(way, info, ids.filter(pa.array(~known)), _moved(move, len(kept), len(ids))):
        way.target.add(half.id, records)
        copied.append(records.ids)
    _verify(pa.chunked_array([kept, *copied], pa.large_string()), way.target.get(half.id, Selection(), _NOTHING).ids)
    if existing is not None:
        way.target.delete_collection(existing.id)
    way.target.modify_collection(half.id, name=info.name)
    return sum(map(len, copied)), len(kept)


def _into(
    way: _Way, info: CollectionInfo, existing: CollectionInfo, ids: pa.Array, move: Progress, *, overwrite: bool
) -> tuple[int, int]:
    """Into a collection that is there already: how many were copied, and skipped."""
    known = np.zeros(len(ids), dtype=np.bool_) if overwrite else _known(way.target, existing.id, ids)
    kept, copied, added = ids.filter(pa.array(known)), [], 0
    function = info.embedding_function
    for records in _batches(way, info, ids.filter(pa.array(~known)), _moved(move, len(kept), len(ids))):
        if overwrite:
            _forget_documents(way.target, existing.id, records)
            way.target.upsert(existing.id, records, merge=False, function=function)
            added += len(records)
        else:
            added += way.target.add(existing.id, records, function=function)
        copied.append(records.ids)
    expected = pa.chunked_array([kept, *copied], pa.large_string())
    parts = [way.target.get(existing.id, Selection(ids=part), _NOTHING).ids for part in _parts(expected)]
    _verify(expected, pa.chunked_array(parts, pa.large_string()))
    return added, len(expected) - added


def _half(target: Store, info: CollectionInfo, ids: pa.Array) -> tuple[CollectionInfo, BoolArray]:
    """What an interrupted run left, or an empty collection; and which of the ids it holds."""
    name = f"copying-{info.id.hex}-{info.version}"
    found = [other for other in target.list_collections() if other.name == name]
    if found:
        known = _known(target, found[0].id, ids)
        if target.stats(found[0].id).count == known.sum():
            return found[0], known
    # What was copied from another state of the source would have to be compared row by row.
    _forget_halves(target, info)
    made = target.create_collection(replace(info, id=uuid.uuid4(), name=name, dimension=None, version=0))
    return made, np.zeros(len(ids), dtype=np.bool_)


def _forget_halves(target: Store, info: CollectionInfo) -> None:
    for other in target.list_collections():
        if _HALF.fullmatch(other.name) and other.name.startswith(f"copying-{info.id.hex}-"):
            _log.warning("dropping what an interrupted copy left of %r: it does not go with this one", info.name)
            target.delete_collection(other.id)


def _forget_documents(target: Store, collection: uuid.UUID, records: Records) -> None:
    """An upsert leaves the document of an item that comes without one: such items are made anew."""
    bare = records.ids.filter(pc.is_null(records.documents))
    if len(bare):
        old = target.get(collection, Selection(ids=bare.to_pylist()), frozenset({"documents"}))
        stale = old.ids.filter(pc.is_valid(old.documents)).to_pylist()
        if stale:
            target.delete(collection, Selection(ids=stale))


# batches --------------------------------------------------------------------------------------


def _batches(way: _Way, info: CollectionInfo, ids: pa.Array, moved: Callable[[int], None]) -> Iterator[Records]:
    """The items of these ids, a batch at a time; how many rows fit is learnt from the batch before."""
    start, rows = 0, max(1, min(way.rows, _FIRST_BYTES // (4 * (info.dimension or 1) + 1000)))
    while start < len(ids):
        asked = ids.slice(start, rows).to_pylist()
        records = way.source.get(info.id, Selection(ids=asked), _EVERYTHING)
        if len(records):  # all of them may have been deleted meanwhile
            yield records
            rows = max(1, min(way.rows, 4 * rows, _BATCH_BYTES * len(records) // max(1, _size(records))))
        start += len(asked)
        moved(start)


def _size(records: Records) -> int:
    """Bytes, about."""
    columns = [column for kinds in (records.metadata or {}).values() for column in kinds.values()]
    arrays = [records.ids, records.documents, records.embeddings, *columns]
    return sum(int(array.nbytes) for array in arrays if array is not None)


def _moved(move: Progress, done: int, total: int) -> Callable[[int], None]:
    return lambda count: move(done + count, total)


def _known(target: Store, collection: uuid.UUID, ids: pa.Array) -> BoolArray:
    parts = [target.known(collection, part) for part in _parts(ids)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)


def _parts(ids: pa.Array | pa.ChunkedArray) -> Iterator[list[str]]:
    for start in range(0, len(ids), _ID_ROWS):
        yield ids.slice(start, _ID_ROWS).to_pylist()


# certainty ------------------------------------------------------------------------------------


def checksum(ids: pa.Array | pa.ChunkedArray) -> str:
    """A sum over ids that does not depend on their order.

    >>> checksum(pa.array(["a", "b"])) == checksum(pa.array(["b", "a"])) != checksum(pa.array(["a", "a"]))
    True
    """
    total = 0
    for part in _parts(ids):
        total += sum(int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=16).digest()) for id_ in part)
    return f"{total % (1 << 128):032x}"


def _verify(expected: pa.ChunkedArray, found: pa.Array | pa.ChunkedArray) -> None:
    if len(found) != len(expected) or checksum(found) != checksum(expected):
        raise StoreError(
            f"The target holds {len(found):,} of the items, where {len(expected):,} were copied: the ids are not the "
            "same. Somebody else writes to it."
        )


@contextmanager
def _continued_by_the_same_call(name: str) -> Iterator[None]:
    advice = f"{name!r} is not copied completely; what is copied stays. The same copy_to again goes on from there."
    try:
        yield
    except StoreError as error:
        error.args = (f"{error} {advice}",)  # the same error: it may know how much was written
        raise
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(advice)
        raise
