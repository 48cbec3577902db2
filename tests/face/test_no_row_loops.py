"""Large results are made column by column: the Python work does not grow with the rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb import Client, Collection

LARGE = 20_000


@pytest.fixture(scope="module")
def collection() -> Collection:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "document": [f"text {n}" for n in range(LARGE)],
            "number": rng.integers(0, 9, LARGE),
            "share": rng.random(LARGE),
            "flag": rng.random(LARGE) > 0.5,
            "gap": pd.array([n if n % 3 else None for n in range(LARGE)], dtype="Int64"),
            "mixed": [n if n % 2 else str(n) for n in range(LARGE)],
        },
        index=[f"id{n}" for n in range(LARGE)],
    )
    made = Client().create_collection("docs", embedding_function=None)
    made.add(frame, embeddings=rng.random((LARGE, 4)))
    return made


def calls(work: Callable[[], Any]) -> int:
    """How many calls of Python and C functions some work makes."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    work()  # whatever is only done once
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("include", [["documents", "metadatas"], ["documents", "metadatas", "embeddings"]])
@pytest.mark.parametrize("where", [None, {"number": {"$gte": 0}}])
def test_get(collection: Collection, include: list[str], where: dict[str, Any] | None) -> None:
    few = calls(lambda: collection.get(limit=20, where=where, include=include))
    many = calls(lambda: collection.get(where=where, include=include))
    assert len(collection.get(where=where)) == LARGE
    assert many < few + 200
