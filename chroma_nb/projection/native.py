"""UMAP from known neighbours, without umap-learn: the engine "native".

The method is that of McInnes, Healy and Melville (2018): stochastic gradient descent on the cross
entropy between the weighted graph of neighbours and its picture. It is for the first map on a machine,
and for programs that start often: umap-learn's import and compiled code cost half a minute where they
are not cached yet, this a second or two, because all but one small function is arrays.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import numpy.typing as npt

from chroma_nb.projection.fuzzy import Graph, curve, graph_of
from chroma_nb.types import IntArray, Matrix

# Epochs up to so many items: small pictures need more to settle, and are finished all the same.
_EPOCHS = ((5_000, 500), (20_000, 300))
_EPOCHS_ABOVE = 200
_EXTENT = 10.0  # of the start, in the units of the curve
_NOISE = 1e-3
# Threads that move the same points by turns; more than this wait for memory.
_MOST_THREADS = 8
# Below, starting threads costs more than it gains.
_ITEMS_PER_THREAD = 500


def native_layout(
    neighbours: IntArray,
    distances: npt.NDArray[np.float32],
    start: Matrix,
    *,
    min_dist: float,
    seed: int | None = None,
    epochs: int | None = None,
    step: Callable[[int, int], bool] | None = None,
    prepared: Callable[[], None] | None = None,
) -> Matrix:
    """Places of n items, float32 (n, 2).

    Args:
        neighbours: int64 (n, k), column 0 the item itself.
        distances: float32 (n, k), column 0 zeros, none negative.
        start: float32 (n, 2), any places.
        min_dist: how close neighbours may come in the picture.
        seed: the same one gives the same picture, in one thread; None: several threads.
        epochs: how many; None: 500 for up to 5,000 items, 300 for up to 20,000, 200 for more.
        step: told (done, total) before each epoch and at the end; false ends the work with what there is.
        prepared: called when the graph is made, before the first epoch.
    """
    total = epochs or next((number for most, number in _EPOCHS if len(start) <= most), _EPOCHS_ABOVE)
    random = np.random.default_rng(secrets.randbits(63) if seed is None else seed)
    graph = _visible(graph_of(neighbours, distances), total)
    xy = _scaled(start, random)
    compiled = compiled_kernel()
    if prepared is not None:
        prepared()
    threads = 1 if seed is not None else _threads(len(start))
    for done in _run(compiled, graph, xy, curve(min_dist), total, threads, random):
        if step is not None and not step(done, total):
            break
    return xy


def _run(
    compiled: ModuleType,
    graph: Graph,
    xy: Matrix,
    shape: tuple[float, float],
    total: int,
    threads: int,
    random: np.random.Generator,
) -> Iterator[int]:
    """Move ``xy`` epoch by epoch; the number of epochs done, between them."""
    periods = graph.weights.max(initial=0) / graph.weights
    due = periods.copy()
    a, b = np.float32(shape[0]), np.float32(shape[1])
    # Each thread gets as many edges as the others.
    cuts = np.searchsorted(graph.starts, np.linspace(0, graph.starts[-1], threads + 1)[1:-1])
    bounds = [0, *cuts.tolist(), len(xy)]

    def move(part: tuple[int, int, np.uint64, int]) -> None:
        first, last, seed, epoch = part
        rate = np.float32(1 - epoch / total)
        number = np.float32(epoch)
        compiled.epoch(first, last, graph.starts, graph.targets, periods, due, xy, a, b, rate, number, seed)

    with ThreadPoolExecutor(threads, thread_name_prefix="chroma_nb map") as pool:
        for epoch in range(total):
            yield epoch
            seeds = random.integers(1, 2**63, size=threads, dtype=np.uint64)
            parts = zip(bounds[:-1], bounds[1:], seeds, [epoch] * threads, strict=True)
            list(pool.map(move, parts))
    yield total


def _visible(graph: Graph, epochs: int) -> Graph:
    """Without edges so weak that they would not be visited once."""
    kept = graph.weights * epochs >= graph.weights.max(initial=0)
    starts = np.concatenate([[0], np.cumsum(kept)])[graph.starts]
    return Graph(starts, graph.targets[kept], graph.weights[kept])


def _scaled(start: Matrix, random: np.random.Generator) -> Matrix:
    """Centred, in the extent that suits the curve, and no two points at one place."""
    xy = start.astype(np.float64) - start.mean(axis=0, dtype=np.float64)
    largest = float(np.abs(xy).max(initial=0))
    xy *= _EXTENT / largest if largest > 0 else 0.0
    return np.asarray(xy + random.normal(scale=_NOISE, size=xy.shape), dtype=np.float32)


def _threads(items: int) -> int:
    return max(1, min(_MOST_THREADS, os.cpu_count() or 1, items // _ITEMS_PER_THREAD))


def compiled_kernel() -> ModuleType:
    """`kernel`, whose compiled code is kept in a directory that lasts, or at least somewhere."""
    try:
        from chroma_nb.projection import kernel
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        # Neither beside the package nor in the user's home: a home that cannot be written.
        import numba

        vars(numba.config)["CACHE_DIR"] = tempfile.mkdtemp(prefix="chroma_nb-numba-")
        from chroma_nb.projection import kernel
    return kernel
