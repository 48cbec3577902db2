"""Collections of a few groups, whose maps can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.projection import ProjectionJob, warm_up
from tests.store.backend import fresh_name

if TYPE_CHECKING:
    import numpy.typing as npt

    from chroma_nb import Client, Collection

GROUPS, DIMENSION = 4, 12


def grouped(count: int, seed: int = 1) -> npt.NDArray[np.float32]:
    """Rows of which row i belongs to group i % GROUPS."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(GROUPS, DIMENSION)) * 5
    return (centres[np.arange(count) % GROUPS] + random.normal(size=(count, DIMENSION))).astype(np.float32)


def filled(client: Client, rows: Any, space: str = "l2") -> Collection:
    """A collection of these rows, with their numbers as ids."""
    collection = client.create_collection(fresh_name(), {"hnsw:space": space})
    if len(rows):
        collection.add(ids=[str(n) for n in range(len(rows))], embeddings=rows)
    return collection


def purity(xy: npt.NDArray[np.float32]) -> float:
    """The share of rows of `grouped` whose nearest other place belongs to their group."""
    apart = np.linalg.norm(xy[:, None].astype(np.float64) - xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((apart.argmin(axis=1) % GROUPS == np.arange(len(xy)) % GROUPS).mean())


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Times are not those of compiling."""
    warm_up()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    """Whatever happened: no thread of a map, and the lock is free."""
    import threading

    from chroma_nb.projection import engines

    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("chroma_nb map")]
    assert left == []
    assert engines._FITTING.acquire(blocking=False)
    engines._FITTING.release()


@pytest.fixture
def jobs() -> Any:
    """Takes jobs in; whatever a test leaves is ended."""
    made: list[ProjectionJob] = []
    yield made.append
    for job in made:
        job.cancel()
        assert job.wait(60)
