"""Which renderer draws how many points, and the surface that changes between them behind one face."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

import ipywidgets
import numpy as np
import numpy.typing as npt
import traitlets

from chroma_nb_widgets.map.conversation import Conversation
from chroma_nb_widgets.map.interface import (
    Colours,
    Mask,
    OnClick,
    OnHover,
    OnLegend,
    OnSelect,
    Overlay,
    Points,
    Positions,
)
from chroma_nb_widgets.map.plotly import PLOTLY_LIMIT, PlotlyMap
from chroma_nb_widgets.map.sample import inside_polygon, stratified_sample
from chroma_nb_widgets.map.webgl import WebGLMap

__all__ = ["MapSurface", "make_renderer", "stratified_sample"]

_T = TypeVar("_T", bound=np.generic)
Prefer: TypeAlias = Literal["auto", "plotly", "webgl"]


def make_renderer(n: int, prefer: Prefer = "auto", height: int = 480) -> Conversation:
    """A renderer for n points: plotly to 20,000, WebGL above, unless one of them is preferred.

    None at all are drawn with WebGL, because it is ready at once.

    >>> type(make_renderer(100_000)).__name__
    'WebGLMap'
    """
    if prefer == "plotly" or (prefer == "auto" and 0 < n <= PLOTLY_LIMIT):
        return PlotlyMap(height)
    return WebGLMap(height)


class MapSurface(traitlets.HasTraits):
    """One map to hold on to: it takes another renderer when points outgrow the first or a browser lacks WebGL.

    Where more points exist than can be drawn, a stratified sample stands for them. All positions that go in and come
    out are those of all points, and a lasso selects all points inside it, drawn or not.

    Args:
        prefer: which renderer; "auto" decides by the number of points.
        height: of the map, in CSS pixels.

    Attributes:
        widget: to put on screen; the same one always.
        note: what has to be said about the picture, or "".

    >>> from chroma_nb_widgets.map.interface import plain
    >>> surface = MapSurface(prefer="webgl")
    >>> surface.show(np.random.default_rng(0).random((1_200_000, 2), np.float32), plain(1_200_000))
    >>> surface.note
    'Showing 1,000,000 of 1,200,000 points: a map holds no more. A lasso takes all points inside it.'
    >>> surface.close()
    """

    note = traitlets.Unicode()

    def __init__(self, prefer: Prefer = "auto", height: int = 480) -> None:
        super().__init__()
        self._prefer: Prefer = prefer
        self._height = height
        self._label = ipywidgets.HTML(layout=ipywidgets.Layout(display="none", margin="0 0 0 8px"))
        self.widget = ipywidgets.VBox([self._label], layout=ipywidgets.Layout(width="100%"))
        self._renderer: Conversation | None = None
        self._lacks_webgl = False
        self._kept: Positions | None = None
        self._xy: Points = np.empty((0, 2), np.float32)
        self._colours: Colours | None = None
        self._marks: tuple[Mask, Mask | None] | None = None
        self._overlay: Overlay | None = None
        self._select: OnSelect | None = None
        self._click: OnClick | None = None
        self._hover: OnHover | None = None
        self._legend: OnLegend | None = None

    @property
    def limit(self) -> int:
        """How many points are drawn at once."""
        return WebGLMap.limit if self._renderer is None else self._renderer.limit

    @property
    def renderer(self) -> Conversation | None:
        """What draws at this moment; None before the first `show`."""
        return self._renderer

    def show(self, xy: Points, colours: Colours) -> None:
        """Draw other points: float32 (n, 2), finite."""
        self._xy, self._colours, self._marks, self._overlay = xy, colours, None, None
        self._draw()

    def move(self, xy: Points) -> None:
        """Give the same points other places."""
        self._xy = xy
        if self._renderer is not None:
            self._renderer.move(self._sampled(xy))
            self.overlay(self._overlay)

    def paint(self, colours: Colours) -> None:
        """Give the same points other colours."""
        self._colours = colours
        if self._renderer is not None:
            self._renderer.paint(self._sampled_colours(colours))

    def mark(self, visible: Mask, selected: Mask | None) -> None:
        """Say which points are part of the view and which of those are selected."""
        self._marks = (visible, selected)
        if self._renderer is not None:
            self._renderer.mark(self._sampled(visible), None if selected is None else self._sampled(selected))

    def overlay(self, overlay: Overlay | None) -> None:
        """Draw a query over the points; None takes it away."""
        self._overlay = overlay
        if self._renderer is None:
            return
        if overlay is not None:
            overlay = Overlay(overlay.query, overlay.label, overlay.hits, overlay.lines, self._xy[overlay.hits])
        self._renderer.overlay(overlay)

    def on_select(self, callback: OnSelect) -> None:
        """Called with the whole new selection, ascending."""
        self._select = callback

    def on_click(self, callback: OnClick) -> None:
        """Called with the position of a point that was clicked."""
        self._click = callback

    def on_hover(self, callback: OnHover) -> None:
        """Called for the text of a point under the pointer."""
        self._hover = callback
        if self._renderer is not None:
            self._listen(self._renderer)

    def on_legend(self, callback: OnLegend) -> None:
        """Called with all codes that are now toggled off."""
        self._legend = callback

    def close(self) -> None:
        """End it; closing twice does no harm."""
        if self._renderer is not None:
            self._renderer.close()
        self.widget.close()
        self._label.close()

    def _draw(self) -> None:
        if self._colours is None:
            return
        n = len(self._xy)
        renderer = self._fitting_renderer(n)
        self._kept = None if n <= renderer.limit else stratified_sample(self._colours.codes, n, renderer.limit)
        renderer.show(self._sampled(self._xy), self._sampled_colours(self._colours))
        if renderer is not self._renderer:
            self._put(renderer)
        if self._marks is not None:
            self.mark(*self._marks)
        self.overlay(self._overlay)
        self._say(n, renderer.limit)

    def _fitting_renderer(self, n: int) -> Conversation:
        """The present renderer if it suits n points, else a new one."""
        now = self._renderer
        if self._lacks_webgl:
            return now if isinstance(now, PlotlyMap) and now.svg else PlotlyMap(self._height, svg=True)
        if now is not None and (n <= now.limit or self._prefer != "auto"):
            return now
        return make_renderer(n, self._prefer, self._height)

    def _put(self, renderer: Conversation) -> None:
        before, self._renderer = self._renderer, renderer
        self._listen(renderer)
        self.widget.children = (self._label, renderer.widget)
        if before is not None:
            before.close()

    def _listen(self, renderer: Conversation) -> None:
        renderer.on_select(self._selected)
        renderer.on_click(lambda position: self._click(self._full(position)) if self._click else None)
        renderer.on_legend(self._toggled)
        renderer.on_unsupported(self._fall_back)
        hover = self._hover
        if hover is not None:
            renderer.on_hover(lambda position: hover(self._full(position)))

    def _say(self, n: int, limit: int) -> None:
        reason = "this browser has no WebGL" if self._lacks_webgl else "a map holds no more"
        if n > limit:
            self.note = f"Showing {limit:,} of {n:,} points: {reason}. A lasso takes all points inside it."
        else:
            self.note = ""
        self._label.value = self.note
        self._label.layout.display = "" if self.note else "none"

    def _fall_back(self, _reason: str) -> None:
        if not self._lacks_webgl:
            self._lacks_webgl = True
            self._draw()

    def _full(self, position: int) -> int:
        return position if self._kept is None else int(self._kept[position])

    def _sampled(self, values: npt.NDArray[_T]) -> npt.NDArray[_T]:
        return values if self._kept is None else values[self._kept]

    def _sampled_colours(self, colours: Colours) -> Colours:
        return colours if self._kept is None else replace(colours, codes=colours.codes[self._kept])

    def _toggled(self, hidden: frozenset[int]) -> None:
        if self._colours is not None:
            self._colours = replace(self._colours, hidden=hidden)
        if self._legend is not None:
            self._legend(hidden)

    def _selected(self, positions: Positions) -> None:
        chosen = positions if self._kept is None else self._selected_of_all()
        self._remember(chosen)
        if self._select is not None:
            self._select(chosen)

    def _selected_of_all(self) -> Positions:
        """What the last lasso on a sample selects of all points."""
        region = None if self._renderer is None else self._renderer.region
        if region is None or self._colours is None:
            return np.empty(0, np.int64)
        corners, how = region
        visible, before = self._marks or (np.ones(len(self._xy), np.bool_), None)
        inside = inside_polygon(self._xy, corners) & visible
        inside &= ~np.isin(self._colours.codes, list(self._colours.hidden))
        if how == "replace" or before is None:
            chosen = inside & (how != "remove")
        else:
            chosen = before | inside if how == "add" else before & ~inside
        return np.flatnonzero(chosen).astype(np.int64)

    def _remember(self, chosen: Positions) -> None:
        selected = np.zeros(len(self._xy), np.bool_)
        selected[chosen] = True
        visible = self._marks[0] if self._marks is not None else np.ones(len(self._xy), np.bool_)
        self._marks = (visible, selected if len(chosen) else None)
