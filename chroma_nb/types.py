"""Value types that pass between the notebook face and a store.

Everything is columnar: a batch of items is a handful of Arrow arrays and one float32 matrix, so
that 100,000 rows move without a Python loop.
"""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.errors import InvalidArgumentError, suggest

MetadataValue: TypeAlias = str | int | float | bool
Metadata: TypeAlias = Mapping[str, MetadataValue]
Include: TypeAlias = Literal["documents", "metadatas", "embeddings", "distances"]
Matrix: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


class Kind(enum.StrEnum):
    """The four types a metadata value can have; bool is not an int here."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"


ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.STR: pa.large_string(),
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOL: pa.bool_(),
}

# key -> kind -> array of n values; at most one kind of a key is non-null in any row. A key that
# no row has may have an empty inner dict.
MetadataColumns: TypeAlias = dict[str, dict[Kind, pa.Array]]


class Metric(enum.StrEnum):
    """How two vectors are compared; smaller distances are closer.

    ``l2`` is the squared Euclidean distance, ``cosine`` is 1 - cos, ``ip`` is 1 - dot product.

    >>> Metric.parse("euclidean")
    <Metric.L2: 'l2'>
    """

    L2 = "l2"
    COSINE = "cosine"
    IP = "ip"

    @classmethod
    def parse(cls, name: object) -> Metric:
        """The metric of that name or usual synonym; InvalidArgumentError for anything else."""
        if isinstance(name, str):
            found = _METRIC_NAMES.get(name.lower())
            if found is not None:
                return found
        raise InvalidArgumentError(
            f'hnsw:space must be "l2", "cosine" or "ip", got {name!r}.' + suggest(name, _METRIC_NAMES)
        )


_METRIC_NAMES = {
    "l2": Metric.L2,
    "euclidean": Metric.L2,
    "squared_l2": Metric.L2,
    "cosine": Metric.COSINE,
    "ip": Metric.IP,
    "dot": Metric.IP,
    "inner_product": Metric.IP,
}


@dataclass(frozen=True)
class Records:
    """Items as aligned columns, in and out of a store.

    Attributes:
        ids: n strings (Arrow ``large_string``), unique.
        documents: n strings or nulls; None if they were not given or not asked for.
        metadata: key -> kind -> n values or nulls, keys in order of first appearance; None if not
            given or not asked for.
        embeddings: float32 array of shape (n, dim); None if not given or not asked for.
        gaps: keys that some item of the whole collection lacks (frames choose dtypes by it, so
            that any two results of one collection have the same dtypes).
        keeps: bool (n,), in an update the items whose metadata stays as it is; None: none of them.
    """

    ids: pa.Array
    documents: pa.Array | None = None
    metadata: MetadataColumns | None = None
    embeddings: Matrix | None = None
    gaps: frozenset[str] = frozenset()
    keeps: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: npt.NDArray[Any]) -> Records:
        """The rows at these positions, in this order."""
        picked = pa.array(positions)
        return Records(
            ids=self.ids.take(picked),
            documents=None if self.documents is None else self.documents.take(picked),
            metadata=None if self.metadata is None else take_metadata(self.metadata, picked),
            embeddings=None if self.embeddings is None else self.embeddings[positions],
            gaps=self.gaps,
            keeps=None if self.keeps is None else self.keeps[positions],
        )


def take_metadata(metadata: MetadataColumns, positions: pa.Array) -> MetadataColumns:
    """The rows of metadata columns at these positions."""
    return {key: {kind: col.take(positions) for kind, col in kinds.items()} for key, kinds in metadata.items()}


@dataclass(frozen=True)
class Hits:
    """Results of one or more queries, in long form: one row per hit, ordered by query and rank.

    Attributes:
        records: the m items that were hit (an item may stand in several queries).
        query: int64 array of shape (m,), the position of the query.
        rank: int64 array of shape (m,), 0 for the closest.
        distance: float64 array of shape (m,), smaller is closer (see `Metric`).
        queries: how many queries were asked; some may have no hits.
    """

    records: Records
    query: IntArray
    rank: IntArray
    distance: npt.NDArray[np.float64]
    queries: int


@dataclass(frozen=True)
class IndexSettings:
    """Settings of the vector index, under hnswlib's names; ``None`` means chosen by the library.

    Attributes:
        space: the metric.
        m: links per node (``hnsw:M``).
        construction_ef: candidates kept while building (``hnsw:construction_ef``).
        search_ef: candidates kept while searching (``hnsw:search_ef``); None: 100, more for large
            ``n_results`` and for collections beyond 100,000 items.
        num_threads: threads for building; None: all cores but one.
        resize_factor: growth of the capacity (``hnsw:resize_factor``).
    """

    space: Metric = Metric.L2
    m: int = 16
    construction_ef: int = 100
    search_ef: int | None = None
    num_threads: int | None = None
    resize_factor: float = 1.2


@dataclass(frozen=True)
class CollectionInfo:
    """What a store knows about a collection, without its items.

    Attributes:
        id: identity; survives renaming.
        name: unique in the store.
        metadata: as the user gave it, ``hnsw:*`` keys included; None if there is none.
        settings: of the index, read from the metadata or the configuration at creation.
        dimension: of the vectors, fixed by the first one ever added; None before.
        embedding_function: name and configuration as JSON text; None while none was used.
        version: grows with every write.
    """

    id: uuid.UUID
    name: str
    metadata: dict[str, MetadataValue] | None = None
    settings: IndexSettings = field(default_factory=IndexSettings)
    dimension: int | None = None
    embedding_function: str | None = None
    version: int = 0

    @property
    def function_name(self) -> str | None:
        """The name of the recorded embedding function."""
        return None if self.embedding_function is None else str(json.loads(self.embedding_function)["name"])


@dataclass(frozen=True)
class CollectionStats:
    """What is said of a collection in lists.

    Attributes:
        count: number of items.
        keys: metadata keys in order of first appearance, with the kinds their values have.
        indexed: how many vectors the graph covers; 0 where search is exact without one.
    """

    count: int
    keys: dict[str, tuple[Kind, ...]]
    indexed: int = 0


@dataclass(frozen=True)
class Selection:
    """Which items: those with these ids *and* matching the filter; None does not restrict.

    Attributes:
        ids: asked for, unique; unknown ones select nothing. An empty list selects nothing.
        where: a tree of `chroma_nb.where`.
    """

    ids: Sequence[str] | None = None
    where: Any = None

    @property
    def everything(self) -> bool:
        """Whether nothing is restricted."""
        return self.ids is None and self.where is None


@dataclass(frozen=True)
class StoredLayout:
    """A map as a store keeps it, aligned with the items of a `Snapshot`.

    Attributes:
        xy: float32 (n, 2); NaN where an item has no place.
        method: how it was made, such as "umap".
        parameters: of the method, as JSON can hold them.
        fitted: how many items it was fitted to, the others having been placed beside them.
        version: of the collection it was made from; what is saved gets the snapshot's.
        created: when it was saved; None before.
    """

    xy: Matrix
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fitted: int = 0
    version: int = 0
    created: datetime | None = None
