"""Columns of vectors in Arrow's types -> float32 matrices, without a copy where the numbers lie as they should."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.batch import matrix_of
from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError
from chroma_nb.types import Matrix


def is_vector(type_: pa.DataType) -> bool:
    """Whether a column of that type can hold vectors: lists of numbers, or texts of such.

    >>> is_vector(pa.list_(pa.float64())), is_vector(pa.int64())
    (True, False)
    """
    plain = storage(type_)
    if pa.types.is_list(plain) or pa.types.is_large_list(plain) or pa.types.is_fixed_size_list(plain):
        return _is_number(plain.value_type)
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def storage(type_: pa.DataType) -> pa.DataType:
    """What a type is kept as: of a tensor, a list."""
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def matrix_in(column: pa.Array, dimension: int | None = None) -> Matrix:
    """The vectors of a column, shape (n, dim).

    Args:
        column: n vectors: lists of numbers (any list type), or JSON texts of lists.
        dimension: that they must have, if it is known.

    Raises:
        InvalidDimensionError: one has another dimension than the first one.
        InvalidArgumentError: one is missing, or is not made of finite numbers.

    >>> matrix_in(pa.array([[1, 2], [3, 4]]))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return _checked(_of_lists(column, dimension), dimension)
    column = pa.array([_parsed(text) for text in column.to_pylist()], pa.large_list(pa.float64()))
    return _checked(_of_lists(column, dimension), dimension)


def _of_lists(column: pa.Array, dimension: int | None) -> npt.NDArray[Any]:
    if column.null_count:
        raise InvalidArgumentError("The vector is missing, or is not a list of numbers such as [0.1, 0.2].")
    width = dimension or _length(column)
    if not pa.types.is_fixed_size_list(column.type):
        lengths = pc.list_value_length(column)
        other = pc.filter(lengths, pc.not_equal(lengths, width))
        if len(other):
            raise _wrong(other[0].as_py(), width)
    numbers = column.flatten()
    if numbers.null_count:
        raise InvalidArgumentError(
            "The vector lacks a number: one of its places is null or no number. Texts of vectors have commas: "
            "[0.1, 0.2]."
        )
    if not pa.types.is_floating(numbers.type):
        numbers = numbers.cast(pa.float64())
    flat: npt.NDArray[Any] = numbers.to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1)


def _checked(numbers: npt.NDArray[Any], dimension: int | None) -> Matrix:
    if dimension is not None and numbers.shape[1] != dimension:
        raise _wrong(numbers.shape[1], dimension)
    return matrix_of(numbers, "vectors")


def _wrong(found: int, expected: int) -> InvalidDimensionError:
    return InvalidDimensionError(f"The vector has {found} numbers, where the first one has {expected}.")


def _length(column: pa.Array) -> int:
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    return int(pc.list_value_length(column)[0].as_py()) if len(column) else 0


def _parsed(text: str | None) -> list[float] | None:
    try:
        found = None if text is None else json.loads(text)
    except ValueError:
        return None
    numbers = isinstance(found, list) and all(type(number) in (int, float) for number in found)
    return [float(number) for number in found] if found is not None and numbers else None


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def stacked(columns: list[pa.Array]) -> Matrix:
    """Vectors whose numbers stand in a column each, shape (n, dim)."""
    for column in columns:
        if column.null_count:
            raise InvalidArgumentError("The vector lacks a number: one of its columns is null.")
    return matrix_of(np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1), "vectors")


def open_npy(path: str) -> npt.NDArray[Any]:
    """A numpy file of shape (n, dim), mapped, not read.

    Raises:
        InvalidArgumentError: it is missing, damaged, or holds something else.
    """
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidArgumentError(f"{path} cannot be read as an array of numpy: {error}") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise InvalidArgumentError(
            f"{path} holds an array of shape {array.shape} and {array.dtype}, where vectors have the shape (n, dim)."
        )
    return array
