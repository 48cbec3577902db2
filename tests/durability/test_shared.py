"""Two notebooks on one directory: everything works in the second one, and each sees what the other does."""

from __future__ import annotations

import functools
import gc
import os
import signal
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import ClosedStoreError, InvalidArgumentError
from chroma_nb.sharing.shared import SharedStore
from chroma_nb.sharing.snapshots import LinkedSnapshot
from chroma_nb.types import Selection, StoredLayout
from tests.durability import points, workload
from tests.durability.conftest import OtherProcess


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        points.populate(client)
    return tmp_path / "db"


@pytest.fixture
def linked(other: OtherProcess, path: Path) -> Iterator[chroma_nb.Client]:
    """A client of a directory that the other process has open."""
    assert other.open(path) == "done"
    with chroma_nb.Client(path) as client:
        assert store(client).owner == other.pid
        yield client
        assert store(client).owner == other.pid, "it was not lost on the way"
    other.run("client.close()")


def store(client: chroma_nb.Client) -> SharedStore:
    assert isinstance(client._store, SharedStore)
    return client._store


def test_each_sees_what_the_other_writes(other: OtherProcess, linked: chroma_nb.Client) -> None:
    linked["other"].add(ids=["x"], embeddings=points.vectors(1, 9), documents=["here"], metadatas=[{"n": 1}])
    assert (
        other.run("answer = client['other'].get(ids=['x'], include=['documents'])['document'].tolist()") == "['here']"
    )
    other.run("client['other'].update(ids=['x'], metadatas=[{'n': 2.5}]); client['other'].delete(ids=['o1'])")
    frame = linked["other"].get()
    assert frame.index.tolist() == ["o2", "x"]
    assert frame["n"].tolist()[1] == 2.5
    other.run("client.create_collection('made', {'hnsw:space': 'ip'}, embedding_function=None)")
    linked["made"].modify(name="renamed", metadata={"hnsw:space": "ip", "a": True})
    assert other.run("answer = client['renamed'].metadata") == "{'hnsw:space': 'ip', 'a': True}"
    linked.delete_collection("renamed")
    assert other.run("answer = client.list_collections().index.tolist()") == "['docs', 'other']"


def test_the_same_calls_have_the_same_effect(linked: chroma_nb.Client, tmp_path: Path) -> None:
    """As in a store that nobody shares."""
    with chroma_nb.Client(tmp_path / "alone") as alone:
        points.populate(alone)
        for name, call in points.CALLS.items():
            before = points.snapshot(alone)
            call(alone)
            call(linked)
            after = points.snapshot(alone)
            assert points.snapshot(linked) == after, name
            assert after != before or name == "index", name
            if name in ("drop", "reset", "rename"):
                for client in (alone, linked):
                    client.reset()
                    points.populate(client)


_WRONG: dict[str, Callable[[chroma_nb.Client], Any]] = {
    "no collection": lambda client: client["dosc"],
    "taken": lambda client: client.create_collection("docs"),
    "dimension": lambda client: client["docs"].add(ids=["x"], embeddings=[[1, 2]]),
    "dimension of a query": lambda client: client["docs"].query([[1, 2]]),
    "missing": lambda client: client["docs"].update(ids=["x"], documents=["y"]),
    "sql": lambda client: client.sql("select nothing from docs"),
    "writing sql": lambda client: client.sql("drop table docs"),
    "pattern": lambda client: client["docs"].get(where_document={"$regex": "("}),
    "deleted": lambda client: _deleted(client).count(),
    "deleted snapshot": lambda client: client._store.snapshot(_deleted(client).id),
}


def _deleted(client: chroma_nb.Client) -> chroma_nb.Collection:
    made = client.create_collection("gone", embedding_function=None)
    client.delete_collection("gone")
    return made


@pytest.mark.parametrize("name", _WRONG)
def test_errors_are_the_same(linked: chroma_nb.Client, tmp_path: Path, name: str) -> None:
    with chroma_nb.Client(tmp_path / "alone") as alone:
        points.populate(alone)
        with pytest.raises(chroma_nb.errors.ChromaNbError) as expected:
            _WRONG[name](alone)
        with pytest.raises(chroma_nb.errors.ChromaNbError) as found:
            _WRONG[name](linked)
    assert (found.type, str(found.value)) == (expected.type, str(expected.value))


def test_an_argument_that_cannot_travel(linked: chroma_nb.Client) -> None:
    with pytest.raises(InvalidArgumentError, match="A module cannot be handed"):
        linked.sql("select ?", [os])
    assert linked.sql("select ? as a, ? as b", [b"x", 2**70])["b"].tolist() == [2.0**70]


def test_sql(linked: chroma_nb.Client) -> None:
    frame = linked.sql(
        "select k, count(*) as n, max(len(embedding)) as d from docs where n >= $least group by k", {"least": 100}
    )
    assert frame.to_dict("list") == {"k": ["v"], "n": [200], "d": [16]}


def test_sql_that_takes_for_ever_ends_with_the_interrupt(other: OtherProcess, linked: chroma_nb.Client) -> None:
    endless = "select count(*) from range(100000000) a, range(100000000) b where a.range + b.range = 7"
    with pytest.raises(KeyboardInterrupt):
        _interrupted(lambda: linked.sql(endless), 0.5)
    code = "import time; began = time.process_time(); time.sleep(0.3); answer = time.process_time() - began"
    deadline = time.monotonic() + 10
    while float(other.run(code)) > 0.1 and time.monotonic() < deadline:
        pass
    assert float(other.run(code)) < 0.1, "the owner goes on with what nobody waits for"
    assert linked["docs"].count() == 300


def _interrupted(work: Callable[[], object], seconds: float) -> None:
    """Ctrl-C after so many seconds."""
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# snapshots, maps, views -----------------------------------------------------------------------


def test_a_snapshot_is_what_it_is_in_the_owner(linked: chroma_nb.Client, tmp_path: Path) -> None:
    with chroma_nb.Client(tmp_path / "alone") as alone:
        points.populate(alone)
        mine, theirs = (client._store.snapshot(client["docs"].id) for client in (alone, linked))
        assert isinstance(theirs, LinkedSnapshot)
        before = linked["docs"].get(ids=["a5"])
        for client in (alone, linked):
            client["docs"].delete(ids=["a5", "a6"])
        assert before.index.tolist() == ["a5"]
        at = np.array([7, 2, 299])
        assert len(theirs) == len(mine) == 300
        assert (theirs.total, theirs.keys, theirs.documented) == (mine.total, mine.keys, mine.documented)
        assert (theirs.info.name, theirs.info.version) == (mine.info.name, mine.info.version)
        assert theirs.ids.equals(mine.ids)
        np.testing.assert_array_equal(theirs.vectors(), mine.vectors())
        np.testing.assert_array_equal(theirs.vectors(at), mine.vectors(at))
        assert theirs.column("n") == mine.column("n")
        assert theirs.column("no such key") == {}
        assert (
            theirs.records(at, frozenset({"documents"})).documents
            == mine.records(at, frozenset({"documents"})).documents
        )
        everything = Selection()
        np.testing.assert_array_equal(theirs.matching(everything), mine.matching(everything))
        assert len(theirs.matching(everything)) == 298
        for found, expected in zip(
            theirs.search(points.vectors(2, 1), 5), mine.search(points.vectors(2, 1), 5), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
        layout = StoredLayout(np.ones((300, 2), dtype=np.float32), "umap", {"a": 1}, 300)
        theirs.save_layout("key", layout)
        stored = theirs.layout("key")
        assert stored is not None
        assert (stored.method, stored.parameters, stored.fitted) == ("umap", {"a": 1}, 300)
        assert stored.created is not None
        assert theirs.layout("other") is None


def test_snapshots_are_let_go_of(other: OtherProcess, linked: chroma_nb.Client) -> None:
    kept = "answer = sum(len(s.snapshots) for s in client._store._held.owner._sessions.values())"
    first = linked._store.snapshot(linked["docs"].id)
    second = linked._store.snapshot(linked["docs"].id)
    assert other.run(kept) == "2"
    assert len(second.vectors()) == 300
    del first
    gc.collect()
    _until(lambda: other.run(kept) == "1")
    del second
    gc.collect()
    _until(lambda: other.run(kept) == "0")
    third = linked._store.snapshot(linked["docs"].id)
    linked.close()
    _until(lambda: other.run("answer = len(client._store._held.owner._sessions)") == "0")
    with pytest.raises(ClosedStoreError):
        third.vectors()


def _until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_views(other: OtherProcess, linked: chroma_nb.Client) -> None:
    docs = linked["docs"]
    linked._store.save_view(docs.id, "mine", '{"a": 1}')
    assert other.run("answer = client._store.view(client['docs'].id, 'mine')") == '{"a": 1}'
    assert linked._store.views(docs.id) == ["mine"]
    linked._store.delete_view(docs.id, "mine")
    assert linked._store.view(docs.id, "mine") is None


def test_a_map(linked: chroma_nb.Client, other: OtherProcess) -> None:
    """Computed here from the neighbours there, and stored there."""
    frame = linked["docs"].project(method="umap", engine="native", n_neighbors=5)
    assert frame.shape == (300, 2)
    assert np.isfinite(frame.to_numpy()).all()
    again = other.run("answer = client['docs'].project(method='umap', engine='native', n_neighbors=5)['x'].sum()")
    assert float(again) == pytest.approx(float(frame["x"].sum()), abs=1e-3)


# progress and interrupts ----------------------------------------------------------------------


@pytest.fixture
def slow(other: OtherProcess, linked: chroma_nb.Client) -> Iterator[chroma_nb.Client]:
    """The same with a collection whose graph takes a while."""
    other.run(
        "from tests.durability import workload; workload.set_threshold('chroma_nb.store.search.EXACT_ELEMENTS', 10**5)"
    )
    settings = {"hnsw:construction_ef": 300, "hnsw:M": 40, "hnsw:num_threads": 1}
    collection = linked.create_collection("slow", settings, embedding_function=None)
    matrix = np.random.default_rng(1).random((4_000, 64), dtype=np.float32)
    collection.add(ids=list(map(str, range(len(matrix)))), embeddings=matrix)
    yield linked
    other.run("workload.set_threshold('chroma_nb.store.search.EXACT_ELEMENTS', 20_000_000)")


def test_progress(slow: chroma_nb.Client) -> None:
    told: list[tuple[int, int]] = []
    collection = slow["slow"].id
    slow._store.build_index(collection, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (4_000, 4_000)
    assert slow._store.stats(collection).indexed == 4_000
    told.clear()
    indexed: list[tuple[int, int]] = []
    found, distances = slow._store.snapshot(collection).neighbours(
        5, lambda done, total: told.append((done, total)), indexing=lambda done, total: indexed.append((done, total))
    )
    assert found.shape == distances.shape == (4_000, 5)
    assert told[-1] == (4_000, 4_000)


def test_a_callback_that_raises_ends_the_work(other: OtherProcess, slow: chroma_nb.Client) -> None:
    collection = slow["slow"].id

    def enough(done: int, total: int) -> None:
        raise LookupError(f"enough after {done}")

    with pytest.raises(LookupError, match="enough after"):
        slow._store.build_index(collection, enough)
    building = "answer = client._store._backing._indexer._waited_for"
    _until(lambda: other.run(building) == "0")
    assert slow._store.stats(collection).indexed < 4_000
    with pytest.raises(KeyboardInterrupt):
        _interrupted(lambda: slow._store.build_index(collection), 0.2)
    _until(lambda: other.run(building) == "0")
    assert slow["slow"].count() == 4_000


@pytest.mark.slow
def test_interrupts_leave_no_half_read_answer(linked: chroma_nb.Client) -> None:
    """At any time in a call; the next one gets its own answer."""
    rng = np.random.default_rng(3)
    interrupts = 0
    usual = min(timeit.repeat(lambda: linked["docs"].get(ids=["a1", "a2"], include=["embeddings"]), number=1, repeat=5))
    for _ in range(150):
        some = list(dict.fromkeys(f"a{number}" for number in rng.integers(300, size=50)))
        get = functools.partial(linked["docs"].get, ids=some, include=["embeddings"])
        try:
            _interrupted(get, rng.uniform(0.05, 1.5) * usual)
        except KeyboardInterrupt:
            interrupts += 1
        wanted = f"a{rng.integers(300)}"
        assert linked["docs"].get(ids=[wanted]).index.tolist() == [wanted]
    assert interrupts > 20


def test_threads(other: OtherProcess, linked: chroma_nb.Client) -> None:
    """Each has its own connection; each gets its own answer."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(30):
                linked["other"].add(ids=[f"t{number}-{step}"], embeddings=points.vectors(1, step))
                assert linked["docs"].get(ids=[f"a{number}"]).index.tolist() == [f"a{number}"]
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert linked["other"].count() == 2 + 6 * 30
    assert other.run("answer = client['other'].count()") == str(2 + 6 * 30)


# manners --------------------------------------------------------------------------------------


def test_one_line_says_so(other: OtherProcess, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert other.open(path) == "done"
    with chroma_nb.Client(path) as client:
        expected = (
            f"{path} is open in another notebook or program (process {other.pid}): sharing it through that process."
        )
        assert [record.getMessage() for record in caplog.records] == [expected]
        with chroma_nb.Client(path):
            assert len(caplog.records) == 1, "once is enough"
        caplog.clear()
        other.run("client.close()")
        assert client["docs"].count() == 300
        expected = f"{path}: process {other.pid}, which had it open, is gone: this one has taken over."
        assert [record.getMessage() for record in caplog.records] == [expected]


def test_a_store_of_ones_own_says_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == 300
        files = {file.name: file.stat().st_mode & 0o777 for file in path.iterdir() if file.is_file()}
        assert files["owner.json"] == 0o600
    assert caplog.records == []
    assert not (path / "owner.json").exists()
    assert set(threading.enumerate()) == before


def test_every_method_of_a_closed_client_says_so(other: OtherProcess, path: Path) -> None:
    assert other.open(path) == "done"
    client = chroma_nb.Client(path)
    docs = client["docs"]
    client.close()
    calls: list[Callable[[chroma_nb.Client], object]] = [
        *points.CALLS.values(),
        lambda client: client.list_collections(),
        lambda _: docs.count(),
    ]
    for call in calls:
        with pytest.raises(ClosedStoreError, match=r"This client was closed\. Make a new one with Client"):
            call(client)
    other.run("client.close()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forks_copy_refuses(other: OtherProcess, linked: chroma_nb.Client) -> None:
    """And does not disturb the connections of the process it was copied from."""
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            linked["docs"].count()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read().startswith("StoreError: This client was made in another process. Make a new one here")
    os.wait()
    assert linked["docs"].count() == 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_of_the_owner_does_not_stand_in_for_it(mortal: OtherProcess, path: Path) -> None:
    """It inherits the sockets; were they left open, others would wait for answers from it."""
    assert mortal.open(path) == "done"
    child = int(mortal.run("answer = os.fork()\nif answer == 0:\n    import time; time.sleep(60); os._exit(0)"))
    try:
        with chroma_nb.Client(path) as client:
            assert store(client).owner == mortal.pid
            mortal.kill()
            began = time.monotonic()
            assert client["docs"].count() == 300
            assert store(client).owner == os.getpid()
            assert time.monotonic() - began < 5
    finally:
        os.kill(child, signal.SIGKILL)


_BOTH = """
from tests.durability import workload
model = workload.Model()
def both(step, mine):
    global model
    made = workload.make_operation(5, step, model, "upsert", 8)
    model = model.after(made)
    if mine:
        made.run(client[{name!r}])
"""


def test_work_of_any_kind_at_the_same_time(other: OtherProcess, linked: chroma_nb.Client) -> None:
    """Random calls in turn in both processes, against a model."""
    model, name = workload.Model(), workload.NAME + "-both"
    linked.create_collection(name, embedding_function=None)
    other.run(_BOTH.format(name=name))
    for step in range(24):
        operation = workload.make_operation(5, step, model, "upsert", 8)
        model = model.after(operation)
        if step % 2:
            operation.run(linked[name])
        assert other.run(f"both({step}, {step % 2 == 0})") == "done"
        assert workload.read(linked, name) == model
