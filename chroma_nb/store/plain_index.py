"""Indexes in hnswlib's own file format, for other tools: what `Graph` keeps is smaller, and only read here."""

from __future__ import annotations

import os
from pathlib import Path

import hnswlib

from chroma_nb.types import IndexSettings, IntArray, Matrix


class PlainIndex:
    """An hnswlib index that is built once and saved.

    Args:
        dimension: of the vectors.
        settings: of the index.
        capacity: how many vectors it will hold.
    """

    def __init__(self, dimension: int, settings: IndexSettings, capacity: int) -> None:
        self._threads = settings.num_threads or max(1, (os.cpu_count() or 2) - 1)
        self._index = hnswlib.Index(settings.space.value, dimension)
        self._index.init_index(
            max_elements=max(capacity, 1), M=settings.m, ef_construction=settings.construction_ef, random_seed=100
        )

    def add(self, vectors: Matrix, labels: IntArray) -> None:
        """Insert vectors (m, dim) under these labels."""
        self._index.add_items(vectors, labels, num_threads=self._threads)

    def save(self, path: Path) -> None:
        """Write the file (little-endian; its layout is that of hnswlib's ``save_index``)."""
        self._index.save_index(str(path))
