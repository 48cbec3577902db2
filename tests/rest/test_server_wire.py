"""Values on the wire: whatever a store holds or takes arrives as it was."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb import batch, errors
from chroma_nb.rest import answers, bodies, wire, wire_items
from chroma_nb.store.local import LocalStore
from chroma_nb.types import CollectionInfo, CollectionStats, Hits, IndexSettings, Kind, Metric, Records, Selection
from chroma_nb.where import All, AnyOf, Compare, Text, both, parse_where, parse_where_document
from tests.store.strategies import document_wheres, few, item_lists, values, wheres

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.store.reference import Item

INCLUDE = frozenset({"documents", "metadatas", "embeddings"})


def _records(items: list[Item]) -> Records:
    return batch.records(
        [item.id for item in items],
        np.array([item.vector for item in items], dtype=np.float32),
        [item.metadata or None for item in items],
        [item.document for item in items],
    )


def _columns(records: Records) -> Any:
    """The values, comparable: 2 is not 2.0, -0.0 is not 0.0."""
    metadata = {
        key: {kind: [repr(value) for value in column.to_pylist()] for kind, column in kinds.items()}
        for key, kinds in (records.metadata or {}).items()
    }
    return (
        records.ids.to_pylist(),
        None if records.documents is None else records.documents.to_pylist(),
        None if records.metadata is None else list(metadata.items()),
        None if records.embeddings is None else (records.embeddings.shape, records.embeddings.tobytes()),
        records.gaps,
    )


def _sent(body: dict[str, Any]) -> bodies.Body:
    return bodies.parse(wire.dumps(body), None)


# items ----------------------------------------------------------------------------------------


@given(item_lists)
def test_a_batch_arrives_as_it_was(items: list[Item]) -> None:
    sent = _records(items)
    arrived = _sent(wire_items.batch_body(sent)).records()
    assert _columns(arrived) == _columns(replace(sent, gaps=frozenset()))
    assert arrived.keeps is not None
    assert sent.keeps is not None
    assert arrived.keeps.tolist() == sent.keeps.tolist()


@few
@given(item_lists)
def test_answers_arrive_as_the_store_gave_them(items: list[Item]) -> None:
    store = LocalStore()
    info = store.create_collection(CollectionInfo(uuid.uuid4(), "docs"))
    store.add(info.id, _records(items))
    for include in (INCLUDE, frozenset({"metadatas"}), frozenset[str]()):
        found = store.get(info.id, Selection(), include)
        answer = answers.get_answer(found, 3, extended=True)
        assert _columns(wire_items.records_of(json.loads(answer))) == _columns(found)
        assert _columns(wire_items.records_of(wire.loads(answer))) == _columns(found)
        hits = store.query(info.id, np.eye(3, dtype=np.float32)[:2], 4, Selection(), include)
        _check_hits(hits, answers.query_answers(hits, [1, 1], 3, distances=True, extended=True))
    store.close()


def _check_hits(hits: Hits, answer: list[bytes]) -> None:
    """Two calls that were searched for together."""
    for position, one in enumerate(answer):
        arrived = wire_items.hits_of(wire.loads(one))
        rows = np.flatnonzero(hits.query == position)
        assert _columns(arrived.records) == _columns(hits.records.take(rows))
        assert arrived.rank.tolist() == hits.rank[rows].tolist()
        assert arrived.distance.tolist() == hits.distance[rows].tolist()
        assert (arrived.queries, set(arrived.query.tolist())) == (1, {0} if len(rows) else set())


@few
@given(item_lists)
def test_plain_answers_are_json_for_every_reader(items: list[Item]) -> None:
    store = LocalStore()
    info = store.create_collection(CollectionInfo(uuid.uuid4(), "docs"))
    store.add(info.id, _records(items))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    answer = json.loads(
        answers.get_answer(store.get(info.id, Selection(), INCLUDE), 3, extended=False), parse_constant=refuse
    )
    assert answer["ids"] == [item.id for item in items]
    assert answer["documents"] == [item.document for item in items]
    assert repr([dict(sorted((one or {}).items())) for one in answer["metadatas"]]) == repr(
        [dict(sorted(item.metadata.items())) for item in items]
    )
    vectors = np.array(answer["embeddings"], dtype=np.float32)
    assert vectors.tobytes() == np.array([item.vector for item in items], dtype=np.float32).tobytes()
    store.close()


def test_the_shape_of_nothing() -> None:
    nothing = Records(pa.array([], pa.large_string()), embeddings=np.empty((0, 7), dtype=np.float32))
    arrived = wire_items.records_of(wire.loads(answers.get_answer(nothing, 7, extended=True)))
    assert arrived.embeddings is not None
    assert arrived.embeddings.shape == (0, 7)
    assert wire_items.records_of(wire.loads(answers.get_answer(nothing, None, extended=True))).embeddings is not None


def test_an_update_that_keeps_replaces_and_clears(http: TestClient) -> None:
    http.post("/api/v1/collections", json={"name": "docs"})
    items = {"ids": ["a", "b", "c"], "embeddings": [[1, 2]] * 3, "metadatas": [{"n": 1}, {"n": 2}, {"n": 3}]}
    assert http.post("/api/v1/collections/docs/add", json=items).status_code == 201
    change = {"ids": ["a", "b", "c"], "metadatas": [None, {}, {"m": 1}]}
    assert http.post("/api/v1/collections/docs/update", json=change).json() is True
    assert http.post("/api/v1/collections/docs/get", json={}).json()["metadatas"] == [{"n": 1}, None, {"m": 1}]
    merged = {"ids": ["c"], "metadatas": [{"k": "v"}], "merge": True}
    assert http.post("/api/v1/collections/docs/update", json=merged).status_code == 200
    assert http.post("/api/v1/collections/docs/get", json={"ids": ["c"]}).json()["metadatas"] == [{"m": 1, "k": "v"}]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ([{"key": "k", "kind": "int", "values": [1, 2]}], "Expected 1 values"),
        ([{"key": "k", "kind": "int", "values": ["x"]}], "Expected 1 values of the kind int"),
        ([{"key": "k", "kind": "int", "values": [True]}], "Expected 1 values of the kind int"),
        ([{"key": "k", "kind": "date", "values": [1]}], "values of one kind"),
        ([{"key": "k", "kind": "int", "values": [1]}, {"key": "k", "kind": "int", "values": [1]}], "Expected 1 values"),
        ([{"key": "k", "kind": "int", "values": [1]}, {"key": "k", "kind": "str", "values": ["x"]}], "two values"),
        ([{"kind": "int", "values": [1]}], "key, kind and values"),
        ([{"key": "k", "kind": "int", "values": [2**63]}], "exceeds 64 bits"),
        ([{"key": "k", "kind": "str", "values": [{}]}], "Expected metadata value"),
        ({"key": []}, "not a valid list"),
    ],
)
def test_columns_that_make_no_sense(columns: Any, says: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=says):
        _sent({"ids": ["a"], "columns": columns}).records()


# filters --------------------------------------------------------------------------------------


@given(st.data())
def test_filters_say_the_same_after_the_way(data: st.DataObject) -> None:
    items: list[Item] = data.draw(item_lists)
    tree = both(
        parse_where(data.draw(st.none() | wheres(items))),
        parse_where_document(data.draw(st.none() | document_wheres(items))),
    )
    where, where_document = wire.filters(tree)
    arrived = _sent({"where": where, "where_document": where_document}).selection().where
    assert repr(_flat(arrived)) == repr(_flat(tree))


def _flat(tree: Any) -> Any:
    """Conjunctions within conjunctions as one, metadata first: what `wire.filters` may change."""
    if not isinstance(tree, All):
        return tree
    members = [inner for member in tree.members for inner in _members(member)]
    return sorted(map(repr, members))


def _members(tree: Any) -> list[Any]:
    return [inner for member in tree.members for inner in _members(member)] if isinstance(tree, All) else [tree]


def test_alternatives_of_metadata_and_document_have_no_form() -> None:
    with pytest.raises(errors.NotSupportedError, match="alternatives of both"):
        wire.filters(AnyOf((Compare("n", "$eq", 1), Text(None, "x"))))


# collections and errors -----------------------------------------------------------------------


@given(st.none() | st.dictionaries(st.text(), values, min_size=1, max_size=3))
def test_collections_arrive_as_they_were(metadata: Any) -> None:
    settings = IndexSettings(Metric.COSINE, m=7, construction_ef=9, search_ef=11, num_threads=2, resize_factor=1.5)
    info = CollectionInfo(uuid.uuid4(), "docs", metadata, settings, 3, '{"name": "mini"}', 5)
    assert repr(wire.collection_of(wire.loads(answers.body(wire.collection_body(info))))) == repr(info)
    plain = CollectionInfo(uuid.uuid4(), "docs")
    assert wire.collection_of(wire.loads(answers.body(wire.collection_body(plain)))) == plain


def test_stats_arrive_as_they_were() -> None:
    stats = CollectionStats(3, {"k": (Kind.INT, Kind.STR), "": ()}, 2)
    assert wire.stats_of(wire.loads(answers.body(wire.stats_body(stats)))) == stats


def test_every_error_arrives_as_its_class() -> None:
    for name, cls in errors.error_types().items():
        arrived = wire.error_of(wire.loads(answers.body(wire.error_body(cls("it: what 'happened'")))))
        assert (type(arrived), str(arrived)) == (errors.error_types()[name], "it: what 'happened'")


@pytest.mark.parametrize("body", [None, "<html>", {"detail": "Not Found"}, {"error": "Whatever", "message": "x"}, []])
def test_errors_of_others(body: Any) -> None:
    assert wire.error_of(body) is None


def test_a_lone_surrogate_in_a_message_can_be_sent() -> None:
    assert "\\ud800" in wire.error_body(errors.InvalidArgumentError("got \ud800"))["message"]


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'"\xff"'])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.loads(text)
