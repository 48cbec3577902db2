"""The names of ``chromadb.types`` and ``chromadb.api.types``: what goes into calls and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

import numpy.typing as npt

from chroma_nb.types import MetadataValue

T = TypeVar("T")
OneOrMany: TypeAlias = T | list[T]

LiteralValue: TypeAlias = MetadataValue
Metadata: TypeAlias = Mapping[str, MetadataValue]
UpdateMetadata: TypeAlias = Mapping[str, MetadataValue | None]
Metadatas: TypeAlias = list[Metadata]
CollectionMetadata: TypeAlias = dict[str, Any]
UpdateCollectionMetadata: TypeAlias = UpdateMetadata

ID: TypeAlias = str
IDs: TypeAlias = list[ID]
URI: TypeAlias = str
URIs: TypeAlias = list[URI]
Document: TypeAlias = str
Documents: TypeAlias = list[Document]
Image: TypeAlias = npt.NDArray[Any]
Images: TypeAlias = list[Image]
Embeddable: TypeAlias = Documents | Images

Vector: TypeAlias = Sequence[float] | Sequence[int]
Embedding: TypeAlias = Vector
Embeddings: TypeAlias = list[Embedding]

LogicalOperator: TypeAlias = Literal["$and", "$or"]
WhereOperator: TypeAlias = Literal["$gt", "$gte", "$lt", "$lte", "$ne", "$eq", "$in", "$nin"]
OperatorExpression: TypeAlias = dict[str, Any]
Where: TypeAlias = dict[str, Any]
WhereDocumentOperator: TypeAlias = Literal["$contains", "$not_contains", "$regex", "$not_regex"]
WhereDocument: TypeAlias = dict[str, Any]

Include: TypeAlias = list[Literal["documents", "embeddings", "metadatas", "distances"]]


class GetResult(TypedDict):
    """What ``get`` and ``peek`` return: lists side by side, None for what was not included.

    Attributes:
        ids: n ids.
        embeddings: n vectors.
        documents: n texts; None where an item has none.
        metadatas: n dicts; None where an item has none.
    """

    ids: list[str]
    embeddings: list[list[float]] | None
    documents: list[str | None] | None
    metadatas: list[dict[str, MetadataValue] | None] | None


class QueryResult(TypedDict):
    """What ``query`` returns: as in `GetResult`, with one inner list for each query, closest first.

    Attributes:
        ids: of the hits.
        embeddings: of the hits.
        documents: of the hits.
        metadatas: of the hits.
        distances: squared l2, 1 - cosine or 1 - inner product; smaller is closer.
    """

    ids: list[list[str]]
    embeddings: list[list[list[float]]] | None
    documents: list[list[str | None]] | None
    metadatas: list[list[dict[str, MetadataValue] | None]] | None
    distances: list[list[float]] | None


class CreateCollectionConfiguration(TypedDict, total=False):
    """The index settings that ``create_collection(configuration=...)`` takes."""

    hnsw: dict[str, Any]


D_contra = TypeVar("D_contra", contravariant=True)


class EmbeddingFunction(Protocol[D_contra]):
    """Base of embedding functions of your own; any callable will do without it.

    >>> class Lengths(EmbeddingFunction[Documents]):
    ...     def __call__(self, input):
    ...         return [[float(len(text)), 1.0] for text in input]
    >>> Lengths()(["abc"])
    [[3.0, 1.0]]
    """

    def __call__(self, input: D_contra, /) -> Any:
        """Embed ``input``, n texts, as n vectors of one dimension."""
        ...
