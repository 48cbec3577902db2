"""The collections of a Chroma database (0.4 to 1.x): names, metadata, segments, settings of the index."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chroma_nb.embedding.spec import EmbeddingSpec, canonical
from chroma_nb.errors import ChromaNbError, CorruptStoreError
from chroma_nb.migrate.modern_sqlite import Database
from chroma_nb.rules import index_settings
from chroma_nb.types import IndexSettings, MetadataValue, Metric

_VECTOR, _METADATA = "VECTOR", "METADATA"
_DEFAULT_DATABASE, _DEFAULT_TENANT = "default_database", "default_tenant"
_VALUES = ("str_value", "int_value", "float_value", "bool_value")

# What Chroma fills in by itself: who finds it there has not asked for it (0.5 and 0.6 say 10 for ef_search).
_USUAL: dict[str, tuple[Any, ...]] = {
    "max_neighbors": (16,),
    "ef_construction": (100,),
    "ef_search": (100, 10),
    "resize_factor": (1.2,),
}
_FIELDS = {"max_neighbors": "m", "ef_construction": "construction_ef", "ef_search": "search_ef"}


@dataclass(frozen=True)
class Listed:
    """A collection as the database has it.

    Attributes:
        id: its identity, as text too (the log and the segments refer to it so).
        name: unique among all databases of the directory (see `listed`).
        metadata: None if there is none.
        settings: of the index.
        dimension: of the vectors; None before the first.
        function: the embedding function in JSON, if one was recorded.
        vector_segment: also the name of its folder; None if there is none.
        metadata_segment: to which its rows belong; None if there is none.
        notes: what could not be kept.
    """

    id: str
    name: str
    metadata: dict[str, MetadataValue] | None
    settings: IndexSettings
    dimension: int | None
    function: str | None
    vector_segment: str | None
    metadata_segment: str | None
    notes: tuple[str, ...]

    @property
    def uuid(self) -> uuid.UUID:
        """Its identity."""
        return uuid.UUID(self.id)


def listed(database: Database) -> list[Listed]:
    """All collections of all databases and tenants, oldest first.

    A name that several databases have becomes ``<database>.<name>`` outside of the default database, or
    ``<tenant>.<database>.<name>`` where even that is not unique.
    """
    metadata, segments = _metadata(database), _segments(database)
    described = list(_described(database))
    names = _unique([(tenant, place, name) for _, name, _, tenant, place, _ in described])
    found = []
    for (id_, name, dimension, tenant, place, texts), unique in zip(described, names, strict=True):
        notes = []
        if (tenant, place) != (_DEFAULT_TENANT, _DEFAULT_DATABASE):
            notes.append(f"it comes from the database {place!r} of the tenant {tenant!r}")
        if unique != name:
            notes.append(f"it was called {name!r} there, as another collection is in another database")
        configuration = _configuration(texts, notes)
        own = metadata.get(id_)
        of_it = segments.get(id_, {})
        found.append(
            Listed(
                _checked_id(id_),
                unique,
                own,
                _settings(own, configuration, notes),
                dimension,
                _function(configuration, notes),
                of_it.get(_VECTOR),
                of_it.get(_METADATA),
                tuple(notes),
            )
        )
    return found


def _described(database: Database) -> Iterator[tuple[str, str, int | None, str, str, dict[str, str | None]]]:
    """Id, name, dimension, tenant, database, and the texts that hold the configuration."""
    columns = database.columns("collections")
    texts = [column for column in ("config_json_str", "schema_str") if column in columns]
    fields = ", ".join(
        ["c.id", "c.name", "c.dimension" if "dimension" in columns else "NULL", *map("c.{}".format, texts)]
    )
    if "database_id" in columns:  # from 0.4.15 on
        rows = database.rows(
            f"SELECT d.tenant_id, d.name, {fields} FROM collections c LEFT JOIN databases d ON d.id = c.database_id "
            "ORDER BY c.rowid"
        )
    else:
        rows = database.rows(f"SELECT NULL, NULL, {fields} FROM collections c ORDER BY c.rowid")
    for tenant, place, id_, name, dimension, *said in rows:
        yield (
            id_,
            name,
            dimension,
            tenant or _DEFAULT_TENANT,
            place or _DEFAULT_DATABASE,
            dict(zip(texts, said, strict=True)),
        )


def _unique(places: list[tuple[str, str, str]]) -> list[str]:
    """One name for each (tenant, database, name)."""
    plain = Counter(name for *_, name in places)
    longer = Counter(f"{place}.{name}" for _, place, name in places)
    names = []
    for tenant, place, name in places:
        if plain[name] == 1 or (tenant, place) == (_DEFAULT_TENANT, _DEFAULT_DATABASE):
            names.append(name)
        elif longer[f"{place}.{name}"] == 1 and f"{place}.{name}" not in plain:
            names.append(f"{place}.{name}")
        else:
            names.append(f"{tenant}.{place}.{name}")
    return names


def _metadata(database: Database) -> dict[str, dict[str, MetadataValue]]:
    """Metadata of collections by their ids; values that are null are left out."""
    there = database.columns("collection_metadata")
    values = [column for column in _VALUES if column in there]
    found: dict[str, dict[str, MetadataValue]] = {}
    for id_, key, *cells in database.rows(
        f"SELECT collection_id, key, {', '.join(values)} FROM collection_metadata ORDER BY rowid"
    ):
        given = {column: cell for column, cell in zip(values, cells, strict=True) if cell is not None}
        for column, cell in given.items():
            found.setdefault(id_, {})[key] = bool(cell) if column == "bool_value" else cell
    return found


def _segments(database: Database) -> dict[str, dict[str, str]]:
    """Segments of collections by scope."""
    found: dict[str, dict[str, str]] = {}
    for id_, scope, collection in database.rows("SELECT id, scope, collection FROM segments"):
        found.setdefault(collection, {})[scope] = id_
    return found


def _checked_id(id_: object) -> str:
    try:
        return str(uuid.UUID(str(id_)))
    except ValueError as error:
        raise CorruptStoreError(f"A collection of the database has the id {id_!r}, which is none.") from error


# configuration --------------------------------------------------------------------------------


def _configuration(texts: Mapping[str, str | None], notes: list[str]) -> dict[str, Any]:
    """What the JSON texts of a collection say of its index, as ``{"hnsw": ..., "embedding_function": ...}``."""
    try:
        config = json.loads(texts.get("config_json_str") or "{}") or {}
        schema = json.loads(texts.get("schema_str") or "{}") or {}
        vector = schema.get("keys", {}).get("#embedding", {}).get("float_list", {}).get("vector_index", {})
        if vector.get("config"):  # 1.3 on
            config = vector["config"]
            index = config.get("hnsw") or config.get("spann") or {}
            return {"hnsw": {**index, "space": config.get("space")}, "function": config.get("embedding_function")}
        index = config.get("vector_index") or {}
        index = index.get("hnsw") or index.get("spann") or config.get("hnsw") or config.get("hnsw_configuration") or {}
        named = {**index, "max_neighbors": index.get("max_neighbors", index.get("M"))}  # 0.5 and 0.6
        return {
            "hnsw": named,
            "function": config.get("embedding_function"),
            "unasked": "hnsw_configuration" in config,
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        notes.append("its configuration is damaged; the settings of its index are those of its metadata, or the usual")
        return {}


def _settings(metadata: Mapping[str, MetadataValue] | None, said: Mapping[str, Any], notes: list[str]) -> IndexSettings:
    """Settings from ``hnsw:*`` metadata, and from the configuration what it says beyond Chroma's own values."""
    settings = IndexSettings()
    for key, value in (metadata or {}).items():
        if not key.startswith("hnsw:"):
            continue
        try:
            found = index_settings({key: value})
        except ChromaNbError as error:
            notes.append(f"a setting of its index is not known here and has no effect: {error}")
            continue
        settings = replace(settings, **{f: new for f, new in vars(found).items() if new != vars(IndexSettings())[f]})
    index = said.get("hnsw") or {}
    # The configuration of 0.5 and 0.6 shows Chroma's own values where the metadata said something else.
    if said.get("unasked") and any(key.startswith("hnsw:") for key in metadata or {}):
        index = {}
    asked: dict[str, Any] = {}
    for name, usual in _USUAL.items():
        if index.get(name) is not None and index[name] not in usual:
            asked[_FIELDS.get(name, name)] = index[name]
    if index.get("space"):
        asked["space"] = _metric(index["space"], notes)
    return replace(settings, **asked)


def _metric(name: object, notes: list[str]) -> Metric:
    try:
        return Metric.parse(name)
    except ChromaNbError:
        notes.append(f"its distance {name!r} is not known here; it is compared by l2")
        return Metric.L2


def _function(said: Mapping[str, Any], notes: list[str]) -> str | None:
    """The recorded embedding function under our name for it."""
    theirs = said.get("function")
    if not isinstance(theirs, Mapping) or theirs.get("type") != "known" or not theirs.get("name"):
        return None
    try:
        return canonical(EmbeddingSpec(theirs["name"], theirs.get("config") or {})).to_json()
    except ChromaNbError as error:
        notes.append(f"its embedding function could not be kept: {error}")
        return None
