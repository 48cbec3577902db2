"""The collections browser on screen: a list, a look into one collection, and its explorer below."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import resources
from typing import Any

import ipywidgets as w
import pandas as pd
import traitlets

from chroma_nb.client import Client
from chroma_nb.errors import ChromaNbError, InvalidArgumentError
from chroma_nb_widgets import registry, stand_in, static
from chroma_nb_widgets.closing import close_all
from chroma_nb_widgets.models.browser import BrowserModel, Deletion, Listed, size
from chroma_nb_widgets.models.facets import TYPE_NAMES
from chroma_nb_widgets.panel import Panel, module
from chroma_nb_widgets.style import stylesheet
from chroma_nb_widgets.table import format_cell, one_line

_FORMS = ("create", "rename", "delete")
_SPACES = (("l2", "l2 (squared distance)"), ("cosine", "cosine"), ("ip", "ip (inner product)"))
_FUNCTIONS = (
    *("all-MiniLM-L6-v2", "wordllama", "sentence-transformers:all-mpnet-base-v2", "openai:text-embedding-3-small"),
    "none",
)


class CollectionsPanel(Panel):
    """Shows a `BrowserModel`, and the form that is open.

    Args:
        model: of the browser.
    """

    _esm = module("browser.js")
    _css = traitlets.Unicode(
        stylesheet() + (resources.files(__package__) / "assets" / "browser.css").read_text(encoding="utf-8")
    ).tag(sync=True)

    def __init__(self, model: BrowserModel) -> None:
        self._browser = model
        self._asking: str | None = None
        self._deletion: Deletion | None = None
        watched = ("collections", "collection", "explorer", "error")
        super().__init__(model, watched)

    def _actions(self) -> dict[str, Callable[..., object]]:
        return {
            "choose": self._choose,
            "refresh": self._browser.refresh,
            "ask": self._ask,
            "create": self._create,
            "rename": self._rename,
            "delete": self._delete,
            "open": self._browser.open,
            "hide": lambda: setattr(self._browser, "explorer", None),
            "dismiss": lambda: setattr(self._browser, "error", None),
        }

    def act(self, do: str, **given: Any) -> None:
        """Do what a person did in the page; an earlier error has been seen by then."""
        self._browser.error = None
        super().act(do, **given)

    # what is done -----------------------------------------------------------------------------

    def _choose(self, name: str) -> None:
        self._ask(None)
        self._browser.refresh()
        self._browser.collection = name

    def _ask(self, what: str | None) -> None:
        """Open a form, or close the one that is open."""
        if what is not None and what not in _FORMS:
            raise InvalidArgumentError(f"There is no form {what!r}.")
        self._deletion = self._browser.deletion() if what == "delete" else None
        self._asking = what

    def _create(self, name: str, space: str, function: str, metadata: str) -> None:
        self._browser.create(name, space, function.strip(), metadata)
        self._ask(None)

    def _rename(self, name: str) -> None:
        self._browser.rename(name)
        self._ask(None)

    def _delete(self, typed: str) -> None:
        if self._deletion is None:
            raise InvalidArgumentError("Say first what is to be deleted.")
        self._browser.delete(self._deletion, typed)
        self._ask(None)

    # what is shown ----------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        model, chosen, deletion = self._browser, self._browser.chosen, self._deletion
        facts, peek = self._looked()
        return {
            "location": model.location,
            "rows": [_row(listed) for listed in model.collections],
            "chosen": None if chosen is None else chosen.name,
            "facts": facts,
            "peek": peek,
            "open": model.explorer is not None,
            "asking": self._asking,
            "deletion": deletion and {"text": deletion.text, "typed": deletion.typed, "name": deletion.name},
            "error": model.error,
            "spaces": _SPACES,
            "functions": _FUNCTIONS,
        }

    def _looked(self) -> tuple[list[tuple[str, str]], dict[str, Any]]:
        """Facts and first rows of the collection looked at; somebody may have deleted it."""
        try:
            return self._browser.facts(), _peek(self._browser.peek())
        except ChromaNbError as error:
            return [], {"columns": [], "rows": [], "problem": str(error)}


def _row(listed: Listed) -> dict[str, Any]:
    return {
        "name": listed.name,
        "count": listed.count,
        "dimension": listed.dimension,
        "space": listed.space,
        "keys": [(key, "/".join(TYPE_NAMES[kind] for kind in kinds)) for key, kinds in listed.keys],
        "function": listed.function,
        "size": size(listed.vectors + listed.texts),
        "title": f"{size(listed.vectors)} of vectors, about {size(listed.texts)} of documents and metadata",
    }


def _peek(frame: pd.DataFrame) -> dict[str, Any]:
    right = [pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) for dtype in frame.dtypes]
    names = zip(frame.columns, right, strict=True)
    columns = [{"name": "id", "number": False}, *({"name": str(name), "number": number} for name, number in names)]
    values = zip(frame.index, frame.to_numpy(object), strict=True)
    return {"columns": columns, "rows": [[id_, *(one_line(format_cell(cell)) for cell in row)] for id_, row in values]}


class CollectionsBrowser(BrowserModel):
    """A browser of all collections: its state (`BrowserModel`), and its view in a notebook.

    Made by `Client.explore`. Displaying it shows the widget; a closed kernel, GitHub and nbviewer show a table.
    """

    @cached_property
    def widget(self) -> w.VBox:
        """The view; put it beside other widgets, or display the browser itself."""
        panel, below = CollectionsPanel(self), w.VBox()
        self.observe(lambda change: self._show_explorer(below), "explorer")
        self._show_explorer(below)
        view = w.VBox([panel, below])
        view.add_class("chroma-nb-view")
        return view

    def _show_explorer(self, below: w.VBox) -> None:
        below.children = () if self.explorer is None else (self.explorer.widget,)

    def close(self) -> None:
        """Take the browser off the screen, and end the explorers that were opened in it."""
        registry.forget(self)
        super().close()
        if "widget" in self.__dict__:
            below = self.widget.children[1]
            below.children = ()  # explorers close themselves
            close_all(self.widget)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return static.bundle(self.widget, self._static(), b"", repr(self))

    def _ipython_display_(self) -> None:
        stand_in.show(self.widget, lambda: (self._static(), b""), repr(self))

    def _static(self) -> str:
        rows = [
            {
                "name": listed.name,
                "items": listed.count,
                "dimension": listed.dimension,
                "space": listed.space,
                "metadata": ", ".join(f"{key} ({'/'.join(kinds)})" for key, kinds in listed.keys),
                "size": size(listed.vectors + listed.texts),
            }
            for listed in self.collections
        ]
        table = pd.DataFrame(rows).set_index("name") if rows else None
        more = len(rows) - 10
        note = "No collections yet." if not rows else f"and {more:,} more" if more > 0 else ""
        return static.static_html(f"Collections in {self.location}", [], None, b"", table, note)

    def __repr__(self) -> str:
        return f"CollectionsBrowser({self.location!r})"


def explore_client(client: Client, name: str | None = None) -> CollectionsBrowser:
    """The collections browser of a client; see `Client.explore`.

    Args:
        client: of any dialect.
        name: of a collection whose explorer is opened at once.
    """
    key = (CollectionsBrowser, id(client._store))
    browser = registry.living(key, lambda: CollectionsBrowser(client))
    browser.refresh()
    if name is not None:
        browser.collection = name
        browser.open()
    return browser
