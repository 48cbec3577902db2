"""The SQL of each operator, literally: a change of any is a change of meaning or of speed."""

from __future__ import annotations

from typing import Any

import pytest

from chroma_nb.store.where_sql import Place, condition, float_bound, int_bound
from chroma_nb.types import Kind
from chroma_nb.where import parse_where, parse_where_document

PLACES = {
    "s": {Kind.STR: Place(0, "c0")},
    "i": {Kind.INT: Place(1, "c1")},
    "f": {Kind.FLOAT: Place(2, "c2")},
    "b": {Kind.BOOL: Place(3, "c3")},
    "n": {Kind.INT: Place(4, "c4"), Kind.FLOAT: Place(5, "c5")},
    "all": {Kind.STR: Place(6, "c6"), Kind.INT: Place(7, None), Kind.BOOL: Place(8, "c8")},
    "rare": {Kind.STR: Place(9, None)},
    "any\"; 'text": {Kind.STR: Place(10, "c10")},
}
RARE = '"row" IN (SELECT "row" FROM rare_table WHERE key = ? AND '


def sql(where: dict[str, Any]) -> tuple[str, list[Any]]:
    tree = parse_where(where)
    assert tree is not None
    return condition(tree, PLACES, "rare_table")


CASES: list[tuple[dict[str, Any], str, list[Any]]] = [
    ({"s": "x"}, "coalesce(c0 = ?::VARCHAR, false)", ["x"]),
    ({"s": {"$eq": "x"}}, "coalesce(c0 = ?::VARCHAR, false)", ["x"]),
    ({"b": True}, "coalesce(c3 = ?::BOOLEAN, false)", [True]),
    ({"i": 2}, "(coalesce(c1 = ?::BIGINT, false))", [2]),
    ({"i": 2.0}, "(coalesce(c1 = ?::BIGINT, false))", [2]),
    ({"i": 2.5}, "false", []),
    ({"f": 2}, "(coalesce(c2 = ?::DOUBLE, false))", [2.0]),
    ({"f": 2**53 + 1}, "false", []),
    ({"n": 2}, "(coalesce(c4 = ?::BIGINT, false) OR coalesce(c5 = ?::DOUBLE, false))", [2, 2.0]),
    ({"i": {"$gt": 2}}, "(coalesce(c1 > ?::BIGINT, false))", [2]),
    ({"i": {"$gt": 2.5}}, "(coalesce(c1 >= ?::BIGINT, false))", [3]),
    ({"i": {"$gte": 2}}, "(coalesce(c1 >= ?::BIGINT, false))", [2]),
    ({"i": {"$lt": 2.5}}, "(coalesce(c1 <= ?::BIGINT, false))", [2]),
    ({"i": {"$lte": 2}}, "(coalesce(c1 <= ?::BIGINT, false))", [2]),
    ({"i": {"$lt": 2**80}}, "(coalesce(c1 >= ?::BIGINT, false))", [-(2**63)]),
    ({"i": {"$gt": 2**80}}, "false", []),
    ({"f": {"$gt": 2**53 + 1}}, "(coalesce(c2 > ?::DOUBLE, false))", [2.0**53]),
    ({"f": {"$lt": 2**53 + 1}}, "(coalesce(c2 <= ?::DOUBLE, false))", [2.0**53]),
    ({"s": {"$gt": 2}}, "false", []),
    ({"s": {"$ne": "x"}}, "((coalesce(c0 IS NOT NULL, false)) AND NOT ((coalesce(c0 = ?::VARCHAR, false))))", ["x"]),
    ({"s": {"$ne": 2}}, "((coalesce(c0 IS NOT NULL, false)) AND NOT ((false)))", []),
    ({"s": {"$in": ["x", "y"]}}, "(coalesce(c0 = ?::VARCHAR, false) OR coalesce(c0 = ?::VARCHAR, false))", ["x", "y"]),
    ({"s": {"$in": []}}, "false", []),
    (
        {"s": {"$nin": ["x", 1]}},
        "((coalesce(c0 IS NOT NULL, false)) AND NOT ((coalesce(c0 = ?::VARCHAR, false) OR false)))",
        ["x"],
    ),
    ({"s": {"$nin": []}}, "((coalesce(c0 IS NOT NULL, false)) AND NOT (false))", []),
    ({"s": {"$contains": "x"}}, "coalesce(coalesce(contains(c0, ?::VARCHAR), false), false)", ["x"]),
    ({"s": {"$not_contains": "x"}}, "coalesce(coalesce(NOT contains(c0, ?::VARCHAR), false), false)", ["x"]),
    ({"s": {"$regex": "x"}}, "coalesce(coalesce(regexp_matches(c0, ?::VARCHAR), false), false)", ["x"]),
    ({"s": {"$not_regex": "x"}}, "coalesce(coalesce(NOT regexp_matches(c0, ?::VARCHAR), false), false)", ["x"]),
    ({"i": {"$contains": "x"}}, "false", []),
    ({"unknown": "x"}, "false", []),
    ({"unknown": {"$ne": "x"}}, "(false AND NOT ((false)))", []),
    ({"any\"; 'text": "it's; --"}, "coalesce(c10 = ?::VARCHAR, false)", ["it's; --"]),
    ({"rare": "x"}, RARE + "s = ?::VARCHAR)", [9, "x"]),
    ({"rare": {"$contains": "x"}}, RARE + "coalesce(contains(s, ?::VARCHAR), false))", [9, "x"]),
    ({"rare": {"$ne": "x"}}, f"(({RARE}s IS NOT NULL)) AND NOT (({RARE}s = ?::VARCHAR))))", [9, 9, "x"]),
    ({"all": 1}, f"({RARE}i = ?::BIGINT))", [7, 1]),
    (
        {"all": {"$ne": True}},
        (
            f"((coalesce(c6 IS NOT NULL, false) OR {RARE}i IS NOT NULL) OR coalesce(c8 IS NOT NULL, false)) "
            "AND NOT ((coalesce(c8 = ?::BOOLEAN, false))))"
        ),
        [7, True],
    ),
    (
        {"$and": [{"s": "x"}, {"$or": [{"i": 1}, {"b": False}]}]},
        (
            "(coalesce(c0 = ?::VARCHAR, false) AND "
            "((coalesce(c1 = ?::BIGINT, false)) OR coalesce(c3 = ?::BOOLEAN, false)))"
        ),
        ["x", 1, False],
    ),
]


@pytest.mark.parametrize(("where", "text", "parameters"), CASES, ids=[str(where) for where, *_ in CASES])
def test_sql_of_an_operator(where: dict[str, Any], text: str, parameters: list[Any]) -> None:
    made = sql(where)
    assert made == (text, parameters)
    assert [type(value) for value in made[1]] == [type(value) for value in parameters]


@pytest.mark.parametrize(
    ("where", "text", "parameters"),
    [
        ({"$contains": "x"}, "coalesce(contains(document, ?::VARCHAR), false)", ["x"]),
        ({"$not_contains": "x"}, "coalesce(NOT contains(document, ?::VARCHAR), false)", ["x"]),
        ({"$regex": "x"}, "coalesce(regexp_matches(document, ?::VARCHAR), false)", ["x"]),
        ({"$not_regex": "x"}, "coalesce(NOT regexp_matches(document, ?::VARCHAR), false)", ["x"]),
        (
            {"$or": [{"$contains": "x"}, {"$contains": "y"}]},
            "(coalesce(contains(document, ?::VARCHAR), false) OR coalesce(contains(document, ?::VARCHAR), false))",
            ["x", "y"],
        ),
    ],
)
def test_sql_of_a_document_filter(where: dict[str, Any], text: str, parameters: list[Any]) -> None:
    tree = parse_where_document(where)
    assert tree is not None
    assert condition(tree, PLACES, "rare_table") == (text, parameters)


@pytest.mark.parametrize("operator", ["$eq", "$gt", "$gte", "$lt", "$lte"])
@pytest.mark.parametrize(
    "operand",
    [
        0,
        -0.0,
        2.5,
        -2.5,
        2**53 + 1,
        -(2**53) - 1,
        2**63 - 1,
        2**63,
        -(2**63),
        -(2**63) - 1,
        10**400,
        -(10**400),
        1e308,
        5e-324,
        -5e-324,
        float("inf"),
        float("-inf"),
        float(2**63),
        float(-(2**63)),
    ],
)
def test_bounds_say_the_same_as_the_comparison(operator: str, operand: float) -> None:
    compare = {
        "$eq": lambda a, b: a == b,
        "$gt": lambda a, b: a > b,
        "$gte": lambda a, b: a >= b,
        "$lt": lambda a, b: a < b,
        "$lte": lambda a, b: a <= b,
    }
    ints = [0, 1, -1, 2, 3, -2, -3, 2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**63 - 1, -(2**63), -(2**63) + 1]
    floats = [*map(float, ints), 2.5, -2.5, 5e-324, -5e-324, 1.7976931348623157e308, float("inf"), float("-inf")]
    for bound, stored in ((int_bound(operator, operand), ints), (float_bound(operator, operand), floats)):
        for value in stored:
            expected = compare[operator](value, operand)
            assert expected == (bound is not None and compare[bound[0]](value, bound[1])), (value, bound)
