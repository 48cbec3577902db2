"""The quickstart runs, shows what its prose promises, can be run again and leaves nothing behind."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

import chroma_nb
from chroma_nb.demo import NOTEBOOKS as SHIPPED
from chroma_nb.demo import prepare
from tests.notebooks.executed import NOTEBOOKS, PLOTLY, WIDGET, Run, is_progress

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOK = NOTEBOOKS / "01_quickstart.ipynb"
HITS = ["query", "rank", "distance", "document"]
METADATA = ["lemma", "pos", "lexname", "n_lemmas", "gloss_len"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook opened by itself, as in a clone: without a store beside it."""
    folder = tmp_path_factory.mktemp("alone")
    temporary = tmp_path_factory.mktemp("temporary")
    shutil.copy(NOTEBOOK, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setenv("TEMP", str(temporary))
        run = Run(folder / NOTEBOOK.name)
    assert [path.name for path in folder.iterdir()] == [NOTEBOOK.name], "the notebook littered its folder"
    assert list(temporary.glob("tmp*/chroma_nb.duckdb")) == [], "the scratch store outlived the kernel"
    return run


def test_opens_with_prose_and_every_cell_shows_something(alone: Run) -> None:
    silent = [cell.source for cell in alone.cells if not cell.outputs]
    assert len(silent) == 1, "only the imports are silent"
    assert silent[0].startswith("import ")
    outputs = [output for cell in alone.cells for output in cell.outputs if not is_progress(output)]
    shown = {PLOTLY, WIDGET, "image/png"}
    extra = [
        output
        for output in outputs
        if output.output_type != "execute_result" and not shown & set(output.get("data", {}))
    ]
    assert extra == [], "something was printed, or warned of"
    (bars,) = [cell.source for cell in alone.cells if any(map(is_progress, cell.outputs))]
    assert "docs.plot(" in bars, "only the map takes long enough for a bar"


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
    figure = alone.figure("docs.plot(")
    names = [trace["name"] for trace in figure["data"] if trace.get("name")]
    assert len(names) == 10
    assert all(name.startswith(("noun.", "verb.")) and name.endswith(" (500)") for name in names[:8])
    assert names[8:] == ["hits (20)", "food for a long journey"]
    assert "star" in str(figure["data"][-1]["marker"]["symbol"]), "the prose speaks of a star"
    assert figure["layout"].get("width") is None, "it fills the width of the notebook"


def test_explorer(alone: Run) -> None:
    shown = alone.result("docs.explore(")
    assert {WIDGET, "text/html", "image/png", "text/plain"} <= set(shown)
    assert len(alone.frame("explorer.results[")[1]) == 3


def test_runs_again_on_a_store_beside_it(tmp_path: Path) -> None:
    """What `chroma-nb demo` makes, with the changes of an earlier run in it."""
    made = prepare(tmp_path)
    assert made.new
    for _ in range(2):
        run = Run(made.notebook)
        assert "4,000" in run.result("scratch.name")["text/html"]
        assert run.result("menu.delete")["text/plain"].startswith("'500 dishes")
    with chroma_nb.Client(made.store, read_only=True) as client:
        assert client.list_collections().index.tolist() == ["wordnet", "menu"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*SHIPPED, "db"]
