"""The renderer that draws its own points with WebGL, to a million of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chroma_nb_widgets.map.conversation import Buffers, Conversation, pack
from chroma_nb_widgets.map.front import WebGLFront

WEBGL_LIMIT = 1_000_000


class WebGLMap(Conversation):
    """Draws up to a million points; 10.25 bytes of each travel to the browser.

    >>> from chroma_nb_widgets.map.interface import plain
    >>> renderer = WebGLMap()
    >>> renderer.show(np.zeros((3, 2), np.float32), plain(3))
    >>> renderer.close()
    """

    limit = WEBGL_LIMIT

    def __init__(self, height: int = 480) -> None:
        super().__init__(WebGLFront(height=height))

    def _frame(self) -> dict[str, Any]:
        middle, half, unit = self._box()
        box = {"x": middle[0], "y": middle[1], "unit": unit, "halfX": half[0] / unit, "halfY": half[1] / unit}
        return {"places": True, "box": box}

    def _box(self) -> tuple[list[float], list[float], float]:
        """Middle and half sides of all places, and what the browser divides by: float32 is finest near 0."""
        if not len(self.xy):
            return [0.0, 0.0], [1.0, 1.0], 1.0
        low, high = self.xy.min(axis=0).astype(np.float64), self.xy.max(axis=0).astype(np.float64)
        half = (high - low) / 2
        return ((low + high) / 2).tolist(), half.tolist(), float(half.max()) or 1.0

    def _place_buffers(self) -> Buffers:
        middle, _, unit = self._box()
        return [((self.xy - middle) / unit).astype("<f4").tobytes()]

    def _code_buffers(self) -> Buffers:
        return [self.colours.codes.astype("<u2").tobytes()]

    def _mark_buffers(self) -> Buffers:
        return [pack(mask) for mask in (self.visible, self.selected) if mask is not None]
