"""Plotly figures of maps: every point once, every text as text, what is selected, hidden, asked."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from chroma_nb_widgets.figures import DARK, LIGHT, WEBGL_FROM, escaped, hover, map_figure, nice_ticks
from chroma_nb_widgets.map.interface import NO_VALUE, Colours, HoverText, LegendEntry, Overlay, Points, plain
from chroma_nb_widgets.models import colours
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma_nb.types import Kind

HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script> <a href='javascript:alert(3)'>x</a> &lt;b&gt; %{x} $x^2$"
)


def places(count: int, seed: int = 0) -> Points:
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


def by_text(values: list[str | None], label: str = "topic") -> Colours:
    return colours.by_column(label, {Kind.STR: pa.array(values, type=pa.large_string())}, len(values))


def by_number(values: list[float | None]) -> Colours:
    return colours.by_column("score", {Kind.FLOAT: pa.array(values, type=pa.float64())}, len(values))


def drawn(figure: Any) -> list[tuple[float, float]]:
    return sorted((float(x), float(y)) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True))


def shown_text(markup: str) -> str:
    """What plotly puts on screen: its line breaks and headings read, entities resolved."""
    return html.unescape(re.sub(r"</?b>", "", markup.replace("<br>", " ")))


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_every_point_is_drawn_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 30))
    values = data.draw(st.lists(st.sampled_from(["a", "b", None, "<b>"]), min_size=count, max_size=count))
    made = (
        by_number([None if v is None else float(len(v)) for v in values])
        if data.draw(st.booleans())
        else by_text(values)
    )
    visible = np.asarray(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    selected = np.asarray(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    xy = places(count)
    figure = map_figure(xy, made, visible=visible, selected=selected)
    assert drawn(figure) == sorted((float(x), float(y)) for x, y in xy)
    chosen = [
        (float(trace.x[at]), float(trace.y[at]))
        for trace in figure.data
        if trace.selectedpoints is not None and trace.name != "filtered out"
        for at in trace.selectedpoints
    ]
    assert sorted(chosen) == sorted((float(x), float(y)) for x, y in xy[selected & visible])


def test_one_trace_for_each_line_of_the_legend() -> None:
    figure = map_figure(places(6), by_text(["x", "y", "x", None, "x", "y"]))
    assert [(trace.name, len(trace.x), trace.marker.color) for trace in figure.data] == [
        ("x (3)", 3, colours.CATEGORIES[0]),
        ("y (2)", 2, colours.CATEGORIES[1]),
        ("no value (1)", 1, colours.OTHER),
    ]
    assert figure.layout.legend.title.text == "topic"


def test_hidden_categories_can_be_brought_back() -> None:
    figure = map_figure(places(3), replace(by_text(["x", "y", "x"]), hidden=frozenset({1})))
    assert [trace.visible for trace in figure.data] == [True, "legendonly"]


def test_bools_and_others() -> None:
    made = colours.by_column("ok", {Kind.BOOL: pa.array([True, False, None])}, 3)
    assert [trace.name for trace in map_figure(places(3), made).data] == ["no (1)", "yes (1)", "no value (1)"]
    many = map_figure(places(60), by_text([str(at) for at in range(60)]))
    assert len(many.data) == len(colours.CATEGORIES)
    assert sum(len(trace.x) for trace in many.data) == 60


def test_a_scale() -> None:
    figure = map_figure(places(5), by_number([0.0, 1.0, 2.0, 4.0, None]))
    missing, points = figure.data
    assert missing.name == "no value (1)"
    bar = points.marker.colorbar
    assert bar.title.text == "score"
    assert list(bar.ticktext) == ["0", "1", "2", "3", "4"]
    assert np.allclose(bar.tickvals, np.linspace(0, 255, 5))
    assert list(points.marker.color) == [0, 64, 128, 255]


@pytest.mark.parametrize("ends", [(3.0, 3.0), (-1.7e308, 1.7e308), (1e15, 1e15 + 1), (0.0, 5e-324)])
def test_scales_at_the_edge(ends: tuple[float, float]) -> None:
    figure = map_figure(places(2), by_number(list(ends)))
    assert all(math.isfinite(tick) for tick in figure.data[0].marker.colorbar.tickvals)
    assert figure.to_json()


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_ticks_are_within(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * span
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert 1 <= len(ticks) <= 7


def test_labels_of_ticks_differ() -> None:
    bar = map_figure(places(2), by_number([1e11, 1e11 + 2])).data[0].marker.colorbar
    assert list(bar.ticktext) == [
        "100,000,000,000",
        "100,000,000,000.5",
        "100,000,000,001",
        "100,000,000,001.5",
        "100,000,000,002",
    ]


# text -----------------------------------------------------------------------------------------


def test_hostile_text_is_shown_as_it_is() -> None:
    told = HoverText(HOSTILE, ((HOSTILE, HOSTILE),), HOSTILE)
    overlay = Overlay((0.0, 0.0), HOSTILE, np.asarray([0]))
    figure = map_figure(
        places(2), by_text([HOSTILE, "b"], HOSTILE), [told, told], overlay=overlay, title=HOSTILE, note=HOSTILE
    )
    markup = [figure.layout.title.text, figure.layout.title.subtitle.text, figure.layout.legend.title.text]
    for trace in figure.data:
        markup += [trace.name or "", *([] if trace.hovertext is None else trace.hovertext)]
    for text in markup:
        rest = re.sub(r"<br>|</?b>", "", text)
        assert "<" not in rest
        assert "$" not in rest  # or a page with MathJax would read a formula
        assert re.sub(r"&(amp|lt|gt|quot|#\d+);", "", rest).count("&") == 0
    assert shown_text(markup[0]) == HOSTILE
    first = shown_text(figure.data[0].hovertext[0])
    assert first.replace(" ", "").count(HOSTILE.replace(" ", "")) == 4


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_character_of_a_tooltip_is_lost(text: str) -> None:
    markup = hover(HoverText(text, (), text))
    assert "".join(shown_text(markup).split()) == "".join((text + text).split())
    assert all(len(html.unescape(line)) <= 70 for line in re.sub("</?b>", "", markup).split("<br>"))
    assert html.unescape(escaped(text)) == html.unescape(html.escape(text))


def test_no_texts_no_tooltips() -> None:
    assert [trace.hoverinfo for trace in map_figure(places(3), plain(3)).data] == ["skip"]


# marks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [20, WEBGL_FROM + 1])
def test_a_query_with_its_hits(count: int) -> None:
    xy = places(count)
    figure = map_figure(xy, plain(count), overlay=Overlay((1.5, -2.0), "flights", np.asarray([4, 2])))
    points, lines, rings, star = figure.data
    assert {trace.type for trace in figure.data} == {"scattergl" if count > WEBGL_FROM else "scatter"}, (
        "else it lies below"
    )
    assert len(points.x) == count
    assert [list(map(float, pair)) for pair in zip(lines.x[:2], lines.y[:2], strict=True)] == [
        [1.5, -2.0],
        [float(xy[4, 0]), float(xy[4, 1])],
    ]
    assert list(rings.text) == ["1", "2"]
    assert np.array_equal(rings.x, xy[[4, 2], 0])
    assert (star.name, list(star.x), star.marker.symbol) == ("flights", [1.5], "star")


def test_a_query_without_place_or_hits() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert len(map_figure(places(3), plain(3), overlay=Overlay(None, "q", np.asarray([0]))).data) == 2
    assert len(map_figure(places(3), plain(3), overlay=Overlay((0.0, 0.0), "q", none)).data) == 2


def test_shape_and_theme() -> None:
    for dark, look in ((False, LIGHT), (True, DARK)):
        layout = map_figure(places(3), plain(3), dark=dark, width=300, height=200).layout
        assert (layout.paper_bgcolor, layout.font.color) == (look.paper, look.text)
        assert (layout.yaxis.scaleanchor, layout.yaxis.scaleratio) == ("x", 1)
        assert (layout.width, layout.height) == (300, 200)


def test_codes_outside_the_legend() -> None:
    made = Colours(
        np.asarray([0, NO_VALUE], dtype=np.uint16),
        ("#000000",),
        "categorical",
        "k",
        (LegendEntry("a", "#000000", 1, 0),),
    )
    assert sum(len(trace.x) for trace in map_figure(places(2), made).data) == 2
