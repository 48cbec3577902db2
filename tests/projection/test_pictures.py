"""The parts of a map: components, weights, curve, layout, alignment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chroma_nb.projection.alignment import aligned
from chroma_nb.projection.fuzzy import curve, graph_of, memberships
from chroma_nb.projection.native import native_layout
from chroma_nb.projection.pca import pca

from .conftest import grouped, purity

ROOT = Path(__file__).parents[2]
_LARGE = float(np.finfo(np.float32).max)
_NUMBERS = st.floats(-_LARGE, _LARGE, width=32)


def knn(rows: Any, k: int = 15) -> tuple[Any, Any]:
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    np.fill_diagonal(apart, -1)
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return order, np.maximum(np.take_along_axis(apart, order, axis=1), 0).astype(np.float32)


# principal components -------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "dimension"), [(500, 20), (30, 1200), (2500, 2), (3, 50)])
def test_pca_is_that_of_scikit_learn(count: int, dimension: int) -> None:
    from sklearn.decomposition import PCA

    random = np.random.default_rng(2)
    rows = random.normal(size=(count, dimension)) * np.geomspace(5, 0.5, dimension) + 100 * random.normal(
        size=dimension
    )
    rows = rows.astype(np.float32)
    model = PCA(2, svd_solver="full").fit(rows.astype(np.float64))
    signs = np.sign(model.components_[[0, 1], np.abs(model.components_).argmax(axis=1)])
    expected = model.transform(rows.astype(np.float64)) * signs
    found = pca(rows.__getitem__, count, dimension)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_pca_in_pieces_and_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    from chroma_nb.projection import pca as module

    rows = grouped(4000)
    whole = pca(rows.__getitem__, *rows.shape)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 1000)
    assert np.allclose(pca(rows.__getitem__, *rows.shape), whole, atol=1e-3)
    monkeypatch.setattr(module, "_MOST_ROWS", 2000)
    sampled = pca(rows.__getitem__, *rows.shape)
    assert not np.array_equal(sampled, whole)
    assert np.abs(sampled - whole).max() < 0.1 * np.abs(whole).max()


@given(rows=hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.integers(0, 5)), elements=_NUMBERS))
def test_pca_of_any_numbers_is_finite(rows: npt.NDArray[np.float32]) -> None:
    found = pca(rows.__getitem__, *rows.shape)
    assert found.shape == (len(rows), 2)
    assert np.isfinite(found).all()
    assert np.array_equal(found, pca(rows.__getitem__, *rows.shape))


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1.0, 1e20, 3e37])
def test_pca_shows_the_same_at_any_scale(scale: float) -> None:
    rows = grouped(60)
    tiny = (rows / np.abs(rows).max() * scale).astype(np.float32)
    expected = pca(rows.__getitem__, *rows.shape)
    found = pca(tiny.__getitem__, *tiny.shape)
    # Below 1e-38 a float32 has few digits.
    assert np.abs(found / np.abs(found).max() - expected / np.abs(expected).max()).max() < (
        1e-2 if scale < 1e-38 else 1e-4
    )


def test_pca_of_equal_rows() -> None:
    rows = np.full((7, 3), 5.25, dtype=np.float32)
    assert not pca(rows.__getitem__, 7, 3).any()


# the graph ------------------------------------------------------------------------------------


def test_weights_and_graph_are_those_of_umap_learn() -> None:
    umap_ = pytest.importorskip("umap.umap_")
    rows = grouped(400)
    rows[7] = rows[3]
    neighbours, distances = knn(rows)
    expected, _, _ = umap_.fuzzy_simplicial_set(
        rows, 15, np.random.RandomState(0), "euclidean", knn_indices=neighbours, knn_dists=distances
    )
    made = graph_of(neighbours, distances)
    dense = np.zeros((400, 400))
    dense[np.repeat(np.arange(400), np.diff(made.starts)), made.targets] = made.weights
    assert np.abs(dense - expected.toarray()).max() < 1e-3
    assert (dense == dense.T).all()


def test_weights_of_each_row_sum_up() -> None:
    _, distances = knn(grouped(300))
    assert memberships(distances).sum(axis=1) == pytest.approx(np.log2(15), rel=1e-3)


@given(
    distances=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=st.floats(0, 2.0**120, width=32)
    )
)
def test_weights_of_any_distances(distances: npt.NDArray[np.float32]) -> None:
    distances = np.sort(distances, axis=1)
    distances[:, 0] = 0
    found = memberships(distances)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert not found[:, 0].any()
    assert (np.diff(found[:, 1:], axis=1) <= 0).all()
    assert (found[:, 1] == 1).all()


@pytest.mark.parametrize("min_dist", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_the_curve_is_that_of_umap_learn(min_dist: float) -> None:
    umap_ = pytest.importorskip("umap.umap_")
    assert curve(min_dist) == pytest.approx(umap_.find_ab_params(1.0, min_dist), rel=1e-2)


# the layout -----------------------------------------------------------------------------------


def test_a_layout_shows_the_groups() -> None:
    rows = grouped(1200)
    start = np.random.default_rng(0).normal(size=(1200, 2)).astype(np.float32)
    assert purity(start) < 0.5
    found = native_layout(*knn(rows), start, min_dist=0.1)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert purity(found) > 0.99


def test_a_seed_repeats_a_layout() -> None:
    rows = grouped(1200)
    given_ = (*knn(rows), rows[:, :2])
    first, again, other = (native_layout(*given_, min_dist=0.1, seed=seed, epochs=50) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_start_is_left_as_it_was() -> None:
    rows = grouped(100)
    start = rows[:, :2].copy()
    native_layout(*knn(rows), start, min_dist=0.1, epochs=5)
    assert np.array_equal(start, rows[:, :2])


def test_steps_are_told_and_can_end_it() -> None:
    rows = grouped(100)
    told: list[tuple[int, int]] = []

    def step(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 3

    found = native_layout(*knn(rows), rows[:, :2], min_dist=0.1, epochs=20, step=step)
    assert told == [(0, 20), (1, 20), (2, 20), (3, 20)]
    assert np.isfinite(found).all()
    told.clear()
    native_layout(*knn(rows), rows[:, :2], min_dist=0.1, epochs=3, step=lambda done, total: step(done - 5, total - 5))
    assert told == [(-5, -2), (-4, -2), (-3, -2), (-2, -2)]


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_a_layout_of_unusual_distances(scale: float) -> None:
    rows = grouped(64)
    neighbours, distances = knn(rows)
    found = native_layout(neighbours, (distances * scale).astype(np.float32), rows[:, :2] * scale, min_dist=0.0)
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 64


def test_where_no_cache_can_be_written() -> None:
    """The compiled code goes to a directory of its own."""
    code = (
        "from numba.core import caching\n"
        "locators = caching.CacheImpl._locator_classes\n"
        "locators[:] = [locator for locator in locators if 'UserProvided' in locator.__name__]\n"
        "from chroma_nb.projection import warm_up\n"
        "warm_up()\n"
        "from chroma_nb.projection import kernel\n"
        "print(kernel.epoch.stats.cache_path)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "chroma_nb-numba-" in ended.stdout
    assert list(Path(ended.stdout.strip()).glob("*.nbi"))


# alignment ------------------------------------------------------------------------------------


@given(
    angle=st.floats(0, 6.3),
    mirrored=st.booleans(),
    scale=st.floats(0.6, 1.8),
    move=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
)
def test_a_moved_picture_is_laid_over_the_old_one(
    angle: float, mirrored: bool, scale: float, move: tuple[float, float]
) -> None:
    old = np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    new = (old * [(-1 if mirrored else 1), 1]) @ turn * scale + move
    shared = old.copy()
    shared[::3] = np.nan
    assert np.abs(aligned(new.astype(np.float32), shared) - old).max() < 1e-3


def test_the_scale_stays_sensible() -> None:
    old = np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32)
    size = old.std()
    old = old - old.mean(axis=0)
    assert aligned(old, old * 1000).std() == pytest.approx(2 * size, rel=1e-2)
    assert aligned(old, old * 1e-3).std() == pytest.approx(size / 2, rel=1e-2)
    assert aligned(old, old * 1000, scale=False).std() == pytest.approx(size, rel=1e-2)


def test_nothing_to_align_to() -> None:
    new = np.ones((3, 2), dtype=np.float32)
    assert np.array_equal(aligned(new, np.full((3, 2), np.nan, dtype=np.float32)), new)
    assert np.isfinite(aligned(new, new * 2)).all()
    assert aligned(new[:0], new[:0]).shape == (0, 2)
