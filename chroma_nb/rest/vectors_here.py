"""Vectors of a server's collection, kept in memory: to search among them, and for maps."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.store.local import LocalStore
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import CollectionInfo, Matrix, Records, Selection


class VectorsHere:
    """A store in memory with the vectors of one collection, brought up to date when its items change.

    Maps are kept in it: the place of an item stays as long as its vector does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: LocalStore | None = None
        self._info: CollectionInfo | None = None
        self._layouts: set[str] = set()

    def has_layout(self, key: str) -> bool:
        """Whether a map of that key was ever kept."""
        return key in self._layouts

    def saved(self, key: str) -> None:
        """A map of that key is kept now."""
        self._layouts.add(key)

    def taken(self, info: CollectionInfo, ids: pa.Array, vectors: Matrix) -> Snapshot:
        """A snapshot of exactly these items, in any order.

        Args:
            info: of the collection.
            ids: of the items.
            vectors: of them.
        """
        with self._lock:
            if self._store is None or self._info is None or _incompatible(self._info, info):
                self._begin(info)
            assert self._store is not None  # noqa: S101 - begun above
            assert self._info is not None  # noqa: S101 - begun above
            self._bring(self._store, self._info, ids, vectors)
            return self._store.snapshot(self._info.id)

    def _begin(self, info: CollectionInfo) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._layouts = LocalStore(), set()
        self._info = self._store.create_collection(replace(info, version=0))

    def _bring(self, store: LocalStore, info: CollectionInfo, ids: pa.Array, matrix: Matrix) -> None:
        """Let the store hold these items and no others; only what changed is written."""
        held = store.snapshot(info.id)
        gone = held.ids.filter(pc.invert(pc.is_in(held.ids, value_set=ids)))
        at = pc.index_in(ids, value_set=held.ids)
        known = at.is_valid().to_numpy(zero_copy_only=False)
        changed = ~known
        if known.any():
            old = held.vectors(np.asarray(at.drop_null(), dtype=np.int64))
            changed[known] = (old != matrix[known]).any(axis=1)
        fresh = np.flatnonzero(changed)
        if len(gone):
            store.delete(info.id, Selection(ids=gone.to_pylist()))
        if len(fresh):
            batch = Records(ids.take(pa.array(fresh)), embeddings=matrix[fresh])
            store.upsert(info.id, batch, merge=False)

    def close(self) -> None:
        """Let go of the memory."""
        with self._lock:
            if self._store is not None:
                self._store.close()


def _incompatible(old: CollectionInfo, new: CollectionInfo) -> bool:
    return old.settings != new.settings or (old.dimension, new.dimension) not in (
        (new.dimension, new.dimension),
        (None, new.dimension),
    )
