"""What a store gives -> bodies of answers: Chroma's shapes, or the extended ones of `chroma_nb.rest.wire`."""

from __future__ import annotations

import base64
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from chroma_nb.columns import metadata_dicts, texts
from chroma_nb.errors import SqlError
from chroma_nb.rest.wire_items import columns_body, encoded
from chroma_nb.types import Hits, Kind, Matrix, MetadataColumns, Records

# A number that JSON allows and that every reader takes for infinity; "Infinity" would be no JSON.
_INFINITY = {np.inf: orjson.Fragment(b"1e999"), -np.inf: orjson.Fragment(b"-1e999")}


def body(value: Any) -> bytes:
    """Any small answer.

    >>> body({"n": float("inf")})
    b'{"n":1e999}'
    """
    return orjson.dumps(_portable(value))


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_portable(key): _portable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(one) for one in value]
    if isinstance(value, str):
        return _valid(value)
    return _INFINITY.get(value, value) if isinstance(value, float) else value


def _valid(text: str) -> str:
    """Metadata of a collection may hold halves of surrogate pairs, which no JSON in UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def get_answer(records: Records, dimension: int | None, *, extended: bool) -> bytes:
    """The items of a ``get``."""
    answer: dict[str, Any] = {
        "ids": texts(records.ids),
        "embeddings": _vectors(records.embeddings, extended=extended),
        "documents": None if records.documents is None else texts(records.documents),
        "metadatas": None,
    }
    if extended:
        _extend(answer, records, dimension)
    elif records.metadata is not None:
        answer["metadatas"] = _dicts(records.metadata, len(records))
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def query_answers(
    hits: Hits, queries: list[int], dimension: int | None, *, distances: bool, extended: bool
) -> list[bytes]:
    """The hits of several calls that were searched for together, one answer for each.

    Args:
        hits: of all calls.
        queries: how many vectors each call had.
        dimension: of the collection, for the extended shape.
        distances: whether to include them.
        extended: the shape.
    """
    bounds = [0, *np.cumsum(np.bincount(hits.query, minlength=hits.queries)).tolist()]
    calls = [0, *np.cumsum(queries).tolist()]
    found = hits.records
    ids = texts(found.ids)
    documents = None if found.documents is None else texts(found.documents)
    metadatas = None if extended or found.metadata is None else _dicts(found.metadata, len(ids))
    answers = []
    for first, last in pairwise(calls):
        spans = list(pairwise(bounds[first : last + 1]))
        answer: dict[str, Any] = {
            "ids": [ids[start:stop] for start, stop in spans],
            "embeddings": None
            if found.embeddings is None
            else [_vectors(found.embeddings[start:stop], extended=extended) for start, stop in spans],
            "documents": None if documents is None else [documents[start:stop] for start, stop in spans],
            "metadatas": None if metadatas is None else [metadatas[start:stop] for start, stop in spans],
            "distances": [hits.distance[start:stop] for start, stop in spans] if distances else None,
        }
        if extended:
            of_call = found if len(calls) == 2 else found.take(np.arange(bounds[first], bounds[last]))
            _extend(answer, of_call, dimension)
        answers.append(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
    return answers


def _extend(answer: dict[str, Any], records: Records, dimension: int | None) -> None:
    metadata = records.metadata
    answer["dimension"] = dimension
    answer["gaps"] = sorted(records.gaps)
    answer["columns"] = None
    if metadata is not None:
        entries = columns_body(metadata)
        if _infinite(metadata):
            entries = [_portable(entry) for entry in entries]
        answer["columns"] = entries


def _dicts(metadata: MetadataColumns, length: int) -> list[Any]:
    dicts = metadata_dicts(metadata, length)
    return [_portable(one) for one in dicts] if _infinite(metadata) else dicts


def _infinite(metadata: MetadataColumns) -> bool:
    return any(
        bool(np.isinf(kinds[Kind.FLOAT].to_numpy(zero_copy_only=False)).any())
        for kinds in metadata.values()
        if Kind.FLOAT in kinds and kinds[Kind.FLOAT].null_count < len(kinds[Kind.FLOAT])
    )


def _vectors(vectors: Matrix | None, *, extended: bool) -> Any:
    if vectors is None:
        return None
    # orjson writes float32 with the fewest digits that give the same float32 again.
    return encoded(vectors) if extended else np.ascontiguousarray(vectors)


def table_answer(table: pa.Table) -> bytes:
    """Rows of SQL, column by column, as pandas' ``from_dict`` takes them; what JSON has no type for, as text.

    Raises:
        SqlError: there is a time that Python has no type for.
    """
    columns = zip(table.column_names, table.columns, strict=True)
    return orjson.dumps({name: _portable(_listed(name, column)) for name, column in columns}, default=_as_json)


def _listed(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        listed: list[Any] = column.to_pylist()
    except (OverflowError, ValueError) as error:
        raise SqlError(
            f"The column {name!r} holds a time outside of the years 1 to 9999: cast it to text, as in x::VARCHAR."
        ) from error
    return listed


def arrow_answer(table: pa.Table) -> bytes:
    """The same with all types: Arrow's stream format, as base64."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return orjson.dumps({"arrow": base64.b64encode(sink.getvalue()).decode()})


def _as_json(value: Any) -> Any:
    """Whole numbers of DuckDB's sums come as Decimal."""
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return int(value) if whole and -(2**63) <= value < 2**63 else float(value)
    return str(value)
