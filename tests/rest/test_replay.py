"""What clients of Chroma 0.3 sent to its servers, sent to this one: the same answers, or a known difference."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from chroma_nb.rest.server import create_app
from chroma_nb.store.local import LocalStore
from tests.rest.differences import DIFFERENCES, Answered

# What was said in API v1; to v2 only what clients of 0.3 tried. Of headers it has those that matter to a server, of
# an answer's headers the names.
RECORDED = Path(__file__).with_name("recorded_v1.jsonl.gz")


def _recordings() -> Iterator[list[dict[str, Any]]]:
    """The exchanges of one client with one server together."""
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        exchanges = [json.loads(line) for line in lines]
    for _, group in groupby(sorted(exchanges, key=_pair), _pair):
        yield list(group)


def _pair(exchange: dict[str, Any]) -> tuple[str, str]:
    return exchange["client"], exchange["server"]


def _replayed(exchanges: list[dict[str, Any]]) -> Iterator[Answered]:
    """What a fresh server answers."""
    ids: dict[str, str] = {}
    store = LocalStore()
    app = create_app(store, allow_reset=True, client_version=exchanges[0]["server"])
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        for exchange in exchanges:
            path = exchange["path"]
            for recorded, ours in ids.items():
                path = path.replace(recorded, ours)
            agent = {"user-agent": "python-requests/2"} if exchange["client"].startswith("py-") else {}
            response = client.request(
                exchange["method"], path, content=_content(exchange["request"]), headers=exchange["req_headers"] | agent
            )
            is_json = response.headers.get("content-type") == "application/json"
            answered = Answered(exchange, response.status_code, response.json() if is_json else _text(response.text))
            assert set(exchange.get("resp_headers", ())) <= response.headers.keys(), answered.line
            if exchange["path"] == "/api/v1/collections" and isinstance(answered.was, list):
                # Python clients refuse what they do not know in there.
                assert [one.keys() for one in answered.body] == [one.keys() for one in answered.was]
            _learn(answered.was, answered.body, ids)
            yield answered
    store.close()


def _content(request: Any) -> bytes | None:
    if request is None:
        return None
    return (request["__raw__"] if "__raw__" in request else json.dumps(request)).encode()


def _text(text: str) -> dict[str, str]:
    return {"__text__": text}


def _learn(recorded: Any, ours: Any, ids: dict[str, str]) -> None:
    """Which id of ours stands for which recorded one."""
    if isinstance(recorded, list) and isinstance(ours, list):
        for pair in zip(recorded, ours, strict=False):
            _learn(*pair, ids)
    elif isinstance(recorded, dict) and isinstance(ours, dict) and "id" in recorded and "id" in ours:
        ids[recorded["id"]] = ours["id"]


def test_every_exchange_is_equal_or_a_known_difference() -> None:
    used, same, unknown = set(), 0, []
    answers = [answered for exchanges in _recordings() for answered in _replayed(exchanges)]
    for answered in answers:
        fitting = [] if answered.same else [difference for difference in DIFFERENCES if difference.fits(answered)]
        if answered.same:
            same += 1
        elif fitting:
            used.add(fitting[0])
        else:
            unknown.append(f"{answered.line}: {answered.was!r} -> {answered.body!r}")
    assert unknown == []
    assert [difference for difference in DIFFERENCES if difference not in used] == []
    assert len(answers) > 500
    assert same > 250
