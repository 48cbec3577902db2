"""What a collection may be called, and how its index is set up: all checks of collection options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chroma_nb.batch import check_metadata_value, check_text, text_array
from chroma_nb.errors import InvalidArgumentError, suggest
from chroma_nb.halves import is_half
from chroma_nb.types import CollectionInfo, IndexSettings, MetadataValue, Metric

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]", re.ASCII)
_FOUR_NUMBERS = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)

# What each index setting is called in collection metadata (Chroma 0.3 on) and in ``configuration`` (1.x).
_HNSW_KEYS = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "construction_ef",
    "hnsw:search_ef": "search_ef",
    "hnsw:M": "m",
    "hnsw:num_threads": "num_threads",
    "hnsw:resize_factor": "resize_factor",
    "hnsw:batch_size": None,
    "hnsw:sync_threshold": None,
}
_CONFIGURATION_KEYS = {
    "space": "hnsw:space",
    "ef_construction": "hnsw:construction_ef",
    "ef_search": "hnsw:search_ef",
    "max_neighbors": "hnsw:M",
    "num_threads": "hnsw:num_threads",
    "resize_factor": "hnsw:resize_factor",
    "batch_size": "hnsw:batch_size",
    "sync_threshold": "hnsw:sync_threshold",
}


def check_name(name: object, *, half: bool = False) -> str:
    """The name if a collection may have it (the rules of Chroma 0.3.29).

    Args:
        name: of a collection.
        half: whether it may be one of those that `chroma_nb.halves` gives to what has not wholly arrived.

    >>> check_name("my_docs")
    'my_docs'

    Raises:
        TypeError: it is not a str.
        InvalidArgumentError: it breaks a rule.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a collection is a str, got {name!r}")
    if not 3 <= len(name) <= 63 or not _NAME.fullmatch(name) or ".." in name or _FOUR_NUMBERS.fullmatch(name):
        raise InvalidArgumentError(
            "Expected collection name that (1) contains 3-63 characters, (2) starts and ends with an alphanumeric "
            "character, (3) otherwise contains only alphanumeric characters, underscores, hyphens or dots, (4) "
            f"contains no two consecutive periods (..) and (5) is not a valid IPv4 address, got {name}"
        )
    if not half and is_half(name):
        raise InvalidArgumentError(
            f"{name!r} is a name of collections that have not wholly arrived: copies and exports leave them out. Give "
            "another one."
        )
    return name


def check_collection_metadata(metadata: object) -> dict[str, MetadataValue] | None:
    """Collection metadata: None, or a non-empty dict of str keys and plain values.

    Raises:
        InvalidArgumentError: it is anything else.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping) or not metadata:
        raise InvalidArgumentError(f"Expected collection metadata to be a non-empty dict, got {metadata!r}")
    checked = {check_key(key): check_metadata_value(value, key) for key, value in metadata.items()}
    text_array([value for value in checked.values() if isinstance(value, str)], "value in the collection metadata")
    return checked


def check_key(key: object) -> str:
    """A metadata key: any str of valid Unicode."""
    if not isinstance(key, str):
        raise InvalidArgumentError(f"Expected metadata key to be a str, got {key!r}")
    return check_text(key)


def check_same_settings(
    info: CollectionInfo, metadata: Mapping[str, MetadataValue] | None, configuration: Any = None
) -> None:
    """InvalidArgumentError if an index setting is asked for that the collection does not have."""
    for key, value in _asked(metadata, configuration).items():
        settings, field = index_settings({key: value}), _HNSW_KEYS[key]
        if field is None:
            continue
        current, wanted = getattr(info.settings, field), getattr(settings, field)
        if wanted != current:
            raise InvalidArgumentError(
                f"{key} of collection {info.name!r} is {str(current)!r} and cannot become {str(wanted)!r}: settings "
                "of an index are fixed when its collection is made. Make a new collection and add the items there."
            )


def index_settings(metadata: Mapping[str, MetadataValue] | None, configuration: Any = None) -> IndexSettings:
    """The index settings that collection metadata (``hnsw:*``) or a ``configuration`` ask for.

    >>> index_settings({"hnsw:space": "cosine", "hnsw:M": "32"}).m
    32

    Raises:
        InvalidArgumentError: an unknown setting, or a value it cannot have.
    """
    values: dict[str, Any] = {}
    for key, value in _asked(metadata, configuration).items():
        field = _HNSW_KEYS[key]
        read = Metric.parse(value) if field == "space" else _number(key, value)
        if field is not None:
            values[field] = read
    return IndexSettings(**values)


def _asked(metadata: Mapping[str, MetadataValue] | None, configuration: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {key: value for key, value in (metadata or {}).items() if key.startswith("hnsw:")}
    hnsw = (
        {} if configuration is None else configuration.get("hnsw", {}) if isinstance(configuration, Mapping) else None
    )
    if not isinstance(hnsw, Mapping):
        raise InvalidArgumentError(
            f'Expected configuration to be a dict like {{"hnsw": {{"space": "cosine"}}}}, got {configuration!r}'
        )
    for name, value in hnsw.items():
        if name not in _CONFIGURATION_KEYS:
            raise InvalidArgumentError(f"Unknown HNSW configuration: {name}.{suggest(name, _CONFIGURATION_KEYS)}")
        asked[_CONFIGURATION_KEYS[name]] = value
    for key in asked:
        if key not in _HNSW_KEYS:
            raise InvalidArgumentError(f"Unknown HNSW parameter: {key}.{suggest(key, _HNSW_KEYS)}")
    return asked


def _number(key: str, value: object) -> float:
    whole = key != "hnsw:resize_factor"
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    least = 2 if key == "hnsw:M" else 1
    # Links per node beyond this cost memory without use; hnswlib itself warns at 10,000.
    most = 10_000 if key == "hnsw:M" else 1_000_000
    if not least <= number <= most or (whole and number != int(number)):
        kind = "an integer" if whole else "a number"
        raise InvalidArgumentError(
            f"Invalid value for HNSW parameter: {key} = {value!r}. Give {kind} from {least} to {most:,}."
        )
    return int(number) if whole else number
