"""A collection as the notebook sees it: arguments checked, texts embedded, results as DataFrames."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from chroma_nb import arguments, batch, cards, frames, rules
from chroma_nb.errors import (
    CollectionNotFoundError,
    DuplicateIDWarning,
    InvalidArgumentError,
)
from chroma_nb.exploring import Explorable
from chroma_nb.exporting import Exportable
from chroma_nb.functions import NOT_GIVEN, Embedder
from chroma_nb.progress import PATIENCE, BriefInterrupts, bar
from chroma_nb.store.protocol import Progress, Store
from chroma_nb.types import CollectionInfo, Hits, Matrix, MetadataValue, Records, Selection

if TYPE_CHECKING:
    import pandas as pd

_GET = ("metadatas", "documents")
_QUERY = ("metadatas", "documents", "distances")


class Collection(Explorable, Exportable):
    """Items - an id, a vector, and perhaps a document and metadata - that can be searched.

    Made by a client, never directly.

    >>> import chroma_nb
    >>> docs = chroma_nb.Client().create_collection("docs")
    >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["x", "y"], metadatas=[{"n": 1}, {"n": 2}])
    >>> docs.query([[1, 0.1]], n_results=1)[["distance", "document", "n"]]
        distance document  n
    id
    a       0.01        x  1
    """

    def __init__(self, store: Store, info: CollectionInfo, embedding_function: Any = NOT_GIVEN) -> None:
        self._store = store
        self._info = info
        self._embedder = Embedder(embedding_function)

    @property
    def name(self) -> str:
        """The name; change it with `modify`."""
        return self._info.name

    @property
    def id(self) -> uuid.UUID:
        """The identity, which a change of name leaves as it is."""
        return self._info.id

    @property
    def metadata(self) -> dict[str, MetadataValue] | None:
        """What was said about the collection when it was made or modified; None if nothing."""
        return None if self._info.metadata is None else dict(self._info.metadata)

    # writing ----------------------------------------------------------------------------------

    def add(
        self,
        ids: Any = None,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        increment_index: bool = True,
        **columns: Any,
    ) -> None:
        """Add items. Ids that are there already are skipped, with a warning.

        Args:
            ids: unique strings; or a DataFrame (pandas, polars, Arrow) that holds everything.
            embeddings: vectors (n, dim); left out, the documents are embedded.
            metadatas: a dict of str, int, float or bool for each item, or None.
            documents: a text for each item, or None.
            increment_index: accepted for Chroma's sake; items are searchable at once in any case.
            **columns: with a DataFrame, ``id=``, ``document=``, ``embedding=`` and ``metadata=`` name its
                columns (defaults: those very names, the index as id, all other columns as metadata).

        Raises:
            InvalidArgumentError: what is wrong, and where; nothing was added.
        """
        given = arguments.records(ids, embeddings, metadatas, documents, columns)
        arguments.need_content(given)
        known = self._store.known(self.id, given.ids.to_pylist())
        fresh = given.take(np.flatnonzero(~known)) if known.any() else given
        added = 0
        if len(fresh):
            with BriefInterrupts():
                embedded, function = self._embedded(fresh)
            with self._writing("adding to") as move:
                added = self._store.add(self.id, embedded, function=function, progress=move)
        if added < len(given):
            self._skipped(arguments.known_text(given.ids.filter(pa.array(known)).to_pylist(), len(given) - added))

    def update(
        self,
        ids: Any = None,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        *,
        merge: bool = False,
        **columns: Any,
    ) -> None:
        """Change items that exist. What is not given stays; new documents without vectors are embedded.

        Args:
            ids: as in `add`; without anything at all nothing happens.
            embeddings: new vectors.
            metadatas: new metadata, which replaces the old; None for an item leaves it.
            documents: new texts; None for an item leaves it.
            merge: add the keys given to the old metadata instead of replacing it.
            **columns: as in `add`.

        Raises:
            IDNotFoundError: an id does not exist; nothing was changed.
            InvalidArgumentError: what is wrong, and where; nothing was changed.
        """
        if ids is None and embeddings is None and metadatas is None and documents is None:
            return
        given = arguments.records(ids, embeddings, metadatas, documents, columns)
        function = None
        if self._store.known(self.id, given.ids.to_pylist()).all():  # or else `update` says what is missing
            with BriefInterrupts():
                given, function = self._with_some_vectors(given)
        with self._writing("updating") as move:
            self._store.update(self.id, given, merge=merge, function=function, progress=move)

    def upsert(
        self,
        ids: Any = None,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        increment_index: bool = True,
        *,
        merge: bool = False,
        **columns: Any,
    ) -> None:
        """Update the items that exist and add the others; arguments as in `add` and `update`."""
        given = arguments.records(ids, embeddings, metadatas, documents, columns)
        arguments.need_content(given)
        with BriefInterrupts():
            embedded, function = self._embedded(given)
        with self._writing("upserting to") as move:
            self._store.upsert(self.id, embedded, merge=merge, function=function, progress=move)

    def delete(self, ids: Any = None, where: Any = None, where_document: Any = None) -> None:
        """Delete the items that fulfil all conditions; without any condition, **every** item.

        ``ids=[]`` selects nothing. Unknown ids are ignored.
        """
        self._store.delete(self.id, arguments.selection(ids, where, where_document))

    def modify(self, name: str | None = None, metadata: Any = None) -> None:
        """Rename the collection, or replace its metadata.

        Raises:
            CollectionExistsError: another collection has that name.
            InvalidArgumentError: a bad name or metadata, or another ``hnsw:space``.
        """
        if name is not None:
            rules.check_name(name)
        checked = rules.check_collection_metadata(metadata)
        rules.check_same_settings(self._info, checked)
        self._info = self._store.modify_collection(self.id, name=name, metadata=checked)

    def create_index(self) -> None:
        """Wait until the search index covers every item.

        Never needed for correct answers: until the index has caught up, searches are exact. Small
        collections have none. Can be interrupted without harm; the work goes on in the background.
        """
        with bar(f"indexing {self.name}", "vectors") as move:
            self._store.build_index(self.id, move)

    # reading ----------------------------------------------------------------------------------

    def count(self) -> int:
        """How many items there are."""
        return self._store.stats(self.id).count

    def get(
        self,
        ids: Any = None,
        where: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: Any = None,
        include: Sequence[str] = _GET,
    ) -> pd.DataFrame:
        """The items that fulfil all conditions, in order of insertion, or of the ids asked for.

        Args:
            ids: one id or several; unknown ones are left out.
            where: a filter on metadata, such as ``{"year": {"$gt": 2000}}`` (see `chroma_nb.where`).
            limit: at most so many.
            offset: without the first so many.
            where_document: a filter on documents, such as ``{"$contains": "river"}``.
            include: any of "documents", "metadatas", "embeddings".

        Returns:
            Index ``id``; columns ``document``, one for each metadata key, ``embedding`` if included.
        """
        included = arguments.included(include, (*_GET, "embeddings"))
        selection = arguments.selection(ids, where, where_document)
        found = self._store.get(
            self.id, selection, included, batch.count(limit, "limit"), batch.count(offset, "offset") or 0
        )
        return cast("pd.DataFrame", self._present_records(found, "get"))

    def peek(self, limit: int = 10) -> pd.DataFrame:
        """The first items, as `get` gives them."""
        found = self._store.get(self.id, Selection(), frozenset(_GET), batch.count(limit, "limit"))
        return cast("pd.DataFrame", self._present_records(found, "peek"))

    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        n_results: int = 10,
        where: Any = None,
        where_document: Any = None,
        include: Sequence[str] = _QUERY,
        *,
        ids: Any = None,
        exact: bool = False,
    ) -> pd.DataFrame:
        """The items nearest to each query, closest first.

        Args:
            query_embeddings: one vector or several, shape (m, dim); a text, or several, is taken too.
            query_texts: one text or several, to be embedded; instead of vectors.
            n_results: at most so many for each query.
            where: a filter on metadata.
            where_document: a filter on documents.
            include: any of "documents", "metadatas", "distances", "embeddings".
            ids: search only among these.
            exact: compare with every item even when an approximate index exists.

        Returns:
            Long format, index ``id``: ``query`` (position of the query), ``rank`` (0-based), ``distance`` (squared
            l2, 1 - cosine or 1 - inner product, smaller is closer), then the columns of `get`.

        Raises:
            InvalidDimensionError: the vectors have another dimension than the collection.
            EmbeddingFunctionError: the texts would be embedded by another function than the items.
        """
        included = arguments.included(include, (*_QUERY, "embeddings"))
        hits = self._hits(
            query_embeddings,
            query_texts,
            n_results,
            arguments.selection(ids, where, where_document),
            included,
            exact=exact,
        )
        return cast("pd.DataFrame", self._present_hits(hits, included))

    def embeddings(self, ids: Any = None) -> Matrix:
        """The vectors of all items (or of these ids, in their order) as one float32 array (n, dim).

        Raises:
            InvalidArgumentError: an id does not exist, so that rows and ids would not match.
        """
        selection = arguments.selection(ids, None, None)
        found = self._store.get(self.id, selection, frozenset({"embeddings"}))
        if selection.ids is not None and len(found) != len(selection.ids):
            missing = set(selection.ids) - set(found.ids.to_pylist())
            raise InvalidArgumentError(f"{len(missing)} of these ids do not exist: {sorted(missing)[:5]!r}")
        assert found.embeddings is not None  # noqa: S101 - asked for above
        return found.embeddings

    # what `chroma_nb.compat` does differently ---------------------------------------------------

    def _with_frames(self) -> Collection:
        """The same collection, with results as frames."""
        if type(self) is Collection:
            return self
        plain = Collection(self._store, self._info)
        plain._embedder = self._embedder
        return plain

    def _present_records(self, records: Records, call: str) -> Any:
        return frames.records_frame(records, {"collection": self.name, "call": call})

    def _present_hits(self, hits: Hits, included: frozenset[str]) -> Any:
        attrs = {"collection": self.name, "call": "query", "space": self._info.settings.space.value}
        return frames.hits_frame(hits, attrs, distances="distances" in included)

    def _skipped(self, message: str) -> None:
        warnings.warn(message, DuplicateIDWarning, stacklevel=3)  # at the caller of add

    # inside -----------------------------------------------------------------------------------

    def _hits(
        self,
        vectors: Any,
        texts: Any,
        n_results: object,
        selection: Selection,
        included: frozenset[str],
        *,
        exact: bool,
    ) -> Hits:
        wanted = arguments.n_results(n_results)
        matrix = self._vectors_of(vectors, texts)
        return self._store.query(self.id, matrix, wanted, selection, included - {"distances"}, exact=exact)

    def _vectors_of(self, vectors: Any, texts: Any = None) -> Matrix:
        """The vectors asked for, or those of the texts; shape (m, dim)."""
        if texts is None and arguments.is_texts(vectors):
            vectors, texts = None, vectors
        if (vectors is None) == (texts is None):
            raise InvalidArgumentError("You must provide either query embeddings or query texts, but not both")
        return batch.matrix_of(vectors, "query embeddings") if texts is None else self._query_vectors(texts)

    def _query_vectors(self, texts: Any) -> Matrix:
        array = batch.documents_array(texts)
        if array.null_count or len(array) == 0:
            raise InvalidArgumentError("Expected query texts to be a non-empty list of str")
        self._refresh()
        return self._embedder.embed(self._info, array.to_pylist(), query=True)[0]

    def _embedded(self, records: Records) -> tuple[Records, str | None]:
        """With vectors: those given, or the documents' ones and the function that made them."""
        if records.embeddings is not None or records.documents is None:
            return records, None
        if records.documents.null_count:
            position = records.documents.is_null().to_pylist().index(True)
            raise InvalidArgumentError(
                f"The document at position {position} is missing and there are no embeddings: every item needs one."
            )
        self._refresh()
        vectors, function = self._embedder.embed(self._info, records.documents.to_pylist())
        return replace(records, embeddings=vectors), function

    def _with_some_vectors(self, given: Records) -> tuple[Records, str | None]:
        """For an update: items without a new document keep text and vector, the others are embedded."""
        if given.embeddings is not None or given.documents is None or not given.documents.null_count:
            return self._embedded(given)
        there = np.flatnonzero(given.documents.is_valid().to_numpy(zero_copy_only=False))
        if len(there) == 0:
            return replace(given, documents=None), None
        changed, function = self._embedded(given.take(there))
        vectors = self.embeddings(given.ids.to_pylist())
        vectors[there] = changed.embeddings
        return replace(given, embeddings=vectors), function

    def _writing(self, what: str) -> AbstractContextManager[Progress]:
        """A bar, should it take long."""
        return bar(f"{what} {self.name}", "items", after=PATIENCE)

    def _refresh(self) -> None:
        """Another handle may have renamed the collection or recorded its embedding function."""
        self._info = self._store.collection_by_id(self.id)

    # showing ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Collection(name={self.name})"

    def _repr_html_(self) -> str:
        try:
            self._refresh()
            return cards.collection_card(self._info, self._store.stats(self.id))
        except CollectionNotFoundError as error:
            return cards.note(repr(self), str(error))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty collection is still a collection

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and (self.id, self._store) == (other.id, other._store)

    def __hash__(self) -> int:
        return hash(self.id)
