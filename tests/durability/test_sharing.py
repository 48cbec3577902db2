"""Who else has the store open: other processes, other clients of this one, threads, the end of the program."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import chroma_nb
from chroma_nb.errors import ClosedStoreError, InvalidArgumentError
from chroma_nb.sharing.shared import SharedStore
from tests.durability import points, workload
from tests.durability.conftest import OtherProcess

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        points.populate(client)
    return tmp_path / "db"


# processes ------------------------------------------------------------------------------------


def test_second_process(other: OtherProcess, store: Path) -> None:
    """Who opens it second works through the first one, until that one goes."""
    assert other.open(store) == "done"
    with chroma_nb.Client(store) as client:
        assert (owner(client), other.run(OWNER)) == (other.pid, str(other.pid))
        assert client["docs"].count() == 300
        assert repr(client) == f"Client({str(store)!r})"
        other.run("client.close()")
        client["other"].add(ids=["o3"], embeddings=points.vectors(1, 5))
        assert owner(client) == os.getpid()
        assert other.open(store) == "done"
        assert other.run("answer = client['other'].count()") == "3"
        assert other.run(OWNER) == str(os.getpid())
        other.run("client.close()")
        assert client["other"].count() == 3


OWNER = "answer = client._store.owner"


def owner(client: chroma_nb.Client) -> int:
    """The process that has the directory open."""
    store = client._store
    assert isinstance(store, SharedStore)
    return store.owner


def test_two_processes_may_read(other: OtherProcess, store: Path) -> None:
    assert other.open(store, read_only=True) == "done"
    with chroma_nb.Client(store, read_only=True) as client:
        assert client["docs"].count() == 300
        assert other.run("answer = client['docs'].count()") == "300"
    other.run("client.close()")


def test_kill_frees_the_lock(mortal: OtherProcess, store: Path) -> None:
    assert mortal.open(store) == "done"
    mortal.run("client['other'].add(ids=['o3'], embeddings=[[0.5] * 16])")
    mortal.kill()
    with chroma_nb.Client(store) as client:
        assert client["other"].get().index.tolist() == ["o1", "o2", "o3"]


def test_a_forgotten_client_frees_the_lock(other: OtherProcess, store: Path) -> None:
    client = chroma_nb.Client(store)
    docs = client["docs"]
    del client
    gc.collect()
    assert docs.count() == 300, "a collection keeps its store"
    assert other.open(store) == "done"
    assert other.run(OWNER) == str(os.getpid())
    snapshot = other.run("kept = client._store.snapshot(client['docs'].id); answer = len(kept)")
    assert snapshot == "300", "what others look at does not keep it open either"
    del docs
    gc.collect()
    assert other.run("answer = client['docs'].count(), len(kept.vectors())") == "(300, 300)"
    assert other.run(OWNER) == str(other.pid)
    other.run("del kept; client.close()")


def test_a_client_forgotten_while_its_graph_is_built_frees_the_lock(
    other: OtherProcess, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma_nb.store.search.EXACT_ELEMENTS", 1000)
    client = chroma_nb.Client(store)
    _add_many(client)
    assert _indexers()
    del client
    gc.collect()
    deadline = time.monotonic() + 10
    assert other.open(store) == "done"
    assert other.run(OWNER) == str(other.pid)
    assert other.run("answer = client['docs'].count()") == "20300"
    other.run("client.close()")
    while _indexers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _indexers(), "a thread goes on building what nobody can use"


def _add_many(client: chroma_nb.Client) -> None:
    """Enough to keep the indexer busy for a while."""
    client["docs"].add(ids=[f"m{i}" for i in range(20_000)], embeddings=points.vectors(20_000, 70))


def _indexers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "index" in thread.name]


_RACE = """
import os, sys, time
import logging
import chroma_nb

logging.getLogger("chroma_nb.sharing").setLevel(logging.ERROR)

def write(path, name, start):
    time.sleep(max(start - time.monotonic(), 0))
    with chroma_nb.Client(path) as client:
        docs = client.get_or_create_collection("docs", embedding_function=None)
        return docs.add(ids=[name], embeddings=[[1, 2]])

for number in range(6):
    start, writers = time.monotonic() + 0.02, []
    for name in "abc":
        writers.append(os.fork())
        if writers[-1] == 0:
            write(f"{sys.argv[1]}/{number}", name, start)
            os._exit(0)
    assert [os.waitpid(writer, 0)[1] for writer in writers] == [0] * 3
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_make_the_same_store_at_once(tmp_path: Path) -> None:
    """None of them removes or replaces what another has begun."""
    ended = subprocess.run(
        [sys.executable, "-c", _RACE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for number in range(6):
        with chroma_nb.Client(tmp_path / str(number)) as client:
            assert sorted(client["docs"].get().index) == ["a", "b", "c"]


# clients of one process -------------------------------------------------------------------------


def test_two_clients_share(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = chroma_nb.Client(store), chroma_nb.PersistentClient(store)
    monkeypatch.chdir(store.parent)
    three = chroma_nb.Client(store.name)
    one.create_collection("fresh", embedding_function=None).add(ids=["x"], embeddings=[[1, 0]])
    assert two["fresh"].count() == three["fresh"].count() == 1
    two["fresh"].delete(ids=["x"])
    assert one["fresh"].count() == 0
    one.close()
    one.close()
    assert two["fresh"].count() == 0
    with pytest.raises(InvalidArgumentError, match=r"already open for writing in this process\. Close that client"):
        chroma_nb.Client(store, read_only=True)
    two.close()
    three["fresh"].add(ids=["y"], embeddings=[[1, 0]])
    three.close()
    with pytest.raises(ClosedStoreError, match=r"This client was closed\. Make a new one with Client"):
        three["fresh"].count()
    with chroma_nb.Client(store, read_only=True) as again:
        assert again["fresh"].count() == 1
        with pytest.raises(InvalidArgumentError, match="is already open for reading only in this process"):
            chroma_nb.Client(store)


def test_a_second_client_that_was_forgotten_does_not_keep_the_store_open(other: OtherProcess, store: Path) -> None:
    one, two = chroma_nb.Client(store), chroma_nb.Client(store)
    del two
    gc.collect()
    one.close()
    assert other.open(store) == "done"
    assert other.run(OWNER) == str(other.pid)
    other.run("client.close()")


def test_every_method_of_a_closed_client_says_so(store: Path) -> None:
    client = chroma_nb.Client(store)
    docs = client["docs"]
    client.close()
    calls: list[Callable[[chroma_nb.Client], object]] = [
        *points.CALLS.values(),
        lambda client: client.list_collections(),
        lambda client: client.sql("select 1"),
        lambda client: client.persist(),
    ]
    for call in calls:
        with pytest.raises(ClosedStoreError, match="This client was closed"):
            call(client)
    with pytest.raises(ClosedStoreError, match="This client was closed"):
        docs.query(points.vectors(1, 1))
    assert "db" in repr(client)


# threads and the end of the program -------------------------------------------------------------


def test_no_thread_is_left_after_close(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.store.search.EXACT_ELEMENTS", 1000)
    before = set(threading.enumerate())
    with chroma_nb.Client(store) as client:
        _add_many(client)
        assert _indexers()
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert set(threading.enumerate()) == before


_EXIT = """
import sys, time
import numpy as np
import chroma_nb
from tests.durability import workload
workload.set_threshold("chroma_nb.store.search.EXACT_ELEMENTS", 100_000)
client = chroma_nb.Client(sys.argv[1])
settings = {"hnsw:construction_ef": 400, "hnsw:M": 48, "hnsw:num_threads": 1}
docs = client.create_collection("slow", settings, embedding_function=None)
rng = np.random.default_rng(1)
docs.add(ids=[str(i) for i in range(30_000)], embeddings=rng.random((30_000, 256), dtype=np.float32))
docs.query(rng.random(256))
time.sleep(0.2)
assert 0 <= client._store.stats(docs.id).indexed < 25_000
print("bye", flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("sys.exit(3)", 3), ("del client, docs", 0)], ids=["end", "exit", "forgotten"]
)
def test_the_program_ends_while_the_graph_is_built(tmp_path: Path, ending: str, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _EXIT + ending, str(tmp_path / "db")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.readline()
        start = time.monotonic()
        assert process.wait(60) == code, process.stderr.read()
        took = time.monotonic() - start
        noise = process.stderr.read()
    assert (said, noise) == ("bye\n", "")
    assert took < 5
    with chroma_nb.Client(tmp_path / "db") as client:
        assert client["slow"].count() == 30_000
        assert len(set(workload.read(client, "slow").items)) == 30_000


def test_the_program_ends_without_closing(tmp_path: Path) -> None:
    code = (
        "import chroma_nb, sys; client = chroma_nb.Client(sys.argv[1]);"
        "docs = client.create_collection('docs', embedding_function=None); docs.add(ids=['a'], embeddings=[[1, 2]])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "db")], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    with chroma_nb.Client(tmp_path / "db") as client:
        assert client["docs"].get().index.tolist() == ["a"]
