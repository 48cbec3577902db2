"""The store of a directory that several processes may have open at once: one owns it, the others work through that one.

Who owns it is decided by DuckDB's lock on its file, which no process outlives. When the owner goes, the next call of
any other takes over. A write whose answer was lost on the way is asked for again under the same id.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from chroma_nb.errors import ClosedStoreError, StoreError, StoreLockedError
from chroma_nb.sharing import calls
from chroma_nb.sharing.address import identity
from chroma_nb.sharing.channel import Gone, jitter
from chroma_nb.sharing.frozen import sweep
from chroma_nb.sharing.held import Held, still_open, taken_up
from chroma_nb.sharing.link import Link
from chroma_nb.sharing.owner import Owner, end_owners_of
from chroma_nb.sharing.snapshots import LinkedSnapshot
from chroma_nb.store.local import LocalStore
from chroma_nb.store.protocol import Progress, Snapshot
from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

_log = logging.getLogger("chroma_nb.sharing")

# Seconds to wait for a directory that is locked while nobody shares it: its owner comes or goes, as a rule.
PATIENCE = 10.0
# Owners that may be lost in one call. More: it may be the call itself that they die of.
_LOSSES = 5


class SharedStore:
    """A `Store` in a directory, open for writing, in this process or through another one.

    Args:
        path: of the directory, made if it is missing.

    Attributes:
        read_only: always False.
        closed: whether `close` was called.

    Raises:
        StoreError: one of its subclasses says why the directory cannot be used.
    """

    read_only = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._held = Held(path)
        weakref.finalize(self, Held.let_go, self._held)
        self._identity: tuple[int, int] | None = None
        self._backing: LocalStore | Link = self._found()
        if isinstance(self._backing, Link):
            _log.warning(
                "%s is open in another notebook or program (process %d): sharing it through that process.",
                path,
                self._backing.pid,
            )

    @property
    def location(self) -> str:
        """The path of the directory."""
        return str(self.path)

    @property
    def owner(self) -> int:
        """The id of the process that has the directory open: this one, or the one this works through."""
        backing = self._backing
        return backing.pid if isinstance(backing, Link) else self._process

    # collections ------------------------------------------------------------------------------

    def list_collections(self) -> list[CollectionInfo]:
        """All collections, oldest first."""
        found: list[CollectionInfo] = self._do("list_collections")
        return found

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name."""
        found: CollectionInfo = self._do("collection", name)
        return found

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id."""
        found: CollectionInfo = self._do("collection_by_id", collection)
        return found

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection."""
        made: CollectionInfo = self._do("create_collection", info)
        return made

    def modify_collection(
        self,
        collection: uuid.UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        embedding_function: str | None = None,
    ) -> CollectionInfo:
        """Change what is given."""
        changes = {"name": name, "metadata": metadata, "embedding_function": embedding_function}
        changed: CollectionInfo = self._do("modify_collection", collection, **changes)
        return changed

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""
        self._do("delete_collection", collection)

    def reset(self) -> None:
        """Delete every collection."""
        self._do("reset")

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count, metadata keys and state of the index."""
        found: CollectionStats = self._do("stats", collection)
        return found

    # items ------------------------------------------------------------------------------------

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        found: BoolArray = self._do("known", collection, ids)
        return found

    def add(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Add the items whose ids are new and skip the others."""
        added: int = self._do("add", collection, batch, function=function, progress=progress)
        return added

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
        self._do("update", collection, batch, merge=merge, function=function, progress=progress)

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
        self._do("upsert", collection, batch, merge=merge, function=function, progress=progress)

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items."""
        deleted: int = self._do("delete", collection, selection)
        return deleted

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items."""
        found: Records = self._do("get", collection, selection, include, limit, offset)
        return found

    def query(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        selection: Selection,
        include: frozenset[str],
        *,
        exact: bool = False,
    ) -> Hits:
        """The nearest selected items of each row of ``vectors``."""
        found: Hits = self._do("query", collection, vectors, n_results, selection, include, exact=exact)
        return found

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Build the graph until it covers every item."""
        self._do("build_index", collection, progress=progress)

    def sql(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Run one reading statement with each collection as a view."""
        return self._do("sql", statement, parameters)

    # maps and explorers -----------------------------------------------------------------------

    def snapshot(self, collection: uuid.UUID) -> Snapshot:
        """All items as they are now."""
        for _ in range(_LOSSES):
            backing = self._current()
            if isinstance(backing, LocalStore):
                return backing.snapshot(collection)
            with contextlib.suppress(Gone):
                return LinkedSnapshot(self, backing, backing.request("snapshot", collection))
            self.renew(backing)
        raise self._too_many_losses()

    def save_view(self, collection: uuid.UUID, name: str, value: str) -> None:
        """Keep what an explorer shows."""
        self._do("save_view", collection, name, value)

    def view(self, collection: uuid.UUID, name: str) -> str | None:
        """What was kept under that name."""
        found: str | None = self._do("view", collection, name)
        return found

    def views(self, collection: uuid.UUID) -> list[str]:
        """The names of what was kept."""
        found: list[str] = self._do("views", collection)
        return found

    def delete_view(self, collection: uuid.UUID, name: str) -> None:
        """Forget what was kept under that name."""
        self._do("delete_view", collection, name)

    # the store --------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def persist(self) -> None:
        """Merge the write-ahead log into the file, and save graphs."""
        self._do("persist")

    def freeze(self, folder: Path) -> None:
        """Put a copy of the store, as it is now, into a folder of the same file system.

        Raises:
            Gone: the owner was lost, and may have left something there: try again in another folder.
        """
        backing = self._current()
        if isinstance(backing, LocalStore):
            backing.freeze(folder)
            return
        try:
            backing.request("freeze", folder)
        except Gone:
            self.renew(backing)
            raise

    def intact(self) -> bool:
        """Whether this is still the store in its directory: open, in this process, and not deleted."""
        return not self.closed and os.getpid() == self._process and identity(self.path) == self._identity

    def close(self) -> None:
        """Let go of files, threads and connections."""
        if os.getpid() != self._process:
            self.closed = True  # a fork's copy: the files belong to the process that opened them
            return
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._held.let_go()
            try:
                if self._held.owner is not None:
                    self._held.owner.join()
            finally:
                if isinstance(self._backing, LocalStore):
                    self._backing.close()

    # who owns it ------------------------------------------------------------------------------

    def _do(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        """Call a method of the store, wherever it is."""
        backing = self._current()
        if isinstance(backing, LocalStore):
            return getattr(backing, name)(*arguments, **options)
        call = uuid.uuid4() if name in calls.WRITES else None
        for _ in range(_LOSSES):
            if isinstance(backing, LocalStore):
                return self._settled(backing, call, name, arguments, options)
            told = {which: options.pop(which) for which in calls.PROGRESS.get(name, ()) if which in options}
            try:
                return backing.request(name, *arguments, call=call, progress=told, **options)
            except Gone:
                options |= told
                backing = self.renew(backing)
        raise self._too_many_losses()

    @staticmethod
    def _settled(
        local: LocalStore, call: uuid.UUID | None, name: str, arguments: Sequence[Any], options: Mapping[str, Any]
    ) -> Any:
        """Finish what was asked of an owner that is gone."""
        method = getattr(local, name)
        if call is None:
            return method(*arguments, **options)
        return calls.once(local, call, name, arguments, lambda: method(*arguments, **options))

    def _current(self) -> LocalStore | Link:
        if os.getpid() != self._process:
            raise StoreError("This client was made in another process. Make a new one here with Client(...).")
        if self.closed:
            raise ClosedStoreError("This client was closed. Make a new one with Client(...).")
        return self._backing

    def renew(self, lost: Link) -> LocalStore | Link:
        """Find out who owns the directory now that its owner is lost; take over if nobody does.

        Raises:
            StoreLockedError: somebody who does not share it.
        """
        with self._lock:
            if self._backing is lost and not self.closed:
                lost.close()
                self._backing = self._found()
                if isinstance(self._backing, LocalStore):
                    what = "this one has taken over"
                else:
                    what = f"sharing it through process {self._backing.pid} now"
                _log.warning("%s: process %d, which had it open, is gone: %s.", self.path, lost.pid, what)
        return self._current()

    def _found(self) -> LocalStore | Link:
        """The directory, opened here or through whoever has it open."""
        deadline = time.monotonic() + PATIENCE
        while True:
            local = still_open(self.path)
            if local is not None:
                taken_up(self.path)
                end_owners_of(local, PATIENCE)
                self._share(local)
                return local
            with contextlib.suppress(Gone):
                link = Link(self.path)
                self._held.link, self._identity = link, identity(self.path)
                return link
            try:
                local = LocalStore(self.path)
            except StoreLockedError:
                if not jitter(deadline):
                    raise
            else:
                self._share(local)
                sweep(self.path)
                return local

    def _share(self, local: LocalStore) -> None:
        self._identity = identity(self.path)
        self._held.local = weakref.ref(local)
        try:
            self._held.owner = Owner(local, self.path)
        except (OSError, RuntimeError) as error:  # a system without sockets or threads
            _log.info("%s cannot be shared with other processes: %s", self.path, error)

    def _too_many_losses(self) -> StoreLockedError:
        return StoreLockedError(
            f"{self.path}: {_LOSSES} processes that had it open were lost during this call. Try again."
        )
