"""What the store asks of a file system beyond reading and writing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def sync(descriptor: int) -> None:
    """Bring what was written to a file onto the disk itself."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves it in the drive's cache
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def sync_directory(path: Path) -> None:
    """Make the creation or renaming of files in a directory durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished file its final name, unless another process was faster; then it is dropped."""
    try:
        if os.name == "nt":
            temporary.rename(final)  # refuses to replace a file there
        else:
            _link(temporary, final)
            temporary.unlink()
    except FileExistsError:
        temporary.unlink(missing_ok=True)
    else:
        sync_directory(final.parent)


def _link(temporary: Path, final: Path) -> None:
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no links. The race that is left open there is two processes making
        # the same store in the same millisecond.
        if final.exists():
            raise FileExistsError(final) from None
        temporary.replace(final)
        temporary.touch()
