"""Files of search graphs: mapped, so that a search can walk through one that nobody has read.

Format (``*.graph``): the magic line, the length of a JSON header (8 bytes, little-endian), its CRC-32
(4 bytes), the header, the raw bytes of the arrays it lists, and a CRC-32 of all that stands between the
magic line and itself. The header carries the identity of the collection, the generation of its file of
vectors, how many slots are covered, and hnswlib's numbers. Files of version 1 have no checksum of the
header and do not say which slots are present: they are read as a whole, and not walked through.
Never a pickle.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.files import sync, sync_directory
from chroma_nb.types import IntArray

_MAGIC = {b"chroma_nb graph 1\n": 1, b"chroma_nb graph 2\n": 2}
_LINE = 18
# Bytes checked at once: other threads get their turn between two pieces.
_PIECE = 4_000_000


class GraphFile:
    """A graph file, mapped.

    Attributes:
        path: of the file.
        header: what `write` was given, and the list of the arrays.
        arrays: by name; bytes of the file, not checked before `verify`.
        walkable: whether the header is known to be sound, and `arrays` has what a walk needs.

    Raises:
        CorruptStoreError: the file is missing, torn or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # As a plain array, which costs less to slice than a memmap.
            self._content = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        except (OSError, ValueError) as error:
            raise CorruptStoreError(f"{path} cannot be read: {error}") from error
        version = _MAGIC.get(self._content[:_LINE].tobytes())
        if version is None:
            raise CorruptStoreError(f"{path} is not a graph file of this version")
        self.walkable = version > 1
        start = _LINE + 8 + (4 if self.walkable else 0)
        length = self._number(_LINE, 8)
        header = self._content[start : start + length].tobytes()
        if len(header) != length or (self.walkable and zlib.crc32(header) != self._number(_LINE + 8, 4)):
            raise CorruptStoreError(f"{path} is torn: its header is damaged")
        try:
            self.header: dict[str, Any] = json.loads(header)
            self.arrays = self._arrays(self.header["arrays"], start + length)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptStoreError(f"{path} is torn: its header and its size do not agree") from error

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._content[at : at + size].tobytes(), "little")

    def _arrays(self, listed: list[Any], at: int) -> dict[str, npt.NDArray[Any]]:
        arrays = {}
        for name, dtype, shape in listed:
            arrays[name] = np.frombuffer(self._content, dtype, int(np.prod(shape)), at).reshape(shape)
            at += arrays[name].nbytes
        if at + 4 != len(self._content):
            raise ValueError(at)
        return arrays

    def verify(self) -> None:
        """Compare the checksum of everything; CorruptStoreError."""
        crc = 0
        for start in range(_LINE, len(self._content) - 4, _PIECE):
            stop = min(start + _PIECE, len(self._content) - 4)
            crc = zlib.crc32(self._content[start:stop].data, crc)
        if crc != self._number(len(self._content) - 4, 4):
            raise CorruptStoreError(f"{self.path} is torn: its checksum is wrong")

    def check(self, identity: Mapping[str, object], slots: int) -> None:
        """CorruptStoreError unless it is of this identity and covers no more than so many slots."""
        if self.header.get("identity") != identity or not self.header.get("upto", slots + 1) <= slots:
            raise CorruptStoreError(f"{self.path} belongs to another collection, generation or setting")


def write(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write to a temporary file, fsync, rename."""
    listed = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    head = json.dumps({**header, "arrays": listed}).encode()
    first = len(head).to_bytes(8, "little") + zlib.crc32(head).to_bytes(4, "little") + head
    bodies = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays.values()]
    parts: list[memoryview] = [memoryview(first), *bodies]
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    crc = 0
    try:
        with temporary.open("wb") as file:
            file.write(b"chroma_nb graph 2\n")
            for part in parts:
                crc = zlib.crc32(part, crc)
                file.write(part)
            file.write(crc.to_bytes(4, "little"))
            file.flush()
            sync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def slots_of(labels: npt.NDArray[np.uint8]) -> IntArray:
    """Slots as they stand in a file, 8 bytes each (m, 8), as numbers (m,)."""
    return np.ascontiguousarray(labels).view("<i8").reshape(-1)
