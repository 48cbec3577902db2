"""Requests to a server: who is there, what is sent again, what failures become, how large calls are split."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from chroma_nb import errors
from chroma_nb.rest import failures
from chroma_nb.rest.connecting import address, connect
from chroma_nb.rest.transport import ATTEMPTS, Transport

SECRET = "geheim"  # noqa: S105 - of no one
Answer = httpx.Response | Exception


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited; without waiting."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Scripted:
    """A server that gives these answers, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def transport(self, **options: Any) -> Transport:
        client = httpx.Client(transport=httpx.MockTransport(self._answer))
        return Transport("http://db:8000", options.pop("headers", None), 60.0, failures.foreign, client)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def said(status: int, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


# what is sent again ---------------------------------------------------------------------------

LOST = [httpx.ReadError("reset by peer"), httpx.RemoteProtocolError("disconnected"), httpx.WriteError("broken pipe")]


@pytest.mark.parametrize("failure", [*LOST, said(503), said(502), said(504), said(429)], ids=repr)
def test_what_may_be_repeated_is(failure: Answer, pauses: list[float]) -> None:
    server = Scripted(failure, failure, said(200, 7))
    assert server.transport().get("/x") == 7
    assert len(server.requests) == 3
    assert 0.05 <= pauses[0] <= 0.15
    assert 0.1 <= pauses[1] <= 0.3


@pytest.mark.parametrize("failure", [*LOST, httpx.ReadTimeout("late"), said(503), said(502), said(500)], ids=repr)
def test_what_may_have_happened_is_not(failure: Answer, pauses: list[float]) -> None:
    server = Scripted(failure, said(200, 7))
    with pytest.raises(errors.StoreError):
        server.transport().post("/x", {}, repeatable=False)
    assert (len(server.requests), pauses) == (1, [])


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), said(429), said(503, Retry_After="1")], ids=repr)
def test_what_never_arrived_or_was_refused_is_sent_again(failure: Answer, pauses: list[float]) -> None:
    server = Scripted(failure, said(200, 7))
    assert server.transport().post("/x", {}, repeatable=False) == 7


def test_a_server_says_how_long_to_wait(pauses: list[float]) -> None:
    assert Scripted(said(429, Retry_After="3"), said(200, 7)).transport().get("/x") == 7
    assert pauses == [3.0]
    with pytest.raises(errors.OverloadedError, match="too much to do"):
        Scripted(said(503, {"detail": "busy"}, Retry_After="3600")).transport().get("/x")
    assert pauses == [3.0]


def test_it_ends_some_time(pauses: list[float]) -> None:
    server = Scripted(httpx.ConnectError("refused"))
    with pytest.raises(errors.ConnectionFailedError, match="Are you sure it is running") as caught:
        server.transport().get("/x")
    assert len(server.requests) == ATTEMPTS
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_silence_is_not_asked_again(pauses: list[float]) -> None:
    server = Scripted(httpx.ReadTimeout("late"))
    with pytest.raises(errors.ServerTimeoutError, match="within 60 s") as caught:
        server.transport().get("/x")
    assert (len(server.requests), isinstance(caught.value, TimeoutError)) == (1, True)


def test_a_write_that_was_lost_says_that_nobody_knows(pauses: list[float]) -> None:
    with pytest.raises(errors.ConnectionFailedError, match="Whether it happened is not known"):
        Scripted(LOST[0]).transport().post("/x", {}, repeatable=False)


# what failures become -------------------------------------------------------------------------


NO_RESET = "Resetting is not allowed by this configuration"
TAKEN = "Collection [x] already exists"
GONE = "Collection [x] does not exist"
ONE_DIMENSION = "Dimensionality of (2) does not match index dimensionality (3)"
ANOTHER_DIMENSION = "Collection expecting embedding with dimension of 3, got 2"


@pytest.mark.parametrize(
    ("status", "body", "cls", "text"),
    [
        (400, {"error": "InvalidArgumentError", "message": "bad where"}, errors.InvalidArgumentError, "bad where"),
        (401, {"detail": "Unauthorized"}, errors.AuthorizationError, "token"),
        (403, {"error": "ChromaError", "message": "Reset is disabled"}, errors.AuthorizationError, "allow_reset"),
        (500, {"error": f"ValueError('{NO_RESET}')"}, errors.AuthorizationError, "allow_reset"),
        (404, {"detail": "Not Found"}, errors.NotFoundError, "Not Found"),
        (404, {"error": "NotFoundError", "message": GONE}, errors.CollectionNotFoundError, "not exist"),
        (500, {"error": "ValueError('Collection x does not exist')"}, errors.CollectionNotFoundError, "^Coll"),
        (409, {"error": "ChromaError", "message": TAKEN}, errors.CollectionExistsError, "exists"),
        (500, {"error": "InternalError", "message": "UNIQUE constraint"}, errors.CollectionExistsError, "UNIQUE"),
        (500, {"error": 'ValueError("it\'s wrong")'}, errors.InvalidArgumentError, "^it's wrong$"),
        (500, {"error": "TypeError('n')"}, errors.InvalidArgumentError, "^n$"),
        (410, {"error": "Unimplemented", "message": "gone"}, errors.NotSupportedError, "gone"),
        (413, "too large", errors.RequestTooLargeError, "fewer items"),
        (422, {"detail": [{"msg": "field required"}]}, errors.InvalidArgumentError, "field required"),
        (500, {"detail": ONE_DIMENSION}, errors.InvalidDimensionError, r"\(2\).*\(3\)"),
        (400, {"message": ANOTHER_DIMENSION}, errors.InvalidDimensionError, r"\(2\).*\(3\)"),
        (400, {"error": "DuplicateID", "message": "twice"}, errors.DuplicateIDError, "twice"),
        (504, "late", errors.ServerTimeoutError, "late"),
        (500, None, errors.ServerError, "status 500"),
        (418, {"error": "Teapot"}, errors.ServerError, "Teapot"),
    ],
)
def test_answers_of_other_servers(status: int, body: Any, cls: type[Exception], text: str) -> None:
    with pytest.raises(cls, match=text) as caught:
        raise failures.foreign(status, body)
    assert type(caught.value) is cls


def test_answers_that_no_chroma_server_gives(pauses: list[float]) -> None:
    with pytest.raises(errors.ServerError, match="not JSON"):
        Scripted(httpx.Response(200, text="<html>")).transport().get("/x")
    with pytest.raises(errors.ServerError, match="https://db"):
        Scripted(httpx.Response(307, headers={"location": "https://db/x"})).transport().get("/x")
    assert Scripted(httpx.Response(204)).transport().get("/x") is None


# who is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "ssl", "expected"),
    [
        ("localhost", 8000, False, "http://localhost:8000"),
        ("db", None, True, "https://db"),
        ("db:99", 8000, False, "http://db:99"),
        ("db/prefix/", 8000, False, "http://db:8000/prefix"),
        ("::1", 8000, False, "http://[::1]:8000"),
        ("[::1]:99", 8000, False, "http://[::1]:99"),
        ("http://db:99/a/b/", 8000, True, "http://db:99/a/b"),
        (" https://db ", 8000, False, "https://db"),
    ],
)
def test_addresses(host: str, port: int | None, ssl: bool, expected: str) -> None:
    assert address(host, port, ssl=ssl) == expected


@pytest.mark.parametrize(
    "host", ["", " ", None, "ftp://db", "http://", "http://user@db", "me@db", "db:port", "http://db:x"]
)
def test_what_is_no_address(host: Any) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="address of a server"):
        address(host, 8000, ssl=False)


def connecting(answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    return connect(client=httpx.Client(transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (said(503), errors.OverloadedError),
        (said(401), errors.AuthorizationError),
        (said(500), errors.ServerError),
        (httpx.Response(200, text="<html>"), errors.ServerError),
        (said(404), errors.ConnectionFailedError),
        (said(405), errors.ConnectionFailedError),
        (said(200, [1]), errors.ConnectionFailedError),
    ],
    ids=repr,
)
def test_something_else_is_there(answer: httpx.Response, cls: type[Exception], pauses: list[float]) -> None:
    with pytest.raises(cls) as caught:
        connecting(lambda _: httpx.Response(answer.status_code, content=answer.content))
    assert type(caught.value) is cls


def test_silence_while_connecting(pauses: list[float]) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadTimeout("late")

    asked: list[str] = []
    with pytest.raises(errors.ServerTimeoutError):
        connecting(silent)
    assert len(asked) == 1


def test_a_token_is_sent_and_never_shown(pauses: list[float]) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return said(401, {"detail": "no"})

    seen: list[httpx.Headers] = []
    with pytest.raises(errors.AuthorizationError) as caught:
        connect(token=SECRET, client=httpx.Client(transport=httpx.MockTransport(refuse)))
    assert (seen[0]["authorization"], seen[0]["x-chroma-token"]) == (f"Bearer {SECRET}", SECRET)
    assert SECRET not in str(caught.value) + repr(caught.value)
    transport = Scripted(said(200, 1)).transport(headers={"X-Chroma-Token": SECRET})
    assert SECRET not in repr(transport)
    with pytest.raises(errors.InvalidArgumentError, match="ASCII") as refused:
        connect(token=f"{SECRET} ключ")
    assert SECRET not in str(refused.value)


def test_nobody_is_there() -> None:
    begun = time.monotonic()
    with pytest.raises(errors.ConnectionFailedError, match=r"127\.0\.0\.1:9"):
        connect("127.0.0.1", 9)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"tenant": "ours", "databases": ["texts"]}, "tenants/ours/databases/texts"),
        ({"tenant": "ours", "databases": ["a", "b"]}, "tenants/default_tenant/databases/default_database"),
        ({"tenant": "*", "databases": ["*"]}, "tenants/default_tenant/databases/default_database"),
        (None, "tenants/default_tenant/databases/default_database"),
    ],
)
def test_a_token_that_belongs_to_one_database(identity: Any, expected: str) -> None:
    def cluster(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("/identity"):
            return said(404) if identity is None else said(200, identity)
        return said(200, {"max_batch_size": 10, "supports_base64_encoding": True})

    asked: list[str] = []
    connecting(cluster)
    assert asked[-1] == f"/api/v2/{expected}"
