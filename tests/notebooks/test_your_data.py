"""04_your_data shows what its prose promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.notebooks.executed import NOTEBOOKS, WIDGET, Run

NOTEBOOK = NOTEBOOKS / "04_your_data.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("data")
    done = Run(Path(shutil.copy(NOTEBOOK, folder)))
    assert [child.name for child in folder.iterdir()] == [NOTEBOOK.name], "the notebook littered its folder"
    return done


def test_every_cell_shows_something(run: Run) -> None:
    assert [cell.source for cell in run.cells if not cell.outputs] == [run.cells[0].source]
    assert run.strays() == []


def test_a_function_of_ones_own(run: Run) -> None:
    assert run.text("def spelling") == "'6 of the 9 pieces of “mortgage” are in “morgage”, too'"
    assert "3,841 items" in run.result("embedding_function=spelling")["text/html"]
    _, rows = run.frame("typos = ")
    assert [row[-1] for row in rows if row[2] == "0"] == ["mortgage", "flamingo"]


def test_pictures(run: Run) -> None:
    titles = [note["text"] for note in run.figure("show(range(12)")["layout"]["annotations"]]
    assert sorted(titles, key=int) == sorted(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "1"], key=int)
    assert len(run.figure("show(range(12)")["data"]) == 12


def test_images_as_embeddings(run: Run) -> None:
    columns, _ = run.frame("frame.head(3)")
    assert columns == ["vector", "label", "ink"]
    assert "1,797 items" in run.result('embedding="vector"')["text/html"]
    assert {WIDGET, "image/png"} <= set(run.result("images.explore("))
    assert len(run.figure("explorer.like(")["data"]) == 11


def test_wrong_labels_are_found(run: Run) -> None:
    assert run.text("suspects = ") == "'24 suspects; 20 of the 20 wrong labels are among them'"
    titles = [note["text"] for note in run.figure("show(suspects")["layout"]["annotations"]]
    assert len(titles) == 24
    assert all(title.endswith("?") for title in titles)
    columns, rows = run.frame('suspect": True}] *')
    assert columns[-1] == "suspect"
    assert {row[-1] for row in rows} == {"True"}
