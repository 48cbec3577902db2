"""Exact nearest neighbours by matrix products, and exact distances of hits.

Ranking uses *scores*: float32, cheap, and ordered like the distances up to rounding. Everything whose
score is within the rounding error of the k-th best is a candidate, and the candidates' distances are
computed anew in float64. So the answer is exact, and the distances that leave the store do not depend
on whether the graph or a matrix product found them. Numbers too large or too small for float32 scores
show as scores that are not finite; such a query is answered in float64 altogether.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.store.cores import on_all_cores
from chroma_nb.store.growing import Growing
from chroma_nb.types import BoolArray, IntArray, Matrix, Metric

# Rows gathered at once: the copy stays in the cache between being made and being multiplied.
_GATHER_ROWS = 512
# More than so many are gathered on all cores: for fewer, starting threads costs what it saves.
_ALONE_ROWS = 6144
# Rows of a block when many queries are asked at once; scores of a block stay below 32 MB.
_BLOCK_SCORES = 8_000_000
_LENGTH_ROWS = 8192
_DISTANCE_ROWS = 16_384
# Below this, squares of float32 numbers lose digits or vanish.
_TINY_SQUARE = 1e-30

Scores = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]


def distances(metric: Metric, vectors: Matrix, query: Matrix) -> Distances:
    """Distances of rows to a query: squared l2, 1 - cos (1.0 for a zero vector) or 1 - dot.

    Args:
        metric: which.
        vectors: float32 (m, dim).
        query: float32 (dim,).

    >>> distances(Metric.COSINE, np.eye(2, dtype=np.float32), np.array([1, 0], dtype=np.float32))
    array([0., 1.])
    """
    if len(vectors) > _DISTANCE_ROWS:
        starts = range(0, len(vectors), _DISTANCE_ROWS)
        return np.concatenate([distances(metric, vectors[at : at + _DISTANCE_ROWS], query) for at in starts])
    x, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric is Metric.L2:
        x -= q
        return np.asarray(np.vecdot(x, x))
    dots = np.vecdot(x, q)
    if metric is Metric.IP:
        return np.asarray(1.0 - dots)
    norms = np.sqrt(np.vecdot(x, x)) * np.sqrt(np.vecdot(q, q))
    if norms.all():
        dots /= norms
    else:
        dots = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    # A tiny negative distance of a vector to itself would be noise, not information.
    return np.asarray(np.maximum(1.0 - dots, 0.0))


def lengths(metric: Metric, vectors: Matrix) -> Scores:
    """What a score needs of each row besides the dot product: |x|^2 / 2 for l2, else |x|.

    For cosine, the length of a zero vector is infinite (its score is then 0) and that of a vector too
    short or too long for float32 is NaN.
    """
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    if metric is Metric.L2:
        return np.asarray(squares / 2, dtype=np.float32)
    norms = np.sqrt(squares)
    if metric is Metric.COSINE:
        tiny = np.flatnonzero(squares < _TINY_SQUARE)
        norms[tiny] = np.where(vectors[tiny].any(axis=1), np.nan, np.inf)
        norms[~np.isfinite(squares)] = np.nan
    return np.asarray(norms, dtype=np.float32)


class Lengths:
    """`lengths` of a growing array of vectors, each computed once, when a full scan first needs it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._known = Growing(np.empty(0, dtype=np.float32))
        self._lock = threading.Lock()

    def of(self, vectors: Matrix) -> Scores:
        """The lengths of all rows of ``vectors``, an extension of what was given before."""
        with self._lock:
            known = len(self._known.view)
            missing = np.empty(max(0, len(vectors) - known), dtype=np.float32)

            def measure(starts: Iterable[int]) -> None:
                for start in starts:
                    rows = vectors[known + start : known + start + _LENGTH_ROWS]
                    missing[start : start + len(rows)] = lengths(self._metric, rows)

            if len(missing):
                on_all_cores(measure, range(0, len(missing), _LENGTH_ROWS))
                self._known.append(missing)
            return self._known.view[: len(vectors)]


def _products(vectors: Matrix, query: Matrix) -> Scores:
    """Dot products of rows with one query.

    In one thread: at 100,000 x 384 that takes 6 ms, less than OpenBLAS with two, and does not wait for a core on
    which a graph is being built.
    """
    return np.asarray(np.einsum("ij,j->i", vectors, query))


def _prepared(metric: Metric, queries: Matrix) -> Matrix:
    """Queries as the scores want them: of length 1 for cosine."""
    if metric is not Metric.COSINE:
        return queries
    norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(np.divide(queries, norms, out=np.zeros_like(queries), where=norms > 0, casting="unsafe"))


def _finish(metric: Metric, dots: Scores, length: Scores) -> Scores:
    """Dot products -> scores, in place; smaller is closer."""
    if metric is Metric.L2:
        return np.subtract(length, dots, out=dots)
    if metric is Metric.COSINE:
        np.divide(dots, length, out=dots)
    return np.negative(dots, out=dots)


def _margin(metric: Metric, length: Scores, queries: Matrix) -> npt.NDArray[np.float64]:
    """How far rounding can move a score, for each query (m,); twice the usual error of a dot product."""
    unit = 4 * np.sqrt(queries.shape[1]) * float(np.finfo(np.float32).eps)
    if metric is Metric.COSINE:
        return np.full(len(queries), unit)
    longest = float(length.max(initial=0))
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)
    return np.asarray(unit * (longest + np.sqrt(2 * longest) * norms if metric is Metric.L2 else longest * norms))


def nearest_of_one(
    metric: Metric, vectors: Matrix, length: Scores, query: Matrix, k: int, live: BoolArray | None
) -> IntArray | None:
    """Candidates for the k nearest of one query among all (live) rows; None: ask in float64."""
    query = _prepared(metric, query[None])
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        scores = _finish(metric, _products(vectors, query[0]), length)
        margin = _margin(metric, length, query)[0]
    return _smallest(scores, k, margin, live)


def nearest_among(metric: Metric, vectors: Matrix, slots: IntArray, query: Matrix, k: int) -> IntArray | None:
    """Candidates among the rows at ``slots``, gathered piece by piece through small buffers."""
    query = _prepared(metric, query[None])
    scores = np.empty(len(slots), dtype=np.float32)
    length = np.empty(len(slots), dtype=np.float32)

    def gather(starts: Iterable[int]) -> None:
        buffer = np.empty((min(_GATHER_ROWS, len(slots)), vectors.shape[1]), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # holds for this thread
            for start in starts:
                part = slice(start, start + _GATHER_ROWS)
                rows = np.take(vectors, slots[part], axis=0, out=buffer[: len(slots[part])], mode="clip")
                length[part] = lengths(metric, rows)
                scores[part] = _finish(metric, _products(rows, query[0]), length[part])

    starts = range(0, len(slots), _GATHER_ROWS)
    if len(slots) > _ALONE_ROWS:
        on_all_cores(gather, starts)
    else:
        gather(starts)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        margin = _margin(metric, length, query)[0]
    found = _smallest(scores, k, margin, None)
    return None if found is None else slots[found]


def _smallest(scores: Scores, k: int, margin: float, live: BoolArray | None) -> IntArray | None:
    if not (np.isfinite(scores).all() and np.isfinite(margin)):
        return None
    if live is not None:
        scores[~live] = np.inf
    if k >= len(scores):
        return np.flatnonzero(np.isfinite(scores))
    worst = np.partition(scores, k - 1)[k - 1]
    if not np.isfinite(worst):
        return np.flatnonzero(np.isfinite(scores))
    return np.flatnonzero(scores <= worst + margin)


def nearest_in_float64(metric: Metric, vectors: Matrix, slots: IntArray, query: Matrix, k: int) -> IntArray:
    """The k nearest among the rows at ``slots``, all distances in float64: slow, for unusual numbers."""
    if len(slots) <= k:
        return slots
    found = np.concatenate(
        [
            distances(metric, vectors[slots[at : at + _DISTANCE_ROWS]], query)
            for at in range(0, len(slots), _DISTANCE_ROWS)
        ]
    )
    return np.asarray(slots[found <= np.partition(found, k - 1)[k - 1]])


def nearest_of_many(
    metric: Metric, vectors: Matrix, length: Scores, queries: Matrix, k: int, live: BoolArray | None
) -> list[IntArray | None]:
    """Candidates for each of many queries over all (live) rows, block by block.

    A block's scores are compared with the k-th best so far and only what can beat it is kept, which
    spares the partition of every full row of scores.
    """
    queries = _prepared(metric, queries)
    best = [_Best(k) for _ in queries]
    block = max(k, _BLOCK_SCORES // len(queries))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        margins = _margin(metric, length, queries)
        for start in range(0, len(vectors), block):
            stop = min(start + block, len(vectors))
            scores = _finish(metric, queries @ vectors[start:stop].T, length[start:stop])
            odd: BoolArray = np.logical_not(np.isfinite(scores).all(axis=1) & np.isfinite(margins))
            if live is not None:
                scores[:, ~live[start:stop]] = np.inf
            bounds = np.array([one.worst for one in best]) + margins
            close: BoolArray = np.less_equal(scores, bounds[:, None])
            for query in np.flatnonzero(close.any(axis=1) | odd):
                best[query].take(scores[query], np.flatnonzero(close[query]), start, margins[query], bool(odd[query]))
    return [one.slots() for one in best]


class _Best:
    """The candidates of one query so far."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._scores: npt.NDArray[Any] = np.empty(0, dtype=np.float32)
        self._slots: IntArray = np.empty(0, dtype=np.int64)
        self._odd = False
        self.worst = np.inf

    def take(self, scores: Scores, found: IntArray, start: int, margin: float, odd: bool) -> None:
        """Take in what a block has to offer, and drop what it displaces."""
        self._odd |= odd
        found = found[np.isfinite(scores[found])]
        self._scores = np.concatenate([self._scores, scores[found]])
        self._slots = np.concatenate([self._slots, found + start])
        if len(self._scores) > self._k:
            self.worst = float(np.partition(self._scores, self._k - 1)[self._k - 1])
            kept = np.flatnonzero(self._scores <= self.worst + margin)
            self._scores, self._slots = self._scores[kept], self._slots[kept]

    def slots(self) -> IntArray | None:
        """The candidates; None: ask in float64."""
        return None if self._odd else self._slots
