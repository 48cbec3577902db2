"""A process that runs out of disk. Run by `test_disk_full`: ``python -m tests.durability.disk_child WAY DIRECTORY``.

WAY is how the disk gets full: "volume" fills the file system that the directory is on (a small
one, please), "limit" limits the size of any file of this process. Prints what it did, a line each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import chroma_nb
from chroma_nb.errors import StoreWriteError
from tests.durability import points, workload

_BALLAST = "ballast"
_PAGE = 4096
_MANY = 200
# Random text, so that nobody can press it together; too long for what is left of a page.
_TEXTS = [np.random.default_rng(i).bytes(1000).hex() for i in range(_MANY)]
_NEW, _OLD = [f"n{i}" for i in range(_MANY)], [f"a{i}" for i in range(_MANY)]
_VECTORS = points.vectors(_MANY, 8)

_CALLS: dict[str, Callable[[chroma_nb.Client], object]] = {
    "add": lambda client: client["docs"].add(_NEW, _VECTORS, documents=_TEXTS),
    "update": lambda client: client["docs"].update(_OLD, _VECTORS, documents=_TEXTS),
    "update of texts": lambda client: client["docs"].update(_OLD, metadatas=[{"t": text} for text in _TEXTS]),
    "upsert": lambda client: client["docs"].upsert(_OLD[:100] + _NEW[100:], _VECTORS, documents=_TEXTS),
    "create": lambda client: client.create_collection("fresh", {"t": "".join(_TEXTS)}, embedding_function=None),
    "rename": lambda client: client["docs"].modify("renamed", {"t": "".join(_TEXTS)}),
}


class Disk:
    """Makes the disk full for a while."""

    def __init__(self, way: str, directory: Path) -> None:
        self.way = way
        self.directory = directory

    @contextmanager
    def full(self, left: int = 0) -> Iterator[None]:
        """Leave so many bytes: on the volume, or behind the end of DuckDB's log."""
        if self.way == "volume":
            self._fill(left)
            try:
                yield
            finally:
                (self.directory / _BALLAST).unlink()
        else:
            import resource

            logged = sum(path.stat().st_size for path in self.directory.rglob("*.wal"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (logged + left, resource.RLIM_INFINITY))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _fill(self, left: int) -> None:
        status = os.statvfs(self.directory)
        wanted = max(status.f_bavail * status.f_frsize - left, 0)
        # A thread of the store may take some of it meanwhile: then it is full all the same.
        with (self.directory / _BALLAST).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while wanted > 0:
                wanted -= file.write(b"\0" * min(wanted, 1 << 20))


def main(way: str, directory: Path) -> None:
    """Let each kind of write meet a full disk."""
    for name, value in workload.THRESHOLDS.items():
        workload.set_threshold(name, value)
    disk = Disk(way, directory)
    client = chroma_nb.Client(directory / "db")
    points.populate(client)

    for what, call in _CALLS.items():
        _refused(client, disk, what, call)
    _vectors_fit_but_rows_do_not(client, disk)
    _persist(client, disk)
    _delete_without_room_to_compact(client, disk)
    _graph(client, disk)
    state = points.snapshot(client)
    with disk.full():
        client.close()
    print("closed", flush=True)
    with disk.full(), chroma_nb.Client(directory / "db", read_only=True) as reader:
        assert points.snapshot(reader) == state
    print("read without room", flush=True)
    with chroma_nb.Client(directory / "db") as client:
        assert points.snapshot(client) == state
        points.CALLS["add"](client)
        assert points.snapshot(client) != state
    print("reopened", flush=True)


def _refused(
    client: chroma_nb.Client, disk: Disk, what: str, call: Callable[[chroma_nb.Client], object], left: int = 0
) -> StoreWriteError:
    """The call fails and leaves nothing; with room it works, and is taken back for the next one."""
    before = points.snapshot(client)
    with disk.full(left):
        error = _error_of(client, call)
        assert "Free some space" in str(error), error
        assert points.snapshot(client) == before, f"{what}: something of a failed call was kept"
        assert client["docs"].query(points.vectors(1, 9), n_results=3)["distance"].is_monotonic_increasing
        assert client.sql("select count(*) as n from docs")["n"].tolist() == [len(before["docs", "None"].items)]
        _error_of(client, call)  # again, and the client still lives
    print("refused", what, flush=True)
    call(client)
    assert points.snapshot(client) != before
    client.reset()
    points.populate(client)
    return error


def _error_of(client: chroma_nb.Client, call: Callable[[chroma_nb.Client], object]) -> StoreWriteError:
    try:
        call(client)
    except StoreWriteError as error:
        return error
    raise AssertionError("the disk was not full")


def _vectors_fit_but_rows_do_not(client: chroma_nb.Client, disk: Disk) -> None:
    """The commit itself fails, not the vectors before it."""
    vector_bytes = -(-_MANY * points.DIMENSION * 4 // _PAGE) * _PAGE
    error = _refused(client, disk, "commit", _CALLS["add"], left=vector_bytes + 4 * _PAGE)
    assert not isinstance(error.__cause__, OSError), "the vectors were to fit"


def _persist(client: chroma_nb.Client, disk: Disk) -> None:
    state = points.snapshot(client)
    with disk.full():
        with contextlib.suppress(StoreWriteError):  # a small log may fit into what the file has free
            client.persist()
        assert points.snapshot(client) == state
    client["docs"].add(ids=["after persist"], embeddings=points.vectors(1, 9))
    client.persist()
    print("persisted", flush=True)


def _delete_without_room_to_compact(client: chroma_nb.Client, disk: Disk) -> None:
    """Deleting is what one does on a full disk: room for its own commit is enough."""
    before = points.snapshot(client)
    for left in range(0, 64 * 1024, 1024):
        with disk.full(left):
            try:
                points.CALLS["compact"](client)
            except StoreWriteError:
                assert points.snapshot(client) == before, "something of a failed deletion was kept"
                continue
            assert client["docs"].count() < len(before["docs", "None"].items) - 200
            assert client["docs"].query(points.vectors(1, 9), n_results=3)["distance"].is_monotonic_increasing
            break
    state = points.snapshot(client)
    client["docs"].delete(ids=["a1"])  # there is room to compact now
    del state["docs", "None"].items["a1"]
    assert points.snapshot(client) == state
    print("deleted", flush=True)


def _graph(client: chroma_nb.Client, disk: Disk) -> None:
    """A graph that cannot be saved is no reason to fail."""
    client.reset()
    points.populate(client)
    with disk.full():
        client["docs"].create_index()
    assert client["docs"].query(points.vectors(1, 1)[0], n_results=1).index.tolist() == ["a0"]
    client["docs"].create_index()
    print("indexed", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main(sys.argv[1], Path(sys.argv[2]))
