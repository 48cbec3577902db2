"""Calls on a small store, and the places inside them where a process can be made to die."""

from __future__ import annotations

import functools
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import chroma_nb
from chroma_nb.store import columns_file
from chroma_nb.store.catalog import Catalog
from chroma_nb.store.directory import Directory
from chroma_nb.store.vectors import FileVectors
from chroma_nb.types import Matrix
from tests.durability.workload import Model, read

DIMENSION = 16
_ITEMS = 300  # with the lowered thresholds of `workload` enough for a graph


def vectors(count: int, seed: int) -> Matrix:
    """Random vectors, (count, DIMENSION)."""
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def populate(client: chroma_nb.Client) -> None:
    """The state that every call starts from."""
    docs = client.create_collection("docs", embedding_function=None)
    docs.add(
        ids=[f"a{i}" for i in range(_ITEMS)],
        embeddings=vectors(_ITEMS, 1),
        documents=[f"text {i}" for i in range(_ITEMS)],
        metadatas=[{"n": i, "k": "v"} | ({f"rare{i}": i} if i % 50 == 0 else {}) for i in range(_ITEMS)],
    )
    docs.update(ids=["a7"], embeddings=vectors(1, 2))
    other = client.create_collection("other", embedding_function=None)
    other.add(ids=["o1", "o2"], embeddings=vectors(2, 3))


def _index(client: chroma_nb.Client) -> None:
    client["docs"].create_index()
    client.persist()


def _save(client: chroma_nb.Client) -> None:
    client["docs"].update(ids=["a3"], metadatas=[{"k": 1}])
    client.persist()


CALLS: dict[str, Callable[[chroma_nb.Client], Any]] = {
    "add": lambda client: client["docs"].add(
        ids=[f"n{i}" for i in range(20)], embeddings=vectors(20, 4), metadatas=[{"new": i} for i in range(20)]
    ),
    "update": lambda client: client["docs"].update(
        ids=["a3", "a1"], embeddings=vectors(2, 5), documents=["x", "y"], metadatas=[{"k": 1}, {"n": 4}]
    ),
    "upsert": lambda client: client["docs"].upsert(
        ids=["a3", "b1"], embeddings=vectors(2, 6), documents=["x", "y"], metadatas=[{"rare0": "z"}, {"n": 4}]
    ),
    "delete": lambda client: client["docs"].delete(ids=["a3", "a0"]),
    "compact": lambda client: client["docs"].delete(where={"n": {"$gte": 50}}),
    "create": lambda client: client.create_collection("fresh", metadata={"a": 1}, embedding_function=None),
    "drop": lambda client: client.delete_collection("docs"),
    "rename": lambda client: client["docs"].modify(name="renamed", metadata={"b": 2}),
    "reset": lambda client: client.reset(),
    "index": _index,
    "save": _save,
}


Snapshot = dict[tuple[str, str], Model]


def snapshot(client: chroma_nb.Client) -> Snapshot:
    """Everything in a store, by name and metadata of the collections."""
    infos = client._store.list_collections()
    found = {(info.name, repr(info.metadata)): read(client, info.name) for info in infos}
    assert len(found) == len(infos), "names of collections are unique"
    return found


def die(*_: object, **__: object) -> NoReturn:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _vectors_half_written() -> None:
    def write(self: FileVectors, slot: int, rows: Matrix, told: Any = None) -> None:
        content = rows.tobytes()
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.seek(slot * DIMENSION * 4)
            file.write(content[: len(content) // 2 + 1])
            file.flush()
            die()

    setattr(FileVectors, "write", write)  # noqa: B010 - as all patches here


def _vectors_written(generation: int = 0) -> None:
    original = FileVectors.write

    def write(self: FileVectors, slot: int, rows: Matrix, told: Any = None) -> None:
        original(self, slot, rows, told)
        if self.path.name.endswith(f".{generation}.f32"):
            die()

    setattr(FileVectors, "write", write)  # noqa: B010


def _transaction(*, committed: bool, number: int = 1) -> None:
    original, seen = Catalog.transaction, []

    @contextmanager
    def transaction(self: Catalog) -> Iterator[None]:
        seen.append(self)
        with original(self):
            yield
            if len(seen) == number and not committed:
                die()
        if len(seen) == number:
            die()

    setattr(Catalog, "transaction", transaction)  # noqa: B010


def _graph_half_written() -> None:
    original, seen = zlib.crc32, []

    def crc32(part: bytes, start: int = 0) -> int:
        seen.append(part)
        if len(seen) == 4:
            die()
        return original(part, start)

    setattr(zlib, "crc32", crc32)  # noqa: B010


def _columns_half_written() -> None:
    setattr(columns_file, "sync", die)  # noqa: B010


def _file(suffix: str, *, renamed: bool) -> None:
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        found = original(self, target) if renamed else None
        if target.suffix == suffix:
            die()
        return found or original(self, target)

    setattr(Path, "replace", replace)  # noqa: B010


def _files_removed(count: int) -> None:
    original, seen = Path.unlink, []

    def unlink(self: Path, missing_ok: bool = False) -> None:
        seen.append(self)
        if len(seen) > count:
            die()
        original(self, missing_ok)

    assert callable(Directory.remove)
    setattr(Path, "unlink", unlink)  # noqa: B010


HOOKS: dict[str, Callable[[], None]] = {
    "vectors half written": _vectors_half_written,
    "vectors written": _vectors_written,
    "before commit": functools.partial(_transaction, committed=False),
    "after commit": functools.partial(_transaction, committed=True),
    "compaction, vectors written": functools.partial(_vectors_written, generation=1),
    "compaction, before commit": functools.partial(_transaction, committed=False, number=2),
    "compaction, after commit": functools.partial(_transaction, committed=True, number=2),
    "no file removed": functools.partial(_files_removed, 0),
    "one file removed": functools.partial(_files_removed, 1),
    "graph half written": _graph_half_written,
    "graph not renamed": functools.partial(_file, ".graph", renamed=False),
    "graph renamed": functools.partial(_file, ".graph", renamed=True),
    "columns half written": _columns_half_written,
    "columns not renamed": functools.partial(_file, ".columns", renamed=False),
    "columns renamed": functools.partial(_file, ".columns", renamed=True),
}

_WRITES = ("add", "update", "upsert", "delete", "create", "drop", "rename", "reset")
# (call, hook, whether the call is kept)
POINTS = [
    *((call, "before commit", False) for call in _WRITES),
    *((call, "after commit", True) for call in _WRITES),
    *((call, "vectors half written", False) for call in ("add", "update", "upsert")),
    *((call, "vectors written", False) for call in ("add", "update", "upsert")),
    *((call, hook, True) for call in ("drop", "reset") for hook in ("no file removed", "one file removed")),
    *(("compact", hook, True) for hook in HOOKS if hook.startswith("compaction") or hook.endswith("removed")),
    *(("index", hook, True) for hook in HOOKS if hook.startswith("graph")),
    *(("save", hook, True) for hook in HOOKS if hook.startswith("columns")),
]
