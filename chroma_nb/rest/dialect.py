"""What Chroma's own servers have in common: the few things they are asked to do, whatever their age."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from chroma_nb.errors import NotSupportedError
from chroma_nb.rest.described import Known
from chroma_nb.rest.rows import finite
from chroma_nb.rest.transport import Transport
from chroma_nb.rest.where_asked import Abilities
from chroma_nb.types import CollectionInfo, Kind, Records

_PAGE = 1000
# Filters of servers from 0.4.24 to 0.6.
OLDER = Abilities(
    negates_documents=True,
    patterns=False,
    trusted=False,
    has_key=lambda key: not key.startswith("chroma:"),
    says_key=lambda key: key != "" and not key.startswith("$"),
)


class Dialect(ABC):
    """A server of Chroma's that is spoken to in the words of its age.

    Args:
        transport: to the server.
        api: the path of its API.
        root: the path above its collections.
        batch: items written with one request, at most.

    Attributes:
        name: for messages.
        page: items read with one request, at most.
        encodes: whether vectors are taken as base64.
        abilities: what its filters can.
        queries_ids: whether a query can be restricted to ids.
        keeps_documents: whether an update without a document leaves the old one, or takes it away.
        early: whether it is of the 0.3 line: an update replaces metadata instead of merging it (with None for a key
            that goes); items of one request all have a document or all have none; pages have no order; vectors of
            a wrong dimension are refused after the rows were written.
    """

    name: str
    encodes: bool
    abilities: Abilities
    queries_ids: bool
    keeps_documents: bool
    early: bool

    def __init__(self, transport: Transport, api: str, root: str, batch: int) -> None:
        self.transport, self.batch, self.page = transport, batch, min(batch, _PAGE)
        self._api, self._collections = api, f"{root}/collections"

    # the server -------------------------------------------------------------------------------

    def heartbeat(self) -> int:
        """Nanoseconds since the epoch, by the server's clock."""
        return int(self.transport.get(f"{self._api}/heartbeat")["nanosecond heartbeat"])

    def reset(self) -> None:
        """Delete everything."""
        self.transport.post(f"{self._api}/reset", repeatable=False)

    # collections ------------------------------------------------------------------------------

    @abstractmethod
    def collections(self) -> list[Known]:
        """All collections."""

    @abstractmethod
    def by_name(self, name: str) -> Known:
        """The collection of that name; CollectionNotFoundError."""

    @abstractmethod
    def by_id(self, collection: uuid.UUID) -> Known:
        """The collection of that id; CollectionNotFoundError."""

    @abstractmethod
    def create(self, info: CollectionInfo) -> Known:
        """Make a collection; the server chooses its id."""

    @abstractmethod
    def modify(self, before: CollectionInfo, after: CollectionInfo) -> None:
        """Change name, metadata and embedding function."""

    @abstractmethod
    def drop(self, info: CollectionInfo) -> None:
        """Delete a collection."""

    # items ------------------------------------------------------------------------------------

    def check(self, batch: Records) -> None:
        """NotSupportedError if the server cannot hold these items."""
        for key, kinds in (batch.metadata or {}).items():
            if not self.abilities.has_key(key):
                raise NotSupportedError(f"{self.name} has no metadata keys such as {key!r}: {self.keys_it_has}")
            if Kind.FLOAT in kinds and not finite(kinds[Kind.FLOAT]):
                raise NotSupportedError(f"{self.name} has no infinite numbers, as there are under {key!r}.")

    keys_it_has = "those that begin with chroma: are its own. Rename it."

    def count(self, collection: uuid.UUID) -> int:
        """How many items a collection has."""
        return int(self.transport.get(f"{self._collections}/{collection}/count"))

    def read(self, collection: uuid.UUID, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to "get" or "query"."""
        answer: Mapping[str, Any] = self.transport.post(f"{self._collections}/{collection}/{verb}", body)
        return answer

    def write(self, collection: uuid.UUID, verb: str, body: Mapping[str, Any]) -> None:
        """Do an "add", "update" or "upsert"."""
        self.transport.post(f"{self._collections}/{collection}/{verb}", body, repeatable=verb != "add")

    def delete(self, collection: uuid.UUID, ids: Sequence[str]) -> None:
        """Delete the items of these ids."""
        self.transport.post(f"{self._collections}/{collection}/delete", {"ids": list(ids)})
