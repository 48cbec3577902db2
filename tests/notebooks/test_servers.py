"""06_servers shows what its prose promises, and leaves no server and no file behind."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.notebooks.executed import NOTEBOOKS, WIDGET, Run

NOTEBOOK = NOTEBOOKS / "06_servers.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("servers")
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))
        done = Run(Path(shutil.copy(NOTEBOOK, folder)))
    assert [child.name for child in folder.iterdir()] == [NOTEBOOK.name], "the notebook littered its folder"
    assert [child.name for child in scratch.glob("servers-*")] == [], "its scratch folder is still there"
    return done


def test_every_cell_shows_something(run: Run) -> None:
    assert [cell.source for cell in run.cells if not cell.outputs] == [run.cells[0].source]
    (said,) = run.strays()  # the one line of a client that shares what another process has open
    assert re.fullmatch(r"\S+/db is open in another notebook or program \(process \d+\): .*\n", said["text"])


def test_a_server(run: Run) -> None:
    line = run.text("Popen(command")
    assert re.fullmatch(r"'chroma_nb serves \.\.\./db at http://127\.0\.0\.1:\d+ .*'", line)
    assert "4,000 items" in run.result("HttpClient(address)")["text/html"]
    columns, rows = run.frame('docs.query("something to eat in the morning"')
    assert columns[:4] == ["query", "rank", "distance", "document"]
    assert len(rows) == 5
    assert "breakfast" in rows[0][4]
    assert run.text("same = local") == "'the frames of both are the same'"
    assert run.text("urlopen(f") == "['wordnet']"


def test_the_explorer(run: Run) -> None:
    assert {WIDGET, "image/png", "text/html"} <= set(run.result("explorer = docs.explore("))
    _, rows = run.frame("explorer.results")
    assert len(rows) == 3


def test_two_notebooks(run: Run) -> None:
    said = run.printed("other_notebook = ").splitlines()
    assert said[:2] == ["2 notes are there before", "buy milk and bread"]
    assert re.search(r"\.\.\./shared is open in another notebook or program \(process \d+\)", "\n".join(said[2:]))
    _, rows = run.frame("notes.get()")
    assert [row[1] for row in rows] == ["call the library", "return the books", "buy milk and bread"]
    assert len(run.frame("beside.sql(")[1]) == 3


@pytest.mark.parametrize(
    ("snippet", "name", "counts"),
    [
        ("mine.copy_to(remote)", "notes", ["3", "3", "0", "0"]),
        ('remote.copy_to(mine, "wordnet")', "wordnet", ["4000", "4000", "0", "0"]),
        ('on_conflict="skip"', "notes", ["4", "1", "3", "0"]),
    ],
)
def test_copies(run: Run, snippet: str, name: str, counts: list[str]) -> None:
    columns, rows = run.frame(snippet)
    assert columns == ["items", "copied", "skipped", "already_there", "seconds", "verified"]
    (shown,) = [row for row in rows if row[0] == name]
    assert [*shown[1:5], shown[-1]] == [*counts, "True"]


def test_a_sample_says_that_it_is_one(run: Run) -> None:
    assert "A sample of 20,000 of 25,000 items" in run.result("large.explore(")["text/html"]


def test_the_end(run: Run) -> None:
    assert run.printed("server.terminate()") == "the server ended with code 0\n"
