"""Arrow columns -> Chroma's dicts of lists, a column at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import numpy as np

from chroma_nb.columns import metadata_dicts, texts
from chroma_nb.compat.types import GetResult, QueryResult
from chroma_nb.types import Hits, Records

T = TypeVar("T")


def get_result(records: Records) -> GetResult:
    """Items as ``get`` returns them; None for the columns that are not there."""
    return {
        "ids": texts(records.ids),
        "embeddings": None if records.embeddings is None else records.embeddings.tolist(),
        "documents": None if records.documents is None else texts(records.documents),
        "metadatas": None if records.metadata is None else metadata_dicts(records.metadata, len(records)),
    }


def query_result(hits: Hits, *, distances: bool) -> QueryResult:
    """Hits as ``query`` returns them: one inner list for each query, also where nothing was found."""
    bounds = [0, len(hits.query)]
    if hits.queries != 1:
        bounds = [0, *np.cumsum(np.bincount(hits.query, minlength=hits.queries)).tolist()]
    found = get_result(hits.records)
    return {
        "ids": _split(found["ids"], bounds),
        "embeddings": None if found["embeddings"] is None else _split(found["embeddings"], bounds),
        "documents": None if found["documents"] is None else _split(found["documents"], bounds),
        "metadatas": None if found["metadatas"] is None else _split(found["metadatas"], bounds),
        "distances": _split(hits.distance.tolist(), bounds) if distances else None,
    }


def _split(values: list[T], bounds: list[int]) -> list[list[T]]:
    return [values[start:stop] for start, stop in pairwise(bounds)]
