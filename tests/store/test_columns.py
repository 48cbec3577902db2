"""Columns in files: whatever is read from them is what the database says, and what is not right is not read."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import CorruptStoreError, ReadOnlyStoreError
from chroma_nb.store import columns, columns_file, schema, writing
from chroma_nb.store.items import ItemTables
from chroma_nb.store.shelves import Shelves

if TYPE_CHECKING:
    from collections.abc import Callable

    from chroma_nb.store.mirror import Mirror

CHUNK = 64
ITEMS = 300


@pytest.fixture(autouse=True)
def _low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 rows, written as soon as they lack eight."""
    for module, name, value in (
        (schema, "CHUNK", CHUNK),
        (columns, "CHUNK", CHUNK),
        (columns, "_FEW", 8),
        (columns, "PAUSE", 0.0),
        (columns, "_ON_CLOSING", 100),
        (writing, "COMPACT_SLOTS", 20),
        (writing, "COMPACT_SHARE", 0.3),
        (schema, "_FEW_COLUMNS", 4),
    ):
        monkeypatch.setattr(module, name, value)


def vectors(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def batch(first: int, count: int) -> dict[str, Any]:
    """Items with three dense keys and a few that only some have."""
    numbers = range(first, first + count)
    return {
        "ids": [f"a{i}" for i in numbers],
        "embeddings": vectors(count, first),
        "documents": [None if i % 7 == 0 else f"text é {i}" * (i % 3) for i in numbers],
        "metadatas": [
            {"n": i, "share": i / 3, "even": i % 2 == 0, "word": "w" * (i % 5)}
            | ({f"rare {i % 11}": i if i % 22 else str(i)} if i % 5 == 0 else {})
            for i in numbers
        ],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store of 300 items, in files but for the last few."""
    with chroma_nb.Client(tmp_path / "db") as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(**batch(0, ITEMS - 5))
        client.persist()
        docs.add(**batch(ITEMS - 5, 5))
    assert len(files(tmp_path / "db")) == 5
    return tmp_path / "db"


def files(path: Path) -> list[Path]:
    """The files of columns, by chunk."""
    return sorted((path / "columns").iterdir(), key=lambda file: int(file.name.split(".")[1]))


@dataclass
class Loaded:
    """What a closed store holds in memory when it is opened, and how many rows came from the database."""

    mirror: Mirror
    read: int


def loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    read: list[int] = []
    original = ItemTables.load

    def load(self: ItemTables, number: int, names: Any, start: int, stop: int) -> Any:
        table = original(self, number, names, start, stop)
        read.append(len(table))
        return table

    with monkeypatch.context() as patch:
        patch.setattr(ItemTables, "load", load)
        shelves = Shelves(path, read_only=True)
        (collection,) = shelves.entries
        mirror = shelves.shelf(collection).state.mirror
        shelves.close()
    return Loaded(mirror, sum(read))


def content(mirror: Mirror) -> dict[str, Any]:
    """All there is in a mirror, as plain Python."""
    return {
        "rows": mirror.rows.tolist(),
        "slots": mirror.slots.tolist(),
        "live": mirror.live.tolist(),
        "places": mirror.position_of_slot.tolist(),
        "columns": {name: mirror.whole(name).to_pylist() for name in mirror.types},
        "sparse": {
            number: (column.rows.tolist(), column.values.to_pylist())
            for number, column in mirror.sparse.items()
            if len(column.rows)
        },
    }


def check(path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """What files and database say together is what the database says alone."""
    bare = path.parent / "bare"
    shutil.copytree(path, bare)
    shutil.rmtree(bare / "columns", ignore_errors=True)
    found, expected = loaded(path, monkeypatch), loaded(bare, monkeypatch)
    shutil.rmtree(bare)
    assert expected.read == len(expected.mirror)
    assert content(found.mirror) == content(expected.mirror)
    return found


def test_items_come_from_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(path, monkeypatch)
    assert len(found.mirror) == ITEMS
    assert found.read == 5
    assert found.mirror.sparse


def _deleted_and_added(docs: chroma_nb.Collection) -> None:
    docs.delete(ids=["a3"])
    docs.add(**batch(3, 1))


CHANGES: dict[str, tuple[Callable[[chroma_nb.Collection], Any], int]] = {
    # and how many of the five chunks are read from the database then, until they are written again
    "add": (lambda docs: docs.add(**batch(ITEMS, 3)), 0),
    "add much": (lambda docs: docs.add(**batch(ITEMS, 200)), 0),
    "a new key": (lambda docs: docs.add(ids=["x"], embeddings=vectors(1), metadatas=[{"fresh": 1}]), 0),
    "update documents": (lambda docs: docs.update(ids=["a70"], documents=["other"]), 1),
    "update metadata": (lambda docs: docs.update(ids=["a2", "a200"], metadatas=[{"n": 1}, {"word": 3}]), 2),
    "update with a new key": (lambda docs: docs.update(ids=["a2"], metadatas=[{"fresh": 1.5}]), 1),
    "merge": (lambda docs: docs.update(ids=["a20"], metadatas=[{"rare 9": 5, "other": True}], merge=True), 1),
    "clear sparse values": (lambda docs: docs.update(ids=["a5"], metadatas=[{"n": 5}]), 1),
    "update vectors": (lambda docs: docs.update(ids=["a130", "a1"], embeddings=vectors(2)), 2),
    "upsert": (lambda docs: docs.upsert(ids=["a3", "b"], embeddings=vectors(2), documents=["x", "y"]), 1),
    "delete": (lambda docs: docs.delete(ids=["a3", "a66"]), 2),
    "delete a chunk": (lambda docs: docs.delete(where={"$and": [{"n": {"$gte": 64}}, {"n": {"$lt": 128}}]}), 1),
    "delete and add again": (_deleted_and_added, 1),
    "compact": (lambda docs: docs.delete(where={"n": {"$lt": 140}}), 5),
    "delete all": (lambda docs: docs.delete(), 5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    call, changed = CHANGES[change]
    before = {file.name for file in files(path)}
    with monkeypatch.context() as patch:
        patch.setattr(columns.Columns, "save", lambda *_, **__: None)  # as if the process had been killed
        with chroma_nb.Client(path) as client:
            call(client.get_collection("docs", embedding_function=lambda texts: vectors(len(texts), 9)))
            expected = client["docs"].get(include=["documents", "metadatas", "embeddings"])
    kept = {file.name for file in files(path)}
    assert kept <= before
    found = check(path, monkeypatch)
    stale = [chunk for chunk in range(5) if not any(f".{chunk}." in name for name in _valid(path))]
    assert len(stale) == changed
    assert found.read >= np.isin(found.mirror.rows // CHUNK, stale).sum()
    for _ in range(2):  # the second time from what the first one wrote
        with chroma_nb.Client(path) as client:
            again = client["docs"].get(include=["documents", "metadatas", "embeddings"])
        assert again.drop(columns="embedding").equals(expected.drop(columns="embedding"))
        assert [vector.tolist() for vector in again["embedding"]] == [
            vector.tolist() for vector in expected["embedding"]
        ]
    assert check(path, monkeypatch).read < 8 + 5


@pytest.mark.parametrize("change", ["add much", "update vectors", "delete", "compact"])
def test_written_by_the_process_that_made_the_change(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    with chroma_nb.Client(path) as client:
        CHANGES[change][0](client["docs"])
        expected = client["docs"].get().index.tolist()
    found = check(path, monkeypatch)
    assert found.mirror.whole("id").to_pylist() == expected
    assert found.read < 8 + 5


def _valid(path: Path) -> list[str]:
    """Names, without the collection, of the files that will be read."""
    shelves = Shelves(path, read_only=True)
    try:
        return [file.path.name[36:] for file in columns.filed(path / "columns", shelves.entries.values()).values()]
    finally:
        shelves.close()


# files that are not right ---------------------------------------------------------------------


def _check_bad_file(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, rows: int) -> None:
    """So many rows are read from the database instead, and the next process has a good file again."""
    with caplog.at_level(logging.WARNING):
        assert check(path, monkeypatch).read == rows + 5
        with chroma_nb.Client(path) as client:
            assert client["docs"].get().index.tolist() == [f"a{i}" for i in range(ITEMS)]
    assert "columns are read from the database instead" in caplog.text
    caplog.clear()
    assert check(path, monkeypatch).read == 5
    assert not caplog.records


@pytest.mark.parametrize("size", [0, 5, 23, 24, 100, 3000, -1000, -1])
def test_torn_file(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, size: int) -> None:
    file = files(path)[1]
    os.truncate(file, size if size >= 0 else file.stat().st_size + size)
    _check_bad_file(path, monkeypatch, caplog, CHUNK)


def test_longer_file(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with files(path)[1].open("ab") as file:
        file.write(b"x")
    _check_bad_file(path, monkeypatch, caplog, CHUNK)


def test_zeros(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    file = files(path)[1]
    file.write_bytes(bytes(file.stat().st_size))
    _check_bad_file(path, monkeypatch, caplog, CHUNK)


def test_every_byte_that_says_where_to_read_is_checked(path: Path) -> None:
    content = files(path)[0].read_bytes()
    other = path / "other"
    other.write_bytes(content)
    with other.open("r+b", buffering=0) as file:
        for at in range(24 + int.from_bytes(content[8:12], "little")):
            os.pwrite(file.fileno(), bytes([content[at] ^ (1 << at % 8)]), at)
            with pytest.raises(CorruptStoreError, match="torn or damaged"):
                columns_file.read(other)
            os.pwrite(file.fileno(), content[at : at + 1], at)
    assert columns_file.read(other)[0]["items"] == CHUNK


def test_file_of_another_state(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    first, second, *_ = files(path)
    shutil.copy(first, second)
    _check_bad_file(path, monkeypatch, caplog, CHUNK)


def test_missing_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(path)[2].unlink()
    assert check(path, monkeypatch).read == CHUNK + 5
    shutil.rmtree(path / "columns")
    assert check(path, monkeypatch).read == ITEMS
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == ITEMS
        client["docs"].peek()
    assert check(path, monkeypatch).read == 0


def test_a_database_from_a_backup(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that hold rows which the database has not: another history may give their numbers to other items."""
    database, backup = path / "chroma_nb.duckdb", path.parent / "backup"
    shutil.copy(database, backup)
    with chroma_nb.Client(path) as client:
        client["docs"].add(**batch(1000, 100))
    shutil.copy(backup, database)
    assert check(path, monkeypatch).read == ITEMS - 4 * CHUNK
    with chroma_nb.Client(path) as client:
        client["docs"].add(**batch(2000, 100))
        assert client["docs"].get(ids=["a2050"])["n"].tolist() == [2050]
    assert check(path, monkeypatch).mirror.whole("id").to_pylist()[-1] == "a2099"


def test_leftovers_are_removed_and_others_stay(path: Path) -> None:
    good = files(path)
    name = good[0].name
    chunk, stamp = name.split(".")[1:3]
    collection = name.split(".", maxsplit=1)[0]
    ours = [
        name.replace(stamp, "17"),
        name.replace(collection, "0" * 8 + collection[8:]),
        f"{name}.0123abcd.tmp",
        f"{collection}.{int(chunk) + 9}.5.6.columns",
    ]
    others = ["notes.txt", f"{collection}.columns", "x" + name]
    for other in (*ours, *others):
        (path / "columns" / other).write_text("?")
    with chroma_nb.Client(path) as client:
        assert client.count_collections() == 1
    assert {file.name for file in (path / "columns").iterdir()} == {file.name for file in good} | set(others)


# the store's other files ----------------------------------------------------------------------


def test_reading_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {file: file.stat().st_mtime_ns for file in files(path)}
    files(path)[2].unlink()
    with chroma_nb.Client(path, read_only=True) as client:
        (copy,) = (path / "frozen").glob("*/*/columns")
        assert len(list(copy.iterdir())) == 4
        docs = client["docs"]
        assert docs.get().index.tolist() == [f"a{i}" for i in range(ITEMS)]
        assert docs.query(vectors(1), n_results=2).shape[0] == 2
    assert check(path, monkeypatch).read == CHUNK + 5
    del before[next(file for file in before if not file.exists())]
    assert {file: file.stat().st_mtime_ns for file in files(path)} == before


@pytest.mark.parametrize("end", ["delete_collection", "reset"])
def test_files_go_with_the_collection(path: Path, end: str) -> None:
    with chroma_nb.Client(path) as client:
        other = client.create_collection("other", embedding_function=None)
        other.add(**batch(0, CHUNK))
        client.persist()
        assert len(files(path)) == 6
        client.delete_collection("docs") if end == "delete_collection" else client.reset()
        assert len(files(path)) == (1 if end == "delete_collection" else 0)


@pytest.mark.parametrize("end", ["delete_collection", "compact"])
def test_a_collection_that_goes_while_its_columns_are_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    files(path)[1].unlink()
    write = columns_file.write
    seen: list[Any] = []

    with chroma_nb.Client(path) as client:
        docs = client["docs"]

        def late(*arguments: Any) -> None:
            if not seen:
                seen.append(arguments)
                client.delete_collection("docs") if end == "delete_collection" else docs.delete(
                    where={"n": {"$lt": 140}}
                )
            write(*arguments)

        docs.peek()
        monkeypatch.setattr(columns_file, "write", late)
        client.persist()
        assert seen
    assert sorted(file.name[36:] for file in files(path)) == sorted(_valid(path))
    assert len(files(path)) == (0 if end == "delete_collection" else 3)


def test_nothing_is_written_in_memory_or_for_few_items(tmp_path: Path) -> None:
    with chroma_nb.Client() as client:
        client.create_collection("docs", embedding_function=None).add(**batch(0, ITEMS))
    with chroma_nb.Client(tmp_path) as client:
        client.create_collection("docs", embedding_function=None).add(**batch(0, 7))
    assert not files(tmp_path)


def test_what_is_written_while_items_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Five times as many rows as there are, at most; each file at once when a chunk is full."""
    written: list[int] = []
    write = columns_file.write

    def counted(path: Path, facts: Any, arrays: Any) -> None:
        written.append(facts["items"])
        write(path, facts, arrays)

    monkeypatch.setattr(columns_file, "write", counted)
    with chroma_nb.Client(tmp_path) as client:
        docs = client.create_collection("docs", embedding_function=None)
        for first in range(0, ITEMS, 3):
            docs.add(**batch(first, 3))
            client.persist()
    assert ITEMS <= sum(written) <= 5 * ITEMS
    assert len(files(tmp_path)) == 5
    assert check(tmp_path, monkeypatch).read < 8
    assert not caplog.records


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("realloc failed")])
def test_a_full_disk_costs_only_time(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def full(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(columns_file, "sync", full)
        with chroma_nb.Client(path) as client:
            client["docs"].delete(ids=["a1", "a70"])
    assert "could not be saved" in caplog.text
    assert len(check(path, monkeypatch).mirror) == ITEMS - 2
    assert not [file for file in (path / "columns").iterdir() if file.suffix == ".tmp"]


def test_a_store_without_stamps_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 3 of the tables knew of no columns in files."""
    expected = content(loaded(path, monkeypatch).mirror)
    shutil.rmtree(path / "columns")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path / 'chroma_nb.duckdb'}' AS store")
        connection.execute(f"ALTER TABLE {schema.SCHEMA}.collections DROP COLUMN stamps")
        connection.execute(f"UPDATE {schema.SCHEMA}.store SET value = '3' WHERE key = 'version'")
    with pytest.raises(ReadOnlyStoreError, match="open it once without"):
        chroma_nb.Client(path, read_only=True)
    with chroma_nb.Client(path) as client:
        assert client["docs"].count() == ITEMS
        client["docs"].peek()
    assert content(loaded(path, monkeypatch).mirror) == expected
    assert check(path, monkeypatch).read == 0
