"""Distances for colouring are those that queries give."""

from __future__ import annotations

import numpy as np
import pytest
from chroma_nb_widgets.models import distances
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.types import Metric
from tests.store import reference, strategies
from tests.store.backend import fresh_name


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@given(rows=st.lists(strategies.vectors, min_size=1, max_size=8), query=strategies.vectors)
def test_like_the_reference(
    memory: chroma_nb.Client, space: str, rows: list[tuple[float, ...]], query: tuple[float, ...]
) -> None:
    docs = memory.create_collection(fresh_name(), metadata={"hnsw:space": space})
    docs.add(ids=[str(at) for at in range(len(rows))], embeddings=rows)
    snapshot = docs._store.snapshot(docs.id)
    found = distances.to_all(snapshot, np.asarray(query, dtype=np.float32), Metric(space))
    np.testing.assert_allclose(found, reference.distances(space, rows, query), rtol=1e-6, atol=1e-12)
    memory.delete_collection(docs.name)


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_in_pieces_and_beside_a_query(memory: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch, space: str) -> None:
    random = np.random.default_rng(0)
    docs = memory.create_collection(fresh_name(), metadata={"hnsw:space": space})
    docs.add(ids=[str(at) for at in range(101)], embeddings=random.normal(size=(101, 7)))
    vector = random.normal(size=7).astype(np.float32)
    monkeypatch.setattr(distances, "_NUMBERS", 70)  # ten rows at a time, and one left over
    found = distances.to_all(docs._store.snapshot(docs.id), vector, Metric(space))
    asked = docs.query(vector, n_results=101, exact=True)
    np.testing.assert_allclose(found[asked.index.astype(int)], asked["distance"], rtol=1e-5, atol=1e-6)


def test_no_items(memory: chroma_nb.Client) -> None:
    docs = memory.create_collection(fresh_name())
    assert distances.to_all(docs._store.snapshot(docs.id), np.ones(3, dtype=np.float32), Metric.L2).shape == (0,)
