"""The three pickles beside an index of Chroma 0.3, written opcode by opcode (protocol 2, PEP 307).

They are dicts of texts, numbers and ``uuid.UUID``; nothing else can be written.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Mapping
from typing import IO, TypeAlias

Value: TypeAlias = str | int | float | uuid.UUID

_START = b"\x80\x02"  # PROTO 2
_CLASS = b"cuuid\nUUID\nq\x000"  # GLOBAL, put into the memo under 0, taken from the stack
_DICT, _MARK, _ITEMS, _END = b"}", b"(", b"u", b"."
_CHUNK = 10_000


def write_dict(file: IO[bytes], items: Mapping[str, Value] | Iterable[tuple[Value, Value]]) -> None:
    """Write a dict.

    >>> import io, pickletools
    >>> file = io.BytesIO()
    >>> write_dict(file, {"a": 1})
    >>> [name.name for name, *_ in pickletools.genops(file.getvalue())][-5:]
    ['MARK', 'BINUNICODE', 'BININT', 'SETITEMS', 'STOP']
    """
    file.write(_START + _CLASS + _DICT)
    chunk: list[bytes] = []
    for key, value in items.items() if isinstance(items, Mapping) else items:
        chunk += (_value(key), _value(value))
        if len(chunk) >= _CHUNK:
            file.write(_MARK + b"".join(chunk) + _ITEMS)
            chunk.clear()
    if chunk:
        file.write(_MARK + b"".join(chunk) + _ITEMS)
    file.write(_END)


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, uuid.UUID):
        # An instance without __init__, whose state is its number.
        return b"h\x00)\x81}" + _value("int") + _long(value.int) + b"sb"
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else _long(value)


def _long(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw
