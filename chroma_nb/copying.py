"""Collections from one store to any other: in batches, with progress, to be continued after an interruption.

A collection that is not in the target yet is copied under a name of its own (``copying-`` and the identity and
version of the source, see `halves`) and gets its real name as the very last step.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from chroma_nb import halves
from chroma_nb.errors import InvalidArgumentError, ReadOnlyStoreError
from chroma_nb.progress import PATIENCE, bar
from chroma_nb.store.protocol import Progress, Store
from chroma_nb.types import CollectionInfo, Records, Selection

_BATCH_ROWS = 5_000
_BATCH_BYTES = 16 << 20
_FIRST_BYTES = 1 << 20  # of the first batch: how long the documents are is not known yet
_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})


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
    way = _Way(source, target, halves.checked_rows(batch_size, _BATCH_ROWS))
    infos = halves.asked(source, collections)
    there = {info.name: info for info in target.list_collections()}
    for info in infos:
        if info.name in there:
            halves.check_goes_with(info, there[info.name], on_conflict, "copied")
    return [_copy(way, info, there.get(info.name), on_conflict) for info in infos]


# what is asked for ----------------------------------------------------------------------------


def _check_way(source: Store, target: Store, on_conflict: str) -> None:
    halves.checked_conflict(on_conflict)
    if source is target or _same(source, target):
        raise InvalidArgumentError(f"Both clients are on the same store ({source.location}): give another one.")
    if target.read_only:
        raise ReadOnlyStoreError(f"{target.location} was opened with read_only=True: nothing can be copied to it.")


def _same(source: Store, target: Store) -> bool:
    """Whether what is made in the target is seen in the source.

    Collections with the same id are only a sign of that: two stores may have imported the same data.
    """
    ids = {info.id for info in source.list_collections()}
    if not any(info.id in ids for info in target.list_collections()):
        return False
    if target.read_only or source.read_only:
        return source.location == target.location
    name = f"copying-{uuid.uuid4().hex}-0"
    made = target.create_collection(CollectionInfo(uuid.uuid4(), name))
    try:
        return any(info.name == name for info in source.list_collections())
    finally:
        target.delete_collection(made.id)


# one collection -------------------------------------------------------------------------------


def _copy(way: _Way, info: CollectionInfo, existing: CollectionInfo | None, on_conflict: str) -> Copied:
    started = time.perf_counter()
    with halves.continued(info.name, "copied", "copy_to"), bar(f"copying {info.name}", "items", after=PATIENCE) as move:
        ids = halves.all_ids(way.source, info.id)
        if existing is None or on_conflict == "replace":
            copied, known = _whole(way, info, existing, ids, move)
            skipped, already_there = 0, known
        else:
            copied, skipped = _into(way, info, existing, ids, move, overwrite=on_conflict == "upsert")
            halves.forget_halves(way.target, _half_name(info), info.name)
            already_there = 0
    seconds = time.perf_counter() - started
    return Copied(info.name, len(ids), copied, skipped, already_there, seconds, verified=True)


def _whole(
    way: _Way, info: CollectionInfo, existing: CollectionInfo | None, ids: pa.Array, move: Progress
) -> tuple[int, int]:
    """A collection of its own, which gets its name in the end: how many were copied, now and earlier."""
    # A new id: the two may go different ways from now on.
    half, known = halves.half(way.target, replace(info, id=uuid.uuid4()), _half_name(info), ids)
    kept, copied = ids.filter(pa.array(known)), []
    for records in _batches(way, info, ids.filter(pa.array(~known)), _moved(move, len(kept), len(ids))):
        way.target.add(half.id, records)
        copied.append(records.ids)
    halves.verify(pa.chunked_array([kept, *copied], pa.large_string()), halves.all_ids(way.target, half.id))
    halves.complete(way.target, half, info.name, existing)
    return sum(map(len, copied)), len(kept)


def _into(
    way: _Way, info: CollectionInfo, existing: CollectionInfo, ids: pa.Array, move: Progress, *, overwrite: bool
) -> tuple[int, int]:
    """Into a collection that is there already: how many were copied, and skipped."""
    known = np.zeros(len(ids), dtype=np.bool_) if overwrite else halves.known(way.target, existing.id, ids)
    kept, copied, added = ids.filter(pa.array(known)), [], 0
    function = info.embedding_function
    for records in _batches(way, info, ids.filter(pa.array(~known)), _moved(move, len(kept), len(ids))):
        if overwrite:
            halves.upsert_whole(way.target, existing.id, records, function)
            added += len(records)
        else:
            added += way.target.add(existing.id, records, function=function)
        copied.append(records.ids)
    expected = pa.chunked_array([kept, *copied], pa.large_string())
    halves.verify(expected, halves.held(way.target, existing.id, expected))
    return added, len(expected) - added


def _half_name(info: CollectionInfo) -> str:
    return f"copying-{info.id.hex}-{info.version}"


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
