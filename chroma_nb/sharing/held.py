"""What a process still holds of a directory when nobody there works in it any more."""

from __future__ import annotations

import weakref
from pathlib import Path

from chroma_nb.sharing.link import Link
from chroma_nb.sharing.owner import Owner
from chroma_nb.store.local import LocalStore

# By directory: nobody has let go of them but the `SharedStore`, which is gone.
_left: weakref.WeakValueDictionary[Path, LocalStore] = weakref.WeakValueDictionary()


def still_open(path: Path) -> LocalStore | None:
    """The store of a directory that only a snapshot or an error of this process refers to any more.

    DuckDB lets a file be opened once: it has to be this one.
    """
    local = _left.get(path)
    if local is not None and not local.intact():
        local.close()  # the directory was deleted or replaced
    return None if local is None or local.closed else local


def taken_up(path: Path) -> None:
    """A `SharedStore` refers to it again."""
    _left.pop(path, None)


class Held:
    """What has to be let go of when nobody refers to the store any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.local: weakref.ref[LocalStore] | None = None
        self.owner: Owner | None = None
        self.link: Link | None = None

    def let_go(self) -> None:
        """Begin to; without locks, since destructors call it."""
        if self.owner is not None:
            self.owner.stop()
        if self.link is not None:
            self.link.close()
        local = None if self.local is None else self.local()
        if local is not None:
            _left[self.path] = local
