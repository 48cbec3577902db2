"""`Collection.plot`: columns, queries, filters, samples; what is wrong is said before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import chroma_nb
from chroma_nb import compat
from chroma_nb.errors import ColumnNotFoundError, InvalidArgumentError, InvalidDimensionError

COUNT = 60


@pytest.fixture
def docs() -> chroma_nb.Collection:
    made = chroma_nb.Client().create_collection("docs", embedding_function=None)
    made.add(
        ids=[f"id{at}" for at in range(COUNT)],
        embeddings=np.random.default_rng(0).normal(size=(COUNT, 5)),
        documents=[f"document <b>{at}</b> " + "words " * 60 for at in range(COUNT)],
        metadatas=[
            {"lang": "de" if at == 7 else "en", "n": at, "score": at / 7, "ok": at % 2 == 0} for at in range(COUNT)
        ],
    )
    return made


def plot(docs: chroma_nb.Collection, *arguments: Any, **options: Any) -> go.Figure:
    return docs.plot(*arguments, **{"method": "pca", **options})


def count(figure: go.Figure) -> int:
    return sum(len(trace.x) for trace in figure.data if trace.mode == "markers" and trace.marker.symbol is None)


def test_a_plain_figure(docs: chroma_nb.Collection) -> None:
    figure = plot(docs)
    assert type(figure) is go.Figure
    assert count(figure) == COUNT
    assert (figure.layout.title.text, figure.layout.title.subtitle.text) == ("docs", "60 items · PCA")
    frame = docs.project("pca")
    assert np.array_equal(np.sort(figure.data[0].x), np.sort(frame["x"].to_numpy()))


@pytest.mark.parametrize(("color", "traces"), [("lang", 2), ("ok", 2), ("score", 1), (None, 1)])
def test_colours(docs: chroma_nb.Collection, color: str | None, traces: int) -> None:
    figure = plot(docs, color)
    assert len(figure.data) == traces
    assert count(figure) == COUNT


def test_what_a_point_tells(docs: chroma_nb.Collection) -> None:
    first = plot(docs).data[0].hovertext[0]
    assert first.startswith("<b>id0</b><br><br>document &lt;b&gt;0&lt;/b&gt; words")
    assert first.endswith("…")
    assert plot(docs, hover=["n", "ok"]).data[0].hovertext[3] == "<b>id3</b><br>n: 3<br>ok: no"
    assert plot(docs, hover="n").data[0].hovertext[3] == "<b>id3</b><br>n: 3"
    assert plot(docs, hover=["document"]).data[0].hovertext[0] == first
    none = plot(docs, hover=False).data[0]
    assert (none.hovertext, none.hoverinfo) == (None, "skip")


def test_a_sample_is_told_and_keeps_what_matters(docs: chroma_nb.Collection) -> None:
    like = docs.query(docs.embeddings(["id9"]), n_results=11).index[1:]
    figure = plot(docs, "lang", query={"like": "id9"}, sample=20)
    assert figure.layout.title.subtitle.text == "20 of 60 items are drawn · PCA"
    assert count(figure) == 20
    assert [trace.name.split()[0] for trace in figure.data[:2]] == ["de", "en"], "the only one of its colour is there"
    rings = next(trace for trace in figure.data if trace.mode == "markers+text")
    places = docs.project("pca").loc[list(like)]
    assert np.array_equal(rings.x, places["x"].to_numpy())
    assert list(rings.text) == [str(rank) for rank in range(1, 11)]


def test_queries(docs: chroma_nb.Collection) -> None:
    star = plot(docs, query={"like": "id9"}).data[-1]
    own = docs.project("pca").loc["id9"]
    assert (star.name, star.x[0], star.y[0]) == ("like id9", pytest.approx(own["x"]), pytest.approx(own["y"]))
    figure = plot(docs, "distance", query=docs.embeddings(["id9"])[0], n_results=3, where={"lang": "en"})
    assert len(figure.data[-2].x) == 3
    assert figure.data[-1].name == "vector (5 numbers)"
    with pytest.raises(InvalidDimensionError):
        plot(docs, query=[1.0, 2.0])
    with pytest.raises(InvalidArgumentError, match="id999"):
        plot(docs, query={"like": "id999"})


def test_filters_leave_a_faint_context(docs: chroma_nb.Collection) -> None:
    context, points = plot(docs, where={"n": {"$lt": 10}}).data
    assert (context.name, len(context.x), len(points.x)) == ("filtered out", 50, 10)
    figure = plot(docs, where_document={"$contains": "<b>7</b>"}, sample=30)
    assert figure.layout.title.subtitle.text == "1 of 60 items pass the filters, 30 of 60 items are drawn · PCA"
    assert len(figure.data[1].x) == 1


def test_looks(docs: chroma_nb.Collection) -> None:
    layout = plot(docs, title="<i>mine</i>", width=400, height=300, dark=True).layout
    assert (layout.title.text, layout.width, layout.height) == ("&lt;i&gt;mine&lt;/i&gt;", 400, 300)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"color": "lnag"}, ColumnNotFoundError, 'Did you mean "lang"'),
        ({"hover": ["scor"]}, ColumnNotFoundError, 'Did you mean "score"'),
        ({"color": "distance"}, InvalidArgumentError, "give query= too"),
        ({"engin": "umap"}, InvalidArgumentError, 'Did you mean "engine"'),
        ({"method": "pac"}, InvalidArgumentError, 'Did you mean "pca"'),
        ({"sample": 0}, InvalidArgumentError, "sample is how many points"),
        ({"sample": True}, InvalidArgumentError, "sample is how many points"),
        ({"where": {"n": {"$foo": 1}}}, InvalidArgumentError, "foo"),
        ({"query": {"unlike": 1}}, InvalidArgumentError, "like"),
    ],
)
def test_mistakes(docs: chroma_nb.Collection, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        plot(docs, **options)


def test_nothing_to_plot() -> None:
    empty = chroma_nb.Client().create_collection("empty", embedding_function=None)
    assert count(plot(empty)) == 0


def test_the_stored_map_is_used(docs: chroma_nb.Collection) -> None:
    frame = docs.project(seed=1)
    figure = docs.plot(seed=1)
    assert np.array_equal(figure.data[0].x, frame["x"].to_numpy())


def test_chromas_dialect_too() -> None:
    client = compat.Client()
    made = client.create_collection("docs")
    made.add(
        ids=["a", "b", "c"], embeddings=[[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}]
    )
    assert count(made.plot("n", method="pca", query=[1.0, 0.0])) == 3
