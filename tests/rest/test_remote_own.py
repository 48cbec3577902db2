"""A server of ours on a socket: large calls, threads, forks, SQL, and the index."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from chroma_nb import Client, errors
from chroma_nb.rest import batches
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.remote_own import OwnServerStore
from chroma_nb.store.local import LocalStore
from chroma_nb.types import Records
from tests.rest.threaded import threaded

SECRET = "geheim"  # noqa: S105 - of no one


@pytest.fixture
def served() -> Iterator[tuple[LocalStore, Client]]:
    """A store behind a socket that takes 100 items at once, and a client of it."""
    with threaded(LocalStore(), ServerOptions(max_batch_size=100, token=SECRET, allow_sql=True)) as server:
        store = connect("127.0.0.1", server.port, token=SECRET)
        assert isinstance(store, OwnServerStore)
        yield server.store, Client._over(store)  # type: ignore[misc]
        store.close()
        server.store.close()


def test_large_calls_are_split(served: tuple[LocalStore, Client]) -> None:
    here, client = served
    docs = client.create_collection("docs")
    ids = [f"id {number}" for number in range(250)]
    docs.add(ids=ids, embeddings=np.ones((250, 2)), metadatas=[{"n": number} for number in range(250)])
    assert here.stats(docs.id).count == docs.count() == 250
    docs.update(ids=ids, metadatas=[{"n": -number} for number in range(250)])
    assert docs.get(ids=ids[::-1], limit=3, offset=1)["n"].tolist() == [-248, -247, -246]
    with pytest.raises(errors.IDNotFoundError, match="Nothing was changed"):
        docs.update(ids=[*ids, "nope"], metadatas=[{"n": 1}] * 251)
    assert docs.get(limit=2)["n"].tolist() == [0, -1]
    with pytest.warns(errors.DuplicateIDWarning, match="250 of the ids"):
        docs.add(ids=[*ids, "new"], embeddings=np.ones((251, 2)))
    assert len(docs.query(np.ones((600, 2)), n_results=2)) == 1200
    docs.delete(ids=ids)
    assert docs.count() == 1


def test_a_get_of_many_pages(served: tuple[LocalStore, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.rest.remote_own._PAGE", 40)
    _, client = served
    docs = client.create_collection("docs")
    ids = [f"id {number}" for number in range(90)]
    docs.add(ids=ids, embeddings=np.arange(90)[:, None], metadatas=[{"even": n % 2 == 0} for n in range(90)])
    assert docs.get().index.tolist() == ids
    assert docs.embeddings()[:, 0].tolist() == list(range(90))
    assert docs.get(where={"even": True}, offset=3).index.tolist() == ids[::2][3:]
    assert docs.get(limit=41, offset=1).index.tolist() == ids[1:42]


def test_a_call_that_fails_midway_says_how_far_it_came(
    served: tuple[LocalStore, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, client = served
    docs = client.create_collection("docs")
    ids = [f"id {number}" for number in range(250)]
    add, calls = here.add, itertools.count()
    monkeypatch.setattr(here, "add", lambda *a, **k: add(*a, **k) if next(calls) < 1 else fail())

    def fail() -> None:
        raise errors.StoreWriteError("disk full")

    with pytest.raises(
        errors.PartialWriteError, match=r"100 of 250 items were written.*disk full.*call add again"
    ) as caught:
        docs.add(ids=ids, embeddings=np.ones((250, 2)))
    assert caught.value.written == here.stats(docs.id).count == 100
    assert isinstance(caught.value.__cause__, errors.StoreWriteError)
    monkeypatch.setattr(here, "add", add)
    with pytest.warns(errors.DuplicateIDWarning, match="100 of the ids"):
        docs.add(ids=ids, embeddings=np.ones((250, 2)))
    assert docs.get(include=[]).index.tolist() == ids


def test_sql(served: tuple[LocalStore, Client]) -> None:
    _, client = served
    client.create_collection("docs").add(ids=["a"], embeddings=[[1, 2]], metadatas={"n": 1})
    found = client.sql("select id, n from docs where n = $n", {"n": 1})
    assert (found["id"].tolist(), found["n"].tolist()) == (["a"], [1])
    for wrong in (5, None):
        with pytest.raises(errors.SqlError, match="str"):
            client.sql(wrong)  # type: ignore[arg-type]
    with pytest.raises(errors.SqlError, match="Parameters"):
        client.sql("select ?", [object()])


@pytest.mark.slow
def test_an_index_is_waited_for() -> None:
    with threaded(LocalStore(), ServerOptions()) as server:
        store = connect("127.0.0.1", server.port, timeout=0.5)
        docs = Client._over(store).create_collection("docs")
        vectors = np.random.default_rng(0).normal(size=(4_100, 2_000)).astype(np.float32)
        for start in range(0, 4_100, 1_000):
            rows = vectors[start : start + 1_000]
            docs.add(ids=[str(start + number) for number in range(len(rows))], embeddings=rows)
        told: list[tuple[int, int]] = []
        store.build_index(docs.id, lambda done, total: told.append((done, total)))
        stats = store.stats(docs.id)
        assert stats.indexed == stats.count == 4_100
        assert told[-1] == (4_100, 4_100)
        store.close()
        server.store.close()


def test_many_threads_share_a_store(served: tuple[LocalStore, Client]) -> None:
    _, client = served
    docs = client.create_collection("docs")
    docs.add(ids=["0"], embeddings=[[0, 0]])
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                docs.upsert(ids=[f"{number} {turn}"], embeddings=[[number, turn]])
                assert docs.embeddings(f"{number} {turn}").tolist() == [[number, turn]]
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert docs.count() == 81


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_refuses(served: tuple[LocalStore, Client]) -> None:
    _, client = served
    child = os.fork()
    if child == 0:
        try:
            client.heartbeat()
        except errors.StoreError as error:
            os._exit(7 if "another process" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert client.heartbeat()


def test_a_closed_client_says_so(served: tuple[LocalStore, Client]) -> None:
    _, client = served
    client._store.close()
    with pytest.raises(errors.ClosedStoreError):
        client.list_collections()


# splitting ------------------------------------------------------------------------------------


def test_parts_keep_below_rows_and_bytes() -> None:
    client = Client()
    docs = client.create_collection("docs")
    texts = ["x" * size for size in (10, 10, 5_000, 10, 10, 10)]
    docs.add(ids=list("abcdef"), embeddings=np.ones((6, 2)), documents=texts, metadatas=[{"k": text} for text in texts])
    everything = frozenset({"documents", "metadatas", "embeddings"})
    batch = client._store.snapshot(docs.id).records(np.arange(6), everything)
    assert [part.tolist() for part in batches.parts(batch, 100, 1 << 20)] == [[0, 1, 2, 3, 4, 5]]
    assert [part.tolist() for part in batches.parts(batch, 4, 1 << 20)] == [[0, 1, 2, 3], [4, 5]]
    assert [part.tolist() for part in batches.parts(batch, 100, 400)] == [[0, 1], [2], [3, 4, 5]]
    body = [json.dumps({"id": "a", "v": [1.0, 1.0], "d": text, "k": text}) for text in texts]
    assert sum(map(len, body)) * 0.5 < batches._sizes(batch).sum() < sum(map(len, body)) * 2
    assert list(batches.parts(Records(batch.ids.slice(0, 0)), 100)) == []
