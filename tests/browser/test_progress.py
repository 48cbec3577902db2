"""The bar of long work in JupyterLab: what it says, what the stop button leaves, and what a saved notebook shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.lab import Lab
    from tests.browser.notebook import Notebook

# Rows are written in 40 parts, and amid them is time: until the stop button, or until `waits` is false.
SETUP = """
import time
import numpy as np, pandas as pd
import chroma_nb
from chroma_nb import collection
from chroma_nb.store import items
waits = True
def lingering(write):
    def call(self, number, columns, told=None):
        def tell(done):
            told(done)
            end = time.monotonic() + 20
            while waits and done == 2_000 and time.monotonic() < end:
                time.sleep(0.02)
                told(done)
        return write(self, number, columns, tell)
    return call
items._WRITTEN_ROWS = 100
items.ItemTables.insert = lingering(items.ItemTables.insert)
items.ItemTables.update = lingering(items.ItemTables.update)
collection.PATIENCE = 0
docs = chroma_nb.Client("db").create_collection("docs", embedding_function=None)
matrix = np.random.default_rng(1).random((4_000, 8), dtype=np.float32)
frame = pd.DataFrame({"n": range(4_000)}, index=[f"i{number}" for number in range(4_000)])
"""
ADD = "docs.add(frame, embeddings=matrix)"
UPDATE = "docs.update(frame + 1, embeddings=-matrix)"
STATE = "[docs.count(), int(docs.get()['n'].sum()) if docs.count() else 0]"


@pytest.fixture
def nb(lab: Lab) -> Notebook:
    made = lab.notebook([SETUP, ADD, UPDATE])
    made.run(0)
    return made


def test_a_bar_while_it_works_and_nothing_of_it_later(nb: Notebook) -> None:
    total = sum(range(4_000))
    for cell, what, before, after in (
        (1, "adding to docs", [0, 0], [4_000, total]),
        (2, "updating docs", [4_000, total], [4_000, total + 4_000]),
    ):
        nb.execute("waits = True")
        _start(nb, cell)
        shown = nb.cell(cell)
        # Half of an item is its vector, half its row: all vectors and half of the rows.
        shown.get_by_text("3,000/4,000").wait_for(timeout=20_000)
        assert " ".join(shown.inner_text().split()).startswith(f"{what}: 75% 3,000/4,000 [00:0")
        bar = shown.locator(".progress-bar")
        assert bar.count() == 1
        assert "width: 75%" in (bar.get_attribute("style") or "")
        nb.screenshot(f"progress-{cell}", shown)

        nb.page.locator("[data-command='notebook:interrupt-kernel'], [title^='Interrupt the kernel']").first.click()
        shown.get_by_text(f"{what} was interrupted").wait_for(timeout=10_000)
        assert shown.locator(".jupyter-widgets").count() == 0
        (error,) = [output for output in nb.outputs(cell) if output["output_type"] == "error"]
        assert error["ename"] == "KeyboardInterrupt"
        assert "chroma_nb" not in "".join(error["traceback"]), "the user's line, and none of the library's"
        assert nb.python(STATE) == before

        nb.execute("waits = False")
        nb.run(cell)
        assert nb.python(STATE) == after
        assert shown.locator(".jupyter-widgets").count() == 0
        assert [list(output["data"].values()) for output in nb.outputs(cell)] == [[""]], "an empty place"
    nb.reload()
    nb.page.wait_for_timeout(500)
    assert "Error" not in nb.page.locator(".jp-Notebook").inner_text(), "the widget of a bar that is gone"
    assert nb.errors == []


def _start(nb: Notebook, cell: int) -> None:
    """Run a cell as a hand does, and do not wait for its end."""
    nb.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".cm-content").click()
    nb.page.keyboard.press("Control+Enter")
