"""Chroma 0.3.25 to 0.6: API v1."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from chroma_nb.errors import NotSupportedError, ServerError
from chroma_nb.rest import described
from chroma_nb.rest.described import Known
from chroma_nb.rest.dialect import OLDER, Dialect
from chroma_nb.rest.transport import Transport
from chroma_nb.types import CollectionInfo, Records

API = "/api/v1"


class DialectV1(Dialect):
    """A server of Chroma 0.3 to 0.6.

    Args:
        transport: to the server.
        version: that the server says it has, such as "0.4.24".
        tenant: whose collections (0.4.15 and later).
        database: of the tenant.
        batch: items written with one request, at most.
    """

    queries_ids = False
    keeps_documents = False
    encodes = False

    def __init__(self, transport: Transport, version: str, tenant: str, database: str, batch: int) -> None:
        super().__init__(transport, API, API, batch)
        self.name = f"the API v1 of Chroma {version}"
        numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
        if numbers < (0, 3, 25):
            raise NotSupportedError(
                f"The server is Chroma {version}, which addresses collections by name: the oldest that can be "
                "spoken to is 0.3.25."
            )
        self.early = numbers < (0, 4)
        self._place = {"tenant": tenant, "database": database} if not self.early else {}
        self.abilities = replace(
            OLDER,
            negates_documents=numbers >= (0, 4, 24),
            # 0.3 reads dots in keys as paths into JSON, and quotes as the end of a text.
            says_key=_plain if self.early else OLDER.says_key,
        )

    # collections ------------------------------------------------------------------------------

    def collections(self) -> list[Known]:
        """All collections, oldest first."""
        return [_known(body) for body in self.transport.get(self._collections, **self._place)]

    def by_name(self, name: str) -> Known:
        """The collection of that name."""
        return _known(self.transport.get(f"{self._collections}/{quote(name, safe='')}", **self._place))

    def by_id(self, collection: uuid.UUID) -> Known:
        """The collection of that id."""
        return described.found_by_id(self.collections(), collection)

    def create(self, info: CollectionInfo) -> Known:
        """Make a collection; the server chooses its id."""
        metadata = described.stored_metadata(info, settings=True)
        body = {"name": info.name, "metadata": metadata, "get_or_create": False}
        path = self._collections
        return _known(self.transport.request("POST", path, body, params=self._place, repeatable=False))

    def modify(self, before: CollectionInfo, after: CollectionInfo) -> None:
        """Change name, metadata and embedding function."""
        body = {
            "new_name": after.name if after.name != before.name else None,
            "new_metadata": described.stored_metadata(after, settings=True) if _said(after) != _said(before) else None,
        }
        if body["new_name"] is not None or body["new_metadata"] is not None:
            self.transport.request("PUT", f"{self._collections}/{before.id}", body, repeatable=False)

    def drop(self, info: CollectionInfo) -> None:
        """Delete a collection."""
        path = f"{self._collections}/{quote(info.name, safe='')}"
        self.transport.request("DELETE", path, params=self._place, repeatable=False)

    # items ------------------------------------------------------------------------------------

    def check(self, batch: Records) -> None:
        """NotSupportedError if the server cannot hold these items."""
        super().check(batch)
        if self.early and any("'" in id_ for id_ in batch.ids.to_pylist()):
            raise NotSupportedError(f"{self.name} finds no ids with an apostrophe: they break its SQL.")

    def read(self, collection: uuid.UUID, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to "get" or "query"."""
        # Null for a filter is an error of 0.3.29's queries; an empty one is none in all versions.
        asked = {
            "where": {},
            "where_document": {},
            **{name: value for name, value in body.items() if value is not None},
        }
        return super().read(collection, verb, asked)


def _known(body: Any) -> Known:
    if not isinstance(body, Mapping) or "id" not in body:
        raise ServerError(f"Not a collection as Chroma describes one: {str(body)[:200]}")
    metadata = body.get("metadata")
    return Known(
        CollectionInfo(
            id=uuid.UUID(body["id"]),
            name=body["name"],
            metadata=described.shown_metadata(metadata),
            settings=described.settings_of(metadata, None),
            dimension=body.get("dimension"),
            embedding_function=described.function_of(metadata, None),
            version=int(body.get("version") or 0) + int(body.get("log_position") or 0),
        )
    )


def _said(info: CollectionInfo) -> Any:
    return info.metadata, info.embedding_function


def _plain(key: str) -> bool:
    return re.fullmatch(r"\w+", key, re.ASCII) is not None
