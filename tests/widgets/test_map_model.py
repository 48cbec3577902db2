"""The map's model: what is shown when, and that nothing in the background outlives it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets.models import map as map_module
from chroma_nb_widgets.models.mainloop import MainLoop
from chroma_nb_widgets.models.map import MapModel

import chroma_nb
from chroma_nb.errors import InvalidArgumentError, StoreWriteError
from chroma_nb.projection import Projection, Projector, Stage
from tests.store.backend import Backend, fresh_name

Docs = chroma_nb.Collection
LONG = 30  # seconds that nothing here should take


def filled(client: chroma_nb.Client, count: int = 40, dimension: int = 5) -> Docs:
    docs = client.create_collection(fresh_name())
    if count:
        grow(docs, range(count), dimension)
    return docs


def grow(docs: Docs, numbers: range, dimension: int = 5) -> None:
    vectors = np.random.default_rng(len(numbers) + numbers.start).normal(size=(len(numbers), dimension))
    docs.add(ids=[str(number) for number in numbers], embeddings=vectors)


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.name == "chroma_nb map"]
    for thread in left:
        thread.join(LONG)
    assert left == []


@pytest.fixture
def docs(memory: chroma_nb.Client) -> Docs:
    return filled(memory)


@pytest.fixture
def models() -> Iterator[Callable[..., MapModel]]:
    """Makes models, and closes them after the test."""
    made: list[MapModel] = []

    def make(docs: Docs, **options: Any) -> MapModel:
        made.append(MapModel(docs._store, docs.id, **options))
        return made[-1]

    yield make
    for model in made:
        model.close()


class Held:
    """Lets `Projector.run` go on only when told to, so that tests can act in the midst of it.

    The steps of a run are: "begun", before anything; "epochs", amid them; "over", before the result is handed on.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.until = "begun"
        self.reached, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.runs = 0
        run = Projector.run

        def held(projector: Projector, progress: Any, cancelled: Any) -> Projection:
            self.runs += 1
            self._stop("begun")

            def told(stage: Stage) -> None:
                progress(stage)
                if stage.name == "epochs" and stage.done > 1:
                    self._stop("epochs")

            try:
                return run(projector, told, cancelled)
            finally:
                self._stop("over")

        monkeypatch.setattr(Projector, "run", held)

    def _stop(self, step: str) -> None:
        if self.until == step:
            self.until = ""
            self.reached.release()
            assert self.go.acquire(timeout=LONG)

    def arrive(self) -> None:
        """Wait until the run stands at that step."""
        assert self.reached.acquire(timeout=LONG)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(monkeypatch)
    yield made
    for _ in range(10):  # or a failed test would leave a thread that waits
        made.go.release()


# beginning ------------------------------------------------------------------------------------


def test_a_picture_at_once_and_the_map_later(docs: Docs, models: Any, held: Held) -> None:
    model = models(docs)
    assert (model.state, len(model.xy)) == ("empty", 0)
    model.start()
    held.arrive()
    assert (model.state, model.projection.method, model.running) == ("running", "pca", True)
    assert model.xy.shape == (40, 2)
    assert not model.wait(0.01)
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection.method, model.running) == ("ready", "umap", False)
    assert (model.stage, model.progress, model.problem) == ("", 0.0, None)
    assert np.isfinite(model.xy).all()


def test_a_stored_map_is_ready_at_once(disk: Backend, models: Any) -> None:
    docs = filled(disk.client)
    first = models(docs)
    first.start()
    assert first.wait(LONG)
    reopened = models(disk.reopen()[docs.name])
    states: list[str] = []
    reopened.observe(lambda change: states.append(change["new"]), "state")
    reopened.start()
    assert states == ["ready"]
    assert not reopened.running
    np.testing.assert_array_equal(reopened.xy, first.xy)


def test_pca_needs_no_background(docs: Docs, models: Any, held: Held) -> None:
    model = models(docs, method="pca")
    model.start()
    assert (model.state, model.projection.method, held.runs) == ("ready", "pca", 0)


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_few_items(memory: chroma_nb.Client, models: Any, count: int) -> None:
    model = models(filled(memory, count))
    model.start()
    assert model.wait(LONG)
    assert (model.state, model.xy.shape) == ("ready", (count, 2))


def test_many_items_wait_to_be_asked_for(docs: Docs, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_module, "AUTOMATIC", 39)
    model = models(docs)
    model.start()
    assert (model.state, model.projection.method, model.running) == ("waiting", "pca", False)
    model.fit()
    assert model.wait(LONG)
    assert (model.state, model.projection.method) == ("ready", "umap")


@pytest.mark.parametrize("options", [{"method": "umpa"}, {"n_neighbors": 0}, {"engine": "x"}])
def test_bad_options(docs: Docs, models: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        models(docs, **options)
    model = models(docs, method="pca")
    model.start()
    with pytest.raises(InvalidArgumentError):
        model.set_trait("method", options["method"]) if "method" in options else model.use(**options)
    assert (model.method, model.state) == ("pca", "ready")


# cancelling and closing -----------------------------------------------------------------------


def test_cancelled_before_the_first_epoch(docs: Docs, models: Any, held: Held) -> None:
    model = models(docs)
    model.start()
    shown = model.projection
    held.arrive()
    model.cancel()
    assert model.stage == "Cancelling"
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection, model.running) == ("cancelled", shown, False)
    model.fit()
    assert model.wait(LONG)
    assert model.state == "ready"


def test_cancelled_amid_the_epochs(docs: Docs, models: Any, held: Held) -> None:
    held.until = "epochs"
    model = models(docs)
    model.start()
    held.arrive()
    model.cancel()
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection.method, model.projection.complete) == ("cancelled", "umap", False)
    assert np.isfinite(model.xy).all()
    assert Projector(docs._store, docs.id).stored() is None


def test_cancelled_after_the_last_epoch(docs: Docs, models: Any, held: Held) -> None:
    held.until = "over"
    model = models(docs)
    model.start()
    held.arrive()
    model.cancel()
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection.complete) == ("ready", True)


@pytest.mark.parametrize("step", ["begun", "epochs"])
def test_a_cancelled_refit_leaves_the_finished_map(docs: Docs, models: Any, held: Held, step: str) -> None:
    held.until = ""
    model = models(docs)
    model.start()
    assert model.wait(LONG)
    shown = model.projection
    held.until = step
    model.fit()
    held.arrive()
    model.cancel()
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection) == ("ready", shown)


@pytest.mark.parametrize("step", ["begun", "epochs", "over"])
def test_closing_leaves_no_thread(docs: Docs, models: Any, held: Held, step: str) -> None:
    held.until = step
    model = models(docs)
    model.start()
    shown = model.projection
    held.arrive()
    assert [thread for thread in threading.enumerate() if thread.name == "chroma_nb map"]
    held.go.release()
    model.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "chroma_nb map"]
    assert (model.running, model.stage) == (False, "")
    if step == "begun":
        assert (model.projection, model.state) == (shown, "cancelled")
    model.close()  # twice does no harm


def test_cancelling_nothing(docs: Docs, models: Any) -> None:
    model = models(docs, method="pca")
    model.cancel()
    assert model.wait(0)
    assert model.state == "empty"


# other methods and parameters -----------------------------------------------------------------


def test_another_method_while_running(docs: Docs, models: Any, held: Held) -> None:
    model = models(docs)
    model.start()
    held.arrive()
    model.method = "pca"
    assert (model.state, model.projection.method, model.running) == ("ready", "pca", False)
    shown = model.projection
    held.go.release()
    model.close()  # waits for the thread, whose result nobody wants any more
    assert (model.state, model.projection) == ("ready", shown)


def test_there_and_back(docs: Docs, models: Any, held: Held) -> None:
    model = models(docs)
    model.start()
    held.arrive()
    model.method = "pca"
    model.method = "umap"
    assert model.state == "running"
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection.method, held.runs) == ("ready", "umap", 2)
    places = model.xy
    model.method = "pca"
    model.method = "umap"
    assert (model.state, held.runs) == ("ready", 2)  # stored
    np.testing.assert_array_equal(model.xy, places)


def test_other_parameters(docs: Docs, models: Any, held: Held) -> None:
    held.until = ""
    model = models(docs, seed=1)
    model.start()
    assert model.wait(LONG)
    first = model.xy
    model.use(seed=1)
    assert held.runs == 1
    model.use(seed=1, n_neighbors=3)
    assert model.wait(LONG)
    assert held.runs == 2
    assert not np.array_equal(model.xy, first)


def test_a_method_chosen_before_the_start(docs: Docs, models: Any) -> None:
    model = models(docs)
    model.method = "pca"
    assert model.state == "empty"
    model.start()
    assert model.projection.method == "pca"


# other data -----------------------------------------------------------------------------------


def by_id(model: MapModel) -> dict[str, tuple[float, float]]:
    return dict(zip(model.projection.snapshot.ids.to_pylist(), map(tuple, model.xy.tolist()), strict=True))


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_new_rows_do_not_move_old_ones(docs: Docs, models: Any, method: str) -> None:
    model = models(docs, method=method)
    model.start()
    assert model.wait(LONG)
    before = by_id(model)
    grow(docs, range(40, 50))
    docs.delete(ids=["3", "4"])
    snapshot = docs._store.snapshot(docs.id)
    shown = model.carry(snapshot)
    after = by_id(model)
    assert shown.ids.to_pylist() == snapshot.ids.to_pylist() == list(after)
    assert all(after[id_] == before[id_] for id_ in before if id_ in after)
    assert set(after) == (set(before) | {str(number) for number in range(40, 50)}) - {"3", "4"}
    assert np.isfinite(model.xy).all()
    low, high = np.asarray(list(before.values())).min(axis=0), np.asarray(list(before.values())).max(axis=0)
    assert (model.xy >= low - 1e-5).all()
    assert (model.xy <= high + 1e-5).all()


def test_data_that_comes_while_the_map_is_computed(docs: Docs, models: Any, held: Held) -> None:
    held.until = "epochs"
    model = models(docs)
    model.start()
    held.arrive()
    grow(docs, range(40, 45))
    docs.delete(ids=["0"])
    snapshot = docs._store.snapshot(docs.id)
    model.carry(snapshot)
    assert (model.state, len(model.xy)) == ("running", 44)
    held.go.release()
    assert model.wait(LONG)
    assert (model.state, model.projection.method) == ("ready", "umap")
    assert list(by_id(model)) == snapshot.ids.to_pylist()
    assert model.projection.snapshot.info.version == snapshot.info.version


def test_much_data_that_comes_while_the_map_is_computed(docs: Docs, models: Any, held: Held) -> None:
    """Then the result is of no use: the map begins anew."""
    held.until = "epochs"
    model = models(docs)
    model.start()
    held.arrive()
    grow(docs, range(40, 200))
    model.carry(docs._store.snapshot(docs.id))
    held.go.release()
    assert model.wait(LONG)
    assert model.wait(LONG)
    assert (model.state, len(model.xy), model.projection.fitted, held.runs) == ("ready", 200, 200, 2)


def test_from_nothing_to_something_and_back(memory: chroma_nb.Client, models: Any) -> None:
    docs = filled(memory, 0)
    model = models(docs)
    model.start()
    grow(docs, range(30))
    model.carry(docs._store.snapshot(docs.id))
    assert model.state == "running"
    assert model.wait(LONG)
    assert (model.state, model.xy.shape, model.projection.method) == ("ready", (30, 2), "umap")
    docs.delete()
    model.carry(docs._store.snapshot(docs.id))
    assert (model.state, model.xy.shape) == ("ready", (0, 2))
    grow(docs, range(5))
    model.carry(docs._store.snapshot(docs.id))
    assert model.wait(LONG)
    assert model.xy.shape == (5, 2)


def test_queries_have_a_place(docs: Docs, models: Any) -> None:
    model = models(docs)
    model.start()
    assert model.wait(LONG)
    places = model.place(docs.embeddings()[:3])
    assert (places.shape, places.dtype) == ((3, 2), np.float32)
    assert np.isfinite(places).all()


# failures, progress and threads ---------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreWriteError("the disk is full"), MemoryError("no room"), SystemExit("odd")])
def test_failures_are_told_and_can_be_tried_again(
    docs: Docs, models: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*arguments: Any) -> Projection:
        raise error

    model = models(docs)
    with monkeypatch.context() as patch:
        patch.setattr(Projector, "run", fails)
        model.start()
        assert model.wait(LONG)
    assert (model.state, model.running, model.projection.method) == ("failed", False, "pca")
    assert model.problem == f"The map could not be computed: {error}"
    model.fit()
    assert model.problem is None
    assert model.wait(LONG)
    assert (model.state, model.problem) == ("ready", None)


def test_a_collection_deleted_meanwhile(memory: chroma_nb.Client, models: Any, held: Held) -> None:
    docs = filled(memory)
    model = models(docs)
    model.start()
    held.arrive()
    memory.delete_collection(docs.name)
    held.go.release()
    assert model.wait(LONG)
    assert model.state == "failed"
    assert "collection was deleted" in (model.problem or "")


def test_progress_arrives(memory: chroma_nb.Client, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_module, "_TICK", 0.0)
    model = models(filled(memory, 200))
    told: list[tuple[str, float]] = []
    model.observe(lambda change: told.append((model.stage, model.progress)), "progress")
    model.start()
    assert model.wait(LONG)
    epochs = [share for stage, share in told if stage.startswith("Epoch")]
    assert len(epochs) > 10
    assert epochs == sorted(epochs)
    assert epochs[-1] == 1.0
    assert told[-1] == ("", 0.0)


def test_with_an_event_loop_all_is_told_on_it(docs: Docs, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_module, "_TICK", 0.0)
    threads: set[str] = set()
    names: set[str] = set()

    async def main() -> str:
        model = models(docs)
        over = asyncio.Event()

        def seen(change: Any) -> None:
            threads.add(threading.current_thread().name)
            names.add(change["name"])
            if change["name"] == "state" and change["new"] == "ready":
                over.set()

        model.observe(seen)
        model.start()
        assert model.state == "running"
        await asyncio.wait_for(over.wait(), LONG)
        return str(model.state)

    assert asyncio.run(main()) == "ready"
    assert threads == {threading.main_thread().name}
    assert names == {"state", "stage", "progress", "projection"}


def test_waiting_on_the_loop_itself(docs: Docs, models: Any) -> None:
    """As in a cell: the loop stands still while the cell waits, and must find nothing left to do afterwards."""

    async def main() -> None:
        model = models(docs)
        model.start()
        assert model.wait(LONG)
        assert (model.state, model.projection.method) == ("ready", "umap")
        shown = model.projection
        await asyncio.sleep(0.01)
        assert model.projection is shown

    asyncio.run(main())


def test_a_loop_that_is_gone() -> None:
    async def made() -> MainLoop:
        return MainLoop()

    seen: list[int] = []
    main = asyncio.run(made())
    thread = threading.Thread(target=main, args=(seen.append, 1))
    thread.start()
    thread.join()
    assert seen == [1]


def test_several_threads_at_once(docs: Docs, models: Any) -> None:
    """Cells and messages of widgets may be handled by different threads."""
    model = models(docs)
    model.start()
    seen: list[Any] = []
    model.observe(lambda change: seen.append(change["new"]), "projection")
    threads = [threading.Thread(target=work, args=(LONG,)) for work in [model.wait] * 4]
    threads += [threading.Thread(target=model.fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert model.wait(LONG)
    assert model.state == "ready"
    assert len(seen) == len({id(projection) for projection in seen}) >= 1  # none was taken over twice
