"""The quickstart runs, shows what its prose promises, can be run again and leaves nothing behind."""

from __future__ import annotations

import html
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import chroma_nb
from chroma_nb.demo import prepare, shipped_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"
HITS = ["query", "rank", "distance", "document"]
METADATA = ["lemma", "pos", "lexname", "n_lemmas", "gloss_len"]


class Run:
    """An executed notebook, its code cells found by what they say."""

    def __init__(self, folder: Path) -> None:
        content = nbformat.read(folder / NOTEBOOK.name, as_version=4)  # type: ignore[no-untyped-call]
        client = NotebookClient(
            content,
            timeout=300,
            startup_timeout=180,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
        client.execute()
        self.cells = [cell for cell in content.cells if cell.cell_type == "code"]

    def result(self, snippet: str) -> dict[str, Any]:
        """What the one cell that contains this shows, by mime type."""
        (cell,) = [cell for cell in self.cells if snippet in cell.source]
        (output,) = cell.outputs
        found: dict[str, Any] = output.data
        return found

    def frame(self, snippet: str) -> tuple[list[str], list[list[str]]]:
        """The columns and the rows (index first) of the table that a cell shows."""
        page = self.result(snippet)["text/html"]
        head, body = page.split("</thead>")
        columns = [html.unescape(name) for name in re.findall(r"<th>(.*?)</th>", head.split("</tr>")[0]) if name]
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        return columns, [[html.unescape(v) for v in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)] for row in rows]


@pytest.fixture(scope="module", autouse=True)
def _kernel_finds_the_library() -> Any:
    """Kernels import the chroma_nb that is tested, installed or not, and download nothing."""
    with pytest.MonkeyPatch.context() as patch:
        root = str(Path(chroma_nb.__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
        patch.setenv("CHROMA_NB_OFFLINE", "1")
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook opened by itself, as in a clone: without a store beside it."""
    folder = tmp_path_factory.mktemp("alone")
    temporary = tmp_path_factory.mktemp("temporary")
    shutil.copy(NOTEBOOK, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setenv("TEMP", str(temporary))
        run = Run(folder)
    assert [path.name for path in folder.iterdir()] == [NOTEBOOK.name], "the notebook littered its folder"
    assert list(temporary.glob("tmp*/chroma_nb.duckdb")) == [], "the scratch store outlived the kernel"
    return run


def test_is_committed_without_outputs() -> None:
    content = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert len(code) >= 15
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert content.metadata.kernelspec.name == "python3"
    assert shipped_notebook().read_bytes() == NOTEBOOK.read_bytes()


def test_opens_with_prose_and_every_cell_shows_something(alone: Run) -> None:
    silent = [cell.source for cell in alone.cells if not cell.outputs]
    assert len(silent) == 1, "only the imports are silent"
    assert silent[0].startswith("import ")
    outputs = [output for cell in alone.cells for output in cell.outputs]
    extra = [
        output for output in outputs if output.output_type != "execute_result" and PLOTLY not in output.get("data", {})
    ]
    assert extra == [], "something was printed, warned of, or drawn as a progress bar"


def test_cards(alone: Run) -> None:
    assert "no collections yet" in alone.result("scratch.name")["text/html"]
    assert "4,000 items" in alone.result("docs.upsert(texts)")["text/html"]


def test_frames_in_and_out(alone: Run) -> None:
    columns, rows = alone.frame("texts.head(3)")
    assert columns == ["document", *METADATA, "embedding"]
    assert alone.frame("docs.peek(5)")[0] == ["document", *METADATA]
    assert [row[0] for row in alone.frame("docs.peek(5)")[1][:3]] == [row[0] for row in rows]
    columns, rows = alone.frame("client.list_collections()")
    assert columns[:4] == ["id", "count", "dimension", "space"]
    assert [(row[0], row[2:5]) for row in rows] == [("wordnet", ["4000", "384", "cosine"])]


def test_filters(alone: Run) -> None:
    columns, rows = alone.frame("where_document=")
    assert len(rows) == 5
    for row in rows:
        item = dict(zip(["id", *columns], row, strict=True))
        assert item["lexname"] in ("noun.food", "noun.plant")
        assert int(item["gloss_len"]) > 120


def test_queries(alone: Run) -> None:
    columns, rows = alone.frame("the money you borrow")
    assert columns == [*HITS, *METADATA]
    assert [row[2] for row in rows] == ["0", "1", "2", "3", "4"]
    distances = [float(row[3]) for row in rows]
    assert distances == sorted(distances)
    assert "mortgage" in rows[0][4]
    lemmas = [row[5] for row in alone.frame('"orange"')[1]]
    assert lemmas == ["Aleuria aurantia", "tangelo", "carrot"], "the prose says: a fungus, a fruit and a root"
    assert [row[2].partition(":")[0] for row in alone.frame("half_way")[1][:2]] == ["falcon", "flamingo"]


def test_several_queries_and_groups(alone: Run) -> None:
    columns, rows = alone.frame("questions =")
    assert columns == HITS
    assert [(row[1], row[2]) for row in rows] == [(str(query), str(rank)) for query in range(3) for rank in range(3)]
    columns, rows = alone.frame("hits.groupby")
    assert columns == ["closest", "answer", "category"]
    assert [row[3] for row in rows] == ["noun.food", "noun.possession", "verb.motion"]


def test_edits(alone: Run) -> None:
    columns, rows = alone.frame("menu.upsert(food)")
    assert columns == [*HITS, *METADATA, "sweet", "words"]
    assert len(rows) == 5
    assert all(row[-2] == "True" and int(row[-1]) < 15 for row in rows)
    (honey_cake,) = [row for row in alone.frame("merge=True")[1] if row[3] == "honey cake"]
    assert honey_cake[-2:] == ["True", "True"], "merge kept `sweet`"
    before, after = map(int, re.findall(r"\d+", alone.result("menu.delete")["text/plain"]))
    assert before == 500
    assert 0 < after < 500


def test_sql(alone: Run) -> None:
    columns, rows = alone.frame("client.sql(")
    assert columns == ["lexname", "texts", "mean_length", "longest"]
    assert [row[2] for row in rows] == ["500"] * 8


def test_map(alone: Run) -> None:
    figure = alone.result("px.scatter(")[PLOTLY]
    names = [trace["name"] for trace in figure["data"]]
    assert len(names) == 9
    assert names[-1] == "hits"
    assert all(name.startswith(("noun.", "verb.")) for name in names[:-1])
    assert "customdata" in figure["data"][0]["hovertemplate"]
    assert "width" not in figure["layout"], "it fills the width of the notebook"


def test_runs_again_on_a_store_beside_it(tmp_path: Path) -> None:
    """What `chroma-nb demo` makes, with the changes of an earlier run in it."""
    made = prepare(tmp_path)
    assert made.new
    for _ in range(2):
        run = Run(tmp_path)
        assert "4,000" in run.result("scratch.name")["text/html"]
        assert run.result("menu.delete")["text/plain"].startswith("'500 dishes")
    with chroma_nb.Client(made.store, read_only=True) as client:
        assert client.list_collections().index.tolist() == ["wordnet", "menu"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [NOTEBOOK.name, "db"]
