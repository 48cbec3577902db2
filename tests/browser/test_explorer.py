"""The explorer as a person uses it; what counts is what the objects in Python say after the click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import Delaunay

from tests.browser.gestures import drag, hover, lasso
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

if TYPE_CHECKING:
    from playwright.sync_api import Locator

# 600 items around three places; texts that begin with "fail" cannot be embedded.
SETUP = """
import sys, threading, traceback
import numpy as np, pandas as pd, chroma_nb

WORDS = ["red", "green", "blue"]
rng = np.random.default_rng(0)
centres = rng.normal(size=(3, 16)) * 2

def embed(texts):
    if any(text.startswith("fail") for text in texts):
        raise RuntimeError("the model is down")
    return [centres[WORDS.index(text.split()[0])] for text in texts]

def frame(n):
    kind = np.arange(n) % 3
    return pd.DataFrame({
        "id": [f"item-{i}" for i in range(n)],
        "document": [f"{WORDS[k]} thing {i}" for i, k in enumerate(kind)],
        "embedding": list((centres[kind] + rng.normal(size=(n, 16))).astype("float32")),
        "word": [WORDS[k] for k in kind],
        "size": np.arange(n),
        "good": kind > 0,
    })

def at_work():
    "The threads that are inside of the library, or wait for work of a pool."
    stacks = {ident: traceback.extract_stack(frame) for ident, frame in sys._current_frames().items()}
    return [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
        and thread.name != "chroma_nb owner"  # waits for other processes as long as the store is open
        and any("chroma_nb" in frame.filename or "concurrent" in frame.filename for frame in stacks[thread.ident])
    ]

client = chroma_nb.Client("store")
docs = client.get_or_create_collection("docs", embedding_function=embed)
if docs.count() == 0:
    docs.add(frame(600))
"""
SHOW = "explorer = docs.explore()\nexplorer"
PLAIN = """
explorer.query = explorer.where = explorer.where_document = explorer.color = explorer.error = None
explorer.selected_ids = ()
"""


@pytest.fixture(scope="module")
def shared(shared_lab: Lab) -> Notebook:
    """The notebook of most tests, its map ready."""
    made = shared_lab.notebook([SETUP, SHOW], height=1500)
    made.run_all()
    made.wait("explorer.map.state == 'ready'", timeout=120)
    return made


@pytest.fixture
def nb(shared: Notebook) -> Notebook:
    """The same, with nothing asked, filtered or selected."""
    shared.execute(PLAIN)
    shared.cell(1).get_by_text("600 rows", exact=True).wait_for()
    return shared


@pytest.fixture
def shown(nb: Notebook) -> Locator:
    """The explorer on screen."""
    return nb.cell(1)


def ask(shown: Locator, text: str) -> None:
    """Type a query and press Enter."""
    box = shown.get_by_label("Text to search for")
    box.fill(text)
    box.press("Enter")


def test_opens_with_all_points(nb: Notebook, shown: Locator) -> None:
    shown.get_by_role("status").get_by_text("600 of 600 shown").wait_for()
    assert nb.python("[len(explorer.view), len(explorer.selection), len(explorer.results)]") == [600, 0, 0]
    assert nb.python("np.isfinite(explorer.map.xy).all()") is True
    nb.screenshot("explorer", shown)


def test_filters(nb: Notebook, shown: Locator) -> None:
    shown.get_by_role("button", name="Filter", exact=True).click()
    shown.get_by_title("Filter by size").click()
    start = shown.get_by_label("size from")
    start.fill("300")
    start.press("Enter")
    shown.get_by_text("300 of 600 rows pass the filters").wait_for()
    assert nb.python("explorer.where") == {"size": {"$gte": 300}}
    shown.get_by_role("button", name="Filter", exact=True).click()
    shown.get_by_title("Filter by word").click()
    shown.get_by_label("Filter by word").get_by_role("checkbox").nth(0).check()
    shown.get_by_text("100 of 600 rows pass the filters").wait_for()
    assert nb.python("len(explorer.view), explorer.view['word'].nunique(), explorer.view['size'].min() >= 300") == [
        100,
        1,
        True,
    ]
    shown.get_by_role("status").get_by_text("100 of 600 shown").wait_for()
    assert nb.python("docs.get(where=explorer.where).equals(explorer.view)") is True
    nb.screenshot("explorer-filtered", shown)


def test_query(nb: Notebook, shown: Locator) -> None:
    ask(shown, "red shoes")
    assert nb.wait("len(explorer.results)") == 10
    assert nb.python("[explorer.query, set(explorer.results['word'])]") == ["red shoes", "{'red'}"]
    shown.get_by_role("grid", name="Results").get_by_role("row").nth(10).wait_for()
    first = nb.python("explorer.results.index[0]")
    assert shown.get_by_role("grid", name="Results").get_by_role("row").nth(1).get_by_text(first, exact=True).count()
    nb.screenshot("explorer-query", shown)
    shown.get_by_label(f"More like {first}").click()
    assert nb.wait("explorer.query != 'red shoes' and explorer.query.id") == first
    assert nb.wait(f"len(explorer.results) == 10 and {first!r} not in explorer.results.index") is True


def test_code_moves_the_widget(nb: Notebook, shown: Locator) -> None:
    nb.execute("explorer.query = 'green'; explorer.where = {'size': {'$lt': 30}}; explorer.color = 'word'")
    shown.get_by_text("30 of 600 rows pass the filters").wait_for()
    assert shown.get_by_label("Text to search for").input_value() == "green"
    shown.get_by_role("group", name="Legend").get_by_text("green").wait_for()
    assert shown.get_by_label("Colour by").input_value() == "word"


def test_colours(nb: Notebook, shown: Locator) -> None:
    shown.get_by_label("Colour by").select_option("word")
    nb.wait("explorer.color == 'word'")
    shown.get_by_role("switch", name="green").click()
    nb.wait("len(explorer.hidden) == 1")
    shown.get_by_label("Colour by").select_option("size")
    nb.wait("explorer.color == 'size' and explorer.colours.kind == 'continuous' and not explorer.hidden")


def draw(nb: Notebook, shown: Locator) -> list[int]:
    """Draw a lasso around a part of the points; returns their positions."""
    shown.locator("[data-tool=lasso]").click()
    lasso(shown.locator(".cnb-stage"), (0.25, 0.5), (0.24, 0.48), corners=40)
    positions: list[int] = nb.wait("explorer.selected.tolist()")
    return positions


def test_lasso_is_read_in_the_next_cell(nb: Notebook, shown: Locator) -> None:
    positions = draw(nb, shown)
    xy = np.array(nb.python("explorer.map.xy"))
    inside = Delaunay(xy[positions]).find_simplex(xy) >= 0
    assert set(np.flatnonzero(inside)) <= set(positions), "an ellipse has neither holes nor dents"
    assert 0 < len(positions) < 600
    index = nb.add("print(len(explorer.selection))\nexplorer.selection.equals(docs.get(explorer.selected_ids))")
    assert nb.text(index) == f"{len(positions)}\nTrue"
    shown.get_by_role("grid", name="Selection").wait_for()
    nb.screenshot("explorer-lasso", shown)


def test_box(nb: Notebook, shown: Locator) -> None:
    shown.locator("[data-tool=box]").click()
    drag(shown.locator(".cnb-stage"), [(0.005, 0.005), (0.99, 0.99)], then=[(0.5, 0.5)])
    assert nb.wait("len(explorer.selection)") == 600
    shown.get_by_role("button", name="Clear selection").click()
    nb.wait("explorer.selection.empty and not explorer.selected_ids")


def test_tag_and_undo(nb: Notebook, shown: Locator) -> None:
    nb.execute("explorer.selected_ids = ('item-3', 'item-5', 'item-8')")
    shown.get_by_role("button", name="Tag…").click()
    shown.get_by_placeholder("name, such as").fill("reviewed")
    shown.get_by_placeholder("value, such as").fill("yes")
    shown.get_by_text("Write reviewed = yes to 3 rows.").wait_for()
    assert nb.python("docs.count(), len(docs.get(where={'reviewed': True}))") == [600, 0]
    shown.get_by_role("button", name="Do it").click()
    assert nb.wait("docs.get(where={'reviewed': True}).index.tolist()") == ["item-3", "item-5", "item-8"]
    nb.wait("explorer.selection['reviewed'].all()")
    shown.get_by_role("button", name="Undo").click()
    shown.get_by_role("button", name="Do it").click()
    nb.wait("docs.get(where={'reviewed': True}).empty")


def test_delete_and_undo(nb: Notebook, shown: Locator) -> None:
    nb.execute("before = docs.get(); explorer.selected_ids = ('item-0', 'item-1')")
    shown.get_by_role("button", name="Delete…").click()
    shown.get_by_text("Delete 2 rows of 600 from docs").wait_for()
    shown.get_by_role("button", name="Do it").click()
    nb.wait("docs.count() == 598 and len(explorer.view) == 598 and len(explorer.map.xy) == 598")
    shown.get_by_role("button", name="Undo").click()
    shown.get_by_role("button", name="Do it").click()
    nb.wait("docs.count() == 600 and docs.get().sort_index().equals(before.sort_index())")


def test_failing_query_is_told_in_the_widget(nb: Notebook, shown: Locator) -> None:
    ask(shown, "fail, please")
    alert = shown.get_by_role("alert")
    alert.get_by_text("the model is down").wait_for()
    assert "the model is down" in nb.python("explorer.error")
    nb.screenshot("explorer-error", shown)
    ask(shown, "blue")
    alert.wait_for(state="detached")
    assert nb.python("[explorer.error, set(explorer.results['word'])]") == [None, "{'blue'}"]


def test_run_again_and_reload_keep_the_state(nb: Notebook, shown: Locator) -> None:
    nb.execute("explorer.query = 'green'; explorer.where = {'size': {'$lt': 60}}; was = explorer")
    nb.run(1)
    assert nb.python("explorer is was and explorer.query == 'green'") is True
    shown.get_by_text("60 of 600 rows pass the filters").wait_for()
    assert shown.get_by_label("Text to search for").input_value() == "green"
    nb.reload()
    shown.get_by_text("60 of 600 rows pass the filters").wait_for()
    shown.get_by_role("status").get_by_text("60 of 600 shown").wait_for()
    ask(shown, "blue")
    nb.wait("explorer.query == 'blue'")


def test_no_errors_in_the_page(nb: Notebook) -> None:
    assert nb.errors == []


def test_reopens_with_map_and_view(lab: Lab) -> None:
    nb = lab.notebook([SETUP, SHOW])
    nb.run_all()
    nb.wait("explorer.map.state == 'ready'", timeout=120)
    nb.execute("explorer.query = 'red'; explorer.where = {'good': False}; explorer.save('mine')")
    places = np.array(nb.python("explorer.map.xy"))
    nb.restart()
    nb.run(0)
    nb.add("explorer = docs.explore(name='mine')\nstate = explorer.map.state\nexplorer")
    assert nb.python("state") == "ready"
    np.testing.assert_array_equal(np.array(nb.python("explorer.map.xy")), places)
    assert nb.python("[explorer.query, explorer.where, len(explorer.results)]") == ["red", {"good": False}, 10]
    nb.cell(2).get_by_text("200 of 600 rows pass the filters").wait_for()


def test_cancel(lab: Lab) -> None:
    """A running UMAP is cancelled; the kernel was free meanwhile, and no thread is left."""
    large = "many = client.create_collection('many', embedding_function=embed)\nmany.add(frame(30_000))"
    nb = lab.notebook([SETUP, large, "explorer = many.explore()\nexplorer"])
    nb.run_all()
    shown = nb.cell(2)
    nb.wait("explorer.map.running and at_work()")
    shown.get_by_role("button", name="Cancel").click()
    assert nb.wait("explorer.map.state != 'running' and explorer.map.state", timeout=20) == "cancelled"
    shown.get_by_role("button", name="Cancel").wait_for(state="hidden")
    assert nb.python("[at_work(), explorer.map.running, explorer.error]") == [[], False, None]
    assert nb.python("explorer.map.xy.shape == (30_000, 2) and np.isfinite(explorer.map.xy).all()") is True
    shown.get_by_role("button", name="Compute UMAP").click()
    nb.wait("explorer.map.running and at_work()")
    nb.execute("explorer.close()")
    assert nb.python("[at_work(), explorer.map.running]") == [[], False]
    shown.locator(".cnb-stage").wait_for(state="detached")


HOSTILE = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 2</script><b>bold</b>'
HOSTILE_SETUP = f"""
hostile = {HOSTILE!r}
import chroma_nb
client = chroma_nb.Client()
docs = client.create_collection("docs", embedding_function=None)
docs.add(
    ids=[f"{{hostile}}{{i}}" for i in range(5)],
    embeddings=[[0, 0, 0], [4, 1, 0], [4, -1, 0], [-4, 1, 0], [-4, -1, 0]],  # the first one in the middle of the map
    documents=[hostile] * 5,
    metadatas=[{{hostile: hostile, "k": hostile + str(i % 3)}} for i in range(5)],
)
explorer = docs.explore(method="pca", color="k")
explorer
"""


def test_hostile_document_is_text(lab: Lab) -> None:
    nb = lab.notebook([HOSTILE_SETUP], height=1500)
    nb.run_all()
    shown = nb.cell(0)
    shown.get_by_role("grid", name="Rows").get_by_text(HOSTILE, exact=True).first.wait_for()
    shown.get_by_role("button", name="Show all of it").first.click()
    shown.get_by_role("button", name="Filter", exact=True).click()
    shown.get_by_title("Filter by k").click()
    shown.get_by_label("Filter by k").get_by_role("checkbox").first.check()
    nb.wait("explorer.where")
    nb.execute("explorer.where = None; explorer.query = {'like': explorer.view.index[0]}; explorer.save(hostile)")
    nb.execute("explorer.error = hostile")
    shown.get_by_role("alert").get_by_text(HOSTILE).wait_for()
    hover(shown.locator(".cnb-stage"), (0.5, 0.5))
    nb.page.locator(".cnb-tip").get_by_text(HOSTILE, exact=True).last.wait_for()
    nb.screenshot("explorer-hostile", shown)
    assert nb.page.evaluate("() => window.pwned ?? null") is None
    assert nb.page.locator("img[src=x], b:text('bold')").count() == 0
    assert nb.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_into_700_pixels(lab: Lab, theme: str) -> None:
    nb = lab.notebook([SETUP, SHOW.replace("explore()", "explore(color='word')")], theme=theme, width=850, height=1800)
    nb.run_all()
    nb.wait("explorer.map.state == 'ready'", timeout=120)
    nb.execute("explorer.query = 'red'; explorer.where = {'size': {'$gt': 100}}")
    nb.cell(1).get_by_text("499 of 600 rows pass the filters").wait_for()
    nb.page.wait_for_timeout(1000)
    nb.screenshot(f"explorer-{theme}", nb.cell(1))
    explorer = nb.cell(1).locator(".chroma-nb-explorer")
    width, needed = explorer.evaluate("(element) => [element.clientWidth, element.scrollWidth]")
    assert width <= 780
    assert needed <= width + 1
    assert nb.errors == []
