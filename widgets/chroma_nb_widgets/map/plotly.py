"""The renderer around plotly's FigureWidget: its points are a figure, all that people do goes past its own events.

FigureWidget keeps its events in one synced trait, where a hover that follows a lasso overwrites it before it is sent.
So the front end listens to the mouse itself, and only zoom and pan are plotly's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chroma_nb_widgets.map.conversation import Buffers, Conversation
from chroma_nb_widgets.map.front import PlotlyFront
from chroma_nb_widgets.map.interface import Mask, Positions

PLOTLY_LIMIT = 20_000
SVG_LIMIT = 4_000
_FAINT = "rgba(128, 128, 136, 0.16)"
_NO_VALUE_COLOUR = "#8c8c8c"
# Drawn in this order. Points that the legend has switched off stay as invisible ones, so that the axes stay.
_LAYERS = ("off", "context", "plain", "chosen")


class PlotlyMap(Conversation):
    """Draws up to 20,000 points with WebGL, or 4,000 as SVG; 12 bytes of each travel to the browser.

    Args:
        height: of the widget, in CSS pixels.
        svg: draw without WebGL.

    Attributes:
        figure: the `plotly.graph_objects.FigureWidget`.
        svg: whether it draws without WebGL.
    """

    def __init__(self, height: int = 480, *, svg: bool = False) -> None:
        self.limit = SVG_LIMIT if svg else PLOTLY_LIMIT
        self.svg = svg
        self._dark = False
        self._context = True
        self._drawn: list[Mask] = [np.empty(0, np.bool_)] * len(_LAYERS)
        self._drawing = 0
        self._figure_id = ""
        self.figure = _figure("scatter" if svg else "scattergl")
        super().__init__(PlotlyFront(height=height, webgl=not svg))

    def close(self) -> None:
        """End it; closing twice does no harm."""
        super().close()
        self.figure.close()

    def _shown(self) -> None:
        self._draw()
        if not self._figure_id:
            self.figure.open_now()
            self._figure_id = self.figure.model_id

    def _frame(self) -> dict[str, Any]:
        return {"figure": self._figure_id}

    def _moved(self) -> None:
        self._draw()

    def _painted(self) -> None:
        self._draw()

    def _marked(self) -> None:
        # What a lasso selected is mostly marked once more by whoever hears of it.
        layers = self._layers().values()
        if not all(np.array_equal(now, before) for now, before in zip(layers, self._drawn, strict=True)):
            self._draw()

    def _layers(self) -> dict[str, Mask]:
        off = self.visible & np.isin(self.colours.codes, list(self.colours.hidden))
        chosen = np.zeros(len(self.xy), np.bool_) if self.selected is None else self.selected & self.visible
        return {
            "off": off,
            "context": ~self.visible,
            "plain": self.visible & ~chosen & ~off,
            "chosen": chosen & ~off,
        }

    def _draw(self) -> None:
        """Bring all layers up to date in one message."""
        self._drawing += 1
        self._drawn = list(self._layers().values())
        with self.figure.batch_update():
            for trace, mask in zip(self.figure.data, self._drawn, strict=True):
                positions = np.flatnonzero(mask)
                trace.x, trace.y = self.xy[positions, 0], self.xy[positions, 1]
                trace.customdata = positions.astype(np.uint16)
                trace.marker.update(self._marker(trace.name, positions))
            self.figure.layout.meta = {"epoch": self._epoch, "drawing": self._drawing}

    def _redraw(self) -> None:
        """Send everything, which plotly does only if it was something else before."""
        with self.figure.batch_update():
            for trace in self.figure.data:
                trace.x = trace.y = trace.customdata = None
                trace.marker = {}
        self._draw()

    def _tell(self, message: dict[str, Any], buffers: Buffers | None = None) -> None:
        super()._tell({**message, "drawing": self._drawing}, buffers)

    def _marker(self, layer: str, positions: Positions) -> dict[str, Any]:
        size = float(np.clip(3.3 * (1e5 / max(len(self.xy), 1000)) ** 0.27, 3.5, 9))
        if layer == "off":
            return {"size": 1, "opacity": 0}
        if layer == "context":
            return {"size": size, "color": _FAINT, "opacity": 1 if self._context else 0}
        colours = [*self.colours.palette, _NO_VALUE_COLOUR]
        steps = [[(i + side) / len(colours), colour] for i, colour in enumerate(colours) for side in (0, 1)]
        look: dict[str, Any] = {
            "color": np.minimum(self.colours.codes[positions], len(colours) - 1),
            "colorscale": steps,
            "cmin": -0.5,
            "cmax": len(colours) - 0.5,
        }
        if layer == "chosen":
            rim = {"width": 0.8, "color": "rgba(255, 255, 255, 0.7)" if self._dark else "rgba(0, 0, 0, 0.7)"}
            return {**look, "size": size * 1.25, "opacity": 0.95, "line": rim}
        return {**look, "size": size, "opacity": 0.8 if self.selected is None else 0.22, "line": {"width": 0}}

    def _acted(self, kind: str, message: dict[str, Any]) -> None:
        if kind == "theme" and message["dark"] != self._dark:
            self._dark = message["dark"]
            self._draw()
        elif kind == "redraw":
            self._redraw()
        elif kind == "context":
            self._context = message["shown"]
            self._draw()
        super()._acted(kind, message)


def _figure(kind: str) -> Any:
    """A FigureWidget with the layers as empty traces."""
    # Building the first one of a kernel takes 2-5 s: not before a map is wanted.
    from plotly.graph_objects import FigureWidget

    class Figure(FigureWidget):
        def open(self) -> None:
            """Not while plotly's constructor runs: pages would start with an empty figure and depend on messages."""

        def open_now(self) -> None:
            super().open()

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
            """The figure as it is, where plotly tells how it was made."""
            state: dict[str, Any] = super().get_state(key, drop_defaults)
            if "_layout_obj" in vars(self):
                now = {"_widget_data": self._data, "_widget_layout": self._layout_obj._props}
                for name in now.keys() & state.keys():
                    state[name] = self.trait_metadata(name, "to_json")(now[name], self)
            return state

    traces = [{"type": kind, "mode": "markers", "hoverinfo": "skip", "name": name} for name in _LAYERS]
    figure = Figure(data=traces, layout=_layout())
    figure._config = {"responsive": True, "scrollZoom": True, "displaylogo": False, "doubleClick": "autosize"}
    return figure


def _layout() -> dict[str, Any]:
    axis = {"visible": False, "zeroline": False, "showgrid": False}
    return {
        "autosize": True,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "showlegend": False,
        "hovermode": False,
        "dragmode": "pan",
        "xaxis": axis,
        "yaxis": {**axis, "scaleanchor": "x"},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
    }
