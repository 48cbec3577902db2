"""Items as Arrow tables, which other libraries take without a copy: the columns of `Collection.get`, ``id`` first.

A metadata key whose values are of several types has no type in Arrow: its column is JSON text, one value a cell, and
the field says so (metadata ``{"chroma_nb": "json"}``), so that `mixed_values` finds the types again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa

from chroma_nb.batch import columns_of_values
from chroma_nb.columns import column_of
from chroma_nb.types import ARROW_TYPES, Kind, Matrix, Records

MIXED = {b"chroma_nb": b"json"}
ABOUT = b"chroma_nb"
"""The key of a file's own metadata under which `about` is kept."""


def schema(
    keys: Mapping[str, Collection[Kind]], dimension: int | None, include: Collection[str], about: str | None = None
) -> pa.Schema:
    """The columns of a collection.

    Args:
        keys: metadata keys, with the kinds their values have.
        dimension: of the vectors; None if there are none.
        include: some of "documents", "metadatas", "embeddings".
        about: kept in the schema's own metadata, under `ABOUT`.

    >>> print(schema({"n": (Kind.INT,)}, 2, {"metadatas", "embeddings"}))
    id: large_string not null
    n: int64
    embedding: fixed_size_list<item: float not null>[2]
      child 0, item: float not null
    """
    fields = [pa.field("id", pa.large_string(), nullable=False)]
    if "documents" in include:
        fields.append(pa.field("document", pa.large_string()))
    if "metadatas" in include:
        fields += [_field(column_of(key), kinds) for key, kinds in keys.items()]
    if "embeddings" in include:
        fields.append(pa.field("embedding", _vector(dimension)))
    return pa.schema(fields, metadata=None if about is None else {ABOUT: about.encode()})


def _field(name: str, kinds: Collection[Kind]) -> pa.Field:
    if len(kinds) == 1:
        return pa.field(name, ARROW_TYPES[next(iter(kinds))])
    return pa.field(name, pa.large_string(), metadata=MIXED) if kinds else pa.field(name, pa.null())


def _vector(dimension: int | None) -> pa.DataType:
    number = pa.field("item", pa.float32(), nullable=False)
    return pa.list_(number) if dimension is None else pa.list_(number, dimension)


def record_batch(records: Records, wanted: pa.Schema) -> pa.RecordBatch:
    """The items with these columns, which are those of `schema`; vectors are not copied.

    Raises:
        KeyError: the items have a metadata key, or values of a kind, that the schema has no place for.
    """
    metadata = {column_of(key): kinds for key, kinds in (records.metadata or {}).items()}
    _check_places(metadata, wanted)
    columns = [_column(field, records, metadata) for field in wanted]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _check_places(metadata: Mapping[str, Mapping[Kind, pa.Array]], wanted: pa.Schema) -> None:
    for name, kinds in metadata.items():
        place = wanted.field(name) if name in wanted.names else None
        for kind, values in kinds.items():
            taken = place is not None and (place.metadata == MIXED or place.type == ARROW_TYPES[kind])
            if not taken and values.null_count < len(values):
                raise KeyError(name)


def _column(field: pa.Field, records: Records, metadata: Mapping[str, Mapping[Kind, pa.Array]]) -> pa.Array:
    if field.name == "id":
        return records.ids
    if field.name == "document":
        return pa.nulls(len(records), field.type) if records.documents is None else records.documents
    if field.name == "embedding":
        return _vectors(records.embeddings, len(records), field.type)
    kinds = metadata.get(field.name, {})
    if field.metadata == MIXED:
        return mixed_text(kinds, len(records))
    return next((values for values in kinds.values() if values.type == field.type), pa.nulls(len(records), field.type))


def _vectors(matrix: Matrix | None, length: int, type_: pa.DataType) -> pa.Array:
    if matrix is None or not pa.types.is_fixed_size_list(type_):
        return pa.nulls(length, type_)
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=type_)


def about_of(found: pa.Schema) -> dict[str, Any] | None:
    """What `schema` was told to keep, as the JSON object it is; None if there is none.

    >>> about_of(schema({}, None, (), about='{"name": "docs"}'))
    {'name': 'docs'}
    """
    try:
        said = json.loads((found.metadata or {}).get(ABOUT, b"null"))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


# keys of several types ------------------------------------------------------------------------


def is_mixed(field: pa.Field) -> bool:
    """Whether the cells of a column are JSON texts of values of several types."""
    return (field.metadata or {}).get(b"chroma_nb") == MIXED[b"chroma_nb"]


def mixed_text(kinds: Mapping[Kind, pa.Array], length: int) -> pa.Array:
    """Values of several kinds as JSON texts, null where a row has none.

    >>> mixed_text({Kind.INT: pa.array([1, None]), Kind.FLOAT: pa.array([None, 2.0])}, 2).to_pylist()
    ['1', '2.0']
    """
    texts: list[str | None] = [None] * length
    for values in kinds.values():
        for position, value in enumerate(values.to_pylist()):
            if value is not None:
                texts[position] = json.dumps(value, ensure_ascii=False)
    return pa.array(texts, pa.large_string())


def mixed_values(texts: Iterable[str | None], name: str) -> dict[Kind, pa.Array]:
    """The inverse of `mixed_text`; ``name`` is that of the column, for errors.

    Raises:
        ValueError: a text is not JSON.
        InvalidArgumentError: a value is not str, int, float or bool.
    """
    return columns_of_values([None if text is None else json.loads(text) for text in texts], name)
