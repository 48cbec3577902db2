"""Which renderer draws, the sample that stands for more points than it can, and the surface that changes renderers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.map.choose import MapSurface, make_renderer
from chroma_nb_widgets.map.interface import HoverText, Overlay, plain
from chroma_nb_widgets.map.plotly import PLOTLY_LIMIT, SVG_LIMIT, PlotlyMap
from chroma_nb_widgets.map.sample import inside_polygon, stratified_sample
from chroma_nb_widgets.map.webgl import WebGLMap
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.map_browser import Browser, coloured


@pytest.mark.parametrize(
    ("n", "prefer", "made"),
    [
        (0, "auto", WebGLMap),
        (PLOTLY_LIMIT, "auto", PlotlyMap),
        (PLOTLY_LIMIT + 1, "auto", WebGLMap),
        (10, "webgl", WebGLMap),
        (1_000_000, "plotly", PlotlyMap),
    ],
)
def test_which_renderer(n: int, prefer: Any, made: type) -> None:
    assert type(make_renderer(n, prefer)) is made


@given(counts=st.lists(st.integers(1, 300), min_size=1, max_size=12), limit=st.integers(1, 400), seed=st.integers(0, 3))
def test_samples_keep_all_codes_in_proportion(counts: list[int], limit: int, seed: int) -> None:
    codes = np.repeat(np.arange(len(counts)), counts).astype(np.uint16)
    n = len(codes)
    kept = stratified_sample(codes, n, limit, seed)
    assert len(kept) == min(n, limit)
    assert (np.diff(kept) > 0).all()
    if n <= limit:
        return
    found = np.bincount(codes[kept], minlength=len(counts))
    if limit >= len(counts):
        assert (found >= 1).all()
        fair = np.array(counts) * limit / n
        assert (found <= fair + len(counts) + 1).all()
    assert (found <= counts).all()


def test_samples_can_be_repeated() -> None:
    codes = np.zeros(1_000, np.uint16)
    np.testing.assert_array_equal(stratified_sample(codes, 1_000, 10, 5), stratified_sample(codes, 1_000, 10, 5))
    assert stratified_sample(codes, 1_000, 10, 5).tolist() != stratified_sample(codes, 1_000, 10, 6).tolist()


def test_inside_a_star() -> None:
    star = np.array([[0, 3], [2, -3], [-3, 1], [3, 1], [-2, -3]], np.float64)
    grid = np.array([[0, 2], [0, 0], [2.9, -2.9], [0, -2]], np.float32)
    assert inside_polygon(grid, star).tolist() == [True, False, False, False]


def test_the_surface_keeps_its_widget_and_callbacks_when_points_outgrow_plotly() -> None:
    surface = MapSurface()
    clicked: list[int] = []
    surface.on_click(clicked.append)
    surface.show(np.zeros((10, 2), np.float32), plain(10))
    first, widget = surface.renderer, surface.widget
    assert isinstance(first, PlotlyMap)
    surface.show(np.zeros((30_000, 2), np.float32), plain(30_000))
    assert isinstance(surface.renderer, WebGLMap)
    assert surface.widget is widget
    assert surface.renderer.widget in widget.children
    assert first.widget.comm is None
    Browser(surface.renderer).say("click", position=29_999)
    assert clicked == [29_999]
    assert surface.note == ""
    surface.close()


@pytest.fixture
def lacking() -> Any:
    """A surface on 9,000 points whose browser has no WebGL: x = 0 .. 8,999, half of them of either code."""
    surface = MapSurface("webgl")
    xy = np.stack([np.arange(9_000), np.zeros(9_000)], axis=1).astype(np.float32)
    surface.show(xy, coloured([0, 1] * 4_500))
    assert surface.renderer is not None
    Browser(surface.renderer).say("unsupported", reason="none")
    yield surface
    surface.close()


def test_without_webgl_a_sample_is_drawn_and_said(lacking: MapSurface) -> None:
    assert isinstance(lacking.renderer, PlotlyMap)
    assert {trace.type for trace in lacking.renderer.figure.data} == {"scatter"}
    assert len(lacking.renderer.xy) == lacking.limit == SVG_LIMIT
    assert lacking.note == (
        "Showing 4,000 of 9,000 points: this browser has no WebGL. A lasso takes all points inside it."
    )


def test_a_lasso_on_a_sample_takes_all_points_inside(lacking: MapSurface) -> None:
    got: list[Any] = []
    lacking.on_select(got.append)
    assert lacking.renderer is not None
    browser = Browser(lacking.renderer)
    browser.say("legend", hidden=[1])

    def box(low: float, high: float) -> list[list[float]]:
        return [[low, -1], [high, -1], [high, 1], [low, 1]]

    browser.select(np.ones(SVG_LIMIT), polygon=box(99.5, 200.5))
    browser.select(np.ones(SVG_LIMIT), polygon=box(299.5, 302.5), how="add")
    browser.select(np.ones(SVG_LIMIT), polygon=box(0, 198.5), how="remove")
    assert got[0].tolist() == list(range(100, 201, 2))
    assert got[1].tolist() == [*range(100, 201, 2), 300, 302]
    assert got[2].tolist() == [200, 300, 302]
    browser.select(np.zeros(SVG_LIMIT))
    assert got[3].tolist() == []


def test_positions_of_a_sample_are_those_of_all_points(lacking: MapSurface) -> None:
    clicked: list[int] = []
    lacking.on_click(clicked.append)
    lacking.on_hover(lambda position: HoverText(str(position)))
    assert lacking.renderer is not None
    browser = Browser(lacking.renderer)
    browser.say("ready")
    browser.say("click", position=1_234)
    browser.say("hover", position=1_234)
    place = int(lacking.renderer.xy[1_234, 0])
    assert clicked == [place]
    assert browser.last("text")[0]["title"] == str(place)
    lacking.overlay(Overlay(None, "", np.array([8_998, 8_999])))
    assert browser.last("overlay")[0]["overlay"]["hits"] == [[8_998.0, 0.0], [8_999.0, 0.0]]


def test_what_was_drawn_survives_the_change_of_renderer() -> None:
    surface = MapSurface("webgl")
    surface.show(np.random.default_rng(0).random((50, 2), np.float32), coloured([0, 1] * 25))
    surface.mark(np.arange(50) < 40, np.arange(50) < 5)
    surface.overlay(Overlay((0.5, 0.5), "q", np.array([1])))
    assert surface.renderer is not None
    Browser(surface.renderer).say("unsupported", reason="none")
    assert isinstance(surface.renderer, PlotlyMap)
    assert [len(trace.x) for trace in surface.renderer.figure.data] == [0, 10, 35, 5]
    browser = Browser(surface.renderer)
    browser.say("ready")
    assert browser.last("show")[0]["overlay"]["label"] == "q"
    assert surface.note == ""
    surface.close()
