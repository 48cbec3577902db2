"""A store on a server: what is the same for every server."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.errors import CollectionNotFoundError, IDNotFoundError, NotSupportedError, suggest
from chroma_nb.rest.remote_snapshot import Snapshots
from chroma_nb.rest.transport import Transport
from chroma_nb.store.protocol import Progress, Snapshot, Store
from chroma_nb.types import (
    BoolArray,
    CollectionInfo,
)

SAMPLE = 20_000


class RemoteStore(Store):
    """A `chroma_nb.store.protocol.Store` on a server.

    What differs from a store on this machine, whatever the server: a write that takes several requests is
    not one transaction (`chroma_nb.errors.PartialWriteError` says how far it came); snapshots hold a sample of
    large collections; maps and views are kept as long as this object lives, and are seen by nobody else.

    Args:
        transport: to the server.
        location: the address, as people are told it.
        max_batch_size: how many items the server takes with one request; larger calls are split.
        sample: how many items a snapshot holds, at most.
    """

    def __init__(self, transport: Transport, location: str, max_batch_size: int, sample: int = SAMPLE) -> None:
        self._location, self.max_batch_size = location, max_batch_size
        self.transport = transport
        self._lock = threading.Lock()
        self._views: dict[uuid.UUID, dict[str, str]] = {}
        self._snapshots = Snapshots(self, sample)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    @property
    def read_only(self) -> bool:
        """False; what a client may do, the server says."""
        return False

    @property
    def location(self) -> str:
        """The address, with tenant and database if they are not the usual ones."""
        return self._location

    def build_index(self, collection: uuid.UUID, progress: Progress | None = None) -> None:
        """Servers see to their indexes themselves."""
        self.collection_by_id(collection)

    def sql(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """NotSupportedError: only stores of this library have tables."""
        raise NotSupportedError(
            f"The server at {self.location} has no SQL. Copy its collections to a store of your own to ask such "
            "questions: client.copy_to(chroma_nb.Client())."
        )

    # maps and explorers -----------------------------------------------------------------------

    def snapshot(self, collection: uuid.UUID) -> Snapshot:
        """All items as they are now, or a sample of them; fetched again only when something changed."""
        return self._snapshots.now(collection)

    def save_view(self, collection: uuid.UUID, name: str, value: str) -> None:
        """Keep what an explorer shows, as long as this client lives."""
        self.collection_by_id(collection)
        with self._lock:
            self._views.setdefault(collection, {})[name] = value

    def view(self, collection: uuid.UUID, name: str) -> str | None:
        """What was kept under that name."""
        self.collection_by_id(collection)
        with self._lock:
            return self._views.get(collection, {}).get(name)

    def views(self, collection: uuid.UUID) -> list[str]:
        """The names of what was kept."""
        self.collection_by_id(collection)
        with self._lock:
            return sorted(self._views.get(collection, {}))

    def delete_view(self, collection: uuid.UUID, name: str) -> None:
        """Forget what was kept under that name."""
        self.collection_by_id(collection)
        with self._lock:
            self._views.get(collection, {}).pop(name, None)

    # the store --------------------------------------------------------------------------------

    def persist(self) -> None:
        """Nothing to do: servers keep what they have accepted."""
        self.heartbeat()

    def close(self) -> None:
        """Close the connections, and forget maps and views."""
        self._snapshots.close()
        self.transport.close()


_NAMES = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", re.ASCII)


def can_be_asked_for(name: str) -> bool:
    """Whether a collection of any server may have that name: others do not stay one part of an address.

    >>> can_be_asked_for("docs.v2"), can_be_asked_for(".."), can_be_asked_for("a/b"), can_be_asked_for("")
    (True, False, False, False)
    """
    return _NAMES.fullmatch(name) is not None


def not_found(name: str, there: Sequence[CollectionInfo]) -> CollectionNotFoundError:
    """The error for a name that no collection has."""
    return CollectionNotFoundError(f"Collection {name} does not exist.{suggest(name, [info.name for info in there])}")


def missing_items(ids: Sequence[str], known: BoolArray) -> IDNotFoundError:
    """The error for an update of items that are not there."""
    missing = [ids[int(position)] for position in np.flatnonzero(~known)]
    return IDNotFoundError(
        f"Could not find {len(missing)} items for update: {', '.join(map(repr, missing[:5]))}"
        f"{', ...' if len(missing) > 5 else ''}. Nothing was changed. Use upsert to add what is missing."
    )
