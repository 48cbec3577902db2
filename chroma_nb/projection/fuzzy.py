"""From neighbours to the weighted graph that UMAP draws.

After McInnes, Healy and Melville (2018): each item sees its neighbours with weights that fall off from
its nearest one, at a rate that makes them sum up to log2(k); the graph is the fuzzy union of all these
views. Written with whole arrays: nothing to compile, and other threads run meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chroma_nb.types import IntArray

_ROWS = 65_536
_HALVINGS = 40
# A rate of at least this share of the mean distance, or one dense spot would see nothing else.
_LEAST_RATE = 1e-3


@dataclass(frozen=True)
class Graph:
    """A symmetric graph by rows: the edges of i are ``starts[i] : starts[i + 1]``.

    Attributes:
        starts: int64 (n + 1,).
        targets: int32 (edges,).
        weights: float32 (edges,), above 0 and at most 1.
    """

    starts: IntArray
    targets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


def memberships(distances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weights of each item's neighbours, float32 (n, k), for distances (n, k) to itself (0) and the others.

    >>> memberships(np.array([[0, 1, 1, 2]], dtype=np.float32)).round(2).tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """
    unit = float(distances[:, 1:].mean(dtype=np.float64)) or 1.0
    weights = np.empty_like(distances)
    for start in range(0, len(distances), _ROWS):
        weights[start : start + _ROWS] = _of_rows((distances[start : start + _ROWS] / unit).astype(np.float64))
    return weights


def _of_rows(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    others = distances[:, 1:]
    nearest = np.where(others > 0, others, np.inf).min(axis=1)
    nearest[~np.isfinite(nearest)] = 0.0
    gaps = np.maximum(others - nearest[:, None], 0.0)
    rates = np.maximum(_rates(gaps, np.log2(distances.shape[1])), _LEAST_RATE * _means(distances, nearest))
    weights = np.zeros_like(distances)
    weights[:, 1:] = np.exp(-gaps / rates[:, None])
    return weights


def _means(distances: npt.NDArray[np.float64], nearest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # The mean of everything is 1 by the unit chosen above.
    return np.maximum(np.where(nearest > 0, distances.mean(axis=1), 1.0), np.finfo(np.float64).tiny)


def _rates(gaps: npt.NDArray[np.float64], wanted: float) -> npt.NDArray[np.float64]:
    """For each row the rate r at which sum(exp(-gap / r)) is ``wanted``, found by halving intervals of log r."""
    low, high = np.full(len(gaps), -30.0), np.full(len(gaps), 30.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = np.exp(-gaps * np.exp(-middle)[:, None]).sum(axis=1) > wanted
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return np.asarray(np.exp((low + high) / 2))


def graph_of(neighbours: IntArray, distances: npt.NDArray[np.float32]) -> Graph:
    """The fuzzy union of all items' views.

    Args:
        neighbours: int64 (n, k), column 0 the item itself.
        distances: float32 (n, k), not negative.
    """
    from scipy import sparse

    n, k = neighbours.shape
    starts = np.arange(n + 1) * (k - 1)
    weights, targets = memberships(distances)[:, 1:], neighbours[:, 1:].astype(np.int32)
    views = sparse.csr_array((weights.reshape(-1), targets.reshape(-1), starts), shape=(n, n))
    back = views.T.tocsr()
    union = (views + back - views.multiply(back)).tocsr()
    union.eliminate_zeros()
    return Graph(union.indptr.astype(np.int64), union.indices.astype(np.int32), union.data.astype(np.float32))


def curve(min_dist: float) -> tuple[float, float]:
    """The a, b for which 1 / (1 + a d^(2b)) is nearest to a weight of 1 up to ``min_dist``, exponential behind.

    >>> [round(number, 2) for number in curve(0.1)]
    [1.58, 0.9]
    """
    d = np.linspace(0, 3, 300)[1:]
    wanted = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist)))
    a, b, damping = 1.0, 1.0, 1e-3
    error = _misfit(d, wanted, a, b)
    for _ in range(200):  # Levenberg-Marquardt in two variables
        power = d ** (2 * b)
        slope = -1 / (1 + a * power) ** 2
        jacobian = np.stack([slope * power, slope * a * power * 2 * np.log(d)], axis=1)
        normal = jacobian.T @ jacobian
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), jacobian.T @ (wanted - 1 / (1 + a * power)))
        tried = _misfit(d, wanted, a + step[0], b + step[1])
        if tried < error:
            a, b, error, damping = a + step[0], b + step[1], tried, damping / 3
        else:
            damping = min(damping * 4, 1e9)
    return float(a), float(b)


def _misfit(d: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], a: float, b: float) -> float:
    return float(((1 / (1 + a * d ** (2 * b)) - wanted) ** 2).sum()) if a > 0 and b > 0 else np.inf
