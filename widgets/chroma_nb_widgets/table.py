"""A page of rows on screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chroma_nb.columns import key_of
from chroma_nb.errors import ChromaNbError, InvalidArgumentError
from chroma_nb_widgets.models.facets import type_name
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.panel import Panel, module
from chroma_nb_widgets.static import UNSAID

PAGE_SIZES = (10, 25, 50, 100)
_CELL = 240  # characters; the whole text comes when a row is unfolded
_WHOLE = 50_000
_TABS = {"rows": "Rows", "results": "Results", "selection": "Selection"}
_UNSORTED = ("document", "distance")
_NUMBERS = ("int", "float", "distance")


def format_cell(value: object) -> str | None:
    """A value as text for a cell; None where there is none.

    >>> format_cell(True), format_cell(2000), format_cell(0.123456789), format_cell(float("nan"))
    ('yes', '2000', '0.123457', None)
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):  # type: ignore[call-overload] # whatever else a cell holds is a number
        return None
    if isinstance(value, float):  # numpy's float64 is one
        return f"{value:.6g}" if abs(value) < 100_000 else f"{value:.10g}"
    return str(value)


def format_distance(value: float, largest: float) -> str:
    """A distance with as many decimals as the others beside it, the largest of which is given.

    >>> format_distance(0.5, 0.9), format_distance(5, 1234.5)
    ('0.5000', '5.0')
    """
    decimals = 4 if abs(largest) < 10 else 1 if abs(largest) < 1e6 else 0
    return f"{value:.{decimals}f}"


def one_line(text: str | None) -> str | None:
    """A text as it fits a cell: white space as single spaces, the end left out."""
    if text is None:
        return None
    line = " ".join(text[: 4 * _CELL].split())
    return line if len(line) <= _CELL and len(text) <= 4 * _CELL else f"{line[:_CELL]}…"


class RowsTable(Panel):
    """A table of what a `QueryModel` shows, a page at a time, with "more like this" on each row.

    Args:
        model: whose rows.
        tabs: whether the table itself offers to change between rows, results and selection.
    """

    _esm = module("table.js")
    _model: QueryModel

    def __init__(self, model: QueryModel, *, tabs: bool = False) -> None:
        self._tabs = tabs
        self._page = pd.DataFrame()
        self._callbacks: list[Callable[[str], object]] = []
        watched = ("results", "where", "where_document", "showing", "page", "page_size", "sort", "version")
        super().__init__(model, (*watched, "selected_ids"))

    def on_row(self, callback: Callable[[str], object]) -> None:
        """Call back with the id of a row that was clicked, or chosen with Enter."""
        self._callbacks.append(callback)

    def _actions(self) -> dict[str, Callable[..., object]]:
        return {
            "sort": self._sort,
            "page": lambda page: setattr(self._model, "page", page),
            "turn": lambda by: setattr(self._model, "page", self._model.page + by),
            "size": self._resize,
            "show": lambda name: setattr(self._model, "showing", name),
            "like": self._like,
            "row": self._chosen,
            "detail": self._detail,
            "clear": self._model.clear_filters,
        }

    # what is done -----------------------------------------------------------------------------

    def _sort(self, column: str) -> None:
        """Ascending, then descending, then as before."""
        up, down = (column, False), (column, True)
        self._model.sort = {up: down, down: None}.get(self._model.sort, up)

    def _resize(self, size: int) -> None:
        if size not in PAGE_SIZES:
            raise InvalidArgumentError(f"A page has {', '.join(map(str, PAGE_SIZES))} rows, not {size}.")
        self._model.page_size = size

    def _chosen(self, id: str) -> None:
        for callback in self._callbacks:
            callback(id)

    def _like(self, id: str) -> None:
        self._model.like(id)

    def _detail(self, id: str) -> None:
        """Send a row as a whole; it may have left the page meanwhile."""
        if id not in self._page.index:
            return
        columns = self._columns()
        row = self._page.loc[[id], columns].to_numpy(object)[0]  # of objects: ints beside floats stay ints
        texts = [(name, format_cell(value)) for name, value in zip(columns, row, strict=True)]
        parts = [(name, text[:_WHOLE], len(text) > _WHOLE) for name, text in texts if text is not None]
        self.send({"kind": "detail", "id": id, "parts": parts})

    # what is shown ----------------------------------------------------------------------------

    def _columns(self) -> list[str]:
        hidden = UNSAID if self._model.snapshot.documented else (*UNSAID, "document")
        return [str(name) for name in self._page.columns if name not in hidden]

    def _state(self) -> dict[str, Any]:
        model = self._model
        try:
            self._page, total = model.table(), model.total
        except ChromaNbError as error:  # a pattern that cannot be evaluated: the form says so too
            self._page, total = pd.DataFrame(), 0
            nothing = str(error)
        else:
            nothing = self._nothing()
        columns = self._columns()
        rows = self._rows(columns)
        if "distance" in columns:
            self._bars(rows, columns.index("distance"))
        return {
            "tabs": self._counts() if self._tabs else [],
            "showing": model.showing,
            "columns": [self._header("id"), *(self._header(name) for name in columns)],
            "rows": rows,
            "total": total,
            "page": model.page,
            "size": model.page_size,
            "sizes": sorted({*PAGE_SIZES, model.page_size}),
            "nothing": nothing,
            "filtered": model.where is not None or model.where_document is not None,
        }

    def _counts(self) -> list[tuple[str, str, int]]:
        model = self._model
        selected = getattr(model, "selected_ids", ())
        try:
            counts = {"rows": len(model.positions), "results": len(model.results), "selection": len(selected)}
        except ChromaNbError:
            counts = {"rows": 0, "results": len(model.results), "selection": len(selected)}
        return [(name, _TABS[name], counts[name]) for name in model.tables]

    def _header(self, column: str) -> dict[str, Any]:
        """Name, type and place in the order of a column."""
        sort = self._model.sort
        type_ = self._type(column)
        return {
            "name": column,
            "type": type_,
            "number": type_ in _NUMBERS,
            "sortable": column not in _UNSORTED,
            "order": None if sort is None or sort[0] != column else "descending" if sort[1] else "ascending",
        }

    def _type(self, column: str) -> str:
        if column in _UNSORTED or column == "id":
            return "distance" if column == "distance" else ""
        kinds = self._model.keys.get(key_of(column), ())
        return type_name(kinds)

    def _rows(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        rows = zip(self._page.index, self._page[list(columns)].to_numpy(object), strict=True)
        return [{"id": id_, "cells": [one_line(format_cell(value)) for value in values]} for id_, values in rows]

    def _bars(self, rows: list[dict[str, Any]], at: int) -> None:
        """Give distances equally many decimals, and bars: the farthest of all hits has the longest."""
        every, here = (frame["distance"].to_numpy(np.float64) for frame in (self._model.results, self._page))
        low = min(0.0, float(every.min(initial=0.0)))
        high = float(every.max(initial=low))
        for row, value in zip(rows, here, strict=True):
            row["cells"][at] = format_distance(value, high)
            row["share"] = 0.0 if high <= low else round(float((value - low) / (high - low)), 3)

    def _nothing(self) -> str:
        """What stands in an empty table."""
        if self._model.showing == "selection":
            return "Nothing is selected. Draw a lasso on the map."
        if self._model.showing == "results" and self._model.query is None:
            return "No query yet. Ask for a text, a vector or the like of an item."
        if self._model.where is not None or self._model.where_document is not None:
            return "No rows pass these filters."
        return "The query has no hits." if self._model.showing == "results" else "The collection is empty."
