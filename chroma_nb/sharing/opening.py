"""The open stores of this process: DuckDB lets a file be opened once."""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from pathlib import Path

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.sharing.frozen import open_frozen
from chroma_nb.sharing.held import still_open
from chroma_nb.sharing.shared import SharedStore
from chroma_nb.store.local import LocalStore
from chroma_nb.store.protocol import Store


class _Registry:
    """What is open, by directory, and who uses it."""

    def __init__(self) -> None:
        self.guards: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self.writers: weakref.WeakValueDictionary[Path, SharedStore] = weakref.WeakValueDictionary()
        self.readers: defaultdict[Path, weakref.WeakSet[LocalStore]] = defaultdict(weakref.WeakSet)
        self.users: weakref.WeakKeyDictionary[Store, weakref.WeakSet[object]] = weakref.WeakKeyDictionary()

    def writer(self, key: Path) -> SharedStore | None:
        """The store that is open for writing; the guard of the directory is held."""
        store = self.writers.get(key)
        if store is not None and not store.intact():
            # The directory was deleted or replaced under an open client, which is how notebooks
            # are often started anew.
            store.close()
        return None if store is None or store.closed else store

    def open_writer(self, key: Path) -> SharedStore:
        """The same, opened if it is not."""
        store = self.writer(key)
        if store is None:
            store = SharedStore(key)
            self.writers[key] = store
            self.users[store] = weakref.WeakSet()
        return store

    def open_reader(self, key: Path) -> LocalStore:
        """A view of its own; the guard of the directory is held."""
        writer = self.writer(key) or still_open(key)
        reader = open_frozen(key, None if writer is None else writer.freeze)
        self.readers[key].add(reader)
        self.users[reader] = weakref.WeakSet()
        return reader


_registry = _Registry()


def open_store(path: Path, *, read_only: bool = False) -> Store:
    """The store in a directory, which is made if it is missing.

    Several processes may have it open at once: the first one owns it, the others work through that one, and take over
    when it goes. All who open it in one process get the same store; `close` closes it for all of them.

    Args:
        path: of the directory.
        read_only: a view that does not change and keeps nobody from writing; a new one at every call.

    Raises:
        StoreError: one of its subclasses says why the directory cannot be used.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open_store(Path(folder) / "db")
    ...     print(store.list_collections(), store.read_only)
    ...     store.close()
    [] False
    """
    key = _key(path)
    with _registry.guards[key]:
        store: SharedStore | LocalStore = _registry.open_reader(key) if read_only else _registry.open_writer(key)
        _registry.users[store].add(store)  # as long as it is referred to
        return store


class Stores:
    """The open stores of this process, for clients.

    A store lives as long as a client refers to it and is closed with the last one.
    """

    def open(self, user: object, path: Path | None, *, read_only: bool) -> Store:
        """The store of that directory for this user; in memory, a new one."""
        if path is None:
            return LocalStore()
        key = _key(path)
        with _registry.guards[key]:
            if read_only and _registry.writer(key) is not None:
                raise _other_way(key, "for writing")
            if not read_only and any(not reader.closed for reader in _registry.readers[key]):
                raise _other_way(key, "for reading only")
            store: SharedStore | LocalStore = _registry.open_reader(key) if read_only else _registry.open_writer(key)
            _registry.users[store].add(user)
            return store

    def close(self, user: object, store: Store) -> None:
        """This user needs the store no more."""
        users = _registry.users.get(store) if isinstance(store, SharedStore | LocalStore) else None
        if users is None:
            store.close()  # of this user alone
            return
        with _registry.guards[Path(store.location)]:
            users.discard(user)
            if not users:
                store.close()


def _other_way(key: Path, way: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{key} is already open {way} in this process. Close that client first.")


def _key(path: Path) -> Path:
    return path.expanduser().resolve()


def _forget_all() -> None:
    """In a fork's copy: the stores belong to the other process."""
    global _registry  # noqa: PLW0603 - the locks in it may be held by threads that are not here
    _registry = _Registry()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
