"""05_page makes the store if it is missing, shows the explorer, and may be open many times at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import chroma_nb
from tests.notebooks.executed import NOTEBOOKS, WIDGET, Run

NOTEBOOK = NOTEBOOKS / "05_page.ipynb"


def test_first_and_later_visitors(tmp_path: Path) -> None:
    path = Path(shutil.copy(NOTEBOOK, tmp_path))
    first = Run(path)
    with chroma_nb.Client(tmp_path / "explore", read_only=True) as another:
        assert another["wordnet"].count() == 4000
        second = Run(path)
    for run in (first, second):
        assert {WIDGET, "text/html", "image/png"} <= set(run.result('color="lexname"'))
        assert run.strays() == []
    assert sorted(child.name for child in tmp_path.iterdir()) == [NOTEBOOK.name, "explore"]
