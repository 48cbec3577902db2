"""The compiled part of UMAP: one epoch over a range of items. The only module that knows numba.

Plain compiled code that lets go of the interpreter's lock, run by a few Python threads, instead of
numba's own parallel loops: their simplest layer ends the process when two threads use it at once, and
a notebook's owner may well be fitting something else meanwhile. Compiling takes a second, once for
each machine: the result is cached beside the package, or where numba keeps caches of the user.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# So far a point moves at most in one step, times the learning rate.
_FURTHEST = 4.0
_REPELLED = 5  # random items that an item steps away from, for each neighbour it steps towards


@numba.njit(inline="always")
def _bounded(step: Any) -> Any:
    return min(max(step, np.float32(-_FURTHEST)), np.float32(_FURTHEST))


@numba.njit(nogil=True, fastmath=True, cache=True, boundscheck=False)
def epoch(
    first: int,
    last: int,
    starts: Any,
    targets: Any,
    periods: Any,
    due: Any,
    xy: Any,
    a: float,
    b: float,
    rate: float,
    number: float,
    seed: int,
) -> None:
    """Move the items first..last-1, and their neighbours, by one epoch; ``xy`` and ``due`` change in place.

    Args:
        first: item.
        last: item, excluded.
        starts: int64 (n + 1,), the edges of each item.
        targets: int32 (edges,).
        periods: float32 (edges,), epochs between two visits of an edge.
        due: float32 (edges,), the epoch of the next visit.
        xy: float32 (n, 2).
        a: of the curve, float32.
        b: of the curve, float32.
        rate: of learning, float32.
        number: of the epoch, float32.
        seed: uint64, other than 0.
    """
    n = np.uint64(len(xy))
    state = np.uint64(seed)
    one, two = np.float32(1), np.float32(2)
    for i in range(first, last):
        for edge in range(starts[i], starts[i + 1]):
            if due[edge] > number:
                continue
            due[edge] += periods[edge]
            j = targets[edge]
            dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
            square = dx * dx + dy * dy
            if square > 0:
                power = square**b
                pull = -two * a * b * power / (square * (one + a * power))
                sx, sy = _bounded(pull * dx) * rate, _bounded(pull * dy) * rate
                xy[i, 0] += sx
                xy[i, 1] += sy
                xy[j, 0] -= sx
                xy[j, 1] -= sy
            for _ in range(_REPELLED):
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                other = np.int64((state >> np.uint64(11)) % n)
                dx, dy = xy[i, 0] - xy[other, 0], xy[i, 1] - xy[other, 1]
                square = dx * dx + dy * dy
                if square > 0:
                    push = two * b / ((np.float32(0.001) + square) * (one + a * square**b))
                    xy[i, 0] += _bounded(push * dx) * rate
                    xy[i, 1] += _bounded(push * dy) * rate
