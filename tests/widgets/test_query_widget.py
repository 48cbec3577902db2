"""`collection.query_widget()`: one living widget, its fallbacks, back to code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from chroma_nb_widgets import QueryWidget, registry

import chroma_nb
import chroma_nb.compat
from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Client, Collection

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def client() -> Iterator[Client]:
    with chroma_nb.Client() as made:
        yield made
    for widget in [widget for widget in registry._living.values() if isinstance(widget, QueryWidget)]:
        widget.close()


@pytest.fixture
def docs(client: Client) -> Collection:
    docs = client.create_collection("docs", embedding_function=lambda texts: [[len(text), 1.0] for text in texts])
    docs.add(ids=["a", "b", "c"], documents=["x", HOSTILE, "xxx"], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}])
    return docs


def test_running_the_cell_again_shows_the_same_widget(docs: Collection) -> None:
    first = docs.query_widget("x", n_results=2)
    first.where = {"n": 1}
    again = docs.query_widget()
    assert again is first
    assert (again.where, again.query, again.n_results) == ({"n": 1}, "x", 2)
    assert docs.query_widget("xx", where={"n": {"$gt": 1}}) is first
    assert (first.where, first.query) == ({"n": {"$gt": 1}}, "xx")
    assert docs.query_widget(where=None).where is None
    docs.add(ids="d", documents="y")
    assert len(docs.query_widget().snapshot) == 4
    assert docs.query_widget(fresh=True) is not first


def test_closed_widgets_are_forgotten(docs: Collection) -> None:
    first = docs.query_widget("x")
    view = first.widget
    first.close()
    assert view.comm is None
    assert all(part.comm is None for part in view.children)
    second = docs.query_widget()
    assert second is not first
    assert second.query is None


def test_collections_have_widgets_of_their_own(client: Client, docs: Collection) -> None:
    other = client.create_collection("other", embedding_function=None)
    assert other.query_widget() is not docs.query_widget()
    assert other.query_widget().table().empty


def test_options_that_do_not_exist(docs: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match=r"takes no 'n_result'.*n_results"):
        docs.query_widget(n_result=3)
    with pytest.raises(InvalidArgumentError, match="operator"):
        docs.query_widget(where={"n": {"$gtt": 1}})


def test_what_is_seen_without_a_kernel(docs: Collection) -> None:
    widget = docs.query_widget(n_results=2)
    widget.query = "x"
    bundle = widget._repr_mimebundle_()
    assert bundle[VIEW]["model_id"] == widget.widget.model_id
    assert "<script>" not in bundle["text/html"]
    assert "2 results for x" in bundle["text/html"]
    widget.query = None
    widget.where = {"n": 2}
    bundle = widget._repr_mimebundle_()
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "1 of 3 rows pass the filters" in bundle["text/html"]
    assert bundle["text/plain"].startswith("QueryWidget('docs'): 1 of 3 rows")
    widget.where_document = {"$regex": "("}
    assert "missing )" in widget._repr_mimebundle_()["text/html"]
    widget.close()
    assert VIEW not in widget._repr_mimebundle_()


def test_a_card_stands_beside_the_widget(docs: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    monkeypatch.setattr("chroma_nb_widgets.query_widget.display", lambda data, raw: shown.append(data))
    widget = docs.query_widget("x")
    widget._ipython_display_()
    widget.close()
    widget._ipython_display_()
    view, card, closed = shown
    assert VIEW in view
    assert "3 results for x" in card["text/html"]
    assert "&lt;script&gt;" in card["text/html"]
    assert VIEW not in closed
    assert "3 results for x" in closed["text/html"]


def test_back_to_code(client: Client, docs: Collection) -> None:
    widget = docs.query_widget("x", where={"n": {"$lte": 2}}, n_results=1)
    assert client.sql(widget.sql)["id"].tolist() == ["a", "b"]
    space: dict[str, Any] = {"docs": docs}
    exec(widget.code(), space)  # noqa: S102 - a cell of a notebook
    assert space["hits"].index.tolist() == widget.results.index.tolist() == ["a"]


def test_chroma_collections_too() -> None:
    chroma = chroma_nb.compat.Client()
    docs = chroma.create_collection("docs", embedding_function=lambda texts: [[len(text), 1.0] for text in texts])
    docs.add(ids=["a", "b"], documents=["x", "xx"])
    widget = docs.query_widget("xx")
    assert widget.results.index.tolist() == ["b", "a"]
    assert docs.query_widget() is widget
    widget.close()


def test_the_view_is_one_state(docs: Collection) -> None:
    widget = docs.query_widget()
    view = widget.widget
    query, filters, table = view.query, view.filters, view.table
    filters.act("range", key="n", low="2", high="")
    assert query.shown["passing"] == 2
    assert [row["id"] for row in table.shown["rows"]] == ["b", "c"]
    query.act("ask", mode="text", text="xxx", count="1")
    assert [row["id"] for row in table.shown["rows"]] == ["c"]
    table.act("like", id="c")
    assert query.shown["mode"] == "like"
    assert [row["id"] for row in table.shown["rows"]] == ["b"]
