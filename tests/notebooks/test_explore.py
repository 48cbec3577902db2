"""02_explore shows what its prose promises, keeps its store, and leaves a picture where no kernel is."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

import chroma_nb
from tests.notebooks.executed import NOTEBOOKS, WIDGET, Run

NOTEBOOK = NOTEBOOKS / "02_explore.ipynb"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook run twice in one folder: the second time on the store that the first has made."""
    folder = tmp_path_factory.mktemp("explore")
    path = Path(shutil.copy(NOTEBOOK, folder))
    first = Run(path)
    assert "4,000 items" in first.result("client.get_or_create_collection")["text/html"]
    with chroma_nb.Client(folder / "explore", read_only=True) as client:
        assert client["wordnet"].count() == 4000
    second = Run(path)
    assert sorted(child.name for child in folder.iterdir()) == [NOTEBOOK.name, "explore"]
    for snippet in ("explorer.results[", "explorer.selection[", "plan_tag"):
        assert first.frame(snippet) == second.frame(snippet), "it can be run again"
    assert first.strays() == []
    return second


def test_every_cell_shows_something(run: Run) -> None:
    assert [cell.source for cell in run.cells if not cell.outputs] == [run.cells[0].source]
    assert run.strays() == []


@pytest.mark.parametrize("snippet", ["docs.explore(", "query_widget(", "client.explore()"])
def test_widgets_have_a_view_and_what_stands_for_it(run: Run, snippet: str) -> None:
    shown = run.result(snippet)
    assert {WIDGET, "text/html", "text/plain"} <= set(shown)
    assert "<script" not in shown["text/html"]


def test_without_a_kernel_there_is_a_picture_and_a_table(run: Run) -> None:
    shown = run.result("docs.explore(")
    assert base64.b64decode(shown["image/png"]).startswith(PNG)
    (cell,) = [cell for cell in run.cells if "docs.explore(" in cell.source]
    exported = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    page, _ = HTMLExporter().from_notebook_node(exported)  # type: ignore[no-untyped-call]
    pictures = re.findall(r'<img[^>]+src="data:image/png;base64,([^"]+)"', page)
    assert any(len(picture) > 10_000 and base64.b64decode(picture).startswith(PNG) for picture in pictures)
    assert "Helvella acetabulum" in page, "the table of the first rows"


def test_the_hits(run: Run) -> None:
    columns, rows = run.frame("explorer.results[")
    assert columns == ["distance", "document", "gloss_len"]
    assert len(rows) == 10
    assert "mortgage" in rows[0][2]


def test_the_filtered_rows(run: Run) -> None:
    assert re.search(r"count +500\.0", run.text("explorer.view["))


def test_the_selection_is_the_hits(run: Run) -> None:
    _, hits = run.frame("explorer.results[")
    columns, rows = run.frame("explorer.selection[")
    assert columns == ["lemma", "lexname", "document"]
    assert {row[0] for row in rows} == {row[0] for row in hits}
    assert {row[2] for row in rows} == {"noun.possession"}


def test_code_and_sql(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    printed = run.printed("print(explorer.code())")
    compile(printed, "code", "exec")
    assert "the money you borrow to buy a house" in printed
    assert "noun.possession" in run.printed("print(explorer.sql)")
    columns, rows = run.frame("print(explorer.sql)")
    assert columns == ["texts", "mean_length"]
    assert [row[:2] for row in rows if len(row) > 2] == [["noun.possession", "500"]]


def test_tags_and_undo(run: Run) -> None:
    columns, rows = run.frame("plan_tag")
    assert run.printed("plan_tag").startswith("Write topic = 'loans' to 10 rows.")
    assert columns == ["lemma", "lexname", "topic"]
    assert [row[-1] for row in rows] == ["loans"] * 10
    assert "10 rows" in run.printed("explorer.curation.undo")
    assert run.text("explorer.curation.undo") == "0"


def test_saved_views(run: Run) -> None:
    found = run.text("explorer.save(")
    assert found == "('the money you borrow to buy a house', {'lexname': 'noun.possession'}, 10)"


def test_figure(run: Run) -> None:
    names = [trace.get("name") or "" for trace in run.figure("explorer.figure()")["data"]]
    assert "hits (10)" in names
