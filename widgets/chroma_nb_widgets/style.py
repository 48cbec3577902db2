"""The stylesheet of all views, and the scripts of those that have one."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import anywidget
import traitlets

_IMPORT = re.compile(r'^import [^;]*? from "\./[\w.]+";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def stylesheet() -> str:
    """The rules for the classes ``chroma-nb-*``, which follow the notebook's light or dark theme."""
    return _asset("chroma_nb.css") + _asset("explorer.css")


@cache
def script(*names: str) -> str:
    """One ES module of several files, the last of which has the default export.

    A front end loads a widget's module from a place that relative imports cannot start from, so that what
    the files import from one another is put into one file instead.
    """
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _asset(name))) for name in names)


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


class Style(anywidget.AnyWidget):
    """Brings the stylesheet to a page; it shows nothing itself."""

    _esm = "export default { render({ el }) { el.style.display = 'none'; } };"
    _css = traitlets.Unicode(stylesheet()).tag(sync=True)
