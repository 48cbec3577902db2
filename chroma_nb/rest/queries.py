"""Queries: their bodies checked, searched for, alone or together, and answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chroma_nb.errors import InvalidNumberOfResultsError
from chroma_nb.rest import answers
from chroma_nb.rest.bodies import QUERY_INCLUDE, Body
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.refusals import LimitError
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, Matrix, Selection

_ALL = ("documents", "embeddings", "metadatas", "distances")


@dataclass(frozen=True)
class Query:
    """A checked query, less its vectors: calls that are equal in this can be searched for together."""

    collection: str
    n_results: int
    selection: Selection
    include: frozenset[str]
    dimension: int
    exact: bool = False
    extended: bool = False

    @property
    def shared(self) -> tuple[Any, ...] | None:
        """What calls must have in common to be searched for together; None: they cannot be."""
        if not self.selection.everything:
            return None
        return (self.collection, self.n_results, self.include, self.dimension, self.exact, self.extended)


class Queries:
    """The work behind the route ``query``; ``find`` gives the collection of a name or id."""

    def __init__(self, store: Store, options: ServerOptions, find: Callable[[str], CollectionInfo]) -> None:
        self._store = store
        self._options = options
        self._find = find

    def read(self, collection: str, body: Body) -> tuple[Query, Matrix]:
        """A query, checked as far as that goes without the store."""
        vectors = body.vectors("query_embeddings", "query embeddings")
        if vectors is None:
            raise body.missing("query_embeddings")
        n_results = body.whole("n_results")
        n_results = 10 if n_results is None else n_results
        if n_results < 1:
            raise InvalidNumberOfResultsError(f"Number of requested results {n_results}, cannot be negative, or zero.")
        self._check_most(n_results, self._options.max_results, "results")
        self._check_most(len(vectors), self._options.max_queries, "query embeddings")
        include = body.included(QUERY_INCLUDE, _ALL)
        query = Query(
            collection,
            n_results,
            body.selection(),
            include,
            vectors.shape[1],
            exact=body.flag("exact"),
            extended=body.flag("extended"),
        )
        return query, vectors

    def _check_most(self, number: int, most: int, what: str) -> None:
        if number > most:
            raise LimitError(f"{number:,} {what} exceed the {most:,} that this server allows in one query.")

    def run(self, query: Query, vectors: Matrix, counts: list[int]) -> list[bytes]:
        """Search for the vectors of several calls (``counts`` says how many each had), one answer for each call."""
        info = self._find(query.collection)
        hits = self._store.query(
            info.id,
            vectors,
            query.n_results,
            query.selection,
            query.include - {"distances"},
            exact=query.exact,
        )
        return answers.query_answers(
            hits, counts, info.dimension, distances="distances" in query.include, extended=query.extended
        )
