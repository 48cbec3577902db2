"""Values <-> bytes, for two processes of the same version on one machine. Never a pickle.

A message is a tree in JSON and some buffers beside it. What JSON knows stands for itself; everything else is an object
with one key, which names its kind::

    {"list": [...]}  {"tuple": [...]}  {"set": [...]}  {"dict": [[key, value], ...]}
    {"array": [dtype, shape, buffer]}  {"scalar": ...}  {"bytes": buffer}
    {"column": [batch, number]}        a column of one of the Arrow record batches that are the last buffers
    {"table": buffer}                  Arrow's stream format
    {"uuid": "..."}  {"datetime": "..."}  {"Kind": "str"}  ...
    {"Records": {"ids": ..., ...}}     the value types of `chroma_nb.types` and `chroma_nb.where`, by field
"""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from chroma_nb import types, where
from chroma_nb.errors import InvalidArgumentError

Buffer: TypeAlias = memoryview | pa.Buffer

_PLAIN = frozenset({str, int, float, bool, type(None)})
_DATACLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        types.CollectionInfo,
        types.CollectionStats,
        types.Hits,
        types.IndexSettings,
        types.Records,
        types.Selection,
        types.StoredLayout,
        where.All,
        where.AnyOf,
        where.Compare,
        where.OneOf,
        where.Text,
    )
}
_ENUMS: dict[str, type[enum.Enum]] = {cls.__name__: cls for cls in (types.Kind, types.Metric)}
# datetime before date, which it is a kind of.
_TEXTS: dict[str, tuple[type[Any], Any, Any]] = {
    "uuid": (uuid.UUID, str, uuid.UUID),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "path": (Path, str, Path),
}
_MICROSECOND = timedelta(microseconds=1)


def encode(value: Any) -> tuple[bytes, list[Buffer]]:
    """A value as a text and buffers, the large ones without a copy.

    >>> encode({"n": 2})[0]
    b'{"value":{"dict":[["n",2]]},"batches":0}'

    Raises:
        InvalidArgumentError: it holds something that only the process it is in can know.
    """
    encoder = _Encoder()
    try:
        tree = encoder.tree(value)
        batches = encoder.batches()
        text = json.dumps({"value": tree, "batches": len(batches)}, separators=(",", ":"))
    except RecursionError:
        raise InvalidArgumentError("This is nested too deeply to be handed to another process.") from None
    return text.encode(), [*encoder.buffers, *batches]


def decode(text: bytes | bytearray, buffers: Sequence[Any]) -> Any:
    """The value again. Arrays look into the buffers.

    >>> decode(*encode((1, 2.0, ["a"])))
    (1, 2.0, ['a'])

    Raises:
        ValueError: the bytes are not of `encode`.
    """
    try:
        message = json.loads(text)
        first = len(buffers) - message["batches"]
        batches = [pa.ipc.open_stream(pa.py_buffer(buffer)).read_next_batch() for buffer in buffers[first:]]
        return _Decoder(buffers[:first], batches).value(message["value"])
    except (KeyError, TypeError, IndexError, AttributeError, pa.ArrowException) as error:
        raise ValueError(f"not a message: {error!r}") from error


class _Encoder:
    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self._columns: dict[int, list[pa.Array]] = {}  # by length: a record batch each

    def batches(self) -> list[Buffer]:
        found: list[Buffer] = []
        for columns in self._columns.values():
            batch = pa.RecordBatch.from_arrays(columns, names=list(map(str, range(len(columns)))))
            found.append(_stream(batch.schema, batch))
        return found

    def tree(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, pa.Array):
            return {"column": self._column(value)}
        if isinstance(value, pa.Table):
            return {"table": self._buffer(_stream(value.schema, value))}
        name = type(value).__name__
        if name in _DATACLASSES and isinstance(value, _DATACLASSES[name]):
            fields = dataclasses.fields(value)
            return {name: {field.name: self.tree(getattr(value, field.name)) for field in fields}}
        if name in _ENUMS and isinstance(value, enum.Enum):
            return {name: value.value}
        return self._container(value)

    def _container(self, value: Any) -> Any:
        if isinstance(value, bytes | bytearray | memoryview):
            return {"bytes": self._buffer(memoryview(value).cast("B"))}
        if isinstance(value, str):  # of a class of its own
            return str.__str__(value)
        if isinstance(value, Mapping):
            return {"dict": [[self.tree(key), self.tree(inner)] for key, inner in value.items()]}
        kind = "tuple" if isinstance(value, tuple) else "set" if isinstance(value, Set) else "list"
        if isinstance(value, Sequence | Set):
            # Long lists of ids are the rule, and JSON knows them.
            plain = set(map(type, value)) <= _PLAIN
            return {kind: list(value) if plain else [self.tree(inner) for inner in value]}
        return self._rest(value)

    def _rest(self, value: Any) -> Any:
        for name, (cls, write, _) in _TEXTS.items():
            if isinstance(value, cls):
                return {name: write(value)}
        if isinstance(value, timedelta):
            return {"timedelta": value // _MICROSECOND}
        for number in (int, float):
            if isinstance(value, number):
                return number(value)
        raise InvalidArgumentError(
            f"A {type(value).__name__} cannot be handed to the process that has the store open: {value!r}"
        )

    def _array(self, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.hasobject or array.dtype.kind == "V":
            return {"scalar" if array.ndim == 0 else "list": self.tree(array.tolist())}
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        tree = {"array": [array.dtype.str, list(array.shape), self._buffer(flat)]}
        return {"scalar": tree} if isinstance(value, np.generic) else tree

    def _column(self, array: pa.Array) -> list[int]:
        columns = self._columns.setdefault(len(array), [])
        columns.append(array)
        return [list(self._columns).index(len(array)), len(columns) - 1]

    def _buffer(self, buffer: Buffer) -> int:
        self.buffers.append(buffer)
        return len(self.buffers) - 1


def _stream(schema: pa.Schema, data: pa.RecordBatch | pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write(data)
    return sink.getvalue()


class _Decoder:
    def __init__(self, buffers: Sequence[Any], batches: list[pa.RecordBatch]) -> None:
        self._buffers = buffers
        self._batches = batches

    def value(self, tree: Any) -> Any:
        if type(tree) is not dict:
            return tree
        ((name, inner),) = tree.items()
        if name in _DATACLASSES:
            return _DATACLASSES[name](**{field: self.value(part) for field, part in inner.items()})
        if name in _ENUMS:
            return _ENUMS[name](inner)
        if name in _TEXTS:
            return _TEXTS[name][2](inner)
        return getattr(self, f"_{name}")(inner)

    def _list(self, members: list[Any]) -> list[Any]:
        return list(map(self.value, members))

    def _tuple(self, members: list[Any]) -> tuple[Any, ...]:
        return tuple(map(self.value, members))

    def _set(self, members: list[Any]) -> frozenset[Any]:
        return frozenset(map(self.value, members))

    def _dict(self, members: list[list[Any]]) -> dict[Any, Any]:
        return {self.value(key): self.value(inner) for key, inner in members}

    def _array(self, description: list[Any]) -> Any:
        dtype, shape, number = description
        if 0 in shape:
            return np.empty(shape, dtype=np.dtype(dtype))
        return np.frombuffer(self._buffers[number], dtype=np.dtype(dtype)).reshape(shape)

    def _scalar(self, tree: Any) -> Any:
        found = self.value(tree)
        return found[()] if isinstance(found, np.ndarray) else found

    def _bytes(self, number: int) -> bytes:
        return bytes(self._buffers[number])

    def _column(self, place: list[int]) -> pa.Array:
        batch, number = place
        return self._batches[batch].column(number)

    def _table(self, number: int) -> pa.Table:
        return pa.ipc.open_stream(pa.py_buffer(self._buffers[number])).read_all()

    def _timedelta(self, microseconds: int) -> timedelta:
        return timedelta(microseconds=microseconds)
