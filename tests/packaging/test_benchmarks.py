"""The comparison with the peers: what it says follows from the numbers, and the whole of it runs through."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from tests.benchmarks import corpus, environments, fresh, goals, plot, report, scale_data
from tests.benchmarks.compare import OURS, PEERS, Results
from tests.benchmarks.goals import ROWS, Goal, Row
from tests.benchmarks.peers import asking, ours
from tests.benchmarks.peers.given import Given

ROOT = Path(__file__).parents[2]
ROWS_OF_ALL = [row for row in ROWS if not row.key.endswith("map s")]


# the whole, small --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_yields_every_row(tmp_path: Path) -> None:
    files = ["--report", str(tmp_path / "results.md"), "--plot", str(tmp_path / "results.svg")]
    sizes = ["--rows", "600", "--repeats", "1", "--patience", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "compare", *sizes, "--keep", str(tmp_path / "keep"), *files],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "results.json").read_text())
    medians = written["medians"]
    linux_only = {row.key for row in ROWS if row.unit == "MB" and row.key != "disk MB"}
    expected = {row.key for row in ROWS_OF_ALL} - (set() if sys.platform == "linux" else linux_only)
    assert expected <= medians[goals.OURS].keys()
    needed = {goal.of: goal.key or row.key for row in ROWS for goal in row.goals if goal.of}
    assert all(key in medians[of] for of, key in needed.items())
    assert medians[goals.OURS]["mistakes"] == medians[goals.DUCKDB]["mistakes"] == 0
    exact = {key: value for key, value in medians[goals.OURS].items() if key.endswith("recall")}
    assert exact.keys() >= {"query recall", "frame recall", "many recall", "busy recall"}
    assert min(exact.values()) > 0.999, exact  # so few items have no graph
    assert set(written["verdicts"].values()) == {""}
    for told in (done.stdout, (tmp_path / "results.md").read_text()):
        assert all(row.label in told for row in ROWS_OF_ALL if row.key in expected)
        assert "not judged here" in told
        assert str(tmp_path) not in told
    drawing = _parsed((tmp_path / "results.svg").read_text())
    assert len(drawing.findall(".//{*}g")) > 40


def test_contestants_bring_nothing_of_this_project() -> None:
    """They run where it is not installed; and the time of an import is that of a process without numpy."""
    names = ", ".join(f"tests.benchmarks.peers.{peer.module}" for peer in PEERS.values())
    code = f"import sys, {names}; print([name for name in ('chroma_nb', 'numpy', 'pyarrow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


# what is asked of everybody ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("corpus")
    corpus.prepare(None, folder, 300)
    return Given(folder, folder / "work")


def _filled(given: Given) -> ours.Frames:
    docs = chroma_nb.Client().create_collection("docs", {"hnsw:space": "cosine"}, embedding_function=None)
    docs.add(given.items.to_pandas().set_index("id"), embeddings=given.vectors)
    return ours.Frames(docs)


def test_changes_that_did_not_happen_are_mistakes(given: Given) -> None:
    docs = _filled(given)
    found = asking.check_changes(docs, given)
    assert found["mistakes, count"] == 30
    assert found["mistakes, deleted"] > 30
    assert found["mistakes, updated"] == 30
    assert found["mistakes, upserted"] > 20
    asking.measure_changes(docs, given)
    assert set(asking.check_changes(docs, given).values()) == {0}


def test_a_deleted_item_that_comes_back_is_a_mistake(given: Given) -> None:
    docs = _filled(given)
    asking.measure_changes(docs, given)
    back = given.changed.deleted[:1]
    frame = given.items.to_pandas().set_index("id").loc[back]
    docs.upsert((frame, given.changed.deleted_vectors[:1]))
    assert asking.check_changes(docs, given)["mistakes, deleted"] >= 2  # by id, and by its own vector


def test_exact_answers_fulfil_the_filters(given: Given) -> None:
    docs, items = _filled(given), given.items.to_pandas()
    with np.load(given.corpus / "nearest.npz") as true:
        for name, conditions in given.filters.items():
            condition = conditions[0]
            wanted = {items["id"][at] for at in true[name][0] if at >= 0}
            found = docs.query(given.queries[0], docs.native(condition))
            assert set(found.index) == wanted, name
            assert len(wanted) <= asking.RESULTS
    assert given.recall("query", {0: []}) == 0.0
    assert given.recall("query", {0: docs.ids(docs.query(given.queries[0]))}) == 1.0


def test_a_corpus_is_prepared_once(tmp_path: Path) -> None:
    first = corpus.prepare(None, tmp_path, 120)
    written = (tmp_path / "vectors.npy").stat().st_mtime_ns
    assert corpus.prepare(None, tmp_path, 120) == first
    assert (tmp_path / "vectors.npy").stat().st_mtime_ns == written
    corpus.prepare(None, tmp_path, 130)
    assert len(np.load(tmp_path / "vectors.npy")) == 130


def test_made_up_items_pass_filters_as_the_names_say() -> None:
    sizes, given_out = scale_data._model().sizes, scale_data.categories(corpus._LEXNAMES)
    filters = corpus.conditions(pd.DataFrame({"lexname": [], "pos": []}))
    for percent in (0.07, 0.9, 9.9):
        (condition,) = filters[f"filter {percent} %"]
        assert sizes[given_out == condition["value"]].sum() == pytest.approx(percent / 100, abs=1e-4)
    items = corpus.made_up(2_000)[0].frame
    assert 0.41 < (items["gloss_len"] < 60).mean() < 0.47
    assert 0.01 < items["document"].str.contains("plant").mean() < 0.03
    assert set(corpus._LEXNAMES) & {"verb.weather", "noun.event"} <= set(items["lexname"])


# what the numbers say ------------------------------------------------------------------------------------


def _results(numbers: Mapping[str, Mapping[str, float]], rows: int = corpus.FULL) -> Results:
    about = {
        "corpus": {"corpus": "WordNet", "rows": rows, "dimension": 384},
        "versions": dict.fromkeys(numbers, "1.0"),
        "machine": "a machine",
        "date": "2026-01-01",
        "repeats": 1,
        "busy before": 0.0,
        "busy after": 0.0,
    }
    results = Results(about)
    for name, one in numbers.items():
        results.note(name, "step", dict(one))
    return results


@pytest.mark.parametrize(
    ("ours_add", "bare", "verdict"),
    [
        (2.0, 2.0, "met"),
        (3.0, 2.5, "met"),
        (4.5, 9.0, "missed: <= 3 s by 1.50x"),
        (2.4, 1.0, "missed: <= 1.2x DuckDB by 2.00x"),
        (2.0, None, ""),
        (4.5, None, "missed: <= 3 s by 1.50x"),
    ],
)
def test_verdict_is_that_of_the_goal_missed_most(ours_add: float, bare: float | None, verdict: str) -> None:
    row = Row("add", "add s", (Goal(3), Goal(1.2, of=goals.DUCKDB)))
    medians = {goals.OURS: {"add s": ours_add}, goals.DUCKDB: {} if bare is None else {"add s": bare}}
    assert row.verdict(medians) == verdict


def test_verdict_of_rates_recall_and_counts() -> None:
    rate = Row("many", "many /s", (Goal(0.75, of=goals.HNSWLIB, least=True), Goal(0.99, key="many recall", least=True)))
    raw: dict[str, dict[str, float]] = {goals.HNSWLIB: {"many /s": 4_000.0}}
    assert rate.verdict({goals.OURS: {"many /s": 3_000.0, "many recall": 0.99}} | raw) == "met"
    assert (
        rate.verdict({goals.OURS: {"many /s": 1_500.0, "many recall": 1.0}} | raw)
        == "missed: >= 0.75x hnswlib by 2.00x"
    )
    assert "recall >= 0.99" in rate.verdict({goals.OURS: {"many /s": 3_000.0, "many recall": 0.5}} | raw)
    mistakes = next(row for row in ROWS if row.key == "mistakes")
    assert mistakes.verdict({goals.OURS: {"mistakes": 0}}) == "met"
    assert mistakes.verdict({goals.OURS: {"mistakes": 1}}).startswith("missed")


def test_ratios_say_how_many_times_better_this_is() -> None:
    medians = {"chroma_nb": {"peek ms": 2.0, "many /s": 300.0}, "Chroma": {"peek ms": 8.0, "many /s": 100.0}}
    assert Row("", "peek ms").ratio(medians, "Chroma") == 4
    assert Row("", "many /s").ratio(medians, "Chroma") == 3
    assert Row("", "count ms").ratio(medians, "Chroma") is None


def test_medians_of_runs_but_the_most_mistakes() -> None:
    results = _results({goals.OURS: {"mistakes": 0, "peek ms": 1}})
    results.note(goals.OURS, "step", {"mistakes": 2, "peek ms": 9})
    results.note(goals.OURS, "step", {"mistakes": 0, "peek ms": 2})
    assert results.medians() == {goals.OURS: {"mistakes": 2, "peek ms": 2}}


def test_report_says_who_is_ahead_and_what_is_missed() -> None:
    numbers = {goals.OURS: {"peek ms": 3.0, "count ms": 0.01}, goals.LANCE: {"peek ms": 1.0, "count ms": 1.0}}
    told = report.text(_results(numbers))
    assert "1 of 2 goals met. Missed: peek." in told
    assert "Ahead of chroma_nb - peek: 3 ms, LanceDB 1 ms." in told
    assert "Ahead of chroma_nb - count" not in told
    assert "(100x)" in told
    small = report.text(_results(numbers, rows=1_000))
    assert "not judged here" in small
    assert ("builds none" in told, "builds none" in small) == (False, True)
    assert doctest.testmod(report) == (0, 1)


def test_a_verdict_that_changed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "results.md"
    assert report.write(_results({goals.OURS: {"peek ms": 0.5, "count ms": 2}}), file, None) == []
    again = _results({goals.OURS: {"peek ms": 1.5, "count ms": 3}})
    assert report.write(again, file, tmp_path / "p.svg") == ["peek: met -> missed: <= 1 ms by 1.50x"]
    assert "(p.svg)" in file.read_text()


def _parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - written a moment ago


def test_plots_are_well_formed() -> None:
    assert doctest.testmod(plot).failed == 0
    rows: dict[str, dict[str, float]] = {'a & "b"': {"<one>": 0.001, "two": 20.0}, "c": {"two": 0.0}}
    dots = _parsed(plot.dots("x < y", rows, ["<one>", "two"]))
    assert [title.text for title in dots.findall(".//{*}g/{*}title")] == [
        'two, a & "b": 20 s',
        '<one>, a & "b": 1 ms',
    ]
    curves = _parsed(plot.curves("growth", {"query": [(1e4, 0.001), (1e6, 0.01)]}))
    assert len(curves.findall(".//{*}circle")) == 3  # one of them in the legend


# environments of the peers -----------------------------------------------------------------------------------


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def commands(_: Any, place: Path, python: Path, packages: Any) -> list[list[str]]:
        made.append(place)
        touch = f"import pathlib; p = pathlib.Path({str(python)!r}); p.parent.mkdir(parents=True); p.touch()"
        return [[sys.executable, "-c", touch]]

    monkeypatch.setattr(environments, "_commands", commands)
    python = environments.python_with(["thing==1", "other==2"], tmp_path)
    assert environments.python_with(["thing==1", "other==2"], tmp_path) == python
    assert len(made) == 1
    environments.python_with(["thing==1", "other==3"], tmp_path)  # other packages
    (made[0] / "packages.txt").unlink()  # as if interrupted
    environments.python_with(["thing==1", "other==3"], tmp_path)
    assert len(made) == 3
    assert environments.python_with([], tmp_path) == Path(sys.executable)


def test_an_installer_that_fails_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [[sys.executable, "-c", "import sys; sys.exit('no such package')"]]
    monkeypatch.setattr(environments, "_commands", lambda *_: failing)
    with pytest.raises(SystemExit, match="no such package"):
        environments.python_with(["thing==1"], tmp_path)
    assert not list(tmp_path.rglob("packages.txt"))


@pytest.mark.parametrize("uv", ["uv", None])
def test_without_uv_pip_is_used(uv: str | None, tmp_path: Path) -> None:
    first, second = environments._commands(uv, tmp_path / "e", tmp_path / "e" / "python", ["thing==1"])
    assert first[:2] == (["uv", "venv"] if uv else [sys.executable, "-m"])
    assert second[-1] == "thing==1"
    assert "install" in second


def test_steps_see_nothing_of_the_environment_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = "import json, os; print('told before'); print(json.dumps({key: 1 for key in os.environ}))"
    seen = fresh.numbers("-c", code, extra={"MORE": "1"})
    assert "MORE" in seen
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & seen.keys()
    assert Path(fresh.output("-c", "import os; print(os.getcwd())").strip()) == ROOT


def test_a_step_that_fails_is_heard() -> None:
    with pytest.raises(SystemExit, match=r"failed \(3\):\nsaid before\nwhy"):
        fresh.numbers("-c", "import sys; print('said before', flush=True); print('why', file=sys.stderr); sys.exit(3)")
    assert fresh.numbers("-c", "print(r'{\"a\": 1}', flush=True); import sys; sys.exit(3)", code=3) == {"a": 1}
    with pytest.raises(SystemExit, match="failed"):
        fresh.numbers("-c", "pass")


def test_slow_steps_run_less_often() -> None:
    chroma, lance = PEERS["chromadb"], PEERS["lancedb"]
    assert [chroma.takes_part("add", turn) for turn in range(3)] == [True, False, False]
    assert [chroma.takes_part("reads", turn) for turn in range(3)] == [True, True, False]
    assert [lance.takes_part("add", turn) for turn in range(3)] == [True, True, True]
    assert [OURS.takes_part("reads", turn) for turn in range(3)] == [True, True, True]
