"""The renderers without a browser: what they send, what they make of what a browser sends, what closing leaves."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.map.conversation import Conversation, pack, unpack
from chroma_nb_widgets.map.front import module
from chroma_nb_widgets.map.interface import NO_VALUE, HoverText, Overlay, plain
from chroma_nb_widgets.map.plotly import PlotlyMap
from chroma_nb_widgets.map.webgl import WebGLMap
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.map_browser import Browser, coloured


@pytest.fixture
def places() -> Any:
    return np.random.default_rng(0).normal(size=(1_000, 2)).astype(np.float32) * [10, 3] + [100, -50]


@pytest.fixture(params=[WebGLMap, PlotlyMap])
def renderer(request: pytest.FixtureRequest) -> Any:
    made = request.param()
    yield made
    made.close()


@pytest.mark.parametrize("entry", ["webgl.js", "plotly.js"])
def test_the_modules_of_a_front_end_share_no_names(entry: str) -> None:
    names = re.findall(r"^(?:async )?(?:const|let|class|function) (\w+)", module(entry), re.MULTILINE)
    assert len(names) > 10
    assert sorted(names) == sorted(set(names))
    assert "import " not in "".join(line for line in module(entry).splitlines() if not line.lstrip().startswith("//"))


# What goes to the browser.


def test_nothing_is_sent_before_a_browser_is_ready_and_then_everything(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    renderer.show(places, plain(1_000))
    renderer.overlay(Overlay((1.0, 2.0), "asked", np.array([3, 1])))
    assert browser.heard == []
    browser.say("ready")
    (message, buffers), *others = browser.heard
    assert others == []
    assert (message["kind"], message["to"], message["n"]) == ("show", "one", 1_000)
    assert message["overlay"] == {
        "query": [1.0, 2.0], "label": "asked", "lines": True, "hits": places[[3, 1]].astype(np.float32).tolist()
    }  # fmt: skip
    assert sum(map(len, buffers)) <= 16 * 1_000


def test_a_view_that_heard_nothing_can_ask() -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    browser.say("ready")
    browser.say("ping")
    assert browser.kinds() == ["show", "pong"]
    assert renderer.widget.own_id == renderer.widget.model_id


def test_a_later_view_is_told_the_present_state(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    renderer.show(places, plain(1_000))
    selected = np.arange(1_000) % 7 == 0
    renderer.mark(np.arange(1_000) % 2 == 0, selected)
    browser.say("ready", client="another")
    message, buffers = browser.last("show")
    assert (message["to"], message["selected"]) == ("another", True)
    np.testing.assert_array_equal(unpack(buffers[3], 1_000), selected)


def test_places_arrive_within_one_and_can_be_told_back(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))
    message, buffers = browser.last("show")
    sent = np.frombuffer(buffers[0], "<f4").reshape(-1, 2)
    assert np.abs(sent).max() == pytest.approx(1)
    box = message["box"]
    np.testing.assert_allclose(sent * box["unit"] + [box["x"], box["y"]], places, rtol=1e-5)
    assert box["halfX"] == 1
    assert box["halfY"] == pytest.approx(np.abs(sent[:, 1]).max())


@pytest.mark.parametrize("places", [np.zeros((0, 2)), np.ones((1, 2)), np.full((5, 2), 3.5)])
def test_few_or_equal_places(places: Any, renderer: Conversation) -> None:
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places.astype(np.float32), plain(len(places)))
    message, buffers = browser.last("show")
    assert message["n"] == len(places)
    if isinstance(renderer, WebGLMap):
        assert (np.frombuffer(buffers[0], "<f4") == 0).all()


def test_changes_send_only_what_changed(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))
    browser.heard.clear()
    renderer.move(places[::-1])
    renderer.paint(coloured([0] * 1_000))
    renderer.mark(np.ones(1_000, np.bool_), None)
    renderer.overlay(None)
    sizes = [(message["kind"], sum(map(len, buffers))) for message, buffers in browser.heard]
    assert sizes == [("move", 8_000), ("paint", 2_000), ("mark", 125), ("overlay", 0)]


def test_a_move_draws_the_query_anew(places: Any, renderer: Conversation) -> None:
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))
    renderer.overlay(Overlay(None, "", np.array([5])))
    renderer.move(places + 1)
    np.testing.assert_allclose(browser.last("overlay")[0]["overlay"]["hits"], places[[5]] + 1, rtol=1e-6)


def test_no_points_are_kept_in_synced_state(places: Any) -> None:
    renderer = WebGLMap()
    before = len(repr(renderer.widget.get_state()))
    renderer.show(places, plain(1_000))
    renderer.mark(np.ones(1_000, np.bool_), np.ones(1_000, np.bool_))
    assert len(repr(renderer.widget.get_state())) == before


def test_a_figure_carries_12_bytes_a_point(places: Any) -> None:
    renderer = PlotlyMap()
    renderer.show(places, coloured([0, 1, NO_VALUE] * 333 + [2]))
    renderer.mark(np.arange(1_000) >= 10, np.arange(1_000) < 50)
    sizes = [sum(array.nbytes for array in (t.x, t.y, t.customdata)) for t in renderer.figure.data]
    colours = [t.marker.color.nbytes for t in renderer.figure.data if t.name in ("plain", "chosen")]
    assert sum(sizes) + sum(colours) <= 12 * 1_000
    assert [len(t.x) for t in renderer.figure.data] == [0, 10, 950, 40]
    assert renderer.figure.data[2].marker.color.max() == 3  # those without a value, one past the palette
    renderer.close()


def test_a_page_loaded_anew_gets_the_figure_as_it_is(places: Any) -> None:
    renderer = PlotlyMap()
    renderer.show(places, plain(1_000))
    renderer.show(places[:7], plain(7))
    state = renderer.figure.get_state()
    assert [trace.get("x", {"shape": None})["shape"] for trace in state["_widget_data"]] == [(0,), (0,), (7,), (0,)]
    assert state["_widget_layout"]["meta"] == {"epoch": 2, "drawing": 2}
    renderer.close()


def test_a_figure_is_told_everything_again(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = PlotlyMap()
    browser = Browser(renderer)
    renderer.show(places, plain(1_000))
    sent: list[Any] = []
    monkeypatch.setattr(renderer.figure, "_send_update_msg", lambda **message: sent.append(message["restyle_data"]))
    browser.say("redraw")
    np.testing.assert_array_equal(sent[-1]["x"][2], renderer.xy[:, 0])
    renderer.close()


def test_a_figure_puts_each_point_into_one_layer(places: Any) -> None:
    renderer = PlotlyMap()
    renderer.show(places, coloured([0, 1] * 500, hidden=frozenset({1})))
    renderer.mark(np.arange(1_000) < 500, np.arange(1_000) < 100)
    layers = {trace.name: set(trace.customdata.tolist()) for trace in renderer.figure.data}
    assert layers["off"] == set(range(1, 500, 2))
    assert layers["context"] == set(range(500, 1_000))
    assert layers["chosen"] == set(range(0, 100, 2))
    assert layers["plain"] == set(range(100, 500, 2))
    renderer.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((3, 3), np.float32), r"shape \(n, 2\)"),
        (np.array([[0, np.nan]], np.float32), "finite"),
        (np.zeros((2, 2), np.float32), r"2 points are shown, got codes of shape \(1,\)"),
    ],
)
def test_wrong_places_are_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WebGLMap().show(wrong, plain(1))


def test_too_many_points_for_a_renderer_are_refused() -> None:
    with pytest.raises(ValueError, match="draws up to 20,000 points, got 20,001"):
        PlotlyMap().show(np.zeros((20_001, 2), np.float32), plain(20_001))


# What comes from the browser.


@given(st.lists(st.booleans()))
def test_bitmasks_there_and_back(mask: list[bool]) -> None:
    assert unpack(pack(np.array(mask, np.bool_)), len(mask)).tolist() == mask


def test_a_short_bitmask_is_refused() -> None:
    with pytest.raises(ValueError, match="1 bytes cannot mark 9 points"):
        unpack(b"\0", 9)


def test_a_selection_becomes_positions(places: Any, renderer: Conversation) -> None:
    got: list[Any] = []
    browser = Browser(renderer)
    browser.say("ready")
    renderer.on_select(got.append)
    renderer.show(places, plain(1_000))
    browser.select(np.arange(1_000) % 100 == 3)
    assert got[0].dtype == np.int64
    assert got[0].tolist() == list(range(3, 1_000, 100))
    assert renderer.selected is not None
    browser.select(np.zeros(1_000))
    assert got[1].tolist() == []
    assert renderer.selected is None


def test_what_is_not_visible_is_never_selected(places: Any, renderer: Conversation) -> None:
    got: list[Any] = []
    browser = Browser(renderer)
    renderer.on_select(got.append)
    renderer.show(places, plain(1_000))
    renderer.mark(np.arange(1_000) >= 990, None)
    browser.select(np.ones(1_000))
    assert got[0].tolist() == list(range(990, 1_000))


def test_each_selection_counts_once_and_is_acknowledged_each_time(places: Any) -> None:
    renderer = WebGLMap()
    got: list[Any] = []
    browser = Browser(renderer)
    browser.say("ready")
    renderer.on_select(got.append)
    renderer.show(places, plain(1_000))
    browser.select(np.ones(1_000), sequence=7)
    browser.select(np.ones(1_000), sequence=7)
    assert len(got) == 1
    assert [message["sequence"] for message, _ in browser.heard if message["kind"] == "ack"] == [7, 7]
    browser.select(np.ones(1_000), sequence=7, client="another")
    assert len(got) == 2


def test_the_acknowledgement_goes_before_what_the_callback_marks(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))
    renderer.on_select(lambda positions: renderer.mark(np.ones(1_000, np.bool_), None))
    browser.select(np.ones(1_000))
    assert browser.kinds()[-2:] == ["ack", "mark"]


def test_selections_of_other_points_are_acknowledged_and_dropped(places: Any) -> None:
    renderer = WebGLMap()
    got: list[Any] = []
    browser = Browser(renderer)
    browser.say("ready")
    renderer.on_select(got.append)
    renderer.show(places, plain(1_000))
    renderer.show(places[:5], plain(5))
    browser.select(np.ones(1_000), epoch=1)
    assert got == []
    assert browser.kinds()[-1] == "ack"


def test_click_legend_and_hover(places: Any, renderer: Conversation) -> None:
    clicked: list[int] = []
    off: list[frozenset[int]] = []
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, coloured([0, 1] * 500))
    renderer.on_click(clicked.append)
    renderer.on_legend(off.append)
    renderer.on_hover(lambda position: HoverText(f"<b>{position}</b>", (("k", "v" * 1_000),), "d" * 10_000))
    browser.say("click", position=12)
    browser.say("legend", hidden=[1])
    browser.say("hover", position=3)
    assert clicked == [12]
    assert off == [frozenset({1})]
    assert renderer.colours.hidden == {1}
    text, _ = browser.last("text")
    assert (text["to"], text["position"], text["title"]) == ("one", 3, "<b>3</b>")
    assert (len(text["lines"][0][1]), len(text["body"])) == (300, 2_000)


def test_a_failing_hover_is_told_where_one_looks_and_raised(places: Any) -> None:
    renderer = WebGLMap()
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))

    def fail(position: int) -> HoverText:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        renderer._answer("one", 3, fail)
    assert browser.last("text")[0]["body"] == "'gone'"


def test_messages_in_another_thread_are_handled_by_the_loop(places: Any) -> None:
    threads: list[threading.Thread] = []

    async def kernel() -> None:
        renderer = WebGLMap()
        renderer.show(places, plain(1_000))
        renderer.on_click(lambda position: threads.append(threading.current_thread()))
        browser = Browser(renderer)
        await asyncio.to_thread(browser.say, "click", position=1)
        await asyncio.sleep(0)

    asyncio.run(kernel())
    assert threads == [threading.main_thread()]


def test_closing_ends_the_conversation(places: Any, renderer: Conversation) -> None:
    got: list[Any] = []
    browser = Browser(renderer)
    browser.say("ready")
    renderer.show(places, plain(1_000))
    renderer.on_select(got.append)
    renderer.close()
    renderer.close()
    assert browser.kinds()[-1] == "close"
    told = len(browser.heard)
    browser.select(np.ones(1_000))
    renderer.move(places)
    assert (got, len(browser.heard)) == ([], told)
    assert renderer.widget.comm is None
