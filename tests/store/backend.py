"""A store under test, and what is in it as plain Python."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb import Client
from chroma_nb.columns import key_of

from .reference import Item

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from chroma_nb import Collection

_numbers = count()


class Backend:
    """A client in memory (``path`` None) or on disk; `tests.contract.backends` has others.

    Attributes:
        path: the directory that holds the data and nobody else uses, if there is one.
        client: what is open now.
    """

    def __init__(self, path: Path | None, dialect: type[Client] = Client) -> None:
        self.path = path
        self._dialect = dialect
        self.client = self._open()

    def _open(self) -> Client:
        return self._dialect() if self.path is None else self._dialect(self.path)

    def reopen(self) -> Client:
        """On disk: close and open again; in memory: nothing."""
        if self.path is not None:
            self.client.close()
            self.client = self._open()
        return self.client

    def close(self) -> None:
        """Let go of everything."""
        self.client.close()


def fresh_name() -> str:
    """A name that no collection has."""
    return f"collection-{next(_numbers)}"


def items_of(frame: pd.DataFrame) -> list[Item]:
    """The items of a result, as plain Python; a missing cell is a missing key."""
    ids = frame.index.tolist()
    documents = _cells(frame, "document") if "document" in frame else [None] * len(ids)
    vectors = frame["embedding"].tolist() if "embedding" in frame else [()] * len(ids)
    metadatas: list[dict[str, Any]] = [{} for _ in ids]
    for name in frame.columns:
        if name in ("document", "embedding", "query", "rank", "distance"):
            continue
        key = key_of(name)
        for metadata, value in zip(metadatas, _cells(frame, name), strict=True):
            if value is not None:
                metadata[key] = value
    return [
        Item(id_, document, metadata, tuple(float(number) for number in vector))
        for id_, document, metadata, vector in zip(ids, documents, metadatas, vectors, strict=True)
    ]


def _cells(frame: pd.DataFrame, name: str) -> list[Any]:
    return [None if missing else value for missing, value in zip(frame[name].isna(), frame[name].tolist(), strict=True)]


def items_in(collection: Collection, **selection: Any) -> list[Item]:
    """All (or the selected) items of a collection."""
    return items_of(collection.get(include=["documents", "metadatas", "embeddings"], **selection))


def dump(client: Client) -> dict[str, Any]:
    """Everything that can be seen of a client, to be compared with ``==``."""
    listed = client.list_collections()
    found: dict[str, Any] = {}
    for name, row in listed.iterrows():
        collection = client.get_collection(str(name))
        frame = collection.get(include=["documents", "metadatas", "embeddings"])
        facts = {key: str(value) if key == "dimension" else value for key, value in row.to_dict().items()}
        facts["embedding_function"] = str(facts["embedding_function"])
        found[str(name)] = (
            facts,
            [(column, str(dtype)) for column, dtype in frame.dtypes.items()],
            [exactly(item) for item in items_of(frame)],
            collection.embeddings().tobytes(),
        )
    return found


def exactly(item: Item) -> tuple[Any, ...]:
    """An item in a form where ``==`` tells 1 from True and 1.0, and 0.0 from -0.0."""
    vector = np.asarray(item.vector, dtype=np.float32)
    metadata = sorted((key, type(value).__name__, repr(value)) for key, value in item.metadata.items())
    return item.id, item.document, metadata, vector.tobytes()
