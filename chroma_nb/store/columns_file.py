"""The form of a file of columns: Arrow arrays of any lengths, mapped and not read.

::

    b"cnb col1"                        8 bytes
    length and CRC-32 of the header    2 x uint32, little-endian
    length of the file                 uint64, little-endian
    header                             JSON: what the file is of, and where the buffers of each array are
    buffers                            each at a multiple of 64 bytes

Why not Arrow's own file format: its metadata carry no checksum, and a reader that trusts damaged ones reads outside of
the file. Here everything that says *where* to read is checked when the file is opened, and the file has its final name
only after its content was fsynced, so that no crash leaves a torn one. The buffers themselves are trusted, as those of
the file of vectors are: to check them would be to read them all.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.files import sync

_PREFIX = struct.Struct("<8sIIQ")
_MARK = b"cnb col1"
_ALIGNMENT = 64
_SPARE = 8  # times the size of a file must be free: the last of a disk is for data
_TYPES = {
    str(type_): type_ for type_ in (pa.large_string(), pa.int64(), pa.float64(), pa.bool_(), pa.uint64(), pa.uint16())
}
_NOTHING = pa.py_buffer(b"")


def write(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, pa.Array]) -> None:
    """Write a file under another name, bring it onto the disk, and give it its own name; OSError.

    Args:
        path: of the file.
        facts: what the file is of, as JSON knows it.
        arrays: by name; each of large_string, int64, float64, bool, uint64 or uint16.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "a"), {"chunk": 3}, {"id": pa.array(["x", None], pa.large_string())})
    ...     facts, arrays = read(Path(folder, "a"))
    >>> facts, arrays["id"].to_pylist()
    ({'chunk': 3}, ['x', None])
    """
    plain = {name: _plain(array) for name, array in arrays.items()}
    header, size = _header(facts, plain)
    if shutil.disk_usage(path.parent).free < _SPARE * size:
        raise OSError(errno.ENOSPC, "too little space is left for what is only a cache")
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(_PREFIX.pack(_MARK, len(header), zlib.crc32(header), size))
            file.write(header)
            for array in plain.values():
                for buffer in array.buffers():
                    _put(file, buffer)
            file.flush()
            sync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _plain(array: pa.Array) -> pa.Array:
    """The same values, in buffers that begin with the first."""
    return array.take(pa.array(np.arange(len(array)))) if array.offset else array


def _put(file: BinaryIO, buffer: pa.Buffer | None) -> None:
    if buffer is not None and buffer.size:
        file.write(bytes(-file.tell() % _ALIGNMENT))
        file.write(buffer)


def _header(facts: Mapping[str, Any], arrays: Mapping[str, pa.Array]) -> tuple[bytes, int]:
    """The header, and the length of the file; places are counted from the end of the header, rounded up."""
    at, described = 0, {}
    for name, array in arrays.items():
        places: list[tuple[int, int] | None] = []
        for buffer in array.buffers():
            if buffer is None:
                places.append(None)
                continue
            at += -at % _ALIGNMENT if buffer.size else 0
            places.append((at, buffer.size))
            at += buffer.size
        described[name] = [str(array.type), len(array), array.null_count, places]
    header = json.dumps({"facts": facts, "arrays": described}, separators=(",", ":")).encode()
    return header, _begin(len(header)) + at if at else _PREFIX.size + len(header)


def _begin(length: int) -> int:
    """Where the buffers begin, after a header of that length."""
    end = _PREFIX.size + length
    return end + -end % _ALIGNMENT


def read(path: Path) -> tuple[dict[str, Any], dict[str, pa.Array]]:
    """What the file is of, and its arrays, which look into the mapped file.

    Raises:
        FileNotFoundError: there is none.
        CorruptStoreError: it is torn, damaged, or no such file.
    """
    if path.stat().st_size < _PREFIX.size:
        raise CorruptStoreError(f"{path} is torn")
    with pa.memory_map(os.fspath(path)) as file:
        whole = file.read_buffer()  # stays valid after the file is closed
    mark, length, checksum, size = _PREFIX.unpack(whole[: _PREFIX.size])
    header = whole[_PREFIX.size : _PREFIX.size + length]
    if mark != _MARK or size != whole.size or zlib.crc32(header) != checksum:
        raise CorruptStoreError(f"{path} is torn or damaged")
    described = json.loads(header.to_pybytes())
    return described["facts"], dict(_arrays(described["arrays"], whole, _begin(length)))


def _arrays(described: Mapping[str, Any], whole: pa.Buffer, begin: int) -> Iterator[tuple[str, pa.Array]]:
    for name, (type_, length, nulls, places) in described.items():
        buffers = [place and (whole.slice(begin + place[0], place[1]) if place[1] else _NOTHING) for place in places]
        yield name, pa.Array.from_buffers(_TYPES[type_], length, buffers, nulls)
