"""The only module that knows hnswlib: a graph over the vectors of a collection.

The label of a vector is its slot, so the graph needs no table of its own: "valid up to slot n" is
its whole state, and which slots still belong to an item is known elsewhere.

Its file (see `graph_files`) holds no vectors - hnswlib's own file repeats them, 1,536 of 1,676 bytes an
item at 384 dimensions - but they are put back from the file of vectors on loading.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import numpy.typing as npt

from chroma_nb.store import graph_files, huge_pages
from chroma_nb.store.covering import Covering, candidates
from chroma_nb.store.graph_files import GraphFile, slots_of
from chroma_nb.types import BoolArray, IndexSettings, IntArray, Matrix, Metric

_PATIENCE = 0.05  # seconds that a writer lets readers pass
# Vectors put back at once: loading needs one copy of them besides hnswlib's own, and no more.
_PLACED_ROWS = 8192
_ARRAYS = ("label_lookup_external", "label_lookup_internal", "element_levels", "link_lists")


class Graph(Covering):
    """An hnswlib index whose labels are slots.

    hnswlib allows concurrent searches and concurrent insertions but not both: a builder takes
    `writing` for one small batch at a time, a search takes `reading`, and a builder steps back
    while a search waits.
    """

    def __init__(self, dimension: int, settings: IndexSettings, capacity: int) -> None:
        super().__init__(np.zeros(0, dtype=np.bool_))
        self.dimension = dimension
        self.settings = settings
        self._index = hnswlib.Index(settings.space.value, dimension)
        most = max(int(capacity * settings.resize_factor), 1000)
        with huge_pages.asked_for(most * _record(settings.m, dimension)):
            self._index.init_index(max_elements=most, M=settings.m, ef_construction=settings.construction_ef)
        self._gate = _Gate()

    def __len__(self) -> int:
        return int(self._index.get_current_count())

    # building ---------------------------------------------------------------------------------

    def extend(self, vectors: Matrix, slots: IntArray, upto: int, threads: int) -> None:
        """Insert vectors (m, dim) with their slots; afterwards the graph covers all slots below ``upto``."""
        with self._gate.writing():
            needed = len(self) + len(slots)
            if needed > self._index.get_max_elements():
                most = max(needed, int(needed * self.settings.resize_factor))
                with huge_pages.asked_for(most * _record(self.settings.m, self.dimension)):
                    self._index.resize_index(most)
            if len(slots):
                self._index.add_items(vectors, slots, num_threads=threads)
            present = np.zeros(upto, dtype=np.bool_)
            present[: len(self._present)] = self._present
            present[slots] = True
            self._present, self.upto = present, upto

    def forget(self, live: BoolArray) -> None:
        """Mark every slot in the graph that is not live (bool per slot) as deleted."""
        gone = self.gone(live)
        if len(gone) == 0:
            return
        with self._gate.writing():
            for slot in gone[self._present[gone]]:
                self._index.mark_deleted(int(slot))
            self.lose(gone)

    # searching --------------------------------------------------------------------------------

    def search(
        self, queries: Matrix, k: int, allowed: BoolArray | None, threads: int, ef: int | None = None
    ) -> IntArray | None:
        """Slots of about the k nearest; see `Covering.search`."""
        ef = ef or candidates(self.settings, k, self.upto)
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
        """Write the file; ``identity`` must be the same to load it."""
        with self._gate.reading():
            state = dict(self._index.__getstate__()[0])
            header: dict[str, Any] = {"identity": identity, "upto": self.upto}
            present = self._present
        count = state["cur_element_count"]
        records = state.pop("data_level0").view(np.uint8).reshape(count, state["size_data_per_element"])
        arrays = {name: state.pop(name) for name in _ARRAYS}
        arrays["element_levels"] = arrays["element_levels"][:count]
        arrays["links"] = np.ascontiguousarray(records[:, : state["offset_data"]])
        arrays["labels"] = np.ascontiguousarray(records[:, state["label_offset"] :])
        del records
        state["max_elements"] = count
        graph_files.write(path, {**header, "state": state}, {**arrays, "present": present})

    @classmethod
    def load(cls, file: GraphFile, settings: IndexSettings, vectors: Matrix) -> Graph:
        """Read a graph back from a file that was verified; ``vectors`` are all slots of the collection.

        hnswlib copies what it is given under the lock of the interpreter: other threads stand still for some
        80 ms for each 100,000 vectors of 384.
        """
        state = {**file.header["state"], **{name: file.arrays[name] for name in _ARRAYS}}
        state["data_level0"] = _records(file, settings.space, vectors).reshape(-1).view(np.int8)
        graph = cls.__new__(cls)
        Covering.__init__(graph, _present(file))
        graph.dimension, graph.settings = vectors.shape[1], settings
        graph._index = hnswlib.Index.__new__(hnswlib.Index)
        with huge_pages.asked_for(state["max_elements"] * state["size_data_per_element"], filled=True):
            graph._index.__setstate__((state,))
        graph._gate = _Gate()
        return graph


def _record(m: int, dimension: int) -> int:
    """Bytes of an item on hnswlib's level 0: links, vector, label."""
    return (2 * m + 1) * 4 + dimension * 4 + 8


def _records(file: GraphFile, space: Metric, vectors: Matrix) -> npt.NDArray[np.uint8]:
    """The records of hnswlib's level 0: links, the vector as it compares it, label."""
    state, links, labels = file.header["state"], file.arrays["links"], file.arrays["labels"]
    data, label = state["offset_data"], state["label_offset"]
    records = np.empty((len(links), state["size_data_per_element"]), dtype=np.uint8)
    for start in range(0, len(links), _PLACED_ROWS):
        part = slice(start, start + _PLACED_ROWS)
        placed = vectors[slots_of(labels[part])]
        if space is Metric.COSINE:
            placed = normalised(placed)
        records[part, :data] = links[part]
        records[part, data:label] = placed.view(np.uint8)
        records[part, label:] = labels[part]
    return records


def _present(file: GraphFile) -> BoolArray:
    if "present" in file.arrays:
        return np.array(file.arrays["present"], dtype=np.bool_)
    # The mark of deletion is a bit in the links record.
    slots, links = slots_of(file.arrays["labels"]), file.arrays["links"]
    present = np.zeros(file.header["upto"], dtype=np.bool_)
    present[slots[links[:, 2] & 1 == 0]] = True
    return present


def normalised(vectors: npt.NDArray[np.floating[Any]]) -> Matrix:
    """Rows scaled to length 1 as hnswlib does it; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None] + 1e-30
    return np.asarray(vectors / norms, dtype=np.float32)


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

    def _writer_may(self) -> bool:
        return not self._writing and not self._readers and (not self._waiting or self._overdue())

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
                # Nobody notifies of time that has passed: a reader that looks a little later may wait for this writer.
                while not self._condition.wait_for(self._writer_may, _PATIENCE):
                    pass
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
