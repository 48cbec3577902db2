"""A fair part of many points, and what a lasso takes of all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chroma_nb_widgets.map.interface import Codes, Mask, Points, Positions


def stratified_sample(codes: Codes, n: int, limit: int, seed: int = 0) -> Positions:
    """At most `limit` of n positions, ascending, with every code in its proportion and at least once.

    Args:
        codes: uint16 (n,).
        n: how many points there are.
        limit: how many to keep; with more codes than that, some are left out.
        seed: the same seed gives the same sample.

    >>> codes = np.array([0] * 98 + [1, 2], dtype=np.uint16)
    >>> stratified_sample(codes, 100, 10)[-2:]
    array([98, 99])
    """
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    _, strata, counts = np.unique(codes, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(n)
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    quotas = _quotas(counts, limit)
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(by_stratum[rank < np.repeat(quotas, counts)]).astype(np.int64)


def _quotas(counts: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """How many of each stratum: one each, and the rest in proportion to what is left, by largest remainders."""
    quotas = np.zeros(len(counts), np.int64)
    quotas[np.argsort(-counts, kind="stable")[:limit]] = 1
    left = counts - quotas
    rest = limit - int(quotas.sum())
    if rest:
        share = left * (rest / left.sum())
        quotas += share.astype(np.int64)
        remainder = share - share.astype(np.int64)
        quotas[np.argsort(-remainder, kind="stable")[: limit - int(quotas.sum())]] += 1
    return quotas


def inside_polygon(xy: Points, corners: npt.NDArray[np.float64]) -> Mask:
    """Which places (n, 2) lie in a polygon (m, 2), by the even-odd rule.

    >>> inside_polygon(np.array([[1, 1], [3, 1]], np.float32), np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]]))
    array([ True, False])
    """
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero(((xy >= low) & (xy <= high)).all(axis=1))
    x, y = xy[near, 0].astype(np.float64), xy[near, 1].astype(np.float64)
    odd = np.zeros(len(near), np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            odd ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
    inside = np.zeros(len(xy), np.bool_)
    inside[near] = odd
    return inside
