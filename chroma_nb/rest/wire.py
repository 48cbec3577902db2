"""What goes over the wire between this library and its own server: types <-> JSON.

Chroma's REST API v1 with extensions that old clients do not see. The server's half of the reading
and writing is in `chroma_nb.rest.bodies` and `chroma_nb.rest.answers`; here, and for items in
`chroma_nb.rest.wire_items`, is what both need, and the client's half.

Extensions (all optional; whoever leaves them out gets what Chroma 0.3.29 answered):

* ``GET /api/v1/pre-flight-checks`` -> ``{"max_batch_size", "max_body_bytes", "max_results",
  "supports_base64_encoding", "chroma_nb": version}``.
* Collection objects, in lists only with ``?extended=true``, also carry ``dimension``, ``version``,
  ``configuration_json`` and ``embedding_function`` (JSON text). ``POST /collections`` takes ``id``, ``configuration``
  and ``embedding_function``; ``PUT /collections/{c}`` takes ``new_embedding_function`` and, with ``"extended": true``,
  answers the collection instead of null.
* ``"extended": true`` in a ``get`` or ``query``: the answer has ``gaps``, ``dimension`` and, instead of
  ``metadatas``, ``columns``: ``[{"key", "kind", "values"}, ...]`` in the order of the keys, one entry for each kind; a
  key without a kind has neither ``kind`` nor ``values``. Embeddings come as base64 of little-endian float32. In a
  query ``columns`` run over the hits of all queries.
* ``add``, ``update`` and ``upsert`` take ``columns`` instead of ``metadatas``, with ``keeps`` (positions of the items
  whose metadata stays as it is), ``merge`` and ``function`` (JSON text of what embedded the documents); with
  ``"extended": true`` they answer ``{"added": n}`` (n is null but for ``add``).
* ``query`` takes ``ids`` and ``exact``; ``delete`` with ``"extended": true`` answers ``{"deleted": n}``.
* ``GET /collections/{c}/stats`` -> ``{"count", "keys": {key: [kind, ...]}, "indexed"}``;
  ``POST /collections/{c}/known`` with ``{"ids"}`` -> a list of bool.
* ``POST /raw_sql`` takes ``parameters``; with ``"extended": true`` it answers ``{"arrow"}``, Arrow's stream format in
  base64.

Errors are ``{"error": ..., "message": text}``: ``error`` is the wire name of the class, a colon and the text, because
the JavaScript clients show nothing but ``error``. Chroma's Python clients (0.3.22 and later) look the whole of it up
among five names: they get such a name alone.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from chroma_nb.errors import (
    ChromaNbError,
    NotSupportedError,
    error_types,
)
from chroma_nb.types import (
    CollectionInfo,
    CollectionStats,
    IndexSettings,
    Kind,
    Metric,
)
from chroma_nb.where import All, AnyOf, Compare, OneOf, Text, Where

API = "/api/v1"
_LOOKED_UP = frozenset({"DuplicateID", "IDAlreadyExists", "InvalidCollection", "InvalidDimension", "InvalidUUID"})

# JSON -----------------------------------------------------------------------------------------


def dumps(value: Any) -> bytes:
    """A request body. Infinity is written as Python writes it, and read by `loads`.

    >>> dumps({"where": {"n": {"$lt": float("inf")}}})
    b'{"where":{"n":{"$lt":Infinity}}}'
    """
    return json.dumps(value, separators=(",", ":")).encode()


def loads(text: bytes) -> Any:
    """JSON as orjson reads it where that is installed, and as Python does where orjson refuses.

    >>> loads(b'[1e999, 2, 2.0]')
    [inf, 2, 2.0]

    Raises:
        ValueError: it is not JSON.
    """
    try:
        import orjson
    except ImportError:
        return loads_exactly(text)
    try:
        return orjson.loads(text)
    except ValueError:
        return loads_exactly(text)  # Infinity, lone surrogates: what is wrong with them is said where they are used


def loads_exactly(text: bytes) -> Any:
    """JSON with integers of any size, as Python reads it; ValueError if it is none."""
    try:
        return json.loads(text.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


# errors ---------------------------------------------------------------------------------------


def error_body(error: ChromaNbError, *, looked_up: bool = False) -> dict[str, str]:
    """What a server answers for an error, if ``looked_up`` to a client that looks names up.

    >>> from chroma_nb.errors import CollectionNotFoundError
    >>> error_body(CollectionNotFoundError("there is none"))
    {'error': 'InvalidCollection: there is none', 'message': 'there is none'}
    >>> error_body(CollectionNotFoundError("there is none"), looked_up=True)
    {'error': 'InvalidCollection', 'message': 'there is none'}
    """
    name = error.wire_name
    message = str(error).encode("utf-8", "backslashreplace").decode()  # it may quote a lone surrogate
    return {"error": name if looked_up and name in _LOOKED_UP else f"{name}: {message}", "message": message}


def error_of(body: Any) -> ChromaNbError | None:
    """The error of this library that a server of ours answered with; None if the body names none.

    >>> error_of({"error": "UniqueConstraint: it exists", "message": "it exists"})
    CollectionExistsError('it exists')
    """
    said = body if isinstance(body, Mapping) else {}
    named = re.match(r"\w+", str(said.get("error", "")))
    cls = error_types().get(named[0]) if named else None
    return None if cls is None else cls(str(said.get("message") or said["error"]))


# collections ----------------------------------------------------------------------------------

_SETTINGS = {
    "space": "space",
    "ef_construction": "construction_ef",
    "ef_search": "search_ef",
    "max_neighbors": "m",
    "num_threads": "num_threads",
    "resize_factor": "resize_factor",
}


def collection_body(info: CollectionInfo) -> dict[str, Any]:
    """A collection object, as ``POST /collections`` takes it too; begins with the three fields of Chroma 0.3.29."""
    return {
        "name": info.name,
        "id": str(info.id),
        "metadata": info.metadata,
        "dimension": info.dimension,
        "version": info.version,
        "configuration_json": configuration(info.settings),
        "embedding_function": info.embedding_function,
    }


def collection_of(body: Mapping[str, Any]) -> CollectionInfo:
    """The inverse of `collection_body`."""
    hnsw = body["configuration_json"]["hnsw"]
    values = {field: hnsw[name] for name, field in _SETTINGS.items() if name in hnsw}
    return CollectionInfo(
        id=uuid.UUID(body["id"]),
        name=body["name"],
        metadata=body["metadata"],
        settings=IndexSettings(**(values | {"space": Metric.parse(hnsw.get("space", "l2"))})),
        dimension=body["dimension"],
        embedding_function=body["embedding_function"],
        version=body["version"],
    )


def configuration(settings: IndexSettings) -> dict[str, dict[str, Any]]:
    """Index settings as Chroma 1.x writes them; what the library chooses is left out.

    >>> configuration(IndexSettings(space=Metric.IP))["hnsw"]["space"]
    'ip'
    """
    values = {name: getattr(settings, field) for name, field in _SETTINGS.items()} | {"space": settings.space.value}
    return {"hnsw": {name: value for name, value in values.items() if value is not None}}


def stats_body(stats: CollectionStats) -> dict[str, Any]:
    """What the route ``stats`` answers."""
    return {"count": stats.count, "keys": stats.keys, "indexed": stats.indexed}


def stats_of(body: Mapping[str, Any]) -> CollectionStats:
    """The inverse of `stats_body`."""
    keys = {key: tuple(map(Kind, kinds)) for key, kinds in body["keys"].items()}
    return CollectionStats(body["count"], keys, body["indexed"])


# filters --------------------------------------------------------------------------------------


def filters(tree: Where | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The ``where`` and the ``where_document`` that say the same together.

    >>> filters(All((Compare("n", "$gt", 1), Text(None, "x"))))
    ({'n': {'$gt': 1}}, {'$contains': 'x'})

    Raises:
        NotSupportedError: an alternative of both, which has no such form.
    """
    if tree is None:
        return None, None
    members = tree.members if isinstance(tree, All) else (tree,)
    fields = [_filter(member) for member in members if not _of_document(member)]
    texts = [_filter(member) for member in members if _of_document(member)]
    return _all(fields), _all(texts)


def _of_document(tree: Where) -> bool:
    if not isinstance(tree, All | AnyOf):
        return isinstance(tree, Text) and tree.key is None
    kinds = {_of_document(member) for member in tree.members}
    if len(kinds) != 1:
        raise NotSupportedError(
            "A server takes conditions on metadata and on documents that must both hold, not alternatives of both."
        )
    return kinds.pop()


def _filter(tree: Where) -> dict[str, Any]:
    if isinstance(tree, All | AnyOf):
        members = [_filter(member) for member in tree.members]
        return members[0] if len(members) == 1 else {"$and" if isinstance(tree, All) else "$or": members}
    if isinstance(tree, Compare):
        return {tree.key: {tree.operator: tree.value}}
    if isinstance(tree, OneOf):
        return {tree.key: {"$nin" if tree.negated else "$in": list(tree.values)}}
    operator = f"${'not_' if tree.negated else ''}{'regex' if tree.regex else 'contains'}"
    return {operator: tree.pattern} if tree.key is None else {tree.key: {operator: tree.pattern}}


def _all(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None
