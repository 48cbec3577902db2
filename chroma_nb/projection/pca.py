"""The first picture: two principal components, within a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.types import IntArray, Matrix

# Numbers that go into the covariance: it changes little with more rows, and costs rows * dim**2.
_PRODUCTS = 5_000_000_000
_MOST_ROWS = 100_000
# Above, finding all axes costs more than iterating towards two.
_MOST_DIMENSIONS = 1_000
_ITERATIONS = 12
_BLOCK = 16
_CHUNK_ELEMENTS = 16_000_000
# Beyond, a picture is drawn in units of its own: float32 graphics could not hold its squares.
_LARGEST_UNIT = 1e12

_Floats = npt.NDArray[np.float64]


def principal_axes(sample: Matrix) -> tuple[_Floats, _Floats]:
    """Mean (dim,) and the two directions (dim, 2) of largest variance; where there are fewer, a column is 0.

    Each direction's largest component is positive, so that equal data gives equal pictures. ``sample`` may be
    overwritten.

    >>> mean, axes = principal_axes(np.array([[0, 0, 1], [2, 0, 1], [4, 0, 1]], dtype=np.float32))
    >>> mean.tolist(), axes[:, 0].tolist()
    ([2.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    """
    rows, dimension = sample.shape
    axes = np.zeros((dimension, 2))
    if rows == 0 or dimension == 0:
        return np.zeros(dimension), axes
    unit = _unit(sample)
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = _centred(sample, mean, unit)
    if dimension <= _MOST_DIMENSIONS:
        found = _all_axes(centred)
    else:
        found = _axes_of_few(centred) if rows <= _MOST_DIMENSIONS else _iterated_axes(centred)
    axes[:, : found.shape[1]] = found
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(2)])
    return mean, axes * np.where(signs == 0, 1, signs)


def _some(count: int, most: int) -> IntArray:
    """Positions of all rows, or of a random part of them, always the same."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _unit(rows: Matrix) -> float:
    """A power of two of the size of the largest number, 1 for zeros."""
    largest = max(float(rows.max(initial=0)), -float(rows.min(initial=0)))
    return float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0


def _centred(rows: Matrix, mean: _Floats, unit: float) -> Matrix:
    """(rows - mean) / unit, in float32 where it holds the unit; ``rows`` may be overwritten."""
    if not 1 / _LARGEST_UNIT < unit < _LARGEST_UNIT:
        return np.asarray(rows.astype(np.float64) / unit - mean / unit, dtype=np.float32)
    rows *= np.float32(1 / unit)
    rows -= (mean / unit).astype(np.float32)
    return rows


def _all_axes(centred: Matrix) -> _Floats:
    values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return _real(values[::-1][:2], vectors[:, ::-1][:, :2])


def _axes_of_few(centred: Matrix) -> _Floats:
    """From the products of rows, which are fewer than dimensions."""
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    lengths = np.sqrt(np.maximum(values, np.finfo(np.float64).tiny))
    return _real(values, centred.T.astype(np.float64) @ vectors / lengths)


def _iterated_axes(centred: Matrix) -> _Floats:
    """Block subspace iteration from a fixed start."""
    start = np.random.default_rng(0).normal(size=(centred.shape[1], _BLOCK)).astype(np.float32)
    basis: npt.NDArray[Any] = np.linalg.qr(start)[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    image = (centred @ basis).astype(np.float64)
    values, vectors = np.linalg.eigh(image.T @ image)
    return _real(values[::-1][:2], (basis @ vectors)[:, ::-1][:, :2])


def _real(values: _Floats, axes: _Floats) -> _Floats:
    """Only directions in which something varies: the others are noise of the arithmetic."""
    return np.asarray(axes[:, values > max(float(values[0]), 0.0) * 1e-12])


def pca(read: Callable[[IntArray], Matrix], count: int, dimension: int) -> Matrix:
    """Two principal components of all rows, float32 (n, 2).

    Args:
        read: gives the rows at some positions, float32 (m, dim), as a copy that may be overwritten; asked in pieces.
        count: n, how many rows there are.
        dimension: of the rows.

    Returns:
        Coordinates in the units of the rows, unless these are beyond 1e12 or below 1e-12: then the largest is 1.

    >>> rows = np.array([[0, 0], [0, 2], [0, 7]], dtype=np.float32)
    >>> pca(rows.__getitem__, 3, 2).round(3).tolist()
    [[-3.0, 0.0], [-1.0, 0.0], [4.0, 0.0]]
    """
    xy = np.zeros((count, 2))
    if count == 0 or dimension == 0:
        return xy.astype(np.float32)
    most = int(min(_MOST_ROWS, max(1_000, _PRODUCTS // dimension**2)))
    mean, axes = principal_axes(read(_some(count, most)))
    step = max(1, _CHUNK_ELEMENTS // dimension)
    for start in range(0, count, step):
        rows = read(np.arange(start, min(start + step, count)))
        unit = _unit(rows)
        xy[start : start + step] = (_centred(rows, mean, unit) @ axes.astype(np.float32)).astype(np.float64) * unit
    largest = float(np.abs(xy).max())
    if largest > 0 and not 1 / _LARGEST_UNIT < largest < _LARGEST_UNIT:
        xy /= largest
    return xy.astype(np.float32)
