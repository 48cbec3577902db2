"""A collection into one file, batch by batch: Parquet, Arrow IPC, CSV, JSONL.

The file is written under a name of its own beside the one it gets when it is complete.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from chroma_nb import arrow
from chroma_nb.columns import texts
from chroma_nb.errors import InvalidArgumentError, StoreError, suggest
from chroma_nb.halves import checked_rows
from chroma_nb.migrate.appearing import appearing_file
from chroma_nb.progress import PATIENCE, bar
from chroma_nb.store.protocol import Progress, Store
from chroma_nb.types import CollectionInfo, Records, Selection

_BATCH_BYTES = 32 << 20  # of vectors and texts, about: a row group of Parquet
_JOINED = 8_192  # vectors that become text at once: 2 GiB of it have one array
_TEXT_BYTES = 1_000  # of one item without its vector, guessed
_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})
_NOTHING: frozenset[str] = frozenset()
FORMAT = 1


def export(
    store: Store,
    collection: uuid.UUID,
    path: Path,
    selection: Selection | None = None,
    *,
    embeddings: bool = True,
    batch_size: int | None = None,
) -> Path:
    """Write items of a collection to a file; see `chroma_nb.Collection.export`."""
    path = path.expanduser()
    write = _writer_of(path)
    info = store.collection_by_id(collection)
    include = _EVERYTHING if embeddings else _EVERYTHING - {"embeddings"}
    wanted = arrow.schema(store.stats(collection).keys, info.dimension, include, about(info))
    with (
        bar(f"exporting {info.name}", "items", after=PATIENCE) as move,
        appearing_file(path) as file,
        write(file, wanted) as made,
    ):
        for records in batches(store, info, selection or Selection(), include, move, batch_size):
            made.write(_fitting(records, wanted, info))
    return path


def about(info: CollectionInfo) -> str:
    """What a file says of the collection it holds, as JSON text."""
    settings = {**asdict(info.settings), "space": info.settings.space.value}
    function = None if info.embedding_function is None else json.loads(info.embedding_function)
    said = {"format": FORMAT, "name": info.name, "metadata": info.metadata, "settings": settings}
    return json.dumps({**said, "dimension": info.dimension, "embedding_function": function})


def batches(
    store: Store,
    info: CollectionInfo,
    selection: Selection,
    include: frozenset[str],
    move: Progress,
    batch_size: int | None = None,
) -> Iterator[Records]:
    """The selected items in order of insertion, some at a time; those that are deleted meanwhile are left out."""
    rows = max(1, min(100_000, _BATCH_BYTES // (4 * (info.dimension or 1) + _TEXT_BYTES)))
    rows = checked_rows(batch_size, rows)
    ids = store.get(info.id, selection, _NOTHING).ids
    for start in range(0, len(ids), rows):
        found = store.get(info.id, Selection(ids=ids.slice(start, rows).to_pylist()), include)
        if len(found):
            yield found
        move(min(start + rows, len(ids)), len(ids))


def _fitting(records: Records, wanted: pa.Schema, info: CollectionInfo) -> pa.RecordBatch:
    try:
        return arrow.record_batch(records, wanted)
    except KeyError as error:
        raise StoreError(
            f"{info.name!r} was changed while it was exported: it has new values in {error.args[0]!r}. Export it again."
        ) from error


# the file -------------------------------------------------------------------------------------


class _Writer(Protocol):
    """Takes batches of one schema, and finishes a file when it is left."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def __enter__(self) -> _Writer: ...

    def __exit__(self, *exception: object) -> None: ...


class _Opened(Protocol):
    def __call__(self, file: IO[bytes], wanted: pa.Schema) -> _Writer: ...


def _writer_of(path: Path) -> _Opened:
    name = path.name.lower()
    for suffix, writer in _WRITERS.items():
        if name.endswith(suffix):
            return writer
    raise InvalidArgumentError(
        f"The name of the file says how it is written: {path.name!r} ends in none of {', '.join(_WRITERS)}."
        + (suggest(path.suffix, _WRITERS) if path.suffix else "")
    )


class _Parquet:
    """One row group a batch."""

    def __init__(self, file: IO[bytes], wanted: pa.Schema) -> None:
        # Vectors hardly repeat: a dictionary of their numbers costs time and saves nothing.
        names = [field.name for field in wanted if field.name != "embedding"]
        self._made = pq.ParquetWriter(
            file, wanted, compression="zstd", use_dictionary=names, write_statistics=names or False
        )

    def write(self, batch: pa.RecordBatch) -> None:
        self._made.write_batch(batch)

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *exception: object) -> None:
        self._made.close()


def _ipc(file: IO[bytes], wanted: pa.Schema) -> _Writer:
    made: _Writer = pa.ipc.new_file(file, wanted, options=pa.ipc.IpcWriteOptions(compression="lz4"))
    return made


class _Lines:
    """Text, compressed where the name says so."""

    def __init__(self, file: IO[bytes], *, packed: bool) -> None:
        self._file: Any = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) if packed else file
        self._packed = packed

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._packed:
            self._file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        raise NotImplementedError


class _Csv(_Lines):
    def __init__(self, file: IO[bytes], wanted: pa.Schema, *, packed: bool) -> None:
        super().__init__(file, packed=packed)
        self._header = True
        self._write(pa.RecordBatch.from_pylist([], schema=wanted))

    def write(self, batch: pa.RecordBatch) -> None:
        """Texts in quotes, so that an empty one is no missing one."""
        if batch.num_rows:
            self._write(batch)

    def _write(self, batch: pa.RecordBatch) -> None:
        columns = [_plain(field, column) for field, column in zip(batch.schema, batch.columns, strict=True)]
        table = pa.table(columns, names=batch.schema.names)
        options = pa.csv.WriteOptions(include_header=self._header, quoting_style="needed")
        pa.csv.write_csv(table, self._file, options)
        self._header = False


class _Jsonl(_Lines):
    def __init__(self, file: IO[bytes], wanted: pa.Schema, *, packed: bool) -> None:
        super().__init__(file, packed=packed)

    def write(self, batch: pa.RecordBatch) -> None:
        """One object a row, with what the row has."""
        names = [json.dumps(name, ensure_ascii=False) for name in batch.schema.names]
        cells = [_json(field, column) for field, column in zip(batch.schema, batch.columns, strict=True)]
        for row in zip(*cells, strict=True):
            said = ", ".join(f"{name}: {cell}" for name, cell in zip(names, row, strict=True) if cell is not None)
            self._file.write(f"{{{said}}}\n".encode())


def _plain(field: pa.Field, column: pa.Array) -> pa.Array:
    """What stands in a cell: a vector as text, a value of several types as itself."""
    if field.name == "embedding":
        return vector_texts(column)
    if not arrow.is_mixed(field):
        return column
    values = [None if text is None else json.loads(text) for text in texts(column)]
    cells = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(cells, pa.large_string())


def _json(field: pa.Field, column: pa.Array) -> list[str | None]:
    if field.name == "embedding" or arrow.is_mixed(field):
        return texts(vector_texts(column) if field.name == "embedding" else column)
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]


def vector_texts(column: pa.Array) -> pa.Array:
    """Vectors as texts: the shortest decimals that give the same float32 numbers.

    >>> vector_texts(pa.array([[0.1, 2]], pa.list_(pa.float32(), 2))).to_pylist()
    ['[0.1,2]']
    """
    if not pa.types.is_fixed_size_list(column.type):
        return pa.nulls(len(column), pa.large_string())
    width = column.type.list_size
    parts = [_joined(column.slice(start, _JOINED), width) for start in range(0, len(column), _JOINED)]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.large_string())


def _joined(column: pa.Array, width: int) -> pa.Array:
    offsets = pa.array(range(0, width * len(column) + 1, width), pa.int32())
    digits = column.flatten().cast(pa.string())
    # A whole number has no negative zero.
    digits = pc.if_else(pc.equal(digits, "-0"), "-0.0", digits)
    numbers = pa.ListArray.from_arrays(offsets, digits)
    return pc.binary_join_element_wise("[", pc.binary_join(numbers, ","), "]", "").cast(pa.large_string())


def _csv_plain(file: IO[bytes], wanted: pa.Schema) -> _Writer:
    return _Csv(file, wanted, packed=False)


_WRITERS: dict[str, _Opened] = {
    ".parquet": _Parquet,
    ".arrow": _ipc,
    ".feather": _ipc,
    ".ipc": _ipc,
    ".csv": _csv_plain,
    ".csv.gz": lambda file, wanted: _Csv(file, wanted, packed=True),
    ".jsonl": lambda file, wanted: _Jsonl(file, wanted, packed=False),
    ".ndjson": lambda file, wanted: _Jsonl(file, wanted, packed=False),
    ".jsonl.gz": lambda file, wanted: _Jsonl(file, wanted, packed=True),
}
