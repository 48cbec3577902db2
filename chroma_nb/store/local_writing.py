"""Writes to the items of a store on this machine: what each asks for, as one transaction."""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from chroma_nb.errors import IDNotFoundError
from chroma_nb.store import writing
from chroma_nb.store.indexer import Indexer
from chroma_nb.store.protocol import Progress
from chroma_nb.store.selecting import selected
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.shelves import Shelves
from chroma_nb.types import BoolArray, Records, Selection

_log = logging.getLogger(__name__)


class Written(ABC):
    """The part of a `LocalStore` that writes items."""

    _shelves: Shelves
    _indexer: Indexer

    @abstractmethod
    def _open(self, *, writing: bool = False) -> AbstractContextManager[None]:
        """Hold the store."""

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        with self._open():
            return self._shelves.shelf(collection).find(ids) >= 0

    def add(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Add the items whose ids are new and skip the others."""
        with self._open(writing=True):
            known = self.known(collection, batch.ids.to_pylist())
            if known.any():
                batch = batch.take(np.flatnonzero(~known))
            self._shelves.catalog.calls.returns(len(batch))
            if len(batch):
                self._write(collection, function, new=batch, progress=progress)
            return len(batch)

    def update(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Change what is given of existing items."""
        with self._open(writing=True):
            ids = batch.ids.to_pylist()
            known = self.known(collection, ids)
            if not known.all():
                missing = [id_ for id_, there in zip(ids, known, strict=True) if not there]
                raise IDNotFoundError(
                    f"Could not find {len(missing)} items for update: {', '.join(map(repr, missing[:5]))}"
                    f"{', ...' if len(missing) > 5 else ''}. Nothing was changed. Use upsert to add what is missing."
                )
            if len(batch):
                self._write(collection, function, old=batch, merge=merge, progress=progress)

    def upsert(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Update the items that exist, add the others."""
        with self._open(writing=True):
            known = self.known(collection, batch.ids.to_pylist())
            new, old = (_part(batch, mask) for mask in (~known, known))
            if len(batch):
                self._write(collection, function, new=new, old=old, merge=merge, progress=progress)

    def _write(
        self,
        collection: uuid.UUID,
        function: str | None,
        *,
        new: Records | None = None,
        old: Records | None = None,
        merge: bool = False,
        progress: Progress | None = None,
    ) -> None:
        shelf = self._shelves.shelf(collection)
        writing.write(self._shelves, shelf, new=new, old=old, merge=merge, function=function, progress=progress)
        self._tidy(shelf)

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items."""
        with self._open(writing=True):
            shelf = self._shelves.shelf(collection)
            positions = np.unique(selected(self._shelves, shelf, selection))  # an id may be asked for twice
            self._shelves.catalog.calls.returns(len(positions))
            if len(positions):
                writing.delete(self._shelves, shelf, positions)
                self._tidy(shelf)
            return len(positions)

    def _tidy(self, shelf: Shelf) -> None:
        """After a write: drop dead vectors when they are many, and let the graph catch up."""
        try:
            shelf = writing.compact(self._shelves, shelf)
        except Exception as error:  # noqa: BLE001 - the write itself is committed, dead vectors only cost space
            _log.warning("could not compact the vectors of %s: %s", shelf.state.entry.info.name, error)
        else:
            self._indexer.seek(shelf)
            self._indexer.wake(shelf)


def _part(batch: Records, mask: BoolArray) -> Records | None:
    """Some rows, without a copy if they are all; None if there are none."""
    if not mask.any():
        return None
    return batch if mask.all() else batch.take(np.flatnonzero(mask))
