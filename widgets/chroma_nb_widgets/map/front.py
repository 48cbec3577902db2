"""The widget in the browser: its modules put together, and nothing but a height in its synced state."""

from __future__ import annotations

import re
import uuid
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class|function|const)", re.MULTILINE)


@cache
def asset(name: str) -> str:
    """The text of a file of the front end."""
    return (files("chroma_nb_widgets.map") / "assets" / name).read_text(encoding="utf-8")


@cache
def module(entry: str) -> str:
    """One module out of a file and all it imports, since a notebook loads a widget's code from a single text.

    >>> "import {" in module("webgl.js"), module("webgl.js").count("class Store")
    (False, 1)
    """
    seen: list[str] = []

    def visit(name: str) -> None:
        for needed in _IMPORT.findall(asset(name)):
            visit(needed)
        if name not in seen:
            seen.append(name)

    visit(entry)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", asset(name))) for name in seen)


class Front(anywidget.AnyWidget):
    """A map on screen. All its data travels in messages, so that none is kept in a saved notebook."""

    _css = asset("map.css")
    height = traitlets.Int(480, help="Of the whole widget, in CSS pixels").tag(sync=True)
    own_id = traitlets.Unicode(help="The id of this model, which its code is not told otherwise").tag(sync=True)

    def __init__(self, **state: Any) -> None:
        own_id = uuid.uuid4().hex
        super().__init__(model_id=own_id, own_id=own_id, **state)


class WebGLFront(Front):
    """The map that draws its own points."""

    _esm = module("webgl.js")


class PlotlyFront(Front):
    """The map around a plotly figure."""

    _esm = module("plotly.js")
    webgl = traitlets.Bool(True, help="Whether the figure needs WebGL").tag(sync=True)
