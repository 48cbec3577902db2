"""What every map renderer understands: points, colours, marks, a query over them, and what comes back.

Positions count the points of the last `show`, from 0. Everything text is plain text: renderers put it on screen as it
is, never as HTML.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.uint16]
Positions: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
ColourKind: TypeAlias = Literal["none", "categorical", "continuous", "boolean"]

NO_VALUE = 65535
"""The code of a point that has no value; it is drawn grey."""

MOST_COLOURS = 256


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend.

    Attributes:
        text: the value, as people read it.
        colour: hex, ``"#rrggbb"``.
        count: how many points have it.
        code: the code of these points; `NO_VALUE` for those without a value.
    """

    text: str
    colour: str
    count: int
    code: int


@dataclass(frozen=True)
class Colours:
    """How the points are coloured.

    Attributes:
        codes: uint16 (n,), indexes into the palette; `NO_VALUE` where a point has none.
        palette: at most 256 hex colours.
        kind: what the codes stand for.
        label: the heading of the legend.
        legend: its lines, empty for ``"none"`` and ``"continuous"``.
        low: the value at the palette's first colour, for ``"continuous"``.
        high: the value at its last colour.
        hidden: codes that are toggled off: their points are neither drawn nor selected.

    >>> plain(3).codes
    array([0, 0, 0], dtype=uint16)
    """

    codes: Codes
    palette: tuple[str, ...]
    kind: ColourKind = "none"
    label: str = ""
    legend: tuple[LegendEntry, ...] = ()
    low: float | None = None
    high: float | None = None
    hidden: frozenset[int] = frozenset()


def plain(n: int, colour: str = "#0072b2") -> Colours:
    """Colours of n points that all look the same."""
    return Colours(np.zeros(n, dtype=np.uint16), (colour,))


@dataclass(frozen=True)
class Overlay:
    """A query drawn over the points.

    Attributes:
        query: its place in the coordinates of the points; None if it has none.
        label: what was asked, shown at its place.
        hits: int64 (k,) positions, best first; each gets a ring and its rank.
        lines: whether lines go from the query to its hits.
        places: float32 (k, 2), where the hits are; None to take the places of the points shown.
    """

    query: tuple[float, float] | None
    label: str
    hits: Positions
    lines: bool = True
    places: Points | None = None


@dataclass(frozen=True)
class HoverText:
    """What is told about one point: a heading, pairs of names and values, and a longer text."""

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    body: str = ""


OnSelect: TypeAlias = Callable[[Positions], None]
OnClick: TypeAlias = Callable[[int], None]
OnHover: TypeAlias = Callable[[int], HoverText]
OnLegend: TypeAlias = Callable[[frozenset[int]], None]
OnUnsupported: TypeAlias = Callable[[str], None]


class MapRenderer(Protocol):
    """Draws a map and reports what people do on it.

    Each ``on_...`` keeps one callback; a later one takes its place. Callbacks run in the kernel's main thread. An
    exception in one is raised where ipywidgets reports it, and what was drawn stays.

    Attributes:
        limit: how many points can be drawn.
    """

    limit: int

    @property
    def widget(self) -> Any:
        """The `ipywidgets.DOMWidget` to put on screen; the same one always."""

    def show(self, xy: Points, colours: Colours) -> None:
        """Draw other points: float32 (n, 2), finite. All visible, none selected, no query, the view reset."""

    def move(self, xy: Points) -> None:
        """Give the same points other places, gliding there unless the reader prefers no motion."""

    def paint(self, colours: Colours) -> None:
        """Give the same points other colours."""

    def mark(self, visible: Mask, selected: Mask | None) -> None:
        """Say which points are part of the view and which of those are selected.

        Args:
            visible: bool (n,); the others stay as faint context and cannot be selected.
            selected: bool (n,); None when nothing is selected.
        """

    def overlay(self, overlay: Overlay | None) -> None:
        """Draw a query over the points; None takes it away."""

    def on_select(self, callback: OnSelect) -> None:
        """Called with the whole new selection, ascending, after each lasso or box; empty once it is cleared."""

    def on_click(self, callback: OnClick) -> None:
        """Called with the position of a point that was clicked."""

    def on_hover(self, callback: OnHover) -> None:
        """Called for the text of a point under the pointer."""

    def on_legend(self, callback: OnLegend) -> None:
        """Called with all codes that are now toggled off; the renderer has hidden them already."""

    def on_unsupported(self, callback: OnUnsupported) -> None:
        """Called with the reason when a browser cannot draw with this renderer."""

    def close(self) -> None:
        """End it: the widget closes, and nothing is called back any more."""
