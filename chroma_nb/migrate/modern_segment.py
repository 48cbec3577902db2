"""The folder in which Chroma 0.4 and later keeps the vectors of a collection: hnswlib's index in several files.

``header.bin``           100 bytes, little-endian: the version 1 (i32) and hnswlib's own header
``data_level0.bin``      one record an element: links, vector (float32), label (u64)
``length.bin``           the length of each vector (float32); with the cosine distance vectors are stored with length 1
``index_metadata.pickle``  which label an id has (`modern_pickle`); without it the other files hold nothing yet
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import CorruptStoreError
from chroma_nb.migrate.modern_pickle import read_pickle
from chroma_nb.types import IntArray, Matrix

PICKLE = "index_metadata.pickle"
LENGTHS = "length.bin"
_HEADER = struct.Struct("<i6QiI3QdQ")
_LARGEST_DIMENSION = 1 << 20
_DELETED = 2, 1  # the byte of a record and the bit in it


class _Header(NamedTuple):
    """The fields of ``header.bin`` in their order."""

    version: int
    offset_level0: int
    max_elements: int
    elements: int
    record: int  # bytes
    label_at: int
    vector_at: int
    max_level: int
    entry: int
    max_m: int
    max_m0: int
    m: int
    mult: float
    construction_ef: int


class Segment:
    """The vectors of one collection up to some entry of the log.

    Args:
        folder: of the segment.
        cosine: whether vectors are stored with length 1, beside their lengths.

    Attributes:
        dimension: of the vectors.
        labels: id -> label of every item.
        upto: the last entry of the log that is in here, where this folder says it (0.4); None elsewhere.


    Raises:
        CorruptStoreError: a file is missing, torn or foreign.
    """

    def __init__(self, folder: Path, *, cosine: bool) -> None:
        self._folder = folder
        index = self._index()
        self.labels: dict[str, int] = index["id_to_label"]
        upto = index.get("max_seq_id")
        self.upto: int | None = upto if type(upto) is int else None
        header = self._header()
        self.dimension = (header.label_at - header.vector_at) // 4
        self._vector_at, self._label_at = header.vector_at, header.label_at
        self._records = self._map("data_level0.bin", header.elements, header.record)
        kept = cosine and self.keeps_lengths(folder)
        self._lengths = self._map(LENGTHS, header.elements, 4).view("<f4").reshape(-1) if kept else None
        self._slots, self._slot_labels = self._by_label()

    @staticmethod
    def holds_anything(folder: Path) -> bool:
        """Whether anything was ever written there: a folder without the pickle is an empty frame."""
        return (folder / PICKLE).is_file()

    @staticmethod
    def keeps_lengths(folder: Path) -> bool:
        """Whether the lengths of vectors are there; else those of cosine come with length 1."""
        return not (folder / PICKLE).is_file() or (folder / LENGTHS).is_file()

    def vectors(self, ids: list[str]) -> tuple[Matrix, IntArray]:
        """The vectors of those ids that are here, float32 (m, dim), as they were given; and their positions in ids."""
        labels = self.labels
        asked = np.fromiter((labels.get(id_, -1) for id_ in ids), dtype=np.int64, count=len(ids))
        slots = self._slots_of(asked)
        positions = np.flatnonzero(slots >= 0)
        slots = slots[positions]
        rows = np.ascontiguousarray(self._records[slots, self._vector_at : self._label_at])
        found: Matrix = rows.view("<f4").astype(np.float32, copy=False)
        if self._lengths is not None:
            found = found * self._lengths[slots, None]
        return found, positions

    def _slots_of(self, labels: IntArray) -> IntArray:
        """Where the records with these labels are; -1 for none, deleted ones included."""
        if len(self._slot_labels) == 0:
            return np.full(len(labels), -1, dtype=np.int64)
        at = np.searchsorted(self._slot_labels, labels)
        at[at == len(self._slot_labels)] = 0
        return np.where(self._slot_labels[at] == labels, self._slots[at], -1)

    def _by_label(self) -> tuple[IntArray, IntArray]:
        """The slots that are not deleted in the order of their labels; and these labels."""
        labels = np.ascontiguousarray(self._records[:, self._label_at : self._label_at + 8]).view("<u8").reshape(-1)
        byte, bit = _DELETED
        slots = np.flatnonzero(self._records[:, byte] & bit == 0)
        order = slots[np.argsort(labels[slots], kind="stable")]
        return order, labels[order].astype(np.int64)

    # files ------------------------------------------------------------------------------------

    def _index(self) -> dict[str, Any]:
        path = self._folder / PICKLE
        try:
            index = read_pickle(self._read(path))
        except CorruptStoreError as error:
            raise CorruptStoreError(f"{path} cannot be read: {error}") from error
        ids = index.get("id_to_label") if isinstance(index, dict) else None
        if not isinstance(ids, dict) or not all(type(k) is str and type(v) is int for k, v in ids.items()):
            raise CorruptStoreError(f"{path} cannot be read: it does not say which label an id has")
        return index  # type: ignore[return-value] # as was just seen

    def _header(self) -> _Header:
        path = self._folder / "header.bin"
        content = self._read(path)
        if len(content) < _HEADER.size:
            raise CorruptStoreError(f"{path} is torn: it has {len(content)} of {_HEADER.size} bytes")
        header = _Header(*_HEADER.unpack_from(content))
        width = header.label_at - header.vector_at
        fits = header.vector_at >= 4 and header.label_at + 8 == header.record
        if header.version != 1 or not fits or width % 4 or not 4 <= width <= 4 * _LARGEST_DIMENSION:
            raise CorruptStoreError(f"{path} is not the header of an index of Chroma 0.4 or later, or is damaged")
        return header

    def _map(self, name: str, count: int, size: int) -> npt.NDArray[np.uint8]:
        """That many records of that many bytes (count, size), read when they are needed."""
        path = self._folder / name
        try:
            held = path.stat().st_size // size
            if held < count:
                raise CorruptStoreError(f"{path} is torn: it holds {held:,} of {count:,} vectors")
            if count == 0:
                return np.empty((0, size), dtype=np.uint8)
            return np.memmap(path, dtype=np.uint8, mode="r", shape=(count, size))
        except OSError as error:
            raise CorruptStoreError(f"{path} cannot be read: {error.strerror}") from error

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise CorruptStoreError(f"{path} cannot be read: {error.strerror}") from error
