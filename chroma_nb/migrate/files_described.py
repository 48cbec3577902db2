"""What a file that was exported says of its collection, so that importing it makes the same one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from chroma_nb import arrow, rules
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.types import CollectionInfo, IndexSettings, MetadataValue, Metric


@dataclass(frozen=True)
class Described:
    """What is known of the collection before its items.

    Attributes:
        metadata: of the collection.
        settings: of its index.
        embedding_function: name and configuration as JSON text.
        notes: sentences for the report: what the file says and is not kept.
    """

    metadata: dict[str, MetadataValue] | None = None
    settings: IndexSettings = field(default_factory=IndexSettings)
    embedding_function: str | None = None
    notes: tuple[str, ...] = ()


def described(schema: pa.Schema, existing: CollectionInfo | None = None) -> Described:
    """Of a file; an existing collection keeps its own settings, and says what the file does not."""
    said = arrow.about_of(schema)
    if said is None:
        if existing is None:
            return Described()
        return Described(existing.metadata, existing.settings, existing.embedding_function)
    try:
        metadata = rules.check_collection_metadata(said.get("metadata"))
        settings = _settings(said.get("settings"))
        function = _function(said.get("embedding_function"))
    except (InvalidArgumentError, TypeError, ValueError) as error:
        return Described(notes=(f"What the file says of its collection was not understood: {error}",))
    if existing is None:
        return Described(metadata, settings, function)
    return Described(metadata, existing.settings, function or existing.embedding_function)


def _settings(said: Any) -> IndexSettings:
    known = {one.name for one in fields(IndexSettings)}
    values = {name: value for name, value in dict(said or {}).items() if name in known}
    space = Metric.parse(values.pop("space", "l2"))
    named = {f"hnsw:{'M' if name == 'm' else name}": value for name, value in values.items() if value is not None}
    return rules.index_settings({"hnsw:space": space.value, **named})


def _function(said: Any) -> str | None:
    if said is None:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise InvalidArgumentError(f"no embedding function: {said!r}")
    return json.dumps(said, sort_keys=True)
