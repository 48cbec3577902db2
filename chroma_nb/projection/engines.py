"""The engines that draw a UMAP, all from the same neighbours and the same start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import InvalidArgumentError, MissingDependencyError, suggest
from chroma_nb.projection.native import native_layout
from chroma_nb.projection.picture import Watch
from chroma_nb.projection.umap_learn import umap_learn_layout
from chroma_nb.types import IntArray, Matrix

# One fit at a time in the process: numba's simplest threading layer, which umap-learn may be left with,
# ends the process when two threads use it.
_FITTING = threading.Lock()
_PATIENCE = 0.1  # seconds between two looks at whether to go on waiting


class Engine(Protocol):
    """Places n items by their neighbours (n, k) and distances (n, k), from a start (n, 2)."""

    def __call__(
        self,
        neighbours: IntArray,
        distances: npt.NDArray[np.float32],
        start: Matrix,
        min_dist: float,
        seed: int | None,
        watch: Watch,
    ) -> Matrix:
        """The places, float32 (n, 2)."""


def fit(
    engine: str,
    neighbours: IntArray,
    distances: npt.NDArray[np.float32],
    start: Matrix,
    *,
    min_dist: float,
    seed: int | None,
    watch: Watch,
) -> Matrix:
    """A picture by that engine, float32 (n, 2); one at a time in the process.

    Raises:
        ProjectionCancelled: before the first epoch; later, the picture so far is returned.
        MissingDependencyError: the engine is not installed.
    """
    with _alone(watch):
        watch.steps("prepare")(0, 1)
        return ENGINES[engine](neighbours, distances, start, min_dist, seed, watch)


def check_engine(engine: object) -> str:
    """The name of an engine; InvalidArgumentError if it is none.

    >>> check_engine("umap")
    'umap'
    """
    if isinstance(engine, str) and engine in ENGINES:
        return engine
    raise InvalidArgumentError(f"Unknown engine {engine!r}.{suggest(engine, ENGINES)}")


@contextmanager
def _alone(watch: Watch) -> Iterator[None]:
    while not _FITTING.acquire(timeout=_PATIENCE):
        watch.check()
    try:
        yield
    finally:
        _FITTING.release()


def _native(
    neighbours: IntArray,
    distances: npt.NDArray[np.float32],
    start: Matrix,
    min_dist: float,
    seed: int | None,
    watch: Watch,
) -> Matrix:
    return native_layout(
        neighbours, distances, start, min_dist=min_dist, seed=seed, step=watch.epochs, prepared=watch.check
    )


def _fastumap(
    neighbours: IntArray,
    distances: npt.NDArray[np.float32],
    start: Matrix,
    min_dist: float,
    seed: int | None,
    watch: Watch,
) -> Matrix:
    try:
        import fastumap
    except ImportError as error:
        raise MissingDependencyError.for_feature('engine="fastumap"', "fastumap", "fastumap") from error
    if not watch.epochs(0, 1):  # it tells nothing on the way
        watch.check()
    extent = float(np.abs(start).max()) or 1.0
    found = fastumap.umap_project(
        start.astype(np.float64),
        n_neighbors=neighbours.shape[1],
        min_dist=min_dist,
        random_state=42 if seed is None else seed,
        precomputed_knn=(neighbours, distances.astype(np.float64)),
        init=start.astype(np.float64) / extent * 10,
    )
    watch.epochs(1, 1)
    return np.asarray(found, dtype=np.float32)


ENGINES: dict[str, Engine] = {"umap": umap_learn_layout, "native": _native, "fastumap": _fastumap}
"""By the name that users give."""
