"""A snapshot that another process keeps."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.errors import StoreError
from chroma_nb.sharing import calls
from chroma_nb.sharing.channel import Gone
from chroma_nb.sharing.link import Link
from chroma_nb.store.local import LocalStore
from chroma_nb.store.protocol import Progress
from chroma_nb.store.snapshot import LocalSnapshot
from chroma_nb.types import CollectionInfo, IntArray, Kind, Matrix, Records, Selection, StoredLayout


class Renewing(Protocol):
    """Knows who owns the directory when an owner was lost."""

    def renew(self, lost: Link) -> LocalStore | Link:
        """The owner's store, here or elsewhere."""


class _Kept:
    """A snapshot in the owner's process, there until this is collected."""

    def __init__(self, link: Link, number: int) -> None:
        self.link, self.number = link, number
        weakref.finalize(self, link.release, number).atexit = False


class LinkedSnapshot:
    """A `Snapshot` in the owner's process.

    When that process is gone, another takes its place where the collection has not changed since.

    Args:
        store: of the directory.
        link: to the owner.
        taken: how the owner describes the snapshot.
    """

    def __init__(self, store: Renewing, link: Link, taken: dict[str, Any]) -> None:
        self._store = store
        self._kept: _Kept | LocalSnapshot = _Kept(link, taken["number"])
        self._taken = taken

    def __len__(self) -> int:
        return len(self._taken["ids"])

    @property
    def total(self) -> int:
        """How many items the collection holds."""
        return int(self._taken["total"])

    @property
    def info(self) -> CollectionInfo:
        """What the collection was at that moment."""
        found: CollectionInfo = self._taken["info"]
        return found

    @property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys, with the kinds of their values."""
        found: dict[str, tuple[Kind, ...]] = self._taken["keys"]
        return found

    @property
    def documented(self) -> bool:
        """Whether any item has a document."""
        return bool(self._taken["documented"])

    @property
    def ids(self) -> pa.Array:
        """Of all items. They are here from the start: by them an explorer finds its way to a newer snapshot."""
        return self._taken["ids"]

    def vectors(self, positions: IntArray | None = None) -> Matrix:
        """Of these items, or of all."""
        found: Matrix = self._do("vectors", positions)
        return found

    def column(self, key: str) -> dict[Kind, pa.Array]:
        """All values of one metadata key."""
        found: dict[Kind, pa.Array] = self._do("column", key)
        return found

    def records(self, positions: IntArray | Sequence[int], include: frozenset[str]) -> Records:
        """Whole items."""
        found: Records = self._do("records", positions, include)
        return found

    def matching(self, selection: Selection) -> IntArray:
        """Positions of the items that are selected now."""
        found: IntArray = self._do("matching", selection)
        return found

    def search(self, vectors: Matrix, k: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The k nearest items of each vector."""
        found: tuple[IntArray, npt.NDArray[np.float64]] = self._do("search", vectors, k)
        return found

    def neighbours(
        self, k: int, progress: Progress | None = None, *, indexing: Progress | None = None
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """Each item's nearest neighbours."""
        told = {"progress": progress, "indexing": indexing}
        found: tuple[IntArray, npt.NDArray[np.float32]] = self._do("neighbours", k, progress=told)
        return found

    def layout(self, key: str) -> StoredLayout | None:
        """The stored map of that key."""
        found: StoredLayout | None = self._do("layout", key)
        return found

    def save_layout(self, key: str, layout: StoredLayout) -> None:
        """Store a map of these items."""
        self._do("save_layout", key, layout)

    # where it is ------------------------------------------------------------------------------

    def _do(self, name: str, *arguments: Any, progress: dict[str, Progress | None] | None = None) -> Any:
        """Call a method of the snapshot, wherever it is; see to it that it is somewhere."""
        call = uuid.uuid4() if name in calls.WRITES else None
        while True:
            kept = self._kept
            if isinstance(kept, LocalSnapshot):
                return getattr(kept, name)(*arguments, **(progress or {}))
            try:
                return kept.link.request(name, *arguments, call=call, snapshot=kept.number, progress=progress)
            except Gone:
                self._take_again(self._store.renew(kept.link))

    def _take_again(self, store: LocalStore | Link) -> None:
        collection = self.info.id
        if isinstance(store, LocalStore):
            local = store.snapshot(collection)
            self._check(local.info)
            self._kept = local
            return
        try:
            taken = store.request("snapshot", collection)
        except Gone:
            return  # the next attempt meets the next owner
        kept = _Kept(store, taken["number"])
        self._check(taken["info"])
        self._kept = kept

    def _check(self, info: CollectionInfo) -> None:
        if info.version != self.info.version:
            raise StoreError(
                f"The collection {info.name!r} was changed since this was read, and the process that kept it as it was "
                "is gone. Refresh, or make a new one, to see the collection as it is now."
            )
