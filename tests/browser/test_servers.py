"""The explorer of a collection on a server, in a real browser: the notebook about servers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.browser.gestures import lasso
from tests.browser.lab import Lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "06_servers.ipynb"


def test_explorers_of_a_server(lab: Lab) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    nb = lab.notebook(sources[:-1])  # the last one ends it all
    nb.run_all(timeout=300)
    nb.execute("assert explorer.map.wait(120) and sample.map.wait(120)")
    assert nb.python("[explorer.error, sample.error]") == [None, None]

    of_server, of_sample = (nb.cell(number) for number, text in enumerate(sources[:-1]) if ".explore(" in text)
    for shown, name in ((of_server, "server"), (of_sample, "sample")):
        shown.scroll_into_view_if_needed()
        shown.locator("[data-tool=lasso]").first.wait_for()
        nb.screenshot(f"servers-{name}", shown)
    note = of_sample.locator(".chroma-nb-sample")
    assert "A sample of 20,000 of 25,000 items" in note.inner_text()
    note.scroll_into_view_if_needed()
    nb.screenshot("servers-note")
    assert not of_server.locator(".chroma-nb-sample").is_visible()

    of_sample.locator("[data-tool=lasso]").first.click()
    lasso(of_sample.locator(".cnb-stage").first)
    assert 0 < nb.wait("len(sample.selected_ids)") <= 20_000
    assert nb.errors == []
    nb.execute("explorer.close(); sample.close(); beside.close(); remote.close(); mine.close()")
    nb.execute("server.terminate(); assert server.wait(30) == 0; import shutil; shutil.rmtree(folder)")
