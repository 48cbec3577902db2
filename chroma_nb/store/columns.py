"""The columns of a collection in files: a cache that keeps opening as quick as it is for few items.

A *chunk* of a collection is a range of `CHUNK` row numbers (rows never change their number). The database has a *stamp*
for each chunk, a random number that every transaction replaces which changes or deletes items of the chunk, or moves
their vectors. A file belongs to one chunk and one stamp, and holds all items of the chunk below some row; what was
appended since is read from the database. So a file whose stamp is that of the database is right, whatever happened
meanwhile, and another one is never read.

A file is written when the chunk has rows that it lacks: so many that reading them costs something (`_FEW`) and a
quarter of what it holds, or any if the chunk can get no more. So appending writes an item about five times at most.
What is changed over and over is written every `PAUSE` seconds; on closing at most `_ON_CLOSING` chunks are written, and
the rest is left to the next process that reads the collection.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store import columns_file
from chroma_nb.store.catalog import Entry
from chroma_nb.store.columns_ids import Ids, Sorted
from chroma_nb.store.mirror import Mirror, Part
from chroma_nb.store.schema import CHUNK
from chroma_nb.store.sparse import SparseColumn
from chroma_nb.types import ARROW_TYPES, IntArray

_log = logging.getLogger(__name__)

PAUSE = 30.0
_FEW = 4096
_ON_CLOSING = 4
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d+)\.(\d+)\.(\d+)\.columns")


@dataclass(frozen=True)
class Filed:
    """A file of columns, by its name.

    Attributes:
        path: of the file.
        chunk: number of the chunk.
        stamp: of the chunk as it is in the file.
        upto: the file holds all items of the chunk whose rows are below this.
    """

    path: Path
    chunk: int
    stamp: int
    upto: int

    def valid(self, entry: Entry) -> bool:
        """Whether this is what the database says."""
        known = self.chunk < len(entry.stamps) and self.stamp == entry.stamps[self.chunk]
        return known and self.upto <= entry.next_row


def filed(folder: Path, entries: Iterable[Entry]) -> dict[tuple[uuid.UUID, int], Filed]:
    """The valid files of collections, by collection and chunk: of each chunk the one that holds most."""
    by_id = {str(entry.info.id): entry for entry in entries}
    found: dict[tuple[uuid.UUID, int], Filed] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        entry = None if match is None else by_id.get(match[1])
        if match is None or entry is None:
            continue
        file = Filed(path, int(match[2]), int(match[3]), int(match[4]))
        if file.valid(entry):
            other = found.setdefault((entry.info.id, file.chunk), file)
            found[entry.info.id, file.chunk] = max(file, other, key=lambda one: one.upto)
    return found


class Columns:
    """The files of columns of one collection that is in memory.

    Args:
        folder: where they are.

    Attributes:
        dropped: nothing shall be written any more.
    """

    def __init__(self, folder: Path) -> None:
        self.dropped = False
        self._folder = folder
        self._filed: dict[int, Filed] = {}
        self._ids: dict[int, Sorted] = {}
        self._tried: dict[int, float] = {}  # when a chunk was last written, or could not be
        self._seen: Entry | None = None
        self._again = 0.0
        self._saving = threading.Lock()

    def load(self, entry: Entry) -> list[Part]:
        """What is in valid files, in any order."""
        parts = []
        for file in filed(self._folder, [entry]).values():
            try:
                part, self._ids[file.chunk] = _read(file)
                self._filed[file.chunk] = file
                parts.append(part)
            except FileNotFoundError:  # removed by hand, just now
                _log.debug("%s is gone", file.path)
            except (OSError, CorruptStoreError) as error:
                _log.warning("columns are read from the database instead: %s", error)
        return parts

    def missing(self, entry: Entry) -> list[tuple[int, int]]:
        """The ranges of rows that are in no file."""
        ranges: list[tuple[int, int]] = []
        for chunk, (first, stop) in enumerate(_bounds(entry)):
            start = self._filed[chunk].upto if chunk in self._filed else first
            if start < stop:
                joined = ranges.pop()[0] if ranges and ranges[-1][1] == start else start
                ranges.append((joined, stop))
        return ranges

    def ids(self, mirror: Mirror) -> Ids:
        """The positions by id of all items in the mirror, which began with what `load` gave."""
        starts = np.searchsorted(mirror.rows, [chunk * CHUNK for chunk in self._ids])
        return Ids(mirror, dict(zip(starts.tolist(), self._ids.values(), strict=True)))

    # writing ----------------------------------------------------------------------------------

    def wanting(self, entry: Entry, mirror: Mirror) -> bool:
        """Whether some chunk is to be written now; of the same state, it is cheap to ask again."""
        now = time.monotonic()
        if entry is self._seen and now < self._again:
            return False
        due = self._due(entry, mirror)
        waits = [self._tried.get(chunk, -PAUSE) + PAUSE for chunk in due]
        self._seen, self._again = entry, min(waits, default=float("inf"))
        return now >= self._again

    def save(self, entry: Entry, mirror: Mirror, ended: Callable[[], bool], *, closing: bool = False) -> None:
        """Write what is due. A file that could not be written is tried again later.

        Args:
            entry: the state; ``mirror`` is its items.
            mirror: see there.
            ended: whether to leave the rest.
            closing: nobody asks again.
        """
        with self._saving:
            due = self._due(entry, mirror)
            if not closing:
                due = [chunk for chunk in due if time.monotonic() >= self._tried.get(chunk, -PAUSE) + PAUSE]
            for chunk in due[:_ON_CLOSING] if closing else due:
                if ended():
                    return
                self._save(chunk, entry, mirror)
            self._seen = None

    def _due(self, entry: Entry, mirror: Mirror) -> list[int]:
        """Chunks to be written, those first that can get no more rows."""
        due = []
        for chunk, (start, stop) in enumerate(_bounds(entry)[: len(entry.stamps)]):
            file = self._filed.get(chunk)
            upto = file.upto if file is not None and file.valid(entry) else start
            full = stop == (chunk + 1) * CHUNK
            if stop - upto < (1 if full else _FEW):
                continue
            held, lacking = mirror.count_rows(start, upto), mirror.count_rows(upto, stop)
            if lacking and ((full and held) or lacking >= max(_FEW, held // 4)):
                due.append(chunk)
        return due

    def _save(self, chunk: int, entry: Entry, mirror: Mirror) -> None:
        start, stop = _bounds(entry)[chunk]
        name = f"{entry.info.id}.{chunk}.{entry.stamps[chunk]}.{stop}.columns"
        file = Filed(self._folder / name, chunk, entry.stamps[chunk], stop)
        self._tried[chunk] = time.monotonic()
        try:
            _write(file, mirror, start)
        except Exception as error:  # noqa: BLE001 - logged; a cache ends neither the thread that writes it nor a close
            _log.warning("columns could not be saved to %s (%s); they are read from the database", file.path, error)
            return
        if self.dropped:
            _remove(file.path)
            return
        old = self._filed.get(chunk)
        self._filed[chunk] = file
        if old is not None and old.path != file.path:
            _remove(old.path)


def _bounds(entry: Entry) -> list[tuple[int, int]]:
    """First and last + 1 row of each chunk."""
    return [(start, min(start + CHUNK, entry.next_row)) for start in range(0, entry.next_row, CHUNK)]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.info("%s could not be removed yet: %s", path, error)


# one file -------------------------------------------------------------------------------------


def _write(file: Filed, mirror: Mirror, start: int) -> None:
    positions = mirror.between(start, file.upto)
    arrays = {
        f"column.{name}": column
        for name, column in mirror.take(positions, list(mirror.types)).items()
        if column.null_count < len(column)
    }
    facts: dict[str, Any] = {"stamp": file.stamp, "items": len(positions)}
    for name, numbers in (("row", mirror.rows[positions]), ("slot", mirror.slots[positions])):
        # Consecutive numbers are told by the first one.
        if bool((np.diff(numbers) == 1).all()):
            facts[name] = int(numbers[0])
        else:
            arrays[name] = pa.array(numbers)
    ids = Sorted.of(arrays["column.id"])
    arrays |= {"id.hash": pa.array(ids.hashes), "id.order": pa.array(ids.order)}
    facts["sparse"] = _put_sparse(mirror, start, file.upto, arrays)
    columns_file.write(file.path, facts, arrays)


def _put_sparse(mirror: Mirror, start: int, stop: int, arrays: dict[str, pa.Array]) -> dict[str, dict[int, int]]:
    """Sparse values, joined by kind; how many there are of each pair."""
    counts: dict[str, dict[int, int]] = {}
    pieces: dict[str, list[SparseColumn]] = {}
    kinds = {type_: kind.value for kind, type_ in ARROW_TYPES.items()}
    for number, column in mirror.sparse.items():
        piece = column.between(start, stop)
        if len(piece.rows):
            kind = kinds[column.values.type]
            counts.setdefault(kind, {})[number] = len(piece.rows)
            pieces.setdefault(kind, []).append(piece)
    for kind, found in pieces.items():
        joined = SparseColumn.joined(found)
        arrays[f"sparse.{kind}.row"], arrays[f"sparse.{kind}.value"] = pa.array(joined.rows), joined.values
    return counts


def _read(file: Filed) -> tuple[Part, Sorted]:
    facts, arrays = columns_file.read(file.path)
    if facts.get("stamp") != file.stamp or "id.hash" not in arrays:
        raise CorruptStoreError(f"{file.path} holds another state than its name says")
    part = Part(
        rows=_numbers(facts, arrays, "row"),
        slots=_numbers(facts, arrays, "slot"),
        columns={name.removeprefix("column."): array for name, array in arrays.items() if name.startswith("column.")},
        sparse=_sparse(facts["sparse"], arrays),
    )
    return part, Sorted(arrays["id.hash"].to_numpy(), arrays["id.order"].to_numpy())


def _numbers(facts: Mapping[str, Any], arrays: Mapping[str, pa.Array], name: str) -> IntArray | range:
    if name in facts:
        return range(facts[name], facts[name] + facts["items"])
    numbers: IntArray = arrays[name].to_numpy()
    return numbers


def _sparse(counts: Mapping[str, Mapping[str, int]], arrays: Mapping[str, pa.Array]) -> dict[int, SparseColumn]:
    found = {}
    for kind, numbers in counts.items():
        rows, values, at = arrays[f"sparse.{kind}.row"].to_numpy(), arrays[f"sparse.{kind}.value"], 0
        for number, count in numbers.items():
            found[int(number)] = SparseColumn(rows[at : at + count], values.slice(at, count))
            at += count
    return found
