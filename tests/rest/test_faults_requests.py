"""Requests that are slow, cut, oversized, malformed or too many: each gets a clear answer or none."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chroma_nb.rest import connections, exchange
from chroma_nb.rest.options import MIB, ServerOptions
from chroma_nb.store.local import LocalStore
from tests.rest.raw import Raw, head, whole
from tests.rest.threaded import ThreadedServer, threaded

ITEMS = "/api/v1/collections/docs"
OPTIONS = ServerOptions(max_body_bytes=MIB, max_batch_size=100, max_results=50, max_queries=20, body_seconds=1.0)
HEAD_SECONDS = 1.5
# For what takes milliseconds on a quiet machine; what would wait for a slow client would take longer.
PATIENCE = 5.0


@pytest.fixture(scope="module")
def shared() -> Iterator[ThreadedServer]:
    """One server with small limits, and three items in it."""
    store = LocalStore()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "_HEAD_SECONDS", HEAD_SECONDS)
        patch.setattr(exchange, "_DRAIN_SECONDS", 1.0)
        with threaded(store, OPTIONS) as server:
            assert server.call("POST", "/api/v1/collections", {"name": "docs"}).status == 200
            yield server
    store.close()


@pytest.fixture
def server(shared: ThreadedServer, caplog: pytest.LogCaptureFixture) -> Iterator[ThreadedServer]:
    """The same, with the same three items before each test; nothing unforeseen happens in it."""
    assert shared.call("POST", f"{ITEMS}/delete", {}).status == 200
    three = {"ids": ["a", "b", "c"], "embeddings": [[1, 0], [0, 1], [1, 1]], "documents": ["x", "y", "z"]}
    assert shared.call("POST", f"{ITEMS}/add", three).status == 201
    caplog.set_level(logging.WARNING)
    yield shared
    assert shared.call("GET", f"{ITEMS}/count").json == 3, "a refused request changed something"
    assert shared.seconds_to_answer < PATIENCE
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def message(body: bytes) -> str:
    """What an error says to people; every error says it in the same form."""
    said = json.loads(body)
    assert said["message"]
    assert "Traceback" not in said["message"]
    assert said["error"].split(":")[0].isidentifier()
    return str(said["message"])


# slow ---------------------------------------------------------------------------------------------


def test_a_body_that_trickles_is_given_up(server: ThreadedServer) -> None:
    with Raw(server.port) as slow:
        slow.send(head("POST", f"{ITEMS}/get", "Content-Length: 100"), b"{")
        begun = time.monotonic()
        for _ in range(3):  # a byte now and then does not count as progress
            time.sleep(0.2)
            slow.send(b" ")
            assert server.seconds_to_answer < PATIENCE
        assert slow.answer().status == 408
        assert 0.7 < time.monotonic() - begun < PATIENCE
        assert slow.ended()


def test_a_head_that_trickles_is_cut_off(server: ThreadedServer) -> None:
    with Raw(server.port) as slow:
        begun = time.monotonic()
        slow.send(b"POST /api/v1/reset HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        while time.monotonic() - begun < HEAD_SECONDS - 0.3:
            time.sleep(0.2)
            slow.send(b"X-More: 1\r\n")
        assert slow.ended()
        assert time.monotonic() - begun < PATIENCE


def test_many_idle_connections_are_no_burden(server: ThreadedServer) -> None:
    idle = [Raw(server.port) for _ in range(300)]
    try:
        assert max(server.seconds_to_answer for _ in range(5)) < PATIENCE
        begun = time.monotonic()
        assert all(connection.ended() for connection in idle)
        assert time.monotonic() - begun < PATIENCE
    finally:
        for connection in idle:
            connection.__exit__(None, None, None)


def test_the_time_for_a_body_grows_with_what_arrives(server: ThreadedServer) -> None:
    """Somebody on a slow line who sends much all the time is served, however long it takes."""
    body = json.dumps({"ids": ["a"], "padding": "x" * 400_000}).encode()
    with Raw(server.port) as steady:
        steady.send(head("POST", f"{ITEMS}/get", f"Content-Length: {len(body)}"))
        pieces = [body[at : at + 30_000] for at in range(0, len(body), 30_000)]
        for piece in pieces:
            time.sleep(0.12)
            steady.send(piece)
        assert len(pieces) * 0.12 > OPTIONS.body_seconds
        assert steady.answer().json["ids"] == ["a"]


# cut ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST",
        head("POST", f"{ITEMS}/delete")[:-2],
        head("POST", f"{ITEMS}/delete", "Content-Length: 1000") + b'{"ids": ["a"]}',
        head("POST", f"{ITEMS}/delete", "Transfer-Encoding: chunked") + b'e\r\n{"ids": ["a"]}\r\n',
        head("POST", f"{ITEMS}/delete", "Transfer-Encoding: chunked") + b'ff\r\n{"ids": ["a"]}',
    ],
    ids=["nothing", "a word", "half a head", "half a body", "no last chunk", "half a chunk"],
)
def test_what_is_cut_off_does_not_happen(server: ThreadedServer, sent: bytes) -> None:
    """A delete of which the beginning alone would be a whole request."""
    with Raw(server.port) as cut:
        cut.send(sent)
        time.sleep(0.05)


def test_who_leaves_before_the_answer_is_no_error(server: ThreadedServer) -> None:
    for _ in range(20):
        with Raw(server.port) as gone:
            gone.send(whole(f"{ITEMS}/query", {"query_embeddings": [[1, 0]]}))


# oversized ----------------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_large(server: ThreadedServer) -> None:
    with Raw(server.port) as large:
        large.send(head("POST", f"{ITEMS}/delete", f"Content-Length: {MIB + 1}"))
        large.send(b" " * (MIB + 1))
        answer = large.answer()
        assert answer.status == 413
        assert "1,048,576" in message(answer.body)
        assert large.ended()


def test_a_body_that_says_it_is_huge_is_not_read(server: ThreadedServer) -> None:
    with Raw(server.port) as large:
        large.send(head("POST", f"{ITEMS}/delete", f"Content-Length: {10**15}"), b"{}")
        begun = time.monotonic()
        assert large.answer().status == 413
        assert time.monotonic() - begun < PATIENCE


def test_a_body_of_chunks_that_becomes_too_large(server: ThreadedServer) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with Raw(server.port) as large:
        large.send(head("POST", f"{ITEMS}/delete", "Transfer-Encoding: chunked"), chunk * 17, b"2\r\n{}\r\n0\r\n\r\n")
        answer = large.answer()
        assert answer.status == 413
        assert "1,048,576" in message(answer.body)


def test_a_body_of_exactly_the_limit_is_taken(server: ThreadedServer) -> None:
    body = b'{"ids": ["a"]}'
    assert server.call("POST", f"{ITEMS}/get", body + b" " * (MIB - len(body))).json["ids"] == ["a"]


def test_a_head_that_is_too_large(server: ThreadedServer) -> None:
    with Raw(server.port) as large:
        try:
            large.send(b"GET /api/v1/version HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-Long: " + b"x" * 200_000)
            large.send(b"\r\n" * 2)
            assert large.answer().status in (400, 431)
        except (EOFError, ConnectionError):
            pass  # cut off: an answer may be lost where its reader is still writing


MANY = [f"n{number}" for number in range(101)]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("add", {"ids": MANY, "embeddings": [[1, 0]] * 101}, 413, "100"),
        ("upsert", {"ids": MANY, "embeddings": [[1, 0]] * 101}, 413, "100"),
        ("update", {"ids": MANY, "documents": MANY}, 413, "100"),
        ("query", {"query_embeddings": [[1, 0]], "n_results": 51}, 422, "50"),
        ("query", {"query_embeddings": [[1, 0]], "n_results": 10**9}, 422, "50"),
        ("query", {"query_embeddings": [[1, 0]] * 21}, 422, "20"),
    ],
    ids=["add", "upsert", "update", "results", "a billion results", "queries"],
)
def test_too_much_at_once(server: ThreadedServer, path: str, body: Any, status: int, says: str) -> None:
    answer = server.call("POST", f"{ITEMS}/{path}", body)
    assert answer.status == status
    assert says in message(answer.body)


# malformed ----------------------------------------------------------------------------------------

DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"[" * DEEP + b"]" * DEEP,
        b'{"where":' * 50_000 + b"{}" + b"}" * 50_000,
        b'{"ids": ["\xff\xfe"]}',
        b'{"ids": ["\xed\xa0\x80"]}',
        b'\xff\xfe{\x00"\x00}\x00',
        b'{"ids": ["a"], "ids": ',
        b"\x00" * 1000,
        b'{"ids": ["a\x00"]}',
    ],
    ids=[
        "nothing", "half", "null", "list", "text", "number", "deep lists", "deep objects", "no UTF-8",
        "a surrogate in UTF-8", "UTF-16", "half with a key twice", "zeros", "a bare control character",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["add", "get", "query", "delete", "update", "upsert", "known"])
def test_what_is_no_json_object(server: ThreadedServer, path: str, body: bytes) -> None:
    answer = server.call("POST", f"{ITEMS}/{path}", body)
    assert answer.status == 422
    message(answer.body)
    assert json.loads(answer.body)["detail"][0]["loc"][0] == "body"


def nested(levels: int) -> bytes:
    """A filter in filters."""
    return b'{"where":' + b'{"$and":[{"n":1},' * levels + b'{"n":2}' + b"]}" * levels + b"}"


@pytest.mark.parametrize("levels", [60, 300, 2_000])
def test_filters_in_filters(server: ThreadedServer, levels: int) -> None:
    answer = server.call("POST", f"{ITEMS}/get", nested(levels))
    assert answer.status in ((200, 400) if levels == 60 else (400, 422))
    if answer.status != 200:
        message(answer.body)


BAD_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e39", "1" * 400, "null", '"1"', "[]", "{}"]


@pytest.mark.parametrize("number", BAD_NUMBERS)
@pytest.mark.parametrize("path", ["add", "upsert", "update", "query"])
def test_bad_numbers_in_vectors(server: ThreadedServer, path: str, number: str) -> None:
    field = "query_embeddings" if path == "query" else "embeddings"
    body = f'{{"ids": ["{"n" if path == "add" else "a"}"], "{field}": [[1, {number}]]}}'.encode()
    answer = server.call("POST", f"{ITEMS}/{path}", body)
    assert answer.status in (400, 422)
    message(answer.body)


@pytest.mark.parametrize("number", ["NaN", "-" + "9" * 30, "1" * 5_000, "1e999", "1.5", "-1", "{}", '"x"'])
@pytest.mark.parametrize(("path", "field"), [("query", "n_results"), ("get", "limit"), ("get", "offset")])
def test_bad_numbers_for_counts(server: ThreadedServer, path: str, field: str, number: str) -> None:
    body = f'{{"query_embeddings": [[1, 0]], "{field}": {number}}}'.encode()
    answer = server.call("POST", f"{ITEMS}/{path}", body)
    assert answer.status in (400, 422)
    message(answer.body)


def test_a_limit_beyond_all_numbers_is_no_limit(server: ThreadedServer) -> None:
    assert server.call("POST", f"{ITEMS}/get", b'{"limit": %d}' % 10**30).json["ids"] == ["a", "b", "c"]
    assert server.call("POST", f"{ITEMS}/get", b'{"offset": %d}' % 10**30).json["ids"] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "9" * 30, "1" * 5_000])
def test_metadata_that_cannot_be_kept_is_refused_and_what_can_be_read_is_json(
    server: ThreadedServer, number: str
) -> None:
    body = f'{{"ids": ["n"], "embeddings": [[1, 0]], "metadatas": [{{"n": {number}}}]}}'.encode()
    added = server.call("POST", f"{ITEMS}/add", body)
    assert added.status in (201, 400, 422)
    if added.status == 201:
        found = server.call("POST", f"{ITEMS}/get", {"ids": ["n"]}).body
        json.loads(found, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
        assert server.call("POST", f"{ITEMS}/delete", {"ids": ["n"]}).status == 200


@pytest.mark.parametrize("text", ["\\ud800", "\\udfff\\ud800", "\\u0000", "\\ufffe"])
@pytest.mark.parametrize("field", ["ids", "documents", "key", "value", "where", "name"])
def test_texts_that_are_no_unicode(server: ThreadedServer, field: str, text: str) -> None:
    """Either refused, or kept and given back as they were."""
    bodies = {
        "ids": f'{{"ids": ["{text}"], "embeddings": [[1, 0]]}}',
        "documents": f'{{"ids": ["n"], "embeddings": [[1, 0]], "documents": ["{text}"]}}',
        "key": f'{{"ids": ["n"], "embeddings": [[1, 0]], "metadatas": [{{"{text}": 1}}]}}',
        "value": f'{{"ids": ["n"], "embeddings": [[1, 0]], "metadatas": [{{"k": "{text}"}}]}}',
        "where": f'{{"where": {{"{text}": "{text}"}}}}',
        "name": f'{{"name": "{text}"}}',
    }
    path = {"where": f"{ITEMS}/get", "name": "/api/v1/collections"}.get(field, f"{ITEMS}/add")
    answer = server.call("POST", path, bodies[field].encode())
    assert answer.status in (200, 201, 400, 422)
    if answer.status == 201:
        id_ = json.loads(f'"{text}"') if field == "ids" else "n"
        found = server.call("POST", f"{ITEMS}/get", {"ids": [id_]}).json
        kept = {
            "ids": found["ids"][0],
            "documents": (found["documents"] or [None])[0],
            "key": next(iter(found["metadatas"][0] or {}), None),
            "value": (found["metadatas"][0] or {}).get("k"),
        }
        assert kept[field] == json.loads(f'"{text}"')
        assert server.call("POST", f"{ITEMS}/delete", {"ids": [id_]}).status == 200
    elif answer.status == 200:
        assert answer.json["ids"] == []
    else:
        message(answer.body)


# against HTTP itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\x16\x03\x01\x02\x00 TLS?",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        head("POST", f"{ITEMS}/delete", "Content-Length: -1"),
        head("POST", f"{ITEMS}/delete", "Content-Length: 1e3"),
        head("POST", f"{ITEMS}/delete", "Content-Length: 2", "Content-Length: 14") + b'{"ids": ["a"]}',
        head("POST", f"{ITEMS}/delete", "Content-Length: 2", "Transfer-Encoding: chunked") + b"{}0\r\n\r\n",
        head("POST", f"{ITEMS}/delete", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
        head("POST", f"{ITEMS}/delete", "X-Bad\x00Name: 1", "Content-Length: 2") + b"{}",
    ],
    ids=["TLS", "no HTTP", "version", "negative", "no number", "two lengths", "both ways", "bad chunk", "zero byte"],
)
def test_what_is_no_http_ends_the_connection(server: ThreadedServer, sent: bytes) -> None:
    with Raw(server.port, timeout=10) as broken:
        broken.send(sent)
        try:
            assert broken.answer().status == 400
        except (EOFError, ConnectionResetError):
            return
        assert broken.ended()


def test_requests_one_after_the_other_without_waiting(server: ThreadedServer) -> None:
    with Raw(server.port) as eager:
        asked = [["a"], ["b"], ["c"], ["a", "c"]] * 10
        eager.send(b"".join(whole(f"{ITEMS}/get", {"ids": ids}) for ids in asked))
        assert [eager.answer().json["ids"] for _ in asked] == asked


def test_a_refused_request_does_not_spoil_the_next_on_its_connection(server: ThreadedServer) -> None:
    with Raw(server.port) as connection:
        connection.send(whole(f"{ITEMS}/get", b"nonsense"), whole(f"{ITEMS}/get", {"ids": ["b"]}))
        assert connection.answer().status == 422
        assert connection.answer().json["ids"] == ["b"]


def test_a_client_that_asks_before_it_sends(server: ThreadedServer) -> None:
    body = b'{"ids": ["c"]}'
    with Raw(server.port) as polite:
        polite.send(head("POST", f"{ITEMS}/get", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        time.sleep(0.05)
        polite.send(body)
        assert polite.answer().json["ids"] == ["c"]


def test_a_body_where_none_belongs(server: ThreadedServer) -> None:
    with Raw(server.port) as odd:
        odd.send(head("GET", "/api/v1/version", "Content-Length: 7") + b"GET / X")
        assert odd.answer().status == 200
        odd.send(head("GET", "/api/v1/heartbeat"))
        assert odd.answer().status == 200


@pytest.mark.parametrize(
    "path",
    ["/api/v1/collections/%", "/api/v1/collections/%ff%fe", "/api/v1/collections/%00", "/api/v1/" + "x" * 60_000,
     "/api/v1/collections/..%2f..%2fetc%2fpasswd", "//////", "/api/v1/collections?limit=NaN&offset=-1&limit=9",
     "/api/v1/collections/%ed%a0%80/count", "*"],
    ids=["percent", "no UTF-8", "zero", "long", "dots", "slashes", "query string", "surrogate", "star"],
)  # fmt: skip
def test_odd_paths(server: ThreadedServer, path: str) -> None:
    with Raw(server.port) as odd:
        odd.send(head("GET", path))
        try:
            answer = odd.answer()
        except EOFError:
            assert len(path) > 50_000  # more head than the server reads
            return
        assert answer.status in (307, 400, 404, 405, 422)
