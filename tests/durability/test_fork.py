"""A process that has a store open is forked: however the child ends, nothing of the parent's is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import chroma_nb

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

ROOT = Path(__file__).parents[2]

_OPEN = {
    "owner": "client = chroma_nb.Client(path)",
    "owner with an explorer": "client = chroma_nb.Client(path); at = client._store.snapshot(client['docs'].id)",
    "after a failed statement": """
client = chroma_nb.Client(path)
try:
    client.sql('select nothing from docs')
except chroma_nb.errors.SqlError as error:
    kept = error
""",
    "guest": "client = chroma_nb.Client(path)",
    "frozen": "client = chroma_nb.Client(path, read_only=True)",
    "memory": "client = chroma_nb.Client(); client.create_collection('docs', embedding_function=None)",
}
_ENDS = {
    "end of the script": "",
    "exit": "sys.exit(0)",
    "exception": "raise LookupError('of the child')",
    "close": "client.close()",
    "collected": "client = at = kept = None; gc.collect()",
    "_exit": "os._exit(0)",
}
_PROGRAM = """
import gc, os, signal, sys
import chroma_nb
path = sys.argv[1]
{opened}
if not client._store.read_only:
    client["docs"].add(ids=["before"], embeddings=[[1, 2]])
child = os.fork()
if child == 0:
    {ends}
else:
    status = os.waitpid(child, 0)[1]
    if not client._store.read_only:
        client["docs"].add(ids=["after"], embeddings=[[1, 2]])
    print(status, client["docs"].count(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with chroma_nb.Client(tmp_path / "db") as client:
        client.create_collection("docs", embedding_function=None).add(ids=["first"], embeddings=[[3, 4]])
    return tmp_path / "db"


def _run(opened: str, ends: str, path: Path) -> str:
    program = _PROGRAM.format(opened=opened, ends=ends or "pass")
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("ends", _ENDS)
def test_what_the_owner_commits_after_a_fork_is_there(path: Path, ends: str) -> None:
    """The child does not merge and delete the log that the owner goes on writing to."""
    assert _run(_OPEN["owner"], _ENDS[ends], path) == f"{256 if ends == 'exception' else 0} 3\n"
    with chroma_nb.Client(path) as client:
        assert sorted(client["docs"].get().index) == ["after", "before", "first"]


@pytest.mark.parametrize("opened", ["owner with an explorer", "after a failed statement"])
def test_what_still_refers_to_the_store(path: Path, opened: str) -> None:
    assert _run(_OPEN[opened], _ENDS["collected"], path) == "0 3\n"
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == 3


def test_a_guest(path: Path) -> None:
    with chroma_nb.Client(path) as client:
        assert _run(_OPEN["guest"], _ENDS["exit"], path) == "0 3\n"
        assert client["docs"].count() == 3


def test_a_view(path: Path) -> None:
    assert _run(_OPEN["frozen"], _ENDS["exit"], path) == "0 1\n"
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == 1


@pytest.mark.parametrize("ends", ["exit", "collected"])
def test_a_store_in_memory(path: Path, ends: str) -> None:
    assert _run(_OPEN["memory"], _ENDS[ends], path) == "0 2\n"


_HEIR = """
import os, sys
import chroma_nb
from pathlib import Path
from chroma_nb.sharing import shared
shared.PATIENCE = 0.3
path = sys.argv[1]
client = chroma_nb.Client(path)
told, tell = os.pipe()
child = os.fork()
if child == 0:
    mine = chroma_nb.Client(path)
    print(mine["docs"].count(), mine._store.owner == os.getppid(), flush=True)
    os.write(tell, b".")
    while Path(path, "owner.json").exists():
        pass
    try:
        mine["docs"].count()
    except chroma_nb.errors.StoreLockedError as error:
        print(error, flush=True)
else:
    os.read(told, 1)
    client.close()
    print(os.waitpid(child, 0)[1])
"""


def test_a_child_works_through_its_parent_and_cannot_take_over(path: Path) -> None:
    """DuckDB takes what it inherited for open in this process; it says so, and what to do."""
    ended = subprocess.run(
        [sys.executable, "-c", _HEIR, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    first, second, status = ended.stdout.splitlines()
    assert (first, status) == ("1 True", "0"), ended.stderr
    assert "is still open in this process, or was when this one was forked from another" in second
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == 1
