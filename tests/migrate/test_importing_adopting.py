"""``Settings(chroma_db_impl="duckdb+parquet")`` on a directory of Chroma 0.3 simply works."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chroma_nb import Client, PersistentClient, Settings, compat
from chroma_nb.errors import CorruptStoreError, ForeignStoreError, StoreError
from chroma_nb.migrate import adopting
from chroma_nb.store.local import LocalStore
from tests.migrate.legacy_directory import Old, Row, fingerprints, write

COUNT = 200


@pytest.fixture
def old(tmp_path: Path) -> Path:
    made = [Row(f"id {n}", [float(n), 1.0], f"text {n}", {"n": n}) for n in range(COUNT)]
    bad = [Row("good", [1.0, 2.0]), Row("bad", None)]
    return write(tmp_path / "old", [Old("docs", made), Old("more", bad, {"hnsw:space": "cosine"})])


def asked(path: Path) -> Settings:
    return Settings(chroma_db_impl="duckdb+parquet", persist_directory=str(path))


def check(path: Path) -> None:
    with Client(asked(path)) as client:
        assert client.list_collections()["count"].to_dict() == {"docs": COUNT, "more": 1}
        assert client["docs"].get("id 7")["n"].tolist() == [7]
    assert not (path / "chroma_nb.importing").exists()


def test_it_works(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = fingerprints(old)
    with compat.Client(compat.Settings(chroma_db_impl="duckdb+parquet", persist_directory=str(old))) as client:
        docs = client.get_collection("docs")
        assert docs.get(ids=["id 7"])["documents"] == ["text 7"]
        assert docs.query([[3.0, 1.0]], n_results=1)["ids"] == [["id 3"]]
        docs.add(ids="new", embeddings=[1.0, 2.0])
    assert "Imported 2 collections with 201 items from the files of Chroma 0.3" in caplog.text
    assert "left out: 1 x without a vector ('bad')" in caplog.text
    caplog.clear()
    with Client(asked(old)) as client:
        assert client["docs"].count() == COUNT + 1
    with PersistentClient(str(old)) as client:
        assert client["docs"].count() == COUNT + 1
    assert caplog.text == ""
    after = fingerprints(old)
    assert {name: after[name] for name in before} == before
    assert not (old / "chroma_nb.importing").exists()


def test_reading_only_imports_nothing(old: Path) -> None:
    before = fingerprints(old)
    with pytest.raises(ForeignStoreError, match="Import it into another directory"):
        Client(asked(old), read_only=True)
    assert fingerprints(old) == before


def test_other_settings_import_nothing(old: Path) -> None:
    before = fingerprints(old)
    with pytest.raises(ForeignStoreError, match=r"\.import_directory\("):
        Client(Settings(is_persistent=True, persist_directory=str(old)))
    assert fingerprints(old) == before


def test_the_old_files_are_told_to_be_old(old: Path) -> None:
    with Client() as client:
        assert client.import_directory(old, "docs")["notes"].tolist() == [[]]
    check(old)
    with Client() as client:
        ((note,),) = client.import_directory(old, "docs")["notes"]
    assert note.startswith("a store of chroma_nb lies beside these files (chroma_nb.duckdb)")


def test_a_damaged_directory(old: Path) -> None:
    file = old / "chroma-embeddings.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(CorruptStoreError, match=r"chroma-embeddings\.parquet is torn"):
        Client(asked(old))
    assert not (old / "chroma_nb.duckdb").exists()
    file.write_bytes(content)
    check(old)


@pytest.mark.parametrize("content", [b"", b"not whole", bytes(5_000)])
def test_a_lock_that_a_full_disk_cut_off(old: Path, content: bytes) -> None:
    (old / "chroma_nb.importing").mkdir()
    (old / "chroma_nb.importing" / "lock").write_bytes(content)
    check(old)


def test_a_file_where_the_folder_goes(old: Path) -> None:
    (old / "chroma_nb.importing").write_text("mine")
    with pytest.raises(ForeignStoreError, match="a part of this path is a file"):
        Client(asked(old))


@pytest.mark.parametrize("method", ["add", "modify_collection", "persist"])
@pytest.mark.parametrize("after", [0, 1])
def test_an_interrupted_import_goes_on(old: Path, method: str, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original, left = getattr(LocalStore, method), [after]

    def fail(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            raise StoreError("The power is gone.")
        return original(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, method, fail)
        if method == "persist" and after:
            left[0] = 0
        with pytest.raises(StoreError, match="The power is gone"):
            Client(asked(old))
    assert not (old / "chroma_nb.duckdb").exists()
    with pytest.raises(ForeignStoreError):
        PersistentClient(str(old))
    check(old)


@pytest.mark.parametrize("after", range(3))
def test_interrupted_while_files_are_moved(old: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.replace
    moved: list[Path] = []

    def fail(path: Path, target: Any) -> Path:
        if Path(target).parent in (old, old / "vectors", old / "columns"):  # graphs may be there or not
            if len(moved) == after:
                raise KeyboardInterrupt
            moved.append(path)
        return original(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            Client(asked(old))
    assert len(moved) == after
    assert not (old / "chroma_nb.duckdb").exists()
    with pytest.raises(ForeignStoreError):
        PersistentClient(str(old))
    check(old)


def test_killed_in_the_midst(old: Path) -> None:
    child = (
        "import os, sys, chroma_nb\n"
        "from chroma_nb.store.local import LocalStore\n"
        "LocalStore.modify_collection = lambda *a, **k: os._exit(9)\n"
        "chroma_nb.Client(chroma_nb.Settings(chroma_db_impl='duckdb+parquet', persist_directory=sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", child, str(old)], capture_output=True, check=False).returncode == 9
    assert (old / "chroma_nb.importing").exists()
    with pytest.raises(ForeignStoreError):
        PersistentClient(str(old))
    check(old)


@pytest.mark.slow
def test_many_at_once(old: Path) -> None:
    child = (
        "import sys, chroma_nb\n"
        "from chroma_nb import Client, Settings\n"
        "client = Client(Settings(chroma_db_impl='duckdb+parquet', persist_directory=sys.argv[1]))\n"
        "print(client['docs'].count(), client['more'].count())\n"
        "client['docs'].upsert(ids=sys.argv[2], embeddings=[0.0, 0.0])\n"
    )
    command = [sys.executable, "-c", child, str(old)]
    running = [
        subprocess.Popen([*command, f"from {n}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert sum("Imported 2 collections" in error for _, error in said) == 1, said
    assert all(int(out.split()[0]) >= COUNT for out, _ in said)
    with Client(asked(old)) as client:
        assert client["docs"].count() == COUNT + 4
    assert not (old / "chroma_nb.importing").exists()


def test_threads_of_one_process(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    threads = [threading.Thread(target=adopting.adopt, args=(old,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caplog.text.count("Imported 2 collections") == 1
    check(old)
