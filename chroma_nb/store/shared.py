"""One store for all clients of a process on the same directory: DuckDB lets a file be opened once."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.store.local import LocalStore


class LocalStores:
    """The open stores of this process, by directory.

    A store lives as long as a client refers to it and is closed with the last one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: weakref.WeakValueDictionary[Path, LocalStore] = weakref.WeakValueDictionary()
        self._users: weakref.WeakKeyDictionary[LocalStore, weakref.WeakSet[object]] = weakref.WeakKeyDictionary()

    def open(self, user: object, path: Path | None, *, read_only: bool) -> LocalStore:
        """The store of that directory for this user; in memory, a new one."""
        if path is None:
            return LocalStore()
        with self._lock:
            key = path.expanduser().resolve()
            store = self._stores.get(key)
            if store is not None and not store.intact():
                # The directory was deleted or replaced under an open client, which is how notebooks
                # are often started anew.
                store.close()
            if store is None or store.closed:
                store = LocalStore(key, read_only=read_only)
                self._stores[key] = store
                self._users[store] = weakref.WeakSet()
            elif store.read_only != read_only:
                way = "for reading only" if store.read_only else "for writing"
                raise InvalidArgumentError(f"{key} is already open {way} in this process. Close that client first.")
            self._users[store].add(user)
            return store

    def close(self, user: object, store: object) -> None:
        """This user needs the store no more."""
        if not isinstance(store, LocalStore):
            return
        with self._lock:
            users = self._users.get(store)
            if users is not None:
                users.discard(user)
            if not users:
                store.close()
