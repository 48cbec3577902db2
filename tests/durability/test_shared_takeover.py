"""The owner of a directory goes, in every way: another one takes over, and each call has happened once."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import CollectionNotFoundError, StoreError, StoreLockedError
from chroma_nb.sharing import link
from chroma_nb.sharing.shared import SharedStore
from chroma_nb.store.calls import CallTable
from chroma_nb.types import Records, Selection
from tests.durability import points
from tests.durability.conftest import OtherProcess
from tests.durability.forking import Forking
from tests.durability.takeover import KEPT, Log, batch, gone, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

ROUNDS = 20


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    made = Forking("tests.durability.shared_child", tmp_path_factory.mktemp("processes") / "stderr")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        points.populate(client)
    return tmp_path / "db"


def owner(client: chroma_nb.Client) -> int:
    assert isinstance(client._store, SharedStore)
    return client._store.owner


# killed while others write ----------------------------------------------------------------------


class _Writers:
    """Three processes that write into one directory."""

    def __init__(self, processes: Forking, folder: Path) -> None:
        self.directory, self._processes, self._folder = folder / "db", processes, folder
        self.logs: dict[int, Log] = {}
        self.names: dict[int, str] = {}
        self.alive: list[int] = []

    def start(self) -> None:
        name = f"w{len(self.logs)}"
        log = Log(self._folder / f"log-{name}")
        pid = self._processes.start(role="write", directory=str(self.directory), name=name, log=str(log.path))
        self.logs[pid], self.names[pid] = log, name
        self.alive.append(pid)

    def wait_for_calls(self, calls: int) -> None:
        """Until each of them has made so many more."""
        wanted = {pid: self.logs[pid].count("end") + calls for pid in self.alive}
        until(lambda: all(self.logs[pid].count("end") >= count for pid, count in wanted.items()) or self._failed())
        assert not self._failed(), [log.failures() for log in self.logs.values()]

    def _failed(self) -> bool:
        return any(log.failures() for log in self.logs.values())

    def kill_the_owner(self) -> int:
        pid = -1

        def found() -> bool:
            nonlocal pid
            pid = _advertised(self.directory)
            return pid in self.alive

        until(found)
        os.kill(pid, signal.SIGKILL)
        self.alive.remove(pid)
        until(lambda: gone(pid))
        return pid

    def stop(self) -> None:
        (self._folder / "stop").touch()
        until(lambda: all(gone(pid) for pid in self.alive))
        for pid in self.alive:
            assert self.logs[pid].lines()[-1].startswith("stopped")


def _advertised(directory: Path) -> int:
    try:
        return int(json.loads((directory / "owner.json").read_text())["pid"])
    except (OSError, ValueError):
        return -1


@pytest.mark.slow
def test_the_owner_is_killed_while_two_others_write(processes: Forking, tmp_path: Path) -> None:
    with chroma_nb.Client(tmp_path / "db") as client:
        client.create_collection("docs", embedding_function=None)
    writers, rng = _Writers(processes, tmp_path), np.random.default_rng(4)
    for _ in range(3):
        writers.start()
    killed = []
    for _ in range(ROUNDS):
        writers.wait_for_calls(3)
        time.sleep(rng.uniform(0, 0.02))
        killed.append(writers.kill_the_owner())
        writers.start()
    writers.wait_for_calls(2)
    writers.stop()
    assert len(set(killed)) == ROUNDS

    with chroma_nb.Client(tmp_path / "db") as client:
        _check(client, writers)


def _check(client: chroma_nb.Client, writers: _Writers) -> None:
    frame = client["docs"].get(include=["documents", "embeddings"])
    assert frame.index.is_unique
    assert client["docs"].count() == len(frame)
    names = set(client.list_collections().index)
    least = most = 0  # writes that happened, as the version of the collection counts them
    allowed: set[str] = set()
    for pid, log in writers.logs.items():
        name, done = writers.names[pid], log.count("end")
        in_flight = log.count("begin") > done
        kept = [id_ for step in range(max(done - KEPT, 0), done) for id_ in batch(name, step).ids.to_pylist()]
        # A call in flight may have happened: one more batch, and one fewer.
        new = batch(name, done).ids.to_pylist() if in_flight else []
        old = set(batch(name, done - KEPT).ids.to_pylist()) if in_flight and done >= KEPT else set()
        assert set(kept) - old <= set(frame.index), f"{name} lost what it was told was there"
        for some in (set(new), old):
            assert len(some & set(frame.index)) in (0, len(some)), f"{name} has a half of a call"
        allowed |= {*kept, *new}
        writes = done + max(done - KEPT, 0)
        least, most = least + writes, most + writes + 2 * in_flight
        for step in range(0, done, 5):
            assert f"{name}-{step}" in names
        for step in range(max(done - KEPT, 0), done + in_flight):
            records = batch(name, step)
            for id_, vector in zip(
                records.ids.to_pylist(), records.embeddings if records.embeddings is not None else [], strict=True
            ):
                if id_ in frame.index:
                    assert np.array_equal(frame.loc[id_, "embedding"], vector)
                    assert frame.loc[id_, "document"] == f"text of {id_}"
    assert set(frame.index) <= allowed
    version = client._store.collection("docs").version
    assert least <= version <= most, "a write happened twice, or not at all"
    assert least > 100


# killed in the middle of one call ---------------------------------------------------------------

_CALLS = ("add", "update", "upsert", "delete", "create", "drop", "rename", "reset")


@pytest.mark.parametrize("hook", ["before commit", "after commit", "after the answer was made"])
@pytest.mark.parametrize("call", _CALLS)
def test_a_call_that_the_owner_dies_of_happens_once(
    processes: Forking, path: Path, tmp_path: Path, call: str, hook: str
) -> None:
    shutil.copytree(path, tmp_path / "undisturbed")
    with chroma_nb.Client(tmp_path / "undisturbed") as client:
        versions = _versions(points.CALLS[call], client)
        expected = points.snapshot(client)
    log = Log(tmp_path / "log")
    pid = processes.start(role="own", directory=str(path), log=str(log.path), hook=hook)
    until(lambda: log.count("ready") == 1)
    with chroma_nb.Client(path) as client:
        assert owner(client) == pid
        assert _versions(points.CALLS[call], client) == versions
        assert owner(client) == os.getpid()
        assert gone(pid), log.lines()
        assert points.snapshot(client) == expected


def _versions(call: Any, client: chroma_nb.Client) -> dict[str, int]:
    """Make the call; how many writes each collection has seen."""
    call(client)
    return {info.name: info.version for info in client._store.list_collections()}


def test_old_calls_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.store.calls.KEPT", 10)
    with chroma_nb.Client(path) as client:
        assert isinstance(client._store, SharedStore)
        local: Any = client._store._backing
        docs = client.create_collection("few", embedding_function=None).id
        made = [uuid.uuid4() for _ in range(35)]
        for step, call in enumerate(made):
            assert local.once(call, functools.partial(local.add, docs, batch("x", step)), _never) == 3
        table: CallTable = local._shelves.catalog.calls
        rows = local._shelves.catalog._connection.execute("SELECT count(*) FROM store.chroma_nb.calls").fetchall()
        assert 10 <= rows[0][0] <= 20
        assert table._known is not None
        assert 10 <= len(table._known) <= 20
        assert (table.find(made[-1]) is not None, table.find(made[0])) == (True, None)
        table.forget()
        assert table.find(made[-1]) is not None
        assert table.find(made[0]) is None
        assert local.once(made[-1], _never, lambda number: number) == 3


def _never(*_: object) -> None:
    raise AssertionError("not called")


# who takes over ---------------------------------------------------------------------------------


def test_the_owner_closes(other: OtherProcess, path: Path) -> None:
    assert other.open(path) == "done"
    with chroma_nb.Client(path) as client:
        snapshot = client._store.snapshot(client["docs"].id)
        other.run("client.close()")
        assert client["docs"].count() == 300
        assert owner(client) == os.getpid()
        assert len(snapshot.vectors()) == 300
        assert other.open(path) == "done"
        assert other.run("answer = client._store.owner") == str(os.getpid())
        other.run("client.close()")


def test_three_race_for_it(processes: Forking, tmp_path: Path) -> None:
    """Of those that are left one owns it, and the others work through that one."""
    with chroma_nb.Client(tmp_path / "db") as client:
        client.create_collection("docs", embedding_function=None)
    writers = _Writers(processes, tmp_path)
    for _ in range(4):
        writers.start()
    for _ in range(3):
        writers.wait_for_calls(2)
        writers.kill_the_owner()
        writers.wait_for_calls(2)
        assert _advertised(writers.directory) in writers.alive
    writers.stop()


def test_many_threads_lose_the_owner_at_once(mortal: OtherProcess, path: Path) -> None:
    assert mortal.open(path) == "done"
    with chroma_nb.Client(path) as client:
        failures: list[BaseException] = []
        started = threading.Barrier(7)

        def work(number: int) -> None:
            try:
                for step in range(40):
                    assert client._store.add(client["other"].id, _vectors(batch(f"t{number}", step))) == 3
                    if step == 5:
                        started.wait()
            except BaseException as error:  # noqa: BLE001 - shown below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        started.wait()
        mortal.kill()
        for thread in threads:
            thread.join()
        assert failures == []
        assert client["other"].count() == 2 + 6 * 40 * 3


def _vectors(records: Records) -> Records:
    """Of the dimension of `points`."""
    assert records.embeddings is not None
    return replace(records, embeddings=np.tile(records.embeddings, 2))


def test_a_snapshot_outlives_the_owner_if_nothing_changed(mortal: OtherProcess, path: Path) -> None:
    assert mortal.open(path) == "done"
    with chroma_nb.Client(path) as client:
        docs, other = (client._store.snapshot(client[name].id) for name in ("docs", "other"))
        before = docs.vectors()
        mortal.kill()
        client["other"].add(ids=["later"], embeddings=points.vectors(1, 1))
        np.testing.assert_array_equal(docs.vectors(), before)
        assert docs.ids.to_pylist()[:2] == ["a0", "a1"]
        found, _ = docs.neighbours(3)
        assert found.shape == (300, 3)
        with pytest.raises(StoreError, match=r"'other' was changed since this was read, .* is gone\. Refresh, or make"):
            other.vectors()
        client.delete_collection("other")
        with pytest.raises(CollectionNotFoundError):
            other.vectors()


def test_a_directory_that_was_deleted_under_its_owner(other: OtherProcess, path: Path) -> None:
    """Whoever opens it anew gets a new one, and does not work through the process that has the old one."""
    assert other.open(path) == "done"
    old = chroma_nb.Client(path)
    shutil.rmtree(path)
    with chroma_nb.Client(path) as client:
        assert client.count_collections() == 0
        assert owner(client) == os.getpid()
        client.create_collection("fresh")
        assert other.open(path) == "done"
        assert other.run("answer = client.list_collections().index.tolist()") == "['fresh']"
        other.run("client.close()")
    old.close()


# an owner that does not answer --------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_SILENCE", 0.4)
    monkeypatch.setattr(link, "_ANSWER", 0.4)


@pytest.mark.usefixtures("impatient")
def test_an_owner_that_is_stopped(mortal: OtherProcess, path: Path) -> None:
    assert mortal.open(path) == "done"
    message = rf"is open in process {mortal.pid}, which does not answer\. .*restart that kernel"
    with chroma_nb.Client(path) as client:
        collection = client["other"].id
        mortal.stop()
        try:
            for _ in range(2):
                with pytest.raises(StoreLockedError, match=message):
                    client._store.delete(collection, Selection())
            client._store.close()
            with pytest.raises(StoreLockedError, match=message):
                chroma_nb.Client(path)
        finally:
            os.kill(mortal.pid, signal.SIGCONT)
    with chroma_nb.Client(path) as client:
        assert client["other"].count() == 2, "what nobody waits for any more is not done later"
        assert owner(client) == mortal.pid


@pytest.mark.usefixtures("impatient")
def test_work_that_takes_long_may_take_long(mortal: OtherProcess, path: Path) -> None:
    """Three silences long: the owner is asked whether it is there, and it is."""
    assert mortal.open(path) == "done"
    mortal.run(
        "import time; from chroma_nb.store.local import LocalStore; stats = LocalStore.stats\n"
        "LocalStore.stats = lambda self, of: (time.sleep(1.5), stats(self, of))[1]"
    )
    with chroma_nb.Client(path) as client:
        began = time.monotonic()
        assert client["docs"].count() == 300
        assert time.monotonic() - began > 1.4


def test_a_program_that_shares_it_with_nobody(other: OtherProcess, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.sharing.shared.PATIENCE", 0.3)
    other.run(f"import duckdb; held = duckdb.connect({str(path / 'chroma_nb.duckdb')!r})")
    with pytest.raises(StoreLockedError, match=rf"{path}.* is open in process {other.pid}, which does not share it"):
        chroma_nb.Client(path)
    other.run("held.close()")
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == 300
