"""Imports are whole, go on where they stopped, and are refused before anything happens where they cannot be."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from chroma_nb import Client, HttpClient, PersistentClient, cli
from chroma_nb.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    CorruptStoreError,
    DuplicateIDError,
    ForeignStoreError,
    InvalidArgumentError,
    InvalidDimensionError,
    ReadOnlyStoreError,
    StoreError,
)
from chroma_nb.migrate import importing
from chroma_nb.migrate.legacy import LegacySource
from chroma_nb.migrate.source import Source, SourceBatch, SourceCollection
from chroma_nb.store.protocol import Store
from tests.migrate.legacy_directory import Old, Row, fingerprints, write
from tests.rest.process import serving

COUNT = 250
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def rows(count: int = COUNT, width: int = 2) -> list[Row]:
    return [
        Row(
            f"id {n}",
            [float(n), *[1.0] * (width - 1)],
            None if n % 3 == 0 else f"text {n}",
            {"n": n} if n % 4 else None,
        )
        for n in range(count)
    ]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old", [Old("docs", rows(), id=ID), Old("more", rows(30, 3)), Old("empty", [])])


@pytest.fixture
def target() -> Iterator[Client]:
    with Client() as client:
        yield client


def told(report: pd.DataFrame) -> list[Any]:
    """The rows of a report."""
    return list(report.itertuples())


def names(client: Client) -> list[str]:
    return [str(name) for name in client.list_collections().index]


def check_whole(client: Client) -> None:
    """Everything of ``old`` is there, in order."""
    assert names(client) == ["docs", "more", "empty"]
    for name, expected in (("docs", rows()), ("more", rows(30, 3)), ("empty", [])):
        found = client[name].get(include=["documents", "metadatas", "embeddings"])
        assert found.index.tolist() == [row.id for row in expected]
        if expected:
            assert [None if text != text else text for text in found["document"]] == [row.document for row in expected]
            assert found["n"].fillna(-1).tolist() == [(row.metadata or {"n": -1})["n"] for row in expected]  # type: ignore[index]
            assert np.array_equal(np.stack(found["embedding"].to_list()), np.array([row.embedding for row in expected]))


class Watched:
    """A store, or a source, whose calls do something else."""

    def __init__(self, watched: object, **instead: Callable[..., Any]) -> None:
        self.watched = watched
        self.instead = instead

    def __getattr__(self, name: str) -> Any:
        if name in self.instead:
            return lambda *arguments, **options: self.instead[name](self.watched, *arguments, **options)
        return getattr(self.watched, name)


def failing(client: Client, method: str, after: int, error: BaseException) -> Store:
    """The store of a client where a method fails after some calls, once."""
    left = [after]

    def fail(store: Store, *arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            raise error
        return getattr(store, method)(*arguments, **options)

    return cast("Store", Watched(client._store, **{method: fail}))


# reports and conflicts ------------------------------------------------------------------------


def test_a_report(old: Path, target: Client) -> None:
    report = target.import_directory(old, ["more", "docs"], batch_size=100)
    assert report.index.tolist() == ["docs", "more"]
    expected = ["rows", "imported", "skipped", "already_there", "why", "notes", "seconds", "verified"]
    assert report.columns.tolist() == expected
    assert report[["rows", "imported", "skipped", "already_there"]].to_numpy().tolist() == [
        [250] * 2 + [0] * 2,
        [30, 30, 0, 0],
    ]
    assert report["why"].tolist() == ["", ""]
    target.import_directory(old, "empty")
    check_whole(target)


def test_a_collection_that_is_there(old: Path, target: Client) -> None:
    mine = target.create_collection("docs")
    mine.add(
        ids=["id 1", "id 9", "mine"], embeddings=[[0, 0]] * 3, documents=["x", "y", "z"], metadatas=[{"old": 1}] * 3
    )
    with pytest.raises(CollectionExistsError, match=r"'docs' already; nothing was imported.*on_conflict"):
        target.import_directory(old)
    assert names(target) == ["docs"]
    (docs, *_) = told(target.import_directory(old, "docs", on_conflict="skip"))
    assert (docs.rows, docs.imported, docs.skipped) == (COUNT, COUNT - 2, 2)
    assert docs.why == "2 x in the target already ('id 1', 'id 9')"
    assert mine.get("id 1")["document"].tolist() == ["x"]
    (docs, *_) = told(target.import_directory(old, "docs", on_conflict="upsert"))
    assert (docs.imported, docs.skipped) == (COUNT, 0)
    changed = mine.get(["id 1", "id 9", "mine"], include=["documents", "metadatas"])
    assert changed["document"].fillna("-").tolist() == ["text 1", "-", "z"]
    assert changed["old"].fillna(-1).tolist() == [-1, -1, 1]
    (docs, *_) = told(target.import_directory(old, "docs", on_conflict="replace"))
    assert (docs.imported, docs.skipped) == (COUNT, 0)
    target.import_directory(old, ["more", "empty"])
    check_whole(target)


def test_vectors_that_do_not_go_together(old: Path, target: Client) -> None:
    target.create_collection("docs").add(ids="a", embeddings=[1, 2, 3])
    for on_conflict in ("skip", "upsert"):
        with pytest.raises(InvalidDimensionError, match="dimension 2, and of 3 in the target"):
            target.import_directory(old, on_conflict=on_conflict)
    assert names(target) == ["docs"]
    target.delete_collection("docs")
    target.create_collection("docs", {"hnsw:space": "ip"})
    with pytest.raises(InvalidArgumentError, match="'l2', and 'ip' in the target"):
        target.import_directory(old, on_conflict="skip")
    target.import_directory(old, on_conflict="replace")
    assert target["docs"].count() == COUNT


@pytest.mark.parametrize(("duplicates", "kept"), [("last", [3, 4, 5]), ("first", [0, 1, 4])])
def test_repeated_ids(tmp_path: Path, target: Client, duplicates: str, kept: list[int]) -> None:
    made = [Row(id_, [float(at)], f"row {at}") for at, id_ in enumerate("abaacb")]
    path = write(tmp_path, [Old("docs", made)])
    (report,) = told(target.import_directory(path, duplicates=duplicates, batch_size=2))
    assert (report.rows, report.imported, report.skipped) == (6, 3, 3)
    assert report.why.startswith("3 x an id that another row has too")
    found = target["docs"].get(include=["documents", "embeddings"])
    assert found.index.tolist() == [made[at].id for at in kept]
    assert found["document"].tolist() == [f"row {at}" for at in kept]
    assert [vector.tolist() for vector in found["embedding"]] == [[float(at)] for at in kept]


def test_repeated_ids_are_refused(tmp_path: Path, target: Client) -> None:
    path = write(tmp_path, [Old("good", rows(3)), Old("docs", [Row("a", [1.0]), Row("b", [1.0]), Row("a", [2.0])])])
    with pytest.raises(DuplicateIDError, match=r"1 rows of 'docs' have the id of a row before them \('a'\); nothing"):
        target.import_directory(path, duplicates="error")
    assert names(target) == []
    target.import_directory(path, "good", duplicates="error")


def test_names_that_are_not_legal_here(tmp_path: Path, target: Client) -> None:
    path = write(tmp_path, [Old("my docs", rows(1)), Old("my_docs", rows(2)), Old("é", rows(3)), Old("a", rows(4))])
    report = target.import_directory(path)
    assert report.index.tolist() == ["my_docs-2", "my_docs", "collection", "a_0"]
    assert report["rows"].tolist() == [1, 2, 3, 4]
    assert report["notes"].iloc[0] == ["its name in the source is 'my docs'"]
    assert report["notes"].iloc[1] == []
    target.reset()
    assert target.import_directory(path, "my docs").index.tolist() == ["my_docs-2"]


@pytest.mark.parametrize("half", ["importing-" + 32 * "a" + "-" + 16 * "b", "copying-" + 32 * "a" + "-" + 22 * "1"])
def test_a_name_of_halves_is_none_of_a_collection(tmp_path: Path, target: Client, half: str) -> None:
    report = target.import_directory(write(tmp_path, [Old(half, rows(1))]))
    assert report.index.tolist() == [f"collection-{half}"[:63]]
    with Client() as other:
        assert target.copy_to(other).index.tolist() == report.index.tolist()


def test_a_collection_without_a_row_that_can_be_kept(tmp_path: Path, target: Client) -> None:
    path = write(tmp_path, [Old("good", rows(3)), Old("bad", [Row("a", None), Row("b", None)])])
    message = r"no row of 'bad' can be kept\. 2 x without a vector \('a', 'b'\)\. Nothing was imported; .* named"
    with pytest.raises(CorruptStoreError, match=message):
        target.import_directory(path)
    assert names(target) == []
    assert target.import_directory(path, "good")["imported"].tolist() == [3]


# interruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [StoreError("The line is cut."), KeyboardInterrupt()], ids=["lost", "interrupted"])
@pytest.mark.parametrize("after", [0, 2, 3])
def test_the_same_call_goes_on(old: Path, target: Client, problem: BaseException, after: int) -> None:
    store = failing(target, "add", after, problem)
    with pytest.raises(type(problem)) as caught:
        importing.import_directory(old, store, batch_size=100)
    said = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    name = "docs" if after < 3 else "more"
    assert f"{name!r} is not imported completely; what is imported stays. The same import again goes on" in said
    with LegacySource(old) as source:
        assert names(target)[0] == f"importing-{ID.hex}-{source.fingerprint}"
    assert "docs" not in names(target)
    docs, more, empty = importing.import_directory(old, store, batch_size=100)
    done = min(COUNT, after * 100)
    assert (docs.rows, docs.imported, docs.already_there) == (COUNT, COUNT - done, done)
    assert (more.imported, more.already_there, empty.rows) == (30, 0, 0)
    check_whole(target)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_interrupted_between_two_names(old: Path, target: Client, after: int) -> None:
    with pytest.raises(StoreError, match="The same import again goes on"):
        importing.import_directory(old, failing(target, "modify_collection", after, StoreError("no")))
    assert len([name for name in names(target) if name.startswith("importing-")]) == 3 - after
    docs, more, _ = importing.import_directory(old, target._store)
    assert (docs.imported, docs.already_there, docs.skipped) == (0, COUNT, 0)
    assert (more.imported, more.already_there, more.skipped) == (0, 30, 0)
    check_whole(target)
    with pytest.raises(CollectionExistsError):
        target.import_directory(old)


def test_rows_that_were_left_out_are_told_again(tmp_path: Path, target: Client) -> None:
    made = [Row(f"id {n}", None if n % 10 == 0 else [float(n)]) for n in range(100)] + [Row("id 1", [7.0])]
    path = write(tmp_path, [Old("docs", made)])
    with pytest.raises(StoreError):
        importing.import_directory(path, failing(target, "add", 3, StoreError("no")), batch_size=10)
    (report,) = importing.import_directory(path, target._store, batch_size=10)
    assert (report.rows, report.imported, report.already_there, report.skipped) == (101, 64, 26, 11)
    assert target["docs"].get("id 1", include=["embeddings"])["embedding"].iloc[0].tolist() == [7.0]


def test_another_state_of_the_source_begins_anew(old: Path, target: Client) -> None:
    with pytest.raises(StoreError):
        importing.import_directory(old, failing(target, "add", 2, StoreError("no")), batch_size=100)
    write(old, [Old("docs", rows(10), id=ID)])
    (report,) = importing.import_directory(old, target._store)
    assert (report.imported, report.already_there) == (10, 0)
    assert names(target) == ["docs"]


def test_a_source_that_breaks_leaves_nothing(old: Path, target: Client) -> None:
    def batches(source: Source, collection: SourceCollection, rows: int, start: int) -> Iterator[SourceBatch]:
        yield next(source.batches(collection, rows, start))
        if collection.name == "more":
            raise CorruptStoreError("the file is torn here")

    with LegacySource(old) as real, pytest.raises(CorruptStoreError, match=r"torn here$"):
        importing.import_source(cast("Source", Watched(real, batches=batches)), target._store, ["docs", "more"])
    assert names(target) == []
    with LegacySource(old) as real, pytest.raises(CorruptStoreError, match=r"gave 100 rows of 'docs', where .* 250"):
        importing.import_source(cast("Source", Watched(real, batches=batches)), target._store, "docs", batch_size=100)
    assert names(target) == []


def test_a_source_that_contradicts_itself(old: Path, target: Client) -> None:
    def ids(source: Source, collection: SourceCollection) -> Any:
        return source.ids(collection)[:-1]

    with LegacySource(old) as real, pytest.raises(CorruptStoreError, match=r"has 249 ids of 'docs', .* 250 rows"):
        importing.import_source(cast("Source", Watched(real, ids=ids)), target._store, "docs")
    assert names(target) == []


def test_somebody_else_writes(old: Path, target: Client) -> None:
    def add(store: Store, collection: uuid.UUID, *arguments: Any, **options: Any) -> int:
        added = store.add(collection, *arguments, **options)
        target.get_collection_by_id(collection).delete(["id 7"])
        return added

    with pytest.raises(StoreError, match=r"holds 249 of the items, where 250 were written"):
        importing.import_directory(old, cast("Store", Watched(target._store, add=add)), "docs")
    assert "docs" not in names(target)


_FULL = """
import resource, signal, sys
import chroma_nb
from chroma_nb.errors import StoreWriteError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
client = chroma_nb.Client(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
try:
    client.import_directory(sys.argv[1], batch_size=100)
except StoreWriteError as error:
    assert "goes on from there" in str(error), error
else:
    raise AssertionError("there was room")
half = client.list_collections()
assert all(name.startswith("importing-") for name in half.index), half
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
(report,) = client.import_directory(sys.argv[1], batch_size=100).itertuples()
assert report.already_there > 0 and report.imported > 0, report
print(client["docs"].count())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_no_space_left(tmp_path: Path) -> None:
    path = write(tmp_path / "old", [Old("docs", rows(600, 400))])
    command = [sys.executable, "-W", "error", "-c", _FULL, str(path), str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["600"]), done.stderr


# arguments and places -------------------------------------------------------------------------


def test_arguments(old: Path, target: Client, tmp_path: Path) -> None:
    with pytest.raises(CollectionNotFoundError, match=r"no collection 'dosc'\. Did you mean \"docs\""):
        target.import_directory(old, ["docs", "dosc"])
    for options in ({"on_conflict": "merge"}, {"duplicates": "both"}, {"batch_size": 0}, {"collections": [1]}):
        with pytest.raises(InvalidArgumentError):
            target.import_directory(old, **cast("dict[str, Any]", options))
    assert names(target) == []
    assert target.import_directory(old, []).empty
    Client(tmp_path / "db").close()
    with Client(tmp_path / "db", read_only=True) as reader, pytest.raises(ReadOnlyStoreError, match="imported"):
        reader.import_directory(old)


def test_what_is_no_source(tmp_path: Path, target: Client, old: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    Client(tmp_path / "db").close()
    for place, match in {
        "missing": "missing does not exist. What can be imported",
        "file": "file is a file",
        "nothing": "is empty",
        "photos": "nothing that can be imported",
        "db": "a store of chroma_nb already.*copy_to",
        ".": rf"nothing that can be imported.*Is '{old}' meant\?",
    }.items():
        with pytest.raises(ForeignStoreError, match=match):
            target.import_directory(tmp_path / place)
    assert not (tmp_path / "missing").exists()
    assert list((tmp_path / "nothing").iterdir()) == []


@pytest.mark.parametrize("inside", ["target", "source"])
def test_one_inside_the_other(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "old" if inside == "target" else tmp_path / "new" / "old"
    write(path, [Old("docs", rows())])
    before = fingerprints(path)
    with Client(tmp_path / "old" / "new" if inside == "target" else tmp_path / "new") as client:
        client.import_directory(path)
        assert client["docs"].count() == COUNT
    after = fingerprints(path)
    assert {name: after[name] for name in before} == before


def test_two_that_imported_the_same_are_two(old: Path, target: Client) -> None:
    with Client() as other:
        for client in (target, other):
            client.import_directory(old)
        assert target["docs"].id == other["docs"].id == ID
        other["docs"].delete(["id 1"])
        (report,) = told(other.copy_to(target, "docs", on_conflict="replace"))
        assert report.copied == COUNT - 1
        with pytest.raises(InvalidArgumentError, match="on the same store"):
            target.copy_to(target)


@pytest.mark.slow
def test_into_a_server(old: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "served", tmp_path / "log") as server, HttpClient(port=server.port) as client:
        report = client.import_directory(old, batch_size=100)
        assert report["imported"].tolist() == [COUNT, 30, 0]
        check_whole(client)


# commands and messages ------------------------------------------------------------------------


def test_the_command(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = str(tmp_path / "new")
    assert cli.main(["import", str(old), "--into", into, "--collection", "docs"]) == 0
    assert cli.main(["import", str(old), "--into", into, "--on-conflict", "skip"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:5] == ["docs", "250", "250", "0", "0"] for line in lines)
    assert any(line.split()[:5] == ["docs", "250", "0", "250", "0"] for line in lines)
    assert "docs: 250 x in the target already ('id 0', 'id 1', 'id 2', ...)" in lines
    assert cli.main(["import", str(old), "--into", into]) == 1
    told = capsys.readouterr().err
    assert "nothing was imported. Say --on-conflict skip, upsert or replace, or leave" in told
    with Client(into) as client:
        check_whole(client)


def test_the_command_makes_no_store_for_nothing(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", str(old), "--into", str(tmp_path / "new"), "--collection", "dosc"]) == 1
    assert "no collection 'dosc'. Did you mean" in capsys.readouterr().err
    assert cli.main(["import", str(tmp_path), "--into", str(tmp_path / "new")]) == 1
    assert "nothing that can be imported" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_old_directory_is_told_of(old: Path) -> None:
    with pytest.raises(ForeignStoreError) as caught:
        PersistentClient(str(old))
    for part in (
        "Chroma 0.3 (duckdb+parquet)",
        f".import_directory({str(old)!r})",
        f"chroma-nb import {old} --into",
        "It holds 3 collections: 'docs' (250 items), 'more' (30 items), 'empty' (0 items).",
    ):
        assert part in str(caught.value)
