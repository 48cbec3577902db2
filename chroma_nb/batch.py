"""One-or-many arguments, as Chroma takes them -> checked, aligned columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.errors import DuplicateIDError, InvalidArgumentError, InvalidDimensionError
from chroma_nb.types import ARROW_TYPES, BoolArray, Kind, Matrix, MetadataColumns, MetadataValue, Records

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_KINDS: dict[type, Kind] = {str: Kind.STR, int: Kind.INT, float: Kind.FLOAT, bool: Kind.BOOL}


def records(ids: object, embeddings: object = None, metadatas: object = None, documents: object = None) -> Records:
    """Check the four arguments of ``add`` and its siblings and put them side by side.

    Args:
        ids: a str or a non-empty sequence of unique str.
        embeddings: one vector, or a sequence or array of shape (n, dim).
        metadatas: one dict, or a sequence of dicts (or None) of str keys and plain values.
        documents: one str, or a sequence of str (or None).

    Raises:
        InvalidArgumentError: what is wrong, and where.
        DuplicateIDError: an id stands twice.
    """
    id_array = ids_array(ids)
    count = len(id_array)
    matrix = None if embeddings is None else matrix_of(embeddings)
    columns, keeps = (None, None) if metadatas is None else metadata_columns(metadatas)
    texts = None if documents is None else documents_array(documents)
    lengths = {
        "embeddings": None if matrix is None else len(matrix),
        "metadatas": None if keeps is None else len(keeps),
        "documents": None if texts is None else len(texts),
    }
    for name, length in lengths.items():
        if length is not None and length != count:
            raise InvalidArgumentError(f"Number of {name} {length} must match number of ids {count}")
    return Records(id_array, texts, columns, matrix, keeps=keeps)


# ids and documents ----------------------------------------------------------------------------


def ids_array(ids: object, *, may_be_empty: bool = False) -> pa.Array:
    """Unique ids as an Arrow array.

    >>> ids_array("a").to_pylist()
    ['a']
    """
    if isinstance(ids, str):
        ids = [ids]
    listed = _listed(ids, "IDs")
    if not listed and not may_be_empty:
        raise InvalidArgumentError("Expected IDs to be a non-empty list, got an empty one")
    for position, id_ in enumerate(listed):
        if not isinstance(id_, str):
            raise InvalidArgumentError(
                f"Expected ID to be a str, got {id_!r} at position {position}. Convert ids with str()."
            )
    check_unique(listed)
    return text_array(listed, "ID")


def check_unique(ids: Sequence[str]) -> None:
    """DuplicateIDError if an id stands twice."""
    if len(set(ids)) == len(ids):
        return
    repeated = [id_ for id_, times in Counter(ids).items() if times > 1]
    shown = ", ".join(map(repr, repeated[:5])) + (", ..." if len(repeated) > 5 else "")
    raise DuplicateIDError(
        f"Expected IDs to be unique, found {len(repeated)} duplicated in the call: {shown}. "
        "Drop the repetitions; to replace items that are stored already, use upsert."
    )


def documents_array(documents: object) -> pa.Array:
    """Texts (or None) as an Arrow array."""
    if isinstance(documents, str):
        documents = [documents]
    listed = _listed(documents, "documents")
    for position, text in enumerate(listed):
        if text is not None and not isinstance(text, str):
            raise InvalidArgumentError(f"Expected document to be a str or None, got {text!r} at position {position}")
    return text_array(listed, "document")


def text_array(texts: Iterable[str | None], what: str, positions: Sequence[int] | None = None) -> pa.Array:
    """Python strings as Arrow ``large_string``; InvalidArgumentError for what is not Unicode.

    ``positions`` are those of the texts in the call, if not 0, 1, 2, ...
    """
    listed = list(texts)
    try:
        return pa.array(listed, pa.large_string())
    except (UnicodeEncodeError, pa.ArrowException) as error:
        for position, text in enumerate(listed):
            if text is not None and any("\ud800" <= char <= "\udfff" for char in text):
                at = position if positions is None else positions[position]
                raise InvalidArgumentError(
                    f"The {what} at position {at} is not valid Unicode (it holds a lone surrogate): {text!r}"
                ) from error
        raise


def _listed(values: object, what: str) -> list[Any]:
    """Any sequence, array or column as a list."""
    if isinstance(values, list):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 0:
        raise InvalidArgumentError(f"Expected {what} to be a list, got {values!r}")
    if hasattr(values, "tolist"):
        return list(values.tolist())
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    if isinstance(values, Sequence) and not isinstance(values, bytes):
        return list(values)
    if hasattr(values, "to_list"):
        return list(values.to_list())
    raise InvalidArgumentError(f"Expected {what} to be a list, got {values!r}")


# vectors --------------------------------------------------------------------------------------


def matrix_of(embeddings: Any, what: str = "embeddings") -> Matrix:
    """Vectors as a float32 matrix of shape (n, dim); one flat vector gives one row.

    >>> matrix_of([1, 2.5])
    array([[1. , 2.5]], dtype=float32)

    Raises:
        InvalidArgumentError: empty, not numbers, NaN or infinite.
        InvalidDimensionError: rows of different lengths.
    """
    array = embeddings if isinstance(embeddings, np.ndarray) else _as_array(embeddings, what)
    if array.dtype == object:
        flat = array.ndim == 1 and all(type(number) in (int, float) for number in array)
        array = _stacked([array] if flat else array, what)
    if array.dtype.kind not in "fiu":
        raise InvalidArgumentError(f"Expected {what} to be numbers, got an array of {array.dtype}")
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2:
        raise InvalidArgumentError(f"Expected {what} of shape (n, dim), got an array of shape {array.shape}")
    if 0 in array.shape:
        raise InvalidArgumentError(f"Expected {what} to be a non-empty list of vectors, got shape {array.shape}")
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(array, dtype=np.float32)
    check_finite(matrix, what)
    return matrix


def _as_array(embeddings: Any, what: str) -> npt.NDArray[Any]:
    if hasattr(embeddings, "to_pylist"):
        embeddings = embeddings.to_pylist()
    if hasattr(embeddings, "to_numpy"):
        return np.asarray(embeddings.to_numpy())
    if isinstance(embeddings, str | bytes | Mapping) or not isinstance(embeddings, Iterable):
        raise InvalidArgumentError(f"Expected {what} to be a list of vectors or an array, got {embeddings!r}")
    listed = list(embeddings)
    if not listed:
        raise InvalidArgumentError(f"Expected {what} to be a non-empty list, got an empty one")
    if all(isinstance(row, np.ndarray) and row.ndim == 1 for row in listed):
        _check_same_length([len(row) for row in listed], what)
        return np.stack(listed)
    try:
        return np.asarray(listed)
    except ValueError:
        return _stacked(listed, what)


def _stacked(rows: Iterable[Any], what: str) -> npt.NDArray[Any]:
    """Rows that numpy did not take as one array: say which one does not fit."""
    vectors = []
    for position, row in enumerate(rows):
        if isinstance(row, str | bytes | Mapping) or not isinstance(row, Iterable):
            raise InvalidArgumentError(f"Expected {what} to be lists of numbers, got {row!r} at position {position}")
        vector = _vector(list(row))
        if vector is None or vector.dtype.kind not in "fiu" or vector.ndim != 1:
            raise InvalidArgumentError(
                f"Expected each value in the {what} to be a int or float, got {row!r} at position {position}"
            )
        vectors.append(vector)
    _check_same_length([len(vector) for vector in vectors], what)
    return np.stack(vectors)


def _vector(numbers: list[Any]) -> npt.NDArray[Any] | None:
    """As an array; None if they are no numbers."""
    try:
        if any(type(number) is int for number in numbers) and all(type(n) in (int, float) for n in numbers):
            # Integers beyond 64 bits are numbers too, which numpy would take as objects.
            return np.array([_float(number) for number in numbers])
        return np.asarray(numbers)
    except ValueError:  # lists of different lengths among them
        return None


def _float(number: float) -> float:
    """As a double; infinite if it is too large for one, so that the check for such numbers says where."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _check_same_length(lengths: Sequence[int], what: str) -> None:
    for position, length in enumerate(lengths):
        if length != lengths[0]:
            raise InvalidDimensionError(
                f"Expected all {what} to have one dimension: the first has {lengths[0]} numbers, the one at position "
                f"{position} has {length}"
            )


def check_finite(matrix: Matrix, what: str) -> None:
    """InvalidArgumentError that says where, if a number is NaN or infinite."""
    # The sum of squares of finite float32 numbers cannot overflow in float64, and costs one pass
    # without a temporary array of bools.
    if np.isfinite(np.einsum("ij->", matrix, dtype=np.float64)):
        return
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        value = matrix[bad[0]][~np.isfinite(matrix[bad[0]])][0]
        raise InvalidArgumentError(
            f"{len(bad)} of {len(matrix)} {what} hold NaN or infinite numbers (or numbers too large for float32), the "
            f"first at position {bad[0]} ({value}). Remove or repair these items."
        )


# metadata -------------------------------------------------------------------------------------


def metadata_columns(metadatas: object) -> tuple[MetadataColumns, BoolArray]:
    """Dicts -> typed columns, and which items came without a dict (None).

    Raises:
        InvalidArgumentError: not dicts, empty dicts, keys that are not str, nested values, None or NaN.
    """
    if isinstance(metadatas, Mapping):
        metadatas = [metadatas]
    listed = _listed(metadatas, "metadatas")
    keeps = np.zeros(len(listed), dtype=np.bool_)
    cells: dict[str, dict[Kind, tuple[list[int], list[Any]]]] = {}
    for position, metadata in enumerate(listed):
        if metadata is None:
            keeps[position] = True
            continue
        if not isinstance(metadata, Mapping) or not metadata:
            raise InvalidArgumentError(
                f"Expected metadata to be a non-empty dict, got {metadata!r} at position {position}. "
                "Give None for an item without metadata."
            )
        for key, value in metadata.items():
            kind = _KINDS.get(type(value)) if type(key) is str else None
            if kind is None or kind is Kind.INT or (kind is Kind.FLOAT and math.isnan(value)):
                if not isinstance(key, str):
                    raise InvalidArgumentError(f"Expected metadata key to be a str, got {key!r} at position {position}")
                plain = check_metadata_value(value, key, position)
                kind = _KINDS[type(plain)]
            else:
                plain = value
            positions, values = cells.setdefault(key, {}).setdefault(kind, ([], []))
            positions.append(position)
            values.append(plain)
    return {check_text(key): _columns(kinds, len(listed), key) for key, kinds in cells.items()}, keeps


def check_text(key: str) -> str:
    """A metadata key that can be stored: any Unicode."""
    text_array([key], "metadata key")
    return str(key)


def check_metadata_value(value: object, key: object, position: int | None = None) -> MetadataValue:
    """A plain Python value (numpy's scalars are converted); InvalidArgumentError for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    at = "" if position is None else f", at position {position}"
    if value is None or not isinstance(value, str | int | float | bool):
        hint = " Leave the key out instead." if value is None else " Store nested data as JSON text: json.dumps(value)."
        raise InvalidArgumentError(
            f"Expected metadata value to be a str, int, float or bool, got {value!r} for key {key!r}{at}.{hint}"
        )
    if isinstance(value, float) and math.isnan(value):
        raise InvalidArgumentError(
            f"Metadata value for key {key!r}{at} is NaN. Leave the key out; or pass the DataFrame itself, where "
            "missing cells are left out for you."
        )
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise InvalidArgumentError(f"Metadata value {value} for key {key!r}{at} exceeds 64 bits; store it as str.")
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def _columns(kinds: Mapping[Kind, tuple[list[int], list[Any]]], length: int, key: str) -> dict[Kind, pa.Array]:
    columns = {}
    for kind, (positions, values) in kinds.items():
        array = (
            text_array(values, f"value of {key!r}", positions)
            if kind is Kind.STR
            else pa.array(values, ARROW_TYPES[kind])
        )
        columns[kind] = array if len(values) == length else spread(array, positions, length)
    return columns


def spread(values: pa.Array, positions: npt.ArrayLike, length: int) -> pa.Array:
    """``values`` at ``positions`` of an array of that length, nulls elsewhere."""
    source = np.full(length, -1, dtype=np.int64)
    source[np.asarray(positions, dtype=np.int64)] = np.arange(len(values))
    return values.take(pa.array(source, mask=source < 0))


def columns_of_values(values: Sequence[Any], key: str) -> dict[Kind, pa.Array]:
    """A column of mixed Python values -> one typed column for each kind; missing values are left out.

    >>> sorted(columns_of_values([1, "x", None], "k"))
    [<Kind.INT: 'int'>, <Kind.STR: 'str'>]
    """
    cells: dict[Kind, tuple[list[int], list[Any]]] = {}
    for position, value in enumerate(values):
        if is_missing(value):
            continue
        plain = check_metadata_value(value, key, position)
        positions, kept = cells.setdefault(_KINDS[type(plain)], ([], []))
        positions.append(position)
        kept.append(plain)
    return _columns(cells, len(values), key)


def is_missing(value: object) -> bool:
    """None, NaN, or pandas' NA and NaT (known by name, so that pandas need not be imported)."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def count(number: object, what: str) -> int | None:
    """A whole number from 0 up, or None; InvalidArgumentError for anything else."""
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        raise InvalidArgumentError(f"Expected {what} to be a whole number, 0 or more, got {number!r}")
    return int(number)
