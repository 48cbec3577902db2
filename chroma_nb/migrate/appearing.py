"""What is written gets its name once it is complete; until then it has one of its own, right beside it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from chroma_nb.errors import InvalidArgumentError, StoreError, StoreWriteError


@contextmanager
def appearing_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets this name once everything is in it, in the place of the one that has it.

    Raises:
        InvalidArgumentError: a folder has the name, or there is no folder for it.
        StoreWriteError: writing failed; nothing is left of it.
    """
    if path.is_dir():
        raise InvalidArgumentError(
            f"{path} is a folder: give the name of a file, such as {str(path / 'items.parquet')!r}"
        )
    with _beside(path) as temporary:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """A folder that gets this name once everything is in it; only an empty one may have it.

    Raises:
        InvalidArgumentError: something has the name, or there is no folder for it.
        StoreWriteError: writing failed; nothing is left of it.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InvalidArgumentError(f"{path} exists and is not an empty folder: give the name of a new one.")
    with _beside(path) as temporary:
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.rename(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in the same folder; nothing has it in the end."""
    if not path.parent.is_dir():
        raise InvalidArgumentError(f"The folder {path.parent} does not exist.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    except OSError as error:
        if isinstance(error, StoreError):  # of the store that is read
            raise
        raise StoreWriteError(f"{path} could not be written: {error}. Nothing is left of it.") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
