"""JSON schemas of what goes in and out, for ``/openapi.json``: as lenient as the server itself."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_or_many(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _object(properties: dict[str, Schema], required: tuple[str, ...] = (), **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


_TEXT: Schema = {"type": ["string", "number"], "description": "A number is taken as its text."}
_FLAG: Schema = {
    "anyOf": [
        {"type": "boolean"},
        {"enum": [0, 1]},
        {"type": "string", "pattern": "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"},
    ]
}
_COUNT: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}]}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_METADATA: Schema = {"type": "object", "additionalProperties": _SCALAR}
_IDS = _one_or_many(_TEXT)
_VECTORS: Schema = {
    "description": "Vectors of one dimension: numbers, or base64 of little-endian float32. A flat one is one vector.",
    "type": "array",
    "minItems": 1,
    "items": {
        "anyOf": [
            {"type": "array", "items": {"type": "number"}, "minItems": 1},
            {"type": "string", "contentEncoding": "base64"},
            {"type": "number"},
        ]
    },
}
_WHERE: Schema = {
    "type": "object",
    "description": 'A filter on metadata, such as {"year": {"$gt": 2000}}; $eq $ne $gt $gte $lt $lte $in $nin '
    "$contains $not_contains $regex $not_regex, joined by $and and $or.",
}
_WHERE_DOCUMENT: Schema = {
    "type": "object",
    "description": 'A filter on documents, such as {"$contains": "river"}; $contains $not_contains $regex '
    "$not_regex, joined by $and and $or.",
}
_COLUMNS: Schema = {
    "type": "array",
    "items": _object(
        {"key": {"type": "string"}, "kind": {"enum": ["str", "int", "float", "bool"]}, "values": {"type": "array"}},
        ("key",),
    ),
}
_EXTENDED: Schema = {**_nullable(_FLAG), "description": "Answer in the form that chroma_nb's own clients read."}


def _include(*names: str) -> Schema:
    return _nullable(_one_or_many({"enum": list(names)}))


_SELECTION: dict[str, Schema] = {
    "ids": _nullable(_IDS),
    "where": _nullable(_WHERE),
    "where_document": _nullable(_WHERE_DOCUMENT),
    "extended": _EXTENDED,
}
_ITEMS: dict[str, Schema] = {
    "ids": _IDS,
    "embeddings": _nullable(_VECTORS),
    "metadatas": _nullable(_one_or_many(_nullable(_METADATA))),
    "documents": _nullable(_one_or_many(_nullable(_TEXT))),
    "increment_index": {"description": "Ignored: items are searchable at once."},
    "columns": _nullable(_COLUMNS),
    "keeps": _nullable({"type": "array", "items": {"type": "integer", "minimum": 0}}),
    "function": _nullable({"type": "string"}),
    "extended": _EXTENDED,
}

# bodies of requests ---------------------------------------------------------------------------

CREATE_COLLECTION = _object(
    {
        "name": {**_TEXT, "description": "3-63 letters, digits, dots, underscores or hyphens."},
        "metadata": _nullable(_METADATA),
        "get_or_create": _nullable(_FLAG),
        "configuration": _nullable({"type": "object"}),
        "embedding_function": _nullable({"type": "string"}),
        "id": _nullable({"type": "string", "format": "uuid"}),
    },
    ("name",),
)
MODIFY_COLLECTION = _object(
    {
        "new_name": _nullable(_TEXT),
        "new_metadata": _nullable(_METADATA),
        "new_embedding_function": _nullable({"type": "string"}),
        "extended": _EXTENDED,
    }
)
ADD = _object({**_ITEMS, "embeddings": _VECTORS}, ("ids", "embeddings"))
UPDATE = _object({**_ITEMS, "merge": _nullable(_FLAG)}, ("ids",))
UPSERT = _object({**_ITEMS, "embeddings": _VECTORS, "merge": _nullable(_FLAG)}, ("ids", "embeddings"))
DELETE = _object(_SELECTION)
GET = _object(
    {
        **_SELECTION,
        "limit": _nullable(_COUNT),
        "offset": _nullable(_COUNT),
        "sort": {"description": "Ignored: items come in order of insertion."},
        "include": _include("documents", "embeddings", "metadatas"),
    }
)
QUERY = _object(
    {
        **_SELECTION,
        "query_embeddings": _VECTORS,
        "n_results": _nullable({**_COUNT, "default": 10}),
        "include": _include("documents", "embeddings", "metadatas", "distances"),
        "exact": _nullable(_FLAG),
    },
    ("query_embeddings",),
)
KNOWN = _object({"ids": _nullable(_IDS)})
RAW_SQL = _object(
    {"raw_sql": _TEXT, "parameters": {"type": ["array", "object", "null"]}, "extended": _EXTENDED}, ("raw_sql",)
)
NAMED = _object({"name": _TEXT}, ("name",))

# answers --------------------------------------------------------------------------------------

NULL: Schema = {"type": "null"}
TRUE: Schema = {"const": True}
COUNT: Schema = {"type": "integer", "minimum": 0}
STRING: Schema = {"type": "string"}
FLAGS: Schema = {"type": "array", "items": {"type": "boolean"}}
HEARTBEAT = _object({"nanosecond heartbeat": {"type": "integer"}}, ("nanosecond heartbeat",))
PREFLIGHT = _object(
    {
        "max_batch_size": COUNT,
        "max_body_bytes": COUNT,
        "max_results": COUNT,
        "supports_base64_encoding": {"type": "boolean"},
        "chroma_nb": STRING,
    },
    ("max_batch_size", "chroma_nb"),
)
COLLECTION = _object(
    {
        "name": STRING,
        "id": {"type": "string", "format": "uuid"},
        "metadata": _nullable(_METADATA),
        "dimension": _nullable(COUNT),
        "version": COUNT,
        "configuration_json": _object({"hnsw": {"type": "object"}}, ("hnsw",)),
        "embedding_function": _nullable(STRING),
    },
    ("name", "id", "metadata"),
)
COLLECTIONS: Schema = {"type": "array", "items": {**COLLECTION, "required": ["name"]}}
COLLECTION_OR_NULL = _nullable(COLLECTION)
STATS = _object({"count": COUNT, "keys": {"type": "object"}, "indexed": COUNT}, ("count", "keys", "indexed"))
WRITTEN: Schema = {"anyOf": [{"type": "boolean"}, _object({"added": _nullable(COUNT)}, ("added",))]}
DELETED: Schema = {"anyOf": [{"type": "array", "items": STRING}, _object({"deleted": COUNT}, ("deleted",))]}


def _found(nested: bool) -> Schema:
    """Items: lists that stand side by side, in a query one for each vector."""

    def many(schema: Schema) -> Schema:
        items: Schema = {"type": "array", "items": schema}
        return {"type": "array", "items": items} if nested else items

    vector: Schema = {"anyOf": [{"type": "array", "items": {"type": "number"}}, STRING]}
    columns = {
        "ids": many(STRING),
        "embeddings": _nullable(many(vector)),
        "documents": _nullable(many(_nullable(STRING))),
        "metadatas": _nullable(many(_nullable(_METADATA))),
    }
    if nested:
        columns["distances"] = _nullable(many({"type": "number"}))
    extended = {
        "gaps": {"type": "array", "items": STRING},
        "dimension": _nullable(COUNT),
        "columns": _nullable(_COLUMNS),
    }
    return _object({**columns, **extended}, tuple(columns))


ITEMS = _found(nested=False)
HITS = _found(nested=True)
TABLE: Schema = {"type": "object", "description": "Columns by name; extended: Arrow's stream format in base64."}
TENANT = _object({"name": STRING}, ("name",))
DATABASE = _object({"id": STRING, "name": STRING, "tenant": STRING}, ("id", "name", "tenant"))
ERROR = _object(
    {
        "error": {"type": "string", "description": "Begins with the name of the error."},
        "message": STRING,
        "detail": {"type": "array", "items": {"type": "object"}},
    },
    ("error", "message"),
)
