"""Writing to Chroma's own servers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chroma_nb.columns import texts as texts_of
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.rest import batches, wire_items
from chroma_nb.rest.dialect import Dialect
from chroma_nb.rest.foreign_reading import Reader
from chroma_nb.rest.remote import missing_items
from chroma_nb.rest.rows import metadata_rows
from chroma_nb.store.protocol import Progress
from chroma_nb.store.writing import wrong_dimension
from chroma_nb.types import IntArray, MetadataValue, Records, Selection

_Row = Mapping[str, MetadataValue | None]


class Writer:
    """Writes, so that they end as they would in a store of ours.

    Between the look at what is there and the write itself others may come: such a server has no
    transactions. Everything that can be checked is checked before the first request.

    Args:
        dialect: of the server.
        reader: of the same server.
    """

    def __init__(self, dialect: Dialect, reader: Reader) -> None:
        self._dialect, self._reader = dialect, reader

    def add(self, collection: uuid.UUID, batch: Records, progress: Progress | None = None) -> int:
        """Add the items whose ids are new; how many."""
        self._check(collection, batch)
        known = self._reader.known(collection, batch.ids.to_pylist())
        fresh = batch.take(np.flatnonzero(~known)) if known.any() else batch
        if len(fresh):
            self._send(collection, "add", fresh, _new_rows(fresh), progress=progress)
        return len(fresh)

    def update(self, collection: uuid.UUID, batch: Records, *, merge: bool, progress: Progress | None = None) -> None:
        """Change what is given of existing items."""
        self._check(collection, batch)
        ids = batch.ids.to_pylist()
        old = self._old(collection, batch)
        known = np.fromiter((id_ in old for id_ in ids), dtype=np.bool_, count=len(ids))
        if not known.all():
            raise missing_items(ids, known)
        if len(batch):
            self._send(collection, "update", batch, *self._changed(batch, old, merge=merge), progress=progress)

    def upsert(self, collection: uuid.UUID, batch: Records, *, merge: bool, progress: Progress | None = None) -> None:
        """Update the items that exist, add the others."""
        self._check(collection, batch)
        old = self._old(collection, batch)
        if batch.embeddings is None:
            if len(old) < len(batch):
                raise InvalidArgumentError("Items that are new need embeddings.")
            self.update(collection, batch, merge=merge, progress=progress)
        elif len(batch):
            self._send(collection, "upsert", batch, *self._changed(batch, old, merge=merge), progress=progress)

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items; how many."""
        ids = self._reader.get(collection, selection, frozenset()).ids.to_pylist()
        for some in batches.chunks(ids, self._dialect.page):
            self._dialect.delete(collection, some)
        return len(ids)

    # inside -----------------------------------------------------------------------------------

    def _check(self, collection: uuid.UUID, batch: Records) -> None:
        self._dialect.check(batch)
        if batch.embeddings is not None and self._dialect.early:
            info = self._reader.info(collection)
            given = batch.embeddings.shape[1]
            if info.dimension not in (None, given):
                raise wrong_dimension(info, given)

    def _old(self, collection: uuid.UUID, batch: Records) -> dict[str, tuple[_Row, str | None]]:
        """Metadata and documents of the items that are there already, as far as they are needed; by id."""
        include = frozenset({"metadatas"} if batch.metadata is not None else ())
        if batch.documents is not None and batch.documents.null_count and not self._dialect.keeps_documents:
            include |= {"documents"}
        found = self._reader.get(collection, Selection(ids=batch.ids.to_pylist()), include)
        documents = [None] * len(found) if found.documents is None else texts_of(found.documents)
        rows = metadata_rows(found.metadata, len(found))
        return dict(zip(found.ids.to_pylist(), zip(rows, documents, strict=True), strict=True))

    def _changed(
        self, batch: Records, old: Mapping[str, tuple[_Row, str | None]], *, merge: bool
    ) -> tuple[list[_Row] | None, list[str | None] | None]:
        """Metadata and documents to be sent, so that nothing is lost and nothing stays that should not."""
        ids = batch.ids.to_pylist()
        documents = None if batch.documents is None else texts_of(batch.documents)
        keeps = np.zeros(len(batch), dtype=np.bool_) if batch.keeps is None else batch.keeps
        rows: list[_Row] | None = None
        if batch.metadata is not None:
            rows = [
                self._row(new, old[id_][0] if id_ in old else None, keep=bool(keep), merge=merge)
                for id_, new, keep in zip(ids, metadata_rows(batch.metadata, len(batch)), keeps, strict=True)
            ]
        if documents is not None and not self._dialect.keeps_documents:
            documents = [
                old[id_][1] if text is None and id_ in old else text for id_, text in zip(ids, documents, strict=True)
            ]
        return rows, documents

    def _row(self, new: _Row, old: _Row | None, *, keep: bool, merge: bool) -> _Row:
        if old is None:
            return new
        if not self._dialect.early:
            dropped = {} if merge or keep else dict.fromkeys(old)
            return {} if keep else {**dropped, **new}
        return old if keep else {**old, **new} if merge else new

    def _send(
        self,
        collection: uuid.UUID,
        call: str,
        batch: Records,
        rows: Sequence[_Row] | None,
        documents: Sequence[str | None] | None = None,
        *,
        progress: Progress | None,
    ) -> None:
        if documents is None and batch.documents is not None:
            documents = texts_of(batch.documents)

        gaps = not self._dialect.early
        no_metadata: _Row | None = None if gaps else {}

        def write(part: Records, at: IntArray) -> None:
            texts = None if documents is None else [documents[position] for position in at]
            body: dict[str, Any] = {
                "ids": part.ids.to_pylist(),
                "embeddings": self._vectors(part),
                "documents": texts if gaps or texts is None or texts[0] is not None else None,
                "metadatas": None if rows is None else [rows[position] or no_metadata for position in at],
            }
            self._dialect.write(collection, call, body)

        pieces = batches.parts(batch, self._dialect.batch)
        if documents is not None and not gaps:
            pieces = (run for piece in pieces for run in _runs(piece, documents))
        batches.write_parts(call, batch, pieces, write, progress)

    def _vectors(self, batch: Records) -> Any:
        if batch.embeddings is None:
            return None
        return wire_items.encoded(batch.embeddings) if self._dialect.encodes else batch.embeddings.tolist()


def _new_rows(batch: Records) -> list[_Row] | None:
    return None if batch.metadata is None else list(metadata_rows(batch.metadata, len(batch)))


def _runs(positions: IntArray, documents: Sequence[str | None]) -> list[IntArray]:
    """Stretches of items that all have a document, or all have none."""
    there = np.array([documents[position] is not None for position in positions])
    return np.split(positions, np.flatnonzero(np.diff(there)) + 1)
