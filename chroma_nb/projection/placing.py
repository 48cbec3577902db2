"""Places for items that a map was not fitted to, and for queries: beside their neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import BoolArray, IntArray, Matrix

# Neighbours that have a say, and how many are looked at to find that many which have a place.
_NEIGHBOURS = 15
_WIDER = (1, 2, 16)
_CHUNK = 1024
_STEPS = 12


def beside(snapshot: Snapshot, xy: Matrix, vectors: Matrix) -> Matrix:
    """Places for vectors (m, dim) on a map of a snapshot, float32 (m, 2).

    Each goes to the point with the least weighted distance to the places of its neighbours. A mean would
    put what lies between two groups into the empty space between them; this stays with the nearer one.

    Args:
        snapshot: whose map it is.
        xy: float32 (n, 2), NaN for items without a place; they are passed over.
        vectors: of what is to be placed.
    """
    placed: BoolArray = np.isfinite(xy[:, 0])
    if not placed.any():
        return np.zeros((len(vectors), 2), dtype=np.float32)
    found = np.empty((len(vectors), 2), dtype=np.float32)
    for start in range(0, len(vectors), _CHUNK):
        found[start : start + _CHUNK] = _chunk(snapshot, xy, placed, vectors[start : start + _CHUNK])
    return found


def _chunk(snapshot: Snapshot, xy: Matrix, placed: BoolArray, vectors: Matrix) -> Matrix:
    places = np.broadcast_to(np.median(xy[placed], axis=0), (len(vectors), 2)).astype(np.float32)
    left: IntArray = np.arange(len(vectors))
    for wider in _WIDER:
        positions, distances = snapshot.search(vectors[left], wider * (_NEIGHBOURS + 1))
        known = placed[positions]
        # The nearest that have a place come first, in their order.
        order = np.argsort(~known, axis=1, kind="stable")[:, :_NEIGHBOURS]
        positions = np.take_along_axis(positions, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
        known = placed[positions]
        last = wider == _WIDER[-1] or positions.shape[1] < _NEIGHBOURS
        ready = known.any(axis=1) if last else known.all(axis=1)
        weights = _weights(distances[ready], known[ready])
        places[left[ready]] = _median(xy[positions[ready]], weights)
        left = left[~ready]
        if last or len(left) == 0:
            break
    return places


def _weights(distances: npt.NDArray[np.float64], known: BoolArray) -> npt.NDArray[np.float64]:
    """Falling with the distance, from 1 for the nearest, at the rate of the spread of distances."""
    far = np.where(known, distances, -np.inf)
    near = np.where(known, distances, np.inf).min(axis=1, keepdims=True)
    gaps = np.where(known, distances - near, 0.0)
    spread = np.maximum(far.max(axis=1, keepdims=True) - near, np.finfo(np.float64).tiny)
    return np.where(known, np.exp(-gaps / spread), 0.0)


def _median(places: Matrix, weights: npt.NDArray[np.float64]) -> Matrix:
    """The weighted geometric median of each row of places (m, k, 2), by Weiszfeld's steps.

    They begin at the best of the places themselves: among several groups, in the one that has most to say.
    """
    points = np.where(weights[:, :, None] > 0, places, 0.0).astype(np.float64)
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=3)
    costs = np.where(weights > 0, np.einsum("mij,mj->mi", apart, weights), np.inf)
    rows = np.arange(len(points))
    at = points[rows, costs.argmin(axis=1)] if len(points) else points[:, 0]
    least = np.maximum(apart.max(axis=(1, 2)), 1e-30)[:, None] * 1e-3
    for _ in range(_STEPS):
        pull = weights / np.maximum(np.linalg.norm(points - at[:, None], axis=2), least)
        at = np.einsum("mk,mkd->md", pull, points) / pull.sum(axis=1, keepdims=True)
    return np.asarray(at, dtype=np.float32)
