"""Rows as readers find them -> a checked `SourceBatch`: what can be kept of each row, and notes on the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb import rules
from chroma_nb.batch import spread
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.migrate.source import EXAMPLES, Note, SourceBatch
from chroma_nb.types import ARROW_TYPES, BoolArray, IndexSettings, Kind, Matrix, MetadataColumns, MetadataValue, Records

NO_ID = "without an id"
NO_VECTOR = "without a vector"
NOT_FINITE = "a vector with NaN, infinite numbers or numbers too large for float32"
_OF_NONE = "a metadata value that is null, left out"
_OF_NAN = "a metadata value that is NaN, left out"
_OF_LARGE = "an integer beyond 64 bits in the metadata, kept as text"
_OF_NESTED = "a list or dict in the metadata, kept as JSON text"
_OF_SURROGATES = "text that is not valid Unicode in the metadata, repaired with question marks"

_KINDS: dict[type, Kind] = {str: Kind.STR, int: Kind.INT, float: Kind.FLOAT, bool: Kind.BOOL}
_INT64 = range(-(2**63), 2**63)


def batch_of_rows(
    ids: pa.Array,
    documents: pa.Array | None,
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    vectors: Matrix,
    start: int,
    left_out: Mapping[str, BoolArray] | None = None,
) -> SourceBatch:
    """Check n rows of a source.

    Args:
        ids: n strings, null where a row has none.
        documents: n strings or nulls.
        metadatas: n dicts as JSON can hold them, or None.
        vectors: float32 (n, dim); what stands in rows that are left out does not matter.
        start: position of the first row in the source.
        left_out: why -> which rows are left out, bool (n,), besides those that are found here: without an id, or
            with numbers that are not finite. Each row counts under its first reason.

    >>> batch = batch_of_rows(pa.array(["a", "b"]), None, [{"n": 1}, {"n": [2]}], np.eye(2, dtype=np.float32), 0)
    >>> batch.records.metadata["n"][Kind.STR].to_pylist(), str(batch.changed[0])
    ([None, '[2]'], "1 x a list or dict in the metadata, kept as JSON text ('b')")
    """
    ids = ids.cast(pa.large_string())
    reasons = {
        NO_ID: np.asarray(pc.is_null(ids)),
        **(left_out or {}),
        NOT_FINITE: ~np.isfinite(vectors).all(axis=1),
    }
    good = np.ones(len(ids), dtype=np.bool_)
    skipped = []
    for what, rows in reasons.items():
        skipped += _note(what, np.flatnonzero(rows & good), ids)
        good &= ~rows
    kept = np.flatnonzero(good)
    whole = len(kept) == len(ids)
    if not whole:
        ids, vectors = ids.take(pa.array(kept)), vectors[kept]
        documents = None if documents is None else documents.take(pa.array(kept))
        metadatas = None if metadatas is None else [metadatas[at] for at in kept.tolist()]
    columns, changed = (None, ()) if metadatas is None else metadata_of_rows(metadatas, ids)
    texts = pa.nulls(len(ids), pa.large_string()) if documents is None else documents.cast(pa.large_string())
    return SourceBatch(
        records=Records(ids, texts, columns, vectors),
        positions=kept.astype(np.int64) + start,
        rows=len(good),
        skipped=tuple(skipped),
        changed=changed,
    )


def vectors_of_lists(column: pa.Array, dimension: int) -> tuple[Matrix, dict[str, BoolArray]]:
    """Arrow lists of numbers -> float32 (n, dimension), and why -> which of the rows have no such vector.

    >>> vectors, left_out = vectors_of_lists(pa.array([[1.0, 2.0], None, [3.0]]), 2)
    >>> vectors[0].tolist(), {what: rows.tolist() for what, rows in left_out.items()}
    ([1.0, 2.0], {'without a vector': [False, True, False], 'a vector of dimension 1, not 2': [False, False, True]})
    """
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    left_out = {NO_VECTOR: lengths == 0}
    for length in np.unique(lengths[(lengths != dimension) & (lengths != 0)]).tolist():
        left_out[f"a vector of dimension {length}, not {dimension}"] = lengths == length
    fitting = lengths == dimension
    column = column if fitting.all() else column.filter(pa.array(fitting))
    numbers = column.flatten().to_numpy(zero_copy_only=False)  # a null among them becomes NaN
    with np.errstate(over="ignore"):
        found = numbers.astype(np.float32, copy=False).reshape(-1, dimension)
    if fitting.all():
        return found, left_out
    matrix = np.zeros((len(lengths), dimension), dtype=np.float32)
    matrix[fitting] = found
    return matrix, left_out


# metadata -------------------------------------------------------------------------------------


@dataclass
class _Cells:
    """The values of one key and kind."""

    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def metadata_of_rows(
    metadatas: Sequence[Mapping[str, Any] | None], ids: pa.Array
) -> tuple[MetadataColumns | None, tuple[Note, ...]]:
    """Typed columns of n rows, and notes on values that are kept as something else, or not at all.

    Keys come in order of first appearance. What this library has no type for is kept as text where that loses
    nothing: lists and dicts as JSON, integers beyond 64 bits in decimal. Values that are null or NaN are left out.
    """
    cells: dict[str, dict[Kind, _Cells]] = {}
    odd: dict[str, list[int]] = {}
    for row, metadata in enumerate(metadatas):
        if not metadata:
            continue
        for key, value in metadata.items():
            kind = _KINDS.get(type(value))
            plain: MetadataValue | None = value
            if kind is None or kind is Kind.INT or kind is Kind.FLOAT:
                plain, what = _plain(value)
                if what is not None:
                    odd.setdefault(what, []).append(row)
                if plain is None:
                    continue
                kind = _KINDS[type(plain)]
            found = cells.setdefault(key, {}).setdefault(kind, _Cells())
            found.rows.append(row)
            found.values.append(plain)
    columns = {
        _unicode(key): {kind: _column(kind, found, len(metadatas), odd) for kind, found in kinds.items()}
        for key, kinds in cells.items()
    }
    notes = [note for what, rows in odd.items() for note in _note(what, np.unique(rows), ids)]
    return columns or None, tuple(notes)


def plain_metadata(metadata: Mapping[str, Any] | None) -> tuple[dict[str, MetadataValue] | None, tuple[str, ...]]:
    """The same for the metadata of a collection, with a sentence on each value that is not kept as it was.

    >>> plain_metadata({"a": 1, "b": None})
    ({'a': 1}, ("metadata 'b': a metadata value that is null, left out",))
    """
    kept: dict[str, MetadataValue] = {}
    notes = []
    for key, value in (metadata or {}).items():
        plain, what = _plain(value)
        if isinstance(plain, str) and plain != _unicode(plain):
            plain, what = _unicode(plain), _OF_SURROGATES
        if what is not None:
            notes.append(f"metadata {key!r}: {what}")
        if plain is not None:
            kept[_unicode(key)] = plain
    return kept or None, tuple(notes)


def _plain(value: Any) -> tuple[MetadataValue | None, str | None]:
    """The value as it is kept, and what is to be said of that."""
    if value is None:
        return None, _OF_NONE
    if isinstance(value, float):
        return (None, _OF_NAN) if math.isnan(value) else (value, None)
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, None) if value in _INT64 else (str(value), _OF_LARGE)
    return (value, None) if type(value) in _KINDS else (json.dumps(value, ensure_ascii=False), _OF_NESTED)


def _column(kind: Kind, found: _Cells, length: int, odd: dict[str, list[int]]) -> pa.Array:
    try:
        array = pa.array(found.values, ARROW_TYPES[kind])
    except UnicodeEncodeError:
        repaired = [_unicode(value) for value in found.values]
        odd.setdefault(_OF_SURROGATES, []).extend(
            row for row, new, old in zip(found.rows, repaired, found.values, strict=True) if new != old
        )
        array = pa.array(repaired, ARROW_TYPES[kind])
    return array if len(array) == length else spread(array, found.rows, length)


def _unicode(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _note(what: str, rows: Any, ids: pa.Array) -> list[Note]:
    if not len(rows):
        return []
    examples = ids.take(pa.array(rows[:EXAMPLES])).drop_null().to_pylist()
    return [Note(what, len(rows), tuple(examples))]


# collections ----------------------------------------------------------------------------------


def settings_of(metadata: Mapping[str, Any] | None) -> tuple[IndexSettings, tuple[str, ...]]:
    """Index settings from the ``hnsw:*`` metadata of a collection, with a sentence on each that has no meaning here.

    >>> settings_of({"hnsw:space": "cosine", "hnsw:M": "many"})[0].space
    <Metric.COSINE: 'cosine'>
    >>> settings_of({"hnsw:what": 1})[1]
    ("the index setting 'hnsw:what' = 1 has no meaning here",)
    """
    meant: dict[str, Any] = {}
    notes = []
    for key, value in (metadata or {}).items():
        if key.startswith("hnsw:"):
            try:
                rules.index_settings({key: value})
            except InvalidArgumentError:
                notes.append(f"the index setting {key!r} = {value!r} has no meaning here")
            else:
                meant[key] = value
    return rules.index_settings(meant), tuple(notes)
