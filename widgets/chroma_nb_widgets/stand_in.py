"""Putting a widget on screen so that something remains of it once its kernel is gone.

JupyterLab shows nothing but an error for a widget without a kernel, whatever else its output holds. So there are two
outputs: the widget, and a card with a picture and a table, which the widget hides for as long as it is on the page.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets


class StandIn(anywidget.AnyWidget):
    """Hides the card that stands for a widget; it shows nothing itself.

    Attributes:
        key: of the card.
    """

    _esm = """
    function render({ model, el }) {
      const card = `.chroma-nb-static-${CSS.escape(model.get("key"))}`;
      const style = document.createElement("style");
      style.textContent = `${card}, .jp-OutputArea-child:has(> * ${card}) { display: none !important; }`;
      el.style.display = "none";
      el.append(style);
    }
    export default { render };
    """
    key = traitlets.Unicode().tag(sync=True)


def show(widget: Any, card: Callable[[], tuple[str, bytes]], plain: str) -> None:
    """Display a widget, and a card for where it cannot be.

    Args:
        widget: an `ipywidgets.VBox`; the same one may be shown several times.
        card: gives the card: HTML, and a PNG (or nothing) for where HTML is not shown.
        plain: for where only text is shown.
    """
    from IPython.display import display

    if not any(isinstance(child, StandIn) for child in widget.children):
        widget.children = (*widget.children, StandIn(key=widget.model_id))
    html_text, png = card()
    marked = f'<div class="chroma-nb-static chroma-nb-static-{widget.model_id}">{html_text}</div>'
    picture = {"image/png": base64.b64encode(png).decode("ascii")} if png else {}
    display({**widget._repr_mimebundle_(), "text/plain": plain}, raw=True)  # type: ignore[no-untyped-call]
    display({"text/html": marked, **picture, "text/plain": "(a picture of it)"}, raw=True)  # type: ignore[no-untyped-call]
