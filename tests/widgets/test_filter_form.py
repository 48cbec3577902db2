"""The filter form, without a page: controls, chips, code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chroma_nb_widgets.filter_form import FilterForm
from chroma_nb_widgets.models.query import QueryModel
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from tests.store import strategies

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = [f"word{at}" for at in range(40)]


@pytest.fixture
def model() -> Iterator[QueryModel]:
    with chroma_nb.Client() as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(
            ids=[f"i{at}" for at in range(40)],
            embeddings=np.ones((40, 2)),
            documents=[f"about {word}" for word in WORDS],
            metadatas=[
                {"year": 1990 + at, "x": at / 8, "lang": "en" if at % 4 else "de", "word": WORDS[at], "ok": at % 2 == 0}
                | ({"any": at} if at else {"any": "text"})
                for at in range(40)
            ],
        )
        yield QueryModel(docs)


@pytest.fixture
def form(model: QueryModel) -> Iterator[FilterForm]:
    made = FilterForm(model)
    yield made
    made.close()


def editor(form: FilterForm, key: str) -> dict[str, Any]:
    form.act("open", key=key)
    (found,) = [editor for editor in form.shown["editors"] if editor["key"] == key]
    return dict(found)


def labels(form: FilterForm) -> list[str]:
    return [chip["label"] for chip in form.shown["chips"]]


def test_columns_have_types_and_in_time_counts(form: FilterForm) -> None:
    columns = form.shown["columns"]
    assert [(column["key"], column["type"]) for column in columns] == [
        ("year", "int"), ("x", "float"), ("lang", "text"), ("word", "text"), ("ok", "yes/no"), ("any", "mixed"),
    ]  # fmt: skip
    assert {column["count"] for column in columns} == {None}
    form.act("columns")
    assert {column["count"] for column in form.shown["columns"]} == {40}


def test_a_range(form: FilterForm, model: QueryModel) -> None:
    shown = editor(form, "year")
    assert (shown["kind"], shown["low"], shown["high"], shown["whole"]) == ("number", 1990, 2029, True)
    assert (sum(shown["bins"]), shown["from"], shown["to"]) == (40, "", "")
    form.act("range", key="year", low="2000", high="2010")
    assert model.where == {"$and": [{"year": {"$gte": 2000}}, {"year": {"$lte": 2010}}]}
    assert all(type(bound) is int for part in model.where["$and"] for bound in part["year"].values())
    assert labels(form) == ["year: 2000 – 2010"]
    assert (editor(form, "year")["from"], editor(form, "year")["to"]) == ("2000", "2010")
    form.act("range", key="year", low="2e3", high="")
    assert model.where == {"year": {"$gte": 2000}}
    form.act("range", key="year", low="", high=" ")
    assert model.where is None
    form.act("range", key="x", low="", high="0.5")
    assert model.where == {"x": {"$lte": 0.5}}


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [("5", "3", "smaller number goes first"), ("five", "", "not 'five'"), ("nan", "", "not 'nan'"), ("", "inf", "inf")],
)
def test_bounds_that_are_none(form: FilterForm, model: QueryModel, low: str, high: str, message: str) -> None:
    form.act("range", key="year", low=low, high=high)
    assert message in str(model.error)
    assert model.where is None
    form.act("range", key="year", low="2000", high="")
    assert model.error is None


def test_a_choice(form: FilterForm, model: QueryModel) -> None:
    assert editor(form, "lang")["values"] == [("en", 30, False), ("de", 10, False)]
    form.act("choose", key="lang", values=["de"])
    assert model.where == {"lang": "de"}
    assert editor(form, "lang")["values"] == [("en", 30, False), ("de", 10, True)]
    form.act("choose", key="lang", values=["en", "de"])
    assert model.where == {"lang": {"$in": ["en", "de"]}}
    form.act("choose", key="lang", values=[])
    assert model.where is None
    model.where = {"lang": "fr"}  # of which there is none, from code
    assert editor(form, "lang")["values"] == [("fr", 0, True), ("en", 30, False), ("de", 10, False)]


def test_a_text(form: FilterForm, model: QueryModel) -> None:
    assert editor(form, "word")["kind"] == "text"
    form.act("contains", key="word", text="word3")
    assert model.where == {"word": {"$contains": "word3"}}
    assert len(model.positions) == 11
    assert editor(form, "word")["text"] == "word3"
    form.act("contains", key="word", text="")
    assert model.where is None


def test_three_states(form: FilterForm, model: QueryModel) -> None:
    assert (editor(form, "ok")["value"], editor(form, "ok")["yes"], editor(form, "ok")["no"]) == (None, 20, 20)
    form.act("flag", key="ok", value=False)
    assert (model.where, editor(form, "ok")["value"]) == ({"ok": False}, False)
    form.act("flag", key="ok", value=True)
    assert (model.where, editor(form, "ok")["value"]) == ({"ok": True}, True)
    form.act("flag", key="ok", value=None)
    assert (model.where, editor(form, "ok")["value"]) == (None, None)


def test_mixed_values_have_no_control(form: FilterForm) -> None:
    assert editor(form, "any")["kind"] == "mixed"


def test_documents(form: FilterForm, model: QueryModel) -> None:
    form.act("document", text="word3", regex=False)
    assert model.where_document == {"$contains": "word3"}
    assert form.shown["document"]["label"] == "document contains “word3”"
    form.act("document", text="word[12]$", regex=True)
    assert model.positions.tolist() == [1, 2]
    form.act("remove", at=-1)
    assert model.where_document is None
    model.where_document = {"$not_contains": "x"}
    assert form.shown["document"] == {
        "text": "", "regex": False, "label": 'document {"$not_contains": "x"}', "custom": True,
    }  # fmt: skip
    form.act("document", text="(", regex=True)
    assert "missing )" in str(model.error)


def test_all_any_remove_clear(form: FilterForm, model: QueryModel) -> None:
    form.act("flag", key="ok", value=True)
    form.act("range", key="year", low="2025", high="")
    assert len(model.positions) == 2
    form.act("match", match="any")
    assert form.shown["match"] == "any"
    assert len(model.positions) == 23
    form.act("remove", at=0)
    assert model.where == {"year": {"$gte": 2025}}
    form.act("remove", at=7)  # of a page that is behind
    assert labels(form) == ["year ≥ 2025"]
    form.act("document", text="word", regex=False)
    form.act("clear")
    assert (model.where, model.where_document, form.shown["chips"]) == (None, None, [])


def test_filters_from_code_show(form: FilterForm, model: QueryModel) -> None:
    model.where = {"$and": [{"year": {"$gt": 2000}}, {"lang": "de"}, {"nowhere": 1}]}
    assert [(chip["label"], chip["key"], chip["custom"]) for chip in form.shown["chips"]] == [
        ('{"year": {"$gt": 2000}}', None, True), ("lang: de", "lang", False), ("nowhere: 1", None, False),
    ]  # fmt: skip
    form.act("flag", key="ok", value=True)
    assert model.where == {"$and": [{"year": {"$gt": 2000}}, {"lang": "de"}, {"nowhere": 1}, {"ok": True}]}


def test_a_condition_that_its_control_cannot_show_is_told(form: FilterForm, model: QueryModel) -> None:
    model.where = {"year": {"$in": [2000, 2005]}}
    assert editor(form, "year")["other"] == "year: 2000, 2005"
    model.where = {"year": 2000}
    shown = editor(form, "year")
    assert (shown["from"], shown["to"], shown["other"]) == ("2000", "2000", None)
    model.where = {"word": "word1"}
    assert editor(form, "word")["other"] == "word: word1"
    form.act("contains", key="word", text="1")
    assert (editor(form, "word")["other"], model.where) == (None, {"word": {"$contains": "1"}})


def test_controls_open_and_close(form: FilterForm, model: QueryModel) -> None:
    for key in ("year", "lang", "year"):
        form.act("open", key=key)
    assert [editor["key"] for editor in form.shown["editors"]] == ["year", "lang"]
    form.act("fold", key="year")
    assert [editor["key"] for editor in form.shown["editors"]] == ["lang"]
    model.collection.delete(where={"year": {"$lt": 2000}})
    model.refresh()
    assert editor(form, "lang")["count"] == 30


@given(st.data())
def test_the_code_is_the_filter(memory: chroma_nb.Client, data: st.DataObject) -> None:
    where = data.draw(strategies.wheres([]))
    docs = memory.get_or_create_collection("code")
    model = QueryModel(docs, where=where, where_document={"$contains": data.draw(strategies.texts)})
    form = FilterForm(model)
    space: dict[str, Any] = {}
    exec(form.shown["code"], space)  # noqa: S102 - what people would paste
    assert space["where"] == model.where
    assert space["where_document"] == model.where_document
    form.close()


def test_code_has_no_names_of_numpy(form: FilterForm, model: QueryModel) -> None:
    model.where = {"year": {"$in": np.array([2000, 2001])}}
    assert form.shown["code"] == "where = {'year': {'$in': [2000, 2001]}}"


def test_long_code_is_laid_out(form: FilterForm, model: QueryModel) -> None:
    model.where = {"$and": [{"lang": {"$in": ["en", "de"]}}, {"word": {"$contains": "a word that is rather long"}}]}
    assert form.shown["code"].splitlines() == [
        "where = {",
        "    '$and': [",
        "        {'lang': {'$in': ['en', 'de']}},",
        "        {'word': {'$contains': 'a word that is rather long'}},",
        "    ],",
        "}",
    ]
