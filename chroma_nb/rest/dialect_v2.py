"""Chroma 1.x: API v2, with tenants and databases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from chroma_nb.embedding.spec import MINILM_NAME
from chroma_nb.errors import CollectionNotFoundError, NotFoundError, NotSupportedError
from chroma_nb.rest import described
from chroma_nb.rest.described import Known
from chroma_nb.rest.dialect import OLDER, Dialect
from chroma_nb.rest.transport import Transport
from chroma_nb.rest.where_asked import Abilities
from chroma_nb.types import CollectionInfo, IndexSettings, Kind, Records

API = "/api/v2"
DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
_KINDS = {"string": Kind.STR, "int": Kind.INT, "float": Kind.FLOAT, "bool": Kind.BOOL}
_LIST_PAGE = 100
# Chroma's name for its default function: its own clients fail on names that they do not know.
_THEIR_MINILM = {"type": "known", "name": "default", "config": {}}


class DialectV2(Dialect):
    """A server or cluster of Chroma 1.x.

    Args:
        transport: to the server.
        tenant: whose collections.
        database: of the tenant.
        batch: items written with one request, at most.
        encodes: whether vectors are taken as base64; servers of 0.5 and 0.6, where API v2 began, do not, and have
            other filters too.
    """

    name = "Chroma's API v2"
    early = False

    def __init__(self, transport: Transport, tenant: str, database: str, batch: int, *, encodes: bool) -> None:
        self._place = f"{API}/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
        super().__init__(transport, API, self._place, batch)
        self.encodes = encodes
        self.queries_ids = self.keeps_documents = self._today = encodes
        self._ordinary = (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE)
        self.abilities = (
            Abilities(negates_documents=True, patterns=True, trusted=True, has_key=_has_key, says_key=_has_key)
            if encodes
            else OLDER
        )

    # the server -------------------------------------------------------------------------------

    def check_place(self) -> None:
        """NotFoundError if tenant or database do not exist."""
        self.transport.get(self._place)

    def reset(self) -> None:
        """Delete everything."""
        if not self._ordinary:
            raise NotSupportedError(
                "A reset would delete the data of all tenants of this server, not only of this database. Delete its "
                "collections one by one."
            )
        super().reset()

    # collections ------------------------------------------------------------------------------

    def collections(self) -> list[Known]:
        """All collections, in alphabetical order: the server keeps none."""
        found: dict[str, Known] = {}
        while True:
            page = self.transport.get(self._collections, limit=_LIST_PAGE, offset=len(found))
            fresh = {body["id"]: _known(body) for body in page if body["id"] not in found}
            found |= fresh
            if len(page) < _LIST_PAGE or not fresh:
                return sorted(found.values(), key=lambda known: known.info.name)

    def by_name(self, name: str) -> Known:
        """The collection of that name."""
        try:
            return _known(self.transport.get(f"{self._collections}/{quote(name, safe='')}"))
        except NotFoundError as error:
            raise CollectionNotFoundError(f"Collection {name} does not exist.") from error

    def by_id(self, collection: uuid.UUID) -> Known:
        """The collection of that id."""
        if not self._today:
            return described.found_by_id(self.collections(), collection)
        try:
            return _known(self.transport.get(f"{self._collections}/by-id/{collection}"))
        except NotFoundError as error:
            raise CollectionNotFoundError(described.gone(collection)) from error

    def create(self, info: CollectionInfo) -> Known:
        """Make a collection; the server chooses its id."""
        body: dict[str, Any] = {"name": info.name, "get_or_create": False}
        if self._today:
            body |= {"metadata": _metadata(info), "configuration": _configuration(info)}
        else:
            body |= {"metadata": _older_metadata(info)}
        return _known(self.transport.post(self._collections, body, repeatable=False))

    def modify(self, before: CollectionInfo, after: CollectionInfo) -> None:
        """Change name, metadata and embedding function."""
        body: dict[str, Any] = {}
        said = _metadata if self._today else _older_metadata
        if after.name != before.name:
            body["new_name"] = after.name
        if said(after) != said(before):
            body["new_metadata"] = said(after)
        if after.embedding_function != before.embedding_function and _is_minilm(after) and self._today:
            body["new_configuration"] = {"embedding_function": _THEIR_MINILM}
        if body:
            self.transport.request("PUT", f"{self._collections}/{before.id}", body, repeatable=False)

    def drop(self, info: CollectionInfo) -> None:
        """Delete a collection."""
        path = f"{self._collections}/{quote(info.name, safe='')}"
        self.transport.request("DELETE", path, repeatable=False)

    # items ------------------------------------------------------------------------------------

    def check(self, batch: Records) -> None:
        """NotSupportedError if the server cannot hold these items."""
        if "" in batch.ids.to_pylist():
            raise NotSupportedError(f"{self.name} has no empty ids.")
        super().check(batch)

    keys_it_has = "none may be empty or begin with $, # or chroma:. Rename it."


def _known(body: Mapping[str, Any]) -> Known:
    metadata, configuration = body.get("metadata"), body.get("configuration_json")
    info = CollectionInfo(
        id=uuid.UUID(body["id"]),
        name=body["name"],
        metadata=described.shown_metadata(metadata),
        settings=_without_defaults(described.settings_of(metadata, configuration), metadata),
        dimension=body.get("dimension"),
        embedding_function=described.function_of(metadata, configuration),
        version=int(body.get("version") or 0) + int(body.get("log_position") or 0),
    )
    return Known(info, _keys(body.get("schema")))


def _without_defaults(settings: IndexSettings, metadata: Mapping[str, Any] | None) -> IndexSettings:
    """Where the server shows its own default, nothing was asked for."""
    if settings.search_ef != 100 or "hnsw:search_ef" in (metadata or {}):
        return settings
    return IndexSettings(**(vars(settings) | {"search_ef": None}))


def _keys(schema: Mapping[str, Any] | None) -> dict[str, tuple[Kind, ...]] | None:
    """The metadata keys that items have had; servers before the schema came tell none."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("keys"), Mapping):
        return None
    keys = {key: tuple(kind for name, kind in _KINDS.items() if name in kinds) for key, kinds in schema["keys"].items()}
    return {key: keys[key] for key in sorted(keys) if keys[key] and _has_key(key)}


def _metadata(info: CollectionInfo) -> dict[str, Any] | None:
    return described.stored_metadata(info, function=not _is_minilm(info))


def _older_metadata(info: CollectionInfo) -> dict[str, Any] | None:
    return described.stored_metadata(info, settings=True)


def _configuration(info: CollectionInfo) -> dict[str, Any]:
    settings = info.settings
    hnsw = {
        "space": settings.space.value,
        "ef_construction": settings.construction_ef,
        "ef_search": settings.search_ef,
        "max_neighbors": settings.m,
        "resize_factor": settings.resize_factor,
    }
    function = {"embedding_function": _THEIR_MINILM} if _is_minilm(info) else {}
    return {"hnsw": {name: value for name, value in hnsw.items() if value is not None}, **function}


def _is_minilm(info: CollectionInfo) -> bool:
    return described.function_name(info.embedding_function) == MINILM_NAME


def _has_key(key: str) -> bool:
    # A key that begins with "chroma:" is taken for the server's own: it stops a server of 1.5.9 from writing at all.
    return key != "" and not key.startswith(("$", "#", "chroma:"))
