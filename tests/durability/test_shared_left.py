"""What is left of a store when nobody works in it any more: errors, snapshots, calls that were under way."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import chroma_nb
from chroma_nb.errors import ReadOnlyStoreError, SqlError
from chroma_nb.sharing import calls, open_store, owner
from chroma_nb.sharing.channel import Gone
from chroma_nb.sharing.link import Link
from chroma_nb.sharing.shared import SharedStore
from chroma_nb.store.local import LocalStore
from tests.durability import points
from tests.durability.conftest import OtherProcess
from tests.durability.takeover import until

_LONG = "select count(*) as n from range(15000) a, range(15000) b where a.range + b.range = 7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        points.populate(client)
    return tmp_path / "db"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collection but by the count of references."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _local(client: chroma_nb.Client) -> LocalStore:
    assert isinstance(client._store, SharedStore)
    assert isinstance(client._store._backing, LocalStore)
    return client._store._backing


# what keeps a store open ------------------------------------------------------------------------


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("guests", [False, True])
def test_a_failed_statement_keeps_no_store_open(other: OtherProcess, path: Path, guests: bool) -> None:
    client = chroma_nb.Client(path)
    left = weakref.ref(_local(client))
    if guests:
        assert other.open(path) == "done"
        assert other.run("client.sql('select nothing from docs')").startswith("SqlError")
    else:
        with pytest.raises(SqlError):
            client.sql("select nothing from docs")
    del client
    until(lambda: left() is None)
    if guests:
        assert other.run("answer = client['docs'].count(), client._store.owner == os.getpid()") == "(300, True)"
        other.run("client.close()")


def test_an_error_lets_go_of_what_it_went_through() -> None:
    class Left:
        pass

    def fail(left: Left) -> None:
        try:
            raise LookupError("first")
        except LookupError as error:
            kept = error  # a cycle
            raise ValueError("second") from kept

    def failed() -> weakref.ref[Left]:
        left = Left()
        try:
            fail(left)
        except ValueError as error:
            calls.forget_frames(error)
        return weakref.ref(left)

    gc.collect()
    gc.disable()
    try:
        assert failed()() is None
    finally:
        gc.enable()


def test_a_store_that_a_snapshot_keeps_open_is_used_again(other: OtherProcess, path: Path) -> None:
    client = chroma_nb.Client(path)
    local = weakref.ref(_local(client))
    snapshot = client._store.snapshot(client["docs"].id)
    assert other.open(path) == "done"
    del client
    gc.collect()
    for _ in range(3):
        again = chroma_nb.Client(path)
        assert _local(again) is local()
        again["other"].upsert(ids=["later"], embeddings=points.vectors(1, 1))
        assert other.run("answer = client['other'].count(), client._store.owner") == f"(3, {os.getpid()})"
        del again
        gc.collect()
    with chroma_nb.Client(path, read_only=True) as reader:
        assert reader["other"].count() == 3
        with pytest.raises(ReadOnlyStoreError):
            reader["other"].delete(ids=["later"])
    assert len(snapshot) == 300
    del snapshot
    gc.collect()
    assert local() is None
    assert other.run("answer = client['other'].count(), client._store.owner == os.getpid()") == "(3, True)"
    other.run("client.close()")


def test_a_store_whose_directory_was_replaced_is_not(path: Path) -> None:
    client = chroma_nb.Client(path)
    snapshot = client._store.snapshot(client["docs"].id)
    del client
    gc.collect()
    path.rename(path.with_name("moved"))
    with chroma_nb.Client(path) as client:
        assert client.count_collections() == 0
    with pytest.raises(chroma_nb.errors.ClosedStoreError):
        snapshot.layout("any")


# calls that are under way ------------------------------------------------------------------------


def test_a_statement_outlives_the_owner(mortal: OtherProcess, path: Path) -> None:
    """It is interrupted there, and carried out by whoever is next."""
    assert mortal.open(path) == "done"
    mortal.run(
        "import threading; from chroma_nb.store import sql_views; began = threading.Event(); read = sql_views._read\n"
        "sql_views._read = lambda *of: (began.set(), read(*of))[1]"
    )
    found: list[Any] = []
    with chroma_nb.Client(path) as client:
        asking = threading.Thread(target=lambda: found.append(client.sql(_LONG)["n"].tolist()))
        asking.start()
        assert mortal.run("began.wait(20); client.close()") == "done"
        asking.join()
        assert found == [[8]]
        assert isinstance(client._store, SharedStore)
        assert client._store.owner == os.getpid()


def test_persisting_while_another_transaction_writes(path: Path) -> None:
    """As that of a copy does, at times. What cannot be merged now stays in the log."""
    local, log = LocalStore(path), path / "chroma_nb.duckdb.wal"
    with local._shelves.catalog.cursor() as cursor:
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute("UPDATE chroma_nb.store SET value = value")
        with pytest.raises(duckdb.TransactionException, match="Cannot CHECKPOINT"):
            local._shelves.catalog._connection.execute("CHECKPOINT store")
        local.save_view(local.collection("docs").id, "mine", "{}")
        local.persist()
        assert log.stat().st_size > 0
        cursor.execute("ROLLBACK")
    local.persist()
    assert not log.exists()
    local.close()


def test_an_owner_dies_of_a_copy(mortal: OtherProcess, path: Path) -> None:
    """What it has left in the folder is not taken for the copy, and not in the way of another."""
    assert mortal.open(path) == "done"
    mortal.run("from chroma_nb.store.catalog import Copier; Copier.copy = lambda *_: os.kill(os.getpid(), 9)")
    with chroma_nb.Client(path) as client:
        reader = open_store(path, read_only=True)
        assert isinstance(client._store, SharedStore)
        assert client._store.owner == os.getpid()
        assert reader.stats(reader.collection("docs").id).count == 300
        reader.close()


def test_an_owner_without_threads_for_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are turned away; it goes on, and serves them when there are threads again."""

    class Threads(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with chroma_nb.Client(path) as client:
        serving = set(threading.enumerate())
        with monkeypatch.context() as patch:
            patch.setattr(owner.threading, "Thread", Threads)  # type: ignore[attr-defined]
            for _ in range(2):
                with pytest.raises(Gone):
                    Link(path)
        assert set(threading.enumerate()) == serving
        link = Link(path)
        assert len(link.request("list_collections")) == 2
        link.close()
        assert client["docs"].count() == 300
