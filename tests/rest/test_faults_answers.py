"""What is stored or asked for and has no JSON, and columns of no kind: never a fault of the server."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from chroma_nb.rest.answers import body
from chroma_nb.rest.options import ServerOptions
from chroma_nb.types import CollectionInfo
from tests.rest.threaded import threaded

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from chroma_nb.store.local import LocalStore

API = "/api/v1"


@pytest.mark.parametrize("metadata", [{"a": "x\ud800y"}, {"\udfff": 1}], ids=["value", "key"])
def test_half_a_pair_in_metadata_hides_no_collection(
    http: TestClient, store: LocalStore, metadata: dict[str, Any]
) -> None:
    store.create_collection(CollectionInfo(uuid.uuid4(), "docs", metadata))
    store.create_collection(CollectionInfo(uuid.uuid4(), "others", {"a": "caf\xe9 \U0001f600"}))
    for path in ("collections", "collections?extended=true", "collections/docs"):
        assert http.get(f"{API}/{path}").status_code == 200
    listed = http.get(f"{API}/collections").json()
    assert [one["name"] for one in listed] == ["docs", "others"]
    assert listed[1]["metadata"] == {"a": "caf\xe9 \U0001f600"}
    assert "\ufffd" in json.dumps(listed[0]["metadata"], ensure_ascii=False)


def test_valid_text_is_told_as_it_is() -> None:
    for text in ("", "\0", "caf\xe9", "\ufeffx", "\ufeff\ufeff", "\U0001f600", "\uffff\ufffd"):
        assert json.loads(body({text: [text]})) == {text: [text]}
    assert json.loads(body("\ud83d\ude00 \ude00\ud83d")) == "\U0001f600 \ufffd\ufffd"


@pytest.mark.parametrize(
    "value",
    [
        "timestamp 'infinity'",
        "date '294247-01-10'",
        "date '-infinity'",
        "[timestamp 'infinity']",
        "date '0044-03-15 (BC)'",
    ],
)
def test_times_that_python_has_not(http: TestClient, value: str) -> None:
    statement = f"select 1 as n, {value} as x"
    refused = http.post(f"{API}/raw_sql", json={"raw_sql": statement})
    assert (refused.status_code, refused.json()["error"].split(":")[0]) == (400, "Sql")
    assert "'x' holds a time" in refused.json()["message"]
    assert http.post(f"{API}/raw_sql", json={"raw_sql": statement, "extended": True}).status_code == 200
    as_text = http.post(f"{API}/raw_sql", json={"raw_sql": f"select x::varchar as x from ({statement})"})
    assert isinstance(as_text.json()["x"][0], str)


@pytest.mark.parametrize("kind", [[], {}, ["int"], 1, None, "integer", True])
def test_kinds_that_are_none(http: TestClient, kind: Any) -> None:
    http.post(f"{API}/collections", json={"name": "docs"})
    items = {"ids": ["a"], "embeddings": [[1, 2]], "columns": [{"key": "n", "kind": kind, "values": [5]}]}
    for verb in ("add", "update", "upsert"):
        assert http.post(f"{API}/collections/docs/{verb}", json=items).status_code == 422


def test_the_address_in_the_log_is_the_one_of_the_connection(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chroma_nb.rest.access")
    with threaded(store, ServerOptions()) as server:
        for headers in (
            {"X-Forwarded-For": "203.0.113.7"},
            {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "wss"},
        ):
            assert server.call("GET", f"{API}/version", headers=headers).status == 200
    lines = [json.loads(one.getMessage()) for one in caplog.records if one.name == "chroma_nb.rest.access"]
    assert [line["client"] for line in lines] == ["127.0.0.1"] * 2
