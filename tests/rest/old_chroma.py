"""Chroma 0.3.29 as a fake within the process: its routes, bodies and manners, and none of its code.

What it does was measured on the real one: replaces metadata on update, takes no null among metadatas and documents,
knows neither base64 nor ids in a query, answers 500 with the repr of an exception, and pages in no order.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.store.reference import Item, distances, document_matches, matches

_ROUTE = re.compile(r"/api/v1/(?P<what>[\w-]+)(/(?P<name>[^/]+))?(/(?P<verb>\w+))?")


@dataclass
class Kept:
    """A collection."""

    id: str
    name: str
    metadata: dict[str, Any] | None
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As the server describes it."""
        return {"name": self.name, "id": self.id, "metadata": self.metadata}


class OldChroma:
    """The server; ``asked`` lists what came to it."""

    def __init__(self, version: str = "0.3.29") -> None:
        self.version = version
        self.asked: list[tuple[str, str, Any]] = []
        self._kept: dict[str, Kept] = {}

    def client(self) -> httpx.Client:
        """What speaks to it."""
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((request.method, request.url.path, body))
        route = _ROUTE.fullmatch(request.url.path)
        if route is None or not hasattr(self, f"_{route['what']}"):
            return httpx.Response(404, json={"detail": "Not Found"})
        try:
            return httpx.Response(200, json=getattr(self, f"_{route['what']}")(request.method, route, body))
        except TypeError as error:
            return httpx.Response(422, json={"detail": [{"loc": ["body"], "msg": str(error), "type": "type_error"}]})
        except ValueError as error:
            return httpx.Response(500, json={"error": repr(error)})

    def _version(self, *_: Any) -> str:
        return self.version

    def _heartbeat(self, *_: Any) -> dict[str, int]:
        return {"nanosecond heartbeat": 1_700_000_000_000_000_000}

    def _reset(self, *_: Any) -> bool:
        self._kept.clear()
        return True

    def _collections(self, method: str, route: re.Match[str], body: dict[str, Any]) -> Any:
        name, verb = route["name"], route["verb"]
        if name is None:
            return self._create(body) if method == "POST" else [kept.body() for kept in self._kept.values()]
        if verb is not None:
            made = next((kept for kept in self._kept.values() if kept.id == name), None)
            if made is None:
                raise ValueError(f"Collection {name} does not exist")
            call: Callable[..., Any] = getattr(self, f"_{verb}")
            return call(made, **body)
        if method == "PUT":
            return self._modify(name, **body)
        if name not in self._kept:
            raise ValueError(f"Collection {name} does not exist")
        return self._kept.pop(name) and None if method == "DELETE" else self._kept[name].body()

    def _create(self, body: dict[str, Any]) -> Any:
        if body["name"] in self._kept:
            raise ValueError(f"Collection with name {body['name']} already exists")
        made = Kept(str(uuid.uuid4()), body["name"], body["metadata"])
        self._kept[made.name] = made
        return made.body()

    def _modify(self, id_: str, new_name: str | None, new_metadata: dict[str, Any] | None) -> None:
        made = next(kept for kept in self._kept.values() if kept.id == id_)
        if new_name in self._kept:
            raise ValueError(f"Collection with name {new_name} already exists")
        self._kept.pop(made.name)
        made.name, made.metadata = new_name or made.name, new_metadata or made.metadata
        self._kept[made.name] = made

    # items ------------------------------------------------------------------------------------

    def _count(self, kept: Kept) -> int:
        return len(kept.items)

    def _add(self, kept: Kept, **columns: Any) -> bool:
        self._upsert(kept, **columns)
        return True

    def _update(self, kept: Kept, **columns: Any) -> bool:
        if any(id_ not in kept.items for id_ in columns["ids"]):
            raise ValueError("Could not find items for update")
        self._upsert(kept, **columns)
        return True

    def _upsert(self, kept: Kept, ids: list[str], **columns: list[Any] | None) -> None:
        for name, values in columns.items():
            if values is not None and (None in values or len(values) != len(ids)):
                raise TypeError(f"{name}: none is not an allowed value")
        for position, id_ in enumerate(ids):
            item = kept.items.setdefault(id_, {"embeddings": None, "documents": None, "metadatas": None})
            item |= {name: values[position] for name, values in columns.items() if values is not None}

    def _chosen(self, kept: Kept, ids: list[str] | None, where: Any, where_document: Any) -> list[str]:
        made = {id_: Item(id_, item["documents"], item["metadatas"] or {}) for id_, item in kept.items.items()}
        return [
            id_
            for id_, item in made.items()
            if (ids is None or id_ in ids) and matches(item, where) and document_matches(item, where_document)
        ]

    def _get(
        self,
        kept: Kept,
        ids: list[str] | None = None,
        where: Any = None,
        where_document: Any = None,
        include: tuple[str, ...] = ("documents", "metadatas"),
        limit: int | None = None,
        offset: int | None = None,
    ) -> dict[str, Any]:
        found = self._chosen(kept, ids, where, where_document)
        if limit is not None or offset is not None:  # in no order, a new one every time
            found = found[len(self.asked) % max(len(found), 1) :][offset or 0 :][:limit]
        return {"ids": found} | {
            name: [kept.items[id_][name] for id_ in found] if name in include else None
            for name in ("embeddings", "documents", "metadatas")
        }

    def _query(
        self,
        kept: Kept,
        query_embeddings: list[list[float]],
        n_results: int,
        where: Any,
        where_document: Any,
        include: list[str],
    ) -> dict[str, Any]:
        found = self._chosen(kept, None, where, where_document)
        answer: dict[str, Any] = {"ids": [], "embeddings": [], "documents": [], "metadatas": [], "distances": []}
        for query in query_embeddings:
            away: Any = distances("l2", [kept.items[id_]["embeddings"] for id_ in found], query) if found else []
            nearest = sorted(zip(away, found, strict=True))[:n_results]
            answer["distances"].append([distance for distance, _ in nearest])
            answer["ids"].append([id_ for _, id_ in nearest])
            for name in ("embeddings", "documents", "metadatas"):
                answer[name].append([kept.items[id_][name] for _, id_ in nearest])
        return {name: values if name in ("ids", *include) else None for name, values in answer.items()}

    def _delete(self, kept: Kept, ids: list[str]) -> list[str]:
        for id_ in ids:
            kept.items.pop(id_, None)
        return []
