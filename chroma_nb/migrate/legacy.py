"""Directories of Chroma 0.3 (``chroma_db_impl="duckdb+parquet"``), of all its releases.

chroma-collections.parquet   uuid, name, metadata: texts
chroma-embeddings.parquet    collection_uuid, uuid, embedding (list of doubles), document, id, metadata
index/                       graphs, and pickles that map their labels to rows

The Parquet files are the truth: they hold every vector in full precision, in order of insertion.
What is in ``index/`` is not read: some releases leave labels of other collections or of replaced vectors in it, and
pickles are no format for data of others.
"""

from __future__ import annotations

import glob
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from chroma_nb.errors import ChromaNbError, CorruptStoreError, StoreError
from chroma_nb.migrate.assembling import batch_of_rows, plain_metadata, settings_of, vectors_of_lists
from chroma_nb.migrate.source import LEGACY_FILES, Note, SourceBatch, SourceCollection, fingerprint_of, together
from chroma_nb.types import Matrix

_COLLECTIONS, _EMBEDDINGS = LEGACY_FILES
_BUFFER = 1 << 20
_LENGTHS_AT_ONCE = 10_000
_NOT_JSON = "metadata that is no JSON object, left out"
_ROWS = "FROM read_parquet(?, hive_partitioning = false, file_row_number = true)"
_OF = f"{_ROWS} WHERE collection_uuid = ? ORDER BY file_row_number"


class LegacySource:
    """Reads such a directory.

    Args:
        path: of the directory.

    Raises:
        CorruptStoreError: one of the two files is missing or damaged.
        StoreError: a file may not be read.
    """

    kind = "Chroma 0.3 (duckdb+parquet)"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.location = str(path)
        self._keys: dict[uuid.UUID, str] = {}
        self._connection = duckdb.connect(":memory:")
        # A streamed result comes in the order of the file, at the pace of who reads it.
        self._connection.execute("SET preserve_insertion_order = true")
        try:
            self._columns = {name: self._described(name) for name in LEGACY_FILES}
            self._check()
            self.fingerprint = fingerprint_of(path / name for name in LEGACY_FILES if (path / name).exists())
        except BaseException:
            self.close()
            raise

    def collections(self) -> list[SourceCollection]:
        """All collections in the order of the file."""
        widths = self._widths()
        names = self._columns[_COLLECTIONS]
        metadata = "metadata" if "metadata" in names else "NULL"
        with self._reading(_COLLECTIONS):
            statement = f"SELECT uuid, name, {metadata} {_ROWS} ORDER BY file_row_number"
            found = self._query(statement, _COLLECTIONS).fetchall()
        if len({key for key, *_ in found}) < len(found):
            raise CorruptStoreError(f"{self._path / _COLLECTIONS} has several collections with the same id.")
        return [self._collection(key, name, text, widths.get(key, {})) for key, name, text in found]

    def ids(self, collection: SourceCollection) -> pa.Array | pa.ChunkedArray:
        """Of all rows of a collection, in order."""
        if not collection.rows:
            return pa.array([], pa.large_string())
        with self._reading(_EMBEDDINGS):
            table = self._query(f"SELECT id {_OF}", _EMBEDDINGS, self._key(collection)).to_arrow_table()
        return table.column(0).cast(pa.large_string())

    def batches(self, collection: SourceCollection, rows: int, start: int = 0) -> Iterator[SourceBatch]:
        """The rows from that position on."""
        if start >= collection.rows:
            return
        wanted = ("collection_uuid", "id", "document", "metadata", "embedding")
        columns = [name for name in wanted if name in self._columns[_EMBEDDINGS]]
        first = 0  # position of the next row of this collection
        for block in _gathered(self._own(collection, columns, rows), rows):
            late = block.slice(max(0, start - first))
            if len(late):
                yield _batch(late, collection.dimension, max(first, start))
            first += len(block)

    def _own(self, collection: SourceCollection, columns: list[str], rows: int) -> Iterator[pa.Table]:
        """The rows of a collection, as they stand in the blocks of the file."""
        key = pa.scalar(self._key(collection))
        for block in self._blocks(columns, rows):
            own = pc.equal(block.column("collection_uuid"), key)
            found = block if pc.all(own, skip_nulls=False).as_py() else block.filter(own)
            if len(found):
                yield found

    def _blocks(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        """The file of items, so many rows at once: pyarrow needs half the memory that DuckDB does for large pages."""
        path = self._path / _EMBEDDINGS
        with self._reading(_EMBEDDINGS), parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            for block in file.iter_batches(rows, columns=columns):
                block.validate(full=True)  # text that is no UTF-8 would come up later, where nobody expects it
                yield pa.Table.from_batches([block])

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # files ------------------------------------------------------------------------------------

    def _check(self) -> None:
        needed = {_COLLECTIONS: {"uuid", "name"}, _EMBEDDINGS: {"collection_uuid", "id", "embedding"}}
        for name, columns in self._columns.items():
            if columns and not needed[name] <= set(columns):
                missing = ", ".join(sorted(needed[name] - set(columns)))
                raise CorruptStoreError(f"{self._path / name} is not a file of Chroma 0.3: it has no column {missing}.")
        if not self._columns[_COLLECTIONS]:
            raise CorruptStoreError(
                f"{self._path / _COLLECTIONS} is missing: it holds the names and metadata of the collections. Put it "
                "back beside the other file."
            )
        if not self._columns[_EMBEDDINGS] and any(self._path.glob("index/index_*.bin")):
            raise CorruptStoreError(
                f"{self._path / _EMBEDDINGS} is missing: it holds the items. Put it back; the graphs in index/ hold no "
                "texts and no metadata."
            )

    def _described(self, name: str) -> dict[str, str]:
        """Columns of a file with their types; none if the file is not there."""
        if not (self._path / name).exists():
            return {}
        try:
            (self._path / name).open("rb").close()
        except OSError as error:
            raise StoreError(f"{self._path / name} cannot be opened: {error.strerror}") from error
        with self._reading(name):
            found = self._query(f"DESCRIBE SELECT * EXCLUDE (file_row_number) {_ROWS}", name).fetchall()
        return {row[0]: row[1] for row in found}

    def _query(self, statement: str, name: str, *parameters: str) -> duckdb.DuckDBPyRelation:
        # What looks like a pattern in a path is none.
        path = glob.escape(str(self._path / name))
        return self._connection.cursor().sql(statement, params=[path, *parameters])

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if isinstance(error, ChromaNbError):
                raise
            if "INTERRUPT" in str(error).upper():
                raise KeyboardInterrupt from error
            said = str(error).splitlines()[0]
            raise CorruptStoreError(f"{self._path / name} is torn or no Parquet file: {said}") from error
        except RuntimeError as error:
            # So DuckDB 2 reports Ctrl-C while it works.
            if type(error) is RuntimeError and "nterrupted" in str(error):
                raise KeyboardInterrupt from error
            raise

    # collections ------------------------------------------------------------------------------

    def _widths(self) -> dict[str, dict[int, int]]:
        """How many rows have vectors of which length, by collection; the length that was there first comes first."""
        if not self._columns[_EMBEDDINGS]:
            return {}
        widths: dict[str, dict[int, int]] = {}
        for block in self._blocks(["collection_uuid", "embedding"], _LENGTHS_AT_ONCE):
            table = pa.table(
                {
                    "key": block.column("collection_uuid"),
                    "width": pc.fill_null(pc.list_value_length(block.column("embedding")), 0),
                }
            )
            counted = table.group_by(["key", "width"], use_threads=False).aggregate([([], "count_all")])
            for row in counted.to_pylist():
                of = widths.setdefault(row["key"], {})
                of[row["width"]] = of.get(row["width"], 0) + row["count_all"]
        return widths

    def _collection(self, key: str, name: str, metadata: Any, widths: dict[int, int]) -> SourceCollection:
        try:
            id_ = uuid.UUID(key)
        except (ValueError, TypeError, AttributeError) as error:
            raise CorruptStoreError(f"{self._path / _COLLECTIONS} has a collection whose id is {key!r}.") from error
        self._keys[id_] = key
        decoded, good = _decoded(metadata)
        kept, notes = plain_metadata(decoded)
        settings, unknown = settings_of(kept)
        vectors = {width: rows for width, rows in widths.items() if width}
        return SourceCollection(
            id=id_,
            name=str(name),
            metadata=kept,
            settings=settings,
            dimension=max(vectors, key=lambda width: vectors[width]) if vectors else None,
            rows=sum(widths.values()),
            notes=(*(() if good else (_NOT_JSON,)), *notes, *unknown),
        )

    def _key(self, collection: SourceCollection) -> str:
        """The id of a collection as it stands in the files."""
        return self._keys[collection.id]


def _gathered(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Small tables put together, up to that many rows."""
    pending: list[pa.Table] = []
    for table in tables:
        if pending and sum(map(len, pending)) + len(table) > rows:
            yield pa.concat_tables(pending)
            pending = []
        pending.append(table)
    if pending:
        yield pa.concat_tables(pending)


def _batch(batch: pa.Table, dimension: int | None, start: int) -> SourceBatch:
    ids, documents, texts, column = (
        batch.column(name).combine_chunks() if name in batch.column_names else pa.nulls(len(batch), pa.string())
        for name in ("id", "document", "metadata", "embedding")
    )
    vectors: Matrix = np.zeros((len(batch), 1), dtype=np.float32)
    left_out = {"without a vector": np.ones(len(batch), dtype=np.bool_)}
    if dimension is not None:
        vectors, left_out = vectors_of_lists(column, dimension)
    decoded = [_decoded(text) for text in texts.to_pylist()]
    made = batch_of_rows(ids, documents, [metadata for metadata, _ in decoded], vectors, start, left_out)
    kept = made.positions - start
    bad = [at for at, row in enumerate(kept.tolist()) if not decoded[row][1]]
    if not bad:
        return made
    note = Note(_NOT_JSON, len(bad), tuple(made.records.ids.take(pa.array(bad[:3])).to_pylist()))
    return SourceBatch(made.records, made.positions, made.rows, made.skipped, together([*made.changed, note]))


def _decoded(text: str | None) -> tuple[dict[str, Any] | None, bool]:
    """Metadata from its JSON, and whether it was a JSON object or nothing.

    Releases up to 0.3.10 encoded that of a renamed collection a second time.

    >>> _decoded('{"a": 1}'), _decoded('"{}"'), _decoded("null"), _decoded(None), _decoded("[1]"), _decoded("{")
    (({'a': 1}, True), ({}, True), (None, True), (None, True), (None, False), (None, False))
    """
    value: Any = text
    try:
        while isinstance(value, str):
            value = json.loads(value)
    except (ValueError, RecursionError):
        return None, False
    return (value, True) if value is None or isinstance(value, dict) else (None, False)
