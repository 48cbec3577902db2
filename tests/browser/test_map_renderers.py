"""Both renderers under a real mouse: what people do arrives in the kernel, and what the kernel says is seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.gestures import click, drag, hover, lasso
from tests.browser.watched import CELLS, MIDDLE, SETUP, Map, N

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from tests.browser.lab import Lab
    from tests.browser.notebook import Notebook


@pytest.fixture(scope="module")
def nb(shared_lab: Lab) -> Notebook:
    # High enough for both: what lies outside the window, JupyterLab takes out of the page.
    made = shared_lab.notebook(["webgl.renderer.widget", "plotly.renderer.widget"], height=1400)
    made.execute(SETUP)
    made.execute("webgl, plotly = Watched(WebGLMap(), 30_000), Watched(PlotlyMap(), 5_000)")
    made.run_all()
    return made


@pytest.fixture(params=["webgl", "plotly"])
def shown(request: pytest.FixtureRequest, nb: Notebook) -> Iterator[Map]:
    made = Map(nb, request.param)
    made.reset()
    yield made
    assert nb.errors == []


def test_a_lasso_selects_what_it_surrounds(shown: Map) -> None:
    shown.use("lasso")
    lasso(shown.stage, (0.5, 0.5), (0.08, 0.15))
    shown.wait("selected")
    assert shown.wait("clusters()") == MIDDLE
    shown.counts(f"{N[shown.name] // 5:,} selected")
    shown.nb.screenshot(f"map-{shown.name}-lasso", shown.root)


def test_box_shift_alt_and_escape(shown: Map) -> None:
    keys = shown.nb.page.keyboard
    shown.use("box")
    drag(shown.stage, [(0.42, 0.35), (0.58, 0.65)])
    shown.wait("selected")
    assert shown.wait("clusters()") == MIDDLE
    keys.down("Shift")
    drag(shown.stage, [(0.01, 0.01), (0.5, 0.3)])
    keys.up("Shift")
    shown.wait("selected[1:]")
    assert shown.wait("clusters()") == [1, 1, 0, 0, 0]
    keys.down("Alt")
    drag(shown.stage, [(0.42, 0.35), (0.58, 0.65)])
    keys.up("Alt")
    shown.wait("selected[2:]")
    assert shown.wait("clusters()") == [0, 1, 0, 0, 0]
    keys.press("Escape")
    shown.wait("selected[3:]")
    assert shown.nb.python(f"len({shown.name}.selected[3])") == 0


def test_shift_and_drag_is_a_lasso_while_panning(shown: Map) -> None:
    shown.use("pan")
    shown.nb.page.keyboard.down("Shift")
    lasso(shown.stage, (0.5, 0.5), (0.08, 0.15))
    shown.nb.page.keyboard.up("Shift")
    shown.wait("selected")
    assert shown.wait("clusters()") == MIDDLE


def test_keys_choose_tools(shown: Map) -> None:
    shown.root.focus()
    for key, tool in {"l": "lasso", "b": "box", "p": "pan"}.items():
        shown.nb.page.keyboard.press(key)
        shown.root.locator(f"[data-tool={tool}][aria-pressed=true]").wait_for()
    # "b" did not make the notebook add a cell.
    assert shown.nb.page.locator(".jp-Notebook .jp-CodeCell").count() == 2


def test_a_click_picks_a_point_and_a_drag_does_not(shown: Map) -> None:
    shown.use("pan")
    drag(shown.stage, [(0.5, 0.5), (0.6, 0.6)])
    shown.root.get_by_role("button", name="Reset").click()
    shown.nb.page.wait_for_timeout(500)
    click(shown.stage, (0.5, 0.5))
    shown.wait("clicked")
    assert shown.wait("clicked") == [0]
    assert shown.nb.python(f"{shown.name}.selected") == []


def test_zoom_keeps_the_place_under_the_pointer(shown: Map) -> None:
    hover(shown.stage, (0.5, 0.5))
    for _ in range(4):
        shown.nb.page.mouse.wheel(0, -120)
        shown.nb.page.wait_for_timeout(80)
    shown.nb.page.wait_for_timeout(500)
    shown.use("box")
    drag(shown.stage, [(0.02, 0.02), (0.98, 0.98)])
    shown.wait("selected")
    assert shown.wait("clusters()") == MIDDLE
    shown.root.get_by_role("button", name="Reset").click()
    shown.nb.page.wait_for_timeout(500)
    drag(shown.stage, [(0.01, 0.01), (0.99, 0.99)])
    shown.wait("selected[1:]")
    assert shown.wait("clusters()") == [1, 1, 1, 1, 1]


def tip(page: Page) -> Locator:
    return page.locator(".cnb-tip:visible")


def test_hover_shows_hostile_text_as_text_within_the_window(shown: Map) -> None:
    page = shown.nb.page
    hover(shown.stage, (0.5, 0.5))
    tip(page).wait_for()
    hostile = shown.nb.python("HOSTILE")
    assert tip(page).locator(".cnb-tip-title").text_content() == f"0 {hostile}"
    assert tip(page).locator("dd").all_text_contents() == [hostile]
    assert tip(page).locator("img, script").count() == 0
    assert shown.root.locator("b").count() == 0  # nor in the legend
    assert page.evaluate("() => window.hacked") is None
    box = tip(page).bounding_box()
    size = page.viewport_size
    assert box is not None
    assert size is not None
    assert 0 <= box["x"] <= size["width"] - box["width"]
    assert 0 <= box["y"] <= size["height"] - box["height"]
    shown.nb.screenshot(f"map-{shown.name}-hover")
    hover(shown.stage, (0.35, 0.5))
    tip(page).wait_for(state="detached" if tip(page).count() == 0 else "hidden")


def test_the_legend_hides_and_what_is_hidden_is_not_selected(shown: Map) -> None:
    keys = shown.root.locator(".cnb-key")
    assert keys.first.locator(".cnb-key-text").text_content() == "<b>bold</b>"
    keys.first.click()
    assert shown.wait("off") == [[0]]
    shown.counts(f"{N[shown.name] * 4 // 5:,} of {N[shown.name]:,} shown")
    shown.nb.page.wait_for_timeout(500)
    shown.use("box")
    drag(shown.stage, [(0.01, 0.01), (0.99, 0.99)])
    shown.wait("selected")
    assert shown.wait("clusters()") == [0, 1, 1, 1, 1]
    keys.first.press("Enter")
    assert shown.wait("off[1:]") == [[]]
    shown.counts(f"{N[shown.name]:,} of {N[shown.name]:,} shown")


def test_marks_moves_and_queries_from_the_kernel(shown: Map) -> None:
    name = shown.name
    shown.nb.execute(f"{name}.renderer.mark({name}.cluster < 3, {name}.cluster == 1)")
    fifth = N[name] // 5
    shown.counts(f"{3 * fifth:,} of {N[name]:,} shown · {fifth:,} selected")
    query = "Overlay((0.0, 0.0), 'a query <i>', np.array([0, 1, 2, 6, 7]))"
    shown.nb.execute(f"{name}.renderer.overlay({query})")
    shown.nb.page.wait_for_timeout(500)
    shown.nb.screenshot(f"map-{name}-query", shown.root)
    shown.nb.execute(f"{name}.renderer.mark({name}.cluster >= 0, None)\n{name}.renderer.move({name}.xy[::-1].copy())")
    shown.nb.page.wait_for_timeout(1_500)
    shown.use("lasso")
    lasso(shown.stage, (0.5, 0.5), (0.08, 0.15))
    shown.wait("selected")
    assert shown.wait("clusters()") == [0, 0, 0, 0, 1]  # the last fifth is where the first was


@pytest.mark.slow
def test_fifty_of_fifty_lassos_arrive(shown: Map) -> None:
    shown.use("lasso")
    for number in range(50):
        lasso(shown.stage, (0.5, 0.5), (0.08 + number / 2_000, 0.15), corners=10)
    shown.wait("selected[49:]", timeout=120)
    found = shown.nb.python(f"[{shown.name}.clusters(i) for i in range(len({shown.name}.selected))]")
    assert found == [MIDDLE] * 50


def test_two_views_of_one_map(nb: Notebook) -> None:
    first = Map(nb, "webgl")
    first.reset()
    second = nb.cell(nb.add("webgl.renderer.widget")).locator(".cnb-map")
    try:
        second.locator(".cnb-count", has_text="30,000 of 30,000 shown").wait_for()
        second.locator("[data-tool=lasso]").click()
        lasso(second.locator(".cnb-stage"), (0.5, 0.5), (0.08, 0.15))
        assert first.wait("clusters()") == MIDDLE
        first.counts("6,000 selected")
    finally:
        nb.page.evaluate("() => window.jupyterapp.commands.execute('notebook:delete-cell')")
    assert nb.errors == []


def test_dark_and_narrow(nb: Notebook) -> None:
    theme = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    colour = "element => getComputedStyle(element).backgroundColor"
    nb.page.evaluate(theme, "JupyterLab Dark")
    nb.resize(620, 1400)
    try:
        nb.wait("plotly.renderer._dark")
        for name in CELLS:
            shown = Map(nb, name)
            shown.reset()
            assert shown.root.evaluate(colour) == "rgb(17, 17, 17)"
            assert len(shown.stage.screenshot()) > 4_000  # the points are still there, where nothing takes 2,300
            stage, legend = shown.stage.bounding_box(), shown.root.locator(".cnb-legend").bounding_box()
            assert stage is not None
            assert legend is not None
            assert stage["y"] + stage["height"] <= legend["y"] + 1  # below it, for want of room
            assert stage["width"] > 300
            nb.screenshot(f"map-{name}-dark-narrow", shown.root)
    finally:
        nb.resize(1280, 1400)
        nb.page.evaluate(theme, "JupyterLab Light")
    nb.wait("not plotly.renderer._dark")
    assert nb.errors == []


LOSE = """async (canvas) => {
    const extension = canvas.getContext("webgl").getExtension("WEBGL_lose_context");
    const lost = new Promise((done) => canvas.addEventListener("webglcontextlost", done));
    const back = new Promise((done) => canvas.addEventListener("webglcontextrestored", done));
    extension.loseContext();
    await lost;
    await new Promise((done) => setTimeout(done, 100));
    extension.restoreContext();
    await back;
}"""


def test_a_lost_context_comes_back(nb: Notebook) -> None:
    shown = Map(nb, "webgl")
    shown.reset()
    before = shown.stage.screenshot()
    shown.root.locator("canvas.cnb-gl").evaluate(LOSE)
    nb.page.wait_for_timeout(500)
    assert shown.stage.screenshot() == before
    shown.root.locator("canvas.cnb-gl").evaluate("canvas => { canvas.style.visibility = 'hidden'; }")
    assert shown.stage.screenshot() != before
    shown.root.locator("canvas.cnb-gl").evaluate("canvas => { canvas.style.visibility = ''; }")


def test_a_reloaded_page_shows_the_same_again(nb: Notebook) -> None:
    for name in CELLS:
        nb.execute(f"{name}.show()\n{name}.renderer.mark({name}.cluster < 3, {name}.cluster == 1)")
    nb.reload()
    if nb.page.get_by_text("model not found").count():
        nb.reload()  # JupyterLab itself gives up on a busy machine, after four seconds
    for name in CELLS:
        fifth = N[name] // 5
        shown = Map(nb, name)
        shown.counts(f"{3 * fifth:,} of {N[name]:,} shown · {fifth:,} selected")
        shown.use("lasso")
        shown.nb.page.wait_for_timeout(500)
        lasso(shown.stage, (0.5, 0.5), (0.08, 0.15))
        shown.wait("selected")
        assert shown.wait("clusters()") == MIDDLE
        assert shown.nb.python(f"{name}.threads") == ["MainThread"]


# Some models that anywidget makes are given no time to load their code; it drops the messages to them.
IMPATIENT = """(which) => {
    const usual = AbortSignal.timeout.bind(AbortSignal);
    let made = 0;
    AbortSignal.timeout = (time) => usual(which.includes(made++) ? 1 : time);
}"""


@pytest.mark.parametrize("which", [[0], [1]], ids=["map", "figure"])
def test_what_loads_slowly_is_shown_all_the_same(lab: Lab, which: list[int]) -> None:
    nb = lab.notebook(["found.renderer.widget"])
    nb.execute(SETUP)
    nb.page.evaluate(IMPATIENT, which)
    nb.execute("found = Watched(PlotlyMap(), 5_000)")
    nb.run_all()
    nb.cell(0).locator(".cnb-count", has_text="5,000 of 5,000 shown").wait_for()
    nb.execute("found.renderer.mark(found.cluster < 3, None)")
    nb.cell(0).locator(".cnb-count", has_text="3,000 of 5,000 shown").wait_for()
    assert "Failed to initialize model" in str(nb.errors)


def test_without_webgl_a_sample_stands_for_all(lab: Lab) -> None:
    nb = lab.notebook([SETUP, "found = Watched(MapSurface(), 30_000)\nfound.renderer.widget"])
    nb.page.evaluate("() => { window.__chromaNoWebGL = true; }")
    nb.run_all()
    assert "4,000 of 30,000 points: this browser has no WebGL" in nb.wait("found.renderer.note")
    output = nb.cell(1)
    output.get_by_text("Showing 4,000 of 30,000 points").wait_for()
    output.locator(".cnb-count", has_text="4,000 of 4,000 shown").wait_for()
    output.locator("[data-tool=lasso]").click()
    lasso(output.locator(".cnb-stage"), (0.5, 0.5), (0.08, 0.15))
    nb.wait("found.selected")
    assert nb.python("found.clusters()") == MIDDLE
    output.locator(".cnb-count", has_text="selected").wait_for()
    nb.screenshot("map-no-webgl", output)


# By the event's own time: the map's handler, which does the work, comes before this one.
NOTE_RELEASE = """() => addEventListener("pointerup", (event) => {
    window.released = (performance.timeOrigin + event.timeStamp) / 1000;
}, true)"""


@pytest.mark.slow
def test_a_million_points(lab: Lab) -> None:
    nb = lab.notebook([SETUP, "found = Watched(MapSurface(), 1_000_000)", "found.renderer.widget"])
    nb.run(0, 1)
    began = time.perf_counter()
    nb.run(2)
    nb.cell(2).locator(".cnb-count", has_text="1,000,000 of 1,000,000 shown").wait_for()
    nb.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    shown_after = time.perf_counter() - began
    stage = nb.cell(2).locator(".cnb-stage")
    nb.cell(2).locator("[data-tool=lasso]").click()
    nb.page.evaluate(NOTE_RELEASE)
    lasso(stage, (0.5, 0.5), (0.08, 0.15))
    nb.wait("found.selected")
    back_after = nb.python("found.at[0]") - nb.page.evaluate("() => window.released")
    assert nb.python("found.clusters()") == MIDDLE
    nb.screenshot("map-million", nb.cell(2))
    print(f"1,000,000 points: shown after {shown_after:.1f} s, a lasso back after {back_after:.2f} s")
    assert shown_after < 5
    assert back_after < 1
