"""What the collections browser knows: the collections of a store, the one looked at, and what may be done to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import traitlets

from chroma_nb.client import Client
from chroma_nb.collection import Collection
from chroma_nb.errors import CollectionNotFoundError, InvalidArgumentError
from chroma_nb.functions import NOT_GIVEN
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, CollectionStats, Kind, MetadataValue, Records, Selection
from chroma_nb_widgets.models.guarded import Guarded

_SAMPLED = 100  # rows from which the size of texts is estimated
_PEEK = 10
_TEXTS = frozenset({"documents", "metadatas"})


@dataclass(frozen=True)
class Listed:
    """One line of the list.

    Attributes:
        id: of the collection.
        name: its name.
        count: of items.
        dimension: of the vectors; None before the first one.
        space: "l2", "cosine" or "ip".
        keys: metadata keys with the kinds their values have.
        vectors: bytes of the vectors, 4 a number.
        texts: bytes of documents and metadata, estimated from the first 100 items.
        function: the name of the embedding function; None if none is recorded.
        metadata: of the collection itself.
        indexed: how many vectors the index covers; 0 where search is exact without one.
    """

    id: uuid.UUID
    name: str
    count: int
    dimension: int | None
    space: str
    keys: tuple[tuple[str, tuple[Kind, ...]], ...]
    vectors: int
    texts: int
    function: str | None
    metadata: Mapping[str, MetadataValue]
    indexed: int


@dataclass(frozen=True)
class Deletion:
    """A deletion that has not happened yet.

    Attributes:
        name: of the collection.
        count: of items that go with it.
        text: what will go, for the person who decides.
        typed: whether the name has to be typed to confirm.
    """

    name: str
    count: int
    text: str
    typed: bool


class BrowserModel(Guarded):
    """The state of a collections browser.

    Args:
        client: whose collections.
        opener: makes the explorer of a collection.

    Attributes:
        collections: what there is (`Listed`), oldest first.
        collection: the `Collection` looked at; None for none. A name may be set too.
        explorer: the explorer that is open; None for none.
    """

    collections = traitlets.Any(())
    collection = traitlets.Any(None, allow_none=True)
    explorer = traitlets.Any(None, allow_none=True)

    def __init__(self, client: Client, opener: Callable[[Collection], Any] | None = None) -> None:
        super().__init__()
        self.client = client
        self._store: Store = client._store
        self._opener = _explorer_of if opener is None else opener
        self._opened: dict[uuid.UUID, Any] = {}
        self._texts: dict[tuple[uuid.UUID, int], int] = {}
        self.observe(self._close_explorer, "collection")
        self.refresh()

    @property
    def location(self) -> str:
        """Where the data is, for people."""
        return self._store.location

    @traitlets.validate("collection")
    def _check_collection(self, proposal: Any) -> Collection | None:
        value = proposal["value"]
        if value is None or (isinstance(value, str) and not value):
            return None
        name = value.name if isinstance(value, Collection) else value
        return Collection(self._store, self._store.collection(name))

    # looking ----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """List what there is now."""
        listed = []
        for info in self._store.list_collections():
            try:
                listed.append(self._listed(info, self._store.stats(info.id)))
            except CollectionNotFoundError:
                continue  # deleted meanwhile
        self.collections = tuple(listed)
        if self.collection is not None and self.chosen is None:
            self.collection = None

    @property
    def chosen(self) -> Listed | None:
        """The line of the collection looked at."""
        if self.collection is None:
            return None
        return next((listed for listed in self.collections if listed.id == self.collection.id), None)

    def peek(self) -> pd.DataFrame:
        """The first 10 items of the collection looked at, as `Collection.peek` gives them; EMPTY without one."""
        if self.collection is None:
            return pd.DataFrame()
        found: pd.DataFrame = self.collection.peek(_PEEK)
        return found

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what is known about the collection looked at."""
        listed = self.chosen
        if listed is None:
            return []
        vectors = "none yet" if listed.dimension is None else f"{listed.dimension:,} numbers each, space {listed.space}"
        index = f"covers {listed.indexed:,} of {listed.count:,}" if listed.indexed else "none needed: search is exact"
        facts = [
            ("Items", f"{listed.count:,}"),
            ("Vectors", vectors),
            ("Index", index),
            ("Embedding function", listed.function or "not recorded yet"),
            ("Size", f"{size(listed.vectors)} of vectors, about {size(listed.texts)} of documents and metadata"),
        ]
        if listed.metadata:
            facts.append(("Collection metadata", json.dumps(dict(listed.metadata), ensure_ascii=False)))
        views = self._store.views(listed.id)
        return [*facts, ("Saved views", ", ".join(views))] if views else facts

    def _listed(self, info: CollectionInfo, stats: CollectionStats) -> Listed:
        if (info.id, info.version) not in self._texts:
            self._texts = {key: texts for key, texts in self._texts.items() if key[0] != info.id}
            self._texts[info.id, info.version] = self._text_bytes(info.id, stats.count)
        return Listed(
            id=info.id,
            name=info.name,
            count=stats.count,
            dimension=info.dimension,
            space=info.settings.space.value,
            keys=tuple(stats.keys.items()),
            vectors=4 * stats.count * (info.dimension or 0),
            texts=self._texts[info.id, info.version],
            function=info.function_name,
            metadata=info.metadata or {},
            indexed=stats.indexed,
        )

    def _text_bytes(self, collection: uuid.UUID, count: int) -> int:
        first = self._store.get(collection, Selection(), _TEXTS, _SAMPLED)
        return round(_bytes(first) / len(first) * count) if len(first) else 0

    # opening ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the explorer of the collection looked at."""
        if self.collection is None:
            raise InvalidArgumentError("Choose a collection first.")
        self._opened[self.collection.id] = explorer = self._opener(self.collection)
        self.explorer = explorer

    def _close_explorer(self, change: Any) -> None:
        if change["old"] != change["new"]:
            self.explorer = None  # only out of sight: it keeps its state

    # changing ---------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        space: str = "l2",
        embedding_function: str | None = "",
        metadata: Mapping[str, MetadataValue] | str | None = None,
    ) -> None:
        """Make a collection and look at it.

        Args:
            name: 3-63 letters, digits, ``.``, ``_`` or ``-``.
            space: "l2", "cosine" or "ip".
            embedding_function: the name of a known one; "" for the default, None or "none" for none.
            metadata: a dict, or one written as JSON.
        """
        function = None if embedding_function in (None, "none") else embedding_function or NOT_GIVEN
        given = _metadata(metadata) if isinstance(metadata, str) else metadata
        Client.create_collection(
            self.client, name.strip(), given or None, function, configuration={"hnsw": {"space": space}}
        )
        self.refresh()
        self.collection = name.strip()

    def rename(self, name: str) -> None:
        """Give the collection looked at another name."""
        if self.collection is None:
            raise InvalidArgumentError("Choose a collection first.")
        self.collection.modify(name=name.strip())
        self.refresh()
        self.collection = name.strip()

    def deletion(self) -> Deletion:
        """What deleting the collection looked at would do."""
        if self.collection is None:
            raise InvalidArgumentError("Choose a collection first.")
        info = self._store.collection_by_id(self.collection.id)
        count = self._store.stats(info.id).count
        views = len(self._store.views(info.id))
        gone = [f"{count:,} row{'' if count == 1 else 's'}"]
        if views:
            gone.append(f"{views:,} saved view{'' if views == 1 else 's'}")
        if count:
            gone.append("its index and maps")
        text = f"Delete {info.name}: {', '.join(gone)}. There is no way back."
        return Deletion(info.name, count, f"{text} Type the name to confirm." if count else text, typed=count > 0)

    def delete(self, deletion: Deletion, typed: str = "") -> None:
        """Delete what was looked at, as it was then.

        Args:
            deletion: from `deletion`.
            typed: the name, if it has to be typed.

        Raises:
            InvalidArgumentError: the name is not the one, or there is more to delete than was said.
        """
        info = self._store.collection(deletion.name)
        if deletion.typed and typed.strip() != deletion.name:
            raise InvalidArgumentError(f"To delete {deletion.name} with its {deletion.count:,} rows, type its name.")
        count = self._store.stats(info.id).count
        if count > deletion.count:
            raise InvalidArgumentError(
                f"{deletion.name} has changed meanwhile: it holds {count:,} rows, not {deletion.count:,}. Look again."
            )
        explorer = self._opened.pop(info.id, None)
        if explorer is not None:
            self.explorer = None
            explorer.close()
        self._store.delete_collection(info.id)
        self.refresh()

    def close(self) -> None:
        """End the explorers that were opened here; the browser can no longer be used."""
        self.explorer = None
        for explorer in self._opened.values():
            explorer.close()
        self._opened.clear()
        self.unobserve_all()

    # errors -----------------------------------------------------------------------------------


def _explorer_of(collection: Collection) -> Any:
    from chroma_nb_widgets.explorer import explore_collection

    return explore_collection(collection)


def size(count: int) -> str:
    """Bytes as people read them.

    >>> size(0), size(2_300), size(6_144_000)
    ('0 B', '2.3 kB', '6.1 MB')
    """
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 99.5 else f"{value:.1f} {units[0]}"


def _bytes(records: Records) -> int:
    """Of documents and metadata."""
    columns = [column for kinds in (records.metadata or {}).values() for column in kinds.values()]
    documents = [] if records.documents is None else [records.documents]
    return sum(column.nbytes for column in (*columns, *documents))


def _metadata(text: str) -> dict[str, Any]:
    """Metadata written as JSON."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(f'Metadata is a dict in JSON, such as {{"owner": "me"}}: {error}') from error
    if not isinstance(value, dict):
        raise InvalidArgumentError(f'Metadata is a dict in JSON, such as {{"owner": "me"}}, got {text.strip()}')
    return value
