"""The vectors of a collection: float32 rows, addressed by slot, written once and never changed.

On disk they are a flat file (little-endian float32, row after row, no header) that is mapped, not
read. Durability rests on two rules: rows are written and fsynced *before* the transaction that
refers to their slots commits, and a slot that a committed row refers to is never written again.
So a crash can only leave unreferenced rows behind the last committed slot, which the next write
overwrites. Why not in DuckDB: 100,000 x 384 cost it 2 s on insert and 0.1 s on every open, the
flat file 0.15 s and nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.files import sync, sync_directory
from chroma_nb.store.growing import Growing
from chroma_nb.types import Matrix

_log = logging.getLogger(__name__)

# Written at once: a system call that writes to a file cannot be interrupted.
_PART_BYTES = 64 << 20


class Vectors(Protocol):
    """What the store needs of a place for vectors."""

    dimension: int

    def write(self, slot: int, rows: Matrix, told: Callable[[int], None] | None = None) -> None:
        """Put rows at slots from ``slot`` on, durably; slots behind them are forgotten.

        ``told`` is called with the number of rows written so far; if it raises, nothing is.
        """

    def view(self, slots: int) -> Matrix:
        """The first ``slots`` vectors, shape (slots, dim), without a copy; not to be written to."""

    def close(self) -> None:
        """Let go of files; views handed out stay valid."""


class MemoryVectors:
    """Vectors of an in-memory store."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._rows = Growing(np.empty((0, dimension), dtype=np.float32))

    def write(self, slot: int, rows: Matrix, told: Callable[[int], None] | None = None) -> None:
        """Put rows at slots from ``slot`` on."""
        self._rows.write(slot, rows)
        if told is not None:
            told(len(rows))

    def view(self, slots: int) -> Matrix:
        """The first ``slots`` vectors."""
        return self._rows.view[:slots]

    def close(self) -> None:
        """Nothing to let go of."""


class FileVectors:
    """Vectors in a flat file.

    Raises:
        CorruptStoreError: the file is missing or shorter than the ``slots`` it must hold.
    """

    def __init__(self, path: Path, dimension: int, slots: int) -> None:
        self.path = path
        self.dimension = dimension
        self._width = dimension * 4
        self._mapped: Matrix = np.empty((0, dimension), dtype=np.float32)
        held = path.stat().st_size // self._width if path.exists() else 0
        if held < slots:
            raise CorruptStoreError(
                f"The file of vectors {path} holds {held} of the {slots} vectors that the database refers to. "
                "Restore the whole directory from a backup: the database and its vectors belong together."
            )

    def write(self, slot: int, rows: Matrix, told: Callable[[int], None] | None = None) -> None:
        """Append rows and fsync; on failure nothing that was committed has changed."""
        start = slot * self._width
        if slot and not self.path.exists():
            raise CorruptStoreError(f"The file of vectors {self.path} is gone. Restore the directory from a backup.")
        # Opened per call: no descriptor outlives the store, and on Windows a mapped file can still
        # be extended by another handle.
        with self.path.open("r+b" if slot else "wb", buffering=0) as file:
            try:
                file.seek(start)
                remaining = np.ascontiguousarray(rows, dtype="<f4").data.cast("B")
                while remaining:
                    remaining = remaining[file.write(remaining[:_PART_BYTES]) :]
                    if told is not None:
                        told(len(rows) - len(remaining) // self._width)
                sync(file.fileno())
            except BaseException:
                self._cut(file.fileno(), start)
                raise
        if not slot:
            sync_directory(self.path.parent)

    @staticmethod
    def _cut(descriptor: int, size: int) -> None:
        # Only tidiness: bytes behind the last committed slot are never read.
        try:
            os.truncate(descriptor, size)
        except OSError as error:
            _log.warning("could not take back unfinished vectors: %s", error)

    def view(self, slots: int) -> Matrix:
        """The first ``slots`` vectors, mapped from the file."""
        mapped = self._mapped  # read once: another thread may map another length meanwhile
        if slots > len(mapped):
            mapped = np.asarray(np.memmap(self.path, dtype="<f4", mode="r", shape=(slots, self.dimension)))
            self._mapped = mapped
        return mapped[:slots]

    def close(self) -> None:
        """Forget the mapping; the memory goes with the last view of it."""
        self._mapped = np.empty((0, self.dimension), dtype=np.float32)
