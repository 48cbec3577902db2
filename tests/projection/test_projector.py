"""Maps of collections: made, stored, carried on, cancelled, and as frames."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import ClosedStoreError, InvalidArgumentError, InvalidDimensionError, MissingDependencyError
from chroma_nb.projection import Projection, ProjectionCancelled, ProjectionJob, Projector, Stage, engines
from chroma_nb.store import writing
from chroma_nb.types import StoredLayout

from .conftest import GROUPS, filled, grouped, purity

if TYPE_CHECKING:
    from collections.abc import Callable

    from chroma_nb import Client, Collection
    from tests.store.backend import Backend

ROOT = Path(__file__).parents[2]


def projector(collection: Collection, engine: str = "native", **parameters: Any) -> Projector:
    return Projector(collection._store, collection.id, engine=engine, **parameters)


def same(first: Projection, second: Projection) -> bool:
    return np.array_equal(first.xy, second.xy)


# made and stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_a_map_shows_the_groups(client: Client, space: str) -> None:
    made = projector(filled(client, grouped(600), space)).run()
    assert (made.method, made.complete, made.fitted) == ("umap", True, 600)
    assert made.xy.shape == (600, 2)
    assert made.xy.dtype == np.float32
    assert purity(made.xy) > 0.98


def test_a_map_is_stored(backend: Backend) -> None:
    collection = filled(backend.client, grouped(200))
    assert projector(collection).stored() is None
    version = collection._store.collection_by_id(collection.id).version
    made = projector(collection).run()
    assert collection._store.collection_by_id(collection.id).version == version
    back = projector(backend.reopen()[collection.name]).stored()
    assert back is not None
    assert same(back, made)
    assert (back.method, back.complete, back.fitted) == ("umap", True, 200)
    collection = backend.client[collection.name]
    assert projector(collection, n_neighbors=5).stored() is None
    assert projector(collection, seed=1).stored() is None
    assert projector(collection, method="pca").stored() is None


def test_stages_are_told_in_order(client: Client) -> None:
    told: list[Stage] = []
    projector(filled(client, grouped(200))).run(told.append)
    names = [stage.name for stage in told]
    assert list(dict.fromkeys(names)) == ["neighbours", "prepare", "epochs"]
    epochs = [stage for stage in told if stage.name == "epochs"]
    assert [stage.done for stage in epochs] == list(range(epochs[0].total + 1))
    assert epochs[-1].text == f"Epoch {epochs[0].total} of {epochs[0].total}"


def test_a_seed_repeats_a_map(client: Client) -> None:
    collection = filled(client, grouped(200))
    first, again, other = (projector(collection, seed=seed).run() for seed in (7, 7, 8))
    assert same(first, again)
    assert not same(first, other)


def test_new_items_are_placed_and_deleted_ones_are_gone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "COMPACT_SLOTS", 40)
    rows = grouped(400)
    collection = filled(client, rows[:300])
    made = projector(collection).run()
    collection.add(ids=[str(n) for n in range(300, 400)], embeddings=rows[300:])
    collection.update(ids=["8"], embeddings=rows[1:2] + np.float32(0.01))
    shown = projector(collection).stored()
    assert shown is not None
    assert (len(shown.xy), shown.fitted) == (400, 299)
    assert np.isfinite(shown.xy).all()
    unmoved = [n for n in range(300) if n != 8]
    assert np.array_equal(shown.xy[unmoved], made.xy[unmoved])
    assert (np.linalg.norm(shown.xy[8] - made.xy[np.arange(300) % GROUPS == 1], axis=1)).min() < 1
    purity_of_all = np.delete(shown.xy, 8, axis=0)
    groups = np.delete(np.arange(400) % GROUPS, 8)
    apart = np.linalg.norm(purity_of_all[:, None] - purity_of_all[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).mean() > 0.98
    collection.delete(ids=[str(n) for n in range(200)])
    left = projector(collection).stored()
    assert left is not None
    assert np.array_equal(left.xy[:100], made.xy[200:300])
    assert len(left.xy) == 200


def test_too_few_places_are_no_map(client: Client) -> None:
    rows = grouped(300)
    collection = filled(client, rows[:100])
    projector(collection).run()
    collection.add(ids=[str(n) for n in range(100, 200)], embeddings=rows[100:200])
    assert projector(collection).stored() is not None
    collection.add(ids=["more"], embeddings=rows[:1])
    assert projector(collection).stored() is None
    collection.delete()
    assert projector(collection).stored() is None


def test_a_new_map_is_laid_over_the_stored_one(client: Client) -> None:
    rows = grouped(500)
    collection = filled(client, rows[:400])
    old = projector(collection).run()
    turned = np.stack([-old.xy[:, 1], old.xy[:, 0]], axis=1) + np.float32(30)
    old.snapshot.save_layout(projector(collection).key, StoredLayout(turned, "umap"))
    collection.add(ids=[str(n) for n in range(400, 500)], embeddings=rows[400:])
    new = projector(collection).run()
    centres = [
        np.stack([xy[np.arange(len(xy)) % GROUPS == g].mean(axis=0) for g in range(GROUPS)]) for xy in (turned, new.xy)
    ]
    # Groups without a common neighbour keep their sides, not their distances: nothing but repulsion is between them.
    assert np.linalg.norm(centres[0] - centres[1], axis=1).mean() < 0.25 * np.ptp(turned)
    stored = projector(collection).stored()
    assert stored is not None
    assert same(stored, new)


def test_the_first_map_is_laid_over_the_components(client: Client) -> None:
    collection = filled(client, grouped(400))
    first, made = projector(collection).pca(), projector(collection).run()
    correlations = [np.corrcoef(first.xy[:, axis], made.xy[:, axis])[0, 1] for axis in (0, 1)]
    assert min(correlations) > 0.5


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 16])
@pytest.mark.parametrize("equal", [False, True])
def test_few_items(client: Client, count: int, equal: bool) -> None:
    rows = np.ones((count, 3), dtype=np.float32) if equal else grouped(count)
    collection = filled(client, rows)
    for made in (projector(collection).run(), projector(collection).pca(), projector(collection, method="pca").run()):
        assert made.xy.shape == (count, 2)
        assert made.xy.dtype == np.float32
        assert np.isfinite(made.xy).all()
        assert len(np.unique(made.xy, axis=0)) == count
        assert made.complete


def test_a_collection_of_one_dimension(client: Client) -> None:
    made = projector(filled(client, np.arange(50, dtype=np.float32)[:, None])).run()
    assert np.isfinite(made.xy).all()


def test_places_of_queries(client: Client) -> None:
    rows = grouped(400)
    collection = filled(client, rows)
    work = projector(collection)
    made = work.run()
    queries = grouped(40, seed=9)
    found = work.place(made, queries)
    assert found.shape == (40, 2)
    assert found.dtype == np.float32
    apart = np.linalg.norm(found[:, None] - made.xy[None], axis=2)
    assert (apart.argmin(axis=1) % GROUPS == np.arange(40) % GROUPS).mean() > 0.95
    assert work.place(made, queries[:0]).shape == (0, 2)
    assert work.place(made, made.snapshot.vectors(np.array([5])))[0] == pytest.approx(made.xy[5], abs=1.5)
    with pytest.raises(InvalidDimensionError):
        work.place(made, queries[:, :3])


def test_a_query_between_two_groups_stays_with_one(client: Client) -> None:
    rows = np.concatenate([np.full((20, 2), -1), np.full((20, 2), 1)]).astype(np.float32)
    rows += np.random.default_rng(0).normal(scale=1e-3, size=rows.shape).astype(np.float32)
    shown = filled(client, rows)
    work = projector(shown)
    snapshot = shown._store.snapshot(shown.id)
    xy = np.concatenate([np.full((20, 2), -50), np.full((20, 2), 50)]).astype(np.float32)
    made = Projection(snapshot, xy, "umap", complete=True, fitted=40)
    (place,) = work.place(made, np.array([[1e-4, 1e-4]], dtype=np.float32))
    assert abs(place).tolist() == pytest.approx([50, 50], abs=1)


def test_a_query_on_a_map_of_nothing(client: Client) -> None:
    work = projector(filled(client, np.empty((0, 2))))
    assert work.place(work.pca(), np.zeros((2, 5), dtype=np.float32)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.slow  # umap-learn compiles its search
def test_held_out_rows_lie_where_umap_learn_puts_them(memory: Client) -> None:
    """The mean distance to the places of the true neighbours is that of UMAP.transform, or less."""
    umap = pytest.importorskip("umap")
    rows = np.random.default_rng(3).normal(size=(700, 5)).astype(np.float32)
    model = umap.UMAP(random_state=1, n_jobs=1, n_epochs=100).fit(rows[:600])
    collection = filled(memory, rows[:600])
    snapshot = collection._store.snapshot(collection.id)
    shown = Projection(snapshot, model.embedding_.astype(np.float32), "umap", complete=True, fitted=600)
    nearest, _ = snapshot.search(rows[600:], 15)
    wanted = shown.xy[nearest]
    ours, theirs = (
        np.linalg.norm(wanted - places[:, None], axis=2).mean()
        for places in (projector(collection).place(shown, rows[600:]), model.transform(rows[600:]))
    )
    assert ours < 1.1 * theirs


# engines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["umap", "native", "fastumap"])
def test_engines(client: Client, engine: str) -> None:
    if engine == "fastumap":
        pytest.importorskip(engine)
    told: list[Stage] = []
    collection = filled(client, grouped(200))
    made = projector(collection, engine=engine, seed=3).run(told.append)
    assert purity(made.xy) > 0.98
    assert (told[-1].name, told[-1].done) == ("epochs", told[-1].total)
    assert same(projector(collection, engine=engine, seed=3).run(), made)


def test_umap_learn_can_be_ended_and_keeps_its_progress_bar(client: Client) -> None:
    layouts = pytest.importorskip("umap.layouts")
    bar = layouts.tqdm
    told: list[Stage] = []
    work = projector(filled(client, grouped(200)), engine="umap")
    made = work.run(told.append, lambda: bool(told) and told[-1].name == "epochs" and told[-1].done == 5)
    assert (told[-1].done, made.complete) == (5, False)
    assert layouts.tqdm is bar


@pytest.mark.parametrize(("engine", "package"), [("umap", "umap"), ("fastumap", "fastumap")])
def test_missing_engines(client: Client, monkeypatch: pytest.MonkeyPatch, engine: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        projector(filled(client, grouped(20)), engine=engine).run()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"method": "ump"}, 'Did you mean "umap"'),
        ({"method": 3}, "Unknown method 3"),
        ({"engine": "natives"}, 'Did you mean "native"'),
        ({"engine": None}, "Available"),
        ({"n_neighbors": 1}, "from 2 to 1000"),
        ({"n_neighbors": True}, "n_neighbors"),
        ({"n_neighbors": 2.5}, "n_neighbors"),
        ({"min_dist": -0.1}, "from 0 to 1"),
        ({"min_dist": float("nan")}, "min_dist"),
        ({"min_dist": "0"}, "min_dist"),
        ({"seed": -1}, "seed"),
        ({"seed": "1"}, "seed"),
    ],
)
def test_bad_arguments(client: Client, bad: dict[str, Any], message: str) -> None:
    collection = filled(client, grouped(5))
    with pytest.raises(InvalidArgumentError, match=message):
        projector(collection, **bad)
    with pytest.raises(InvalidArgumentError, match=message):
        collection.project(**bad)


# cancelled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["neighbours", "prepare"])
def test_cancelled_before_there_is_anything(client: Client, name: str) -> None:
    told: list[Stage] = []
    collection = filled(client, grouped(200))
    with pytest.raises(ProjectionCancelled):
        projector(collection).run(told.append, lambda: bool(told) and told[-1].name == name)
    assert told[-1].name == name
    with pytest.raises(ProjectionCancelled):
        projector(collection).run(cancelled=lambda: True)
    assert projector(collection).stored() is None


def test_cancelled_on_the_way(client: Client) -> None:
    told: list[Stage] = []
    collection = filled(client, grouped(200))
    made = projector(collection).run(
        told.append, lambda: bool(told) and told[-1].done == 20 and told[-1].total > 20 and told[-1].name == "epochs"
    )
    assert told[-1].done == 20
    assert not made.complete
    assert np.isfinite(made.xy).all()
    assert projector(collection).stored() is None


class Talk:
    """The callbacks of a job, written down."""

    def __init__(self, jobs: Callable[[ProjectionJob], None], work: Projector) -> None:
        self.stages: list[Stage] = []
        self.done: list[tuple[ProjectionJob, Projection | None]] = []
        self.failed: list[tuple[ProjectionJob, BaseException | None]] = []
        self.reached = threading.Event()
        self.job = ProjectionJob(work, self.on_progress, self.on_done, self.on_error)
        jobs(self.job)

    def on_progress(self, stage: Stage) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.stages.append(stage)
        if stage.name == "epochs" and stage.done == 2:
            self.reached.set()

    def on_done(self, job: ProjectionJob) -> None:
        assert job.wait(0)
        self.done.append((job, job.projection))

    def on_error(self, job: ProjectionJob) -> None:
        self.failed.append((job, job.error))


def test_a_job_runs_beside(client: Client, jobs: Any) -> None:
    collection = filled(client, grouped(300))
    talk = Talk(jobs, projector(collection))
    assert not talk.job.running
    talk.job.start()
    assert talk.job.wait(60)
    assert not talk.job.running
    assert talk.job.error is None
    assert talk.job.projection is not None
    assert talk.job.projection.complete
    assert talk.done == [(talk.job, talk.job.projection)]
    assert talk.failed == []
    assert talk.stages[-1].name == "epochs"
    assert projector(collection).stored() is not None


def test_a_job_is_cancelled(client: Client, jobs: Any) -> None:
    talk = Talk(jobs, projector(filled(client, grouped(3000))))
    talk.job.start()
    assert talk.reached.wait(60)
    assert not talk.job.wait(0)
    talk.job.cancel()
    began = time.monotonic()
    assert talk.job.wait(60)
    assert time.monotonic() - began < 5
    assert talk.job.projection is not None
    assert not talk.job.projection.complete
    assert talk.done == [(talk.job, talk.job.projection)]


def test_a_job_is_cancelled_before_it_has_anything(client: Client, jobs: Any) -> None:
    talk = Talk(jobs, projector(filled(client, grouped(300))))
    talk.job.cancel()
    talk.job.start()
    assert talk.job.wait(60)
    assert (talk.done, talk.failed) == ([(talk.job, None)], [])


def test_jobs_take_turns_and_a_waiting_one_can_be_cancelled(client: Client, jobs: Any) -> None:
    collection = filled(client, grouped(300))
    first, second = Talk(jobs, projector(collection)), Talk(jobs, projector(collection, seed=1))
    with engines._FITTING:
        first.job.start()
        second.job.start()
        assert not second.job.wait(0.5)
        assert {stage.name for stage in first.stages + second.stages} == {"neighbours"}
        second.job.cancel()
        assert second.job.wait(60)
        assert not first.job.wait(0)
    assert first.job.wait(60)
    assert second.done == [(second.job, None)]
    assert first.job.projection is not None


def test_a_job_fails(client: Client, jobs: Any) -> None:
    talk = Talk(jobs, projector(filled(client, grouped(300))))
    client.close()
    talk.job.start()
    assert talk.job.wait(60)
    assert talk.done == []
    assert talk.failed == [(talk.job, talk.job.error)]
    assert isinstance(talk.job.error, ClosedStoreError)


def test_a_collection_deleted_meanwhile_costs_the_storing_only(
    client: Client, jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    talk = Talk(jobs, projector(filled(client, grouped(3000))))
    talk.job.start()
    assert talk.reached.wait(60)
    client.delete_collection(client.list_collections().index[0])
    assert talk.job.wait(60)
    assert talk.failed == []
    assert talk.job.projection is not None
    assert talk.job.projection.complete
    assert "could not be stored" in caplog.text


def test_the_program_ends_while_a_job_runs() -> None:
    """Neither does it hang, nor is anything torn down amid its work."""
    code = (
        "import chroma_nb, numpy as np, threading\n"
        "from chroma_nb.projection import Projector, ProjectionJob\n"
        "docs = chroma_nb.Client().create_collection('docs')\n"
        "rows = np.random.default_rng(0).normal(size=(8000, 8))\n"
        "docs.add(ids=[str(n) for n in range(8000)], embeddings=rows)\n"
        "begun = threading.Event()\n"
        "def told(stage): stage.name == 'epochs' and begun.set()\n"
        "ProjectionJob(Projector(docs._store, docs.id), told, print, print).start()\n"
        "begun.wait()\n"
        "print('ends')\n"
    )
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends\n", "")
    assert time.monotonic() - began < 60


def test_the_notebook_stays_alive(client: Client, jobs: Any) -> None:
    """The main thread runs on while a map is made: it never waits long for its turn."""
    talk = Talk(jobs, projector(filled(client, grouped(6000))))
    talk.job.start()
    gaps, last = [], time.monotonic()
    while talk.job.running:
        time.sleep(0.01)
        now = time.monotonic()
        gaps.append(now - last)
        last = now
    assert len(gaps) > 20
    assert np.median(gaps) < 0.05
    assert max(gaps) < 1


# as frames ------------------------------------------------------------------------------------


def test_a_frame(backend: Backend) -> None:
    collection = filled(backend.client, grouped(200))
    frame = collection.project()
    assert frame.index.name == "id"
    assert frame.index.tolist() == [str(n) for n in range(200)]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {"x": "float32", "y": "float32"}
    assert frame.attrs["chroma_nb"] == {"collection": collection.name, "call": "project", "method": "umap"}
    assert purity(frame.to_numpy()) > 0.98
    again = backend.reopen()[collection.name].project()
    assert again.equals(frame)
    assert not backend.client[collection.name].project(refresh=True).equals(frame)
    pca = backend.client[collection.name].project("pca")
    assert pca.attrs["chroma_nb"]["method"] == "pca"
    assert pca.index.equals(frame.index)


def test_an_empty_frame(client: Client) -> None:
    collection = client.create_collection("nothing")
    full = filled(client, grouped(12)).project()
    for frame in (collection.project(), collection.project("pca")):
        assert len(frame) == 0
        assert frame.index.dtype == full.index.dtype
        assert frame.dtypes.equals(full.dtypes)


def test_a_frame_of_a_read_only_store(disk: Backend) -> None:
    name = filled(disk.client, grouped(100)).name
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as client:
        assert len(client[name].project()) == 100
        assert projector(client[name]).stored() is None


@pytest.mark.parametrize("begun", [False, True], ids=["before", "amid the epochs"])
def test_an_interrupted_frame(client: Client, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    ends: list[bool] = []

    def interrupted(*args: Any) -> Any:
        watch, start = args[-1], args[2]
        _thread.interrupt_main()
        while watch.epochs(1, 10) if begun else not ends:
            time.sleep(0.01)
            if not begun:
                try:
                    watch.check()
                except ProjectionCancelled:
                    ends.append(True)
                    raise
        ends.append(True)
        return start

    collection = filled(client, grouped(100))
    with monkeypatch.context() as patch:
        patch.setitem(engines.ENGINES, "umap", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collection.project()
    assert ends == [True]
    assert projector(collection, engine="umap").stored() is None
    assert len(collection.project()) == 100


def test_a_failing_fit_is_raised(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> Any:
        raise ValueError("no")

    collection = filled(client, grouped(100))
    monkeypatch.setitem(engines.ENGINES, "umap", fails)
    with pytest.raises(ValueError, match="no"):
        collection.project()
