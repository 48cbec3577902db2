"""The notebooks as a new user meets them: opened in JupyterLab, or as a page, all cells run, the explorer on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.gestures import lasso
from tests.browser.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.lab import Lab
    from tests.browser.notebook import Notebook

NOTEBOOKS = ROOT / "notebooks"
MAP = ".cnb-map"
STAGE = ".cnb-stage"


def explorer_of(nb: Notebook) -> Locator:
    """The output of the cell that shows the explorer."""
    sources: list[str] = nb.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.map((c) => c.model.sharedModel.getSource())"
    )
    (index,) = [number for number, source in enumerate(sources) if source.startswith("explorer = ")]
    return nb.cell(index)


@pytest.mark.parametrize("name", ["01_quickstart", "02_explore", "03_map", "04_your_data"])
def test_runs_and_shows_the_explorer(lab: Lab, name: str) -> None:
    nb = lab.notebook(NOTEBOOKS / f"{name}.ipynb")
    nb.run_all(timeout=300)
    nb.execute("assert explorer.map.wait(120)")
    assert nb.python("[explorer.map.state, explorer.error]") == ["ready", None]
    shown = explorer_of(nb)
    shown.scroll_into_view_if_needed()
    shown.locator(MAP).first.wait_for()
    nb.screenshot(f"notebook-{name}", shown)

    nb.execute("explorer.query = explorer.where = None; explorer.selected_ids = ()")
    shown.locator("[data-tool=lasso]").first.click()
    lasso(shown.locator(STAGE).first)
    count = nb.wait("len(explorer.selected_ids)")
    assert 0 < count <= nb.python("len(explorer.map.xy)")
    index = nb.add("explorer.selection.shape[0]")
    assert nb.text(index) == str(count)
    assert nb.errors == []


def test_page_of_voila(lab: Lab, tmp_path: Path) -> None:
    shown = lab.voila(NOTEBOOKS / "05_page.ipynb")
    stage = shown.page.locator(STAGE).first
    stage.wait_for(timeout=60_000)
    assert shown.page.get_by_text("The dictionary, on a map").is_visible()
    assert shown.page.locator(".jp-CodeMirrorEditor, .cm-editor").count() == 0, "no code"
    box = shown.page.locator(".chroma-nb-explorer").bounding_box()
    assert box is not None
    assert box["width"] > 0.85 * 1280, "the full width"
    ask = shown.page.get_by_placeholder("What are you looking for").first
    ask.fill("a sour fruit drink")
    ask.press("Enter")
    shown.page.get_by_text("fruit drink, ade").first.wait_for(timeout=30_000)
    shown.screenshot("page")
    assert shown.errors == []
