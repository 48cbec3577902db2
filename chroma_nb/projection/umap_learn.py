"""UMAP by umap-learn, from known neighbours: the default engine.

What is left out makes it fast: the search for neighbours (the store has them), a spectral start (the
PCA, which is on screen anyway, does as well), and compiling its functions in every process anew.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import MissingDependencyError
from chroma_nb.projection.picture import Watch
from chroma_nb.types import IntArray, Matrix

# Compiled by umap-learn 0.5 in each process, seven seconds in all; its other functions are cached by itself.
_COMPILED = {
    "umap_": ("smooth_knn_dist", "compute_membership_strengths"),
    "layouts": (
        "_nb_optimize_layout_euclidean_single_epoch",
        "_nb_optimize_layout_euclidean_single_epoch_parallel",
    ),
}
_EXTENT = 10.0
_NOISE = 1e-4


def umap_learn_layout(
    neighbours: IntArray,
    distances: npt.NDArray[np.float32],
    start: Matrix,
    min_dist: float,
    seed: int | None,
    watch: Watch,
) -> Matrix:
    """Places of n items, float32 (n, 2).

    Args:
        neighbours: int64 (n, k), column 0 the item itself.
        distances: float32 (n, k), column 0 zeros: hnswlib's 1e-7 there would spoil the graph unseen.
        start: float32 (n, 2), any places.
        min_dist: how close neighbours may come in the picture.
        seed: the same one gives the same picture, in one thread; None: several threads.
        watch: told of every epoch; when it says so, the work ends with what there is.

    Raises:
        MissingDependencyError: umap-learn is not installed.
    """
    umap = load()
    watch.check()
    if neighbours.shape[1] >= len(start):  # as many as it would take itself
        neighbours, distances = neighbours[:, : len(start) - 1], distances[:, : len(start) - 1]
    extent = float(np.abs(start).max()) or 1.0
    model = umap.UMAP(
        n_neighbors=neighbours.shape[1],
        min_dist=min_dist,
        init=start / extent * _EXTENT + np.random.default_rng(seed).normal(scale=_NOISE, size=start.shape),
        precomputed_knn=(neighbours, distances),
        force_approximation_algorithm=True,
        random_state=seed,
        n_jobs=-1 if seed is None else 1,
    )
    # It warns that such a model cannot place new items; we do that ourselves. Not `catch_warnings`: this is a thread.
    warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
    with _epochs_of(umap.layouts, watch):
        return np.asarray(model.fit_transform(start), dtype=np.float32)


def load() -> Any:
    """The package, its compiled functions kept in a directory that lasts.

    Raises:
        MissingDependencyError: umap-learn is not installed.
    """
    if find_spec("umap") is None:
        raise MissingDependencyError.for_feature('engine="umap"', "umap-learn")
    _find_cache()
    warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
    import umap

    for module, names in _COMPILED.items():
        for name in names:
            compiled = getattr(getattr(umap, module), name, None)
            if compiled is not None:  # another version may have other names, and only compiles again
                compiled.enable_caching()
    return umap


def _find_cache() -> None:
    """Where numba can cache neither beside the package nor in the user's home, umap-learn would fail on import."""
    import numba

    spec = find_spec("umap")
    beside = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
    if vars(numba.config).get("CACHE_DIR") or os.access(beside, os.W_OK) or os.access(Path.home(), os.W_OK):
        return
    vars(numba.config)["CACHE_DIR"] = tempfile.mkdtemp(prefix="chroma_nb-numba-")


@contextmanager
def _epochs_of(layouts: Any, watch: Watch) -> Iterator[None]:
    """Watch the epochs where the progress bar does; ending the loop early is its only clean way out."""

    def counted(epochs: Iterable[int], **_: Any) -> Iterator[int]:
        numbers = list(epochs)
        for done in numbers:
            if not watch.epochs(done, len(numbers)):
                return
            yield done
        watch.epochs(len(numbers), len(numbers))

    bar = getattr(layouts, "tqdm", None)
    layouts.tqdm = counted
    try:
        yield
    finally:
        layouts.tqdm = bar
