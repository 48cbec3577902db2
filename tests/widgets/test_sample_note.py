"""Explorers of a collection of which they have a sample only, as of large ones on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import chroma_nb
from chroma_nb.store.snapshot import LocalSnapshot

if TYPE_CHECKING:
    from chroma_nb import Collection


@pytest.fixture
def docs() -> Collection:
    collection = chroma_nb.Client().create_collection("docs", embedding_function=None)
    collection.add(ids=["a", "b", "c"], embeddings=[[1, 0], [0, 1], [3, 3]], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}])
    return collection


@pytest.fixture
def sampled(docs: Collection, monkeypatch: pytest.MonkeyPatch) -> Collection:
    monkeypatch.setattr(LocalSnapshot, "total", 1_234_567)
    return docs


_NOTE = "A sample of 3 of 1,234,567 items: filters, rows and map show the sample. Queries search them all."


def test_the_note_is_seen(sampled: Collection) -> None:
    explorer, widget = sampled.explore(renderer="plotly"), sampled.query_widget()
    for view in (explorer.widget, widget.widget):
        (note,) = [part for part in view.children if "chroma-nb-sample" in getattr(part, "_dom_classes", ())]
        assert (note.value, note.layout.display) == (_NOTE, "")
    assert _NOTE in widget._card()
    explorer.close()
    widget.close()


def test_no_note_where_all_items_are_shown(docs: Collection) -> None:
    widget = docs.query_widget()
    (note,) = [part for part in widget.widget.children if "chroma-nb-sample" in getattr(part, "_dom_classes", ())]
    assert (note.value, note.layout.display, widget.sample_note) == ("", "none", "")
    widget.close()


def test_deleting_speaks_of_the_whole_collection(sampled: Collection) -> None:
    explorer = sampled.explore(renderer="plotly", selected_ids=("a",))
    assert explorer.plan_delete().text.startswith("Delete 1 row of 1,234,567 from docs")
    explorer.close()


def test_a_figure_says_how_much_it_draws(sampled: Collection) -> None:
    figure = sampled.plot(method="pca")
    assert "3 of 1,234,567 items are drawn" in figure.to_json()


def test_like_an_item_outside_the_sample(sampled: Collection) -> None:
    widget = sampled.query_widget()
    sampled.add(ids=["d"], embeddings=[[9, 9]])  # the snapshot of the widget does not have it
    widget.query = {"like": "d"}
    assert widget.results.index.tolist() == ["c", "a", "b"]
    assert widget.error is None
    widget.close()
