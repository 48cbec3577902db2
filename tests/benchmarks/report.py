"""The comparison as a table, as a report in Markdown, as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chroma_nb.store.search import wants_graph
from tests.benchmarks import goals
from tests.benchmarks.compare import Results
from tests.benchmarks.corpus import FULL
from tests.benchmarks.goals import ROWS, Row
from tests.benchmarks.plot import amount, dots

_SECONDS = {"s": 1.0, "ms": 0.001}
_ORDER = (goals.HNSWLIB, goals.DUCKDB, goals.CHROMA, goals.LANCE, goals.UMAP)
_LESS = 0.95  # a peer is ahead where this project reaches less than this share of it


def verdicts(results: Results) -> dict[str, str]:
    """By label of the row; empty for a corpus that the goals are not about."""
    medians = results.medians()
    full = results.about["corpus"]["rows"] == FULL and results.about["corpus"]["corpus"] == "WordNet"
    return {row.label: row.verdict(medians) if full else "" for row in ROWS}


def table(results: Results) -> list[list[str]]:
    """Header and rows: what, this project, the goal, the verdict, then everybody else."""
    medians, told = results.medians(), verdicts(results)
    others = [name for name in _ORDER if name in medians]
    lines = [["", goals.OURS, "goal", "verdict", *(f"{name} {results.about['versions'][name]}" for name in others)]]
    for row in ROWS:
        if not any(row.key in numbers for numbers in medians.values()):
            continue
        goal = ", ".join(one.text(row) for one in row.goals)
        cells = [_cell(row, medians, name) for name in others]
        lines.append([row.label, _amount(row, medians.get(goals.OURS, {})), goal, told[row.label], *cells])
    return lines


def _cell(row: Row, medians: goals.Medians, name: str) -> str:
    ratio = row.ratio(medians, name)
    return _amount(row, medians[name]) + ("" if ratio is None else f" ({_times(ratio)}x)")


def _times(ratio: float) -> str:
    if ratio < 0.01:
        return "< 0.01"
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def _amount(row: Row, numbers: Mapping[str, float]) -> str:
    value = numbers.get(row.key)
    if value is None:
        return ""
    if row.unit in _SECONDS:
        return amount(value * _SECONDS[row.unit], "s")
    return amount(value, row.unit).strip()


def behind(results: Results) -> list[str]:
    """Where another product, not a raw library, does better."""
    medians = results.medians()
    found = []
    for row in ROWS:
        for name in (goals.CHROMA, goals.LANCE, goals.UMAP):
            ratio = row.ratio(medians, name) if name in medians else None
            if ratio is not None and ratio < _LESS:
                ours, theirs = _amount(row, medians[goals.OURS]), _amount(row, medians[name])
                found.append(f"{row.label}: {ours}, {name} {theirs}")
    return found


def text(results: Results) -> str:
    """For a terminal."""
    lines = table(results)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([_about(results), "", *shown, "", *_remarks(results)])


def markdown(results: Results, plot: str | None = None) -> str:
    """The report."""
    lines = table(results)
    picture = [f"![Times of all contestants, on a logarithmic axis]({plot})", ""] if plot else []
    return "\n".join(
        [
            "# How it compares, measured",
            "",
            _about(results),
            "Made by `python -m tests.benchmarks compare`; figures are medians of fresh processes in turns. In",
            "brackets: how many times better chroma_nb is (below 1: worse).",
            "",
            *_markdown_table(lines),
            "",
            *(f"* {remark}" for remark in _remarks(results)),
            "",
            *picture,
            "## Recall at 10",
            "",
            "Share of the ten exact nearest neighbours found by the very calls that were timed above.",
            "",
            *_markdown_table(_recalls(results)),
            "",
            "## Spread",
            "",
            "Lowest and highest median of a process, for this project.",
            "",
            *_markdown_table(_spread(results)),
            "",
            "## How it was measured",
            "",
            _METHOD,
        ]
    )


_METHOD = """\
* Every step runs in a fresh process; contestants take turns, round after round, in changing order. Adding in Chroma,
  its changes and LanceDB's index take minutes and run once.
* The items are documents of some 80 characters, five values of metadata and 384 dimensions, cosine. All queries ask for
  ten results with documents and metadata; hnswlib alone gives ids only.
* Chroma and chroma_nb build their graphs with M 16 and ef_construction 100 and search with ef 100, as hnswlib does.
  LanceDB has IVF_HNSW_SQ in one partition with its own defaults, ef 200, refine factor 2, and an index for each column
  that filters compare (parts of texts it scans for: its FM index makes these queries slower). DuckDB scans.
* Peers get what they take without converting: Chroma lists and dicts in batches of the largest size, LanceDB and DuckDB
  one Arrow table. Filtered queries of chroma_nb are timed as DataFrames, those of the others in their own form;
  Chroma's dicts become a DataFrame by pandas.
* Files are in the system's cache. Queries meet graphs that were read before; a new process has read none. Its "first"
  queries are the second to the 32nd after opening, in the form of the first answer.
* Chroma builds its graph while it adds, chroma_nb in the background after it; LanceDB scans until told to build one.
  Queries meanwhile are asked from the first to the last moment of that, 20 ms apart; the last slots are inserted on
  demand.
* A filter by "its own" category or part of speech asks for items of the query's own kind, so that filter and query go
  together.
* Changes are made on a copy of the store; then the process is killed, and another one checks that no deleted item
  comes back, that updated values are there, and that new vectors find their items. LanceDB's new rows are not indexed
  by then.
* Memory is what the process holds after all reads more than after the imports; mapped files count in it.
* DuckDB's time for adding is without its checkpoint; its 1,000 queries are 20, one after the other.
"""


def _remarks(results: Results) -> list[str]:
    about = results.about
    remarks = []
    told = verdicts(results)
    missed = [label for label, verdict in told.items() if verdict.startswith("missed")]
    judged = sum(bool(verdict) for verdict in told.values())
    if judged:
        remarks.append(f"{judged - len(missed)} of {judged} goals met." + "".join(f" Missed: {one}." for one in missed))
    else:
        remarks.append(f"The goals are about {FULL:,} texts of WordNet; not judged here.")
    remarks += [f"Ahead of chroma_nb - {one}." for one in behind(results)]
    if not wants_graph(about["corpus"]["rows"], about["corpus"]["dimension"]):
        remarks.append("So few items are searched without a graph here: chroma_nb builds none.")
    remarks += _other_shares(about["corpus"].get("passes", {}))
    if results.stored:
        remarks.append(f"Adding and indexing of {', '.join(results.stored)}: measured in an earlier run.")
    if max(about["busy before"], about["busy after"]) > 0.1:
        remarks.append(
            f"The machine was not at rest ({about['busy before']:.0%} busy before, {about['busy after']:.0%} after)."
        )
    return remarks


def _other_shares(passes: Mapping[str, float]) -> list[str]:
    """Filters that pass another share of these items than their names say, by more than a quarter of it.

    >>> _other_shares({"filter 0.9 %": 0.0091, "contains 2 %": 0.03, "filter own category": 0.07})
    ['Of these items "contains 2 %" passes 3 %.']
    """
    named = {name: float(name.split()[-2]) / 100 for name in passes if name.endswith("%")}
    return [
        f'Of these items "{name}" passes {amount(100 * passes[name], "%")}.'
        for name, share in named.items()
        if not 0.8 <= passes[name] / share <= 1.25
    ]


def _about(results: Results) -> str:
    about = results.about
    corpus = about["corpus"]
    return (
        f"{corpus['rows']:,} items of {corpus['dimension']} dimensions ({corpus['corpus']}), chroma_nb "
        f"{about['versions'][goals.OURS]}, {about['date']}, {about['machine']}, rounds: {about['repeats']}."
    )


def _recalls(results: Results) -> list[list[str]]:
    medians = results.medians()
    names = [name for name in (goals.OURS, *_ORDER) if any(key.endswith(" recall") for key in medians.get(name, {}))]
    keys = [key for key in medians[goals.OURS] if key.endswith(" recall")]
    lines = [["", *names]]
    for key in keys:
        cells = [f"{medians[name][key]:.3f}" if key in medians[name] else "" for name in names]
        lines.append([_RECALL_LABELS.get(key, key.removesuffix(" recall")), *cells])
    return lines


_RECALL_LABELS = {
    "query recall": "one query",
    "frame recall": "one query, as a DataFrame",
    "many recall": "1,000 queries in one call",
    "busy recall": "while the graph is built",
}


def _spread(results: Results) -> list[list[str]]:
    ours = results.values()[goals.OURS]
    lines = [["", "lowest", "highest", "runs"]]
    for row in ROWS:
        if row.key in ours:
            values = ours[row.key]
            ends = [_amount(row, {row.key: value}) for value in (min(values), max(values))]
            lines.append([row.label, *ends, str(len(values))])
    return lines


def _markdown_table(lines: list[list[str]]) -> list[str]:
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return [head, "|" + "---|" * len(lines[0]), *rest]


def picture(results: Results) -> str:
    """All times, as SVG."""
    medians = results.medians()
    series = [name for name in (goals.OURS, *_ORDER) if name in medians]
    rows: dict[str, dict[str, float]] = {}
    for row in ROWS:
        found = {}
        for name in series:
            value = medians[name].get(row.key)
            if value is not None and (row.unit in _SECONDS or row.unit == "/s"):
                found[name] = 1_000 / value if row.unit == "/s" else value * _SECONDS[row.unit]
        if len(found) > 1:
            rows[row.label] = found
    return dots("Time of each operation, on a logarithmic axis (less is better)", rows, series)


def numbers(results: Results) -> dict[str, Any]:
    """Everything, for a file: what was measured on, all runs, medians, verdicts."""
    return {
        "about": results.about,
        "verdicts": verdicts(results),
        "medians": results.medians(),
        "runs": results.runs,
        "stored": results.stored,
    }


def write(results: Results, report: Path | None, plot: Path | None) -> list[str]:
    """Write the files asked for; what has changed against the verdicts that were in the old report."""
    changed = []
    if plot is not None:
        plot.write_text(picture(results), encoding="utf-8")
    if report is not None:
        file = report.with_suffix(".json")
        old = json.loads(file.read_text())["verdicts"] if file.exists() else {}
        changed = [
            f"{label}: {old[label]} -> {new}"
            for label, new in verdicts(results).items()
            if old.get(label) and new and (old[label] == "met") != (new == "met")
        ]
        link = plot.name if plot is not None and plot.parent.resolve() == report.parent.resolve() else None
        report.write_text(markdown(results, link), encoding="utf-8")
        file.write_text(json.dumps(numbers(results), indent=1) + "\n", encoding="utf-8")
    return changed
