"""The log of a Chroma database: what was written but is not yet in the tables of rows, or in the segment of vectors.

Each collection has two readers of its log, the segment of its rows and that of its vectors; each has seen it up to some
entry (table ``max_seq_id``, or in 0.4 the segment's folder). What stands behind is replayed as Chroma does it: an
``add`` of an id that exists and an ``update`` of one that does not are ignored, metadata is merged key by key, and null
deletes a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import CorruptStoreError
from chroma_nb.migrate.modern_sqlite import Database

NOTHING_SEEN = -1
"""What a segment has seen that has seen no entry."""

_ADD, _UPDATE, _UPSERT, _DELETE = range(4)
_AT_ONCE = 5_000  # entries
_PARAMETERS = 500  # fewer than any SQLite allows in one statement
_ENCODINGS = {"FLOAT32": "<f4", "INT32": "<i4"}

# The topic ends with the id of the collection; what precedes it can be configured.
_OF_COLLECTION = "substr(topic, -36) = ? AND seq_id > ? ORDER BY seq_id"


@dataclass
class RowChanges:
    """What the log changes in the rows of a collection.

    Attributes:
        deleted: ids of the table that are gone, or were made anew.
        patched: id of the table -> key -> new value, None where the key is deleted.
        added: id -> metadata of the rows that come after those of the table, in order.
    """

    deleted: set[str] = field(default_factory=set)
    patched: dict[str, dict[str, Any]] = field(default_factory=dict)
    added: dict[str, dict[str, Any]] = field(default_factory=dict)

    def replay(self, operation: int, id_: str, metadata: dict[str, Any], in_table: Callable[[str], bool]) -> None:
        """One entry."""
        exists = id_ in self.added or (id_ not in self.deleted and in_table(id_))
        if operation == _DELETE:
            self.added.pop(id_, None)
            self.patched.pop(id_, None)
            if in_table(id_):
                self.deleted.add(id_)
        elif exists and operation in (_UPDATE, _UPSERT):
            changed = self.added[id_] if id_ in self.added else self.patched.setdefault(id_, {})
            changed.update(metadata)
        elif not exists and operation in (_ADD, _UPSERT):
            self.added[id_] = dict(metadata)


class Log:
    """The table ``embeddings_queue``, and how far each segment has seen it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        seen = database.rows("SELECT segment_id, seq_id FROM max_seq_id WHERE seq_id IS NOT NULL")
        self._seen = {segment: number(seq_id) for segment, seq_id in seen}
        rows = database.rows("SELECT substr(topic, -36), max(seq_id) FROM embeddings_queue GROUP BY 1")
        self._last: dict[str, int] = dict(rows)

    def seen(self, segment: str | None) -> int | None:
        """The last entry that a segment has seen; None if the table does not say it."""
        return None if segment is None else self._seen.get(segment)

    def row_changes(self, collection: str, after: int, in_table: Callable[[str], bool]) -> RowChanges:
        """What the entries after that one change in the rows."""
        changes = RowChanges()
        if self._last.get(collection, -1) <= after:
            return changes
        statement = f"SELECT seq_id, operation, id, metadata FROM embeddings_queue WHERE {_OF_COLLECTION}"
        for part in self._database.parts(statement, (collection, after), _AT_ONCE):
            for seq_id, operation, id_, text in part:
                changes.replay(operation, id_, _metadata(seq_id, text), in_table)
        return changes

    def vector_changes(
        self, collection: str, after: int, labels: Container[str], *, whole: bool
    ) -> tuple[dict[str, int], set[str]]:
        """Where the log has newer vectors (id -> entry), and which ids of the segment are deleted.

        Args:
            collection: its id.
            after: the last entry that is in the segment.
            labels: the ids of the segment.
            whole: whether the segment is all there was before; if it is lost, an update may be of an item
                whose beginning is lost with it.
        """
        found: dict[str, int] = {}
        gone: set[str] = set()
        if self._last.get(collection, -1) <= after:
            return found, gone
        statement = f"SELECT seq_id, operation, id, vector IS NOT NULL FROM embeddings_queue WHERE {_OF_COLLECTION}"
        for part in self._database.parts(statement, (collection, after), _AT_ONCE):
            for seq_id, operation, id_, given in part:
                exists = id_ in found or (id_ in labels and id_ not in gone)
                if operation == _DELETE:
                    found.pop(id_, None)
                    gone.add(id_)
                elif given and _takes(operation, exists=exists, whole=whole):
                    found[id_] = seq_id
        return found, gone

    def vectors(self, entries: Sequence[int]) -> list[npt.NDArray[np.float32] | None]:
        """The vectors of these entries; None for one that is no vector."""
        found: dict[int, npt.NDArray[np.float32] | None] = {}
        for start in range(0, len(entries), _PARAMETERS):
            asked = entries[start : start + _PARAMETERS]
            marks = ", ".join("?" * len(asked))
            rows = self._database.rows(
                f"SELECT seq_id, encoding, vector FROM embeddings_queue WHERE seq_id IN ({marks})", asked
            )
            found |= {seq_id: _vector(encoding, content) for seq_id, encoding, content in rows}
        return [found.get(entry) for entry in entries]


def number(seq_id: int | bytes) -> int:
    """The number of an entry: an integer (1.x), or its big-endian bytes (0.4 to 0.6).

    >>> number((300).to_bytes(8, "big")), number(300)
    (300, 300)
    """
    return int.from_bytes(seq_id, "big") if isinstance(seq_id, bytes) else int(seq_id)


def _takes(operation: int, *, exists: bool, whole: bool) -> bool:
    """Whether an entry with a vector changes an item."""
    if operation == _ADD:
        return not exists
    return operation == _UPSERT or (operation == _UPDATE and (exists or not whole))


def _metadata(seq_id: int, text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise CorruptStoreError(f"Entry {seq_id} of the log of the database is damaged: {error}.") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise CorruptStoreError(f"Entry {seq_id} of the log of the database is damaged: {text!r:.80} is no metadata.")
    return found


def _vector(encoding: str | None, content: object) -> npt.NDArray[np.float32] | None:
    dtype = _ENCODINGS.get(encoding or "FLOAT32")
    if dtype is None or not isinstance(content, bytes) or len(content) % 4:
        return None
    return np.frombuffer(content, dtype).astype(np.float32)
