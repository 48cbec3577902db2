"""Each item's nearest neighbours, for maps: one self-query of a whole collection.

Small collections are answered exactly, large ones by the graph. Either way the distances are computed
here, from differences of vectors, so that equal vectors have distance 0 and nothing else has: the
graph's own distances of a row to itself are about 1e-7, which is enough to spoil a UMAP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from chroma_nb.store.cores import CORES
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.protocol import Progress
from chroma_nb.types import IndexSettings, IntArray, Matrix, Metric

# Candidates kept in the graph's self-query: recall@15 0.995 at 100,000 x 384, for 0.6 of the time of 100.
_SEARCH_EF = 60
_GRAPH_ROWS = 2048
# Above, building a graph for the purpose is sooner done than comparing all with all.
EXACT_ROWS = 40_000
# Scores of one block of an exact search stay below 64 MB.
_BLOCK_SCORES = 16_000_000
# The k-th smallest minimum of groups of columns bounds the k-th smallest score, at a tenth of the price
# of a partition. Some more than k are taken, since float32 scores only nearly order like distances.
_GROUP = 32
_SPARE = 8
# Pairs whose difference is computed at once, as numbers.
_PAIR_ELEMENTS = 16_000_000
_LARGEST = float(np.finfo(np.float32).max) / 4
# Squares below this lose digits in float32, and inverses of numbers below it.
_TINY_SQUARE = 1e-30
# A row with so many times more candidates than wanted is cut down.
_CROWD = 8

Distances: TypeAlias = npt.NDArray[np.float32]
Neighbours: TypeAlias = tuple[IntArray, Distances]


class Rows:
    """The vectors of n items, prepared for comparison with each other.

    Args:
        metric: how.
        vectors: float32 (slots, dim).
        slots: int64 (n,), where each item's vector is.
    """

    def __init__(self, metric: Metric, vectors: Matrix, slots: IntArray) -> None:
        self.metric = metric
        self.dimension = vectors.shape[1]
        self._vectors = vectors
        self._slots = slots
        self._scale = 1.0
        self._centre = np.zeros(self.dimension, dtype=np.float32)
        self._inverse: npt.NDArray[np.float32] | None = None
        if metric is Metric.COSINE:
            self._inverse = self._inverse_lengths()
        else:
            self._measure()

    def __len__(self) -> int:
        return len(self._slots)

    def _blocks(self) -> Iterator[Matrix]:
        step = max(1, _PAIR_ELEMENTS // max(1, self.dimension))
        for start in range(0, len(self), step):
            yield self._vectors[self._slots[start : start + step]]

    def _inverse_lengths(self) -> npt.NDArray[np.float32] | None:
        """1 / |x|, 0 for zero rows; None if some row is too long or too short for that in float32."""
        with np.errstate(over="ignore", under="ignore"):
            squares = np.concatenate([np.einsum("ij,ij->i", rows, rows) for rows in self._blocks()] or [np.empty(0)])
        odd = np.flatnonzero((squares < _TINY_SQUARE) | (squares > 1 / _TINY_SQUARE))
        if len(odd) and self._vectors[self._slots[odd]].any():
            return None
        inverse = np.zeros(len(self), dtype=np.float32)
        np.divide(1, np.sqrt(squares), out=inverse, where=squares > 0)
        return inverse

    def _measure(self) -> None:
        """A power of two that keeps squares within float32, and for l2 a centre that keeps their digits."""
        largest, total = 0.0, np.zeros(self.dimension)
        for rows in self._blocks():
            largest = max(largest, float(np.abs(rows).max(initial=0)))
            total += rows.sum(axis=0, dtype=np.float64)
        if largest > 0:
            self._scale = float(2.0 ** np.ceil(np.log2(largest)))
        if self.metric is Metric.L2:
            self._centre = (total / max(1, len(self)) / self._scale).astype(np.float32)

    def take(self, positions: IntArray | slice) -> Matrix:
        """Rows as they are compared: of length 1 for cosine (zero rows stay), else scaled, for l2 centred."""
        rows = self._vectors[self._slots[positions]]
        if self.metric is not Metric.COSINE:
            if _TINY_SQUARE < self._scale < 1 / _TINY_SQUARE:
                rows *= np.float32(1 / self._scale)
            else:
                rows = (rows.astype(np.float64) / self._scale).astype(np.float32)
            rows -= self._centre
            return rows
        if self._inverse is not None:
            rows *= self._inverse[positions, None]
            return rows
        rows = rows.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0), dtype=np.float32)

    def raw(self, positions: slice) -> Matrix:
        """Rows as they are stored."""
        return self._vectors[self._slots[positions]]

    def distances(self, first: Matrix, second: Matrix) -> Distances:
        """Distances of pairs of prepared rows, both (p, dim): l2, 1 - cosine or 1 - inner product."""
        if self.metric is Metric.IP:
            products = np.einsum("ij,ij->i", first, second).astype(np.float64) * self._scale**2
            return np.asarray(np.clip(1.0 - products, -_LARGEST, _LARGEST), dtype=np.float32)
        difference = first - second
        squares = np.einsum("ij,ij->i", difference, difference)
        if self.metric is Metric.L2:
            lengths = np.sqrt(squares, dtype=np.float64) * self._scale
            return np.asarray(np.minimum(lengths, _LARGEST), dtype=np.float32)
        squares /= 2
        squares[~(first.any(axis=1) & second.any(axis=1))] = 1.0
        return np.asarray(squares)


def exact_neighbours(rows: Rows, asked: IntArray, k: int, progress: Progress | None = None) -> Neighbours:
    """The k nearest others of each asked row, by comparison with all.

    Args:
        rows: all n.
        asked: int64 (m,), positions in them.
        k: at most n - 1.
        progress: told how many rows are done.

    Returns:
        Positions int64 (m, k), closest first, and distances float32 (m, k).
    """
    found = np.empty((len(asked), k), dtype=np.int64)
    lengths = np.empty((len(asked), k), dtype=np.float32)
    step = max(1, _BLOCK_SCORES // max(1, len(rows)))
    targets = rows.take(slice(None))
    halves = np.einsum("ij,ij->i", targets, targets) / 2 if rows.metric is Metric.L2 else None
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        scores = np.negative(targets[part] @ targets.T)
        if halves is not None:
            scores += halves
        scores[np.arange(len(part)), part] = np.inf
        owners, columns = _candidates(scores, k)
        distances = np.concatenate(
            [
                rows.distances(targets[part[owners[some]]], targets[columns[some]])
                for some in _slices(len(owners), _PAIR_ELEMENTS // rows.dimension)
            ]
        )
        stop = start + len(part)
        found[start:stop], lengths[start:stop] = _closest(owners, columns, distances, len(part), k)
        if progress is not None:
            progress(stop, len(asked))
    return found, lengths


def graph_neighbours(rows: Rows, graph: Graph, place: IntArray, k: int, progress: Progress | None = None) -> Neighbours:
    """The k nearest others of every row, by the graph; rows that it cannot answer exactly.

    Args:
        rows: all n.
        graph: covers them, or most of them: it may have moved on to a newer state.
        place: int64 (slots,), the row whose vector is at each slot, -1 for none.
        k: at most n - 1.
        progress: told how many rows are done.

    Returns:
        As `exact_neighbours`.
    """
    found = np.empty((len(rows), k), dtype=np.int64)
    lengths = np.full((len(rows), k), np.nan, dtype=np.float32)
    for part in _slices(len(rows), _GRAPH_ROWS):
        labels = graph.search(rows.raw(part), k + 1, None, CORES, ef=max(_SEARCH_EF, k + 1))
        if labels is None:
            continue
        asked = np.arange(len(rows))[part]
        others = np.where(labels < len(place), place[np.minimum(labels, len(place) - 1)], -1)
        others[others == asked[:, None]] = -1
        enough = np.flatnonzero(np.count_nonzero(others >= 0, axis=1) >= k)
        owners, columns = np.nonzero(others[enough] >= 0)
        pairs = others[enough][owners, columns]
        first, second = rows.take(asked), rows.take(pairs)
        distances = rows.distances(first[enough[owners]], second)
        found[asked[enough]], lengths[asked[enough]] = _closest(owners, pairs, distances, len(enough), k)
        if progress is not None:
            progress(part.stop, len(rows))
    short = np.flatnonzero(np.isnan(lengths).any(axis=1))
    if len(short):
        found[short], lengths[short] = exact_neighbours(rows, short, k, progress)
    return found, lengths


def graph_of(rows: Rows, settings: IndexSettings, progress: Progress | None = None) -> Graph:
    """A graph of these rows alone, labelled by position; for collections that have none of their own.

    A search compares with few million numbers in no time, so small and flat collections have no graph. But as many
    searches as items are another matter.
    """
    graph = Graph(rows.dimension, settings, len(rows))
    for part in _slices(len(rows), _GRAPH_ROWS):
        graph.extend(rows.raw(part), np.arange(part.start, part.stop), part.stop, CORES)
        if progress is not None:
            progress(part.stop, len(rows))
    return graph


def _slices(length: int, step: int) -> list[slice]:
    step = max(1, step)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _candidates(scores: npt.NDArray[np.float32], k: int) -> tuple[IntArray, IntArray]:
    """Row and column of at least the k smallest scores of each row, row by row."""
    m, n = scores.shape
    wanted = min(k + _SPARE, n - 1)  # a row itself is no candidate
    groups = n // _GROUP
    near = np.zeros(scores.shape, dtype=np.bool_)
    crowded = np.arange(m)
    if groups > wanted:
        minima = scores[:, : groups * _GROUP].reshape(m, groups, _GROUP).min(axis=2)
        bounds = np.partition(minima, wanted - 1, axis=1)[:, wanted - 1]
        np.less_equal(scores, bounds[:, None], out=near)
        # Among many equal vectors any will do.
        crowded = np.flatnonzero(np.count_nonzero(near, axis=1) > _CROWD * wanted)
        near[crowded] = False
    if len(crowded):
        chosen = np.argpartition(scores[crowded], wanted - 1, axis=1)[:, :wanted]
        near[crowded[:, None], chosen] = True
    rows, columns = np.divmod(np.flatnonzero(near), n)
    return rows, columns


def _closest(owners: IntArray, others: IntArray, distances: Distances, m: int, k: int) -> Neighbours:
    """The k closest candidates of each of m owners (ascending), all of which have at least k."""
    order = np.lexsort((others, distances, owners))
    starts = np.searchsorted(owners, np.arange(m))
    picked = order[starts[:, None] + np.arange(k)]
    return others[picked], distances[picked]
