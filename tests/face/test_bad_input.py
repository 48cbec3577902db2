"""Whatever is wrong is refused with a class and a message, and changes nothing."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb import Client, HttpClient, Settings
from chroma_nb.errors import (
    ChromaNbError,
    ClosedStoreError,
    CollectionExistsError,
    CollectionNotFoundError,
    DuplicateIDError,
    EmbeddingFunctionError,
    IDNotFoundError,
    InvalidArgumentError,
    InvalidDimensionError,
    InvalidNumberOfResultsError,
    InvalidUUIDError,
)
from tests.store.backend import Backend, dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Collection

VECTOR = [1.0, 2.0, 3.0]
SURROGATE = "a\ud800b"


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0, 0.0] for text in texts]


def failing(texts: list[str]) -> list[list[float]]:
    raise RuntimeError("no more quota")


@pytest.fixture
def docs(backend: Backend) -> Iterator[Collection]:
    """A collection that must be as before after the test, on disk also when opened again."""
    client = backend.client
    client.create_collection("other", {"k": 1})
    collection = client.create_collection("docs", embedding_function=embed)
    collection.add(
        ids=["a", "b"], embeddings=[VECTOR, VECTOR], documents=["x", None], metadatas=[{"k": 1, "s": "t"}, {"k": 2.5}]
    )
    before = dump(client)
    yield collection
    assert dump(client) == before
    assert dump(backend.reopen()) == before


@pytest.fixture(scope="module")
def module_client() -> Iterator[Client]:
    """One client in memory for long tables of cases."""
    with Client() as client:
        client.create_collection("docs", embedding_function=embed).add(
            ids=["a", "b"],
            embeddings=[VECTOR, VECTOR],
            documents=["x", None],
            metadatas=[{"k": 1, "s": "t"}, {"k": 2.5}],
        )
        yield client


@pytest.fixture
def memory_docs(module_client: Client) -> Iterator[Collection]:
    """As `docs`, in memory only: for what is refused before a store is asked."""
    before = dump(module_client)
    yield module_client.get_collection("docs", embedding_function=embed)
    assert dump(module_client) == before


def refused(error: type[ChromaNbError], message: str) -> Any:
    return pytest.raises(error, match=message)


def _nested(where: dict[str, Any], levels: int) -> dict[str, Any]:
    for _ in range(levels):
        where = {"$and": [{"k": 2}, where]}
    return where


# items ----------------------------------------------------------------------------------------

ITEMS: list[tuple[dict[str, Any], type[ChromaNbError], str]] = [
    # dimensions and shapes
    (
        {"embeddings": [[1, 2], [1, 2]]},
        InvalidDimensionError,
        r"Dimensionality of \(2\) does not match.* \(3\).*'docs'.*embed",
    ),
    (
        {"embeddings": [[1, 2, 3], [1, 2]]},
        InvalidDimensionError,
        "the first has 3 numbers, the one at position 1 has 2",
    ),
    ({"embeddings": [np.ones(3), np.ones(2)]}, InvalidDimensionError, "the first has 3 numbers, the one at position 1"),
    ({"embeddings": [[1, 2, 3], []]}, InvalidDimensionError, "position 1 has 0"),
    ({"embeddings": [[1, 2, 3], 4]}, InvalidArgumentError, "got 4 at position 1"),
    ({"embeddings": [[1, 2, 3], "abc"]}, InvalidArgumentError, "position 1"),
    ({"embeddings": [[1, 2, 3], None]}, InvalidArgumentError, "None at position 1"),
    ({"embeddings": [[1, 2, 3], [1, 2, None]]}, InvalidArgumentError, "position 1"),
    ({"embeddings": [["1", "2", "3"]] * 2}, InvalidArgumentError, "to be numbers"),
    ({"embeddings": [[[1, 2, 3]]] * 2}, InvalidArgumentError, r"shape \(2, 1, 3\)"),
    ({"embeddings": np.ones((2, 3)) * 1j}, InvalidArgumentError, "complex128"),
    ({"embeddings": np.ones((2, 3), dtype=bool)}, InvalidArgumentError, "bool"),
    ({"embeddings": np.array(5.0)}, InvalidArgumentError, r"shape \(\)"),
    ({"embeddings": 5}, InvalidArgumentError, "list of vectors or an array, got 5"),
    ({"embeddings": "ab"}, InvalidArgumentError, "list of vectors or an array, got 'ab'"),
    ({"embeddings": {"a": VECTOR}}, InvalidArgumentError, "list of vectors or an array"),
    # numbers
    (
        {"embeddings": [VECTOR, [1, 2, math.nan]]},
        InvalidArgumentError,
        r"1 of 2 embeddings hold NaN.*position 1 \(nan\)",
    ),
    ({"embeddings": [[1, math.inf, 2], VECTOR]}, InvalidArgumentError, r"infinite.*position 0 \(inf\)"),
    ({"embeddings": [VECTOR, [1, -math.inf, math.inf]]}, InvalidArgumentError, r"infinite.*position 1 \(-inf\)"),
    ({"embeddings": [VECTOR, [1, 1e39, 2]]}, InvalidArgumentError, "too large for float32"),
    ({"embeddings": [VECTOR, [1, 10**400, 2]]}, InvalidArgumentError, "too large for float32"),
    ({"embeddings": [VECTOR, [1, [], 2]]}, InvalidArgumentError, "at position 1"),
    # empty
    ({"ids": []}, InvalidArgumentError, "IDs to be a non-empty list"),
    ({"embeddings": []}, InvalidArgumentError, "embeddings to be a non-empty list"),
    ({"embeddings": [[], []]}, InvalidArgumentError, "non-empty list of vectors"),
    ({"embeddings": np.ones((2, 0))}, InvalidArgumentError, "non-empty list of vectors"),
    ({"metadatas": []}, InvalidArgumentError, "Number of metadatas 0 must match number of ids 2"),
    ({"documents": []}, InvalidArgumentError, "Number of documents 0 must match number of ids 2"),
    # lengths
    ({"embeddings": [VECTOR] * 3}, InvalidArgumentError, "Number of embeddings 3 must match number of ids 2"),
    ({"embeddings": VECTOR}, InvalidArgumentError, "Number of embeddings 1 must match number of ids 2"),
    ({"metadatas": {"k": 1}}, InvalidArgumentError, "Number of metadatas 1 must match number of ids 2"),
    ({"documents": "x"}, InvalidArgumentError, "Number of documents 1 must match number of ids 2"),
    # ids
    ({"ids": ["a", "a"]}, DuplicateIDError, "found 1 duplicated in the call: 'a'.*upsert"),
    (
        {"ids": [str(n % 7) for n in range(14)]},
        DuplicateIDError,
        r"found 7 duplicated in the call: '0', '1', '2', '3', '4', \.\.\.",
    ),
    ({"ids": ["c", 1]}, InvalidArgumentError, "got 1 at position 1"),
    ({"ids": [1, 2]}, InvalidArgumentError, "got 1 at position 0"),
    ({"ids": np.array([1, 2])}, InvalidArgumentError, "got 1 at position 0"),
    ({"ids": ["c", None]}, InvalidArgumentError, "got None at position 1"),
    ({"ids": ["c", b"d"]}, InvalidArgumentError, "got b'd' at position 1"),
    ({"ids": ["c", ["d"]]}, InvalidArgumentError, "position 1"),
    ({"ids": None}, InvalidArgumentError, "Expected IDs to be a list, got None"),
    ({"ids": 5}, InvalidArgumentError, "Expected IDs to be a list, got 5"),
    ({"ids": {"c": 1, "d": 2}}, InvalidArgumentError, "Expected IDs to be a list"),
    ({"ids": b"cd"}, InvalidArgumentError, "Expected IDs to be a list"),
    ({"ids": ["c", SURROGATE]}, InvalidArgumentError, "lone surrogate"),
    # documents
    ({"documents": ["x", 5]}, InvalidArgumentError, "got 5 at position 1"),
    ({"documents": ["x", ["y"]]}, InvalidArgumentError, "position 1"),
    ({"documents": ["x", math.nan]}, InvalidArgumentError, "got nan at position 1"),
    ({"documents": ["x", SURROGATE]}, InvalidArgumentError, "position 1.*lone surrogate"),
    ({"documents": 5}, InvalidArgumentError, "documents to be a list"),
    # metadata
    ({"metadatas": ["k", "l"]}, InvalidArgumentError, "non-empty dict, got 'k' at position 0"),
    ({"metadatas": "kl"}, InvalidArgumentError, "non-empty dict"),
    ({"metadatas": 5}, InvalidArgumentError, "metadatas to be a list"),
    ({"metadatas": [{"k": 1}, {}]}, InvalidArgumentError, r"non-empty dict, got \{\} at position 1"),
    ({"metadatas": [{"k": 1}, [("k", 1)]]}, InvalidArgumentError, "non-empty dict"),
    ({"metadatas": [{"k": 1}, math.nan]}, InvalidArgumentError, "non-empty dict"),
    ({"metadatas": [{"k": 1}, {5: 1}]}, InvalidArgumentError, "key to be a str, got 5 at position 1"),
    ({"metadatas": [{"k": 1}, {None: 1}]}, InvalidArgumentError, "key to be a str, got None"),
    (
        {"metadatas": [{"k": 1}, {"k": None}]},
        InvalidArgumentError,
        "got None for key 'k', at position 1.*Leave the key out",
    ),
    ({"metadatas": [{"k": 1}, {"k": [1]}]}, InvalidArgumentError, r"got \[1\] for key 'k', at position 1.*json.dumps"),
    ({"metadatas": [{"k": 1}, {"k": {"a": 1}}]}, InvalidArgumentError, "json.dumps"),
    ({"metadatas": [{"k": 1}, {"k": (1,)}]}, InvalidArgumentError, "json.dumps"),
    ({"metadatas": [{"k": 1}, {"k": np.ones(2)}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": b"x"}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": 1j}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": pd.NA}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": pd.NaT}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": pd.Timestamp(0)}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": np.datetime64(0, "s")}]}, InvalidArgumentError, "for key 'k', at position 1"),
    ({"metadatas": [{"k": 1}, {"k": math.nan}]}, InvalidArgumentError, "'k', at position 1 is NaN"),
    ({"metadatas": [{"k": 1}, {"k": np.float32("nan")}]}, InvalidArgumentError, "'k', at position 1 is NaN"),
    ({"metadatas": [{"k": 1}, {"k": 2**63}]}, InvalidArgumentError, "64 bits"),
    ({"metadatas": [{"k": 1}, {"k": -(2**63) - 1}]}, InvalidArgumentError, "64 bits"),
    ({"metadatas": [{"k": 1}, {"k": 10**400}]}, InvalidArgumentError, "64 bits"),
    ({"metadatas": [{"k": 1}, {"k": np.uint64(2**63)}]}, InvalidArgumentError, "64 bits"),
    ({"metadatas": [{"k": 1}, {"k": SURROGATE}]}, InvalidArgumentError, "lone surrogate"),
    ({"metadatas": [{"k": 1}, {SURROGATE: 1}]}, InvalidArgumentError, "lone surrogate"),
]


@pytest.mark.parametrize("call", ["add", "update", "upsert"])
@pytest.mark.parametrize(
    ("bad", "error", "message"), ITEMS, ids=[str(bad)[:50].encode("ascii", "replace").decode() for bad, *_ in ITEMS]
)
def test_items(
    memory_docs: Collection, call: str, bad: dict[str, Any], error: type[ChromaNbError], message: str
) -> None:
    # update and upsert meet items that exist, add meets new ones.
    good: dict[str, Any] = {"ids": ["c", "d"] if call == "add" else ["a", "b"], "embeddings": [VECTOR, [3.0, 2.0, 1.0]]}
    count = len(bad["ids"]) if isinstance(bad.get("ids"), list) and bad["ids"] else 2
    good["embeddings"] = good["embeddings"] * (count // 2)
    with refused(error, message):
        getattr(memory_docs, call)(**(good | bad))


@pytest.mark.parametrize("call", ["add", "update", "upsert"])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"embeddings": [[1, 2], [3, 4]]}, InvalidDimensionError, r"\(2\).*\(3\)"),
        ({"embeddings": [VECTOR, [1, 2, math.nan]]}, InvalidArgumentError, "NaN"),
        ({"embeddings": [VECTOR] * 2, "metadatas": [{"new key": 1}, {"k": None}]}, InvalidArgumentError, "got None"),
        ({"embeddings": [VECTOR] * 2, "documents": ["fine", SURROGATE]}, InvalidArgumentError, "lone surrogate"),
        ({"ids": ["a", "a"], "embeddings": [VECTOR] * 2, "metadatas": [{"new": 1}] * 2}, DuplicateIDError, "found 1"),
    ],
)
def test_a_call_is_kept_as_a_whole_or_not_at_all(
    docs: Collection, call: str, arguments: dict[str, Any], error: type[ChromaNbError], message: str
) -> None:
    with refused(error, message):
        getattr(docs, call)(**({"ids": ["a", "b"] if call == "update" else ["b", "new"]} | arguments))


def test_add_and_upsert_need_vectors_or_documents(docs: Collection) -> None:
    for call in (docs.add, docs.upsert):
        with refused(InvalidArgumentError, "You must provide either embeddings or documents, or both"):
            call(ids=["c"], metadatas=[{"k": 1}])
        with refused(InvalidArgumentError, "position 1 is missing and there are no embeddings"):
            call(ids=["c", "d"], documents=["x", None])


@pytest.mark.parametrize(
    "changes", [{}, {"documents": ["x", "y"]}, {"metadatas": [{"z": 1}, {"z": 2}]}, {"embeddings": [VECTOR] * 2}]
)
@pytest.mark.parametrize("merge", [True, False])
def test_update_of_missing_ids(docs: Collection, changes: dict[str, Any], merge: bool) -> None:
    with refused(IDNotFoundError, "Could not find 1 items for update: 'nobody'.*Nothing was changed.*upsert"):
        docs.update(ids=["a", "nobody"], **changes, merge=merge)
    with refused(IDNotFoundError, r"Could not find 9 items for update: '0', '1', '2', '3', '4', \.\.\."):
        docs.update(ids=[str(n) for n in range(9)], documents=["x"] * 9, merge=merge)


def test_the_function_is_not_recorded_by_a_call_that_fails(backend: Backend) -> None:
    backend.client.create_collection("docs").add(ids="a", embeddings=VECTOR)
    before = dump(backend.client)
    docs = backend.client.get_collection("docs", embedding_function=embed)
    with refused(IDNotFoundError, "Could not find 1"):
        docs.update(ids="nobody", documents="text")
    with refused(IDNotFoundError, "Could not find 1"):
        docs.update(ids=["nobody", "a"], documents=["text", None])
    narrow = backend.client.get_collection("docs", embedding_function=lambda texts: [[1.0]] * len(texts))
    with refused(InvalidDimensionError, "3"):
        narrow.add(ids="b", documents="text")
    assert dump(backend.client) == before
    assert dump(backend.reopen()) == before


# queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vectors", "error", "message"),
    [
        ([[1, 2]], InvalidDimensionError, r"Dimensionality of \(2\).* \(3\).*'docs'.*embed"),
        ([1, 2, 3, 4], InvalidDimensionError, r"\(4\).*\(3\)"),
        ([VECTOR, [1]], InvalidDimensionError, "query embeddings to have one dimension"),
        ([1, 2, math.nan], InvalidArgumentError, "query embeddings hold NaN"),
        ([1, 2, math.inf], InvalidArgumentError, "query embeddings hold NaN or infinite"),
        ([], InvalidArgumentError, "query embeddings to be a non-empty list"),
        ([[]], InvalidArgumentError, "non-empty"),
        (5, InvalidArgumentError, "got 5"),
        ([None], InvalidArgumentError, "None at position 0"),
        (None, InvalidArgumentError, "either query embeddings or query texts, but not both"),
    ],
)
def test_query_vectors(docs: Collection, vectors: Any, error: type[ChromaNbError], message: str) -> None:
    with refused(error, message):
        docs.query(vectors)


def test_query_texts(docs: Collection) -> None:
    with refused(InvalidArgumentError, "either query embeddings or query texts, but not both"):
        docs.query([VECTOR], query_texts=["x"])
    with refused(InvalidArgumentError, "either query embeddings or query texts, but not both"):
        docs.query()
    for texts, message in (
        ([], "non-empty"),
        (["x", None], "list of str"),
        ([5], "got 5"),
        (5, "a list, got 5"),
        ([SURROGATE], "surrogate"),
    ):
        with refused(InvalidArgumentError, message):
            docs.query(query_texts=texts)
    with refused(InvalidArgumentError, "got 5 at position 1"):
        docs.query(["x", 5])


@pytest.mark.parametrize("n_results", [0, -1, np.int64(0)])
def test_n_results_out_of_range(docs: Collection, n_results: Any) -> None:
    message = f"Number of requested results {n_results}, cannot be negative, or zero"
    with refused(InvalidNumberOfResultsError, message):
        docs.query(VECTOR, n_results=n_results)
    with pytest.raises(TypeError, match=message):  # as Chroma 0.3 has it
        docs.query(VECTOR, n_results=n_results)
    with pytest.raises(ValueError, match=message):
        docs.query(VECTOR, n_results=n_results)


@pytest.mark.parametrize("n_results", [True, "5", 1.0, None, [1], math.nan])
def test_n_results_of_another_type(docs: Collection, n_results: Any) -> None:
    with refused(InvalidNumberOfResultsError, "Expected requested number of results to be a int, got"):
        docs.query(VECTOR, n_results=n_results)


@pytest.mark.parametrize("number", [-1, True, "5", 1.5, math.nan, [1], np.int64(-1)])
def test_limit_and_offset(docs: Collection, backend: Backend, number: Any) -> None:
    for call, name in ((docs.get, "limit"), (docs.get, "offset"), (docs.peek, "limit")):
        with refused(InvalidArgumentError, f"Expected {name} to be a whole number, 0 or more"):
            call(**{name: number})
    for name in ("limit", "offset"):
        with refused(InvalidArgumentError, f"Expected {name} to be a whole number, 0 or more"):
            backend.client.list_collections(**{name: number})


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("documents", "Expected include to be a list, got 'documents'"),
        (None, "Expected include to be a list, got None"),
        (["documets"], "got 'documets'. Did you mean \"documents\""),
        (["documents", 5], "got 5"),
        ([["documents"]], r"got \['documents'\]"),
        (["ids"], "got 'ids'"),
    ],
)
def test_include(docs: Collection, include: Any, message: str) -> None:
    with refused(InvalidArgumentError, message):
        docs.get(include=include)
    with refused(InvalidArgumentError, message):
        docs.query(VECTOR, include=include)


def test_get_has_no_distances(docs: Collection) -> None:
    with refused(InvalidArgumentError, "one of metadatas, documents, embeddings, got 'distances'"):
        docs.get(include=["distances"])


def test_ids_of_selections(docs: Collection) -> None:
    for call in (docs.get, docs.delete, docs.embeddings):
        for ids, message in (
            (5, "got 5"),
            (["a", 5], "position 1"),
            ([SURROGATE], "lone surrogate"),
            ({"a": 1}, "a list"),
        ):
            with refused(InvalidArgumentError, message):
                call(ids)
        with refused(DuplicateIDError, "found 1 duplicated"):
            call(["a", "a"])
    with refused(InvalidArgumentError, r"1 of these ids do not exist: \['nobody'\]"):
        docs.embeddings(["a", "nobody"])
    with refused(DuplicateIDError, "found 1 duplicated"):
        docs.query(VECTOR, ids=["a", "a"])


# filters --------------------------------------------------------------------------------------

FILTERS: list[tuple[Any, str]] = [
    ("k", "Expected where to be a dict, got 'k'"),
    (5, "Expected where to be a dict, got 5"),
    ([{"k": 1}], "Expected where to be a dict"),
    (False, "Expected where to be a dict, got False"),
    ({"k": 1, "s": "t"}, r"Expected where to have exactly one operator.*\{\"\$and\": \[\{'k': 1\}, \{'s': 't'\}\]\}"),
    ({5: 1}, "Expected where key to be a str, got 5"),
    ({None: 1}, "Expected where key to be a str, got None"),
    ({"$and": {"k": 1}}, r"Expected where value for \$and to be a list of where expressions"),
    ({"$or": "k"}, r"Expected where value for \$or to be a list"),
    ({"$and": None}, r"Expected where value for \$and to be a list"),
    ({"$and": []}, "a list with at least two where expressions"),
    ({"$or": [{"k": 1}]}, "a list with at least two where expressions.*Write its only member without it"),
    ({"$and": [{"k": 1}, {}]}, r"Expected where to have exactly one operator.*\{\} alone means no filter"),
    ({"$and": [{"k": 1}, "s"]}, "Expected where to be a dict, got 's'"),
    ({"$and": [{"k": 1}, {"k": {"$foo": 1}}]}, "where operator to be one of"),
    ({"$or": [{"k": 1}, {"$and": [{"k": 1}]}]}, "at least two"),
    (_nested({"k": 1}, 100), "nested at most 64 levels deep"),
    ({"$gt": 5}, r"Expected where operator to be one of \$and, \$or, got \$gt.*inside a key"),
    ({"$nor": [{"k": 1}, {"k": 2}]}, r"got \$nor.*Did you mean \"\$or\""),
    ({"$contains": "x"}, r"Expected where operator to be one of \$and, \$or, got \$contains"),
    ({"k": None}, "Expected where value to be a str, int, float, bool, or operator expression, got None"),
    ({"k": [1]}, r"Expected where value to be a str.*got \[1\]"),
    ({"k": b"x"}, "Expected where value to be a str"),
    ({"k": 1j}, "Expected where value to be a str"),
    ({"k": math.nan}, "NaN, which equals nothing"),
    ({"k": np.float32("nan")}, "NaN, which equals nothing"),
    ({"k": {}}, "Expected operator expression to have exactly one operator.*'k'"),
    (
        {"k": {"$gt": 1, "$lt": 2}},
        r"exactly one operator.*Write \{\"\$and\": \[\{'k': \{'\$gt': 1\}\}, \{'k': \{'\$lt': 2\}\}\]\}",
    ),
    ({"k": {"$foo": 1}}, r"Expected where operator to be one of \$eq, .*got '\$foo'"),
    ({"k": {"$not_in": [1]}}, r"Did you mean \"\$nin\""),
    ({"k": {"eq": 1}}, "Expected where operator to be one of"),
    ({"k": {5: 1}}, "Expected where operator to be one of.*got 5"),
    ({"k": {"$and": [1, 2]}}, "Expected where operator to be one of"),
    ({"k": {"$eq": None}}, "Expected where operand value to be a str, int, float, or bool, got None"),
    ({"k": {"$eq": [1]}}, "Expected where operand value to be a str"),
    ({"k": {"$ne": {"a": 1}}}, "Expected where operand value to be a str"),
    ({"k": {"$ne": math.nan}}, "NaN"),
    *(
        ({"k": {operator: "1"}}, rf"to be an int or a float for operator \{operator}, got '1'")
        for operator in ("$gt", "$gte", "$lt", "$lte")
    ),
    ({"k": {"$gt": True}}, r"to be an int or a float for operator \$gt, got True"),
    ({"k": {"$lte": None}}, r"to be an int or a float for operator \$lte, got None"),
    ({"k": {"$lt": math.nan}}, "NaN"),
    ({"k": {"$in": "ab"}}, r"to be a list for operator \$in, got 'ab'"),
    ({"k": {"$nin": 5}}, r"to be a list for operator \$nin, got 5"),
    ({"k": {"$in": {"a": 1}}}, r"to be a list for operator \$in"),
    ({"k": {"$in": [1, None]}}, r"operand values of \$in to be str, int, float, or bool, got None"),
    ({"k": {"$nin": [[1]]}}, r"operand values of \$nin"),
    ({"k": {"$in": [math.nan]}}, "NaN"),
    *(
        ({"k": {operator: 5}}, rf"operand value for operator \{operator} to be a str, got 5")
        for operator in ("$contains", "$not_contains", "$regex", "$not_regex")
    ),
    ({"k": {"$contains": ["x"]}}, "to be a str"),
    ({"k": SURROGATE}, "lone surrogate"),
    ({SURROGATE: 1}, "lone surrogate"),
    ({"k": {"$ne": SURROGATE}}, "lone surrogate"),
    ({"k": {"$in": ["x", SURROGATE]}}, "lone surrogate"),
    ({"k": {"$regex": SURROGATE}}, "lone surrogate"),
    ({"s": {"$regex": "("}}, "filter cannot be evaluated|regular expression"),
]
DOCUMENT_FILTERS: list[tuple[Any, str]] = [
    ("x", "Expected where document to be a dict, got 'x'"),
    (["x"], "Expected where document to be a dict"),
    ({"$contains": "x", "$regex": "y"}, r"Expected where document to have exactly one operator.*\$and"),
    ({5: "x"}, "Expected where document key to be a str"),
    ({"contains": "x"}, r"Expected where document operator to be one of \$contains.*Did you mean \"\$contains\""),
    ({"$eq": "x"}, r"Expected where document operator to be one of .*got '\$eq'"),
    ({"k": {"$contains": "x"}}, "Expected where document operator to be one of"),
    ({"$contains": 5}, r"Expected where document operand value for operator \$contains to be a str, got 5"),
    ({"$contains": None}, "to be a str, got None"),
    ({"$contains": ["x"]}, "to be a str"),
    ({"$not_regex": b"x"}, "to be a str"),
    ({"$and": [{"$contains": "x"}]}, "at least two where document expressions"),
    ({"$or": []}, "at least two where document expressions"),
    ({"$or": {"$contains": "x"}}, "to be a list of where document expressions"),
    ({"$and": [{"$contains": "x"}, {}]}, "exactly one operator"),
    ({"$and": [{"$contains": "x"}, {"k": 1}]}, "Expected where document operator"),
    ({"$contains": SURROGATE}, "lone surrogate"),
    ({"$regex": "["}, "filter cannot be evaluated|regular expression"),
]


@pytest.mark.parametrize(
    ("name", "filter_", "message"),
    [("where", *case) for case in FILTERS] + [("where_document", *case) for case in DOCUMENT_FILTERS],
    ids=lambda value: ascii(value)[:60],
)
def test_filters(memory_docs: Collection, name: str, filter_: Any, message: str) -> None:
    for call in (memory_docs.get, memory_docs.delete):
        with refused(InvalidArgumentError, message):
            call(**{name: filter_})
    with refused(InvalidArgumentError, message):
        memory_docs.query(VECTOR, **{name: filter_})
    with refused(InvalidArgumentError, message):
        memory_docs.delete(ids=["a"], **{name: filter_})


# collections ----------------------------------------------------------------------------------

GOOD_NAMES = [
    "abc",
    "a" * 63,
    "A.b",
    "a-_-b",
    "123",
    "1.2.3.4.5",
    "1.2.3",
    "a.1.2.3.4",
    "Docs",
    "0-0",
    "1234.1.1.1",
    "12a34b56c78",
    "select",
    "main",
]
BAD_NAMES = [
    "",
    "a",
    "ab",
    "a" * 64,
    "_abc",
    "abc_",
    "-abc",
    "abc-",
    ".abc",
    "abc.",
    "a..b",
    "a b",
    " abc",
    "abc ",
    "abc\n",
    "a/b",
    "äbc",
    "abç",
    "a\0b",
    "1.2.3.4",
    "999.999.999.999",
    "192.168.5.4",
    "a\ud800b",
    "٣٣٣",
    "a%b",
    "a'b",
    'a"b',
    "😀😀😀",
    "a\u200bb",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names(memory: Client, name: str) -> None:
    collection = memory.create_collection(name)
    assert memory.get_collection(name) == collection
    assert name in memory
    memory.delete_collection(name)
    other = memory.create_collection("another")
    other.modify(name=name)
    assert memory.list_collections().index.tolist() == [name]
    memory.delete_collection(name)


def test_bad_names(docs: Collection, backend: Backend) -> None:
    message = (
        r"^Expected collection name that \(1\) contains 3-63 characters, .*\(5\) is not a valid IPv4 address, got "
    )
    for name in BAD_NAMES:
        for call in (backend.client.create_collection, backend.client.get_or_create_collection):
            with refused(InvalidArgumentError, message):
                call(name)
        with refused(InvalidArgumentError, message):
            docs.modify(name=name, metadata={"new": 1})


def test_names_of_what_has_not_wholly_arrived(docs: Collection, backend: Backend) -> None:
    for kind, end in (("copying", "7"), ("importing", 16 * "b"), ("filling", 16 * "b")):
        name = f"{kind}-{32 * 'a'}-{end}"
        for call in (backend.client.create_collection, backend.client.get_or_create_collection):
            with refused(InvalidArgumentError, "is a name of collections that have not wholly arrived"):
                call(name)
        with refused(InvalidArgumentError, "have not wholly arrived"):
            docs.modify(name=name)


@pytest.mark.parametrize("name", [None, 5, b"docs", ["docs"]])
def test_names_that_are_no_text(docs: Collection, backend: Backend, name: Any) -> None:
    for call in (backend.client.create_collection, backend.client.get_or_create_collection):
        with pytest.raises(TypeError, match="The name of a collection is a str, got"):
            call(name)
    if name is not None:
        with pytest.raises(TypeError, match="The name of a collection is a str, got"):
            docs.modify(name=name)


def test_missing_collections(docs: Collection, backend: Backend) -> None:
    client = backend.client
    for call in (client.get_collection, client.delete_collection, client.create_index, lambda name: client[name]):
        with refused(CollectionNotFoundError, 'Collection dcos does not exist. Did you mean "docs"'):
            call("dcos")
        with refused(CollectionNotFoundError, 'Collection zebra does not exist. Available: "other", "docs"'):
            call("zebra")
        for name in ("", ".", "..", "a/b", "docs/count", "docs?limit=1", "docs#", "d ocs", "d\u00f6cs"):
            with refused(CollectionNotFoundError, f"Collection {re.escape(name)} does not exist"):
                call(name)
    for builtin in (ValueError, KeyError):
        with pytest.raises(builtin, match="Collection dcos does not exist"):
            client.get_collection("dcos")
    with refused(CollectionNotFoundError, "deleted"):
        client.get_collection_by_id("00000000-0000-0000-0000-000000000000")
    for bad in ("nobody", "", None, 5):
        with refused(InvalidUUIDError, "Could not parse .* as a UUID"):
            client.get_collection_by_id(bad)  # type: ignore[arg-type]


def test_taken_names(docs: Collection, backend: Backend) -> None:
    with refused(CollectionExistsError, "Collection with name docs already exists.*get_or_create_collection"):
        backend.client.create_collection("docs", {"new": 1})
    with pytest.raises(ValueError, match="already exists"):
        backend.client.create_collection("docs")
    with refused(CollectionExistsError, "Collection with name other already exists"):
        docs.modify(name="other", metadata={"new": 1})
    assert (docs.name, docs.metadata) == ("docs", None)
    docs.modify(name="docs")  # its own name is no conflict


METADATA: list[tuple[Any, str]] = [
    ({}, "collection metadata to be a non-empty dict"),
    ("k", "collection metadata to be a non-empty dict"),
    ([("k", 1)], "collection metadata to be a non-empty dict"),
    ({5: 1}, "metadata key to be a str, got 5"),
    ({"k": None}, "got None for key 'k'"),
    ({"k": [1]}, r"got \[1\] for key 'k'"),
    ({"k": {}}, "for key 'k'"),
    ({"k": math.nan}, "NaN"),
    ({"k": 2**63}, "64 bits"),
    ({"k": SURROGATE}, "lone surrogate"),
    ({SURROGATE: 1}, "lone surrogate"),
    ({"hnsw:foo": 1}, r"Unknown HNSW parameter: hnsw:foo"),
    ({"hnsw:spaec": "l2"}, r'Unknown HNSW parameter: hnsw:spaec. Did you mean "hnsw:space"'),
    ({"hnsw:space": "manhattan"}, "hnsw:space must be"),
    ({"hnsw:space": 5}, "hnsw:space must be"),
    *(
        ({key: value}, f"Invalid value for HNSW parameter: {key} = ")
        for key in (
            "hnsw:construction_ef",
            "hnsw:search_ef",
            "hnsw:M",
            "hnsw:num_threads",
            "hnsw:batch_size",
            "hnsw:sync_threshold",
        )
        for value in (0, -1, "many", 1.5, True, "", math.inf, 10**9, "nan")
    ),
    *(
        ({"hnsw:resize_factor": value}, "Invalid value for HNSW parameter: hnsw:resize_factor = ")
        for value in (0.5, -1, "x", True, "nan")
    ),
    ({"hnsw:M": 1}, "hnsw:M = 1"),
]


@pytest.mark.parametrize(("metadata", "message"), METADATA, ids=[str(case) for case, _ in METADATA])
def test_collection_metadata(memory_docs: Collection, module_client: Client, metadata: Any, message: str) -> None:
    for call in (module_client.create_collection, module_client.get_or_create_collection):
        with refused(InvalidArgumentError, message):
            call("new", metadata)
    with refused(InvalidArgumentError, message):
        memory_docs.modify(metadata=metadata)
    with refused(InvalidArgumentError, message):
        memory_docs.modify(name="renamed", metadata=metadata)
    assert memory_docs.name == "docs"


def test_the_space_cannot_change(docs: Collection, backend: Backend) -> None:
    with refused(InvalidArgumentError, "hnsw:space of collection 'docs' is 'l2' and cannot become 'cosine'"):
        docs.modify(metadata={"hnsw:space": "cosine"})
    with refused(InvalidArgumentError, "'l2' and cannot become 'ip'"):
        backend.client.get_or_create_collection("docs", {"hnsw:space": "ip"})


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("x", "configuration"),
        ([], "configuration"),
        ({"hnsw": 5}, "hnsw"),
        ({"hnsw": {"spcae": "l2"}}, 'Unknown HNSW configuration: spcae. Did you mean "space"'),
        ({"hnsw": {5: 1}}, "Unknown HNSW configuration: 5"),
        ({"hnsw": {"space": "x"}}, "hnsw:space must be"),
        ({"hnsw": {"max_neighbors": 0}}, "hnsw:M = 0"),
        ({"hnsw": {"ef_search": None}}, "hnsw:search_ef = None"),
    ],
)
def test_configurations(docs: Collection, backend: Backend, configuration: Any, message: str) -> None:
    with refused(InvalidArgumentError, message):
        backend.client.create_collection("new", configuration=configuration)


def test_a_handle_of_a_deleted_collection(backend: Backend) -> None:
    client = backend.client
    collection = client.create_collection("gone", embedding_function=embed)
    collection.add(ids="a", embeddings=VECTOR)
    client.delete_collection("gone")
    again = client.create_collection("gone", embedding_function=embed)
    before = dump(client)
    calls: list[tuple[Any, dict[str, Any]]] = [
        (collection.add, {"ids": "a", "embeddings": VECTOR}),
        (collection.add, {"ids": "a", "documents": "x"}),
        (collection.update, {"ids": "a", "documents": "x"}),
        (collection.update, {"ids": ["a", "b"], "documents": ["x", None]}),
        (collection.upsert, {"ids": "a", "embeddings": VECTOR}),
        (collection.delete, {}),
        (collection.get, {}),
        (collection.peek, {}),
        (collection.query, {"query_embeddings": VECTOR}),
        (collection.query, {"query_texts": "x"}),
        (collection.count, {}),
        (collection.embeddings, {}),
        (collection.modify, {"name": "new"}),
        (collection.modify, {"metadata": {"k": 1}}),
        (collection.create_index, {}),
    ]
    for call, arguments in calls:
        with refused(CollectionNotFoundError, "deleted"):
            call(**arguments)
    assert again.count() == 0
    assert dump(client) == before
    assert dump(backend.reopen()) == before
    assert repr(collection) == "Collection(name=gone)"


# embedding functions --------------------------------------------------------------------------


def test_a_failing_function(docs: Collection, backend: Backend) -> None:
    broken = backend.client.get_collection("docs", embedding_function=named("embed", failing))
    calls: list[tuple[Any, dict[str, Any]]] = [
        (broken.add, {"ids": "c", "documents": "x"}),
        (broken.update, {"ids": "a", "documents": "x"}),
        (broken.update, {"ids": ["a", "b"], "documents": ["x", None]}),
        (broken.upsert, {"ids": "a", "documents": "x"}),
        (broken.query, {"query_texts": "x"}),
    ]
    for call, arguments in calls:
        with refused(EmbeddingFunctionError, "failed on 1 text: RuntimeError: no more quota"):
            call(**arguments)


class named:  # noqa: N801 - used like a function
    """A function under another name."""

    def __init__(self, name: str, function: Any) -> None:
        self._name, self._function = name, function

    def __call__(self, input: list[str]) -> Any:
        return self._function(input)

    def name(self) -> str:
        return self._name


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "returned 0 vectors for 1 text"),
        ([[1, 2, 3]] * 2, "returned 2 vectors for 1 text"),
        ([[1, 2, math.nan]], "embed"),
        ([["x", "y", "z"]], "embed"),
        (None, "embed"),
        ("text", "embed"),
        ([[]], "embed"),
    ],
)
def test_a_function_that_returns_nonsense(docs: Collection, backend: Backend, answer: Any, message: str) -> None:
    odd = backend.client.get_collection("docs", embedding_function=named("embed", lambda texts: answer))
    with refused(EmbeddingFunctionError, message):
        odd.add(ids="c", documents="x")
    with refused(EmbeddingFunctionError, message):
        odd.query("x")


def test_a_function_of_another_dimension(docs: Collection, backend: Backend) -> None:
    other = backend.client.get_collection("docs", embedding_function=named("embed", lambda texts: [[1.0]] * len(texts)))
    for call in (lambda: other.add(ids="c", documents="x"), lambda: other.query("x")):
        with refused(InvalidDimensionError, "1.*3"):
            call()


def test_another_function_than_the_recorded_one(docs: Collection, backend: Backend) -> None:
    other = backend.client.get_collection("docs", embedding_function=failing)
    for call in (
        lambda: other.add(ids="c", documents="x"),
        lambda: other.query("x"),
        lambda: other.upsert("a", documents="x"),
    ):
        with refused(
            EmbeddingFunctionError, "'docs' was made with the embedding function 'embed', and this is 'failing'"
        ):
            call()


def test_a_function_that_must_be_passed_again(docs: Collection, backend: Backend) -> None:
    again = backend.client.get_collection("docs")
    with refused(
        EmbeddingFunctionError, r"'embed', which cannot be rebuilt.*get_collection\('docs', embedding_function=\.\.\.\)"
    ):
        again.query("x")


def test_no_function(docs: Collection, backend: Backend) -> None:
    without = backend.client.get_collection("docs", embedding_function=None)
    for call in (
        lambda: without.add(ids="c", documents="x"),
        lambda: without.query("x"),
        lambda: without.update("a", documents="y"),
    ):
        with refused(EmbeddingFunctionError, "You must provide embeddings or a function to compute them"):
            call()


@pytest.mark.parametrize("function", ["nonsense", "wordlama", 5, object()])
def test_what_is_no_function(docs: Collection, backend: Backend, function: Any) -> None:
    with refused(EmbeddingFunctionError, "embedding function"):
        backend.client.create_collection("new", embedding_function=function)
    with refused(EmbeddingFunctionError, "embedding function"):
        backend.client.get_collection("docs", embedding_function=function)


# clients --------------------------------------------------------------------------------------


def test_client_arguments(tmp_path: Any) -> None:
    with refused(InvalidArgumentError, "Give the path once"):
        Client(tmp_path, path=tmp_path)
    with refused(InvalidArgumentError, "Client takes a path or Settings, got 5"):
        Client(5)  # type: ignore[arg-type]
    with refused(InvalidArgumentError, "read_only=True needs a path"):
        Client(read_only=True)
    with refused(InvalidArgumentError, "say where the data goes: persist_directory"):
        Client(Settings(chroma_db_impl="duckdb+parquet"))
    with refused(InvalidArgumentError, "chroma_db_impl must be 'duckdb'"):
        Client(Settings(chroma_db_impl="clickhouse"))
    with refused(InvalidArgumentError, "say where the server is: chroma_server_host"):
        Client(Settings(chroma_api_impl="rest"))
    with refused(InvalidArgumentError, "chroma_api_impl must be 'local' or 'rest' \\(a server\\), got 'soap'"):
        Client(Settings(chroma_api_impl="soap"))
    for port in ("abc", 0, 70_000, "-1", "80.5"):
        with refused(InvalidArgumentError, "a number from 1 to 65535"):
            HttpClient("localhost", port)
    for timeout in ("soon", 0, -1.0, math.inf, math.nan, None):
        with refused(InvalidArgumentError, "a positive number of seconds"):
            HttpClient("localhost", settings=Settings(chroma_query_request_timeout_seconds=timeout))
    with refused(InvalidArgumentError, "read_only=True is for directories"):
        Client(Settings(chroma_api_impl="rest", chroma_server_host="localhost"), read_only=True)
    with refused(InvalidArgumentError, "Settings has no 'persist_dir'. Did you mean \"persist_directory\""):
        Settings(persist_dir="x")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_client(backend: Backend) -> None:
    client = backend.client
    collection = client.create_collection("docs")
    client.close()
    client.close()
    for call in (
        client.list_collections,
        collection.count,
        collection.get,
        client.reset,
        lambda: client.create_collection("new"),
        lambda: client.sql("select 1"),
    ):
        with refused(ClosedStoreError, "This client was closed"):
            call()
