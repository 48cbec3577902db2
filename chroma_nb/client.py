"""The client: opens a store, and makes and finds collections in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from chroma_nb import batch, cards, frames, functions, rules
from chroma_nb.collection import Collection
from chroma_nb.config import DEFAULT_PERSIST_DIRECTORY, Settings
from chroma_nb.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    ForeignStoreError,
    InvalidArgumentError,
    InvalidUUIDError,
)
from chroma_nb.functions import NOT_GIVEN
from chroma_nb.moving import Movable
from chroma_nb.servers import asks_for_server, connected
from chroma_nb.sharing import Stores
from chroma_nb.store.directory import DATABASE
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, CollectionStats

if TYPE_CHECKING:
    import pandas as pd
    from chroma_nb_widgets import CollectionsBrowser

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"
_DIRECTORY_IMPLEMENTATIONS = ("duckdb+parquet", "chromadb.db.duckdb.persistentduckdb")
_MEMORY_IMPLEMENTATIONS = ("duckdb", "chromadb.db.duckdb.duckdb")
_stores = Stores()


class Client(Movable):
    """Collections in memory, in a directory that is durable at every return, or on a server.

    Args:
        settings: a path, or `Settings`; without anything the client is in memory and alone.
        path: the directory, if not given first.
        read_only: open the directory without changing it.
        tenant: of a server with several; accepted for Chroma's sake elsewhere.
        database: likewise.

    >>> client = Client()
    >>> client.create_collection("docs")
    Collection(name=docs)
    >>> "docs" in client, client["docs"].count()
    (True, 0)

    Raises:
        StoreError: one of its subclasses says why the directory cannot be used.
    """

    _collection_class: type[Collection] = Collection

    def __init__(
        self,
        settings: Settings | str | os.PathLike[str] | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
        *,
        path: str | os.PathLike[str] | None = None,
        read_only: bool = False,
    ) -> None:
        if isinstance(settings, str | os.PathLike):
            if path is not None:
                raise InvalidArgumentError("Give the path once: Client(path), or Client(path=...).")
            settings, path = None, settings
        self._settings = Settings() if settings is None else settings
        if not isinstance(self._settings, Settings):
            raise InvalidArgumentError(f"Client takes a path or Settings, got {settings!r}")
        self.tenant, self.database = tenant, database
        if path is None and asks_for_server(self._settings):
            self._store: Store = connected(self._settings, tenant, database, read_only=read_only)
            return
        directory = _directory(self._settings, settings is not None) if path is None else Path(path)
        if directory is None and read_only:
            raise InvalidArgumentError("read_only=True needs a path: there is nothing to read in memory.")
        if path is None and directory is not None and _adopts(self._settings, directory) and not read_only:
            from chroma_nb.migrate import adopting

            adopting.adopt(directory)
        try:
            self._store = _stores.open(self, directory, read_only=read_only)
        except ForeignStoreError as error:
            from chroma_nb.migrate.source import found_in

            error.args = (f"{error}{'' if directory is None else found_in(directory)}",)
            raise

    @classmethod
    def _over(cls, store: Store, settings: Settings | None = None) -> Self:
        """A client of a store that is open already."""
        made = cls.__new__(cls)
        made._settings = settings or Settings()
        made.tenant, made.database = DEFAULT_TENANT, DEFAULT_DATABASE
        made._store = store
        return made

    # collections ------------------------------------------------------------------------------

    def list_collections(self, limit: int | None = None, offset: int | None = None) -> pd.DataFrame:
        """One row a collection.

        Returns:
            Index ``name``; columns ``id``, ``count``, ``dimension``, ``space``, ``metadata``, ``metadata_keys`` and
            ``embedding_function`` (its name).
        """
        start = batch.count(offset, "offset") or 0
        stop = batch.count(limit, "limit")
        infos = self._store.list_collections()[start : None if stop is None else start + stop]
        return frames.collections_frame([(info, self._store.stats(info.id)) for info in infos])

    def count_collections(self) -> int:
        """How many collections there are."""
        return len(self._store.list_collections())

    def create_collection(
        self,
        name: str,
        metadata: Any = None,
        embedding_function: Any = NOT_GIVEN,
        get_or_create: bool = False,
        *,
        configuration: Any = None,
    ) -> Collection:
        """Make a collection.

        Args:
            name: 3-63 letters, digits, ``.``, ``_`` or ``-``.
            metadata: a dict about the collection; ``hnsw:space`` ("l2", "cosine" or "ip") and other
                ``hnsw:*`` keys set up the index.
            embedding_function: what embeds documents and query texts: a callable, or the name of a
                known function such as "all-MiniLM-L6-v2" (the default); None refuses texts.
            get_or_create: return the collection if it exists.
            configuration: the index settings as Chroma 1.x writes them, ``{"hnsw": {"space": "cosine"}}``.

        Raises:
            CollectionExistsError: the name is taken.
            InvalidArgumentError: a bad name, metadata or setting.
        """
        checked = rules.check_collection_metadata(metadata)
        info = CollectionInfo(
            id=uuid.uuid4(),
            name=rules.check_name(name),
            metadata=checked,
            settings=rules.index_settings(checked, configuration),
            embedding_function=functions.spec_json(embedding_function),
        )
        try:
            created = self._store.create_collection(info)
        except CollectionExistsError:
            if not get_or_create:
                raise
            created = self._store.collection(info.name)
            rules.check_same_settings(created, checked, configuration)
            if checked is not None and checked != created.metadata:
                collection = self._collection(created, embedding_function)
                collection.modify(metadata=checked)
                return collection
        return self._collection(created, embedding_function)

    def get_collection(self, name: str, embedding_function: Any = NOT_GIVEN) -> Collection:
        """The collection of that name, with the embedding function it was made with.

        Args:
            name: of the collection.
            embedding_function: needed again only if it is one of your own.

        Raises:
            CollectionNotFoundError: there is none; the message names similar ones.
        """
        return self._collection(self._store.collection(name), embedding_function)

    def get_collection_by_id(self, id: uuid.UUID | str, embedding_function: Any = NOT_GIVEN) -> Collection:
        """The collection of that id."""
        try:
            parsed = uuid.UUID(str(id))
        except ValueError as error:
            raise InvalidUUIDError(f"Could not parse {id} as a UUID") from error
        return self._collection(self._store.collection_by_id(parsed), embedding_function)

    def get_or_create_collection(
        self, name: str, metadata: Any = None, embedding_function: Any = NOT_GIVEN, *, configuration: Any = None
    ) -> Collection:
        """The collection of that name, made if it is missing; metadata, if given, replaces the stored one."""
        return self.create_collection(
            name, metadata, embedding_function, get_or_create=True, configuration=configuration
        )

    def delete_collection(self, name: str) -> None:
        """Delete a collection and all its items.

        Raises:
            CollectionNotFoundError: there is none of that name.
        """
        self._store.delete_collection(self._store.collection(name).id)

    def _collection(self, info: CollectionInfo, embedding_function: Any) -> Collection:
        return self._collection_class(self._store, info, embedding_function)

    # SQL --------------------------------------------------------------------------------------

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pd.DataFrame:
        """Run one reading statement of DuckDB's SQL, each collection being a table of its name.

        ``parameters`` stand for ``?`` in order, or for ``$name``.

        A table has the columns ``id``, ``document`` and one for each metadata key; ``embedding`` is there when the
        statement names it.

        >>> client = Client()
        >>> docs = client.create_collection("docs")
        >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"lang": "en"}, {"lang": "en"}])
        >>> client.sql("select lang, count(*) as n from docs group by lang")
          lang  n
        0   en  2

        Raises:
            SqlError: it is not one reading statement, or DuckDB refuses it.
        """
        return frames.table_frame(self._store.sql(query, parameters))

    def raw_sql(self, sql: str = "", *, raw_sql: str = "") -> pd.DataFrame:
        """`sql`, under its old name; Chroma 0.3's tables ``collections`` and ``embeddings`` are there too."""
        return self.sql(sql or raw_sql)

    # exploring --------------------------------------------------------------------------------

    def explore(self, name: str | None = None) -> CollectionsBrowser:
        """A browser of all collections in the notebook: look, create, rename, delete, and open their explorers.

        Running the cell again shows the same browser, with its state.

        Args:
            name: of a collection whose explorer is opened at once.

        Raises:
            CollectionNotFoundError: there is none of that name.
        """
        from chroma_nb_widgets import explore_client

        return explore_client(self, name)

    # the store --------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch, by the clock of the store's machine: a sign of life."""
        return self._store.heartbeat()

    def get_version(self) -> str:
        """The version of this library."""
        from chroma_nb import __version__

        return __version__

    def get_settings(self) -> Settings:
        """The settings this client was made with."""
        return self._settings

    def get_max_batch_size(self) -> int:
        """How many items one call may add: there is no limit, calls to servers that have one are split."""
        return 2**31 - 1

    def reset(self) -> bool:
        """Delete **all** collections. There is no way back."""
        self._store.reset()
        return True

    def persist(self) -> bool:
        """Tidy up files. Never needed: every call is durable when it returns.

        Raises:
            NotSupportedError: the client is in memory.
        """
        self._store.persist()
        return True

    def create_index(self, collection_name: str) -> bool:
        """`Collection.create_index` of that collection."""
        self.get_collection(collection_name).create_index()
        return True

    def close(self) -> None:
        """Close the files, so that another process can open them.

        Other clients of this process on the same directory stay open.
        """
        _stores.close(self, self._store)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # comfort ----------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Collection:
        return self.get_collection(name)

    def __contains__(self, name: object) -> bool:
        return any(info.name == name for info in self._store.list_collections())

    def _ipython_key_completions_(self) -> list[str]:
        return [info.name for info in self._store.list_collections()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store.location!r})"

    def _repr_html_(self) -> str:
        listed: list[tuple[CollectionInfo, CollectionStats]] = []
        for info in self._store.list_collections():
            try:
                listed.append((info, self._store.stats(info.id)))
            except CollectionNotFoundError:
                continue  # deleted meanwhile
        return cards.client_card(self._store.location, listed)


def _adopts(settings: Settings, directory: Path) -> bool:
    """Whether Chroma 0.3 wrote this directory with these settings, and its collections were not imported yet."""
    if (settings.chroma_db_impl or "").lower() not in _DIRECTORY_IMPLEMENTATIONS:
        return False
    from chroma_nb.migrate.source import LEGACY_FILES

    return any((directory / name).exists() for name in LEGACY_FILES) and not (directory / DATABASE).exists()


def _directory(settings: Settings, given: bool) -> Path | None:
    """Where settings say the data is; None for memory."""
    api = (settings.chroma_api_impl or "local").lower()
    if api not in ("local", "chromadb.api.local.localapi", "chromadb.api.segment.segmentapi"):
        raise InvalidArgumentError(
            f"chroma_api_impl must be 'local' or 'rest' (a server), got {settings.chroma_api_impl!r}"
        )
    implementation = (settings.chroma_db_impl or "").lower()
    if implementation in _DIRECTORY_IMPLEMENTATIONS:
        if settings.persist_directory == DEFAULT_PERSIST_DIRECTORY:
            raise InvalidArgumentError(
                "With chroma_db_impl='duckdb+parquet' say where the data goes: persist_directory=..., another one than "
                f"the default {DEFAULT_PERSIST_DIRECTORY!r}."
            )
        return Path(settings.persist_directory)
    if implementation not in ("", *_MEMORY_IMPLEMENTATIONS):
        raise InvalidArgumentError(
            f"chroma_db_impl must be 'duckdb' (in memory) or 'duckdb+parquet' (in a directory), got "
            f"{settings.chroma_db_impl!r}"
        )
    if given and settings.is_persistent:
        default = settings.persist_directory == DEFAULT_PERSIST_DIRECTORY
        return Path("./chroma" if default else settings.persist_directory)
    return None
