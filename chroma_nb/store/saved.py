"""The tables of what is kept beside the items: maps and the views of explorers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.store.schema import SCHEMA
from chroma_nb.types import IntArray, Matrix, StoredLayout

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Places:
    """A map as it is stored: by row and slot.

    Attributes:
        layout: what is said of it; its ``xy`` is aligned with ``rows``.
        generation: of the file of vectors that ``slots`` count in.
        rows: int64 (n,), ascending.
        slots: int64 (n,).
    """

    layout: StoredLayout
    generation: int
    rows: IntArray
    slots: IntArray

    def at(self, rows: IntArray, slots: IntArray, generation: int) -> Matrix:
        """The places of these rows, float32 (m, 2), NaN for a row that has none or whose vector changed."""
        xy = np.full((len(rows), 2), np.nan, dtype=np.float32)
        if len(self.rows) == 0:
            return xy
        found = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        known = self.rows[found] == rows
        if generation == self.generation:
            known &= self.slots[found] == slots
        xy[known] = self.layout.xy[found[known]]
        return xy


class SavedTables:
    """Maps and views of all collections, each collection addressed by its number."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    # maps -------------------------------------------------------------------------------------

    def layout(self, number: int, key: str) -> Places | None:
        """The map of that key."""
        found = self._connection.execute(
            f'SELECT method, parameters, version, created, fitted, generation, "rows", slots, xy '
            f"FROM {SCHEMA}.layouts WHERE collection = ? AND key = ?",
            [number, key],
        ).fetchall()
        if not found:
            return None
        method, parameters, version, created, fitted, generation, rows, slots, xy = found[0]
        layout = StoredLayout(
            xy=np.frombuffer(xy, dtype="<f4").reshape(-1, 2),
            method=method,
            parameters=json.loads(parameters),
            fitted=fitted,
            version=version,
            created=datetime.fromisoformat(created),
        )
        return Places(layout, generation, np.frombuffer(rows, dtype="<i8"), np.frombuffer(slots, dtype="<i8"))

    def save_layout(self, number: int, key: str, places: Places) -> None:
        """Store a map in the place of the one of that key (inside a transaction of the caller)."""
        layout = places.layout
        self._connection.execute(f"DELETE FROM {SCHEMA}.layouts WHERE collection = ? AND key = ?", [number, key])
        self._connection.execute(
            f"INSERT INTO {SCHEMA}.layouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                key,
                layout.method,
                json.dumps(dict(layout.parameters)),
                layout.version,
                (layout.created or datetime.now(UTC)).isoformat(),
                layout.fitted,
                places.generation,
                places.rows.astype("<i8").tobytes(),
                places.slots.astype("<i8").tobytes(),
                layout.xy.astype("<f4").tobytes(),
            ],
        )

    def renumber(self, number: int, rows: IntArray, slots: IntArray, generation: int) -> None:
        """Follow a compaction, after which ``slots`` are 0, 1, ... (inside a transaction of the caller)."""
        keys = self._connection.execute(f"SELECT key FROM {SCHEMA}.layouts WHERE collection = ?", [number]).fetchall()
        for (key,) in keys:
            stored = self.layout(number, key)
            if stored is not None:
                xy = stored.at(rows, slots, generation - 1)
                kept = np.flatnonzero(~np.isnan(xy[:, 0]))
                layout = replace(stored.layout, xy=xy[kept])
                self.save_layout(number, key, Places(layout, generation, rows[kept], kept))

    # views ------------------------------------------------------------------------------------

    def view(self, number: int, name: str) -> str | None:
        """The view of that name."""
        found = self._connection.execute(
            f"SELECT value FROM {SCHEMA}.views WHERE collection = ? AND name = ?", [number, name]
        ).fetchall()
        return str(found[0][0]) if found else None

    def views(self, number: int) -> list[str]:
        """The names of all views, in alphabetical order."""
        found = self._connection.execute(
            f"SELECT name FROM {SCHEMA}.views WHERE collection = ? ORDER BY name", [number]
        ).fetchall()
        return [name for (name,) in found]

    def save_view(self, number: int, name: str, value: str | None) -> None:
        """Store a view in the place of the one of that name; None: remove it (inside a transaction of the caller)."""
        self._connection.execute(f"DELETE FROM {SCHEMA}.views WHERE collection = ? AND name = ?", [number, name])
        if value is not None:
            self._connection.execute(f"INSERT INTO {SCHEMA}.views VALUES (?, ?, ?)", [number, name, value])

    def drop(self, number: int) -> None:
        """Remove all maps and views of a collection (inside a transaction of the caller)."""
        for table in ("layouts", "views"):
            self._connection.execute(f"DELETE FROM {SCHEMA}.{table} WHERE collection = ?", [number])
