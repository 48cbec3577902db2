"""A collection whose results are Chroma's dicts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from chroma_nb import collection as face
from chroma_nb.compat import results
from chroma_nb.compat.types import GetResult, QueryResult

if TYPE_CHECKING:
    from chroma_nb.compat.client import Client
    from chroma_nb.types import Hits, Records

_logger = logging.getLogger("chroma_nb.compat")


class Collection(face.Collection):
    """Items that can be searched; all calls are those of `chroma_nb.Collection`, results are dicts of lists.

    >>> import chroma_nb.compat as chromadb
    >>> docs = chromadb.Client().create_collection("docs")
    >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["x", "y"], metadatas=[{"n": 1}, {"n": 2}])
    >>> docs.get("a")
    {'ids': ['a'], 'embeddings': None, 'documents': ['x'], 'metadatas': [{'n': 1}]}
    """

    _client: Client
    """The client that made this object; callers of Chroma look for it under this name."""

    @property
    def configuration(self) -> dict[str, Any]:
        """The index settings as Chroma 1.x names them; ``embedding_function`` is the recorded name."""
        settings = self._info.settings
        hnsw = {
            "space": settings.space.value,
            "ef_construction": settings.construction_ef,
            "ef_search": 100 if settings.search_ef is None else settings.search_ef,
            "max_neighbors": settings.m,
            "resize_factor": settings.resize_factor,
        }
        return {"hnsw": hnsw, "spann": None, "embedding_function": self._info.function_name}

    def get(  # type: ignore[override] # another form of results is what this class is for
        self,
        ids: Any = None,
        where: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: Any = None,
        include: Sequence[str] = ("metadatas", "documents"),
    ) -> GetResult:
        """The items that fulfil all conditions; arguments as in `chroma_nb.Collection.get`.

        Returns:
            ``ids``, ``embeddings``, ``documents``, ``metadatas``, in this order: lists side by side, None for what is
            not included; None elements where an item has no document or metadata.
        """
        _warn_of_no_ids("get", ids, where or where_document)
        return cast("GetResult", super().get(ids, where, limit, offset, where_document, include))

    def peek(self, limit: int = 10) -> GetResult:  # type: ignore[override] # see get
        """The first items, with their vectors."""
        return self.get(limit=limit, include=("embeddings", "documents", "metadatas"))

    def query(  # type: ignore[override] # see get
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        n_results: int = 10,
        where: Any = None,
        where_document: Any = None,
        include: Sequence[str] = ("metadatas", "documents", "distances"),
        *,
        ids: Any = None,
        exact: bool = False,
    ) -> QueryResult:
        """The items nearest to each query, closest first; arguments as in `chroma_nb.Collection.query`.

        Returns:
            ``ids``, ``embeddings``, ``documents``, ``metadatas``, ``distances``, in this order: one inner list for
            each query, None for what is not included.
        """
        found = super().query(
            query_embeddings, query_texts, n_results, where, where_document, include, ids=ids, exact=exact
        )
        return cast("QueryResult", found)

    def delete(self, ids: Any = None, where: Any = None, where_document: Any = None) -> None:
        """Delete the items that fulfil all conditions; without any condition, **every** item.

        ``ids=[]`` selects nothing, here and in `get`, whatever the filters say; Chroma 0.3 took it for no
        condition, so that a warning is logged if there are filters.
        """
        _warn_of_no_ids("delete", ids, where or where_document)
        super().delete(ids, where, where_document)

    # the hooks of the face --------------------------------------------------------------------

    def _present_records(self, records: Records, call: str) -> GetResult:
        return results.get_result(records)

    def _present_hits(self, hits: Hits, included: frozenset[str]) -> QueryResult:
        return results.query_result(hits, distances="distances" in included)

    def _skipped(self, message: str) -> None:
        _logger.warning("%s: %s", self, message)


def _warn_of_no_ids(call: str, ids: Any, filters: Any) -> None:
    if filters and ids is not None and len(ids) == 0:
        _logger.warning("%s(ids=[], ...) selects nothing. Leave ids out to select all that the filter matches.", call)
