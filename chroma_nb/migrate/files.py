"""A file of rows - Parquet, Arrow / Feather, CSV, JSON lines, numpy vectors beside one of them - into a collection.

Columns mean what they mean in ``collection.add(frame)``: `chroma_nb.tables` reads them, a batch at a time.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb import arrow, halves, tables
from chroma_nb.errors import ChromaNbError, CorruptStoreError, EmbeddingFunctionError, InvalidArgumentError
from chroma_nb.migrate.files_columns import Asked, Columns, columns_of, id_texts
from chroma_nb.migrate.files_described import Described, described
from chroma_nb.migrate.files_reading import Table, open_table, paths_of, reading
from chroma_nb.migrate.files_vectors import matrix_in, open_npy, stacked
from chroma_nb.migrate.importing import import_source
from chroma_nb.migrate.planning import filling_name
from chroma_nb.migrate.reports import Imported
from chroma_nb.migrate.source import SourceBatch, SourceCollection, fingerprint_of
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, Matrix, Records, Selection

Embed: TypeAlias = Callable[[CollectionInfo, list[str]], tuple[Matrix, str]]
"""Vectors of texts for that collection, and the function in JSON (`chroma_nb.functions.Embedder.embed`)."""

_ID_ROWS = 65_536
_EMBEDDED = 1_000  # texts embedded at once


def import_file(
    path: str | Path,
    name: str,
    target: Store,
    asked: Asked,
    embed: Embed,
    *,
    on_conflict: str = "error",
    duplicates: str = "last",
    batch_size: int | None = None,
) -> Imported:
    """Import a file, or several by a pattern, as one collection; see `chroma_nb.Client.import_file`."""
    halves.checked_conflict(on_conflict)
    existing = next((info for info in target.list_collections() if info.name == name), None)
    with FileSource(paths_of(path), name, asked, embed, existing) as source:
        filled = existing is not None and _is_filled(target, source, existing, on_conflict)
        on_conflict = "error" if filled else on_conflict
        try:
            found = import_source(source, target, on_conflict=on_conflict, duplicates=duplicates, batch_size=batch_size)
        except EmbeddingFunctionError as error:
            if existing is not None and filled and target.stats(existing.id).count == 0:
                _forget(target, source, existing)
            error.args = (f"{error} What was embedded so far stays: the same import_file again goes on from there.",)
            raise
        except (InvalidArgumentError, CorruptStoreError):
            if existing is not None and filled:
                for part in halves.parts(pc.unique(source.ids(source.collections()[0]))):
                    target.delete(existing.id, Selection(ids=part))
            _forget(target, source, existing)  # the same call would end at the same row
            raise
        _forget(target, source, existing)
    return found[0]


def _is_filled(target: Store, source: FileSource, existing: CollectionInfo, on_conflict: str) -> bool:
    """Whether all that is in a collection comes from this source: it is empty, or was when an interrupted run began.

    That is remembered by an empty collection beside it, which the same call finds (`planning.filling_name`).
    """
    name = filling_name(source, existing)
    if any(info.name == name for info in target.list_collections()):
        return on_conflict == "error"
    if on_conflict == "replace" or target.read_only or target.stats(existing.id).count:
        return False
    target.create_collection(CollectionInfo(uuid.uuid4(), name))
    return True


def _forget(target: Store, source: FileSource, existing: CollectionInfo | None) -> None:
    """Delete the half collection of these files, and what says that an existing one, or one that is gone, is filled."""
    (found,) = source.collections()
    infos = target.list_collections()
    others = {info.id.hex for info in infos if existing is None or info.id != existing.id}
    for info in filter(lambda info: halves.is_half(info.name), infos):
        what, id_, _ = info.name.split("-")
        if (what == "importing" and id_ == found.id.hex) or (what == "filling" and id_ not in others):
            target.delete_collection(info.id)


@dataclass(frozen=True)
class _Part:
    """One of the files.

    Attributes:
        table: the file.
        columns: what its columns are.
        ids: of its rows.
        first: the position of its first row among those of all files.
    """

    table: Table
    columns: Columns
    ids: pa.Array
    first: int


class FileSource:
    """Files with the same columns, as a `chroma_nb.migrate.source.Source` of one collection.

    Args:
        paths: of the files, in order.
        name: of the collection.
        asked: what its columns are, as far as that was said.
        embed: makes vectors of documents where there are none.
        existing: the collection that the items go to, if there is one of that name.

    Raises:
        InvalidArgumentError: a column is missing, or holds what cannot be kept; the message says which.
        CorruptStoreError: a file is damaged.
    """

    def __init__(
        self, paths: Sequence[Path], name: str, asked: Asked, embed: Embed, existing: CollectionInfo | None = None
    ) -> None:
        first = paths[0].absolute()
        self.location = str(first) if len(paths) == 1 else f"{first.parent} ({len(paths)} files)"
        self.kind = f"{paths[0].suffix.removeprefix('.')} file"
        self.fingerprint = _fingerprint(paths, asked)
        self._embed = embed
        self._parts: list[_Part] = []
        self._vectors = None if asked.vectors_file is None else open_npy(asked.vectors_file)
        try:
            for path in paths:
                self._parts.append(_opened(path, asked, sum(len(part.ids) for part in self._parts)))
            self._check_rows(asked)
            self._collection = self._described(name, existing)
        except BaseException:
            self.close()
            raise

    # what a source is -------------------------------------------------------------------------

    def collections(self) -> list[SourceCollection]:
        """The one collection."""
        return [self._collection]

    def ids(self, collection: SourceCollection) -> pa.Array:
        """The ids of all rows."""
        return self._parts[0].ids if len(self._parts) == 1 else pa.concat_arrays([part.ids for part in self._parts])

    def batches(self, collection: SourceCollection, rows: int, start: int = 0) -> Iterator[SourceBatch]:
        """The rows from position ``start`` on."""
        if not self._has_vectors:
            rows = min(rows, _EMBEDDED)
        for part in self._parts:
            at = part.first
            if at + len(part.ids) <= start:
                continue
            for batch in part.table.batches(part.columns.names, rows):
                skipped = min(max(start - at, 0), len(batch))
                wanted = batch.slice(skipped)
                if len(wanted):
                    records = self._embedded(self._converted(part, wanted, at + skipped), collection)
                    yield SourceBatch(records, np.arange(at + skipped, at + len(batch)), len(wanted))
                at += len(batch)

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts:
            part.table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # what is known before the first row is written --------------------------------------------

    @property
    def _has_vectors(self) -> bool:
        return self._vectors is not None or bool(self._parts[0].columns.vectors)

    def _check_rows(self, asked: Asked) -> None:
        rows = sum(len(part.ids) for part in self._parts)
        if rows == 0 and arrow.about_of(self._parts[0].table.schema) is None:
            raise InvalidArgumentError(f"{self.location} has no rows: there is nothing to import.")
        if self._vectors is not None and len(self._vectors) != rows:
            raise InvalidArgumentError(
                f"{asked.vectors_file} holds {len(self._vectors):,} vectors, and {self.location} {rows:,} rows: they "
                "go together row by row."
            )
        for part in self._parts:
            if bool(part.columns.vectors) != bool(self._parts[0].columns.vectors) and self._vectors is None:
                raise InvalidArgumentError(f"Of {self.location} some files have vectors and others have none.")
        if not self._has_vectors and self._parts[0].columns.document is None:
            raise InvalidArgumentError(
                f"{self.location} has neither vectors nor documents in columns that are known. Name them: "
                f'document="..." or embedding="...". Its columns: {", ".join(self._parts[0].table.schema.names[:20])}.'
            )

    def _described(self, name: str, existing: CollectionInfo | None) -> SourceCollection:
        """The collection, after the first row of each file was tried: what cannot be kept is known before anything."""
        said: Described = described(self._parts[0].table.schema, existing)
        rows = sum(len(part.ids) for part in self._parts)
        found = SourceCollection(
            uuid.uuid5(uuid.NAMESPACE_URL, f"{self.location}\0{name}"),
            name,
            said.metadata,
            said.settings,
            None,
            rows,
            said.embedding_function,
            said.notes,
        )
        for part in self._parts:
            first = next((batch for batch in part.table.batches(part.columns.names, 1) if len(batch)), None)
            if first is None:
                continue
            records = self._embedded(self._converted(part, first.slice(0, 1), part.first, found.dimension), found)
            assert records.embeddings is not None  # noqa: S101 - there are vectors, or texts to make them of
            found = replace(found, dimension=records.embeddings.shape[1])
            if not self._has_vectors:
                _, function = self._embed(_info(found), _texts(records))
                return replace(found, embedding_function=found.embedding_function or function)
        return found

    # rows -------------------------------------------------------------------------------------

    def _converted(self, part: _Part, batch: pa.RecordBatch, at: int, dimension: int | None = None) -> Records:
        """The items of a batch that begins at this position; an error names the row."""
        dimension = self._collection.dimension if dimension is None and hasattr(self, "_collection") else dimension
        try:
            return self._records(part, batch, at, dimension)
        except InvalidArgumentError as error:
            row, problem = self._culprit(part, batch, at, dimension, error)
            raise type(problem)(f"{part.table.path}, row {at - part.first + row + 1:,}: {problem}") from error

    def _culprit(
        self, part: _Part, batch: pa.RecordBatch, at: int, dimension: int | None, problem: ChromaNbError
    ) -> tuple[int, ChromaNbError]:
        """The first row that cannot be read, and why."""
        low, high = 0, len(batch)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._records(part, batch.slice(low, middle - low), at + low, dimension)
            except InvalidArgumentError as error:
                high, problem = middle, error
            else:
                low = middle
        try:
            self._records(part, batch.slice(low, 1), at + low, dimension)
        except InvalidArgumentError as error:
            problem = error
        return low, problem

    def _records(self, part: _Part, batch: pa.RecordBatch, at: int, dimension: int | None) -> Records:
        columns = part.columns
        if self._vectors is not None:
            matrix: Matrix | None = np.asarray(self._vectors[at : at + len(batch)])
        elif len(columns.vectors) > 1:
            matrix = stacked([batch.column(name) for name in columns.vectors])
        else:
            matrix = matrix_in(batch.column(columns.vectors[0]), dimension) if columns.vectors else None
        found = tables.records(
            batch.select([name for name in columns.names if name not in columns.vectors]),
            id=columns.id,
            document=columns.document,
            metadata=columns.metadata,
            embeddings=matrix,
            unique=False,
        )
        documents = pa.nulls(len(found), pa.large_string()) if found.documents is None else found.documents
        if matrix is None and documents.null_count:
            raise InvalidArgumentError("The document is missing and there is no vector: every item needs one.")
        return replace(found, documents=documents)

    def _embedded(self, records: Records, collection: SourceCollection) -> Records:
        if records.embeddings is not None:
            return records
        vectors, _ = self._embed(_info(collection), _texts(records))
        if collection.dimension not in (None, vectors.shape[1]):
            raise EmbeddingFunctionError(
                f"The embedding function made vectors of {vectors.shape[1]} numbers, and of {collection.dimension} for "
                "the texts before."
            )
        return replace(records, embeddings=vectors)


def _opened(path: Path, asked: Asked, first: int) -> _Part:
    table = open_table(path, texts=asked.texts, vectors=asked.lists)
    try:
        with reading(path):
            columns = columns_of(table, asked)
            chunks = [
                id_texts(batch.column(0), columns.id) for batch in table.batches([columns.id], _ID_ROWS) if len(batch)
            ]
        ids = pa.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())
        if ids.null_count:
            row = pc.index(pc.is_null(ids), value=True).as_py() + 1
            raise InvalidArgumentError(
                f"{path}: in the column of ids, {columns.id!r}, {ids.null_count:,} are missing, the first one in row "
                f"{row:,}."
            )
    except BaseException:
        table.close()
        raise
    return _Part(table, columns, ids, first)


def _texts(records: Records) -> list[str]:
    assert records.documents is not None  # noqa: S101 - so `_records` makes them
    found: list[str] = records.documents.to_pylist()
    return found


def _info(collection: SourceCollection) -> CollectionInfo:
    return CollectionInfo(
        collection.id,
        collection.name,
        collection.metadata,
        collection.settings,
        collection.dimension,
        collection.embedding_function,
    )


def _fingerprint(paths: Sequence[Path], asked: Asked) -> str:
    """Of the files and of what their columns are said to be: another choice makes other items."""
    files = [*paths, *([] if asked.vectors_file is None else [Path(asked.vectors_file)])]
    try:
        found = fingerprint_of(files)
    except OSError as error:
        raise InvalidArgumentError(f"{error.filename or files[-1]} cannot be read: {error.strerror}.") from error
    return hashlib.blake2b(f"{found}{asked}".encode(), digest_size=8).hexdigest()
