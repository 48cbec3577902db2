"""How this server answers otherwise than those of Chroma 0.3 did, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Answered:
    """A recorded exchange, and what this server answers to it."""

    recorded: dict[str, Any]
    status: int
    body: Any

    @property
    def line(self) -> str:
        """The exchange in one line, for patterns."""
        was = self.recorded
        return f"{was['client']} to {was['server']} [{was['step']}] {was['method']} {was['status']} -> {self.status}"

    @property
    def was(self) -> Any:
        """The recorded body."""
        return self.recorded["response"]

    @property
    def same(self) -> bool:
        """Whether nothing differs that a client could tell."""
        return self.recorded["status"] == self.status and equal(self.was, self.body)


def equal(recorded: Any, ours: Any) -> bool:
    """Equal values; of collections the fields that there were, with an id of its own."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        if "name" in recorded:
            ours = {key: ours.get(key) for key in recorded}
        return recorded.keys() == ours.keys() and all(
            key == "id" or equal(value, ours[key]) for key, value in recorded.items()
        )
    if isinstance(recorded, list) and isinstance(ours, list):
        return len(recorded) == len(ours) and all(map(equal, recorded, ours))
    if type(recorded) is float and type(ours) is float:
        # The original's distances are those of float32.
        return math.isclose(recorded, ours, rel_tol=1e-5, abs_tol=1e-6)
    return type(recorded) is type(ours) and bool(recorded == ours)


How = Callable[[Answered], bool]


@dataclass(frozen=True)
class Difference:
    """Exchanges that are answered otherwise: why, which ones, and what the answer must be."""

    why: str
    pattern: str
    how: How

    def fits(self, answered: Answered) -> bool:
        """Whether it explains this answer."""
        return re.search(self.pattern, answered.line) is not None and self.how(answered)


def _error(name: str) -> How:
    return lambda a: bool(a.body["message"]) and re.split(r"\W", a.body["error"])[0] == name


def _is(value: Any) -> How:
    return lambda a: equal(value, a.body)


def _has(**values: Any) -> How:
    return lambda a: all(equal(value, a.body[key]) for key, value in values.items())


def _missing(*fields: str) -> How:
    return lambda a: [one["loc"][-1] for one in a.body["detail"]] == list(fields)


def _same_places(a: Answered) -> bool:
    places = [[(one["loc"], one["type"]) for one in body["detail"]] for body in (a.was, a.body)]
    return places[0] == places[1] and _error("InvalidArgumentError")(a)


def _same_in_other_order(a: Answered) -> bool:
    rows = []
    for body in (a.was, a.body):
        columns = [column for column in body.values() if column is not None]
        rows.append(sorted((list(row) for row in zip(*columns, strict=True)), key=lambda row: str(row[0])))
    return equal(*rows)


def _same_but_embeddings(a: Answered) -> bool:
    return a.body["embeddings"] is None and equal({**a.was, "embeddings": None}, a.body)


def _as_many_ids(a: Answered) -> bool:
    return all(map(_UUID.fullmatch, a.was)) and len(a.was) == len(a.body) == len(set(a.body))


DIFFERENCES = (
    # the server itself
    Difference(
        "it is later; 0.3.7 also multiplied by 1000",
        r"\[heartbeat.*200 -> 200",
        lambda a: len(str(a.body["nanosecond heartbeat"])) == 19,
    ),
    Difference(
        "0.3.21 had this route not yet", r"0\.3\.21 \[heartbeat.*404 -> 200", lambda a: a.was == {"detail": "Not Found"}
    ),
    Difference(
        "another version",
        r"\[(get_)?version\] GET 200 -> 200",
        lambda a: re.fullmatch(r"\d+\.\d+\.\d+\w*", a.body) is not None,
    ),
    Difference("another page", r"\[docs\] GET 200 -> 200", lambda a: a.body["__text__"].startswith("<!doctype html>")),
    Difference(
        "a route of 0.4, by which our clients know the server",
        r"\[pre-flight\] GET 404 -> 200",
        lambda a: a.body["max_batch_size"] > 0 and "chroma_nb" in a.body,
    ),
    Difference("1.x has given v1 up", r"1\.5\.9 \[v1\] GET 410 -> 200", _is([])),
    Difference("JSON instead of nothing", r"1\.5\.9 \[root\] GET 404 -> 404", _is({"detail": "Not Found"})),
    Difference(
        "it always failed; it is off unless asked for", r"\[raw_?[sS]ql\] POST 500 -> 403", _error("AuthorizationError")
    ),
    Difference("the name of what a store in memory cannot do", r"\[persist\] POST 500 -> 501", _error("NotSupported")),
    # malformed requests
    Difference("other words, with error and message beside detail", r"POST 422 -> 422", _same_places),
    Difference(
        "`include` of a get has no distances: DuckDB failed",
        r"\[get include distances\] POST 500 -> 422",
        _error("InvalidArgumentError"),
    ),
    Difference("a missing field failed inside", r"\[add missing ids\] POST 500 -> 422", _missing("ids")),
    Difference("a missing field failed inside", r"\[add missing embeddings\] POST 500 -> 422", _missing("embeddings")),
    Difference("a missing field failed inside", r"\[raw_sql missing\] POST 500 -> 422", _missing("raw_sql")),
    Difference(
        "said once, not for each member of a union",
        r"\[get include bad\] POST 422 -> 422",
        lambda a: a.body["detail"][0]["loc"] == a.was["detail"][0]["loc"] and len(a.body["detail"]) == 1,
    ),
    # what is let through that was not
    Difference("one item needs no list", r"\[add[_ ](single|scalars)\] POST (500|422) -> 201", _is(True)),
    Difference(
        "one vector needs no list", r"js-1\.1\.8.*\[query_single\] POST 500 -> 200", _has(ids=[["id1", "uri9"]])
    ),
    Difference("one vector needs no list", r"\[query flat vector\] POST 500 -> 200", _has(ids=[["a"]])),
    Difference("null is no filter", r"\[query where null\] POST (500|422) -> 200", _has(ids=[["a"]])),
    Difference("no ids select nothing", r"\[get ids \[\]\] POST 500 -> 200", _has(ids=[], documents=[])),
    Difference("collections go by name or id", r"\[get by uuid.*GET 500 -> 200", _has(name="rawc")),
    Difference("an index is complete at any time", r"\[create_?[iI]ndex\] POST 500 -> 200", _is(True)),
    Difference(
        "more results than items: all items",
        r"\[query_n_too_big\] POST 500 -> 200",
        lambda a: len(a.body["ids"][0]) == 5,
    ),
    Difference(
        "no item fits: an empty result", r"\[query_where_none\] POST 500 -> 200", _has(ids=[[]], distances=[[]])
    ),
    Difference("no items: an empty result", r"\[query_empty\] POST 500 -> 200", _has(ids=[[]], distances=[[]])),
    # errors with a status, a name and a message of their own
    Difference("the name exists", r"_dup\] POST 500 -> 409", _error("UniqueConstraint")),
    Difference("the name is not allowed", r"(bad ?name)\] (POST|PUT) 500 -> 400", _error("InvalidArgumentError")),
    Difference(
        "there is no such collection",
        r"\[(get|delete)_?[cC]ollection_missing\] (GET|DELETE) 500 -> 404",
        _error("InvalidCollection"),
    ),
    Difference(
        "0.3.7 gave a handle to what does not exist",
        r"0\.3\.7 \[get_collection_missing\] GET 200 -> 404",
        _error("InvalidCollection"),
    ),
    Difference(
        "there is no such collection: nothing is counted in it, or added to it",
        r"\[unknown uuid .* -> 404",
        _error("InvalidCollection"),
    ),
    Difference("what is no UUID may be a name", r"\[bad uuid\] GET (400|500) -> 404", _error("InvalidCollection")),
    Difference("there is no such collection", r"\[create_index unknown\] POST 500 -> 404", _error("InvalidCollection")),
    Difference("there is no such item", r"\[update[_ ]missing\] POST 500 -> 404", _error("IDNotFound")),
    Difference("the name of the error, as 0.3.29 has it", r"wrong_dim\] POST 500 -> 400", _error("InvalidDimension")),
    Difference(
        "the message says more",
        r"wrong_dim\] POST 400 -> 400",
        lambda a: _error(a.was["error"])(a) and a.body["message"].startswith(a.was["message"]),
    ),
    Difference("an unknown operator", r"\[get where bad op\] POST 500 -> 400", _error("InvalidArgumentError")),
    # what the original let through
    Difference("an id stands twice", r"\[add[_ ]dup.*POST 201 -> 400", _error("DuplicateID")),
    Difference(
        "the lists do not fit together", r"\[add length mismatch.*POST 201 -> 400", _error("InvalidArgumentError")
    ),
    Difference("metadata is flat", r"\[add nested metadata.*POST 201 -> 400", _error("InvalidArgumentError")),
    Difference(
        "metadata is flat, and has no null",
        r"\[create metadata bool\] POST (200|500) -> 400",
        _error("InvalidArgumentError"),
    ),
    Difference("a query for nothing", r"\[query n_results 0\] POST 200 -> 400", _error("InvalidArgumentError")),
    # what follows from that
    Difference("the single item was added", r"js-1\.1\.8.*\[count\] GET 200 -> 200", _is(3)),
    Difference("the scalars were added, the wrong items were not", r"raw .*\[count\] GET 200 -> 200", _is(3)),
    Difference(
        "the scalars were added, the wrong items were not",
        r"raw .*\[get (\{\}|sort)\] POST 200 -> 200",
        _has(ids=["a", "b", "s"]),
    ),
    Difference(
        "no id twice, no vector of another dimension",
        r"\[errcoll_get\] POST 200 -> 200",
        _has(ids=["uri9", "uri10", "fresh1"]),
    ),
    Difference(
        "no id twice; equal distances in order of insertion",
        r"\[errcoll_query\] POST 200 -> 200",
        _has(ids=[["uri9", "uri10"]], distances=[[0.0, 27.0]]),
    ),
    Difference(
        "it lost what was added before create_index", r"\[query_after_index\] POST 200 -> 200", _has(ids=[["z1"]])
    ),
    # semantics kept at the level of 0.3.29, less its faults
    Difference(
        "an update does not move an item to the end",
        r"\[(get_all|get_where_document|peek)\] POST 200 -> 200",
        _same_in_other_order,
    ),
    Difference("an update does not move an item to the end", r"\[peek2\] POST 200 -> 200", _has(ids=["uri9", "uri10"])),
    Difference(
        "get_or_create replaces metadata since 0.3.22",
        r"0\.3\.21 \[(get|list|getOr)\w*[cC]ollection(s|2)?\] \w+ 200 -> 200",
        lambda a: (a.body[0] if isinstance(a.body, list) else a.body)["metadata"] == {"a": 2},
    ),
    Difference("the ids of the items instead of numbers of rows", r"\[delete_\w+\] POST 200 -> 200", _as_many_ids),
    Difference(
        "the single item was added, and is deleted",
        r"js-1\.1\.8.*\[delete_all\] POST 200 -> 200",
        _is(["id1", "uri10"]),
    ),
    Difference(
        "null, as later versions",
        r"0\.3\.7 \[(errcoll_delete|delete_?[cC]ollection)\] DELETE 200 -> 200",
        lambda a: a.was is True and a.body is None,
    ),
    Difference(
        "embeddings only if asked for, as since 0.3.10",
        r"js-1\.1\.8 to 0\.3\.7 \[(get_ids|get_where_limit|query)\] POST 200 -> 200",
        _same_but_embeddings,
    ),
    Difference(
        "embeddings only if asked for; the single item was added",
        r"js-1\.1\.8 to 0\.3\.7 \[(get|peek)\] POST 200 -> 200",
        _has(ids=["id1", "uri9", "uri10"], embeddings=None),
    ),
)
