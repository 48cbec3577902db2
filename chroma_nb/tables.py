"""DataFrames in: pandas, polars, Arrow and whatever narwhals knows -> checked, aligned columns.

None of those libraries is imported here: a frame that somebody passes has brought its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import narwhals.stable.v1 as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb import arrow, batch
from chroma_nb.columns import QUERY_COLUMNS, key_of
from chroma_nb.errors import ColumnNotFoundError, InvalidArgumentError, suggest
from chroma_nb.types import ARROW_TYPES, Kind, Matrix, MetadataColumns, Records

_HINT = (
    "Metadata values are str, int, float or bool: convert the column first (for dates, "
    "df['{name}'].astype(str)), or name the columns to keep with metadata=[...]."
)


def is_table(value: object) -> bool:
    """Whether this is a frame, or a record batch, that `records` accepts.

    >>> is_table(pa.table({"id": ["a"]})), is_table(["a"])
    (True, False)
    """
    if value is None or isinstance(value, str | list | tuple | np.ndarray | dict):
        return False
    if isinstance(value, pa.RecordBatch):
        return True
    try:
        return isinstance(nw.from_native(value, pass_through=True), nw.DataFrame | nw.LazyFrame)
    except nw.exceptions.NarwhalsError:
        return True  # a frame that cannot be read: `records` says why


def records(
    table: Any,
    *,
    id: str | None = None,
    document: str | None = None,
    embedding: str | Sequence[str] | None = None,
    metadata: Sequence[str] | None = None,
    embeddings: object = None,
    unique: bool = True,
) -> Records:
    """The items of a frame. The frame is not changed.

    Args:
        table: a pandas or polars frame, an Arrow table, or anything else narwhals reads eagerly.
        id: column of ids; default: ``id`` if there is one, else the index, else an error. Integers
            become their decimal text.
        document: column of texts; default: ``document`` if there is one.
        embedding: column of vectors, or the names of dim numeric columns; default: ``embedding``
            if there is one.
        metadata: columns to keep as metadata; default: all others.
        embeddings: vectors that are not in the frame, shape (n, dim), row by row.
        unique: whether an id that stands twice is an error.

    Raises:
        ColumnNotFoundError: a column of that name is not there.
        InvalidArgumentError: what is wrong, and where.
    """
    frame = _eager(table)
    names = _names(frame)
    if len(frame) == 0:
        raise InvalidArgumentError("The frame has no rows: there is nothing to add.")
    ids, id_column = _ids(frame, names, id, unique=unique)
    document = _chosen(names, document, "document")
    vectors = _vector_columns(names, embedding, given=embeddings is not None)
    fixed = {column for column in (id_column, document, *vectors) if column is not None}
    if metadata is None:
        ignored = set(QUERY_COLUMNS) if _made_by_query(table) else set()
        metadata = [name for name in names if name not in fixed and name not in ignored]
    kept = [_chosen(names, name, "") or name for name in ([metadata] if isinstance(metadata, str) else metadata)]
    matrix = _matrix(frame, names, vectors) if embeddings is None else batch.matrix_of(embeddings)
    if matrix is not None and len(matrix) != len(frame):
        raise InvalidArgumentError(f"Number of embeddings {len(matrix)} must match number of rows {len(frame)}")
    return Records(
        ids=ids,
        documents=None if document is None else _texts(_arrow(_column(frame, names, document)), document),
        metadata=_metadata(frame, names, kept, _mixed(table)) if kept else None,
        embeddings=matrix,
    )


def _eager(table: Any) -> nw.DataFrame[Any]:
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    try:
        frame = nw.from_native(table)
        if not isinstance(frame, nw.LazyFrame):
            frame.schema  # noqa: B018 - equal names are found here
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise InvalidArgumentError(f"The frame cannot be read: {error}") from error
    if isinstance(frame, nw.LazyFrame):
        raise InvalidArgumentError("This frame is lazy. Run .collect() on it first.")
    return cast("nw.DataFrame[Any]", frame)


def _names(frame: nw.DataFrame[Any]) -> list[str]:
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidArgumentError(f"The frame has several columns named {repeated[0]!r}. Rename or drop all but one.")
    return names


def _made_by_query(table: Any) -> bool:
    provenance = getattr(table, "attrs", {}).get("chroma_nb")
    return isinstance(provenance, Mapping) and provenance.get("call") == "query"


def _chosen(names: list[str], asked: str | None, default: str) -> str | None:
    if asked is None:
        return default if default in names else None
    if asked not in names:
        raise ColumnNotFoundError(f"The frame has no column {asked!r}.{suggest(asked, names)}")
    return asked


def _column(frame: nw.DataFrame[Any], names: list[str], name: str) -> nw.Series[Any]:
    # By position: pandas' column labels need not be str.
    return frame[:, names.index(name)]


# ids ------------------------------------------------------------------------------------------


def _ids(frame: nw.DataFrame[Any], names: list[str], asked: str | None, *, unique: bool) -> tuple[pa.Array, str | None]:
    column = _chosen(names, asked, "id")
    if column is not None:
        values = _arrow(_column(frame, names, column))
        where = f"column {column!r}"
    else:
        index = nw.maybe_get_index(frame)
        if index is None:
            raise ColumnNotFoundError(
                "The frame has no column 'id'. Name the one that holds the ids: id=..." + suggest("id", names)
            )
        if getattr(index, "nlevels", 1) > 1:
            raise InvalidArgumentError("The index of the frame has several levels. Name a column of ids: id=...")
        values = _index_values(index)
        where = "the index of the frame"
    if pa.types.is_integer(values.type):
        values = values.cast(pa.large_string())
    if values.null_count or not _is_text(values.type):
        what = f"{values.null_count} of them are missing" if values.null_count else f"they are {values.type}"
        raise InvalidArgumentError(f"Ids are texts or whole numbers; in {where} {what}.")
    ids = values.cast(pa.large_string())
    if unique and len(ids.unique()) != len(ids):
        batch.check_unique(ids.to_pylist())
    return ids, column


def _index_values(index: Any) -> pa.Array:
    if _is_object(index):
        listed = [None if batch.is_missing(value) else value for value in index.tolist()]
        if _all_text(listed):
            return batch.text_array(listed, "ID")
        try:
            return pa.array(listed)
        except pa.ArrowException as error:
            raise InvalidArgumentError(
                f"Ids are texts or whole numbers; the index of the frame mixes types: {error}"
            ) from error
    return _arrow(nw.from_native(index.to_series(), series_only=True))


# vectors --------------------------------------------------------------------------------------


def _vector_columns(names: list[str], asked: str | Sequence[str] | None, *, given: bool) -> list[str]:
    if given and asked is not None:
        raise InvalidArgumentError("Give the vectors once: either embedding= (a column) or embeddings= (an array).")
    if asked is None or isinstance(asked, str):
        column = _chosen(names, asked, "embedding")
        return [] if column is None else [column]
    return [_chosen(names, name, "") or name for name in asked]


def _matrix(frame: nw.DataFrame[Any], names: list[str], columns: list[str]) -> Matrix | None:
    if not columns:
        return None
    if len(columns) > 1:
        parts = [_column(frame, names, name).to_numpy() for name in columns]
        return batch.matrix_of(np.stack(parts, axis=1))
    series = _column(frame, names, columns[0])
    what = f"vectors of column {columns[0]!r}"
    native = series.to_native()
    if _is_object(native):
        return batch.matrix_of(series.to_numpy(), what)
    array = _arrow(series)
    if pa.types.is_fixed_size_list(array.type) and not array.null_count:
        flat = array.flatten().to_numpy(zero_copy_only=False)
        return batch.matrix_of(flat.reshape(len(array), -1), what)
    if (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)) and not array.null_count:
        numbers = array.flatten()
        plain = pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)
        if plain and not numbers.null_count and len(pc.list_value_length(array).unique()) == 1:
            return batch.matrix_of(numbers.to_numpy(zero_copy_only=False).reshape(len(array), -1), what)
    return batch.matrix_of(array.to_pylist(), what)


# documents and metadata -----------------------------------------------------------------------


def _is_object(native: Any) -> bool:
    """Whether a pandas column holds arbitrary Python objects."""
    dtype = getattr(native, "dtype", None)
    categories = getattr(dtype, "categories", None)
    return str(dtype) == "object" or str(getattr(categories, "dtype", "")) == "object"


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _arrow(series: nw.Series[Any]) -> pa.Array:
    """One contiguous, decoded Arrow array; mixed pandas objects come as Python values decide."""
    native = series.to_native()
    if _is_object(native):
        values = [None if batch.is_missing(value) else value for value in series.to_list()]
        try:
            array = batch.text_array(values, f"text in {series.name!r}") if _all_text(values) else pa.array(values)
        except pa.ArrowException as error:
            raise InvalidArgumentError(f"Column {series.name!r} mixes types: {error}") from error
    else:
        array = _native_arrow(series)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def _native_arrow(series: nw.Series[Any]) -> Any:
    native = series.to_native()
    try:
        # Without its name: polars panics over a NUL in it.
        return native if isinstance(native, pa.ChunkedArray) else series.alias("values").to_arrow()
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise InvalidArgumentError(f"Column {series.name!r} cannot be read: {error}") from error


def _all_text(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _texts(array: pa.Array, name: str) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.large_string())
    if not _is_text(array.type):
        raise InvalidArgumentError(f"Documents are texts; column {name!r} holds {array.type}. Use .astype(str).")
    return array.cast(pa.large_string())


def _mixed(table: Any) -> frozenset[str]:
    """The columns of an Arrow table whose texts stand for values of several types."""
    if not isinstance(table, pa.Table | pa.RecordBatch):
        return frozenset()
    return frozenset(found.name for found in table.schema if arrow.is_mixed(found))


def _metadata(
    frame: nw.DataFrame[Any], names: list[str], kept: Sequence[str], mixed: frozenset[str]
) -> MetadataColumns:
    columns: dict[str, str] = {}
    for name in kept:
        key = batch.check_text(key_of(name))
        if key in columns:
            raise InvalidArgumentError(
                f"The columns {columns[key]!r} and {name!r} both mean the metadata key {key!r}. Rename or drop one."
            )
        columns[key] = name
    return {key: _kinds(_column(frame, names, name), name, mixed=name in mixed) for key, name in columns.items()}


def _kinds(series: nw.Series[Any], name: str, *, mixed: bool) -> dict[Kind, pa.Array]:
    native = series.to_native()
    if _is_object(native):
        return batch.columns_of_values(series.to_list(), name)
    array = _arrow(series)
    if mixed and _is_text(array.type):
        return arrow.mixed_values(array.to_pylist(), name)
    kind = _kind_of(array.type)
    if kind is None:
        if pa.types.is_null(array.type):
            return {}
        raise InvalidArgumentError(f"Column {name!r} holds {array.type}. " + _HINT.format(name=name))
    if kind is Kind.FLOAT:
        array = array.cast(pa.float64())
        # In a frame NaN is how a missing number looks.
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    try:
        array = array.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        raise InvalidArgumentError(f"Column {name!r} holds numbers that do not fit in 64 bits: {error}") from error
    # Concatenating copies: a later change of the frame must not reach into the store.
    return {kind: pa.concat_arrays([array, array.slice(0, 0)])}


def _kind_of(type_: pa.DataType) -> Kind | None:
    if _is_text(type_):
        return Kind.STR
    if pa.types.is_boolean(type_):
        return Kind.BOOL
    if pa.types.is_integer(type_):
        return Kind.INT
    return Kind.FLOAT if pa.types.is_floating(type_) else None
