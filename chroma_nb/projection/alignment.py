"""Laying a new picture over an old one, so that what was left stays left."""

from __future__ import annotations

import numpy as np

from chroma_nb.types import Matrix

# A refit may be wider or narrower than the old picture, but its spacing is part of what it says.
_SCALES = (0.5, 2.0)


def aligned(new: Matrix, old: Matrix, *, scale: bool = True) -> Matrix:
    """``new`` (n, 2) turned, mirrored, moved and, within limits, scaled to be close to ``old`` (n, 2).

    Args:
        new: finite.
        old: NaN for items that it does not hold; they do not count.
        scale: whether the size may change.

    Returns:
        float32 (n, 2); ``new`` itself where fewer than two items are shared.

    >>> old = np.array([[0, 0], [4, 0], [0, 2]], dtype=np.float32)
    >>> bool(np.allclose(aligned(old[:, ::-1] + 7, old), old, atol=1e-5))
    True
    """
    shared = np.isfinite(old).all(axis=1)
    if np.count_nonzero(shared) < 2:
        return new
    source, target = new[shared].astype(np.float64), old[shared].astype(np.float64)
    source_centre, target_centre = source.mean(axis=0), target.mean(axis=0)
    source, target = source - source_centre, target - target_centre
    left, strengths, right = np.linalg.svd(source.T @ target)
    spread = float((source**2).sum())
    factor = float(np.clip(strengths.sum() / spread, *_SCALES)) if scale and spread > 0 else 1.0
    moved = (new - source_centre) @ (left @ right) * factor + target_centre
    return np.asarray(moved, dtype=np.float32)
