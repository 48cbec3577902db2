"""Exact nearest neighbours by matrix products, and exact distances of hits.

Ranking uses *scores*, float32 and cheap, whose order is that of the distances up to rounding; the
distances that leave the store are computed anew, in float64, for the few items that were picked,
so that they do not depend on whether the graph or the matrix product found them.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.store.growing import Growing
from chroma_nb.types import BoolArray, IntArray, Matrix, Metric

# Rows gathered at once: the copy stays in the cache between being made and being multiplied.
_GATHER_ROWS = 1024
# Rows of a block when many queries are asked at once; scores of a block stay below 32 MB.
_BLOCK_SCORES = 8_000_000
_LENGTH_ROWS = 65_536
# Picked beyond k before the distances are computed exactly, so that rounding in the scores does
# not decide who is in.
_SLACK = 8

Scores = npt.NDArray[np.float32]


def distances(metric: Metric, vectors: Matrix, query: Matrix) -> npt.NDArray[np.float64]:
    """Distances of rows to a query: squared l2, 1 - cos (1.0 for a zero vector) or 1 - dot.

    Args:
        metric: which.
        vectors: float32 (m, dim).
        query: float32 (dim,) or (m, dim), row for row.

    >>> distances(Metric.COSINE, np.eye(2, dtype=np.float32), np.array([1, 0], dtype=np.float32))
    array([0., 1.])
    """
    x, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric is Metric.L2:
        x -= q
        return np.asarray(np.einsum("ij,ij->i", x, x))
    dots = np.einsum("ij,j->i" if q.ndim == 1 else "ij,ij->i", x, q)
    if metric is Metric.IP:
        return np.asarray(1.0 - dots)
    norms = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("...j,...j->...", q, q))
    # A tiny negative distance of a vector to itself would be noise, not information.
    cosines = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return np.asarray(np.maximum(1.0 - cosines, 0.0))


def lengths(metric: Metric, vectors: Matrix) -> npt.NDArray[np.float32] | None:
    """What a score needs of each row besides the dot product: |x|^2 / 2, |x| or nothing."""
    if metric is Metric.IP:
        return None
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if metric is Metric.L2:
        return np.asarray(squares / 2, dtype=np.float32)
    norms = np.sqrt(squares)
    return np.asarray(np.where(norms > 0, norms, np.inf), dtype=np.float32)


class Lengths:
    """`lengths` of a growing array of vectors, each computed once, when a full scan first needs it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._known = Growing(np.empty(0, dtype=np.float32))
        self._lock = threading.Lock()

    def of(self, vectors: Matrix) -> npt.NDArray[np.float32] | None:
        """The lengths of all rows of ``vectors``, an extension of what was given before."""
        if self._metric is Metric.IP:
            return None
        with self._lock:
            for start in range(len(self._known.view), len(vectors), _LENGTH_ROWS):
                self._known.append(np.asarray(lengths(self._metric, vectors[start : start + _LENGTH_ROWS])))
            return self._known.view[: len(vectors)]


def _finish(metric: Metric, dots: Scores, extra: Scores | None) -> Scores:
    """Dot products -> scores, in place; smaller is closer."""
    if extra is None:
        return np.negative(dots, out=dots)
    if metric is Metric.L2:
        return np.subtract(extra, dots, out=dots)
    return np.negative(np.divide(dots, extra, out=dots), out=dots)


def score_all(metric: Metric, vectors: Matrix, extra: Scores | None, query: Matrix) -> Scores:
    """Scores of every row for one query, float32 (n,)."""
    return _finish(metric, vectors @ query, extra)


def score_some(metric: Metric, vectors: Matrix, slots: IntArray, query: Matrix) -> Scores:
    """Scores of the rows at ``slots`` for one query, gathered piece by piece through one small buffer."""
    scores = np.empty(len(slots), dtype=np.float32)
    buffer = np.empty((min(_GATHER_ROWS, len(slots)), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(slots), _GATHER_ROWS):
        piece = slots[start : start + _GATHER_ROWS]
        rows = np.take(vectors, piece, axis=0, out=buffer[: len(piece)], mode="clip")
        scores[start : start + len(piece)] = _finish(metric, rows @ query, lengths(metric, rows))
    return scores


def smallest(scores: npt.NDArray[Any], k: int) -> IntArray:
    """Indices of (at least) the k smallest scores in no order; infinite scores are left out."""
    wanted = k + _SLACK
    if wanted >= len(scores):
        return np.flatnonzero(np.isfinite(scores))
    picked = np.argpartition(scores, wanted)[:wanted]
    return np.asarray(picked[np.isfinite(scores[picked])])


def smallest_of_many(
    metric: Metric, vectors: Matrix, extra: Scores | None, queries: Matrix, k: int, live: BoolArray | None
) -> list[IntArray]:
    """Candidates for the k nearest of each of many queries over all (live) rows, block by block.

    A block's scores are compared with the worst candidate so far and only what beats it is kept,
    which spares the partition of every full row of scores.
    """
    wanted = k + _SLACK
    block = max(wanted, _BLOCK_SCORES // max(len(queries), 1))
    best_scores = np.full((len(queries), wanted), np.inf, dtype=np.float32)
    best_slots = np.full((len(queries), wanted), -1, dtype=np.int64)
    for start in range(0, len(vectors), block):
        stop = min(start + block, len(vectors))
        scores = _finish(metric, queries @ vectors[start:stop].T, None if extra is None else extra[start:stop])
        if live is not None:
            scores[:, ~live[start:stop]] = np.inf
        _keep_better(scores, start, best_scores, best_slots)
    return [slots[slots >= 0] for slots in best_slots]


def _keep_better(scores: Scores, start: int, best_scores: Scores, best_slots: IntArray) -> None:
    wanted = best_scores.shape[1]
    better = scores < best_scores.max(axis=1, keepdims=True)
    counts = np.count_nonzero(better, axis=1)
    for query in np.flatnonzero(counts):
        found = np.flatnonzero(better[query])
        joined_scores = np.concatenate([best_scores[query], scores[query, found]])
        joined_slots = np.concatenate([best_slots[query], found + start])
        keep = np.argpartition(joined_scores, wanted - 1)[:wanted]
        best_scores[query], best_slots[query] = joined_scores[keep], joined_slots[keep]
