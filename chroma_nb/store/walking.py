"""Search in a mapped graph: the first answers of a process, before hnswlib has read anything.

The graph of 1,000,000 vectors takes hnswlib seconds to read and copy, and a scan of the vectors takes 0.2 s. A walk
through the mapped file touches some hundred KB of either: from level to level, then around what was found on level 0,
as hnswlib goes. Only it expands several candidates at once, so that numpy's price for a call is shared, and keeps some
candidates on upper levels. It sees some more vectors for that, and so finds no fewer neighbours. A walk takes 1 to 2 ms
where hnswlib takes 0.4.

A damaged file gives fewer hits or none, never wrong ones: the numbers of slots are checked, the distances that leave
the store are computed from the vectors, and after the first sign of damage no walk finds anything.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.covering import Covering, candidates
from chroma_nb.store.graph_files import GraphFile, slots_of
from chroma_nb.types import BoolArray, IndexSettings, IntArray, Matrix, Metric

_log = logging.getLogger(__name__)

# Candidates expanded at once. Fewer cost more calls, more cost vectors that nobody needs.
_BEAM = 16
# Candidates kept on the first levels above 0, and on those above them: at least two, as the worst is not expanded.
# With the nearest alone, as hnswlib has it, whole small clusters are missed among many items: of 1,000,000 a walk then
# needs 250 candidates on level 0 for the recall that it has with 100 so, 0.994.
_KEPT_ABOVE = {1: 8, 2: 8}
_KEPT_ON_TOP = 2

Scores = npt.NDArray[np.float32]


class Walker(Covering):
    """A graph file that can be searched without being read.

    Args:
        file: of which `GraphFile.walkable` is true; it fits the collection.
        settings: of the collection.
        vectors: float32 (slots, dim), mapped as well.

    Attributes:
        walks: how many queries were asked.
        torn: whether the file is damaged; then nothing is found.

    Raises:
        CorruptStoreError: the parts of the file do not fit together.
    """

    def __init__(self, file: GraphFile, settings: IndexSettings, vectors: Matrix) -> None:
        super().__init__(file.arrays["present"].view(np.bool_))
        self.file = file
        self.walks = 0
        self.torn = False
        self._settings = settings
        self._vectors = vectors
        self._state = file.header["state"]
        self._links: npt.NDArray[np.uint8] = file.arrays["links"]
        self._labels: npt.NDArray[np.uint8] = file.arrays["labels"]
        levels = file.arrays["element_levels"]
        # The few nodes above level 0, and where the links of each start.
        self._upper = np.flatnonzero(levels != 0)  # four times as quick as of the numbers themselves
        raised = levels[self._upper]
        stops = np.cumsum(raised, dtype=np.int64) * self._state["size_links_per_element"]
        self._starts = np.concatenate([[0], stops])
        self._lists = file.arrays["link_lists"].view(np.uint8)
        levelled = raised.min(initial=0) >= 0 and raised.max(initial=0) >= self._state["max_level"]
        if self._starts[-1] != len(self._lists) or not levelled:
            raise CorruptStoreError(f"{file.path} is torn: its levels and its links do not agree")
        self._forgetting = threading.Lock()
        self._whole = bool(self._present.all())

    def __len__(self) -> int:
        return len(self._links)

    def forget(self, live: BoolArray) -> None:
        """No longer find slots that are not live (bool per slot)."""
        with self._forgetting:
            gone = self.gone(live)
            if len(gone):
                self._whole = False
                self.lose(gone)

    # searching --------------------------------------------------------------------------------

    def search(
        self, queries: Matrix, k: int, allowed: BoolArray | None, threads: int, ef: int | None = None
    ) -> IntArray | None:
        """Slots of about the k nearest; see `Covering.search`. None as well when the file is torn."""
        self.walks += len(queries)
        if self.torn or k > len(self):
            return None
        accept = allowed
        if not self._whole:
            accept = self._present if allowed is None else self._present & allowed[: self.upto]
        ef = max(k, ef or candidates(self._settings, k))
        try:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                found = [self._walk(query, k, ef, accept) for query in queries]
        except _TornError as error:
            self.torn = True
            _log.warning("%s is damaged (%s); searches go round it until it is built anew", self.file.path, error)
            return None
        reached = [slots for slots in found if slots is not None]
        return np.stack(reached) if len(reached) == len(found) else None

    def _walk(self, query: Matrix, k: int, ef: int, accept: BoolArray | None) -> IntArray | None:
        if self._settings.space is Metric.COSINE:
            query = query / (np.linalg.norm(query) + np.float32(1e-30))
        nodes, scores = self._beam(*self._descend(query), query, ef, self._links_of, accept)
        if len(nodes) < k or not np.isfinite(scores).all():
            return None
        nearest = slots_of(self._labels[nodes[_smallest(scores, k)]])
        if len(np.unique(nearest)) < k:
            raise _TornError("two places have the same vector")
        return nearest

    def _descend(self, query: Matrix) -> tuple[IntArray, Scores]:
        """The nodes where the upper levels lead to, and their scores."""
        nodes = np.array([self._state["enterpoint_node"]])
        scores = self._scores(nodes, query)[1]
        for level in range(self._state["max_level"], 0, -1):
            links = partial(self._upper_links, level=level)
            nodes, scores = self._beam(nodes, scores, query, _KEPT_ABOVE.get(level, _KEPT_ON_TOP), links)
        return nodes, scores

    def _beam(
        self,
        nodes: IntArray,
        scores: Scores,
        query: Matrix,
        ef: int,
        links: Callable[[IntArray], IntArray],
        accept: BoolArray | None = None,
    ) -> tuple[IntArray, Scores]:
        """The best ``ef`` nodes of acceptable slots around some nodes of a level, in no order, and their scores."""
        visited = np.zeros(len(self), dtype=np.bool_)
        visited[nodes] = True
        frontier, open_scores = nodes, scores
        if accept is not None:
            taken = accept[slots_of(self._labels[nodes])]
            nodes, scores = nodes[taken], scores[taken]
        while len(frontier):
            expanded, frontier, open_scores = _split(frontier, open_scores)
            around = links(expanded)
            # Sorted, so that memory is read in one direction; `unique` sorts.
            around = np.unique(around[~visited[around]])
            if len(around) == 0:
                continue
            visited[around] = True
            slots, new_scores = self._scores(around, query)
            frontier, open_scores = np.concatenate([frontier, around]), np.concatenate([open_scores, new_scores])
            if accept is not None:
                taken = accept[slots]
                around, new_scores = around[taken], new_scores[taken]
            nodes, scores = np.concatenate([nodes, around]), np.concatenate([scores, new_scores])
            if len(nodes) >= ef:
                best = _smallest(scores, ef)
                nodes, scores = nodes[best], scores[best]
                # Not those that are as far: where all are equally far, as from a zero vector, that would be all.
                useful = open_scores < scores.max()
                frontier, open_scores = frontier[useful], open_scores[useful]
        return nodes, scores

    # the file -----------------------------------------------------------------------------------

    def _scores(self, nodes: IntArray, query: Matrix) -> tuple[IntArray, Scores]:
        """The slots of these nodes, and numbers that are ordered like their distances."""
        slots = slots_of(self._labels[nodes])
        if slots.min() < 0 or slots.max() >= self.upto:
            raise _TornError("a place has a vector that is not there")
        rows = self._vectors[slots]
        if self._settings.space is Metric.L2:
            rows -= query
            return slots, np.einsum("ij,ij->i", rows, rows)
        dots = np.einsum("ij,j->i", rows, query)
        if self._settings.space is Metric.COSINE:
            dots /= np.sqrt(np.einsum("ij,ij->i", rows, rows)) + np.float32(1e-30)
        return slots, np.negative(dots, out=dots)

    def _links_of(self, nodes: IntArray) -> IntArray:
        """The nodes that these are linked to on level 0."""
        return self._linked(self._links[nodes])

    def _upper_links(self, nodes: IntArray, level: int) -> IntArray:
        """The nodes that these are linked to on an upper level."""
        at = np.minimum(np.searchsorted(self._upper, nodes), len(self._upper) - 1)
        size = self._state["size_links_per_element"]
        starts = self._starts[at] + (level - 1) * size
        if (self._upper[at] != nodes).any() or (starts + size > self._starts[at + 1]).any():
            raise _TornError("a place is not on the level where it is looked for")
        return self._linked(self._lists[starts[:, None] + np.arange(size)])

    def _linked(self, records: npt.NDArray[np.uint8]) -> IntArray:
        """The links in records of hnswlib: how many (2 bytes), marks (2 bytes), then the nodes (4 bytes each)."""
        numbers = np.ascontiguousarray(records).view("<u4")
        there = np.arange(numbers.shape[1] - 1) < (numbers[:, :1] & 0xFFFF)
        nodes = numbers[:, 1:][there]
        if len(nodes) and nodes.max() >= len(self):
            raise _TornError("a link leads nowhere")
        return nodes


class _TornError(Exception):
    """What the file says cannot be."""


def _smallest(scores: Scores, count: int) -> IntArray | slice:
    """Which are the smallest, in no order."""
    return slice(None) if len(scores) <= count else np.argpartition(scores, count - 1)[:count]


def _split(nodes: IntArray, scores: Scores) -> tuple[IntArray, IntArray, Scores]:
    """The nodes to expand next, and the others with their scores."""
    if len(nodes) <= _BEAM:
        return nodes, nodes[:0], scores[:0]
    order = np.argpartition(scores, _BEAM - 1)
    return nodes[order[:_BEAM]], nodes[order[_BEAM:]], scores[order[_BEAM:]]
