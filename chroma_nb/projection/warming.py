"""Compiling before somebody waits for it."""

from __future__ import annotations

import threading

import numpy as np


def warm_up() -> None:
    """Compile everything that the first map of this machine needs: up to a minute, later a few seconds.

    The results are cached on disk, beside the packages or where ``NUMBA_CACHE_DIR`` says.
    """
    from chroma_nb.projection.engines import fit
    from chroma_nb.projection.picture import Watch

    ring = np.arange(16)
    neighbours = (ring[:, None] + np.arange(4)) % 16
    distances = np.tile(np.arange(4, dtype=np.float32), (16, 1))
    start = np.stack([np.cos(ring), np.sin(ring)], axis=1).astype(np.float32)
    for engine in ("native", "umap"):
        for seed in (None, 1):  # several threads and one are compiled apart
            watch = Watch(lambda stage: None, lambda: False)
            fit(engine, neighbours, distances, start, min_dist=0.1, seed=seed, watch=watch)


def warm_up_in_background() -> threading.Thread:
    """`warm_up` in a thread of its own, which is returned."""
    thread = threading.Thread(target=warm_up, name="chroma_nb warm-up")
    thread.start()
    return thread
