"""What each route does: a request's body and path -> the bytes of the answer. Knows no HTTP."""

from __future__ import annotations

import threading
import uuid

from chroma_nb import __version__, batch, rules
from chroma_nb.errors import (
    AlreadyExistsError,
    AuthorizationError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    NotSupportedError,
    OverloadedError,
    RequestTooLargeError,
)
from chroma_nb.rest import answers, wire
from chroma_nb.rest.bodies import GET_INCLUDE, Body
from chroma_nb.rest.options import ServerOptions
from chroma_nb.rest.queries import Queries
from chroma_nb.store.confined import confined_sql
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, Records, Selection

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"
_DATABASE_ID = "00000000-0000-0000-0000-000000000000"
_ALL = ("documents", "embeddings", "metadatas")


class Service:
    """The work behind the routes, on one store. All methods may be called from several threads.

    Attributes:
        queries: the work behind the route ``query``.
    """

    def __init__(self, store: Store, options: ServerOptions) -> None:
        self._store = store
        self._options = options
        self.queries = Queries(store, options, self._find)
        self._creating = threading.Lock()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let long work (the building of an index) end early."""
        self._stopping.set()

    # the server -------------------------------------------------------------------------------

    def heartbeat(self) -> bytes:
        """Nanoseconds since the epoch."""
        return answers.body({"nanosecond heartbeat": self._store.heartbeat()})

    def version(self) -> bytes:
        """The version of this library."""
        return answers.body(__version__)

    def preflight(self) -> bytes:
        """What the server takes at once."""
        options = self._options
        return answers.body(
            {
                "max_batch_size": options.max_batch_size,
                "max_body_bytes": options.max_body_bytes,
                "max_results": options.max_results,
                "supports_base64_encoding": True,
                "chroma_nb": __version__,
            }
        )

    def reset(self) -> bytes:
        """Delete every collection, if that is allowed."""
        if not self._options.allow_reset:
            raise AuthorizationError("Resetting is not allowed on this server: it was started without --allow-reset.")
        self._store.reset()
        return b"true"

    def persist(self) -> bytes:
        """Merge logs into files."""
        self._store.persist()
        return b"null"

    def raw_sql(self, body: Body) -> bytes:
        """Run one reading statement, if that is allowed."""
        statement = body.need("raw_sql")
        if not self._options.allow_sql:
            raise AuthorizationError("SQL is off on this server: it was started without --allow-sql.")
        parameters = body.given.get("parameters") or ()
        if not isinstance(parameters, list | dict | tuple):
            raise InvalidArgumentError("Expected parameters to be a list or an object.")
        table = confined_sql(self._store, statement, parameters)
        return answers.arrow_answer(table) if body.flag("extended") else answers.table_answer(table)

    # tenants and databases, of which there is one ------------------------------------------------

    def tenant(self, name: str) -> bytes:
        """The one tenant."""
        if name != DEFAULT_TENANT:
            raise NotFoundError(f"Tenant {name} not found. This server has one tenant, {DEFAULT_TENANT}.")
        return answers.body({"name": name})

    def database(self, name: str) -> bytes:
        """The one database."""
        if name != DEFAULT_DATABASE:
            raise NotFoundError(f"Database {name} not found. This server has one database, {DEFAULT_DATABASE}.")
        return answers.body({"id": _DATABASE_ID, "name": name, "tenant": DEFAULT_TENANT})

    def create_tenant(self, body: Body) -> bytes:
        """Refused, or there already."""
        return self._only_one(body.need("name"), DEFAULT_TENANT, "tenant")

    def create_database(self, body: Body) -> bytes:
        """Refused, or there already."""
        return self._only_one(body.need("name"), DEFAULT_DATABASE, "database")

    def _only_one(self, name: str, present: str, what: str) -> bytes:
        if name == present:
            raise AlreadyExistsError(f"The {what} {name} exists already.")
        raise NotSupportedError(f"This server has one {what}, {present}.")

    # collections ------------------------------------------------------------------------------

    def list_collections(self, limit: int | None = None, offset: int = 0, extended: bool = False) -> bytes:
        """All collections, oldest first."""
        infos = self._store.list_collections()[offset : None if limit is None else offset + limit]
        listed = [wire.collection_body(info) for info in infos]
        if not extended:
            # Chroma's Python clients fail on fields that they do not know, in lists only.
            listed = [{name: one[name] for name in self._options.listed_fields} for one in listed]
        return answers.body(listed)

    def count_collections(self) -> bytes:
        """How many collections there are."""
        return answers.body(len(self._store.list_collections()))

    def create_collection(self, body: Body) -> bytes:
        """Make a collection, or with ``get_or_create`` return the one that is there."""
        metadata = rules.check_collection_metadata(body.mapping("metadata") or None)
        configuration = body.mapping("configuration")
        info = CollectionInfo(
            id=body.uuid("id") or uuid.uuid4(),
            name=rules.check_name(body.need("name"), half=True),  # a client copies to here
            metadata=metadata,
            settings=rules.index_settings(metadata, configuration),
            embedding_function=body.function("embedding_function"),
        )
        get_or_create = body.flag("get_or_create")
        with self._creating:
            try:
                made = self._create(info)
            except CollectionExistsError:
                if not get_or_create:
                    raise
                made = self._store.collection(info.name)
                rules.check_same_settings(made, metadata, configuration)
                if metadata is not None and metadata != made.metadata:
                    made = self._store.modify_collection(made.id, metadata=metadata)
        return answers.body(wire.collection_body(made))

    def _create(self, info: CollectionInfo) -> CollectionInfo:
        # A store trusts the id, which usually is made beside it.
        if any(other.id == info.id for other in self._store.list_collections()):
            raise CollectionExistsError(f"A collection with the id {info.id} exists already.")
        return self._store.create_collection(info)

    def get_collection(self, collection: str) -> bytes:
        """A collection of that name or id."""
        return answers.body(wire.collection_body(self._find(collection)))

    def modify_collection(self, collection: str, body: Body) -> bytes:
        """Rename a collection, or replace its metadata."""
        info = self._find(collection)
        name = body.text("new_name")
        metadata = rules.check_collection_metadata(body.mapping("new_metadata"))
        rules.check_same_settings(info, metadata)
        made = self._store.modify_collection(
            info.id,
            name=None if name is None else rules.check_name(name, half=True),
            metadata=metadata,
            embedding_function=body.function("new_embedding_function"),
        )
        return answers.body(wire.collection_body(made)) if body.flag("extended") else b"null"

    def delete_collection(self, collection: str) -> bytes:
        """Delete a collection with its items."""
        self._store.delete_collection(self._find(collection).id)
        return b"null"

    def create_index(self, collection: str) -> bytes:
        """Wait until the index covers every item."""

        def watch(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise OverloadedError(f"The server stops; {done} of {total} vectors are indexed, the others will be.")

        self._store.build_index(self._id(collection), watch)
        return b"true"

    def count(self, collection: str) -> bytes:
        """How many items there are."""
        return answers.body(self._store.stats(self._id(collection)).count)

    def stats(self, collection: str) -> bytes:
        """Count, metadata keys and state of the index."""
        return answers.body(wire.stats_body(self._store.stats(self._id(collection))))

    def _find(self, collection: str) -> CollectionInfo:
        try:
            id_ = uuid.UUID(collection)
        except ValueError:
            return self._store.collection(collection)
        try:
            return self._store.collection_by_id(id_)
        except CollectionNotFoundError:
            for info in self._store.list_collections():
                if info.name == collection:
                    return info
            raise

    def _id(self, collection: str) -> uuid.UUID:
        return self._find(collection).id

    # items ------------------------------------------------------------------------------------

    def known(self, collection: str, body: Body) -> bytes:
        """Which of these ids there are."""
        ids = batch.ids_array(body.texts("ids") or [], may_be_empty=True).to_pylist()
        self._check_size(len(ids))
        return answers.body(self._store.known(self._id(collection), ids).tolist())

    def add(self, collection: str, body: Body) -> bytes:
        """Add the items whose ids are new."""
        records = self._records(body)
        if records.embeddings is None:
            raise body.missing("embeddings")
        added = self._store.add(self._id(collection), records, function=body.function("function"))
        return answers.body({"added": added} if body.flag("extended") else added > 0)

    def update(self, collection: str, body: Body) -> bytes:
        """Change items that exist."""
        records, merge, function = self._records(body), body.flag("merge"), body.function("function")
        self._store.update(self._id(collection), records, merge=merge, function=function)
        return answers.body({"added": None} if body.flag("extended") else True)

    def upsert(self, collection: str, body: Body) -> bytes:
        """Change the items that exist and add the others."""
        records, merge, function = self._records(body), body.flag("merge"), body.function("function")
        if records.embeddings is None:
            raise body.missing("embeddings")
        self._store.upsert(self._id(collection), records, merge=merge, function=function)
        return answers.body({"added": None} if body.flag("extended") else True)

    def _records(self, body: Body) -> Records:
        self._check_size(len(body.texts("ids") or ()))
        return body.records()

    def _check_size(self, size: int) -> None:
        if size > self._options.max_batch_size:
            raise RequestTooLargeError(
                f"A batch of {size:,} items exceeds the {self._options.max_batch_size:,} that this server takes at "
                "once. Send them in several calls."
            )

    def delete(self, collection: str, body: Body) -> bytes:
        """Delete items; their ids, or with ``extended`` how many there were."""
        selection, found = body.selection(), self._id(collection)
        if body.flag("extended"):
            return answers.body({"deleted": self._store.delete(found, selection)})
        ids = self._store.get(found, selection, frozenset()).ids.to_pylist()
        self._store.delete(found, Selection(ids))
        return answers.body(ids)

    def get(self, collection: str, body: Body) -> bytes:
        """The items that fulfil all conditions."""
        include = body.included(GET_INCLUDE, _ALL)
        selection = body.selection()
        limit, offset = batch.count(body.whole("limit"), "limit"), batch.count(body.whole("offset"), "offset")
        extended, info = body.flag("extended"), self._find(collection)
        found = self._store.get(info.id, selection, include, limit, offset or 0)
        return answers.get_answer(found, info.dimension, extended=extended)
