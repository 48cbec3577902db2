"""Batches of items -> the columns that the tables and the mirror hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.store.mirror import Mirror
from chroma_nb.store.sparse import SparseChange, SparseColumn
from chroma_nb.store.where_sql import Place
from chroma_nb.types import ARROW_TYPES, IntArray, Kind, MetadataColumns, Records

Places: TypeAlias = dict[str, dict[Kind, Place]]


@dataclass
class Change:
    """What a batch does to the tables of a collection.

    Attributes:
        columns: dense columns, aligned with the items of the change.
        cleared: for each sparse pair number that loses values, the rows that lose them.
        sparse: new sparse values.
    """

    columns: dict[str, pa.Array] = field(default_factory=dict)
    cleared: dict[int, IntArray] = field(default_factory=dict)
    sparse: list[SparseChange] = field(default_factory=list)


def dense_types(places: Mapping[str, Mapping[Kind, Place]]) -> dict[str, pa.DataType]:
    """Arrow types of the dense columns of a collection."""
    types = {"id": pa.large_string(), "document": pa.large_string()}
    for kinds in places.values():
        for kind, place in kinds.items():
            if place.column is not None:
                types[place.column] = ARROW_TYPES[kind]
    return types


def value_counts(metadata: MetadataColumns | None) -> dict[tuple[str, Kind], int]:
    """How many items have a value, for each (key, kind) pair that occurs."""
    counts = {}
    for key, kinds in (metadata or {}).items():
        for kind, column in kinds.items():
            present = len(column) - column.null_count
            if present:
                counts[key, kind] = present
    return counts


def merged_places(known: Places, added: Mapping[tuple[str, Kind], Place]) -> Places:
    """Both together; the mappings given stay as they are."""
    places = {key: dict(kinds) for key, kinds in known.items()}
    for (key, kind), place in added.items():
        places.setdefault(key, {})[kind] = place
    return places


def insertion(batch: Records, places: Places, rows: IntArray) -> Change:
    """New items."""
    change = Change({"id": batch.ids, "document": _documents(batch)})
    _put_metadata(change, batch.metadata or {}, places, rows)
    return change


def _documents(batch: Records) -> pa.Array:
    return pa.nulls(len(batch), pa.large_string()) if batch.documents is None else batch.documents


def _put_metadata(change: Change, metadata: MetadataColumns, places: Places, rows: IntArray) -> None:
    for key, kinds in metadata.items():
        for kind, column in kinds.items():
            place = places.get(key, {}).get(kind)
            if place is None:
                continue  # a pair that no item has a value for
            if place.column is not None:
                change.columns[place.column] = column
                continue
            present = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
            if len(present):
                order = present[np.argsort(rows[present], kind="stable")]
                change.sparse.append(SparseChange(place.number, kind, rows[order], column.take(pa.array(order))))


def alteration(batch: Records, places: Places, mirror: Mirror, positions: IntArray, *, merge: bool) -> Change:
    """Documents and metadata of existing items after an update; ``positions`` aligned with the batch."""
    change = Change()
    if batch.documents is not None:
        old = mirror.take(positions, ["document"])["document"]
        change.columns["document"] = pc.coalesce(batch.documents, old)
    if batch.metadata is not None:
        rows = mirror.rows[positions]
        given = np.ones(len(batch), dtype=np.bool_) if batch.keeps is None else ~batch.keeps
        if merge:
            _merge_metadata(change, batch.metadata, places, mirror, positions)
        else:
            _replace_metadata(change, batch.metadata, places, mirror, positions, given)
        _put_sparse_clearings(change, batch.metadata, places, rows, given, merge=merge)
    return change


def _replace_metadata(
    change: Change, metadata: MetadataColumns, places: Places, mirror: Mirror, positions: IntArray, given: np.ndarray
) -> None:
    new = Change()
    _put_metadata(new, metadata, places, mirror.rows[positions])
    change.sparse.extend(new.sparse)
    for name, type_ in dense_types(places).items():
        if name in ("id", "document"):
            continue
        column = new.columns.get(name)
        column = pa.nulls(len(positions), type_) if column is None else column
        if not given.all():
            old = mirror.take(positions, [name])[name] if name in mirror.types else pa.nulls(len(positions), type_)
            column = pc.if_else(pa.array(given), column, old)
        change.columns[name] = column


def _merge_metadata(
    change: Change, metadata: MetadataColumns, places: Places, mirror: Mirror, positions: IntArray
) -> None:
    new = Change()
    _put_metadata(new, metadata, places, mirror.rows[positions])
    change.sparse.extend(new.sparse)
    for key, kinds in metadata.items():
        has_value = pa.array(present(kinds, len(positions)))
        for kind, place in places.get(key, {}).items():
            name, type_ = place.column, ARROW_TYPES[kind]
            if name is None:
                continue
            nothing = pa.nulls(len(positions), type_)
            old = mirror.take(positions, [name])[name] if name in mirror.types else nothing
            change.columns[name] = pc.if_else(has_value, new.columns.get(name, nothing), old)


def present(kinds: Mapping[Kind, pa.Array], length: int) -> np.ndarray:
    """Which rows have a value of any kind, bool (length,)."""
    found = np.zeros(length, dtype=np.bool_)
    for column in kinds.values():
        found |= column.is_valid().to_numpy(zero_copy_only=False)
    return found


def _put_sparse_clearings(
    change: Change, metadata: MetadataColumns, places: Places, rows: IntArray, given: np.ndarray, *, merge: bool
) -> None:
    for key, kinds in places.items():
        numbers = [place.number for place in kinds.values() if place.column is None]
        if not numbers or (merge and key not in metadata):
            continue
        touched = rows[present(metadata[key], len(rows))] if merge else rows[given]
        change.cleared.update(dict.fromkeys(numbers, np.sort(touched)))


def extended(column: SparseColumn | None, change: SparseChange) -> SparseColumn:
    """A sparse column, or a new one, with the values of a change."""
    if column is None:
        return SparseColumn(change.rows, change.values)
    return column.having(change.rows, change.values)
