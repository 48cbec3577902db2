"""Every route as /openapi.json describes it, with made-up requests that fit the description and such that do not.

Checked of each answer: it is no server error, its status, type and content are as described, what does not fit the
description is refused, what fits is not refused as malformed, and verbs that a path does not have are named as such.
"""

from __future__ import annotations

import contextlib
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis import Case, CheckContext, Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from chroma_nb import batch
from chroma_nb.rest.description import description
from chroma_nb.rest.server import create_app
from chroma_nb.store.local import LocalStore
from chroma_nb.types import CollectionInfo

TOKEN = "a-token-for-the-fuzzer"  # noqa: S105 - made up
EXAMPLES = 40
MOST, MOST_RESULTS = 1_000, 100

CONFIG = {
    "generation": {"deterministic": True, "max-examples": EXAMPLES, "database": "none"},
    "checks": {
        # 501: what Chroma's later servers can do and this one says it cannot (tenants, databases).
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "501"]},
        # Right in form, and yet wrong: vectors of another dimension, ids twice, a filter without sense, too much.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "409", "413", "422", "501"]},
    },
}


class Served:
    """An application that is made later than the tests are collected; its start and end are the fixture's."""

    def __init__(self) -> None:
        self.app: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        assert self.app is not None
        await self.app(scope, receive, send)


def _schema(*, token: bool) -> Any:
    found = schemathesis.openapi.from_dict(description(token=token), config=schemathesis.Config.from_dict(CONFIG))
    found.app = Served()
    return found


pytestmark = pytest.mark.slow
PLAIN = _schema(token=False)
GUARDED = _schema(token=True)


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    """What two servers serve, one of them behind a token; they allow what can be allowed."""
    made = LocalStore()
    with contextlib.ExitStack() as running:
        for schema, token in ((PLAIN, None), (GUARDED, TOKEN)):
            app = create_app(
                made,
                token=token,
                hosts=frozenset({"testserver"}),  # as Schemathesis calls it
                allow_reset=True,
                allow_sql=True,
                max_batch_size=MOST,
                max_results=MOST_RESULTS,
            )
            running.enter_context(TestClient(app))
            schema.app.app = app
        yield made
    made.close()


@schemathesis.check
def form_is_as_described(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """What fits the description is not called malformed, which is what ``detail`` in an answer says."""
    if case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        assert response.status_code != 422 or "detail" not in response.json(), response.text


def _prepare(store: LocalStore, case: Case[Any]) -> None:
    """Most requests go to a collection that is there, with two dimensions."""
    if "docs" not in {info.name for info in store.list_collections()}:
        made = store.create_collection(CollectionInfo(uuid.uuid4(), "docs"))
        store.add(made.id, batch.records(["0", "1"], [[1.0, 0.0], [0.0, 1.0]], [{"n": 1}, {"k": "v"}], ["x", None]))
    mode = None if case.meta is None else case.meta.generation.mode
    if mode is schemathesis.GenerationMode.POSITIVE and zlib.crc32(case.formatted_path.encode()) % 4:
        case.path_parameters.update({"collection": "docs"} if "collection" in case.path_parameters else {})


@PLAIN.parametrize()  # type: ignore[untyped-decorator]
def test_every_route(case: Case[Any], store: LocalStore) -> None:
    _prepare(store, case)
    case.call_and_validate()


@GUARDED.parametrize()  # type: ignore[untyped-decorator]
def test_every_route_behind_a_token(case: Case[Any], store: LocalStore) -> None:
    """With the token; the same calls without it, and with another one, are refused."""
    _prepare(store, case)
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}", "X-Chroma-Token": TOKEN})
