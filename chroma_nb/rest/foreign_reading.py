"""Reading from Chroma's own servers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import NotSupportedError
from chroma_nb.rest import batches, where_asked
from chroma_nb.rest.dialect import Dialect
from chroma_nb.rest.ranking import nearest
from chroma_nb.rest.rows import joined, joined_hits, records_of_rows
from chroma_nb.rest.where_asked import Asked
from chroma_nb.rest.where_rows import holding, needs
from chroma_nb.types import BoolArray, CollectionInfo, Hits, IntArray, Matrix, Records, Selection
from chroma_nb.where import Where

# So many items are fetched, at most, to do here what a server cannot do.
FETCHED = 20_000
_VECTOR_PAGE = 500
_LARGEST = 2**31 - 1
_QUERIES = 100  # vectors with one request
_NOTHING: frozenset[str] = frozenset()
_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})


class Reader:
    """Gets and queries, with what the server cannot decide decided here.

    Args:
        dialect: of the server.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._dimensions: dict[uuid.UUID, int] = {}  # which never change

    def with_dimension(self, info: CollectionInfo) -> CollectionInfo:
        """The same, with the dimension of its vectors where the server does not tell it."""
        dimension = info.dimension or self._dimensions.get(info.id)
        if dimension is None:
            one = self._read(info.id, Asked(), frozenset({"embeddings"}), limit=1).embeddings
            dimension = None if one is None or len(one) == 0 else one.shape[1]
        if dimension is not None:
            self._dimensions[info.id] = dimension
        return replace(info, dimension=dimension)

    def info(self, collection: uuid.UUID) -> CollectionInfo:
        """The collection, with its dimension."""
        return self.with_dimension(self._dialect.by_id(collection).info)

    def known(self, collection: uuid.UUID, ids: Sequence[str]) -> BoolArray:
        """Which of these ids the collection holds."""
        there: set[str] = set()
        for some in batches.chunks(ids, self._dialect.page):
            there.update(self._read(collection, Asked(), _NOTHING, ids=some).ids.to_pylist())
        if not ids:
            self._dialect.by_id(collection)  # a collection that is gone is said to be
        return np.fromiter((id_ in there for id_ in ids), dtype=np.bool_, count=len(ids))

    # get --------------------------------------------------------------------------------------

    def get(
        self,
        collection: uuid.UUID,
        selection: Selection,
        include: frozenset[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> Records:
        """The selected items in order of insertion, or in the order of the ids asked for."""
        asked = where_asked.asked(selection.where, self._dialect.abilities)
        beyond = offset > _LARGEST  # where the server's integers end; no collection is that large
        if asked.nothing or limit == 0 or beyond or (selection.ids is not None and not selection.ids):
            return self._empty(collection, include, dimension=True)
        pages = self._pages(collection, selection, asked, include, limit, offset)
        # Elsewhere the server has cut out what is wanted.
        if not asked.exact or selection.ids is not None or self._dialect.early:
            pages = _cut(pages, offset, limit)
        found = joined([self._empty(collection, include), *pages])
        return found if len(found) else self._empty(collection, include, dimension=True)

    def _pages(
        self,
        collection: uuid.UUID,
        selection: Selection,
        asked: Asked,
        include: frozenset[str],
        limit: int | None,
        offset: int,
    ) -> Iterator[Records]:
        """What passes the filter, page by page."""
        size = min(self._dialect.page, _VECTOR_PAGE) if "embeddings" in include else self._dialect.page
        tree = None if asked.exact else selection.where
        wanted = include if tree is None else include | needs(tree)
        if selection.ids is not None:
            for some in batches.chunks(selection.ids, size):
                found = self._read(collection, asked, wanted, ids=some)
                yield _passing(_in_order(found, some), tree, include)
            return
        if self._dialect.early:
            yield _passing(self._read(collection, asked, wanted), tree, include)
            return
        at, left = (offset, limit) if asked.exact else (0, None)
        while left is None or left > 0:
            count = size if left is None else min(size, left)
            found = self._read(collection, asked, wanted, limit=count, offset=at)
            yield _passing(found, tree, include)
            if len(found) < count:
                return
            at += len(found)
            left = None if left is None else left - len(found)

    def _read(
        self,
        collection: uuid.UUID,
        asked: Asked,
        include: frozenset[str],
        *,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Records:
        body = {
            "ids": None if ids is None else list(ids),
            "where": asked.where,
            "where_document": asked.where_document,
            "include": sorted(include),
            "limit": limit,
            "offset": offset or None,
        }
        answer = self._dialect.read(collection, "get", body)
        return records_of_rows(answer["ids"], *(_column(answer, name, include) for name in _COLUMNS))

    def _empty(self, collection: uuid.UUID, include: frozenset[str], *, dimension: bool = False) -> Records:
        found = records_of_rows([], *([] if name in include else None for name in _COLUMNS))
        if not dimension or found.embeddings is None:
            return found
        length = self.info(collection).dimension or 0
        return replace(found, embeddings=np.empty((0, length), dtype=np.float32))

    # query ------------------------------------------------------------------------------------

    def query(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        selection: Selection,
        include: frozenset[str],
        *,
        exact: bool,
    ) -> Hits:
        """The nearest selected items of each row of ``vectors``."""
        asked = where_asked.asked(selection.where, self._dialect.abilities)
        if asked.nothing or (selection.ids is not None and not selection.ids):
            return self._no_hits(collection, vectors, include)
        if len(vectors) > _QUERIES:
            pieces = np.array_split(vectors, -(-len(vectors) // _QUERIES))
            return joined_hits(
                [self.query(collection, some, n_results, selection, include, exact=exact) for some in pieces]
            )
        ids = selection.ids
        if not exact and (ids is None or self._dialect.queries_ids):
            if ids is not None:  # 1.5.9 fails on ids that it does not know
                ids = [id_ for id_, there in zip(ids, self.known(collection, ids), strict=True) if there]
                if not ids:
                    return self._no_hits(collection, vectors, include)
            hits = self._asked_hits(collection, vectors, n_results, selection.where, asked, include, ids)
            if hits is not None:
                return hits
        return self._ranked_here(collection, vectors, n_results, selection, include)

    def _asked_hits(
        self,
        collection: uuid.UUID,
        vectors: Matrix,
        n_results: int,
        tree: Where | None,
        asked: Asked,
        include: frozenset[str],
        ids: Sequence[str] | None,
    ) -> Hits | None:
        """The hits by the server's own search; None if it did not give enough of what is wanted."""
        wanted = include if asked.exact or tree is None else include | needs(tree)
        count = n_results if asked.exact else 4 * n_results + 50
        body = {
            "ids": ids,
            "query_embeddings": vectors.tolist(),
            "n_results": count,
            "where": asked.where,
            "where_document": asked.where_document,
            "include": sorted(wanted | {"distances"}),
        }
        found = hits_of_rows(self._dialect.read(collection, "query", body), wanted)
        if asked.exact or tree is None:
            return found
        more = np.bincount(found.query, minlength=found.queries) == count  # the server may have more for these
        kept = _ranked(found, holding(tree, found.records), n_results, include)
        enough = np.bincount(kept.query, minlength=kept.queries) == n_results
        return kept if (enough | ~more).all() else None

    def _ranked_here(
        self, collection: uuid.UUID, vectors: Matrix, n_results: int, selection: Selection, include: frozenset[str]
    ) -> Hits:
        found = self.get(collection, selection, _EVERYTHING, limit=FETCHED + 1)
        if len(found) > FETCHED:
            raise NotSupportedError(
                f"{self._dialect.name} cannot do this search: its filters mean something else, or it was to be exact. "
                f"It is done here for up to {FETCHED:,} items that pass the filters, and there are more. Add a "
                "condition that the server understands ($eq, $in, $gt, ..., $contains in documents), or leave exact "
                "out."
            )
        return nearest(self.info(collection), found, vectors, n_results, include)

    def _no_hits(self, collection: uuid.UUID, vectors: Matrix, include: frozenset[str]) -> Hits:
        return nearest(self.info(collection), self._empty(collection, _EVERYTHING), vectors, 1, include)


_COLUMNS = ("documents", "metadatas", "embeddings")


def _column(answer: Mapping[str, Any], name: str, include: frozenset[str]) -> Any:
    return (answer.get(name) or []) if name in include else None


def _in_order(found: Records, ids: Sequence[str]) -> Records:
    at = pc.index_in(pa.array(ids, pa.large_string()), value_set=found.ids).drop_null()
    return found.take(np.asarray(at, dtype=np.int64))


def _passing(found: Records, tree: Where | None, include: frozenset[str]) -> Records:
    kept = found if tree is None else found.take(np.flatnonzero(holding(tree, found)))
    return _only(kept, include)


def _only(records: Records, include: frozenset[str]) -> Records:
    return replace(
        records,
        documents=records.documents if "documents" in include else None,
        metadata=records.metadata if "metadatas" in include else None,
    )


def _cut(pages: Iterator[Records], offset: int, limit: int | None) -> Iterator[Records]:
    """Without the first ``offset`` items, and not more than ``limit``."""
    before, stop = 0, None if limit is None else offset + limit
    for page in pages:
        positions = np.arange(before, before + len(page))
        inside = (positions >= offset) & (True if stop is None else positions < stop)
        yield page.take(np.flatnonzero(inside))
        before += len(page)
        if stop is not None and before >= stop:
            return


def hits_of_rows(answer: Mapping[str, Any], include: frozenset[str]) -> Hits:
    """The hits of an answer to "query"."""
    counts = [len(ids) for ids in answer["ids"]]
    flat = {
        name: [one for of_query in answer.get(name) or [] for one in of_query or []] if name in include else None
        for name in _COLUMNS
    }
    ids = [id_ for of_query in answer["ids"] for id_ in of_query]
    distances = [one for of_query in answer.get("distances") or [] for one in of_query or []]
    return Hits(
        records=records_of_rows(ids, *(flat[name] for name in _COLUMNS)),
        query=np.repeat(np.arange(len(counts)), counts),
        rank=_ranks(counts),
        distance=np.array(distances, dtype=np.float64),
        queries=len(counts),
    )


def _ranked(hits: Hits, keep: BoolArray, n_results: int, include: frozenset[str]) -> Hits:
    """The first hits of each query among those to be kept."""
    kept = np.flatnonzero(keep)
    ranks = _ranks(np.bincount(hits.query[kept], minlength=hits.queries).tolist())
    kept, ranks = kept[ranks < n_results], ranks[ranks < n_results]
    return Hits(_only(hits.records.take(kept), include), hits.query[kept], ranks, hits.distance[kept], hits.queries)


def _ranks(counts: Sequence[int]) -> IntArray:
    return np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])
