"""Writes that fail or are interrupted: the call says so, leaves nothing, and the client goes on."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

import duckdb
import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import StoreError, StoreWriteError
from chroma_nb.store.catalog import Catalog
from chroma_nb.store.vectors import FileVectors
from tests.durability import points, workload

ROOT = Path(__file__).parents[2]
WRITES = ("add", "update", "upsert", "delete", "create", "drop", "rename", "reset")
WITH_VECTORS = ("add", "update", "upsert")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[chroma_nb.Client]:
    for name, value in workload.THRESHOLDS.items():
        monkeypatch.setattr(name, value)
    with chroma_nb.Client(tmp_path / "db") as made:
        points.populate(made)
        yield made


def test_reading_and_writing_go_on_when_the_disk_was_full(tmp_path: Path) -> None:
    """On a file system of its own where the rights suffice, else below a limit on the size of files."""
    child = [sys.executable, "-m", "tests.durability.disk_child"]
    volume = 'mount -t tmpfs -o size=32m none "$0" && exec "$@" volume "$0"'
    if _has_volumes(tmp_path):
        command = ["unshare", "-m", "sh", "-c", volume, str(tmp_path), *child]
    else:
        command = [*child, "limit", str(tmp_path)]
    _check_child(command)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_reading_and_writing_go_on_when_files_could_not_grow(tmp_path: Path) -> None:
    _check_child([sys.executable, "-m", "tests.durability.disk_child", "limit", str(tmp_path)])


def _has_volumes(path: Path) -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    tried = subprocess.run([unshare, "-m", "mount", "-t", "tmpfs", "none", str(path)], capture_output=True)
    return tried.returncode == 0


def _check_child(command: list[str]) -> None:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    refused = ["add", "update", "update of texts", "upsert", "create", "rename", "commit"]
    expected = [f"refused {call}" for call in refused]
    expected += ["persisted", "deleted", "indexed", "closed", "read without room", "reopened"]
    assert ended.stdout.splitlines() == expected


# simulated ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", WITH_VECTORS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO], ids=["ENOSPC", "EDQUOT", "EIO"])
def test_fsync_of_vectors_fails(
    client: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fsync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        _check_refused(client, call, os.strerror(number))
    _check_works_again(client, call)


class _Half:
    """A file that takes half of what it is given."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._full = False

    def __enter__(self) -> _Half:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: memoryview) -> int:
        if self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._full = True
        return self._file.write(content[: len(content) // 2])


@pytest.mark.parametrize("call", WITH_VECTORS)
def test_the_disk_is_full_in_the_middle_of_the_vectors(
    client: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    original = Path.open

    def half_open(self: Path, *args: Any, **options: Any) -> Any:
        file = original(self, *args, **options)
        return _Half(file) if self.suffix == ".f32" else file

    sizes = _sizes(client)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", half_open)
        _check_refused(client, call, os.strerror(errno.ENOSPC))
    assert _sizes(client) == sizes, "what was written of the vectors is taken back"
    _check_works_again(client, call)


def _sizes(client: chroma_nb.Client) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in Path(client._store.location).rglob("*.f32")}


class _Failing:
    """A connection whose COMMIT fails, and which then may refuse all work, as DuckDB's do."""

    def __init__(self, connection: Any, error: Exception, *, broken: bool) -> None:
        self._connection = connection
        self._error = error
        self._broken = broken
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *args: Any) -> Any:
        if statement == "COMMIT" or (self._broken and self.failures):
            self.failures += 1
            raise self._error
        return self._connection.execute(statement, *args)


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (duckdb.TransactionException("TransactionContext Error: Failed to commit: No space left on device"), False),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), False),
        (duckdb.FatalException("FATAL Error: database has been invalidated because of a previous fatal error"), True),
    ],
    ids=["transaction", "io", "fatal"],
)
def test_commit_fails(
    client: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception, broken: bool
) -> None:
    catalog: Catalog = client._store._backing._shelves.catalog  # type: ignore[attr-defined] # of a LocalStore
    failing = _Failing(catalog._connection, error, broken=broken)
    before = points.snapshot(client)
    monkeypatch.setattr(catalog, "_connection", failing)
    way_out = r"Nothing of this call was kept\. Free some space and try again"
    if broken:
        way_out = r"What was committed is safe, and the store was opened anew\. Try again"
    with pytest.raises(StoreError if broken else StoreWriteError, match=way_out):
        points.CALLS[call](client)
    assert failing.failures, "COMMIT was not reached"
    assert points.snapshot(client) == before
    monkeypatch.undo()
    for name, value in workload.THRESHOLDS.items():
        monkeypatch.setattr(name, value)
    _check_works_again(client, call)


def _check_refused(client: chroma_nb.Client, call: str, reason: str) -> None:
    before = points.snapshot(client)
    with pytest.raises(StoreWriteError, match=rf"{reason}.*Nothing of this call was kept\. Free some space"):
        points.CALLS[call](client)
    assert points.snapshot(client) == before
    assert len(client["docs"].query(points.vectors(1, 9), n_results=5)) == 5


def _check_works_again(client: chroma_nb.Client, call: str) -> None:
    """The call has its whole effect now, in memory and on disk."""
    before = points.snapshot(client)
    points.CALLS[call](client)
    after = points.snapshot(client)
    assert after != before
    client.close()
    with chroma_nb.Client(client._store.location) as reopened:
        assert points.snapshot(reopened) == after


def test_failed_compaction_does_not_fail_the_deletion(
    client: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = FileVectors.write

    def write(self: FileVectors, slot: int, rows: Any) -> None:
        if self.path.name.endswith(".1.f32"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, slot, rows)

    expected = points.snapshot(client)
    items = expected["docs", "None"].items
    for id_ in [id_ for id_, item in items.items() if item.metadata["n"] >= 50]:
        del items[id_]
    with monkeypatch.context() as patched:
        patched.setattr(FileVectors, "write", write)
        points.CALLS["compact"](client)
    assert "could not compact" in caplog.text
    assert points.snapshot(client) == expected
    client["docs"].delete(ids=["a1"])
    del items["a1"]
    assert points.snapshot(client) == expected
    files = [path.name for path in Path(client._store.location).rglob("*.f32")]
    assert sum(name.startswith(str(client["docs"].id)) for name in files) == 1
    client.close()
    with chroma_nb.Client(client._store.location) as reopened:
        assert points.snapshot(reopened) == expected


# interrupted ----------------------------------------------------------------------------------


class _Interrupt:
    """Raises KeyboardInterrupt at the first execution of one line of the store."""

    PURE = ("types.py", "mirror.py", "changes.py", "growing.py", "sparse.py", "search.py", "exact.py", "where_sql.py")

    def __init__(self) -> None:
        self.lines: dict[tuple[str, int], None] = {}
        self.target: tuple[str, int] | None = None

    def run(self, call: Callable[[], object], target: tuple[str, int] | None) -> bool:
        """Whether the call was interrupted."""
        self.lines, self.target = {}, target
        before = sys.gettrace()
        sys.settrace(self._frame)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    def _frame(self, frame: FrameType, event: str, argument: object) -> Any:
        path = frame.f_code.co_filename
        return self._line if f"chroma_nb{os.sep}store" in path and not path.endswith(self.PURE) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        at = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and at not in self.lines:
            self.lines[at] = None
            if at == self.target:
                raise KeyboardInterrupt
        return self._line


# Nothing in Python can close a file for sure when the interrupt comes between open() and `with`.
@pytest.mark.filterwarnings("ignore:.*unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", ["add", "upsert", "delete", "compact", "create", "drop", "rename", "reset"])
def test_keyboard_interrupt_at_any_line(client: chroma_nb.Client, tmp_path: Path, call: str) -> None:
    """Each line of the store that the call comes by; the call then happened entirely or not at all."""
    location = client._store.location
    before = points.snapshot(client)
    client.close()
    shutil.copytree(location, tmp_path / "before")
    with chroma_nb.Client(tmp_path / "traced") as traced:
        points.populate(traced)
        interrupt = _Interrupt()
        assert not interrupt.run(lambda: points.CALLS[call](traced), None)
        lines = interrupt.lines
        after = points.snapshot(traced)
    assert len(lines) > 30

    client, interrupted, done = chroma_nb.Client(location), 0, 0
    for target in lines:
        # The client is a new one only where the last call took effect.
        interrupted += interrupt.run(functools.partial(points.CALLS[call], client), target)
        where = f"after an interrupt at {target}"
        state = points.snapshot(client)
        assert state in (before, after), where
        assert _rows(client) == {key: list(model.items) for key, model in state.items()}, where
        if state == after:
            client.close()
            done += 1
            if done % 3 == 1:  # `_rows` has looked into the database already
                with chroma_nb.Client(location) as reopened:
                    assert points.snapshot(reopened) == after, where
            shutil.rmtree(location)
            shutil.copytree(tmp_path / "before", location)
            client = chroma_nb.Client(location)
    assert interrupted > 0.8 * len(lines)
    points.CALLS[call](client)
    assert points.snapshot(client) == after, "an interrupt left something that hurts later"
    client.close()
    with chroma_nb.Client(location) as reopened:
        assert points.snapshot(reopened) == after


def _rows(client: chroma_nb.Client) -> dict[tuple[str, str], list[str]]:
    """The ids as the database itself has them, past what the store keeps in memory."""
    keys = {info.name: (info.name, repr(info.metadata)) for info in client._store.list_collections()}
    if not keys:
        return {}
    rows = client.sql(" union all ".join(f"select '{name}' as name, id from \"{name}\"" for name in keys))
    return {key: rows["id"][rows["name"] == name].tolist() for name, key in keys.items()}


# Between the opening of a file and the `with` that closes it, only the garbage collector is left to do so.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
# Python itself drops what reaches it amid the callback of a weak reference, and goes on.
@pytest.mark.filterwarnings("ignore:(?s)Exception ignored.*KeyboardInterrupt:pytest.PytestUnraisableExceptionWarning")
def test_keyboard_interrupt_at_any_time(client: chroma_nb.Client) -> None:
    """Ctrl-C inside of DuckDB and of system calls, where no line of Python is."""
    rng = np.random.default_rng(1)
    ids = [f"n{i}" for i in range(3000)]
    matrix = rng.standard_normal((3000, points.DIMENSION)).astype(np.float32)
    texts = [f"text {i}" * 10 for i in range(3000)]
    before = points.snapshot(client)
    start = time.perf_counter()
    client["docs"].add(ids, matrix, documents=texts, metadatas=[{"n": i} for i in range(3000)])
    usual = time.perf_counter() - start
    client["docs"].delete(ids=ids)
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupts = 0
    try:
        for attempt in range(60):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, usual))
            try:
                client["docs"].add(ids, matrix, documents=texts, metadatas=[{"n": i} for i in range(3000)])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
            there = client["docs"].count() - len(before["docs", "None"].items)
            assert there in (0, 3000), f"attempt {attempt}"
            assert client.sql("select count(*) as n from docs")["n"].tolist() == [client["docs"].count()]
            client["docs"].delete(ids=ids)
            assert points.snapshot(client) == before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert interrupts > 5
    client.close()
    with chroma_nb.Client(client._store.location) as reopened:
        assert points.snapshot(reopened) == before
