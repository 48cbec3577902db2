"""The rows of a Chroma database: ids in order of insertion, and their metadata, which has one row for each key.

A value stands in one of the columns ``string_value``, ``int_value``, ``float_value``, ``bool_value``. Documents and
uris are values too, of the keys ``chroma:document`` and ``chroma:uri``. Lists (1.5) have a table of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.errors import CorruptStoreError
from chroma_nb.migrate.modern_sqlite import Database
from chroma_nb.types import IntArray

DOCUMENT = "chroma:document"
_AT_ONCE = 50_000  # ids
_LISTS = "embedding_metadata_array"
_VALUES = ("string_value", "int_value", "float_value", "bool_value")


class Rows:
    """The tables ``embeddings`` and ``embedding_metadata``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        there = database.columns("embedding_metadata")  # the first releases of 0.4 have no bools
        self._values = ", ".join(f"m.{name}" if name in there else f"NULL AS {name}" for name in _VALUES)
        self._lists = bool(database.columns(_LISTS)) and bool(database.rows(f"SELECT 1 FROM {_LISTS} LIMIT 1"))

    def count(self, segment: str) -> int:
        """How many rows a segment has."""
        return int(self._database.rows("SELECT count(*) FROM embeddings WHERE segment_id = ?", (segment,))[0][0])

    def holds(self, segment: str, id_: str) -> bool:
        """Whether a segment has a row of that id."""
        found = self._database.rows(
            "SELECT 1 FROM embeddings WHERE segment_id = ? AND embedding_id = ?", (segment, id_)
        )
        return bool(found)

    def ids(self, segment: str) -> tuple[IntArray, pa.ChunkedArray]:
        """The numbers of the rows of a segment, int64 (n,), ascending, and their ids (``large_string``)."""
        # With the plus sign the rows are read as they lie, in order, instead of by the index and sorted.
        statement = "SELECT id, embedding_id FROM embeddings WHERE +segment_id = ? ORDER BY id"
        numbers, ids = [np.empty(0, dtype=np.int64)], []
        for part in self._database.parts(statement, (segment,), _AT_ONCE):
            some, texts = zip(*part, strict=True)
            numbers.append(np.array(some, dtype=np.int64))
            ids.append(pa.array(map(_text, texts), pa.large_string()))
        return np.concatenate(numbers), pa.chunked_array(ids, pa.large_string())

    def metadata(self, segment: str, numbers: IntArray) -> list[dict[str, Any]]:
        """The metadata of rows next to each other (ascending numbers), keys in the order in which they were written.

        Lists are Python lists; a value that the database holds as null is None.
        """
        found: list[dict[str, Any]] = [{} for _ in range(len(numbers))]
        if len(numbers) == 0:
            return found
        rows_of = dict(zip(numbers.tolist(), found, strict=True))
        for _, id_, key, text, whole, real, truth in self._cells("embedding_metadata", segment, numbers):
            row = rows_of.get(id_)
            if row is not None:  # else the log has deleted it
                row[_text(key)] = _text(text) if text is not None else _number(whole, real, truth)
        if self._lists:
            for _, id_, key, text, whole, real, truth in self._cells(_LISTS, segment, numbers):
                row = rows_of.get(id_)
                if row is not None:
                    listed = row.setdefault(key, [])
                    if isinstance(listed, list):
                        listed.append(_text(text) if text is not None else _number(whole, real, truth))
        return found

    def _cells(self, table: str, segment: str, numbers: IntArray) -> Sequence[tuple[Any, ...]]:
        rows = self._database.rows(
            f"SELECT m.rowid, m.id, m.key, {self._values} FROM embeddings e CROSS JOIN {table} m ON m.id = e.id "
            "WHERE e.id BETWEEN ? AND ? AND +e.segment_id = ?",
            (int(numbers[0]), int(numbers[-1]), segment),
        )
        rows.sort(key=itemgetter(0))
        return rows


def _text(cell: Any) -> str:
    if not isinstance(cell, str):  # SQLite keeps anything in any column
        raise CorruptStoreError(f"The database is damaged: it has {cell!r:.40} where a text belongs.")
    return cell


def _number(whole: int | None, real: float | None, truth: int | None) -> Any:
    if whole is not None:
        return whole
    return real if truth is None else bool(truth)
