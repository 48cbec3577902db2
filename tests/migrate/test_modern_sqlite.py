"""The SQLite database of a Chroma directory is read in every state it may be in, and nothing beside it changes."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chroma_nb.errors import CorruptStoreError, StoreLockedError, StoreWriteError
from chroma_nb.migrate import modern_sqlite
from chroma_nb.migrate.modern_sqlite import Database
from tests.migrate.modern_directory import ModernDirectory
from tests.migrate.reading import read, state

_ROWS = 2_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of some hundred pages."""
    directory = ModernDirectory(tmp_path / "chroma")
    docs = directory.collection("docs", 1)
    directory.sql.execute("BEGIN")
    directory.segment(docs, {f"id {n}": [n] for n in range(_ROWS)})
    directory.rows(docs, {f"id {n}": {"chroma:document": "text " * 20, "n": n} for n in range(_ROWS)})
    directory.sql.execute("COMMIT")
    directory.close()
    return directory.path / "chroma.sqlite3"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which copies are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def names(path: Path) -> list[str]:
    """The collections."""
    database = Database(path)
    found = [name for (name,) in database.rows("SELECT name FROM collections ORDER BY 1")]
    database.close()
    return found


@pytest.fixture
def wal(path: Path) -> Iterator[sqlite3.Connection]:
    """A writer in WAL mode that has committed a second collection to the log only."""
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.execute("INSERT INTO collections (id, name) VALUES ('x', 'second')")
    yield connection
    connection.close()


def test_a_quiet_database(path: Path, temporary: Path) -> None:
    before = state(path.parent)
    assert names(path) == ["docs"]
    assert state(path.parent) == before
    assert not any(temporary.iterdir())


def test_what_is_in_the_wal_is_read(path: Path, wal: sqlite3.Connection, temporary: Path, tmp_path: Path) -> None:
    left = tmp_path / "left by a crash"
    shutil.copytree(path.parent, left, ignore=shutil.ignore_patterns("*-shm"))
    before = state(left)
    assert names(left / path.name) == ["docs", "second"]
    assert state(left) == before
    assert names(path) == ["docs", "second"]  # while the writer has it open
    wal.close()
    before = state(path.parent)
    assert not path.with_name(path.name + "-wal").exists()
    assert names(path) == ["docs", "second"]  # in WAL mode still, without a log
    assert state(path.parent) == before
    assert not any(temporary.iterdir())


def test_a_transaction_that_was_killed_is_rolled_back_in_the_copy(path: Path, temporary: Path, tmp_path: Path) -> None:
    left = tmp_path / "left by a crash"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size=1")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE embedding_metadata SET string_value = 'half'")
    writer.execute("UPDATE collections SET name = 'half'")
    shutil.copytree(path.parent, left)
    writer.execute("ROLLBACK")
    writer.close()
    assert (left / f"{path.name}-journal").stat().st_size > 100_000
    before = state(left)
    database = Database(left / path.name)
    assert database.rows("SELECT count(*) FROM embedding_metadata WHERE string_value = 'half'") == [(0,)]
    assert database.rows("SELECT name FROM collections") == [("docs",)]
    assert any(temporary.iterdir())
    database.close()
    assert not any(temporary.iterdir())
    assert state(left) == before
    without = sqlite3.connect(f"file:{left / path.name}?mode=ro&immutable=1", uri=True)
    torn = without.execute("SELECT count(*) FROM embedding_metadata WHERE string_value = 'half'").fetchone()[0]
    without.close()
    assert torn > 0, "the database itself holds what was never committed"


def test_a_journal_that_is_not_needed_is_ignored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("a copy was made"))
    path.with_name(path.name + "-journal").write_bytes(bytes(512))  # as journal_mode=PERSIST leaves it
    before = state(path.parent)
    assert names(path) == ["docs"]
    assert state(path.parent) == before


def test_a_database_without_pause(path: Path, wal: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Any] = []

    def copy_while_it_changes(source: Path, target: Path) -> None:
        copied.append(target.write_bytes(source.read_bytes()))
        wal.execute("INSERT INTO collections (id, name) VALUES (?, 'more')", (str(len(copied)),))

    monkeypatch.setattr(shutil, "copyfile", copy_while_it_changes)
    with pytest.raises(StoreLockedError, match="is being written by another process"):
        Database(path)
    assert len(copied) == 6


def test_a_writer_that_keeps_its_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern_sqlite, "_PATIENCE", 0.1)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreLockedError, match="is being written by another process"):
        Database(path)
    writer.execute("ROLLBACK")
    writer.close()
    assert names(path) == ["docs"]


def test_no_room_for_the_copy(
    path: Path, wal: sqlite3.Connection, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wal.in_transaction is False

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StoreWriteError, match="No space left on device"):
        Database(path)
    monkeypatch.undo()
    assert not any(temporary.iterdir())


def test_a_locked_away_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreWriteError, match=r"cannot be read.*Permission denied"):
        Database(path)


def _zeroed(content: bytes) -> bytes:
    return content[: len(content) // 4] + bytes(len(content) // 2) + content[3 * len(content) // 4 :]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: content[:50], "its beginning is damaged"),
        (lambda content: b"x" * 5000, "not a SQLite database"),
        (lambda content: content[:4096], "is torn: it has 4,096 of"),
        (lambda content: content[:-1], "is torn"),
        (_zeroed, "malformed|is damaged"),
        (lambda content: content[:5000] + bytes(len(content) - 5000), "malformed|is damaged"),
    ],
    ids=["empty", "short", "foreign", "one page", "one byte missing", "zeros within", "zeros at the end"],
)
def test_damaged(path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptStoreError, match=said):
        Database(path)


def test_damage_that_only_a_check_of_all_pages_finds(path: Path) -> None:
    """Else it would be met after hours, with most rows imported, or not at all."""
    content = bytearray(path.read_bytes())
    leaf = content.rindex(b"text text") // 4096 * 4096  # a page of rows
    assert content[leaf] == 13
    content[leaf + 8 : leaf + 12] = content[leaf + 10 : leaf + 12] + content[leaf + 8 : leaf + 10]  # two rows swapped
    path.write_bytes(content)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(value) FROM (SELECT key || id AS value FROM embedding_metadata)").fetchone()
    connection.close()
    with pytest.raises(CorruptStoreError, match=r"is damaged: .*out of order"):
        Database(path)


def test_another_database(tmp_path: Path) -> None:
    path = tmp_path / "chroma.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(CorruptStoreError, match="no database of Chroma: tables of it are missing"):
        Database(path)


def test_names_of_folders_with_signs(path: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a?b#c%20d e&mode=rw"
    shutil.copytree(path.parent, odd)
    assert names(odd / path.name) == ["docs"]


def test_a_directory_that_cannot_be_written(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert read(path.parent, 1000)["docs"]["info"].rows == _ROWS
    finally:
        path.parent.chmod(0o755)
