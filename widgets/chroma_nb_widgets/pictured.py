"""A plotly figure that also leaves a picture in the notebook."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go


class PicturedFigure(go.Figure):  # type: ignore[misc] # plotly has no types
    """A plain figure; its output in a notebook holds a PNG, too, for GitHub and whatever else draws no plotly.

    Args:
        figure: what to show.
        picture: makes the PNG; None: there is none. It does not follow later changes of the figure.
    """

    def __init__(self, figure: Any = None, picture: Callable[[], bytes] | None = None, **given: Any) -> None:
        super().__init__(figure, **given)
        self._picture = picture

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        if bundle and self._picture is not None:
            png = base64.b64encode(self._picture()).decode("ascii")
            display({**bundle, "image/png": png}, raw=True)  # type: ignore[no-untyped-call]
        else:
            super()._ipython_display_()
