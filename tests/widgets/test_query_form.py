"""The query form, without a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chroma_nb_widgets.models.asked import Like
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.query_form import QueryForm

import chroma_nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Collection


def embed(texts: list[str]) -> list[list[float]]:
    return [[len(text), 1.0] for text in texts]


@pytest.fixture
def docs() -> Iterator[Collection]:
    with chroma_nb.Client() as client:
        docs = client.create_collection("docs", embedding_function=embed)
        docs.add(ids=["a", "b", "c"], documents=["x", "xx", "xxxx"], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}])
        yield docs


@pytest.fixture
def form(docs: Collection) -> Iterator[QueryForm]:
    made = QueryForm(QueryModel(docs))
    yield made
    made.close()


def ask(form: QueryForm, mode: str, text: str, count: str = "10") -> QueryModel:
    form.act("ask", mode=mode, text=text, count=count)
    return form._model


def test_a_text(form: QueryForm) -> None:
    model = ask(form, "text", "xxx", "2")
    assert (model.query, model.n_results) == ("xxx", 2)
    assert set(model.results.index) == {"b", "c"}
    shown = form.shown
    assert (shown["mode"], shown["text"], shown["hits"], shown["asked"]) == ("text", "xxx", 2, True)


def test_a_vector(form: QueryForm) -> None:
    model = ask(form, "vector", "[4, 1]")
    assert np.asarray(model.query).tolist() == [4, 1]
    assert (form.shown["mode"], form.shown["text"], form.shown["label"]) == ("vector", "", "vector (2 numbers)")
    assert model.results.index.tolist() == ["c", "b", "a"]


def test_like_an_item(form: QueryForm) -> None:
    model = ask(form, "like", " a ")
    assert model.query == Like("a")
    assert model.results.index.tolist() == ["b", "c"]
    assert (form.shown["mode"], form.shown["text"]) == ("like", "a")


def test_clear(form: QueryForm) -> None:
    model = ask(form, "text", "xxx")
    form.act("clear")
    assert model.query is None
    assert (form.shown["asked"], form.shown["text"], form.shown["hits"]) == (False, "", 0)
    ask(form, "text", "   ")
    assert model.query is None


@pytest.mark.parametrize(
    ("mode", "text", "count", "message"),
    [
        ("vector", "1, two", "10", "numbers between commas"),
        ("vector", "1, 2, 3", "10", "vectors of 2 numbers, the query has 3"),
        ("like", "nobody", "10", "no item 'nobody'"),
        ("text", "x", "0", "cannot be negative, or zero"),
        ("text", "x", "many", "whole number from 1 on, not 'many'"),
        ("text", "x", "", "whole number"),
    ],
)
def test_mistakes_are_told_in_the_form(form: QueryForm, mode: str, text: str, count: str, message: str) -> None:
    model = ask(form, mode, text, count)
    assert message in str(model.error)
    assert form.shown["error"] == model.error
    ask(form, "text", "xx")
    assert form.shown["error"] is None
    assert form.shown["hits"] == 3


def test_dismissing_an_error(form: QueryForm) -> None:
    ask(form, "vector", "?")
    form.act("dismiss")
    assert form.shown["error"] is None


def test_an_embedding_that_fails_says_the_way_out() -> None:
    with chroma_nb.Client() as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(ids="a", embeddings=[[1.0, 0.0]])
        form = QueryForm(QueryModel(docs))
        model = ask(form, "text", "x")
        assert "provide embeddings or a function" in form.shown["error"]
        ask(form, "vector", "1 0")
        assert model.error is None
        assert form.shown["hits"] == 1


def test_how_many_results_can_change_alone(form: QueryForm) -> None:
    model = ask(form, "text", "xxx")
    form.act("count", count="1")
    assert (model.n_results, form.shown["hits"]) == (1, 1)
    form.act("count", count="-1")
    assert model.error is not None
    assert (model.n_results, form.shown["count"]) == (1, 1)


def test_asking_the_same_again_runs_it_again(form: QueryForm, docs: Collection) -> None:
    model = ask(form, "text", "xxx")
    docs.add(ids="d", documents="yyy")
    assert "d" not in model.results.index
    ask(form, "text", "xxx")
    assert model.results.index[0] == "d"


def test_rows_that_pass_are_counted(form: QueryForm) -> None:
    assert (form.shown["passing"], form.shown["total"], form.shown["filtered"]) == (3, 3, False)
    form._model.where = {"n": {"$gt": 1}}
    assert (form.shown["passing"], form.shown["total"], form.shown["filtered"]) == (2, 3, True)
    form._model.where_document = {"$regex": "("}
    assert form.shown["passing"] is None
    assert "missing )" in form.shown["error"]


def test_others_have_written(form: QueryForm, docs: Collection) -> None:
    form.act("look")
    assert (form.shown["stale"], form.shown["total"]) == (False, 3)
    docs.add(ids="d", documents="yyy")
    form.act("look")
    assert (form.shown["stale"], form.shown["total"]) == (True, 3)
    form.act("refresh")
    assert (form.shown["stale"], form.shown["total"]) == (False, 4)
    docs.delete(ids="d")
    form.act("look")
    form._model.refresh()  # from code
    assert (form.shown["stale"], form.shown["total"]) == (False, 3)


def test_the_form_follows_the_model(form: QueryForm) -> None:
    model = form._model
    model.query = "from code"
    assert (form.shown["mode"], form.shown["text"]) == ("text", "from code")
    model.query = {"like": "b"}
    assert (form.shown["mode"], form.shown["text"]) == ("like", "b")
    model.n_results = 2
    assert form.shown["count"] == 2


def test_messages_from_the_page(form: QueryForm, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(form, "send", sent.append)
    message = {"method": "custom", "content": {"do": "ask", "mode": "text", "text": "xx", "count": "1"}}
    form._handle_msg({"content": {"data": message}, "buffers": []})
    assert form._model.results.index.tolist() == ["b"]
    assert sent == [{"kind": "done"}]


def test_a_message_that_makes_no_sense_is_an_error(form: QueryForm) -> None:
    form.act("ask", mode="dance", text="", count="1")
    assert "not a dance" in form.shown["error"]
    form.act("ask", wrong=1)
    assert "unexpected keyword" in form.shown["error"]
