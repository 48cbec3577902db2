"""Tables in files, read some rows at a time: Parquet and Arrow IPC with pyarrow, CSV and JSON with DuckDB."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from chroma_nb.errors import CorruptStoreError, InvalidArgumentError, suggest

_PARQUET = (".parquet", ".parq", ".pq")
_ARROW = (".arrow", ".feather", ".ipc", ".arrows")
_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_JSON = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
SUFFIXES = (*_PARQUET, *_ARROW, *_CSV, *_JSON)
_MAGIC = ((b"PAR1", "Parquet", _PARQUET[0]), (b"ARROW1", "Arrow", _ARROW[0]), (b"\x93NUMPY", "numpy", ".npy"))


class Table(Protocol):
    """A file of rows and columns.

    Attributes:
        path: of the file.
        schema: names and types of its columns, and what else it says of itself.
    """

    path: Path
    schema: pa.Schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns in order, at most so many at once.

        Raises:
            CorruptStoreError: the file is damaged.
        """

    def close(self) -> None:
        """Let go of the file."""


def paths_of(path: str | Path) -> list[Path]:
    """The file of that name, or those that a pattern such as ``part-*.parquet`` stands for, in order of their names.

    Raises:
        InvalidArgumentError: there is none, or one is empty.
    """
    named = Path(path).expanduser()
    found = [named] if named.exists() else [Path(name) for name in sorted(glob(str(named), recursive=True))]  # noqa: PTH207
    if not found:
        near = [other.name for other in named.parent.iterdir()] if named.parent.is_dir() else []
        raise InvalidArgumentError(f"There is no file {str(path)!r}.{suggest(named.name, near) if near else ''}")
    for file in found:
        if file.is_dir():
            raise InvalidArgumentError(
                f"{file} is a folder. Files of it are named with a pattern: {str(file / '*.parquet')!r}; a directory "
                "of Chroma is read by import_directory."
            )
        if file.stat().st_size == 0:
            raise InvalidArgumentError(f"{file} is empty.")
    return found


def open_table(path: Path, *, texts: Sequence[str] = (), vectors: Sequence[str] = ()) -> Table:
    """A file by its suffix.

    Args:
        path: of the file.
        texts: columns of CSV that are never read as numbers.
        vectors: columns of CSV and JSON that hold lists of numbers.

    Raises:
        InvalidArgumentError: the suffix is none of `SUFFIXES`, or lies.
        CorruptStoreError: the file is damaged.
    """
    name = path.name.lower()
    with reading(path):
        if name.endswith(_PARQUET):
            return ParquetTable(path)
        if name.endswith(_ARROW):
            return ArrowTable(path)
        if name.endswith((*_CSV, *_JSON)):
            from chroma_nb.migrate.files_text import CsvTable, JsonTable

            return (CsvTable if name.endswith(_CSV) else JsonTable)(path, texts=texts, vectors=vectors)
    if name.endswith(".npy"):
        raise InvalidArgumentError(
            f"{path} holds vectors alone. Name the file with ids and documents, and this one as its vectors: "
            f"import_file('items.parquet', ..., embedding={str(path)!r})."
        )
    raise InvalidArgumentError(
        f"The name of a file says what is in it: {path.name!r} ends in none of {', '.join(SUFFIXES)}."
        + (suggest(path.suffix, SUFFIXES) if path.suffix else "")
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, as our errors: not what its suffix says, or damaged."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        if isinstance(error, PermissionError):
            raise InvalidArgumentError(f"No permission to read {path}.") from error
        other = _what_it_is(path)
        if other:
            raise InvalidArgumentError(f"{path} is a file of {other}, whatever its name says. Rename it.") from error
        raise CorruptStoreError(f"{path} cannot be read, it is damaged or cut off: {_first_line(error)}") from error


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    for magic, name, suffix in _MAGIC:
        if start.startswith(magic) and not path.name.lower().endswith((suffix, *_PARQUET, *_ARROW)):
            return f"{name} ({suffix})"
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class ParquetTable:
    """Parquet, its pages decoded as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Mapped, and nothing read ahead: a file may be one row group of many GB.
        self._file = pq.ParquetFile(path, memory_map=True, pre_buffer=False)
        self.schema: pa.Schema = self._file.schema_arrow

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns in order."""
        with reading(self.path):
            yield from self._file.iter_batches(batch_size=rows, columns=list(columns))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ArrowTable:
    """Arrow IPC, as a file (Feather) or as a stream; uncompressed batches are looked at where they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._source = pa.memory_map(str(path))
        with path.open("rb") as file:
            self._random = file.read(6) == b"ARROW1"
        self.schema: pa.Schema = self._reader(None).schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns in order."""
        with reading(self.path):
            fields = [self.schema.get_field_index(name) for name in columns]
            reader = self._reader(sorted(fields))
            parts = map(reader.get_batch, range(reader.num_record_batches)) if self._random else reader
            for part in parts:
                chosen = part.select(list(columns))
                chosen.validate()
                for start in range(0, len(chosen), rows):
                    yield chosen.slice(start, rows)

    def _reader(self, fields: list[int] | None) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        if self._random:
            return pa.ipc.open_file(self._source, options=options)
        self._source.seek(0)
        return pa.ipc.open_stream(self._source, options=options)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def pandas_index(schema: pa.Schema) -> list[str]:
    """The columns that pandas wrote of an index, if it says so."""
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except ValueError:
        return []
    found = said.get("index_columns", []) if isinstance(said, dict) else []
    return [name for name in found if isinstance(name, str) and name in schema.names]
