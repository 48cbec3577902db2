"""The notebooks as they lie in the repository."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from chroma_nb.demo import NOTEBOOKS as SHIPPED
from chroma_nb.demo import shipped_notebook
from tests.notebooks.executed import NOTEBOOKS


@pytest.fixture(params=SHIPPED)
def content(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(NOTEBOOKS / request.param, as_version=4)  # type: ignore[no-untyped-call]


def test_all_are_shipped() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == sorted(SHIPPED)
    for name in SHIPPED:
        assert shipped_notebook(name).read_bytes() == (NOTEBOOKS / name).read_bytes()


def test_without_outputs(content: Any) -> None:
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert content.metadata.kernelspec.name == "python3"
    assert "widgets" not in content.metadata


def test_begins_with_prose_that_says_what_it_is(content: Any) -> None:
    assert content.cells[0].cell_type == "markdown"
    assert content.cells[0].source.startswith("# ")


def test_links_lead_to_notebooks_that_are_shipped(content: Any) -> None:
    prose = "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")
    assert set(re.findall(r"\]\(([^)]+)\)", prose)) <= set(SHIPPED)
