"""A client whose collections answer with Chroma's dicts."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chroma_nb import batch, constructors
from chroma_nb import client as face
from chroma_nb.client import DEFAULT_DATABASE, DEFAULT_TENANT
from chroma_nb.compat.collection import Collection
from chroma_nb.compat.config import API_LEVEL, Settings, get_settings
from chroma_nb.compat.types import GetResult, QueryResult
from chroma_nb.errors import NotSupportedError
from chroma_nb.functions import NOT_GIVEN
from chroma_nb.servers import server_settings
from chroma_nb.types import CollectionInfo


class Client(face.Client):
    """Collections in memory or in a directory; arguments as in `chroma_nb.Client`.

    Without settings or a path, those of `configure` and the environment are used.

    >>> client = Client()
    >>> client.create_collection("docs")
    Collection(name=docs)
    >>> client.list_collections()
    [Collection(name=docs)]
    """

    _collection_class = Collection

    def __init__(
        self,
        settings: Settings | str | os.PathLike[str] | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
        *,
        path: str | os.PathLike[str] | None = None,
        read_only: bool = False,
    ) -> None:
        if settings is None and path is None:
            settings = get_settings()
        super().__init__(settings, tenant, database, path=path, read_only=read_only)

    def list_collections(  # type: ignore[override] # objects in place of a frame
        self, limit: int | None = None, offset: int | None = None
    ) -> list[Collection]:
        """All collections, oldest first."""
        start, most = batch.count(offset, "offset") or 0, batch.count(limit, "limit")
        infos = self._store.list_collections()[start : None if most is None else start + most]
        return [self._collection(info, NOT_GIVEN) for info in infos]

    def get_version(self) -> str:
        """The version of Chroma whose API this is."""
        return API_LEVEL

    def _collection(self, info: CollectionInfo, embedding_function: Any) -> Collection:
        collection = Collection(self._store, info, embedding_function)
        collection._client = self
        return collection

    if TYPE_CHECKING:  # the methods of the face, which return what _collection made

        def create_collection(  # noqa: D102
            self,
            name: str,
            metadata: Any = None,
            embedding_function: Any = NOT_GIVEN,
            get_or_create: bool = False,
            *,
            configuration: Any = None,
        ) -> Collection: ...

        def get_or_create_collection(  # noqa: D102
            self, name: str, metadata: Any = None, embedding_function: Any = NOT_GIVEN, *, configuration: Any = None
        ) -> Collection: ...

        def get_collection(self, name: str, embedding_function: Any = NOT_GIVEN) -> Collection: ...  # noqa: D102

        def get_collection_by_id(  # noqa: D102
            self, id: uuid.UUID | str, embedding_function: Any = NOT_GIVEN
        ) -> Collection: ...

        def __enter__(self) -> Client: ...

        def __getitem__(self, name: str) -> Collection: ...

    # what Chroma's collections call, and some callers too: by the name or id of a collection ----

    def _find(self, collection: uuid.UUID | str) -> Collection:
        if isinstance(collection, str) and collection in self:
            return self.get_collection(collection)
        try:
            id_ = uuid.UUID(str(collection))
        except ValueError:
            return self.get_collection(str(collection))  # which says that there is none
        return self.get_collection_by_id(id_)

    def _add(
        self,
        ids: Any,
        collection_id: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        increment_index: bool = True,
    ) -> bool:
        """Add items; whether any was new. The ids come first in Chroma; the other order is taken too."""
        if isinstance(collection_id, list):
            ids, collection_id = collection_id, ids
        ids = [ids] if isinstance(ids, str) else ids
        collection = self._find(collection_id)
        known = len(collection.get(ids, include=())["ids"])
        collection.add(ids, embeddings, metadatas, documents, increment_index)
        return known < len(ids)

    def _update(
        self,
        collection_id: uuid.UUID | str,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
    ) -> bool:
        self._find(collection_id).update(ids, embeddings, metadatas, documents)
        return True

    def _upsert(
        self,
        collection_id: uuid.UUID | str,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        increment_index: bool = True,
    ) -> bool:
        self._find(collection_id).upsert(ids, embeddings, metadatas, documents, increment_index)
        return True

    def _get(
        self,
        collection_id: uuid.UUID | str,
        ids: Any = None,
        where: Any = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        page: int | None = None,
        page_size: int | None = None,
        where_document: Any = None,
        include: Any = ("embeddings", "metadatas", "documents"),
    ) -> GetResult:
        if sort is not None:
            raise NotSupportedError(f"Results cannot be sorted by {sort!r} here: sort them in Python.")
        if page is not None and page_size is not None:
            limit, offset = page_size, (page - 1) * page_size
        return self._find(collection_id).get(ids, where, limit, offset, where_document, include)

    def _peek(self, collection_id: uuid.UUID | str, n: int = 10) -> GetResult:
        return self._find(collection_id).peek(n)

    def _query(
        self,
        collection_id: uuid.UUID | str,
        query_embeddings: Any,
        n_results: int = 10,
        where: Any = None,
        where_document: Any = None,
        include: Any = ("metadatas", "documents", "distances"),
    ) -> QueryResult:
        collection = self._find(collection_id)
        return collection.query(query_embeddings, None, n_results, where, where_document, include)

    def _delete(
        self, collection_id: uuid.UUID | str, ids: Any = None, where: Any = None, where_document: Any = None
    ) -> list[str]:
        """Delete items; the ids of those that were there."""
        collection = self._find(collection_id)
        found = collection.get(ids, where, where_document=where_document, include=())["ids"]
        collection.delete(found)
        return found

    def _count(self, collection_id: uuid.UUID | str) -> int:
        return self._find(collection_id).count()

    def _modify(self, id: uuid.UUID | str, new_name: str | None = None, new_metadata: Any = None) -> None:
        self._find(id).modify(new_name, new_metadata)


def EphemeralClient(  # noqa: N802 - Chroma's name
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> Client:
    """A client in memory, of its own. ``settings`` is accepted for Chroma's sake."""
    return Client(constructors.plain(settings), tenant, database)


def PersistentClient(  # noqa: N802 - Chroma's name
    path: str | os.PathLike[str] = "./chroma",
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> Client:
    """A client on a directory, which is made if it is missing."""
    return Client(constructors.plain(settings), tenant, database, path=path)


def HttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int | str = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> Client:
    """A client of a server: ``Client(Settings(chroma_api_impl="rest", ...))`` in other words."""
    return Client(server_settings(host, port, ssl, headers, settings, None), tenant, database)
