"""What a renderer and its views in browsers say to each other.

A view that comes up says "ready" and is told everything; from then on all views are told what changes. Every `show`
begins an epoch: what a view says about the points of another epoch is no longer true and is only acknowledged.
Selections come as bitmasks with a sequence number, and are sent again until they are acknowledged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb_widgets.map.front import Front
from chroma_nb_widgets.map.interface import (
    Colours,
    HoverText,
    Mask,
    OnClick,
    OnHover,
    OnLegend,
    OnSelect,
    OnUnsupported,
    Overlay,
    Points,
    plain,
)
from chroma_nb_widgets.models.mainloop import MainLoop

Buffers = list[bytes]
_LONGEST_TEXT = 2_000
_LONGEST_VALUE = 300


def pack(mask: Mask) -> bytes:
    """A bitmask, lowest bit first.

    >>> pack(np.array([True, False, False, True])).hex()
    '09'
    """
    return np.packbits(mask, bitorder="little").tobytes()


def unpack(bits: bytes | memoryview, n: int) -> Mask:
    """The n bits of a bitmask; ValueError if there are fewer.

    >>> unpack(bytes([9]), 4)
    array([ True, False, False,  True])
    """
    if 8 * len(bits) < n:
        raise ValueError(f"a bitmask of {len(bits)} bytes cannot mark {n} points")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=n, bitorder="little").astype(np.bool_)


class Conversation:
    """The state of a map and its exchange with the browser; what draws the points is left to subclasses.

    Attributes:
        limit: how many points can be drawn.
        widget: to put on screen.
        xy: float32 (n, 2), as shown last.
        colours: as painted last, with what the legend has switched off since.
        visible: bool (n,).
        selected: bool (n,), None when nothing is.
        region: corners of the last lasso or box, float64 (m, 2) in the points' coordinates, and whether it replaced
            the selection, added to it or was removed from it; None after clearing.
    """

    limit = 0

    def __init__(self, front: Front) -> None:
        self.widget = front
        self.xy: Points = np.empty((0, 2), np.float32)
        self.colours = plain(0)
        self.visible: Mask = np.empty(0, np.bool_)
        self.selected: Mask | None = None
        self.region: tuple[npt.NDArray[np.float64], str] | None = None
        self._overlay: Overlay | None = None
        self._epoch = 0
        self._ready: set[str] = set()
        self._heard: dict[str, int] = {}
        self._closed = False
        self._main = MainLoop()
        self._select: OnSelect | None = None
        self._click: OnClick | None = None
        self._hover: OnHover | None = None
        self._legend: OnLegend | None = None
        self._unsupported: OnUnsupported | None = None
        front.on_msg(self._receive)

    def show(self, xy: Points, colours: Colours) -> None:
        """Draw other points."""
        self.xy = _places(xy)
        if len(self.xy) > self.limit:
            raise ValueError(f"this renderer draws up to {self.limit:,} points, got {len(self.xy):,}")
        self.colours = _fitting(colours, len(self.xy))
        self.visible = np.ones(len(self.xy), np.bool_)
        self.selected = None
        self._overlay = None
        self._epoch += 1
        self._shown()
        self._tell_all()

    def move(self, xy: Points) -> None:
        """Give the same points other places."""
        places = _places(xy)
        if len(places) != len(self.xy):
            raise ValueError(f"{len(self.xy)} points are shown, got places for {len(places)}")
        self.xy = places
        self._moved()
        self._tell({"kind": "move", **self._frame()}, self._place_buffers())
        if self._overlay is not None and self._overlay.places is None:
            self.overlay(self._overlay)

    def paint(self, colours: Colours) -> None:
        """Give the same points other colours."""
        self.colours = _fitting(colours, len(self.xy))
        self._painted()
        self._tell({"kind": "paint", "colours": self._legend_state()}, self._code_buffers())

    def mark(self, visible: Mask, selected: Mask | None) -> None:
        """Say which points are part of the view and which of those are selected."""
        for mask in (visible, selected):
            if mask is not None and mask.shape != (len(self.xy),):
                raise ValueError(f"{len(self.xy)} points are shown, got marks of shape {mask.shape}")
        self.visible, self.selected = visible, selected
        self._marked()
        self._tell({"kind": "mark", "selected": selected is not None}, self._mark_buffers())

    def overlay(self, overlay: Overlay | None) -> None:
        """Draw a query over the points; None takes it away."""
        self._overlay = overlay
        self._tell({"kind": "overlay", "overlay": self._overlay_state()})

    def on_select(self, callback: OnSelect) -> None:
        """Called with the whole new selection."""
        self._select = callback

    def on_click(self, callback: OnClick) -> None:
        """Called with the position of a point that was clicked."""
        self._click = callback

    def on_hover(self, callback: OnHover) -> None:
        """Called for the text of a point under the pointer."""
        self._hover = callback

    def on_legend(self, callback: OnLegend) -> None:
        """Called with all codes that are now toggled off."""
        self._legend = callback

    def on_unsupported(self, callback: OnUnsupported) -> None:
        """Called with the reason when a browser cannot draw with this renderer."""
        self._unsupported = callback

    def close(self) -> None:
        """End it; closing twice does no harm."""
        if self._closed:
            return
        self._tell({"kind": "close"})
        self._closed = True
        self.widget.on_msg(self._receive, remove=True)
        self.widget.close()

    # What subclasses that keep the points elsewhere do otherwise.

    def _shown(self) -> None:
        """Called once other points are there."""

    def _moved(self) -> None:
        """Called once the points have other places."""

    def _painted(self) -> None:
        """Called once the points have other colours."""

    def _marked(self) -> None:
        """Called once other points are visible or selected."""

    def _frame(self) -> dict[str, Any]:
        return {}

    def _place_buffers(self) -> Buffers:
        return []

    def _code_buffers(self) -> Buffers:
        return []

    def _mark_buffers(self) -> Buffers:
        return []

    def _tell(self, message: dict[str, Any], buffers: Buffers | None = None) -> None:
        if self._ready and not self._closed:
            self.widget.send({"epoch": self._epoch, **message}, buffers=buffers or [])

    def _tell_all(self, to: str | None = None) -> None:
        message = {
            "kind": "show",
            "to": to,
            "n": len(self.xy),
            "colours": self._legend_state(),
            "selected": self.selected is not None,
            "overlay": self._overlay_state(),
            **self._frame(),
        }
        self._tell(message, self._place_buffers() + self._code_buffers() + self._mark_buffers())

    def _legend_state(self) -> dict[str, Any]:
        colours = self.colours
        return {
            "kind": colours.kind,
            "label": colours.label,
            "palette": list(colours.palette),
            "low": colours.low,
            "high": colours.high,
            "hidden": sorted(colours.hidden),
            "legend": [vars(entry) for entry in colours.legend],
        }

    def _overlay_state(self) -> dict[str, Any] | None:
        shown = self._overlay
        if shown is None:
            return None
        query = None if shown.query is None else [float(part) for part in shown.query]
        places = self.xy[shown.hits] if shown.places is None else shown.places
        return {"query": query, "label": shown.label, "hits": places.tolist(), "lines": shown.lines}

    def _receive(self, _widget: object, message: Any, buffers: list[memoryview]) -> None:
        # After a reload of the page, JupyterLab has the messages of each widget handled in a thread of its own.
        self._main(self._handle, message, buffers)

    def _handle(self, message: Any, buffers: list[memoryview]) -> None:
        if self._closed:
            return
        kind = message.get("kind")
        if kind == "ready":
            self._ready.add(message["client"])
            self._tell_all(to=message["client"])
        elif kind == "ping":
            self._tell({"kind": "pong", "to": message["client"]})
        elif kind == "select":
            self._selected_in_browser(message, buffers[0])
        elif kind == "unsupported" and self._unsupported is not None:
            self._unsupported(message["reason"])
        elif message.get("epoch") == self._epoch:
            self._acted(kind, message)

    def _acted(self, kind: str, message: dict[str, Any]) -> None:
        if kind == "click" and self._click is not None:
            self._click(int(message["position"]))
        elif kind == "hover" and self._hover is not None:
            self._answer(message["client"], int(message["position"]), self._hover)
        elif kind == "legend":
            self.colours = replace(self.colours, hidden=frozenset(message["hidden"]))
            self._marked()
            if self._legend is not None:
                self._legend(self.colours.hidden)

    def _selected_in_browser(self, message: dict[str, Any], bits: memoryview) -> None:
        client, sequence = message["client"], message["sequence"]
        # Before the callback: what it marks is then newer than all that the view waits for.
        self._tell({"kind": "ack", "to": client, "sequence": sequence})
        if sequence <= self._heard.get(client, 0):
            return
        self._heard[client] = sequence
        if message["epoch"] != self._epoch:
            return
        chosen = unpack(bits, len(self.xy)) & self.visible
        self.selected = chosen if chosen.any() else None
        corners = message.get("polygon")
        self.region = None if corners is None else (np.asarray(corners, np.float64), message["how"])
        self._marked()
        if self._select is not None:
            self._select(np.flatnonzero(chosen).astype(np.int64))

    def _answer(self, client: str, position: int, hover: OnHover) -> None:
        try:
            text = hover(position)
        except Exception as error:
            self._send_text(client, position, HoverText("This point cannot be shown", (), f"{error}"))
            raise
        self._send_text(client, position, text)

    def _send_text(self, client: str, position: int, text: HoverText) -> None:
        lines = [[name, value[:_LONGEST_VALUE]] for name, value in text.lines]
        message = {"title": text.title[:_LONGEST_VALUE], "lines": lines, "body": text.body[:_LONGEST_TEXT]}
        self._tell({"kind": "text", "to": client, "position": position, **message})


def _places(xy: Points) -> Points:
    places = np.ascontiguousarray(xy, np.float32)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"places have the shape (n, 2), got {places.shape}")
    if not np.isfinite(places).all():
        raise ValueError("places must be finite; leave out points that have none")
    return places


def _fitting(colours: Colours, n: int) -> Colours:
    if colours.codes.shape != (n,):
        raise ValueError(f"{n} points are shown, got codes of shape {colours.codes.shape}")
    return colours
