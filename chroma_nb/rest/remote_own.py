"""A store on a server of this library: everything means what it means here."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from chroma_nb.errors import SqlError
from chroma_nb.rest import batches, wire, wire_items
from chroma_nb.rest.remote import SAMPLE, RemoteStore, can_be_asked_for, missing_items, not_found
from chroma_nb.rest.rows import joined, joined_hits
from chroma_nb.rest.transport import Transport
from chroma_nb.store.protocol import Progress
from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
    CollectionStats,
    Hits,
    Matrix,
    MetadataValue,
    Records,
    Selection,
)

_PAGE = 10_000  # rows with one request; with vectors fewer
_QUERIES = 500  # vectors with one request


class OwnServerStore(RemoteStore):
    """A store behind `chroma-nb serve`, by its extensions of Chroma's API v1 (see `chroma_nb.rest.wire`).

    Args:
        transport: to the server.
        location: the address, as people are told it.
        limits: what the server's pre-flight checks say.
        sample: how many items a snapshot holds, at most.
    """

    def __init__(self, transport: Transport, location: str, limits: Mapping[str, Any], sample: int = SAMPLE) -> None:
        super().__init__(transport, location, int(limits.get("max_batch_size") or _PAGE), sample)
        # An estimate is kept well below what the server refuses.
        self._bytes = min(batches.BATCH_BYTES, int(limits.get("max_body_bytes") or batches.BATCH_BYTES * 4) // 4)

    # collections ------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch."""
        return int(self.transport.get(f"{wire.API}/heartbeat")["nanosecond heartbeat"])

    def list_collections(self) -> list[CollectionInfo]:
        """All collections, oldest first."""
        listed = self.transport.get(f"{wire.API}/collections", extended="true")
        return [wire.collection_of(body) for body in listed]

    def collection(self, name: str) -> CollectionInfo:
        """The collection of that name."""
        if not can_be_asked_for(name):
            raise not_found(name, self.list_collections())
        info = wire.collection_of(self.transport.get(_path(quote(name, safe=""))))
        if info.name != name:  # the server takes ids for names
            raise not_found(name, self.list_collections())
        return info

    def collection_by_id(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection of that id."""
        return wire.collection_of(self.transport.get(_path(collection)))

    def create_collection(self, info: CollectionInfo) -> CollectionInfo:
        """Make a collection."""
        body = wire.collection_body(info)
        asked = {
            "name": info.name,
            "id": body["id"],
            "metadata": info.metadata,
            "configuration": body["configuration_json"],
            "embedding_function": info.embedding_function,
            "get_or_create": False,
        }
        return wire.collection_of(self.transport.post(f"{wire.API}/collections", asked, repeatable=False))

    def modify_collection(
        self,
        collection: uuid.UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        embedding_function: str | None = None,
    ) -> CollectionInfo:
        """Change what is given."""
        body = {
            "new_name": name,
            "new_metadata": None if metadata is None else dict(metadata),
            "new_embedding_function": embedding_function,
            "extended": True,
        }
        return wire.collection_of(self.transport.request("PUT", _path(collection), body))

    def delete_collection(self, collection: uuid.UUID) -> None:
        """Delete a collection with all its items."""
        self.transport.request("DELETE", _path(collection), repeatable=False)
        self._snapshots.forget(collection)

    def reset(self) -> None:
        """Delete every collection."""
        self.transport.post(f"{wire.API}/reset", repeatable=False)
        self._snapshots.forget()

    def stats(self, collection: uuid.UUID) -> CollectionStats:
        """Count, metadata keys and state of the index."""
        return wire.stats_of(self.transport.get(_path(collection, "stats")))

    # items: writing ---------------------------------------------------------------------------

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        found: list[bool] = []
        for some in batches.chunks(list(ids), self.max_batch_size):
            found += self.transport.post(_path(collection, "known"), {"ids": list(some)})
        return np.array(found, dtype=np.bool_)

    def add(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Add the items whose ids are new and skip the others."""
        answers = self._write("add", collection, batch, {"function": function}, progress)
        return sum(int(answer["added"]) for answer in answers)

    def update(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Change what is given of existing items."""
        if len(batch) > self.max_batch_size:  # else the first requests would be done before the last one is refused
            ids = batch.ids.to_pylist()
            known = self.known(collection, ids)
            if not known.all():
                raise missing_items(ids, known)
        self._write("update", collection, batch, {"merge": merge, "function": function}, progress)

    def upsert(
        self,
        collection: uuid.UUID,
        batch: Records,
        *,
        merge: bool,
        function: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Update the items that exist, add the others."""
        self._write("upsert", collection, batch, {"merge": merge, "function": function}, progress)

    def _write(
        self, call: str, collection: uuid.UUID, batch: Records, more: Mapping[str, Any], progress: Progress | None
    ) -> list[Any]:
        answers: list[Any] = []

        def write(part: Records, _: Any) -> None:
            body = {**wire_items.batch_body(part), **more}
            answers.append(self.transport.post(_path(collection, call), body, repeatable=call != "add"))

        batches.write_parts(call, batch, batches.parts(batch, self.max_batch_size, self._bytes), write, progress)
        return answers

    def delete(self, collection: uuid.UUID, selection: Selection) -> int:
        """Delete the selected items."""
        if selection.ids is not None and len(selection.ids) > self.max_batch_size:
            pieces = batches.chunks(selection.ids, self.max_batch_size)
            return sum(self.delete(collection, replace(selection, ids=some)) for some in pieces)
        body = _selected(selection) | {"extended": True}
        answer = self.transport.post(_path(collection, "delete"), body, repeatable=False)
        return int(answer["deleted"])

    # items: reading ---------------------------------------------------------------------------

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items."""
        page = _page(include)
        if selection.ids is not None and len(selection.ids) > self.max_batch_size:
            return self._of_many_ids(collection, selection, include, limit, offset)
        first = self._get(collection, selection, include, page if limit is None else min(page, limit), offset)
        if len(first) < page or len(first) == limit:
            return first
        # By offset, what others delete meanwhile would shift items over the edges of pages.
        ids = self._get(collection, selection, frozenset(), limit, offset).ids.to_pylist()
        return self._of_ids(collection, ids, include, page)

    def _of_many_ids(
        self, collection: uuid.UUID, selection: Selection, include: frozenset[str], limit: int | None, offset: int
    ) -> Records:
        ids: list[str] = []
        for some in batches.chunks(selection.ids or [], self.max_batch_size):
            ids += self._get(collection, replace(selection, ids=some), frozenset()).ids.to_pylist()
        chosen = ids[offset : None if limit is None else offset + limit]
        return self._of_ids(collection, chosen, include, _page(include))

    def _of_ids(self, collection: uuid.UUID, ids: Sequence[str], include: frozenset[str], page: int) -> Records:
        pieces = list(batches.chunks(ids, min(page, self.max_batch_size))) or [[]]
        return joined(self._get(collection, Selection(ids=some), include) for some in pieces)

    def _get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        body = _selected(selection) | {
            "include": sorted(include),
            "limit": limit,
            "offset": offset or None,
            "extended": True,
        }
        found = wire_items.records_of(self.transport.post(_path(collection, "get"), body))
        return (
            found if found.embeddings is None else replace(found, embeddings=self._shaped(collection, found.embeddings))
        )

    def _shaped(self, collection: uuid.UUID, vectors: Matrix) -> Matrix:
        """Vectors (n, dim), also where n is 0."""
        if len(vectors):
            return vectors
        return np.empty((0, self.collection_by_id(collection).dimension or 0), dtype=np.float32)

    def query(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        selection: Selection,
        include: frozenset[str],
        *,
        exact: bool = False,
    ) -> Hits:
        """The nearest selected items of each row of ``vectors``."""
        pieces = np.array_split(vectors, -(-len(vectors) // _QUERIES))
        return joined_hits(
            [self._query(collection, some, n_results, selection, include, exact=exact) for some in pieces]
        )

    def _query(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        selection: Selection,
        include: frozenset[str],
        *,
        exact: bool,
    ) -> Hits:
        body = _selected(selection) | {
            "query_embeddings": wire_items.encoded(vectors),
            "n_results": n_results,
            "include": sorted(include | {"distances"}),
            "exact": exact,
            "extended": True,
        }
        return wire_items.hits_of(self.transport.post(_path(collection, "query"), body))

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Wait until the index covers every item, however long that takes."""
        before = self.stats(collection)
        if progress is not None:
            progress(before.indexed, before.count)
        self.transport.request("POST", _path(collection, "create_index"), patient=True)
        if progress is not None:
            after = self.stats(collection)
            progress(after.count, after.count)

    def sql(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Run one reading statement on the server, if that allows it."""
        if not isinstance(statement, str):
            raise SqlError(f"An SQL statement is a str of valid Unicode, got {statement!r}")
        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        try:
            body = wire.dumps({"raw_sql": statement, "parameters": given, "extended": True})
        except TypeError as error:
            raise SqlError(
                f"Parameters of a statement for a server are texts, numbers, bools or None: {error}"
            ) from error
        answer = self.transport.post(f"{wire.API}/raw_sql", body)
        return pa.ipc.open_stream(base64.b64decode(answer["arrow"])).read_all()


def _page(include: frozenset[str]) -> int:
    """How many rows one answer may have."""
    return _PAGE // 4 if "embeddings" in include else _PAGE


def _path(collection: uuid.UUID | str, verb: str | None = None) -> str:
    return f"{wire.API}/collections/{collection}" + (f"/{verb}" if verb else "")


def _selected(selection: Selection) -> dict[str, Any]:
    where, where_document = wire.filters(selection.where)
    return {
        "ids": None if selection.ids is None else list(selection.ids),
        "where": where,
        "where_document": where_document,
    }
