"""The OpenAPI description of the server, and the page that shows it, which loads nothing from anywhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from chroma_nb import __version__
from chroma_nb.rest import schemas
from chroma_nb.rest.routes import OPERATIONS, Operation

_ALWAYS = (400, 403, 500, 503)
_OPEN = (403, 500)
_WITH_BODY = (408, 413, 422)
_SAYS = {
    400: "An argument is wrong.",
    401: "The token is missing or wrong.",
    403: "Not allowed on this server.",
    404: "There is no such collection, item, tenant or database.",
    408: "The body did not arrive in time.",
    409: "It exists already.",
    413: "The request has too many bytes or items.",
    422: "The body is not JSON, or a field is missing, of another type, or beyond a limit.",
    500: "The server failed.",
    501: "This server cannot do that.",
    503: "The server is busy, or its directory is locked.",
    507: "Writing failed; nothing of the call was kept.",
}
_NUMBER = {"type": "integer", "minimum": 0}
_PAGING = [
    {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in (("limit", _NUMBER), ("offset", _NUMBER), ("extended", {"type": "boolean"}))
]


def description(*, token: bool) -> dict[str, Any]:
    """The server in OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, token=token)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "chroma_nb",
            "version": __version__,
            "description": "Chroma's REST API v1, with extensions that chroma_nb's own clients use.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": schemas.ERROR}},
    }
    if token:
        described["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-Chroma-Token"},
        }
    return described


def _operation(operation: Operation, *, token: bool) -> dict[str, Any]:
    closed = token and not operation.open
    answers = {str(operation.status): _answer("Done.", operation.answer)} | {
        str(status): _answer(_SAYS[status], {"$ref": "#/components/schemas/Error"})
        for status in sorted(_failures(operation, closed=closed))
    }
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.does, "responses": answers}
    parameters = [_parameter(name) for name in operation.variables]
    if operation.paged:
        parameters += _PAGING
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    if closed:
        described["security"] = [{"bearer": []}, {"header": []}]
    return described


def _failures(operation: Operation, *, closed: bool) -> set[int]:
    """The statuses of all its failures."""
    fails = {*operation.fails, *(_OPEN if operation.open else _ALWAYS)}
    if operation.body is not None or operation.paged:
        fails.update(_WITH_BODY)
    if closed:
        fails.add(401)
    return fails


def _answer(says: str, schema: schemas.Schema) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"schema": schema}}}


def _parameter(name: str) -> dict[str, Any]:
    says = "Name or id of a collection." if name == "collection" else "Name."
    return {"name": name, "in": "path", "required": True, "description": says, "schema": {"type": "string"}}


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{overflow:auto;padding:.5rem;border:1px solid}code{font-size:.9em}summary{cursor:pointer}b{font-weight:600}"
)


def page(described: dict[str, Any]) -> str:
    """The description as a page."""
    info = described["info"]
    rows = [
        _section(method.upper(), path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f'<p>{escape(info["description"])} For programs: <a href="openapi.json">openapi.json</a>.</p>'
        + "".join(rows)
        + "</html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>Answers: {', '.join(operation['responses'])}</p>"]
    body = operation.get("requestBody")
    if body is not None:
        schema = json.dumps(body["content"]["application/json"]["schema"], indent=2)
        parts.insert(0, f"<p>Body:</p><pre>{escape(schema)}</pre>")
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"{''.join(parts)}</details>"
    )
