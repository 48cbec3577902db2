"""The query widget in JupyterLab: what is clicked and typed arrives in Python, what is set in Python is seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.gestures import settle
from tests.browser.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.browser.notebook import Notebook

SETUP = """
import chroma_nb
from chroma_nb.data import load_sample

frame = load_sample()
frame["animal"] = frame["lexname"] == "noun.animal"
frame["share"] = frame["gloss_len"] / 350
hostile = frame.iloc[[0]].rename(index={frame.index[0]: "hostile"})
hostile["document"] = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>bold</b>'
hostile["lexname"] = "<i>lex</i>"
client = chroma_nb.Client()
docs = client.create_collection("docs", metadata={"hnsw:space": "cosine"})
docs.add(frame)
docs.add(hostile)
"""
SHOW = "widget = docs.query_widget()\nwidget"
FRESH = """
widget.clear_filters()
widget.query = widget.sort = widget.error = None
widget.n_results, widget.showing, widget.page_size = 10, "rows", 10
for key in list(widget.keys):
    widget.widget.filters.act("fold", key=key)
"""


@pytest.fixture(scope="module")
def opened(shared_lab: Lab) -> Notebook:
    made = shared_lab.notebook([SETUP, SHOW], height=1400)
    made.run_all()
    made.cell(1).get_by_role("grid").wait_for()
    return made


@pytest.fixture
def nb(opened: Notebook) -> Iterator[Notebook]:
    opened.execute(FRESH)
    rows(opened.cell(1)).first.wait_for()
    yield opened
    assert opened.errors == []


@pytest.fixture
def view(nb: Notebook) -> Locator:
    return nb.cell(1)


def rows(view: Locator) -> Locator:
    return view.locator("tbody tr[data-at]")


def button(view: Locator, name: str) -> Locator:
    return view.get_by_role("button", name=name, exact=True)


def open_filter(view: Locator, key: str) -> Locator:
    """The control of a column, by way of the list of columns."""
    button(view, "Filter").click()
    view.get_by_title(f"Filter by {key}", exact=True).click()
    control = view.get_by_label(f"Filter by {key}", exact=True)
    control.wait_for()
    return control


def test_a_query(nb: Notebook, view: Locator) -> None:
    box = view.get_by_label("Text to search for")
    box.fill("a big cat")
    box.press("Enter")
    assert nb.wait("list(widget.results['document'].head(1))") == ["tabby, queen: female cat"]
    rows(view).filter(has_text="tabby, queen").first.wait_for()
    assert "10 results for a big cat" in view.inner_text()
    count = view.get_by_label("How many results")
    count.fill("3")
    button(view, "Search").click()
    assert nb.wait("len(widget.results) == 3 and widget.query") == "a big cat"
    button(view, "Clear").click()
    assert nb.wait("widget.query is None")
    view.get_by_text("1–10 of 4,001").wait_for()


def test_a_vector_and_an_id(nb: Notebook, view: Locator) -> None:
    button(view, "Vector").click()
    box = view.get_by_label("Vector to search for")
    box.fill("0.1, 0.2")
    box.press("Enter")
    alert = view.get_by_role("alert")
    alert.wait_for()
    assert "holds vectors of 384 numbers, the query has 2" in alert.inner_text()
    assert nb.python("widget.error").startswith("The collection docs")
    button(view, "Dismiss this message").click()
    assert nb.wait("widget.error is None")
    box.fill(", ".join(["0.5"] * 384))
    box.press("Enter")
    assert nb.wait("len(widget.results)") == 10
    button(view, "Like id").click()
    box = view.get_by_label("Id of an item")
    box.fill("n02122878")
    box.press("Enter")
    assert nb.wait("widget.query_label == 'like n02122878' and len(widget.results)") == 10
    assert nb.python("'n02122878' in widget.results.index") is False


def test_a_range(nb: Notebook, view: Locator) -> None:
    control = open_filter(view, "gloss_len")
    low = control.get_by_role("textbox", name="gloss_len from")
    low.fill("200")
    low.press("Enter")
    assert nb.wait("widget.where") == {"gloss_len": {"$gte": 200}}
    control.get_by_role("slider", name="gloss_len: upper end").focus()
    for _ in range(3):
        nb.page.keyboard.press("ArrowLeft")
    assert (
        nb.wait("len(widget.conditions) == 1 and widget.conditions[0].high == 345 and widget.conditions[0].low") == 200
    )
    assert nb.python("type(widget.conditions[0].low) is int and type(widget.conditions[0].high) is int")
    passing = nb.python("int(frame.gloss_len.between(200, 345).sum())")
    view.get_by_text(f"{passing:,} of 4,001 rows pass the filters").wait_for()
    low.fill("9999")
    low.press("Enter")
    view.get_by_role("alert").filter(has_text="smaller number goes first").wait_for()


def test_choice_text_and_flag(nb: Notebook, view: Locator) -> None:
    control = open_filter(view, "lexname")
    control.get_by_label("noun.plant").check()
    assert nb.wait("widget.where") == {"lexname": "noun.plant"}
    control.get_by_label("noun.time").check()
    assert nb.wait("widget.where != {'lexname': 'noun.plant'} and widget.where['lexname']['$in']") == [
        "noun.plant",
        "noun.time",
    ]
    control.get_by_label("Find among 9 values").press_sequentially("anim")
    assert control.get_by_role("checkbox").count() == 1
    text = open_filter(view, "lemma").get_by_label("lemma contains")
    text.fill("rose")
    text.press("Enter")
    assert nb.wait("len(widget.conditions) == 2 and len(widget.positions)") == nb.python(
        "int((frame.lemma.str.contains('rose') & frame.lexname.isin(['noun.plant', 'noun.time'])).sum())"
    )
    button(view, "Any").click()
    assert nb.wait("widget.match == 'any' and len(widget.positions)") == nb.python(
        "int((frame.lemma.str.contains('rose') | frame.lexname.isin(['noun.plant', 'noun.time'])).sum())"
    )
    flag = open_filter(view, "animal")
    flag.get_by_role("button", name=re.compile("^Yes")).click()
    assert nb.wait("len(widget.conditions) == 3 and widget.conditions[2].value")
    flag.get_by_role("button", name="Any", exact=True).click()
    assert nb.wait("len(widget.conditions) == 2")


def test_chips(nb: Notebook, view: Locator) -> None:
    nb.execute("widget.where = {'$and': [{'lexname': 'noun.body'}, {'gloss_len': {'$gt': 30}}]}")
    chips = view.get_by_label("Active filters")
    chips.get_by_text("lexname: noun.body").wait_for()
    assert chips.get_by_role("listitem").count() == 2
    button(chips, "lexname: noun.body").click()
    assert view.get_by_label("Filter by lexname", exact=True).get_by_label("noun.body").is_checked()
    remove = button(chips, 'Remove {"gloss_len": {"$gt": 30}}')
    remove.focus()
    nb.page.keyboard.press("Enter")
    assert nb.wait("widget.where == {'lexname': 'noun.body'}")
    button(view, "Clear all").click()
    assert nb.wait("widget.where is None")
    assert chips.count() == 0


def test_documents(nb: Notebook, view: Locator) -> None:
    box = view.get_by_label("Document contains", exact=True)
    box.fill("river")
    box.press("Enter")
    assert nb.wait("widget.where_document") == {"$contains": "river"}
    button(view, "Regular expression").click()
    assert nb.wait("widget.where_document == {'$regex': 'river'}")
    box.fill("(")
    box.press("Enter")
    view.get_by_role("alert").filter(has_text="missing )").wait_for()
    view.get_by_text("The filter cannot be evaluated").last.wait_for()
    button(view, "Regular expression").click()
    assert nb.wait("widget.error is None and widget.where_document == {'$contains': '('}")
    view.get_by_text("As code").click()
    assert view.locator("pre.chroma-nb-code").inner_text() == "where_document = {'$contains': '('}"
    button(view, "Copy").click()
    button(view, "Copied").wait_for()


def test_sorting_and_pages(nb: Notebook, view: Locator) -> None:
    header = view.get_by_role("columnheader", name=re.compile("^gloss_len"))
    header.get_by_role("button").click()
    assert nb.wait("widget.sort") == ["gloss_len", False]
    header.get_by_role("button").click()
    assert nb.wait("widget.sort[1]") is True
    rows(view).first.get_by_text("350", exact=True).wait_for()
    assert header.get_attribute("aria-sort") == "descending"
    button(view, "Last page").click()
    assert nb.wait("widget.page") == 400
    view.get_by_text("4,001–4,001 of 4,001").wait_for()
    assert rows(view).count() == 1
    view.get_by_label("Rows of a page").select_option("25")
    assert nb.wait("widget.page_size == 25")
    view.get_by_text("1–25 of 4,001").wait_for()
    button(view, "Next page").click()
    button(view, "Next page").click()
    assert nb.wait("widget.page == 2")


def test_more_like_this_by_mouse_and_keyboard(nb: Notebook, view: Locator) -> None:
    first = nb.python("widget.table().index[0]")
    button(view, f"More like {first}").click()
    assert nb.wait("widget.query.id") == first
    view.get_by_text(f"10 results for like {first}").wait_for()
    second = nb.python("widget.results.index[1]")
    rows(view).first.focus()
    nb.page.keyboard.press("ArrowDown")
    nb.page.keyboard.press("m")
    assert nb.wait(f"widget.query.id != {first!r} and widget.query.id") == second
    # The keys belong to the row: M alone would have made the cell a text cell.
    assert nb.page.locator(".jp-MarkdownCell").count() == 0
    view.get_by_text(f"10 results for like {second}").wait_for()


def test_rows_unfold_and_are_chosen(nb: Notebook, view: Locator) -> None:
    nb.execute("chosen = []; widget.widget.table.on_row(chosen.append)")
    rows(view).nth(2).click()
    assert nb.wait("chosen == [widget.table().index[2]]")
    assert rows(view).nth(2).get_attribute("aria-selected") == "true"
    nb.page.keyboard.press(" ")
    detail = view.locator(".chroma-nb-detail")
    detail.wait_for()
    assert nb.python("widget.table().document.iloc[2]") in detail.inner_text()
    nb.page.keyboard.press("ArrowUp")
    nb.page.keyboard.press("Enter")
    assert nb.wait("len(chosen) == 2 and chosen[1] == widget.table().index[1]")


def test_hostile_texts_are_texts(nb: Notebook, view: Locator) -> None:
    nb.execute("widget.where = {'lexname': '<i>lex</i>'}; widget.error = '<b>no</b>'")
    row = rows(view).filter(has_text="hostile")
    row.wait_for()
    button(view, "Show all of it").click()
    view.locator(".chroma-nb-detail").get_by_text('<img src=x onerror="window.hacked=1">').wait_for()
    button(view, "lexname: <i>lex</i>").click()
    view.get_by_label("Filter by lexname", exact=True).get_by_text("<i>lex</i>").wait_for()
    assert view.get_by_role("alert").inner_text() == "<b>no</b>"
    assert view.locator(".chroma-nb").locator("img, script, b, i").count() == 0
    assert view.locator("img, script").count() == 0
    assert nb.page.evaluate("() => window.hacked === undefined")


def test_set_from_code_and_shown_again(nb: Notebook, view: Locator) -> None:
    nb.execute("widget.query = 'from code'; widget.where = {'animal': True}")
    view.get_by_text("500 of 4,001 rows pass the filters").wait_for()
    assert view.get_by_label("Text to search for").input_value() == "from code"
    again = nb.add("docs.query_widget()")
    assert nb.cell(again).get_by_label("Text to search for").input_value() == "from code"
    nb.cell(again).get_by_label("Text to search for").fill("from below")
    nb.cell(again).get_by_label("Text to search for").press("Enter")
    nb.wait("widget.query == 'from below'")
    view.get_by_text("10 results for from below").wait_for()


def test_the_data_changes(nb: Notebook, view: Locator) -> None:
    nb.execute("docs.add(ids='new', embeddings=[[1.0] * 384], documents='fresh')")
    nb.page.mouse.move(0, 0)
    nb.page.wait_for_timeout(3100)  # it looks no more often
    view.get_by_label("Text to search for").hover()
    button(view, "Refresh").click()
    view.get_by_text("4,002 rows").wait_for()
    nb.execute("docs.delete(ids='new'); widget.refresh()")


def test_a_reloaded_page_goes_on(nb: Notebook) -> None:
    nb.execute("widget.query = 'before'; widget.where = {'animal': True}")
    nb.reload()
    view = nb.cell(1)
    rows(view).first.wait_for()
    assert view.get_by_label("Text to search for").input_value() == "before"
    button(view, "animal: yes").click()
    view.get_by_label("Filter by animal", exact=True).get_by_role("button", name=re.compile("^No")).click()
    assert nb.wait("widget.where == {'animal': False} and len(widget.positions)") == 3501
    box = view.get_by_label("Text to search for")
    box.fill("after")
    box.press("Enter")
    view.get_by_text("10 results for after").wait_for()
    assert nb.python("widget.query") == "after"


@pytest.mark.parametrize(("theme", "width"), [("light", 700), ("dark", 1280)])
def test_looks(lab: Lab, theme: str, width: int) -> None:
    nb = lab.notebook([SETUP, SHOW], theme=theme, width=width, height=1300)
    nb.run_all()
    view = nb.cell(1)
    rows(view).first.wait_for()
    nb.execute("widget.query = 'a big cat'; widget.where = {'$and': [{'gloss_len': {'$gte': 40}}, {'pos': 'n'}]}")
    nb.execute("[widget.widget.filters.act('open', key=key) for key in ('gloss_len', 'lexname', 'animal', 'lemma')]")
    view.get_by_label("Filter by lemma", exact=True).wait_for()
    settle(nb.page)
    nb.screenshot(f"query-widget-{theme}-{width}", view)
    box = view.bounding_box()
    assert box is not None
    for part in view.locator("button, input, select").all():
        if part.is_visible() and not part.evaluate("node => node.closest('.chroma-nb-scroll') !== null"):
            place = part.bounding_box()
            assert place is not None
            assert place["x"] >= box["x"] - 1
            assert place["x"] + place["width"] <= box["x"] + box["width"] + 1
    colours = nb.page.evaluate(
        """() => ({
            text: getComputedStyle(document.querySelector(".chroma-nb-scroll td")).color,
            back: getComputedStyle(document.querySelector(".chroma-nb-scroll")).backgroundColor,
        })"""
    )
    shade = {name: sum(map(float, re.findall(r"[\d.]+", value)[:3])) for name, value in colours.items()}
    assert (shade["text"] > shade["back"]) == (theme == "dark")
    assert nb.errors == []
