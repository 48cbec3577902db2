"""What a forked process inherits and must never end: the databases that its parent has open."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import TypeVar

_Connection = TypeVar("_Connection")

_open: weakref.WeakSet[object] = weakref.WeakSet()


def guarded(connection: _Connection) -> _Connection:
    """The connection, which is never destroyed in a fork of this process."""
    _open.add(connection)
    return connection


def _leak_all() -> None:
    """In a fork's copy: refer to every connection once more than there are references, for good.

    The destructor of the last one merges DuckDB's write-ahead log into the file and deletes it, though the other
    process goes on writing to it: what that commits from then on would be lost. It also waits for threads that were
    not copied. A reference of Python's would not do, since the interpreter drops them all when it ends.
    """
    for connection in list(_open):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leak_all)
