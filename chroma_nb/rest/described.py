"""A collection as Chroma's servers describe it, and as they want it described."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chroma_nb import rules
from chroma_nb.embedding.spec import EmbeddingSpec, canonical
from chroma_nb.errors import ChromaNbError, CollectionNotFoundError
from chroma_nb.types import CollectionInfo, IndexSettings, Kind, MetadataValue, Metric

# Where Chroma has no place for the name of an embedding function, it is kept under this key, unseen.
FUNCTION_KEY = "chroma_nb:embedding_function"
# What index settings are called in collection metadata -> here.
HNSW_KEYS = {
    "hnsw:space": "space",
    "hnsw:M": "m",
    "hnsw:construction_ef": "construction_ef",
    "hnsw:search_ef": "search_ef",
    "hnsw:num_threads": "num_threads",
    "hnsw:resize_factor": "resize_factor",
}


@dataclass(frozen=True)
class Known:
    """A collection as a server describes it.

    Attributes:
        info: what it is; ``version`` is the server's own, if it has one.
        keys: its metadata keys, with their kinds, if the server tells them.
    """

    info: CollectionInfo
    keys: dict[str, tuple[Kind, ...]] | None = None


def settings_of(metadata: Mapping[str, Any] | None, configuration: Mapping[str, Any] | None) -> IndexSettings:
    """Index settings from ``hnsw:*`` metadata and from what Chroma 1.x calls the configuration.

    >>> settings_of({"hnsw:space": "cosine"}, None).space
    <Metric.COSINE: 'cosine'>
    """
    settings = IndexSettings()
    for key, value in (metadata or {}).items():
        if key.startswith("hnsw:"):
            try:
                found = rules.index_settings({key: value})
            except ChromaNbError:
                continue  # a setting that only its server understands
            changed = {name: new for name, new in vars(found).items() if new != getattr(IndexSettings(), name)}
            settings = replace(settings, **changed)
    # That of 0.6 shows defaults where the metadata said something else.
    kinds = ("hnsw", "spann", *(("hnsw_configuration",) if settings == IndexSettings() else ()))
    sections = [(configuration or {}).get(kind) for kind in kinds]
    index: Mapping[str, Any] = next(filter(None, sections), {})
    named: dict[str, Any] = {
        "m": index.get("max_neighbors"),
        "construction_ef": index.get("ef_construction"),
        "search_ef": index.get("ef_search"),
        "resize_factor": index.get("resize_factor"),
        "space": Metric.parse(index["space"]) if index.get("space") else None,
    }
    return replace(settings, **{name: value for name, value in named.items() if value is not None})


def shown_metadata(metadata: Mapping[str, Any] | None) -> dict[str, MetadataValue] | None:
    """Collection metadata without what is ours in it."""
    shown = {key: value for key, value in (metadata or {}).items() if key != FUNCTION_KEY and value is not None}
    return shown or None


def stored_metadata(
    info: CollectionInfo, *, function: bool = True, settings: bool = False
) -> dict[str, MetadataValue] | None:
    """Collection metadata as a server takes it.

    Args:
        info: of the collection.
        function: add the embedding function, for want of another place.
        settings: add those of the index, for want of another place.
    """
    added = _settings(info) if settings else {}
    hidden = {FUNCTION_KEY: info.embedding_function} if function and info.embedding_function is not None else {}
    return {**added, **{key: _plainly(key, value) for key, value in (info.metadata or {}).items()}, **hidden} or None


def _settings(info: CollectionInfo) -> dict[str, MetadataValue]:
    """Index settings that the metadata does not say."""
    said, usual = vars(settings_of(info.metadata, None)), vars(IndexSettings())
    values = {key: vars(info.settings)[name] for key, name in HNSW_KEYS.items()}
    unsaid = {key: value for key, value in values.items() if value not in (said[HNSW_KEYS[key]], usual[HNSW_KEYS[key]])}
    return {key: str(value) if isinstance(value, Metric) else value for key, value in unsaid.items()}


def _plainly(key: str, value: MetadataValue) -> MetadataValue:
    """Index settings as servers read them: "l2" for "euclidean", 32 for "32"."""
    if key in HNSW_KEYS:
        asked: MetadataValue = getattr(rules.index_settings({key: value}), HNSW_KEYS[key])
        return str(asked) if isinstance(asked, Metric) else asked
    return int(value) if key.startswith("hnsw:") and isinstance(value, str) and value.isdecimal() else value


def function_of(metadata: Mapping[str, Any] | None, configuration: Mapping[str, Any] | None) -> str | None:
    """The recorded embedding function (JSON): ours, or one of Chroma's under our name for it.

    >>> function_of(None, {"embedding_function": {"type": "known", "name": "default", "config": {}}})
    '{"config": {}, "name": "all-MiniLM-L6-v2"}'
    """
    ours = (metadata or {}).get(FUNCTION_KEY)
    if isinstance(ours, str):
        return ours
    theirs = (configuration or {}).get("embedding_function") or {}
    if theirs.get("type") != "known" or not theirs.get("name"):
        return None
    return canonical(EmbeddingSpec(theirs["name"], theirs.get("config") or {})).to_json()


def function_name(function: str | None) -> str | None:
    """The name in the JSON of an embedding function."""
    return None if function is None else str(json.loads(function)["name"])


def found_by_id(collections: Sequence[Known], collection: uuid.UUID) -> Known:
    """The collection of that id, for servers that find none by it; CollectionNotFoundError."""
    for known in collections:
        if known.info.id == collection:
            return known
    raise CollectionNotFoundError(gone(collection))


def gone(collection: uuid.UUID) -> str:
    """What is said of a collection that a handle still stands for."""
    return f"This collection was deleted. Make it again with create_collection. (There is none of id {collection}.)"
