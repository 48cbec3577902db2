"""Items on the wire: `Records` and `Hits` <-> the extended JSON that `chroma_nb.rest.wire` describes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.columns import texts
from chroma_nb.types import ARROW_TYPES, Hits, Kind, Matrix, MetadataColumns, Records


def batch_body(batch: Records) -> dict[str, Any]:
    """The items of an ``add``, ``update`` or ``upsert``."""
    return {
        "ids": texts(batch.ids),
        "documents": None if batch.documents is None else texts(batch.documents),
        "embeddings": None if batch.embeddings is None else encoded(batch.embeddings),
        "columns": None if batch.metadata is None else columns_body(batch.metadata),
        "keeps": None if batch.keeps is None else np.flatnonzero(batch.keeps).tolist(),
        "extended": True,
    }


def records_of(body: Mapping[str, Any]) -> Records:
    """The items of an extended answer to ``get``."""
    ids = pa.array(body["ids"], pa.large_string())
    documents, columns, embeddings = body["documents"], body["columns"], body["embeddings"]
    return Records(
        ids=ids,
        documents=None if documents is None else pa.array(documents, pa.large_string()),
        metadata=None if columns is None else _metadata(columns),
        embeddings=None if embeddings is None else decoded(embeddings, body["dimension"] or 0),
        gaps=frozenset(body["gaps"]),
    )


def hits_of(body: Mapping[str, Any]) -> Hits:
    """The hits of an extended answer to ``query`` (which includes distances)."""
    counts = [len(ids) for ids in body["ids"]]
    flat = {
        name: None if body[name] is None else [one for of_query in body[name] for one in of_query]
        for name in ("ids", "documents", "embeddings", "distances")
    }
    return Hits(
        records=records_of({**flat, "columns": body["columns"], "gaps": body["gaps"], "dimension": body["dimension"]}),
        query=np.repeat(np.arange(len(counts)), counts),
        rank=np.concatenate([np.arange(count) for count in counts]),
        distance=np.array(flat["distances"], dtype=np.float64),
        queries=len(counts),
    )


def columns_body(metadata: MetadataColumns) -> list[dict[str, Any]]:
    """Metadata, one entry for each key and kind."""
    entries: list[dict[str, Any]] = []
    for key, kinds in metadata.items():
        entries.extend({"key": key, "kind": kind, "values": values(column)} for kind, column in kinds.items())
        if not kinds:
            entries.append({"key": key})
    return entries


def _metadata(entries: Sequence[Mapping[str, Any]]) -> MetadataColumns:
    columns: MetadataColumns = {}
    for entry in entries:
        kinds = columns.setdefault(entry["key"], {})
        if "kind" in entry:
            kind = Kind(entry["kind"])
            kinds[kind] = pa.array(entry["values"], ARROW_TYPES[kind])
    return columns


def values(column: pa.Array) -> list[Any]:
    """Any values as a list; without nulls by way of numpy, which changes no type then."""
    if column.null_count == 0 or pa.types.is_large_string(column.type):
        return texts(column)
    listed: list[Any] = column.to_pylist()
    return listed


def encoded(vectors: Matrix) -> list[str]:
    """Each vector as base64 of its numbers, little-endian float32.

    >>> encoded(np.array([[1, 2]], dtype=np.float32))
    ['AACAPwAAAEA=']
    """
    return [base64.b64encode(row).decode() for row in np.ascontiguousarray(vectors, dtype="<f4")]


def decoded(encoded: Sequence[str], dimension: int = 0) -> Matrix:
    """The inverse of `encoded`; shape (0, dimension) if there is none."""
    rows = [np.frombuffer(base64.b64decode(text), dtype="<f4") for text in encoded]
    return np.stack(rows).astype(np.float32, copy=False) if rows else np.empty((0, dimension), dtype=np.float32)
