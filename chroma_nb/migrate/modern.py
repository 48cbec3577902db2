"""The reader of directories that Chroma 0.4 to 1.x wrote: a SQLite database, and a folder of vectors for a collection.

Rows come in order of insertion. A vector is that of the log if it has a newer one, else that of the segment's folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from chroma_nb.errors import StoreLockedError
from chroma_nb.migrate import modern_catalog
from chroma_nb.migrate.assembling import batch_of_rows
from chroma_nb.migrate.modern_catalog import Listed
from chroma_nb.migrate.modern_log import NOTHING_SEEN, Log, RowChanges
from chroma_nb.migrate.modern_rows import DOCUMENT, Rows
from chroma_nb.migrate.modern_segment import Segment
from chroma_nb.migrate.modern_sqlite import Database
from chroma_nb.migrate.modern_vectors import Vectors
from chroma_nb.migrate.source import MODERN_FILE, SourceBatch, SourceCollection, fingerprint_of
from chroma_nb.types import IntArray, Metric

_SHORTENED = "its vectors have length 1: their lengths were not kept"


@dataclass(frozen=True)
class _Opened:
    """One collection, ready to be read: the numbers and ids of its rows in the table, then the rows of the log."""

    listed: Listed
    numbers: IntArray
    ids: pa.Array
    changes: RowChanges
    vectors: Vectors


class ModernSource:
    """A directory of Chroma 0.4 to 1.x, for `chroma_nb.migrate.source.Source`.

    Uris are kept as metadata under ``chroma:uri``; lists become JSON text. A collection whose name several databases of
    the directory have gets the name of its database before its own.

    Args:
        path: of the directory.

    Raises:
        CorruptStoreError: its database is torn or damaged.
        StoreLockedError: another process is writing to it.
    """

    kind = "Chroma 0.4 or later (chroma.sqlite3)"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database_file = path / MODERN_FILE
        self.fingerprint = self._fingerprint()
        self._database = Database(self._database_file)
        try:
            self._rows, self._log = Rows(self._database), Log(self._database)
            self._listed = {listed.uuid: listed for listed in modern_catalog.listed(self._database)}
        except BaseException:
            self._database.close()
            raise
        self._changes: dict[uuid.UUID, RowChanges] = {}
        self._opened: _Opened | None = None

    @property
    def location(self) -> str:
        """The directory."""
        return str(self._path)

    def collections(self) -> list[SourceCollection]:
        """All collections of all databases, oldest first."""
        return [self._described(listed) for listed in self._listed.values()]

    def ids(self, collection: SourceCollection) -> pa.Array:
        """The ids of all rows in order.

        Raises:
            CorruptStoreError: its vectors are damaged, or most of them are missing.
        """
        return self._open(collection).ids

    def batches(self, collection: SourceCollection, rows: int, start: int = 0) -> Iterator[SourceBatch]:
        """The rows from that position on, at most so many at once."""
        opened = self._open(collection)
        for first, last in _spans(start, len(opened.numbers), len(opened.ids), rows):
            batch = self._batch(opened, collection, first, last)
            self._check_unchanged()
            yield batch

    def close(self) -> None:
        """Let go of the files."""
        self._opened = None
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # collections ------------------------------------------------------------------------------

    def _described(self, listed: Listed) -> SourceCollection:
        changes = self._row_changes(listed)
        count = self._rows.count(listed.metadata_segment or "") - len(changes.deleted) + len(changes.added)
        notes = list(listed.notes)
        dimension = listed.dimension
        if count and dimension is None:
            dimension = Vectors(self._path, listed, self._log).dimension
        if listed.settings.space is Metric.COSINE and not Segment.keeps_lengths(
            self._path / (listed.vector_segment or "?")
        ):
            notes.append(_SHORTENED)
        return SourceCollection(
            id=listed.uuid,
            name=listed.name,
            metadata=listed.metadata,
            settings=listed.settings,
            dimension=dimension,
            rows=count,
            embedding_function=listed.function,
            notes=tuple(notes),
        )

    def _row_changes(self, listed: Listed) -> RowChanges:
        if listed.uuid not in self._changes:
            segment = listed.metadata_segment or ""
            seen = self._log.seen(segment)
            self._changes[listed.uuid] = self._log.row_changes(
                listed.id, NOTHING_SEEN if seen is None else seen, lambda id_: self._rows.holds(segment, id_)
            )
        return self._changes[listed.uuid]

    def _open(self, collection: SourceCollection) -> _Opened:
        if self._opened is None or self._opened.listed.uuid != collection.id:
            self._opened = None  # two at once would take twice the memory
            listed = self._listed[collection.id]
            changes, vectors = self._row_changes(listed), Vectors(self._path, listed, self._log)
            numbers, ids = self._rows.ids(listed.metadata_segment or "")
            if changes.deleted:
                kept = np.array([id_ not in changes.deleted for id_ in ids.to_pylist()], dtype=np.bool_)
                numbers, ids = numbers[kept], ids.filter(pa.array(kept))
            every = pa.concat_arrays([*ids.chunks, pa.array(changes.added, pa.large_string())])
            vectors.check_enough(every)
            self._opened = _Opened(listed, numbers, every, changes, vectors)
        return self._opened

    # rows -------------------------------------------------------------------------------------

    def _batch(self, opened: _Opened, collection: SourceCollection, first: int, last: int) -> SourceBatch:
        ids = opened.ids.slice(first, last - first)
        texts = ids.to_pylist()
        metadatas = self._metadatas(opened, texts, first)
        documents = pa.array([_text(metadata.pop(DOCUMENT, None)) for metadata in metadatas], pa.large_string())
        matrix, left_out = opened.vectors.of(texts, collection.dimension or 0)
        return batch_of_rows(ids, documents, metadatas, matrix, first, left_out)

    def _metadatas(self, opened: _Opened, ids: Sequence[str], first: int) -> list[dict[str, Any]]:
        changes = opened.changes
        if first >= len(opened.numbers):
            return [_given(changes.added[id_]) for id_ in ids]
        numbers = opened.numbers[first : first + len(ids)]
        found = self._rows.metadata(opened.listed.metadata_segment or "", numbers)
        if changes.patched:
            for row, id_ in enumerate(ids):
                if id_ in changes.patched:
                    found[row] = _given(found[row] | changes.patched[id_])
        return found

    # files ------------------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        beside = [self._path / f"{MODERN_FILE}{suffix}" for suffix in ("-wal", "-journal")]
        folders = [*self._path.glob("*/*.bin"), *self._path.glob("*/*.pickle")]
        return fingerprint_of([self._database_file, *folders, *(path for path in beside if path.exists())])

    def _check_unchanged(self) -> None:
        if self._fingerprint() != self.fingerprint:
            raise StoreLockedError(
                f"{self._path} was changed by another process while it was read. Stop that process, and import again."
            )


def _spans(start: int, table: int, total: int, rows: int) -> Iterator[tuple[int, int]]:
    """From where to where batches go; those of the table end where it ends."""
    while start < total:
        end = min(start + rows, table if start < table else total)
        yield start, end
        start = end


def _given(metadata: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that the log deletes."""
    return {key: value for key, value in metadata.items() if value is not None}


def _text(document: object) -> str | None:
    return document if isinstance(document, str) else None
