"""A view of a store that does not change and keeps nobody from writing: a copy, for as long as it is open.

The copy is in the directory itself, because vectors and graphs then need no second place on the disk. A file in it that
stays locked tells a copy in use from one that a process left behind when it was killed.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from chroma_nb.errors import StoreError, StoreLockedError, StoreWriteError
from chroma_nb.sharing.address import identity
from chroma_nb.sharing.channel import Gone, jitter
from chroma_nb.sharing.link import Link
from chroma_nb.store import files
from chroma_nb.store.local import LocalStore

_log = logging.getLogger("chroma_nb.sharing")

_PATIENCE = 10.0  # seconds to wait for a directory that is locked while nobody shares it
_FRESH = 60.0  # seconds in which a copy may not have its lock yet
_LOCK = "lock"

# Descriptors of the locks of this process. On POSIX systems, to look at a lock of one's own is to lose it.
_locks: dict[Path, int] = {}


class FrozenStore(LocalStore):
    """A store as it was when it was opened, for reading.

    Args:
        directory: that the copy was made of.
        copy: the folder with the copy, in one that is removed with this.
    """

    def __init__(self, directory: Path, copy: Path) -> None:
        self._of = directory
        super().__init__(copy, read_only=True)
        self._remove = weakref.finalize(self, _remove, copy.parent, os.getpid())

    @property
    def location(self) -> str:
        """The path of the directory that it is a view of."""
        return str(self._of)

    def close(self) -> None:
        """Let go of the copy."""
        super().close()
        self._remove()


def open_frozen(directory: Path, freeze: Callable[[Path], None] | None = None) -> LocalStore:
    """A view of the store in a directory; where nothing can be written, the store itself.

    Args:
        directory: of the store.
        freeze: puts a copy of it into a folder, if this process has it open.

    Raises:
        StoreLockedError: another process has it open and does not share it.
        StoreError: it cannot be read.
    """
    if identity(directory) is None:
        return LocalStore(directory, read_only=True)  # which says what is wrong with it
    try:
        folder = _made(directory)
    except OSError as error:
        return _in_place(directory, freeze, error)
    try:
        return FrozenStore(directory, _copied(directory, folder, freeze))
    except BaseException as error:
        _remove(folder, os.getpid())
        if isinstance(error, StoreWriteError) or (isinstance(error, OSError) and not isinstance(error, StoreError)):
            return _in_place(directory, freeze, error)
        raise


def sweep(directory: Path) -> None:
    """Remove the copies that nobody has open."""
    frozen = directory / "frozen"
    for folder in list(frozen.iterdir()) if frozen.is_dir() else []:
        try:
            left = folder not in _locks and time.time() - folder.stat().st_mtime > _FRESH and _unlocked(folder / _LOCK)
        except OSError as error:  # somebody else's, or gone by now
            _log.debug("%s stays: %s", folder, error)
            continue
        if left:
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        frozen.rmdir()


def _in_place(directory: Path, freeze: object, error: OSError) -> LocalStore:
    if freeze is not None:
        raise error  # opened twice in one process, the file would lose its lock when one of both is closed
    _log.info("%s is read in place, and nobody can write to it meanwhile: %s", directory, error)
    return LocalStore(directory, read_only=True)


def _copied(directory: Path, folder: Path, freeze: Callable[[Path], None] | None) -> Path:
    """A copy, made by the owner, or by whoever can hold the lock for a moment."""
    deadline = time.monotonic() + _PATIENCE
    for number in itertools.count():
        copy = folder / str(number)  # another one at each try: a lost owner may leave half a copy
        copy.mkdir()
        alone = freeze is None and number % 2 == 1
        try:
            if freeze is not None:
                freeze(copy)
            else:
                (_alone if alone else _by_owner)(directory, copy)
            break
        except Gone as error:
            _log.debug("%s: %s", directory, error)
            if freeze is not None and not jitter(deadline):
                raise StoreLockedError(f"{directory}: the processes that had it open were lost. Try again.") from error
        except StoreLockedError:
            if not alone or not jitter(deadline):
                raise
    return copy


def _by_owner(directory: Path, copy: Path) -> None:
    with contextlib.closing(Link(directory)) as link:
        link.request("freeze", copy)


def _alone(directory: Path, copy: Path) -> None:
    with contextlib.closing(LocalStore(directory, read_only=True)) as store:
        store.freeze(copy)


def _made(directory: Path) -> Path:
    """A folder of this process, with its lock."""
    sweep(directory)
    folder = directory / "frozen" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        _locks[folder] = descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if files.fcntl is not None:
            files.fcntl.lockf(descriptor, files.fcntl.LOCK_EX | files.fcntl.LOCK_NB)
    except BaseException:
        _remove(folder, os.getpid())  # a file system without locks, most likely
        raise
    return folder


def _unlocked(lock: Path) -> bool:
    if files.fcntl is None:
        lock.unlink(missing_ok=True)  # fails on Windows while a process has it open
        return True
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        files.fcntl.lockf(descriptor, files.fcntl.LOCK_EX | files.fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(folder: Path, process: int) -> None:
    """Remove a folder of this process; without locks, since destructors call it."""
    if os.getpid() != process:
        return  # a fork's copy
    descriptor = _locks.pop(folder, None)
    if descriptor is not None:
        os.close(descriptor)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
