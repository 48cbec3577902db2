"""The distance of every item to a query, for colouring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import Metric

_NUMBERS = 4_000_000  # of vectors looked at together: 32 MB of doubles


def to_all(snapshot: Snapshot, vector: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float64]:
    """Distances (n,) from a vector (dim,): squared l2, 1 - cosine or 1 - inner product (see `Metric`)."""
    asked = vector.astype(np.float64)
    if metric is Metric.COSINE:
        asked /= np.linalg.norm(asked) or 1.0
    found = np.empty(len(snapshot))
    step = max(1, _NUMBERS // len(asked))
    for start in range(0, len(snapshot), step):
        rows = snapshot.vectors(np.arange(start, min(start + step, len(snapshot)))).astype(np.float64)
        found[start : start + len(rows)] = _distances(rows, asked, metric)
    return found


def _distances(
    rows: npt.NDArray[np.float64], asked: npt.NDArray[np.float64], metric: Metric
) -> npt.NDArray[np.float64]:
    if metric is Metric.L2:
        rows -= asked
        return np.asarray(np.einsum("ij,ij->i", rows, rows))
    products = rows @ asked
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(rows, axis=1)
        products /= np.where(lengths > 0, lengths, 1.0)
    return np.asarray(1.0 - products)
