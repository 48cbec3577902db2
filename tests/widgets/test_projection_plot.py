"""The map on screen: what the surface is told, in which order, and what it tells back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import pytest
from chroma_nb_widgets import projection_plot
from chroma_nb_widgets.map.interface import Colours, HoverText, Mask, Overlay, Points
from chroma_nb_widgets.models import map as map_module
from chroma_nb_widgets.models.explorer import DISTANCE, ExplorerModel
from chroma_nb_widgets.models.map import MapModel
from chroma_nb_widgets.projection_plot import ProjectionPlot

import chroma_nb
from tests.store.backend import fresh_name

LONG = 30


class Surface:
    """Writes down what it is told, and refuses what does not fit its points."""

    def __init__(self, prefer: str = "auto") -> None:
        self.prefer, self.count, self.closed = prefer, -1, False
        self.widget = ipywidgets.VBox()
        self.calls: list[str] = []
        self.last: dict[str, Any] = {}

    def _note(self, name: str, value: Any, *lengths: int) -> None:
        assert not self.closed
        assert all(length == self.count for length in lengths), f"{name}: {lengths} for {self.count} points"
        self.calls.append(name)
        self.last[name] = value

    def show(self, xy: Points, colours: Colours) -> None:
        self.count = len(xy)
        assert np.isfinite(xy).all()
        self._note("show", (xy, colours), len(colours.codes))

    def move(self, xy: Points) -> None:
        self._note("move", xy, len(xy))

    def paint(self, colours: Colours) -> None:
        self._note("paint", colours, len(colours.codes))

    def mark(self, visible: Mask, selected: Mask | None) -> None:
        self._note("mark", (visible, selected), len(visible), *([] if selected is None else [len(selected)]))

    def overlay(self, overlay: Overlay | None) -> None:
        self._note("overlay", overlay)
        assert overlay is None or (np.asarray(overlay.hits) < self.count).all()

    def on_select(self, callback: Callable[[Any], None]) -> None:
        self.selects = callback

    def on_click(self, callback: Callable[[int], None]) -> None:
        self.clicks = callback

    def on_hover(self, callback: Callable[[int], HoverText]) -> None:
        self.hovers = callback

    def on_legend(self, callback: Callable[[frozenset[int]], None]) -> None:
        self.toggles = callback

    def close(self) -> None:
        self.closed = True
        self.widget.close()

    def told(self) -> list[str]:
        """What was called since the last look."""
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def docs(memory: chroma_nb.Client) -> chroma_nb.Collection:
    docs = memory.create_collection(fresh_name(), embedding_function=None)
    grow(docs, range(30))
    return docs


def grow(docs: chroma_nb.Collection, numbers: range) -> None:
    docs.add(
        ids=[f"i{number}" for number in numbers],
        embeddings=np.random.default_rng(numbers.start).normal(size=(len(numbers), 4)),
        metadatas=[{"k": "xyz"[number % 3], "n": number, "": "e"} for number in numbers],
    )


Make = Callable[..., tuple[ProjectionPlot, Surface, ExplorerModel]]


@pytest.fixture
def plotted(docs: chroma_nb.Collection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a plot with a surface that writes down."""
    monkeypatch.setattr(projection_plot, "MapSurface", Surface)
    made: list[tuple[ProjectionPlot, ExplorerModel]] = []

    def make(**options: Any) -> tuple[ProjectionPlot, Surface, ExplorerModel]:
        model = ExplorerModel(docs, **{"method": "pca"} | options)
        plot = ProjectionPlot(model)
        made.append((plot, model))
        surface: Any = plot.surface
        return plot, surface, model

    yield make
    for plot, model in made:
        plot.close()
        model.close()


def test_first_all_points_then_what_is_said_of_them(plotted: Make) -> None:
    _, surface, model = plotted(color="k", query={"like": "i3"}, where={"n": {"$lt": 10}})
    assert surface.told() == ["show", "mark", "overlay"]
    assert surface.count == 30
    visible, selected = surface.last["mark"]
    assert (visible.sum(), selected) == (10, None)
    assert len(surface.last["overlay"].hits) == 9
    assert surface.last["show"][1] is model.colours


def test_each_change_is_one_message(plotted: Make) -> None:
    _, surface, model = plotted()
    surface.told()
    model.color = "k"
    assert surface.told() == ["paint"]
    model.select([1, 2])
    assert surface.told() == ["mark"]
    assert surface.last["mark"][1].sum() == 2
    model.query = [1, 0, 0, 0]
    assert surface.told() == ["overlay"]
    model.where = {"n": {"$lt": 5}}
    assert sorted(surface.told()) == ["mark", "overlay"]
    model.color = DISTANCE
    assert surface.told() == ["paint"]
    model.query = [0, 1, 0, 0]
    assert sorted(surface.told()) == ["overlay", "paint"]
    model.page = 1
    model.showing = "rows"
    assert surface.told() == []


def test_a_new_map_moves_the_points(plotted: Make) -> None:
    _, surface, model = plotted(method="umap")
    assert model.map.wait(LONG)
    assert surface.told() == ["show", "mark", "overlay", "move", "overlay"]
    np.testing.assert_array_equal(surface.last["move"], model.map.xy)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_other_data_is_shown_as_a_whole(plotted: Make, docs: chroma_nb.Collection, method: str) -> None:
    """The surface refuses colours and marks of another length than its points."""
    _, surface, model = plotted(method=method, color="k", query=[1, 0, 0, 0], where={"n": {"$gte": 3}})
    assert model.map.wait(LONG)
    model.select([4, 5])
    surface.told()
    grow(docs, range(30, 40))
    docs.delete(ids=["i4"])
    model.refresh()
    assert surface.told() == ["show", "mark", "overlay"]
    assert surface.count == 39
    assert surface.last["mark"][1].sum() == 1
    docs.update(ids=["i5"], metadatas=[{"k": "new"}])
    model.refresh()
    assert surface.told()[:2] == ["show", "mark"]
    docs.delete()
    model.refresh()
    assert surface.count == 0
    grow(docs, range(20))
    model.refresh()
    assert model.map.wait(LONG)
    assert surface.count == 20


def test_curation_is_seen(plotted: Make) -> None:
    _, surface, model = plotted(color="k")
    model.select([1, 2, 3])
    assert model.carry_out(model.plan_delete())
    assert surface.count == 27
    undo = model.curation.undo
    assert undo is not None
    assert model.carry_out(undo)
    assert surface.count == 30


# what people do -------------------------------------------------------------------------------


def test_what_the_surface_tells(plotted: Make) -> None:
    _, surface, model = plotted(color="k")
    surface.selects(np.asarray([3, 4, 5]))
    assert model.selected_ids == ("i3", "i4", "i5")
    surface.clicks(7)
    assert model.selected_ids == ("i7",)
    surface.selects(np.asarray([], dtype=np.int64))
    assert model.selected_ids == ()
    surface.toggles(frozenset({1}))
    assert model.hidden == model.colours.hidden == {1}
    assert surface.hovers(2).title == "i2"
    assert model.error is None


def test_places_that_are_gone_are_an_error_and_no_crash(plotted: Make) -> None:
    _, surface, model = plotted()
    surface.clicks(1000)
    assert model.error is not None
    assert surface.hovers(1000) == HoverText("")


def test_columns_to_colour_by(plotted: Make, docs: chroma_nb.Collection) -> None:
    plot, _, model = plotted()
    labels = [label for label, _ in plot.color.options]
    assert labels == ["one colour", "k", "n", ""]
    assert plot.color.label == "one colour"
    for label in ("k", "", "n", "one colour"):
        plot.color.label = label
        assert model.color == (None if label == "one colour" else label)
    model.color = "n"
    assert plot.color.label == "n"
    model.query = [1, 0, 0, 0]
    assert [label for label, _ in plot.color.options] == [*labels, "distance to the query"]
    assert (plot.color.label, model.color) == ("n", "n")
    plot.color.label = "distance to the query"
    assert model.color == DISTANCE
    model.query = None
    assert (plot.color.label, model.color) == ("distance to the query", DISTANCE)
    docs.update(ids=["i1"], metadatas=[{"more": 1}], merge=True)
    model.refresh()
    assert [label for label, _ in plot.color.options][4] == "more"
    assert (plot.color.label, model.color) == ("distance to the query", DISTANCE)


def test_a_column_called_distance(plotted: Make, docs: chroma_nb.Collection) -> None:
    docs.update(ids=["i1"], metadatas=[{DISTANCE: 1}], merge=True)
    plot, _, model = plotted(query=[1, 0, 0, 0])
    assert [label for label, _ in plot.color.options] == ["one colour", "k", "n", "", DISTANCE]
    plot.color.label = DISTANCE
    assert (model.color, model.colours.label) == (DISTANCE, DISTANCE)


def test_a_failing_query_is_not_forgotten(plotted: Make) -> None:
    _, surface, model = plotted(color=DISTANCE)
    model.query = "a text"
    assert "embedding_function=None" in (model.error or "")
    assert surface.last["overlay"] is None
    model.query = None
    assert model.error is None
    model.where_document = {"$regex": "("}
    assert "missing )" in (model.error or "")
    assert not surface.last["mark"][0].any()
    surface.selects(np.asarray([1]))
    assert "missing )" in (model.error or "")


def test_pointing_at_an_item(plotted: Make) -> None:
    plot, surface, model = plotted(query=[1, 0, 0, 0])
    query = surface.last["overlay"]
    plot.point_at("i3")
    assert surface.last["overlay"].query == tuple(model.map.xy[3].tolist())
    assert (surface.last["overlay"].label, len(surface.last["overlay"].hits)) == ("i3", 0)
    plot.point_at("i3")
    assert surface.last["overlay"].label == query.label
    plot.point_at("i3")
    model.n_results = 3
    assert len(surface.last["overlay"].hits) == 3
    plot.point_at("nobody")
    assert surface.last["overlay"].label == query.label


# progress -------------------------------------------------------------------------------------


def test_the_method_follows_and_leads(plotted: Make) -> None:
    plot, surface, model = plotted()
    assert (plot.method.value, plot.again.layout.display) == ("pca", "none")
    model.map.method = "umap"
    assert plot.method.value == "umap"
    assert model.map.wait(LONG)
    assert (plot.again.description, plot.again.disabled, plot.again.layout.display) == ("Refit", False, "flex")
    plot.method.value = "pca"
    assert (model.map.method, model.map.projection.method) == ("pca", "pca")
    assert surface.count == 30


def test_progress_and_cancel(plotted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[bool] = []
    monkeypatch.setattr(map_module, "AUTOMATIC", 10)
    plot, _, model = plotted(method="umap")
    assert (plot.again.description, plot.cancel.layout.display) == ("Compute UMAP", "none")
    monkeypatch.setattr(MapModel, "cancel", lambda self: cancelled.append(True))
    model.map.stage, model.map.progress, model.map.state = "Drawing the map", 0.5, "running"
    assert (plot.stage.value, plot.bar.value) == ("Drawing the map", 0.5)
    assert (plot.bar.layout.display, plot.cancel.layout.display, plot.again.layout.display) == ("flex", "flex", "none")
    plot.cancel.click()
    assert cancelled == [True]
    model.map.problem, model.map.state = "The map could not be computed: <b>", "failed"
    assert (plot.stage.value, plot.stage.layout.display) == ("The map could not be computed: <b>", "flex")
    assert (plot.again.description, plot.bar.layout.display) == ("Try again", "none")
    plot.again.click()
    assert model.map.wait(LONG)
    assert (model.map.state, plot.stage.layout.display, plot.again.description) == ("ready", "none", "Refit")


def test_a_closed_plot_hears_nothing(plotted: Make) -> None:
    plot, surface, model = plotted()
    plot.close()
    model.color, model.query, model.where = "k", [1, 0, 0, 0], {"n": 1}
    model.map.method = "umap"
    assert model.map.wait(LONG)
    assert surface.closed
    assert all(widget.comm is None for widget in (plot, plot.color, plot.bar, plot.bar.style, surface.widget))
    plot.close()
