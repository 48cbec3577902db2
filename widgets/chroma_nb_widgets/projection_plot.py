"""The map of an explorer on screen: colours, progress, and a surface that is drawn on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np

from chroma_nb.types import IntArray
from chroma_nb_widgets.closing import close_all
from chroma_nb_widgets.map.choose import MapSurface, Prefer
from chroma_nb_widgets.map.interface import HoverText, Overlay
from chroma_nb_widgets.models.explorer import DISTANCE, ExplorerModel

_NO_COLOUR = "one colour"
_NOTHING = ("nothing",)  # None would be no choice at all, and any text may be a column
_DISTANCE = "distance to the query"
_AGAIN = {"waiting": "Compute UMAP", "failed": "Try again", "cancelled": "Compute UMAP", "ready": "Refit"}


class ProjectionPlot(w.VBox):
    """Shows an `ExplorerModel`'s map, and passes on what people do on it.

    Args:
        model: of the explorer.
        prefer: "plotly", "webgl" or "auto" (by the number of points).
    """

    def __init__(self, model: ExplorerModel, prefer: Prefer = "auto") -> None:
        self._model = model
        self._listening = True  # to the controls; not while they follow the model
        self.surface = MapSurface(prefer)
        self._pointed: str | None = None  # id of the item that is marked
        self._shown = -1  # version of the data whose points are on the surface
        self._make_toolbar()
        super().__init__([self._toolbar, self.surface.widget])
        self.add_class("chroma-nb-map")
        self.surface.on_select(self._selected)
        self.surface.on_hover(self._hover)
        self.surface.on_click(self._clicked)
        self.surface.on_legend(self._legend)
        self._watched: list[tuple[Any, Callable[[Any], None], list[str]]] = [
            (model.map, self._places, ["projection"]),
            (model.map, self._progress, ["state", "stage", "progress", "problem", "method"]),
            (model, self._paint, ["colours"]),
            (model, self._mark, ["where", "where_document", "selected_ids"]),
            (model, self._overlay, ["results"]),
            (model, self._options, ["color", "query", "version"]),
        ]
        for watched, follow, names in self._watched:
            watched.observe(follow, names)
        self._places()
        self._progress()

    def _make_toolbar(self) -> None:
        self.color = w.Dropdown(
            description="Colour by", layout=w.Layout(width="230px"), style={"description_width": "initial"}
        )
        self.method = w.ToggleButtons(
            options=[("UMAP", "umap"), ("PCA", "pca")],
            value=self._model.map.method,
            tooltips=["Neighbours stay neighbours", "The two directions in which the vectors differ most"],
            style={"button_width": "64px"},
        )
        self.again = w.Button(tooltip="Compute the map anew, aligned to this one", layout=w.Layout(width="auto"))
        self.cancel = w.Button(description="Cancel", tooltip="Stop computing the map", layout=w.Layout(width="auto"))
        self.bar = w.FloatProgress(min=0, max=1, layout=w.Layout(width="90px"))
        self.stage = w.Label()
        self._toolbar = w.HBox([self.color, self.method, self.again, self.bar, self.stage, self.cancel])
        self._toolbar.add_class("chroma-nb-toolbar")
        self._options()
        self.color.observe(self._colour_chosen, "value")
        self.method.observe(self._method_chosen, "value")
        self.again.on_click(lambda _: self._work(self._model.map.fit))
        self.cancel.on_click(lambda _: self._work(self._model.map.cancel))

    # from the model ---------------------------------------------------------------------------

    def _places(self, change: Any = None) -> None:
        model = self._model
        if model.map.projection is None:
            return
        if self._shown == model.version:
            self.surface.move(model.map.xy)
        else:
            self._shown = model.version
            self.surface.show(model.map.xy, model.colours)
            self._mark()
        self._overlay()

    def _paint(self, change: Any = None) -> None:
        # While the model turns to other data, it has colours for points that are not shown yet.
        if self._shown == self._model.version:
            self.surface.paint(self._model.colours)

    def _mark(self, change: Any = None) -> None:
        if self._shown == self._model.version:
            self.surface.mark(self._model.visible, self._model.marked)

    def point_at(self, id_: str) -> None:
        """Mark where an item lies, in the place of the query, until that changes; the second time: no more."""
        again, self._pointed = self._pointed == id_, id_
        at = self._model.places_of([id_])
        if again or len(at) == 0 or self._shown != self._model.version:
            self._overlay()
        else:
            x, y = self._model.map.xy[at[0]]
            self.surface.overlay(Overlay((float(x), float(y)), id_, np.zeros(0, dtype=np.int64)))

    def _overlay(self, change: Any = None) -> None:
        self._pointed = None
        if self._shown == self._model.version:
            with self._model.guarded(clear=False):
                self.surface.overlay(self._model.overlay())

    def _progress(self, change: Any = None) -> None:
        state = self._model.map
        running = state.state == "running"
        self.stage.layout.display = "flex" if running or state.problem else "none"
        self.bar.layout.display = self.cancel.layout.display = "flex" if running else "none"
        self.bar.value = state.progress
        self.stage.value = state.problem or state.stage
        self.again.description = _AGAIN.get(state.state, "Refit")
        self.again.layout.display = "none" if running or state.method == "pca" else "flex"
        self._listening = False
        self.method.value = state.method
        self._listening = True

    def _options(self, change: Any = None) -> None:
        model = self._model
        columns: list[tuple[str, Any]] = [(_NO_COLOUR, _NOTHING), *((key, key) for key in model.keys)]
        if DISTANCE not in model.keys and (model.query is not None or model.color == DISTANCE):
            columns.append((_DISTANCE, DISTANCE))
        self._listening = False
        with self.color.hold_sync():
            if tuple(columns) != self.color.options:
                self.color.options = columns
            self.color.value = _NOTHING if model.color is None else model.color
        self._listening = True

    # from people ------------------------------------------------------------------------------

    def _colour_chosen(self, change: Any) -> None:
        if self._listening:
            with self._model.guarded():
                self._model.color = None if self.color.value == _NOTHING else self.color.value

    def _method_chosen(self, change: Any) -> None:
        if self._listening:
            with self._model.guarded():
                self._model.map.method = self.method.value

    def _work(self, do: Callable[[], None]) -> None:
        with self._model.guarded():
            do()

    def _selected(self, positions: IntArray) -> None:
        with self._model.guarded(clear=False):
            self._model.select(positions)

    def _clicked(self, position: int) -> None:
        self._selected(np.asarray([position]))

    def _legend(self, hidden: frozenset[int]) -> None:
        with self._model.guarded(clear=False):
            self._model.hidden = hidden

    def _hover(self, position: int) -> HoverText:
        text = HoverText("")
        with self._model.guarded(clear=False):
            text = self._model.hover(position)
        return text  # noqa: RET504 - and nothing else when that failed

    def close(self) -> None:
        """Close the widget and what it draws with; the model goes on."""
        if self.comm is not None:
            for watched, follow, names in self._watched:
                watched.unobserve(follow, names)
            self.surface.close()
            close_all(*self.children)
        super().close()
