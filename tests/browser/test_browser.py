"""The collections browser with mouse and keyboard; the store is what counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.browser.gestures import hover
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

SETUP = """
import chroma_nb
from chroma_nb.data import load_sample
client = chroma_nb.Client()
docs = client.create_collection("wordnet", embedding_function=None)
docs.add(load_sample().head(300))
hostile = client.create_collection("hostile", metadata={"owner": "<b>me</b>"}, embedding_function=None)
attack = "<img src=x onerror='window.attacked = 1'><script>window.attacked = 2</script>"
hostile.add(ids=["<i>a</i>"], embeddings=[[1.0, 0.0]], documents=[attack], metadatas=[{"<u>key</u>": "<s>value</s>"}])
client.create_collection("empty", embedding_function=None)
browser = client.explore()
browser
"""


@pytest.fixture(scope="module")
def nb(shared_lab: Lab) -> Notebook:
    made = shared_lab.notebook([SETUP])
    made.run_all()
    return made


@pytest.fixture
def view(nb: Notebook) -> Locator:
    found = nb.cell(0)
    found.get_by_role("grid", name="Collections").wait_for()
    return found


def _choose(nb: Notebook, view: Locator, name: str) -> None:
    view.get_by_role("row", name=name).click()
    nb.wait(f"browser.collection is not None and browser.collection.name == {name!r}")
    view.get_by_role("region", name=f"Collection {name}").wait_for()


def test_the_list_and_a_look(nb: Notebook, view: Locator) -> None:
    assert "300" in view.get_by_role("row", name="wordnet").inner_text()
    assert "lexname text" in view.get_by_role("row", name="wordnet").inner_text()
    _choose(nb, view, "wordnet")
    rows = view.get_by_role("table", name="First rows").get_by_role("row")
    assert rows.count() == 11
    first = nb.python("docs.peek(1).index[0]")
    assert str(first) in rows.nth(1).inner_text()
    nb.screenshot("browser", view)


def test_keyboard(nb: Notebook, view: Locator) -> None:
    _choose(nb, view, "wordnet")
    row = view.get_by_role("row", name="wordnet")
    row.focus()
    row.press("ArrowDown")
    nb.page.keyboard.press("Enter")
    nb.wait("browser.collection.name == 'hostile'")


def test_text_stays_text(nb: Notebook, view: Locator) -> None:
    _choose(nb, view, "hostile")
    shown = view.get_by_role("region", name="Collection hostile").inner_text()
    for text in ("<i>a</i>", "<img src=x onerror='window.attacked = 1'>", "<u>key</u>", "<s>value</s>", "<b>me</b>"):
        assert text in shown
    assert nb.page.evaluate("() => window.attacked ?? null") is None


def test_create_rename_delete(nb: Notebook, view: Locator) -> None:
    view.get_by_role("button", name="New collection").click()
    form = view.get_by_role("form", name="New collection")
    form.get_by_label("Name").fill("x")
    form.get_by_label("Space").select_option("cosine")
    form.get_by_label("Embedding function").fill("none")
    form.get_by_label("Metadata").fill('{"owner": "me"}')
    form.get_by_role("button", name="Create").click()
    alert = view.get_by_role("alert")
    alert.wait_for()  # a name needs three letters
    assert nb.python("browser.error") in alert.inner_text()
    form.get_by_label("Name").fill("fresh")
    form.get_by_role("button", name="Create").click()
    nb.wait("'fresh' in client")
    assert nb.python("client.list_collections().loc['fresh', ['space', 'metadata']].tolist()") == [
        "cosine",
        {"owner": "me"},
    ]
    assert nb.wait("browser.collection is not None and browser.collection.name == 'fresh'")

    view.get_by_role("region", name="Collection fresh").get_by_role("button", name="Rename").click()
    form = view.get_by_role("form", name="Rename")
    form.get_by_label("New name").fill("renamed")
    form.get_by_label("New name").press("Enter")
    nb.wait("'renamed' in client and 'fresh' not in client")

    view.get_by_role("region", name="Collection renamed").get_by_role("button", name="Delete").click()
    view.get_by_role("form").get_by_role("button", name="Delete").click()  # empty: no name to type
    nb.wait("'renamed' not in client")
    view.get_by_role("row", name="renamed").wait_for(state="detached")


def test_deleting_items_needs_the_name(nb: Notebook, view: Locator) -> None:
    nb.execute("client.create_collection('doomed', embedding_function=None).add(ids=['a'], embeddings=[[1, 2]])")
    view.get_by_role("button", name="Refresh").click()
    _choose(nb, view, "doomed")
    view.get_by_role("region").get_by_role("button", name="Delete").click()
    form = view.get_by_role("form")
    assert "Delete doomed: 1 row" in form.inner_text()
    form.get_by_label("Name").fill("wrong")
    form.get_by_role("button", name="Delete").click()
    view.get_by_role("alert").wait_for()
    assert nb.python("'doomed' in client") is True
    form.get_by_label("Name").fill("doomed")
    form.get_by_role("button", name="Delete").click()
    nb.wait("'doomed' not in client")


def test_the_explorer_opens_inside(nb: Notebook, view: Locator) -> None:
    _choose(nb, view, "wordnet")
    view.get_by_role("button", name="Open explorer").click()
    nb.wait("browser.explorer is not None and browser.explorer.collection == docs", timeout=60)
    view.locator(".chroma-nb-explorer").wait_for()
    nb.screenshot("browser-explorer", view)
    view.get_by_role("button", name="Hide explorer").click()
    nb.wait("browser.explorer is None")
    view.locator(".chroma-nb-explorer").wait_for(state="detached")


def test_a_page_for_others(nb: Notebook, tmp_path: Path) -> None:
    """The file that an explorer writes: text stays text, also under the mouse, and nothing is fetched."""
    target = tmp_path / "page.html"
    nb.execute("explorer = hostile.explore(method='pca', color='<u>key</u>')")
    nb.execute(f"explorer.to_html({str(target)!r})\nexplorer.close()")
    page = nb.page.context.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(target.as_uri())
    plot = page.locator(".nsewdrag")
    hover(plot, (0.5, 0.5))  # the only item is in the middle
    told = page.locator(".hoverlayer .hovertext")
    told.wait_for()
    attack = "<img src=x onerror='window.attacked = 1'><script>window.attacked = 2</script>"
    assert attack.replace(" ", "") in (told.text_content() or "").replace(" ", "")  # lines are broken at spaces
    assert attack in page.get_by_role("table").inner_text()
    assert (page.locator(".legendtext").first.text_content() or "").startswith("<s>value</s>")
    assert page.evaluate("() => window.attacked ?? null") is None
    assert [url for url in fetched if not url.startswith(("file:", "blob:", "data:"))] == []
    page.close()


def test_the_same_browser_again(nb: Notebook, view: Locator) -> None:
    assert nb.python("client.explore() is browser") is True
    assert nb.errors == []


def test_something_remains_without_a_kernel(lab: Lab) -> None:
    nb = lab.notebook([SETUP])
    nb.run_all()
    card = nb.cell(0).locator(".chroma-nb-static")
    nb.cell(0).get_by_role("grid", name="Collections").wait_for()
    card.wait_for(state="attached")
    assert not card.is_visible()
    nb.save()
    nb.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    nb.page.goto(nb.page.url)
    nb.cell(0).get_by_text("Collections in memory").wait_for()
    assert card.is_visible()
    assert "wordnet" in card.inner_text()
    nb.screenshot("browser-closed", nb.cell(0))
