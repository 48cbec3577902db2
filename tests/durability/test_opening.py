"""What a client finds where it is told to open a store: others' files, damage, leftovers, no permission."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import (
    CollectionNotFoundError,
    CorruptStoreError,
    ForeignStoreError,
    InvalidArgumentError,
    NewerStoreError,
    ReadOnlyStoreError,
    StoreLockedError,
)
from tests.durability import points, workload
from tests.durability.conftest import OtherProcess

_SHARED = Path(__file__).parents[3] / "shared" / "data" / "chroma_dirs"
_CHROMA_DIRECTORIES = [path for path in sorted(_SHARED.glob("*")) if path.is_dir()]


@pytest.fixture(autouse=True)
def _low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workload.THRESHOLDS.items():
        monkeypatch.setattr(name, value)


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a graph, to copy."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workload.THRESHOLDS.items():
            patch.setattr(name, value)
        directory = tmp_path_factory.mktemp("populated") / "db"
        with chroma_nb.Client(directory) as client:
            points.populate(client)
            client["docs"].create_index()
    return directory


@pytest.fixture
def store(populated: Path, tmp_path: Path) -> Path:
    """A closed store with two collections, "docs" with a graph and "other"."""
    shutil.copytree(populated, tmp_path / "db")
    return tmp_path / "db"


@pytest.fixture
def state(populated: Path) -> points.Snapshot:
    with chroma_nb.Client(populated, read_only=True) as client:
        return points.snapshot(client)


def _bytes(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


# not a store ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ForeignStoreError, match=r"notes\.txt is a file\. A store is a directory: choose another"):
        chroma_nb.Client(path, read_only=read_only)
    assert path.read_text() == "mine"


def test_a_file_as_parent(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ForeignStoreError, match=r"notes\.txt.* (is a file|Not a directory)"):
        chroma_nb.Client(tmp_path / "notes.txt" / "db")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("name", ["chroma.sqlite3", "chroma-embeddings.parquet", "chroma-collections.parquet"])
def test_a_directory_of_chroma(tmp_path: Path, name: str, read_only: bool) -> None:
    (tmp_path / name).write_bytes(b"somebody's data")
    version = "0.4 or later" if name.endswith("sqlite3") else "0.3"
    with pytest.raises(ForeignStoreError, match=rf"Chroma {version}.*\({name}\).*does not change in place.*another"):
        chroma_nb.Client(tmp_path, read_only=read_only)
    assert _bytes(tmp_path) == {tmp_path / name: b"somebody's data"}


def test_real_directories_of_chroma(tmp_path: Path) -> None:
    for number, original in enumerate(_CHROMA_DIRECTORIES):
        copy = Path(shutil.copytree(original, tmp_path / str(number)))
        before = _bytes(copy)
        with pytest.raises(ForeignStoreError, match="holds a database of Chroma"):
            chroma_nb.Client(copy)
        assert _bytes(copy) == before
        assert not (copy / "vectors").exists()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("options", ["", "(STORAGE_VERSION 'v1.4.0')"])
def test_a_duckdb_file_of_somebody_else(tmp_path: Path, options: str, read_only: bool) -> None:
    path = tmp_path / "chroma_nb.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS mine {options}")
        connection.execute("CREATE TABLE mine.accounts AS SELECT 42 AS balance")
    before = path.read_bytes()
    with pytest.raises(ForeignStoreError, match=r"is a DuckDB database, but not one of chroma_nb\. Choose another dir"):
        chroma_nb.Client(tmp_path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello world" * 1000, b"SQLite format 3\0" * 500, b"x", b""])
def test_garbage_instead_of_the_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chroma_nb.duckdb").write_bytes(content)
    with pytest.raises(ForeignStoreError, match=r"is not a chroma_nb store\. Choose another directory, or move that"):
        chroma_nb.Client(tmp_path)
    assert (tmp_path / "chroma_nb.duckdb").read_bytes() == content


def test_a_database_that_was_just_being_made(tmp_path: Path) -> None:
    """As after kill -9 in the making: a half-made database never has the final name."""
    half_made = [tmp_path / f"chroma_nb.duckdb.0123abcd.new{suffix}" for suffix in ("", ".wal")]
    for path in half_made:
        path.write_bytes(b"half")
    with chroma_nb.Client(tmp_path) as client:
        points.populate(client)
        assert client["docs"].count() == 300
    assert not any(path.exists() for path in half_made)


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses by itself")
def test_a_database_that_another_program_has_open(
    other: OtherProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that shares it with nobody; or, as long as it is empty, one that is just making it."""
    monkeypatch.setattr("chroma_nb.sharing.shared.PATIENCE", 0.3)
    path = tmp_path / "chroma_nb.duckdb"
    other.run(f"import fcntl; file = open({str(path)!r}, 'wb'); fcntl.lockf(file, fcntl.LOCK_EX)")
    try:
        with pytest.raises(StoreLockedError, match=f"is open in process {other.pid}"):
            chroma_nb.Client(tmp_path)
        assert other.run(f"answer = os.path.samestat(os.fstat(file.fileno()), os.stat({str(path)!r}))") == "True"
    finally:
        other.run("file.close()")


# newer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_newer_tables(store: Path, read_only: bool) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{store / 'chroma_nb.duckdb'}' AS opened")
        connection.execute("UPDATE opened.chroma_nb.store SET value = '99' WHERE key = 'version'")
    before = _bytes(store)
    with pytest.raises(NewerStoreError, match=r"has version 99 of the tables; this chroma_nb knows .*--upgrade chroma"):
        chroma_nb.Client(store, read_only=read_only)
    assert _bytes(store) == before


def test_a_newer_duckdb_wrote_the_file(store: Path) -> None:
    path = store / "chroma_nb.duckdb"
    content = path.read_bytes()
    assert _checksum(content) == content[:8], "the layout of the header is the one known here"
    content = content[:12] + (5000).to_bytes(8, "little") + content[20:]
    path.write_bytes(_checksum(content) + content[8:])
    with pytest.raises(NewerStoreError, match=r"written by a newer DuckDB than the .* installed .*--upgrade duckdb"):
        chroma_nb.Client(store)


def _checksum(content: bytes) -> bytes:
    """DuckDB's checksum of its first header."""
    words = np.frombuffer(content[8:4096], "<u8") * np.uint64(0xBF58476D1CE4E5B9)
    return int(np.bitwise_xor.reduce(words) ^ np.uint64(5381)).to_bytes(8, "little")


def test_the_newest_storage_version_of_this_duckdb(store: Path, state: points.Snapshot) -> None:
    """A file that some tool rewrote in DuckDB's latest format opens where DuckDB can open it."""
    path, rewritten = store / "chroma_nb.duckdb", store / "rewritten.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS old (READ_ONLY)")
        connection.execute(f"ATTACH '{rewritten}' AS new (STORAGE_VERSION 'latest')")
        connection.execute("COPY FROM DATABASE old TO new")
    rewritten.replace(path)
    with chroma_nb.Client(store) as client:
        assert points.snapshot(client) == state


# damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_database(store: Path, share: float) -> None:
    path = store / "chroma_nb.duckdb"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CorruptStoreError, match=r"is damaged: .*Restore the directory from a backup\."):
        _read_all(store)


@pytest.mark.parametrize("at", [100, 4100, 8200, 12400])
def test_damaged_database(store: Path, at: int) -> None:
    path = store / "chroma_nb.duckdb"
    content = bytearray(path.read_bytes())
    content[at : at + 16] = bytes(byte ^ 0xFF for byte in content[at : at + 16])
    path.write_bytes(content)
    with pytest.raises(CorruptStoreError, match=r"is damaged: .*Restore the directory from a backup\."):
        _read_all(store)


def _read_all(store: Path) -> points.Snapshot:
    with chroma_nb.Client(store) as client:
        return points.snapshot(client)


@pytest.mark.parametrize("damage", ["missing", "short", "empty"])
def test_vectors_missing_or_short(store: Path, state: points.Snapshot, damage: str) -> None:
    client = chroma_nb.Client(store)
    docs = client["docs"]
    client.close()
    (path,) = (store / "vectors").glob(f"{docs.id}.*")
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, 0 if damage == "empty" else path.stat().st_size - 1)
    with chroma_nb.Client(store) as client:
        message = rf"The file of vectors .*{docs.id}.* holds \d+ of the \d+ vectors .*Restore the whole directory"
        assert client.list_collections()["count"].tolist() == [300, 2]
        touches = (
            client["docs"].embeddings,
            lambda: client["docs"].query(points.vectors(1, 1)),
            lambda: points.CALLS["add"](client),
            client["docs"].embeddings,
        )
        for touch in touches:
            with pytest.raises(CorruptStoreError, match=message):
                touch()
        # The others are none the worse for it.
        assert workload.read(client, "other") == state["other", "None"]
        client["other"].add(ids=["o3"], embeddings=points.vectors(1, 5))
        assert client.sql('select id from "other"')["id"].tolist() == ["o1", "o2", "o3"]
        # And there is a way out.
        client.delete_collection("docs")
        assert client.list_collections().index.tolist() == ["other"]
        with pytest.raises(CollectionNotFoundError, match="docs does not exist"):
            client.get_collection("docs")


def test_lists_show_a_damaged_collection(store: Path) -> None:
    """The others are listed, and the damaged one too: how else would one find it?"""
    for path in (store / "vectors").glob("*"):
        if path.stat().st_size > 1000:
            path.unlink()
    with chroma_nb.Client(store) as client:
        listed = client.list_collections()
        assert listed.index.tolist() == ["docs", "other"]
        assert listed["count"].tolist() == [300, 2]
        assert "other" in client._repr_html_()


# graphs: a cache ------------------------------------------------------------------------------


def _graph(store: Path) -> Path:
    (path,) = (store / "graphs").glob("*.graph")
    return path


def _check_graph_is_made_anew(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), chroma_nb.Client(store) as client:
        client["docs"].create_index()
        assert client._store.stats(client["docs"].id).indexed > 300
        _check_answers(client, state)
    assert _graph(store).stat().st_size > 10_000
    assert "Traceback" not in caplog.text
    with chroma_nb.Client(store) as client:
        _check_answers(client, state)


def _check_answers(client: chroma_nb.Client, state: points.Snapshot) -> None:
    model = state["docs", "None"]
    found = client["docs"].query(model.matrix()[:50], n_results=3)
    best = found[found["rank"] == 0]
    assert np.mean(np.array(best.index) == np.array(list(model.items)[:50])) > 0.95
    np.testing.assert_allclose(best["distance"][best.index == "a9"], 0, atol=1e-9)


@pytest.mark.parametrize("size", [0, 5, 20, 40, 5000, -1])
def test_torn_graph(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture, size: int) -> None:
    path = _graph(store)
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    _check_graph_is_made_anew(store, state, caplog)
    assert "the search graph is built anew" in caplog.text


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.7, 0.9999])
def test_damaged_graph(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture, share: float) -> None:
    path = _graph(store)
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0xFF
    path.write_bytes(content)
    _check_graph_is_made_anew(store, state, caplog)
    assert "the search graph is built anew" in caplog.text


def test_graph_of_another_collection(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    with chroma_nb.Client(store) as client:
        client.create_collection("twin", embedding_function=None).add(
            ids=list(map(str, range(400))), embeddings=points.vectors(400, 50)
        )
        client["twin"].create_index()
    twin, docs = sorted((store / "graphs").glob("*.graph"), key=lambda path: _is_of(path, "docs", store))
    shutil.copy(twin, docs)
    with caplog.at_level(logging.INFO), chroma_nb.Client(store) as client:
        client["docs"].create_index()
        _check_answers(client, state)
    assert "belongs to another collection" in caplog.text


def _is_of(path: Path, name: str, store: Path) -> bool:
    with chroma_nb.Client(store, read_only=True) as client:
        return path.name.startswith(str(client[name].id))


def test_missing_graph(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    _graph(store).unlink()
    _check_graph_is_made_anew(store, state, caplog)


def test_garbage_graph(store: Path, state: points.Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    _graph(store).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR." * 1000)
    _check_graph_is_made_anew(store, state, caplog)
    assert "is not a graph file of this version" in caplog.text


def test_graph_older_than_the_rows(store: Path) -> None:
    """As after a crash: the graph knows neither the last additions nor the last deletions."""
    path = _graph(store)
    old = path.read_bytes()
    with chroma_nb.Client(store) as client:
        client["docs"].add(ids=[f"n{i}" for i in range(200)], embeddings=points.vectors(200, 60))
        client["docs"].delete(ids=[f"a{i}" for i in range(0, 100, 2)])
        client["docs"].update(ids=["a1"], embeddings=points.vectors(1, 61))
        client["docs"].create_index()
        state = points.snapshot(client)
    path.write_bytes(old)
    with chroma_nb.Client(store) as client:
        for _ in range(2):
            _check_answers(client, state)
            deleted = client["docs"].query(points.vectors(300, 1)[0], n_results=400)
            assert not {f"a{i}" for i in range(0, 100, 2)} & set(deleted.index)
            client["docs"].create_index()
        assert points.snapshot(client) == state


# leftovers ------------------------------------------------------------------------------------


def test_leftovers_are_swept(store: Path, state: points.Snapshot) -> None:
    kept = {path for path in store.rglob("*") if path.is_file()}
    left = _leave_files(store)
    for name in ("notes.txt", "vectors/mine.f32", "graphs/mine.0.graph"):
        (store / name).write_text("not of the store: not its business")
        kept.add(store / name)
    with chroma_nb.Client(store, read_only=True) as client:
        assert points.snapshot(client) == state
    assert all(path.exists() for path in left), "read_only=True changes nothing"
    with chroma_nb.Client(store) as client:
        assert points.snapshot(client) == state
    assert {path for path in store.rglob("*") if path.is_file()} == kept


def _leave_files(store: Path) -> list[Path]:
    """What interrupted deletions, compactions and savings leave behind."""
    gone = uuid.uuid4()
    (docs,) = (path.stem.partition(".")[0] for path in (store / "graphs").glob("*.graph"))
    names = [f"vectors/{gone}.0.f32", f"vectors/{docs}.1.f32", f"graphs/{gone}.0.graph", f"graphs/{docs}.0.123.tmp"]
    for name in names:
        (store / name).write_bytes(b"left behind")
    return [store / name for name in names]


# permissions ----------------------------------------------------------------------------------

_NOBODY = 65534


@pytest.fixture
def unprivileged(other: OtherProcess, tmp_path: Path) -> Iterator[OtherProcess]:
    """A process without root's rights, which may read below ``tmp_path`` what its modes allow to anybody."""
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows has other permissions")
    root = os.geteuid() == 0
    opened = []
    if root:
        for path in (tmp_path, *tmp_path.parents):
            mode = path.stat().st_mode & 0o777
            if mode & 0o055 != 0o055:
                opened.append((path, mode))
                path.chmod(mode | 0o055)
        other.run(f"os.setresuid({_NOBODY}, {_NOBODY}, 0)")
    yield other
    other.run("client.close()")
    if root:
        other.run("os.setresuid(0, 0, 0)")
    for path, mode in opened:
        path.chmod(mode)


def _set_modes(store: Path, directories: int, files: int) -> None:
    for path in (*store.rglob("*"), store):
        path.chmod(directories if path.is_dir() else files)


@pytest.fixture
def frozen(store: Path) -> Iterator[Path]:
    """The store in directories of mode 0555."""
    _set_modes(store, 0o555, 0o444)
    yield store
    _set_modes(store, 0o755, 0o644)


def test_read_only_directory(unprivileged: OtherProcess, frozen: Path) -> None:
    message = unprivileged.open(frozen)
    assert message.startswith("ReadOnlyStoreError: No permission to write at")
    assert "Client(path, read_only=True)" in message

    assert unprivileged.open(frozen, read_only=True) == "done"
    assert unprivileged.run("answer = client['docs'].count(), len(client['docs'].query([[0.5] * 16]))") == "(300, 10)"
    answer = unprivileged.run("client['docs'].add(ids=['x'], embeddings=[[0.5] * 16])")
    assert answer.startswith("ReadOnlyStoreError")
    assert "read_only=True: it cannot be changed" in answer


def test_read_only_directory_after_a_crash(
    unprivileged: OtherProcess, store: Path, state: points.Snapshot, tmp_path: Path
) -> None:
    """With a log that was never merged into the file."""
    client = chroma_nb.Client(store)
    client["other"].add(ids=["o3"], embeddings=points.vectors(1, 5))
    crashed = Path(shutil.copytree(store, tmp_path / "crashed"))
    client.close()
    assert (crashed / "chroma_nb.duckdb.wal").stat().st_size > 0
    _leave_files(crashed)
    _set_modes(crashed, 0o555, 0o444)
    try:
        assert unprivileged.open(crashed, read_only=True) == "done"
        assert unprivileged.run("answer = client['docs'].count(), client['other'].count()") == "(300, 3)"
    finally:
        _set_modes(crashed, 0o755, 0o644)


def test_directory_that_cannot_be_made(unprivileged: OtherProcess, frozen: Path) -> None:
    answer = unprivileged.open(frozen / "new" / "db")
    assert answer.startswith("ReadOnlyStoreError: No permission to write at")
    assert "directory of your own" in answer


@pytest.mark.parametrize("read_only", [False, True])
def test_unreadable_directory(unprivileged: OtherProcess, store: Path, read_only: bool) -> None:
    _set_modes(store, 0o755, 0o644)
    store.chmod(0)
    try:
        answer = unprivileged.open(store, read_only=read_only)
    finally:
        store.chmod(0o755)
    assert answer.startswith("ReadOnlyStoreError: No permission to read")
    assert "read_only=True" not in answer


def test_read_only_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(
        ReadOnlyStoreError, match=r"holds no store to read\. Open it without read_only=True to make one"
    ):
        chroma_nb.Client(tmp_path / "nowhere", read_only=True)
    assert not (tmp_path / "nowhere").exists()


def test_read_only_in_memory() -> None:
    with pytest.raises(InvalidArgumentError, match="read_only=True needs a path"):
        chroma_nb.Client(read_only=True)


def test_read_only_changes_no_file(store: Path) -> None:
    """Not even the graph that a query would like to have."""
    _graph(store).unlink()
    before = _bytes(store)
    with chroma_nb.Client(store, read_only=True) as client:
        assert client["docs"].query(points.vectors(1, 1), n_results=1).index.tolist() == ["a0"]
        for call in points.CALLS.values():
            with pytest.raises(ReadOnlyStoreError, match="read_only=True: it cannot be changed"):
                call(client)
    assert _bytes(store) == before
