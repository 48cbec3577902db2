"""``read_only=True``: a view that does not change, whoever writes meanwhile, and that keeps nobody from writing."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import ReadOnlyStoreError, StoreLockedError, StoreWriteError
from chroma_nb.sharing import frozen, open_store
from chroma_nb.store import directory, files
from chroma_nb.store.catalog import Copier
from chroma_nb.types import Selection
from tests.durability import points, workload
from tests.durability.conftest import OtherProcess


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        points.populate(client)
    return tmp_path / "db"


def _files(path: Path) -> set[Path]:
    return {file for file in path.rglob("*") if file.is_file()}


def test_while_another_process_writes(other: OtherProcess, path: Path) -> None:
    before = _files(path)
    assert other.open(path) == "done"
    assert other.run("client['docs'].update(ids=['a1'], metadatas=[{'k': 'not yet in the file'}])") == "done"
    with chroma_nb.Client(path, read_only=True) as reader:
        state = points.snapshot(reader)
        assert reader["docs"].get(ids=["a1"])["k"].tolist() == ["not yet in the file"]
        assert repr(reader) == f"Client({str(path)!r})"
        for change in (
            "client['docs'].delete(where={'n': {'$gte': 5}})",
            "client['other'].upsert(ids=['o1'], embeddings=[[9.0] * 16])",
            "client['docs'].add(ids=['new'], embeddings=[[9.0] * 16])",
            "client.persist()",
        ):
            assert other.run(change) == "done"
        assert points.snapshot(reader) == state
        with chroma_nb.Client(path, read_only=True) as later:
            assert later["docs"].count() == 6
            assert points.snapshot(reader) == state
        other.run("client.reset()")
        assert points.snapshot(reader) == state
        assert reader["docs"].query(points.vectors(1, 1), n_results=1).index.tolist() == ["a0"]
        assert reader.sql("select count(*) as n from docs")["n"].tolist() == [300]
        for call in points.CALLS.values():
            with pytest.raises(
                ReadOnlyStoreError, match=rf"{path} was opened with read_only=True: it cannot be changed"
            ):
                call(reader)
    other.run("client.close()")
    assert {file.name for file in _files(path)} <= {file.name for file in before}


def test_it_keeps_nobody_from_writing(other: OtherProcess, path: Path) -> None:
    with chroma_nb.Client(path, read_only=True) as reader:
        assert other.open(path) == "done"
        assert other.run("answer = client._store.owner") == str(other.pid)
        other.run("client['other'].delete(); client.close()")
        assert reader["other"].count() == 2
    with chroma_nb.Client(path, read_only=True) as reader:
        assert reader["other"].count() == 0


_BUSY = """
import threading
import numpy as np

ended = threading.Event()
made = client.create_collection("busy", embedding_function=None)

def work():
    step = 0
    while not ended.is_set():
        step += 1
        made.upsert([str(i) for i in range(50)], np.full((50, 4), step), metadatas=[{"step": step}] * 50)
        made.add([f"{step}-{i}" for i in range(10)], np.full((10, 4), step), metadatas=[{"step": step}] * 10)

thread = threading.Thread(target=work)
thread.start()
while made.count() < 100:
    pass
"""


def test_one_moment(other: OtherProcess, path: Path) -> None:
    """Rows, vectors and metadata are those of one moment, though they are changed all the time."""
    assert other.open(path) == "done"
    assert other.run(_BUSY) == "done"
    seen = set()
    try:
        for _ in range(8):
            with chroma_nb.Client(path, read_only=True) as reader:
                frame = reader["busy"].get(include=["metadatas", "embeddings"])
                assert frame.index.is_unique
                np.testing.assert_array_equal(np.stack(frame["embedding"].tolist())[:, 0], frame["step"])
                steps = frame["step"].iloc[:50]
                assert steps.nunique() == 1
                assert frame["step"].max() == steps.iloc[0]
                assert len(frame) - 50 in (10 * steps.iloc[0], 10 * (steps.iloc[0] - 1))
                seen.add(int(steps.iloc[0]))
    finally:
        other.run("ended.set(); thread.join(); client.close()")
    assert len(seen) > 1


def test_in_the_process_that_has_it_open(path: Path) -> None:
    """For what `chroma-nb info` does; the database must not lose its lock by that."""
    with chroma_nb.Client(path) as client:
        for _ in range(2):
            reader = open_store(path, read_only=True)
            client["other"].delete(ids=["o1"])
            assert reader.stats(client["docs"].id).count == 300
            reader.close()
        assert reader.location == str(path)
        assert client["other"].count() == 1
        locks = Path("/proc/locks")
        if locks.exists():
            inode = (path / "chroma_nb.duckdb").stat().st_ino
            assert any(f":{inode} " in line and "WRITE" in line for line in locks.read_text().splitlines())


def test_the_graph_comes_along(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workload.THRESHOLDS.items():
        monkeypatch.setattr(name, value)
    with chroma_nb.Client(path) as client:
        client["docs"].create_index()
        client.persist()
    with chroma_nb.Client(path, read_only=True) as reader:
        reader["docs"].query(points.vectors(1, 1))
        store, collection = reader._store, reader["docs"].id
        deadline = time.monotonic() + 10
        while store.stats(collection).indexed < 300 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.stats(collection).indexed >= 300
    assert len(_files(path / "graphs")) == 1


def test_where_links_do_not_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    with chroma_nb.Client(path, read_only=True) as reader:
        vectors = [file for file in _files(path / "frozen") if file.suffix == ".f32"]
        assert vectors
        assert {file.stat().st_nlink for file in vectors} == {1}
        assert reader["docs"].query(points.vectors(1, 1), n_results=1).index.tolist() == ["a0"]


@pytest.mark.parametrize("where", ["folder", "lock", "copy", "database"])
def test_without_room_it_is_read_in_place(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def no_room(*_: Any) -> None:
        raise StoreWriteError("No space left on device")

    if where == "folder":
        monkeypatch.setattr(Path, "mkdir", full)
    elif where == "lock":
        monkeypatch.setattr(files.fcntl, "lockf", full)
    elif where == "copy":
        monkeypatch.setattr(directory, "link_or_copy", full)
    else:
        monkeypatch.setattr(Copier, "copy", no_room)
    with chroma_nb.Client(path, read_only=True) as reader:
        monkeypatch.undo()
        assert reader["docs"].count() == 300
        assert not (path / "frozen").exists()
    client = chroma_nb.Client(path)
    monkeypatch.setattr(Copier, "copy", no_room)
    with pytest.raises(StoreWriteError):
        open_store(path, read_only=True)
    client.close()


# what is left behind --------------------------------------------------------------------------


def test_a_forgotten_view_is_removed(path: Path) -> None:
    before = _files(path)
    reader = chroma_nb.Client(path, read_only=True)
    docs = reader["docs"]
    assert _files(path) > before
    del reader
    gc.collect()
    assert docs.count() == 300
    del docs
    gc.collect()
    assert _files(path) == before
    assert not (path / "frozen").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_what_a_killed_reader_leaves_is_swept(mortal: OtherProcess, other: OtherProcess, path: Path) -> None:
    before = _files(path)
    assert mortal.open(path, read_only=True) == "done"
    assert other.open(path, read_only=True) == "done"
    mine = frozen.open_frozen(path)
    assert len(list((path / "frozen").iterdir())) == 3
    mortal.kill()
    for folder in (path / "frozen").iterdir():
        os.utime(folder, (0, 0))
    with chroma_nb.Client(path):
        assert len(list((path / "frozen").iterdir())) == 2, "those in use stay"
    assert other.run("answer = client['docs'].count()") == "300"
    assert len(mine.list_collections()) == 2
    other.run("client.close()")
    mine.close()
    assert _files(path) == before


def test_what_is_not_old_is_not_swept(path: Path) -> None:
    """Its maker may not have come to locking it."""
    (path / "frozen" / "fresh").mkdir(parents=True)
    with chroma_nb.Client(path):
        assert (path / "frozen" / "fresh").exists()
        os.utime(path / "frozen" / "fresh", (0, 0))
        frozen.sweep(path)
        assert not (path / "frozen").exists()


def test_one_that_cannot_be_looked_at_does_not_keep_others_from_being_swept(path: Path) -> None:
    for name in ("a", "b", "c"):
        (path / "frozen" / name).mkdir(parents=True)
        (path / "frozen" / name / "lock").mkdir() if name != "c" else None
        os.utime(path / "frozen" / name, (0, 0))
    frozen.sweep(path)
    assert sorted(folder.name for folder in (path / "frozen").iterdir()) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forks_end_leaves_the_view_alone(path: Path) -> None:
    with chroma_nb.Client(path, read_only=True) as reader:
        pid = os.fork()
        if pid == 0:
            reader.close()
            reader._store.__dict__["_remove"]()
            os._exit(0)
        os.waitpid(pid, 0)
        assert (path / "frozen").exists()
        assert len(reader["docs"].embeddings()) == 300


# owners that are in the way -------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGSTOP")
def test_an_owner_that_is_stopped(mortal: OtherProcess, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.sharing.link._ANSWER", 0.3)
    before = _files(path)
    assert mortal.open(path) == "done"
    mortal.stop()
    try:
        with pytest.raises(StoreLockedError, match=rf"process {mortal.pid}, which does not answer"):
            chroma_nb.Client(path, read_only=True)
    finally:
        os.kill(mortal.pid, signal.SIGCONT)
    assert _files(path) - before <= {path / "owner.json", path / "chroma_nb.duckdb.wal"}


def test_a_program_that_shares_it_with_nobody(other: OtherProcess, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_PATIENCE", 0.2)
    other.run(f"import duckdb; held = duckdb.connect({str(path / 'chroma_nb.duckdb')!r})")
    with pytest.raises(StoreLockedError, match=f"is open in process {other.pid}"):
        chroma_nb.Client(path, read_only=True)
    other.run("held.close()")
    assert not (path / "frozen").exists()


def test_owners_come_and_go_while_views_are_opened(other: OtherProcess, path: Path) -> None:
    """Copies are made by whoever owns the directory at that moment, or by the reader."""
    failures: list[BaseException] = []
    ended = threading.Event()

    def read() -> None:
        try:
            while not ended.is_set():
                store = frozen.open_frozen(path)
                info = store.collection("docs")
                assert len(store.get(info.id, Selection(), frozenset({"embeddings"}))) == 300
                store.close()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(10):
        assert other.open(path) == "done"
        assert other.run("client.close()") == "done"
    ended.set()
    thread.join()
    assert failures == []
