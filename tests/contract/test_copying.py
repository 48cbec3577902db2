"""Copies are whole, are continued where they stopped, and are refused before anything happens where they cannot be."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb import Client, HttpClient, copying, halves
from chroma_nb.errors import (
    ChromaNbError,
    CollectionExistsError,
    CollectionNotFoundError,
    ConnectionFailedError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    InvalidDimensionError,
    ReadOnlyStoreError,
    StoreError,
)
from tests.rest.process import serving
from tests.store.backend import dump, exactly, fresh_name, items_in
from tests.store.reference import Item
from tests.store.strategies import few, item_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chroma_nb import Collection
    from chroma_nb.store.protocol import Store
    from chroma_nb.types import Records, Selection
    from tests.store.backend import Backend

COUNT = 500


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


def other_function(texts: list[str]) -> list[list[float]]:
    return embed(texts)


@pytest.fixture
def source() -> Iterator[Client]:
    """A client with a collection of 500 items of all kinds."""
    with Client() as client:
        fill(client)
        yield client


@pytest.fixture
def target() -> Iterator[Client]:
    with Client() as client:
        yield client


def fill(client: Client, name: str = "docs") -> Collection:
    docs = client.create_collection(name, {"hnsw:space": "cosine", "about": "x"}, embedding_function=embed)
    rng = np.random.default_rng(5)
    docs.add(
        ids=[f"id {n}" for n in range(COUNT)],
        documents=[None if n % 3 == 0 else f"text {n}" for n in range(COUNT)],
        embeddings=rng.normal(size=(COUNT, 2)),
        metadatas=[None if n % 7 == 0 else {"n": n, "f": n / 3, "b": n % 2 == 0, "s": f"s{n}"} for n in range(COUNT)],
    )
    docs.update(ids="id 3", metadatas={"mixed": "x", "n": 2.5})
    docs.update(ids="id 4", metadatas={"mixed": 4, "late": True})
    return docs


def copy(source: Client, target: Client, collections: Any = None, **options: Any) -> list[copying.Copied]:
    return copying.copy(source._store, target._store, collections, **options)


def seen(client: Client) -> dict[str, Any]:
    """All that can be seen but identities, which a copy has of its own."""
    found = dump(client)
    for facts, *_ in found.values():
        del facts["id"]
    return found


class Listening:
    """A store that lets calls be watched, and fail."""

    def __init__(self, client: Client, **instead: Callable[..., Any]) -> None:
        self.store = client._store
        self.instead = instead

    def __getattr__(self, name: str) -> Any:
        if name in self.instead:
            return lambda *arguments, **options: self.instead[name](self.store, *arguments, **options)
        return getattr(self.store, name)


def listening(client: Client, **instead: Callable[..., Any]) -> Store:
    return cast("Store", Listening(client, **instead))


def failing_after(batches: int, error: BaseException) -> Callable[..., Any]:
    """An ``add`` that works so many times, and then fails once."""
    calls = iter([*[None] * batches, error])

    def add(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        problem = next(calls, None)
        if problem is not None:
            raise problem
        return store.add(collection, records, **options)

    return add


# what comes along -----------------------------------------------------------------------------


def test_everything_comes_along(source: Client, target: Client) -> None:
    source.create_collection("empty", {"hnsw:space": "ip"})
    settings = {"hnsw": {"space": "cosine", "max_neighbors": 24, "ef_construction": 50}}
    source.create_collection("set-up", configuration=settings).add(ids="a", embeddings=[1, 2, 3])
    reports = copy(source, target)
    assert seen(target) == seen(source)
    assert [(report.collection, report.items, report.copied) for report in reports] == [
        ("docs", COUNT, COUNT),
        ("empty", 0, 0),
        ("set-up", 1, 1),
    ]
    assert all(report.verified and report.seconds > 0 and report.skipped == 0 for report in reports)
    ours, theirs = (client._store.collection("set-up") for client in (source, target))
    assert ours.settings == theirs.settings
    assert ours.id != theirs.id


@few
@given(items=item_lists, batch_size=st.none() | st.integers(1, 4))
def test_any_items_come_along(memory: Client, items: list[Item], batch_size: int | None) -> None:
    with Client() as target:
        name = fresh_name()
        made = memory.create_collection(name)
        made.add(
            ids=[item.id for item in items],
            embeddings=[item.vector for item in items],
            documents=[item.document for item in items],
            metadatas=[item.metadata or None for item in items],
        )
        copy(memory, target, name, batch_size=batch_size)
        assert [exactly(item) for item in items_in(target[name])] == [exactly(item) for item in items]
        frame, copied = made.get(), target[name].get()
        assert (list(frame.columns), frame.dtypes.tolist()) == (list(copied.columns), copied.dtypes.tolist())
        memory.delete_collection(name)


@pytest.mark.parametrize("there", [True, False], ids=["there", "back"])
def test_to_and_from_every_kind_of_client(backend: Backend, there: bool) -> None:
    with Client() as other:
        source, target = (other, backend.client) if there else (backend.client, other)
        fill(source)
        source.create_collection("empty", {"hnsw:space": "ip"})
        target.create_collection("more")
        with pytest.raises(StoreError, match="not copied completely"):
            copying.copy(source._store, listening(target, add=failing_after(2, StoreError("no"))), batch_size=100)
        report = source.copy_to(target, batch_size=100)
        assert report["copied"].tolist() == [300, 0]
        assert report["already_there"].tolist() == [200, 0]
        target.delete_collection("more")
        assert seen(target) == seen(source)
        assert seen(backend.reopen()) == seen(other)
        own = other if there else backend.client
        own["docs"].delete(where={"b": True})
        own["docs"].update(ids="id 3", embeddings=[7, 7])
        for on_conflict in ("skip", "upsert", "replace"):
            other.copy_to(backend.client, "docs", on_conflict=on_conflict)
        assert seen(backend.client) == seen(other)


def test_the_report_is_a_frame(source: Client, target: Client) -> None:
    source.create_collection("empty")
    for report in (source.copy_to(target), source.copy_to(target, [])):
        assert report.index.name == "collection"
        assert {name: str(dtype) for name, dtype in report.dtypes.items()} == {
            "items": "int64",
            "copied": "int64",
            "skipped": "int64",
            "already_there": "int64",
            "seconds": "float64",
            "verified": "bool",
        }
    report = source.copy_to(target, on_conflict="skip")
    assert report.drop(columns="seconds").T.to_dict("list") == {
        "docs": [COUNT, 0, COUNT, 0, True],
        "empty": [0, 0, 0, 0, True],
    }
    with pytest.raises(InvalidArgumentError, match="copy_to takes another client, got 'x'"):
        source.copy_to("x")  # type: ignore[arg-type]


def test_some_collections(source: Client, target: Client) -> None:
    fill(source, "other")
    copy(source, target, "other")
    assert target.list_collections().index.tolist() == ["other"]
    copy(source, target, ["docs", "docs"])
    assert target.list_collections().index.tolist() == ["other", "docs"]
    assert copy(source, target, []) == []


def test_batches_are_small(source: Client, target: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def add(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        sizes.append(len(records))
        return store.add(collection, records, **options)

    copying.copy(source._store, listening(target, add=add), batch_size=120)
    assert sum(sizes) == COUNT
    assert max(sizes) == 120
    target.reset()
    sizes.clear()
    source["docs"].update(ids=[f"id {n}" for n in range(COUNT)], metadatas=[{"s": "long " * 200}] * COUNT)
    monkeypatch.setattr(copying, "_BATCH_BYTES", 50_000)
    monkeypatch.setattr(copying, "_FIRST_BYTES", 5_000)
    copying.copy(source._store, listening(target, add=add))
    assert sum(sizes) == COUNT
    assert sizes[0] < 10
    assert 30 < max(sizes) < 60
    assert seen(target) == seen(source)


# interruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [StoreError("The line is cut."), KeyboardInterrupt()], ids=["lost", "interrupted"])
def test_the_same_call_goes_on(source: Client, target: Client, problem: BaseException) -> None:
    fill(source, "next")
    store = listening(target, add=failing_after(2, problem))
    with pytest.raises(type(problem)) as caught:
        copying.copy(source._store, store, batch_size=100)
    said = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert "'docs' is not copied completely" in said
    assert "The same copy_to again goes on from there" in said
    half = target.list_collections().index.tolist()
    assert half == [f"copying-{source['docs'].id.hex}-{source._store.collection('docs').version}"]
    assert target[half[0]].count() == 200
    first, second = copying.copy(source._store, store, batch_size=100)
    assert (first.items, first.copied, first.already_there) == (COUNT, 300, 200)
    assert (second.items, second.copied, second.already_there) == (COUNT, COUNT, 0)
    assert seen(target) == seen(source)


def test_a_copy_that_lacks_only_its_name(source: Client, target: Client) -> None:
    def fail(store: Store, *arguments: Any, **options: Any) -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="not copied completely"):
        copying.copy(source._store, listening(target, modify_collection=fail))
    (report,) = copy(source, target)
    assert (report.copied, report.already_there) == (0, COUNT)
    assert seen(target) == seen(source)


def test_a_half_copy_is_not_copied_on(source: Client, target: Client) -> None:
    with pytest.raises(StoreError):
        copying.copy(source._store, listening(target, add=failing_after(1, StoreError("no"))), batch_size=9)
    with Client() as third:
        assert copy(target, third) == []
        assert third.count_collections() == 0


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_half_copy_of_what_has_changed_is_made_anew(
    source: Client, target: Client, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError):
        copying.copy(source._store, listening(target, add=failing_after(2, StoreError("no"))), batch_size=100)
    if change == "update":
        source["docs"].update(ids="id 1", embeddings=[7, 7])
    else:
        source["docs"].delete(ids="id 1")
    (report,) = copy(source, target)
    assert "an interrupted copy left of 'docs'" in caplog.text
    assert (report.copied, report.already_there) == (source["docs"].count(), 0)
    assert seen(target) == seen(source)


def test_a_source_without_versions(source: Client, target: Client) -> None:
    """As servers are: an item that is gone is noticed by the count."""
    docs = source._store.collection("docs")

    def versionless(store: Store) -> list[Any]:
        return [docs]

    known = listening(source, list_collections=versionless, collection=lambda store, name: docs)
    with pytest.raises(StoreError):
        copying.copy(known, listening(target, add=failing_after(2, StoreError("no"))), batch_size=100)
    source["docs"].delete(ids="id 1")
    copying.copy(known, target._store)
    assert seen(target) == seen(source)


def test_the_source_changes_meanwhile(source: Client, target: Client) -> None:
    docs = source["docs"]
    before = items_in(docs)

    def add(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        if docs.count() == COUNT:
            docs.add(ids=["new"], embeddings=[[1, 1]])
            docs.delete(ids=["id 1", "id 499"])  # one is copied by now, the other never will be
        return store.add(collection, records, **options)

    (report,) = copying.copy(source._store, listening(target, add=add), batch_size=100)
    assert (report.items, report.copied) == (COUNT, COUNT - 1)
    assert [exactly(item) for item in items_in(target["docs"])] == [exactly(item) for item in before[:-1]]


def test_rows_that_get_lost_are_noticed(source: Client, target: Client) -> None:
    def add(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        return store.add(collection, records.take(np.arange(len(records) - 1)), **options)

    with pytest.raises(StoreError, match=r"holds 495 of the items, where 500 were written.*not copied completely"):
        copying.copy(source._store, listening(target, add=add), batch_size=100)
    assert "docs" not in target

    def renamed(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        ids = pa.array([f"{id_}!" for id_ in records.ids.to_pylist()], pa.large_string())
        return store.add(collection, type(records)(ids, records.documents, None, records.embeddings), **options)

    target.reset()
    with pytest.raises(StoreError, match="the ids are not the same"):
        copying.copy(source._store, listening(target, add=renamed))


CHILD = """
import sys, time
from pathlib import Path
from chroma_nb import Client, HttpClient, copying
source, target = Client(sys.argv[1]), Client(sys.argv[2])
class Slow:
    read_only = False
    calls = 0
    def __getattr__(self, name):
        return getattr(target._store, name)
    def add(self, *arguments, **options):
        if self.calls == 7:
            print("now", flush=True)
            time.sleep(60)
        self.calls += 1
        return target._store.add(*arguments, **options)
copying.copy(source._store, Slow(), batch_size=20)
"""


def test_killed_and_continued(tmp_path: Path) -> None:
    with Client(tmp_path / "source") as client:
        fill(client)
    arguments = [sys.executable, "-c", CHILD, str(tmp_path / "source"), str(tmp_path / "target")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"now\n"
        child.kill()
    with Client(tmp_path / "source") as source, Client(tmp_path / "target") as target:
        (report,) = copy(source, target)
        assert (report.copied, report.already_there) == (COUNT - 140, 140)
        assert seen(target) == seen(source)


@pytest.mark.slow
def test_the_server_dies_and_comes_back(source: Client, tmp_path: Path) -> None:
    calls = iter(range(COUNT))
    with serving(tmp_path / "served", tmp_path / "log") as server, HttpClient("127.0.0.1", server.port) as target:

        def add(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
            if next(calls) == 2:
                server.kill()
            return store.add(collection, records, **options)

        with pytest.raises(ConnectionFailedError, match=r"'docs' is not copied completely.* goes on from there"):
            copying.copy(source._store, listening(target, add=add), batch_size=100)
    with serving(tmp_path / "served", tmp_path / "log") as server, HttpClient("127.0.0.1", server.port) as target:
        report = source.copy_to(target)
        assert report[["copied", "already_there"]].to_numpy().tolist() == [[300, 200]]
        assert seen(target) == seen(source)


# what is there already ------------------------------------------------------------------------


@pytest.fixture
def partly(target: Client) -> Client:
    """A target that has some of the items, differently, and one of its own."""
    docs = target.create_collection("docs", {"hnsw:space": "cosine"}, embedding_function=embed)
    docs.add(
        ids=["own", "id 0", "id 1"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        documents=["own", "old 0", "old 1"],
        metadatas=[{"x": 1}, {"x": 2}, {"x": 3}],
    )
    return target


def test_a_name_that_is_taken(source: Client, partly: Client) -> None:
    fill(source, "another")
    before = seen(partly)
    with pytest.raises(CollectionExistsError, match=r"has a collection .docs. already; nothing was copied.*skip"):
        copy(source, partly, ["another", "docs"])
    assert seen(partly) == before


def test_skip(source: Client, partly: Client) -> None:
    before = items_in(partly["docs"])
    (report,) = copy(source, partly, on_conflict="skip")
    assert (report.items, report.copied, report.skipped) == (COUNT, COUNT - 2, 2)
    assert items_in(partly["docs"]) == before + items_in(source["docs"])[2:]
    assert partly["docs"].metadata == {"hnsw:space": "cosine"}
    (again,) = copy(source, partly, on_conflict="skip")
    assert (again.copied, again.skipped) == (0, COUNT)


def test_upsert(source: Client, partly: Client) -> None:
    own = items_in(partly["docs"], ids="own")
    (report,) = copy(source, partly, on_conflict="upsert", batch_size=50)
    assert (report.copied, report.skipped) == (COUNT, 0)
    found = {item.id: exactly(item) for item in items_in(partly["docs"])}
    assert found == {item.id: exactly(item) for item in [*own, *items_in(source["docs"])]}
    assert items_in(partly["docs"], ids="id 0")[0].document is None, "the source's has none"


def test_replace(source: Client, partly: Client) -> None:
    def add(store: Store, *arguments: Any, **options: Any) -> int:
        assert partly["docs"].count() == 3, "the old one stays until the new one is complete"
        return store.add(*arguments, **options)

    copying.copy(source._store, listening(partly, add=add), on_conflict="replace")
    assert seen(partly) == seen(source)


@pytest.mark.parametrize("on_conflict", ["skip", "upsert", "replace"])
def test_without_a_conflict_all_ways_are_the_same(source: Client, target: Client, on_conflict: str) -> None:
    with pytest.raises(StoreError):
        copying.copy(
            source._store,
            listening(target, add=failing_after(1, StoreError("no"))),
            batch_size=10,
            on_conflict=on_conflict,
        )
    (report,) = copy(source, target, on_conflict=on_conflict)
    assert report.already_there == 10
    assert seen(target) == seen(source)


@pytest.mark.parametrize("on_conflict", ["skip", "upsert"])
def test_interrupted_while_filling_up(source: Client, partly: Client, on_conflict: str) -> None:
    def fails(store: Store, collection: uuid.UUID, records: Records, **options: Any) -> int:
        if "id 250" in records.ids.to_pylist():
            raise StoreError("The line is cut.")
        return getattr(store, "add" if on_conflict == "skip" else "upsert")(collection, records, **options) or 0

    with pytest.raises(StoreError, match=r"The line is cut. 'docs' is not copied completely"):
        copying.copy(source._store, listening(partly, add=fails, upsert=fails), on_conflict=on_conflict, batch_size=100)
    assert partly["docs"].count() == 1 + (202 if on_conflict == "skip" else 200)
    copy(source, partly, on_conflict=on_conflict)
    assert partly["docs"].count() == COUNT + 1


def test_what_others_delete_meanwhile_is_noticed(source: Client, partly: Client) -> None:
    def get(store: Store, collection: uuid.UUID, selection: Selection, *arguments: Any) -> Records:
        partly["docs"].delete(ids="id 300")
        return store.get(collection, selection, *arguments)

    with pytest.raises(StoreError, match="holds 499 of the items, where 500 were written"):
        copying.copy(source._store, listening(partly, get=get), on_conflict="skip")


# refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_conflict", ["skip", "upsert"])
@pytest.mark.parametrize(
    ("metadata", "function", "vector", "error", "message"),
    [
        ({"hnsw:space": "cosine"}, embed, [1, 2, 3], InvalidDimensionError, "of dimension 2, and of 3 in the target"),
        ({"hnsw:space": "l2"}, embed, [1, 2], InvalidArgumentError, "'cosine', and 'l2' in the target"),
        (
            {"hnsw:space": "cosine"},
            other_function,
            [1, 2],
            EmbeddingFunctionError,
            "'embed', and with 'other_function'",
        ),
    ],
)
def test_vectors_that_do_not_go_together(
    source: Client,
    target: Client,
    on_conflict: str,
    metadata: dict[str, Any],
    function: Any,
    vector: Any,
    error: type[ChromaNbError],
    message: str,
) -> None:
    target.create_collection("docs", metadata, embedding_function=function).add(
        ids="a", documents="x", embeddings=vector
    )
    target["docs"].modify(metadata={"k": 1})
    target._store.modify_collection(target["docs"].id, embedding_function=f'{{"name": "{function.__name__}"}}')
    before = seen(target)
    with pytest.raises(error, match=f"{message}.*on_conflict='replace'"):
        copy(source, target, on_conflict=on_conflict)
    assert seen(target) == before
    copy(source, target, on_conflict="replace")
    assert seen(target) == seen(source)


def test_unknown_collections(source: Client, target: Client) -> None:
    with pytest.raises(CollectionNotFoundError, match=r'Collection dosc does not exist\. Did you mean "docs"'):
        copy(source, target, ["docs", "dosc"])
    assert target.count_collections() == 0


def test_a_store_is_not_copied_to_itself(source: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="on the same store"):
        copy(source, source, on_conflict="replace")
    with Client(tmp_path) as first, Client(tmp_path) as second:
        fill(first)
        with pytest.raises(InvalidArgumentError, match="on the same store"):
            copy(first, second, on_conflict="replace")


def test_a_target_that_cannot_be_written(source: Client, tmp_path: Path) -> None:
    with Client(tmp_path) as client:
        client.create_collection("other")
    with Client(tmp_path, read_only=True) as reader, pytest.raises(ReadOnlyStoreError, match="read_only=True"):
        copy(source, reader)
    with Client(tmp_path, read_only=True) as reader, Client() as target:  # and the other way round
        copy(reader, target)
        assert target.list_collections().index.tolist() == ["other"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_conflict": "overwrite"}, "on_conflict must be one of 'error', 'skip', 'upsert', 'replace'"),
        ({"on_conflict": None}, "on_conflict must be one of"),
        *(({"batch_size": size}, "batch_size must be a positive int") for size in (0, -1, 1.5, "9", True)),
        ({"collections": [5]}, "Expected the names of collections, got 5"),
    ],
)
def test_arguments(source: Client, target: Client, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        copy(source, target, **options)
    assert target.count_collections() == 0


@given(ids=st.lists(st.text(alphabet="abc", max_size=2), max_size=6), data=st.data())
def test_checksums_tell_bags_of_ids_apart(ids: list[str], data: st.DataObject) -> None:
    def of(texts: list[str]) -> str:
        return halves.checksum(pa.array(texts, pa.large_string()))

    other = data.draw(st.permutations(ids) | st.lists(st.text(alphabet="abc", max_size=2), max_size=6))
    assert (of(ids) == of(other)) == (sorted(ids) == sorted(other))
