"""The nearest of items at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chroma_nb.store.local import LocalStore
from chroma_nb.types import CollectionInfo, Hits, Matrix, Records, Selection


def nearest(info: CollectionInfo, items: Records, vectors: Matrix, n_results: int, include: frozenset[str]) -> Hits:
    """The nearest items of each row of ``vectors``, compared with every one of them.

    Raises:
        InvalidDimensionError: the vectors have another dimension than the collection.
    """
    store = LocalStore()
    try:
        made = store.create_collection(replace(info, version=0))
        if len(items):
            store.add(made.id, Records(items.ids, embeddings=items.embeddings))
        hits = store.query(made.id, vectors, n_results, Selection(), frozenset(), exact=True)
    finally:
        store.close()
    position = {id_: at for at, id_ in enumerate(items.ids.to_pylist())}
    found = items.take(np.array([position[id_] for id_ in hits.records.ids.to_pylist()], dtype=np.int64))
    shown = replace(
        found,
        documents=found.documents if "documents" in include else None,
        metadata=found.metadata if "metadatas" in include else None,
        embeddings=found.embeddings if "embeddings" in include else None,
    )
    return replace(hits, records=shown)
