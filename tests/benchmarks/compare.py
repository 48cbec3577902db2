"""The comparison: every contestant does the same work on the same items, in fresh processes, in turns.

Round after round each contestant has its turn, so that a busy moment of the machine meets all of them. What writes
comes first, then the graphs, then what reads, then changes, each of them checked. Steps that take a contestant minutes
are run once.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import fresh, goals, machine
from tests.benchmarks.corpus import prepare
from tests.benchmarks.environments import python_with
from tests.benchmarks.fresh import Numbers
from tests.benchmarks.map import run_step
from tests.benchmarks.peers.asking import KILL, KILLED

_WRITTEN = "written.json"
_TABLES = ("pandas==3.1.1", "pyarrow==26.0.1")
_MAP_ITEMS = 10_000


@dataclass(frozen=True)
class Contestant:
    """Someone who takes part.

    Attributes:
        name: in the table.
        module: of ``tests.benchmarks.peers``.
        distribution: whose version is told.
        packages: of an environment of its own; none: that of this project.
        once: steps that take minutes and are run once.
        few: steps that are run twice at most.
    """

    name: str
    module: str
    distribution: str
    packages: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    few: tuple[str, ...] = ()

    def takes_part(self, step: str, turn: int) -> bool:
        """Whether it runs this step in this round, counted from 0."""
        return not (turn >= 1 and step in self.once) and not (turn >= 2 and step in self.few)


OURS = Contestant(goals.OURS, "ours", "chroma-nb")
PEERS = {
    "hnswlib": Contestant(goals.HNSWLIB, "hnsw", "hnswlib"),
    "duckdb": Contestant(goals.DUCKDB, "duck", "duckdb", few=("reads",)),
    "chromadb": Contestant(
        goals.CHROMA,
        "chroma",
        "chromadb",
        ("chromadb==1.5.9", *_TABLES),
        once=("add", "changes", "verify"),
        few=("reads",),
    ),
    "lancedb": Contestant(goals.LANCE, "lance", "lancedb", ("lancedb==0.40.0", *_TABLES), ("build",), few=("reads",)),
}
RAW = ("hnswlib", "duckdb")
"""What this project is made of, and runs with in any case."""

PHASES = (("add",), ("build",), ("busy",), ("reads",), ("opening",), ("changes", "verify"))
_WRITING = ("add", "build")


@dataclass
class Results:
    """All numbers: by name of the contestant, by step, of each run.

    Attributes:
        about: corpus, machine, date, versions.
        runs: the numbers.
        stored: contestants whose writing was measured in an earlier run.
    """

    about: dict[str, Any]
    runs: dict[str, dict[str, list[Numbers]]] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)

    def note(self, name: str, step: str, numbers: Numbers) -> None:
        """Add the numbers of one run."""
        self.runs.setdefault(name, {}).setdefault(step, []).append(numbers)

    def values(self) -> dict[str, dict[str, list[float]]]:
        """All values of each number, by name of the contestant, by name of the number."""
        found: dict[str, dict[str, list[float]]] = {}
        for name, steps in self.runs.items():
            for runs in steps.values():
                for numbers in runs:
                    for key, value in numbers.items():
                        found.setdefault(name, {}).setdefault(key, []).append(value)
        return found

    def medians(self) -> dict[str, dict[str, float]]:
        """One value of each; of mistakes the most that were made."""
        return {
            name: {
                key: max(values) if key.startswith("mistakes") else statistics.median(values)
                for key, values in numbers.items()
            }
            for name, numbers in self.values().items()
        }


class Comparison:
    """A run of the whole: who takes part, where their stores are, what was measured."""

    def __init__(self, work: Path, corpus: Path, environments: Path, contestants: Sequence[Contestant]) -> None:
        self._work = work
        self._corpus = corpus
        self._contestants = contestants
        self._pythons = {one.name: python_with(one.packages, environments) for one in contestants}
        self._steps = {one.name: self._steps_of(one) for one in contestants}

    def versions(self) -> dict[str, str]:
        """By name of the contestant."""
        ask = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        return {
            one.name: fresh.output("-c", ask, one.distribution, python=self._pythons[one.name]).strip()
            if one.packages
            else version(one.distribution)
            for one in self._contestants
        }

    def measure(self, results: Results, repeats: int, *, reuse: bool) -> None:
        """All phases, in rounds."""
        for one in self._contestants:
            if reuse and one is not OURS and self._reuse(one, results):
                results.stored.append(one.name)
        for one, step in self._plan(repeats, results.stored):
            begun = time.perf_counter()
            numbers = self._step(one, step)
            results.note(one.name, step, numbers)
            print(f"{one.name:<10} {step:<8} {time.perf_counter() - begun:6.1f} s: {_brief(numbers)}", flush=True)
            if step in _WRITING:
                self._keep(one, results)

    def _plan(self, repeats: int, stored: Sequence[str]) -> Iterator[tuple[Contestant, str]]:
        for phase in PHASES:
            for turn in range(_rounds(phase[0], repeats)):
                for one in self._contestants if turn % 2 == 0 else reversed(self._contestants):
                    for step in phase:
                        wanted = step in self._steps[one.name] and one.takes_part(step, turn)
                        if wanted and not (step in _WRITING and one.name in stored):
                            yield one, step

    def _step(self, one: Contestant, step: str) -> Numbers:
        work = self._folder(one)
        work.mkdir(parents=True, exist_ok=True)
        killed = (-KILL if os.name == "posix" else KILL) if step in KILLED else 0
        module, python = f"tests.benchmarks.peers.{one.module}", self._pythons[one.name]
        return fresh.numbers("-m", module, step, str(self._corpus), str(work), python=python, code=killed)

    def _steps_of(self, one: Contestant) -> list[str]:
        """Contestants import their own library late, so that their modules can be read here."""
        return list(importlib.import_module(f"tests.benchmarks.peers.{one.module}").STEPS)

    def _folder(self, one: Contestant) -> Path:
        return self._work / one.module

    def _keep(self, one: Contestant, results: Results) -> None:
        """What was measured while writing, beside what was written."""
        written = {step: results.runs[one.name][step] for step in _WRITING if step in results.runs[one.name]}
        (self._folder(one) / _WRITTEN).write_text(json.dumps({"corpus": results.about["corpus"], "runs": written}))

    def _reuse(self, one: Contestant, results: Results) -> bool:
        """Take a store and its measurements from an earlier run on the same corpus."""
        file = self._folder(one) / _WRITTEN
        if not file.exists():
            return False
        kept = json.loads(file.read_text())
        if kept["corpus"] != results.about["corpus"] or {*kept["runs"]} != {*_WRITING} & {*self._steps[one.name]}:
            return False
        for step, runs in kept["runs"].items():
            for numbers in runs:
                results.note(one.name, step, numbers)
        return True


def compare(
    data: Path | None,
    work: Path,
    *,
    peers: Sequence[str] = (),
    repeats: int = 3,
    rows: int = 100_000,
    reuse: bool = False,
    environments: Path,
    patience: float = 120.0,
) -> Results:
    """Prepare, measure, and hand over the numbers.

    Args:
        data: folder with WordNet and its ground truth; None: a made-up corpus.
        work: folder for the corpus and the stores.
        peers: names of `PEERS`, or "umap"; the raw libraries take part in any case.
        repeats: rounds.
        rows: items of the corpus.
        reuse: use the peers' stores of an earlier run; their writing is not measured again.
        environments: folder for the peers' environments.
        patience: how long to wait until nothing else keeps the machine busy, in seconds.
    """
    corpus = prepare(data, work / "corpus", rows)
    chosen = [OURS, *(PEERS[name] for name in PEERS if name in peers or name in RAW)]
    comparison = Comparison(work, work / "corpus", environments, chosen)
    about: dict[str, Any] = {"corpus": corpus, "versions": comparison.versions(), "repeats": repeats}
    about |= _circumstances(patience)
    results = Results(about)
    comparison.measure(results, repeats, reuse=reuse)
    if "umap" in peers and data is not None:
        about["versions"][goals.UMAP] = version("umap-learn")
        _measure_maps(results, data, work / "maps")
    about["busy after"] = round(machine.busy_share(), 2)
    return results


def _circumstances(patience: float) -> dict[str, Any]:
    """Where and when, once the machine is at rest."""
    return {
        "machine": machine.description(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "busy before": round(machine.wait_for_quiet(patience), 2),
    }


def _measure_maps(results: Results, data: Path, work: Path) -> None:
    """First maps of a process, with compiled code on the machine and without; once each, for they take a minute."""
    folder = work / str(_MAP_ITEMS)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run_step("map_prepare", data, folder)
    for name, step in ((goals.OURS, "map_ours"), (goals.UMAP, "map_default")):
        cache = {"NUMBA_CACHE_DIR": str(folder / f"numba-{step}")}
        for key in ("cold map s", "map s"):
            numbers = run_step(step, data, folder, cache)
            results.note(name, key, {key: numbers["picture_s"]})  # from the import on
            print(f"{name:<10} {key:<8} {_brief(numbers)}", flush=True)


def _rounds(step: str, repeats: int) -> int:
    """Graphs take half a minute of both processors; opening takes a moment."""
    return {"build": min(repeats, 2), "busy": min(repeats, 2), "opening": max(1, 2 * repeats - 1)}.get(step, repeats)


def _brief(numbers: Numbers) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items() if " p99 " not in name)
