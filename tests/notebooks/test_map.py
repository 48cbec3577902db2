"""03_map shows what its prose promises."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.notebooks.executed import NOTEBOOKS, WIDGET, Run, series

NOTEBOOK = NOTEBOOKS / "03_map.ipynb"
CATEGORIES = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("map")
    done = Run(Path(shutil.copy(NOTEBOOK, folder)))
    assert [child.name for child in folder.iterdir()] == [NOTEBOOK.name], "the notebook littered its folder"
    return done


def test_every_cell_shows_something(run: Run) -> None:
    assert [cell.source for cell in run.cells if not cell.outputs] == [run.cells[0].source]
    assert run.strays() == []


@pytest.mark.parametrize("snippet", ["pca.head(3)", "umap.head(3)"])
def test_maps_are_frames(run: Run, snippet: str) -> None:
    columns, rows = run.frame(snippet)
    assert columns == ["x", "y"]
    assert len(rows) == 3


def test_figures(run: Run) -> None:
    for snippet in ('docs.plot(method="pca"', 'docs.plot(color="lexname"'):
        assert len(run.figure(snippet)["data"]) == CATEGORIES
    assert "food for a long journey" in [trace.get("name") for trace in run.figure('docs.plot(color="gloss')["data"]]


def test_where_categories_lie(run: Run) -> None:
    columns, rows = run.frame('sort_values("spread")')
    assert columns == ["x", "y", "spread"]
    assert len([row for row in rows if len(row) == 4]) == CATEGORIES
    assert len(run.frame('points.nlargest(6, "away")')[1]) == 6


def test_umap_is_to_be_trusted_more(run: Run) -> None:
    found = series(run.text("trustworthiness(vectors"))
    assert 0.7 < float(found["PCA"]) < 0.85
    assert 0.9 < float(found["UMAP"]) <= 1


def test_new_texts(run: Run) -> None:
    assert run.text("moved = ") == "'200 new points, the others moved by 0.0'"
    found = {name: float(value) for name, value in series(run.text("on_map = ")).items()}
    assert found["in 384 dimensions"] - 0.1 < found["on the map"], "the prose says: nearly as often"


def test_a_refit_looks_like_the_map_before(run: Run) -> None:
    share = re.search(r"less than ([\d.]+)%", run.text("refresh=True"))
    assert share is not None
    assert float(share[1]) < 10


def test_a_region_and_its_texts(run: Run) -> None:
    counts = {name: int(value) for name, value in series(run.text("nsmallest(300)")).items() if "." in name}
    assert sum(counts.values()) == 300
    assert 150 < counts["noun.food"] < 300, "not all of them are food"
    _, rows = run.frame('!= "noun.food"')
    assert len(rows) == 6
    assert WIDGET in run.result("docs.explore(")
    selected = {name: int(value) for name, value in series(run.text("explorer.selection")).items() if "." in name}
    assert selected == counts
