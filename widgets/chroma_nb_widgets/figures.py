"""Maps as plain plotly figures: for papers, files and hosts without widgets.

Pure: arrays in, a figure out. Plotly reads text as a kind of HTML, so every text that comes from data is escaped.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from chroma_nb_widgets.map.interface import NO_VALUE, Colours, HoverText, LegendEntry, Mask, Overlay, Points
from chroma_nb_widgets.raster import size_of_points

WEBGL_FROM = 2_000
"""Above so many points they are drawn with WebGL; below, as SVG, which prints sharper."""
QUERY = "#D55E00"
"""The colour of a query's mark."""
_GREY = "#9A9A9A"
_WIDTH_OF_TEXT = 70  # characters of a line in a tooltip
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LINE = re.compile(rf"\s*(?:(\S.{{0,{_WIDTH_OF_TEXT - 1}}})(?=\s|$)|(\S{{{_WIDTH_OF_TEXT}}}))")


@dataclass(frozen=True)
class Look:
    """Colours of everything but the points, and the background they lie on."""

    paper: str
    text: str
    faint: str
    line: str


LIGHT = Look(paper="#ffffff", text="#24292f", faint="#d9dce0", line="#57606a")
DARK = Look(paper="#111418", text="#e6e8eb", faint="#343a42", line="#aeb6c0")


def escaped(text: str) -> str:
    """Text for plotly's labels: neither tags nor entities nor formulas are read in it.

    >>> escaped("<b>a</b> & $x$")
    '&lt;b&gt;a&lt;/b&gt; &amp; &#36;x&#36;'
    """
    return html.escape(text, quote=False).replace("$", "&#36;")


def hover(text: HoverText) -> str:
    """A tooltip as plotly takes it: the heading, a line for each value, the longer text wrapped.

    >>> hover(HoverText("a<1>", (("lang", "en"),), "Some words."))
    '<b>a&lt;1&gt;</b><br>lang: en<br><br>Some words.'
    """
    parts = [f"<b>{_wrapped(text.title)}</b>", *(_wrapped(f"{name}: {value}") for name, value in text.lines)]
    if text.body:
        parts += ["", _wrapped(text.body)]
    return "<br>".join(parts)


def _wrapped(text: str) -> str:
    """Lines of at most 70 characters; words longer than that are cut."""
    lines = [match[1] or match[2] for match in _LINE.finditer(text)]
    return "<br>".join(escaped(line.rstrip()) for line in lines)


def map_figure(
    xy: Points,
    colours: Colours,
    texts: Sequence[HoverText] | None = None,
    *,
    selected: Mask | None = None,
    visible: Mask | None = None,
    overlay: Overlay | None = None,
    title: str = "",
    note: str = "",
    dark: bool = False,
    width: int | None = None,
    height: int | None = None,
) -> go.Figure:
    """A map.

    Args:
        xy: places, float32 (n, 2), finite.
        colours: of the n points.
        texts: what is told about each point (n); None for nothing.
        selected: bool (n,); the others are paler. None when nothing is selected.
        visible: bool (n,); the others are faint. None for all.
        overlay: a query with its hits.
        title: the heading.
        note: a smaller line below it.
        dark: light text on a dark ground.
        width: in pixels; None fills the page.
        height: in pixels; None is plotly's own.

    Returns:
        A figure with one trace for each category, which the legend toggles.

    >>> from chroma_nb_widgets.map.interface import plain
    >>> figure = map_figure(np.zeros((2, 2), dtype=np.float32), plain(2), title="docs")
    >>> len(figure.data), figure.layout.title.text
    (1, 'docs')
    """
    look = DARK if dark else LIGHT
    shown = np.ones(len(xy), dtype=np.bool_) if visible is None else visible
    hovers = None if texts is None else np.asarray([hover(text) for text in texts], dtype=object)
    points = _Points(xy, colours, hovers, selected, shown, look)
    figure = go.Figure(data=[*points.context(), *points.traces()])
    figure.update_layout(_layout(look, title, note, width, height))
    if colours.kind in ("categorical", "boolean"):
        figure.update_layout(legend_title_text=escaped(colours.label), showlegend=True)
    if overlay is not None:
        figure.add_traces(_query(xy, overlay, look))
    return figure


@dataclass(frozen=True)
class _Points:
    """The points, as the traces need them."""

    xy: Points
    colours: Colours
    hovers: npt.NDArray[np.object_] | None
    selected: Mask | None
    visible: Mask
    look: Look

    @property
    def size(self) -> float:
        """Diameter in pixels: the more points, the smaller."""
        return size_of_points(len(self.xy))

    def context(self) -> list[go.BaseTraceType]:
        """The points that are not visible, all in one faint trace."""
        out = ~self.visible
        if not out.any():
            return []
        marker = {"color": self.look.faint, "size": self.size, "line": {"width": 0}}
        return [self._trace(out, marker, name="filtered out", showlegend=False, hoverinfo="skip", hovertext=None)]

    def traces(self) -> list[go.BaseTraceType]:
        """The visible points, in one trace for each line of the legend."""
        codes = self.colours.codes
        missing = self.visible & (codes == NO_VALUE)
        if self.colours.kind == "continuous":
            return [*self._without_value(missing), self._continuous(self.visible & (codes != NO_VALUE))]
        if self.colours.kind == "none" or not self.colours.legend:
            rest = self.visible & (codes != NO_VALUE)
            marker = {"color": self.colours.palette[0], "size": self.size, "line": {"width": 0}}
            found = [self._trace(rest, marker, showlegend=False)] if rest.any() else []
            return [*self._without_value(missing), *found]
        named = {entry.code for entry in self.colours.legend}
        return [
            *(self._category(entry) for entry in self.colours.legend),
            *(self._without_value(missing) if NO_VALUE not in named else []),
        ]

    def _category(self, entry: LegendEntry) -> go.BaseTraceType:
        mask = self.visible & (self.colours.codes == entry.code)
        return self._trace(
            mask,
            {"color": entry.colour, "size": self.size, "line": {"width": 0}},
            name=f"{escaped(_short(entry.text))} ({int(mask.sum()):,})",
            visible="legendonly" if entry.code in self.colours.hidden else True,
        )

    def _without_value(self, mask: Mask) -> list[go.BaseTraceType]:
        if not mask.any():
            return []
        marker = {"color": _GREY, "size": self.size, "line": {"width": 0}}
        hidden = NO_VALUE in self.colours.hidden
        name = f"no value ({int(mask.sum()):,})"
        return [self._trace(mask, marker, name=name, visible="legendonly" if hidden else True)]

    def _continuous(self, mask: Mask) -> go.BaseTraceType:
        steps = len(self.colours.palette)
        low, high = self.colours.low or 0.0, self.colours.high or 0.0
        ticks = nice_ticks(low, high)
        marker = {
            "color": self.colours.codes[mask],
            "cmin": 0,
            "cmax": steps - 1,
            "colorscale": [[at / max(steps - 1, 1), colour] for at, colour in enumerate(self.colours.palette)],
            "size": self.size,
            "line": {"width": 0},
            "colorbar": {
                "title": {"text": escaped(self.colours.label), "side": "right"},
                "tickvals": [_share(tick, low, high) * (steps - 1) for tick in ticks],
                "ticktext": _labels(ticks),
                "thickness": 12,
                "outlinewidth": 0,
                "len": 0.75,
            },
        }
        return self._trace(mask, marker, name=escaped(self.colours.label), showlegend=False)

    def _trace(self, mask: Mask, marker: dict[str, object], **more: object) -> go.BaseTraceType:
        style: dict[str, object] = {"opacity": opacity_of_points(len(self.xy))}
        if self.hovers is not None:
            style |= {"hovertext": self.hovers[mask], "hoverinfo": "text"}
        else:
            style |= {"hoverinfo": "skip"}
        if self.selected is not None:
            style["selectedpoints"] = np.flatnonzero(self.selected[mask])
            style["unselected"] = {"marker": {"opacity": 0.15}}
            style["opacity"] = 1.0
        kind = _kind(len(self.xy))
        return kind(x=self.xy[mask, 0], y=self.xy[mask, 1], mode="markers", marker=marker, **(style | more))


def _kind(count: int) -> Any:
    """The trace for so many points. One kind for all of a figure: plotly draws WebGL over SVG, whatever the order."""
    return go.Scattergl if count > WEBGL_FROM else go.Scatter


def _share(number: float, low: float, high: float) -> float:
    """How far a number lies from low (0) to high (1)."""
    if high <= low:
        return 0.0
    if math.isfinite(high - low):
        return (number - low) / (high - low)
    return (number / 2 - low / 2) / (high / 2 - low / 2)


def opacity_of_points(count: int) -> float:
    """Fainter where many overlap."""
    return float(np.clip(1.15 - 0.09 * math.log10(max(count, 1)), 0.6, 0.95))


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, three to seven of them where there is room.

    >>> nice_ticks(0.0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    span = high - low
    if not math.isfinite(span) or span <= 0 or low + span / 10 == low:
        return [low, high] if high > low else [low]
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return sorted({round(at * step, digits) for at in range(first, last + 1)})


def _labels(ticks: Sequence[float]) -> list[str]:
    """As short as they can be and still differ."""
    for digits in range(6, 17):
        labels = [f"{tick:,.{digits}g}" for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    return labels


def _short(text: str, most: int = 32) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _query(xy: Points, overlay: Overlay, look: Look) -> list[go.BaseTraceType]:
    """Lines below, then rings with the ranks, then the query's own mark."""
    kind = _kind(len(xy))
    hits = xy[overlay.hits]
    traces: list[go.BaseTraceType] = []
    if overlay.query is not None and overlay.lines and len(hits):
        traces.append(_lines(kind, overlay.query, hits, look))
    if len(hits):
        ring = {"symbol": "circle-open", "size": 15, "color": look.text, "line": {"width": 1.8}}
        ranks = [str(rank) for rank in range(1, len(hits) + 1)]
        style = {
            "marker": ring,
            "text": ranks,
            "textposition": "top right",
            "textfont": {"size": 11, "color": look.text},
        }
        name = f"hits ({len(hits):,})"
        traces.append(kind(x=hits[:, 0], y=hits[:, 1], mode="markers+text", hoverinfo="skip", name=name, **style))
    if overlay.query is not None:
        x, y = overlay.query
        star = {"symbol": "star", "size": 18, "color": QUERY, "line": {"width": 1.5, "color": look.paper}}
        told = {"hovertext": [hover(HoverText(overlay.label or "query"))], "hoverinfo": "text"}
        name = escaped(_short(overlay.label)) or "query"
        traces.append(kind(x=[x], y=[y], mode="markers", marker=star, name=name, **told))
    return traces


def _lines(kind: Any, query: tuple[float, float], hits: Points, look: Look) -> go.BaseTraceType:
    ends = np.full((3 * len(hits), 2), np.nan)
    ends[0::3], ends[1::3] = query, hits
    style = {"line": {"color": look.line, "width": 1.2}, "opacity": 0.8, "hoverinfo": "skip", "showlegend": False}
    return kind(x=ends[:, 0], y=ends[:, 1], mode="lines", **style)


def _layout(look: Look, title: str, note: str, width: int | None, height: int | None) -> go.Layout:
    bare = {"visible": False, "showgrid": False, "zeroline": False, "fixedrange": False}
    heading: dict[str, object] = {"text": escaped(title), "x": 0.01, "xanchor": "left", "font": {"size": 16}}
    if note:
        heading["subtitle"] = {"text": escaped(note), "font": {"size": 12, "color": look.line}}
    return go.Layout(
        template="none",
        title=heading,
        font={"family": _FONT, "size": 12, "color": look.text},
        paper_bgcolor=look.paper,
        plot_bgcolor=look.paper,
        xaxis=bare,
        yaxis={**bare, "scaleanchor": "x", "scaleratio": 1},
        legend={"itemsizing": "constant", "tracegroupgap": 2, "y": 1, "yanchor": "top"},
        hoverlabel={
            "align": "left",
            "bgcolor": look.paper,
            "bordercolor": look.line,
            "font": {"family": _FONT, "size": 12, "color": look.text},
        },
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": look.line, "activecolor": look.text},
        hovermode="closest",
        dragmode="pan",
        margin={"l": 12, "r": 12, "t": 64 if note else 48 if title else 12, "b": 12},
        width=width,
        height=height,
    )
