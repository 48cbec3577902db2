"""Queries that are searched for together answer as if they were alone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from chroma_nb.rest import gathering
from chroma_nb.rest.gathering import Gatherer
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.queries import Query
from chroma_nb.rest.server import create_app
from chroma_nb.rest.service import Service
from chroma_nb.store.local import LocalStore
from chroma_nb.types import Matrix, Selection
from chroma_nb.where import Compare

INCLUDE = frozenset({"documents", "metadatas", "distances"})
DIMENSION = 8


@pytest.fixture(autouse=True)
def one_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is known which calls wait."""
    monkeypatch.setattr(gathering, "_AT_WORK", 1)


class _Recorded:
    """The work behind a gatherer; the first call waits until it may go on."""

    def __init__(self, store: LocalStore) -> None:
        self.service = Service(store, ServerOptions())
        self.counts: list[list[int]] = []
        self.may_go_on = threading.Event()

    def run(self, query: Query, vectors: Matrix, counts: list[int]) -> list[bytes]:
        self.counts.append(counts)
        assert self.may_go_on.wait(20)
        return self.service.queries.run(query, vectors, counts)


@pytest.fixture
def filled(store: LocalStore) -> LocalStore:
    """A hundred items in "docs"."""
    with TestClient(create_app(store), base_url="http://localhost") as client:
        client.post("/api/v1/collections", json={"name": "docs"})
        vectors = np.random.default_rng(7).normal(size=(100, DIMENSION)).round(3)
        items = {
            "ids": [f"i{n}" for n in range(100)],
            "embeddings": vectors.tolist(),
            "metadatas": [{"n": n, "f": n / 4} if n % 3 else None for n in range(100)],
            "documents": [f"text {n}" if n % 2 else None for n in range(100)],
        }
        assert client.post("/api/v1/collections/docs/add", json=items).status_code == 201
    return store


def _query(**changes: Any) -> Query:
    usual: dict[str, Any] = {
        "collection": "docs",
        "n_results": 5,
        "selection": Selection(),
        "include": INCLUDE,
        "dimension": DIMENSION,
    }
    return Query(**(usual | changes))


def _vectors(seed: int, count: int = 1) -> Matrix:
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


async def _asked(recorded: _Recorded, calls: list[tuple[Query, Matrix]]) -> list[Any]:
    with ThreadPoolExecutor(2) as executor:
        gatherer = Gatherer(recorded.run, executor)
        tasks = [asyncio.create_task(gatherer.answer(*call)) for call in calls]
        while not recorded.counts:
            await asyncio.sleep(0.001)
        recorded.may_go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("extended", [False, True])
def test_what_waits_goes_together(filled: LocalStore, extended: bool) -> None:
    recorded = _Recorded(filled)
    calls = [(_query(extended=extended), _vectors(seed, count)) for seed, count in enumerate((1, 1, 3, 1, 2))]
    together = asyncio.run(_asked(recorded, calls))
    assert recorded.counts == [[1], [1, 3, 1, 2]]
    alone = [recorded.service.queries.run(query, vectors, [len(vectors)])[0] for query, vectors in calls]
    assert together == alone
    assert len(set(alone)) == len(alone)


def test_several_go_to_work_before_others_wait(filled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_AT_WORK", 2)
    recorded = _Recorded(filled)
    calls = [(_query(), _vectors(seed)) for seed in range(5)]
    answers = asyncio.run(_asked(recorded, calls))
    assert recorded.counts == [[1], [1], [1, 1, 1]]
    assert answers == [recorded.service.queries.run(query, vectors, [1])[0] for query, vectors in calls]


def test_only_what_is_alike_goes_together(filled: LocalStore) -> None:
    recorded = _Recorded(filled)
    others = [
        _query(n_results=6),
        _query(include=frozenset({"documents"})),
        _query(exact=True),
        _query(extended=True),
        _query(selection=Selection(where=Compare("n", "$gt", 50))),
        _query(selection=Selection(where=Compare("n", "$gt", 50))),
        _query(selection=Selection(ids=["i1"])),
    ]
    answers = asyncio.run(_asked(recorded, [(query, _vectors(1)) for query in (_query(), *others)]))
    assert recorded.counts == [[1]] * 8
    assert answers == [recorded.service.queries.run(query, _vectors(1), [1])[0] for query in (_query(), *others)]


def test_not_too_many_go_together(filled: LocalStore) -> None:
    recorded = _Recorded(filled)
    calls = [(_query(), _vectors(seed, 10)) for seed in range(8)]
    answers = asyncio.run(_asked(recorded, calls))
    assert [sum(counts) for counts in recorded.counts] == [10, 30, 30, 10]
    assert answers[7] == recorded.service.queries.run(*calls[7], [10])[0]


def test_large_calls_go_alone(filled: LocalStore) -> None:
    recorded = _Recorded(filled)
    asyncio.run(_asked(recorded, [(_query(), _vectors(1, 33)), (_query(), _vectors(2, 40))]))
    assert sorted(recorded.counts) == [[33], [40]]


def test_an_error_reaches_all_that_it_concerns(filled: LocalStore) -> None:
    recorded = _Recorded(filled)
    wrong = (_query(dimension=3), np.ones((1, 3), dtype=np.float32))
    answers = asyncio.run(_asked(recorded, [wrong, (_query(), _vectors(1)), wrong, wrong]))
    assert [type(answer).__name__ for answer in answers] == [
        "InvalidDimensionError",
        "bytes",
        "InvalidDimensionError",
        "InvalidDimensionError",
    ]


def test_one_client_that_goes_away_takes_nothing_from_the_others(filled: LocalStore) -> None:
    recorded = _Recorded(filled)

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(2) as executor:
            gatherer = Gatherer(recorded.run, executor)
            tasks = [asyncio.create_task(gatherer.answer(_query(), _vectors(seed))) for seed in range(4)]
            while not recorded.counts:
                await asyncio.sleep(0.001)
            tasks[0].cancel()
            tasks[2].cancel()
            await asyncio.sleep(0)
            recorded.may_go_on.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(ask())
    assert [isinstance(answer, bytes) for answer in answers] == [False, True, False, True]
    assert answers[3] == recorded.service.queries.run(_query(), _vectors(3), [1])[0]


def test_many_clients_at_once(filled: LocalStore) -> None:
    """Through the whole application, each answer belongs to its question."""
    with TestClient(create_app(filled), base_url="http://localhost") as client, ThreadPoolExecutor(8) as clients:

        def nearest(number: int) -> str:
            body = {"query_embeddings": vectors[number].tolist(), "n_results": 1, "include": []}
            return str(client.post("/api/v1/collections/docs/query", json=body).json()["ids"][0][0])

        found = client.post("/api/v1/collections/docs/get", json={"include": ["embeddings"]}).json()
        vectors = np.array(found["embeddings"])
        assert list(clients.map(nearest, range(100))) == found["ids"]
