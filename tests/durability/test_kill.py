"""kill -9 at any moment: what was acknowledged is there, the call in flight entirely or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import chroma_nb
from chroma_nb.types import Metric
from tests.durability import points, workload
from tests.durability.forking import Forking
from tests.durability.workload import NAME, Model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

ROUNDS = 14

SERIES = [
    ("add", 16, "l2"),
    ("update", 24, "cosine"),
    ("upsert", 16, "ip"),
    ("delete", 96, "l2"),
    ("index", 16, "cosine"),
]


class Writers(Forking):
    """The program that forks writers."""

    def wait_for_death(self) -> None:
        """Wait until the writer was killed; AssertionError with its traceback if it ended otherwise."""
        assert self.answer() == str(-signal.SIGKILL), self.errors()

    def kill_one(self, log: Path, lines: int, delay: float, **task: object) -> None:
        """Start a writer, kill it ``delay`` seconds after the log has so many lines, wait until it is gone."""
        pid = self.start(log=str(log), **task)
        deadline = time.monotonic() + 60
        while len(_lines(log)) < lines and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        self.wait_for_death()


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writers]:
    process = Writers("tests.durability.crash_child", tmp_path_factory.mktemp("writers") / "stderr")
    yield process
    process.close()


@pytest.fixture
def _low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workload.THRESHOLDS.items():
        monkeypatch.setattr(name, value)


@pytest.mark.usefixtures("_low_thresholds")
@pytest.mark.parametrize(("emphasis", "dimension", "space"), SERIES, ids=[series[0] for series in SERIES])
def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(
    writers: Writers, tmp_path: Path, emphasis: str, dimension: int, space: str
) -> None:
    directory, seed = tmp_path / "db", sum(map(ord, emphasis))
    rng = np.random.default_rng(seed)
    model, step, recalls = Model(), 0, []
    for number in range(ROUNDS):
        log = tmp_path / f"log-{number}"
        # Some are killed while they open the directory, the others in or between any of the first calls.
        lines, delay = 0 if number % 7 == 0 else int(rng.integers(1, 18)), rng.uniform(0, 0.06)
        task = {"seed": seed, "step": step, "emphasis": emphasis, "dimension": dimension, "space": space}
        writers.kill_one(log, lines, delay, directory=str(directory), **task)

        acknowledged, in_flight = _read_log(log)
        for _ in range(acknowledged):
            model, step = model.after(workload.make_operation(seed, step, model, emphasis, dimension)), step + 1
        possible = [model]
        if in_flight:
            possible.append(model.after(workload.make_operation(seed, step, model, emphasis, dimension)))
        with chroma_nb.Client(directory) as client:
            if NAME not in client:
                assert not model.items
                continue
            found = workload.read(client)
            kept = [found == candidate for candidate in possible]
            assert any(kept), _difference(found, possible)
            model, step = possible[kept.index(True)], step + in_flight
            recalls.append(_check_queries(client, model, Metric(space), rng))
    assert step > ROUNDS, "the writers were killed before they wrote anything worth the name"
    assert np.mean(recalls) > 0.9


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def _read_log(log: Path) -> tuple[int, bool]:
    """How many calls returned, and whether one more had begun."""
    lines = _lines(log)
    begun = sum(line.startswith("begin") for line in lines)
    ended = sum(line.startswith("end") for line in lines)
    return ended, begun > ended


def _difference(found: Model, possible: list[Model]) -> str:
    told = []
    for candidate in possible:
        missing = candidate.items.keys() - found.items.keys()
        extra = found.items.keys() - candidate.items.keys()
        shared = candidate.items.keys() & found.items.keys()
        changed = [id_ for id_ in shared if candidate.items[id_] != found.items[id_]]
        told.append(f"{len(missing)} missing, {len(extra)} too many, {len(changed)} different: {changed[:3]}")
    return f"{len(found.items)} items found; against each possible state: {told}"


def _check_queries(client: chroma_nb.Client, model: Model, metric: Metric, rng: np.random.Generator) -> float:
    """Exact queries are the brute-force answer, others have the right distances; the recall of the others."""
    collection = client[NAME]
    if not model.items:
        return 1.0
    if rng.random() < 0.5:
        collection.create_index()
    groups = np.array([item.metadata.get("group", -1) for item in model.items.values()])
    recalls = []
    for where, chosen in ((None, None), ({"group": 3}, groups == 3)):
        query = np.asarray(rng.standard_normal(model.matrix().shape[1]), dtype=np.float32)
        expected = model.nearest(metric, query, 10, chosen)
        exact = collection.query(query, n_results=10, where=where, exact=True)
        assert exact.index.tolist() == expected.index.tolist()
        np.testing.assert_allclose(exact["distance"], expected, rtol=1e-5, atol=1e-6)
        default = collection.query(query, n_results=10, where=where)
        assert len(default) == len(expected)
        assert default.index.is_unique
        assert default["distance"].is_monotonic_increasing
        every = model.nearest(metric, query, len(model.items), chosen)
        np.testing.assert_allclose(default["distance"], every[default.index], rtol=1e-5, atol=1e-6)
        if len(expected):
            recalls.append(len(set(default.index) & set(expected.index)) / len(expected))
    return float(np.mean(recalls))


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store to copy."""
    directory = tmp_path_factory.mktemp("populated") / "db"
    with chroma_nb.Client(directory) as client:
        points.populate(client)
    return directory


@pytest.mark.usefixtures("_low_thresholds")
@pytest.mark.parametrize(("call", "hook", "kept"), points.POINTS, ids=[f"{p[0]}: {p[1]}" for p in points.POINTS])
def test_death_at_a_point(writers: Writers, populated: Path, tmp_path: Path, call: str, hook: str, kept: bool) -> None:
    expected = _copied(populated, tmp_path / "undisturbed", call if kept else None)
    shutil.copytree(populated, tmp_path / "db")
    writers.start(directory=str(tmp_path / "db"), call=call, hook=hook)
    writers.wait_for_death()

    with chroma_nb.Client(tmp_path / "db") as client:
        assert points.snapshot(client) == expected
        # Nothing is left lying about.
        names = {path.name for path in (tmp_path / "db").rglob("*") if path.suffix in (".f32", ".graph", ".tmp")}
        ids = {str(info.id) for info in client._store.list_collections()}
        assert {name.split(".")[0] for name in names} <= ids
        assert len([name for name in names if name.endswith(".f32")]) == sum(bool(m.items) for m in expected.values())
        # Life goes on.
        later = client.get_or_create_collection("docs", embedding_function=None)
        later.add(ids=["later"], embeddings=points.vectors(1, 7))
        query = later.query(points.vectors(1, 7), n_results=1)
        assert query.index.tolist() == ["later"]
        final = points.snapshot(client)
    with chroma_nb.Client(tmp_path / "db") as client:
        assert points.snapshot(client) == final


def _copied(populated: Path, directory: Path, call: str | None) -> points.Snapshot:
    """What a copy of the store holds, after a call that nothing disturbs."""
    shutil.copytree(populated, directory)
    with chroma_nb.Client(directory) as client:
        if call is not None:
            points.CALLS[call](client)
        return points.snapshot(client)


@pytest.mark.parametrize("hook", ["before commit", "after commit"])
def test_death_while_a_store_is_made(writers: Writers, tmp_path: Path, hook: str) -> None:
    writers.start(directory=str(tmp_path / "db"), call="open", hook=hook)
    writers.wait_for_death()
    with chroma_nb.Client(tmp_path / "db") as client:
        assert client.count_collections() == 0
        points.populate(client)
        assert client["docs"].count() == 300
