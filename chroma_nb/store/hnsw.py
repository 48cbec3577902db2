"""The only module that knows hnswlib: a graph over the vectors of a collection.

The label of a vector is its slot, so the graph needs no table of its own: "valid up to slot n" is
its whole state, and which slots still belong to an item is known elsewhere.

File format (``*.graph``): the magic line, the length of a JSON header (8 bytes, little-endian),
the header, then the raw bytes of the arrays it lists. The header carries the identity of the
collection, the generation of its file of vectors, the number of slots covered, the parameters and
a CRC-32 of the arrays. The vectors are not in it - hnswlib's own file repeats them, 1,536 of 1,676
bytes an item at 384 dimensions - but put back from the file of vectors on loading. Never a pickle.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import numpy.typing as npt

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.files import sync, sync_directory
from chroma_nb.types import BoolArray, IndexSettings, IntArray, Matrix, Metric

_MAGIC = b"chroma_nb graph 1\n"
_PATIENCE = 0.05  # seconds that a writer lets readers pass
_ARRAYS = ("label_lookup_external", "label_lookup_internal", "element_levels", "link_lists")


class Graph:
    """An hnswlib index whose labels are slots.

    hnswlib allows concurrent searches and concurrent insertions but not both: a builder takes
    `writing` for one small batch at a time, a search takes `reading`, and a builder steps back
    while a search waits.
    """

    def __init__(self, dimension: int, settings: IndexSettings, capacity: int) -> None:
        self.dimension = dimension
        self.settings = settings
        self.upto = 0
        self._index = hnswlib.Index(settings.space.value, dimension)
        self._index.init_index(
            max_elements=max(int(capacity * settings.resize_factor), 1000),
            M=settings.m,
            ef_construction=settings.construction_ef,
        )
        self._present = np.zeros(0, dtype=np.bool_)  # per slot below `upto`: in the graph and not deleted
        self.deletions = 0
        self._gate = _Gate()

    def __len__(self) -> int:
        return int(self._index.get_current_count())

    # building ---------------------------------------------------------------------------------

    def extend(self, vectors: Matrix, slots: IntArray, upto: int, threads: int) -> None:
        """Insert vectors (m, dim) with their slots; afterwards the graph covers all slots below ``upto``."""
        with self._gate.writing():
            needed = len(self) + len(slots)
            if needed > self._index.get_max_elements():
                self._index.resize_index(max(needed, int(needed * self.settings.resize_factor)))
            if len(slots):
                self._index.add_items(vectors, slots, num_threads=threads)
            present = np.zeros(upto, dtype=np.bool_)
            present[: len(self._present)] = self._present
            present[slots] = True
            self._present, self.upto = present, upto

    def forget(self, live: BoolArray) -> None:
        """Mark every slot in the graph that is not live (bool per slot) as deleted."""
        shared = min(len(self._present), len(live))
        gone = np.flatnonzero(self._present[:shared] & ~live[:shared])
        if len(gone) == 0:
            return
        with self._gate.writing():
            for slot in gone[self._present[gone]]:
                self._index.mark_deleted(int(slot))
            present = self._present.copy()
            present[gone] = False
            self._present = present
            self.deletions += 1

    def lacks(self, live: BoolArray) -> bool:
        """Whether the graph covers a live slot without holding it: a newer state deleted it there."""
        shared = min(len(self._present), len(live))
        return bool((live[:shared] & ~self._present[:shared]).any())

    # searching --------------------------------------------------------------------------------

    def search(
        self, queries: Matrix, k: int, allowed: BoolArray | None, threads: int, ef: int | None = None
    ) -> IntArray | None:
        """Slots of about the k nearest, shape (m, k); None when fewer than k can be reached.

        Args:
            queries: float32 (m, dim).
            k: how many.
            allowed: bool per slot; only these count, and none behind them.
            threads: for several queries without ``allowed``.
            ef: candidates kept while searching, instead of what the settings say.
        """
        ef = ef or self.settings.search_ef or max(100, 2 * k)
        accept = None
        with self._gate.reading():
            if allowed is not None:
                # bytes.__getitem__ is the cheapest Python callable that answers "is this slot allowed?"
                accept = np.concatenate([allowed, np.zeros(self.upto, dtype=np.bool_)]).tobytes().__getitem__
            if k > len(self):
                return None
            self._index.set_ef(ef)
            try:
                labels, _ = self._index.knn_query(
                    queries, k=k, num_threads=threads if accept is None else 1, filter=accept
                )
            except RuntimeError as error:
                if "contiguous 2D array" not in str(error):
                    raise
                return None
        return np.asarray(labels, dtype=np.int64)

    # files ------------------------------------------------------------------------------------

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write to a temporary file, fsync, rename; ``identity`` must be the same to load it."""
        with self._gate.reading():
            state = dict(self._index.__getstate__()[0])
            header: dict[str, Any] = {"identity": identity, "upto": self.upto}
        count = state["cur_element_count"]
        records = state.pop("data_level0").view(np.uint8).reshape(count, state["size_data_per_element"])
        arrays = {name: np.ascontiguousarray(state.pop(name)) for name in _ARRAYS}
        arrays["element_levels"] = arrays["element_levels"][:count]
        arrays["links"] = np.ascontiguousarray(records[:, : state["offset_data"]])
        arrays["labels"] = np.ascontiguousarray(records[:, state["label_offset"] :])
        state["max_elements"] = count
        header["state"] = state
        header["arrays"] = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
        _write(path, json.dumps(header).encode(), list(arrays.values()))

    @classmethod
    def load(cls, path: Path, identity: dict[str, Any], settings: IndexSettings, vectors: Matrix) -> Graph:
        """Read a graph back; ``vectors`` are all slots of the collection.

        Raises:
            CorruptStoreError: the file is missing, torn, foreign or of other settings; the caller
                rebuilds the graph.
        """
        header, arrays = _read(path)
        if header["identity"] != identity or header["upto"] > len(vectors):
            raise CorruptStoreError(f"{path} belongs to another collection, generation or setting")
        state: dict[str, Any] = header["state"]
        links, labels = arrays.pop("links"), arrays.pop("labels")
        records = np.empty((len(links), state["size_data_per_element"]), dtype=np.uint8)
        records[:, : state["offset_data"]] = links
        records[:, state["label_offset"] :] = labels
        slots = labels.view(np.uint64).reshape(-1).astype(np.int64)
        placed = vectors[slots]
        if settings.space is Metric.COSINE:
            placed = normalised(placed)
        records[:, state["offset_data"] : state["label_offset"]] = placed.view(np.uint8).reshape(len(slots), -1)
        state |= arrays
        state["data_level0"] = records.reshape(-1).view(np.int8)
        graph = cls.__new__(cls)
        graph.dimension, graph.settings, graph.upto = vectors.shape[1], settings, header["upto"]
        graph._index = hnswlib.Index.__new__(hnswlib.Index)
        graph._index.__setstate__((state,))
        # The mark of deletion is a bit in the links record, restored with it.
        graph._present = np.zeros(graph.upto, dtype=np.bool_)
        graph._present[slots[links[:, 2] & 1 == 0]] = True
        graph.deletions = 0
        graph._gate = _Gate()
        return graph


def normalised(vectors: npt.NDArray[np.floating[Any]]) -> Matrix:
    """Rows scaled to length 1 as hnswlib does it; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None] + 1e-30
    return np.asarray(vectors / norms, dtype=np.float32)


def _write(path: Path, header: bytes, arrays: list[npt.NDArray[Any]]) -> None:
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    parts = [len(header).to_bytes(8, "little") + header, *(array.tobytes() for array in arrays)]
    crc = 0
    try:
        with temporary.open("wb") as file:
            file.write(_MAGIC)
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


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise CorruptStoreError(f"{path} cannot be read: {error}") from error
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        raise CorruptStoreError(f"{path} is not a graph file of this version")
    body = content[len(_MAGIC) : -4]
    if zlib.crc32(body) != int.from_bytes(content[-4:], "little"):
        raise CorruptStoreError(f"{path} is torn: its checksum is wrong")
    at = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8:at]))
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        arrays[name] = np.frombuffer(body, dtype, int(np.prod(shape)), at).reshape(shape)
        at += arrays[name].nbytes
    return header, arrays


class _Gate:
    """Many readers or one writer; a writer gives way to readers, but not for ever."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._writing = False
        self._writer_since = np.inf

    def _overdue(self) -> bool:
        return time.monotonic() - self._writer_since > _PATIENCE

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._condition:
            self._waiting += 1
            try:
                self._condition.wait_for(lambda: not self._writing and not self._overdue())
            finally:
                self._waiting -= 1
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._writing)  # one writer waits at a time
            self._writer_since = time.monotonic()
            try:
                self._condition.wait_for(
                    lambda: not self._writing and not self._readers and (not self._waiting or self._overdue())
                )
                self._writing = True
            finally:
                self._writer_since = np.inf
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
