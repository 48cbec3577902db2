"""The names of ``chromadb.utils.batch_utils``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from chroma_nb.client import Client

Batch: TypeAlias = tuple[Any, Any, Any, Any]


def create_batches(
    api: Client,
    ids: Sequence[str],
    embeddings: Any = None,
    metadatas: Any = None,
    documents: Any = None,
) -> list[Batch]:
    """Cut the arguments of ``add`` into calls that ``api`` takes: (ids, embeddings, metadatas, documents).

    A local store takes any number of items in one call, so there is one batch.
    """
    size = max(1, api.get_max_batch_size())
    columns = (ids, embeddings, metadatas, documents)
    if len(ids) <= size:
        return [columns]
    return [
        tuple(None if column is None else column[start : start + size] for column in columns)  # type: ignore[misc]
        for start in range(0, len(ids), size)
    ]
