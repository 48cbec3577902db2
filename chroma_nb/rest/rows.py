"""Items as Chroma's servers write them, one dict of metadata each <-> aligned columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb import batch
from chroma_nb.rest import wire_items
from chroma_nb.types import ARROW_TYPES, Hits, Kind, Matrix, MetadataColumns, MetadataValue, Records

_KINDS: dict[type, Kind] = {str: Kind.STR, int: Kind.INT, float: Kind.FLOAT, bool: Kind.BOOL}
_INT64 = range(-(2**63), 2**63)


def records_of_rows(
    ids: Sequence[str],
    documents: Sequence[str | None] | None,
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    embeddings: Sequence[Any] | None,
) -> Records:
    """The items of an answer.

    Servers keep no order of keys: they come in alphabetical order. Lists and other values that a cell
    of ours cannot hold come as JSON text. Any key counts as one that some item lacks.

    >>> records_of_rows(["a"], ["x"], [{"n": 1, "k": [1, 2]}], None).metadata["k"][Kind.STR].to_pylist()
    ['[1, 2]']
    """
    metadata = None if metadatas is None else metadata_of_rows(metadatas)
    return Records(
        ids=text_column(ids),
        documents=None if documents is None else text_column(documents),
        metadata=metadata,
        embeddings=None if embeddings is None else matrix_of_rows(embeddings),
        gaps=frozenset(metadata or ()),
    )


def metadata_of_rows(metadatas: Sequence[Mapping[str, Any] | None]) -> MetadataColumns:
    """One typed column for each key and kind, keys in alphabetical order."""
    cells: dict[str, dict[Kind, tuple[list[int], list[Any]]]] = {}
    for position, metadata in enumerate(metadatas):
        for key, value in (metadata or {}).items():
            if value is None:
                continue
            plain = _plain(value)
            positions, values = cells.setdefault(key, {}).setdefault(_KINDS[type(plain)], ([], []))
            positions.append(position)
            values.append(plain)
    return {
        key: {kind: _column(kind, *cell, len(metadatas)) for kind, cell in cells[key].items()} for key in sorted(cells)
    }


def _plain(value: Any) -> MetadataValue:
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return float(value)
    return value if type(value) in _KINDS else json.dumps(value)


def _column(kind: Kind, positions: list[int], values: list[Any], length: int) -> pa.Array:
    array = text_column(values) if kind is Kind.STR else pa.array(values, ARROW_TYPES[kind])
    return array if len(values) == length else batch.spread(array, positions, length)


def text_column(texts: Sequence[str | None]) -> pa.Array:
    """Strings as Arrow; what is not Unicode in them becomes a question mark."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        repaired = [None if text is None else text.encode(errors="replace").decode() for text in texts]
        return pa.array(repaired, pa.large_string())


def matrix_of_rows(embeddings: Sequence[Any]) -> Matrix:
    """Vectors as numbers or as base64; (0, 0) if there is none."""
    if len(embeddings) == 0:
        return np.empty((0, 0), dtype=np.float32)
    if isinstance(embeddings[0], str):
        return wire_items.decoded(embeddings)
    return np.asarray(embeddings, dtype=np.float32)


def metadata_rows(metadata: MetadataColumns | None, length: int) -> list[dict[str, MetadataValue]]:
    """The inverse of `metadata_of_rows`."""
    rows: list[dict[str, MetadataValue]] = [{} for _ in range(length)]
    for key, kinds in (metadata or {}).items():
        for column in kinds.values():
            for row, value in zip(rows, wire_items.values(column), strict=True):
                if value is not None:
                    row[key] = value
    return rows


def joined(parts: Iterable[Records]) -> Records:
    """Several results, one after the other, as one; of all of them or of none, columns are there.

    Raises:
        ValueError: there is none.
    """
    listed = list(parts)
    first = listed[0]
    if len(listed) == 1:
        return first
    embeddings = [part.embeddings for part in listed if part.embeddings is not None and len(part)]
    return Records(
        ids=_chained(part.ids for part in listed),
        documents=None if first.documents is None else _chained(part.documents for part in listed),
        metadata=None if first.metadata is None else _joined_metadata(listed),
        embeddings=None if first.embeddings is None else np.concatenate(embeddings) if embeddings else first.embeddings,
        gaps=frozenset().union(*(part.gaps for part in listed)),
    )


def joined_hits(parts: Sequence[Hits]) -> Hits:
    """The hits of several calls of one query each, as those of one call."""
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *(part.queries for part in parts)])
    return Hits(
        records=joined(part.records for part in parts),
        query=np.concatenate([part.query + start for part, start in zip(parts, before, strict=False)]),
        rank=np.concatenate([part.rank for part in parts]),
        distance=np.concatenate([part.distance for part in parts]),
        queries=int(before[-1]),
    )


def _joined_metadata(parts: Sequence[Records]) -> MetadataColumns:
    kinds: dict[str, dict[Kind, None]] = {}
    for part in parts:
        for key, columns in (part.metadata or {}).items():
            kinds.setdefault(key, {}).update(dict.fromkeys(columns))
    return {key: {kind: _chained(_cells(part, key, kind) for part in parts) for kind in kinds[key]} for key in kinds}


def _cells(part: Records, key: str, kind: Kind) -> pa.Array:
    found = (part.metadata or {}).get(key, {}).get(kind)
    return pa.nulls(len(part), ARROW_TYPES[kind]) if found is None else found


def _chained(arrays: Iterable[Any]) -> pa.Array:
    return pa.concat_arrays(list(arrays))


def finite(column: pa.Array) -> bool:
    """Whether no number of a column is infinite."""
    return bool(np.isfinite(pc.drop_null(column).to_numpy(zero_copy_only=False)).all())
