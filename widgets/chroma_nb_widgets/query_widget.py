"""`QueryWidget`: query, filters and a table of one collection on screen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import ipywidgets as w
import pandas as pd
from IPython.display import display

from chroma_nb.errors import ChromaNbError, InvalidArgumentError, suggest
from chroma_nb.exploring import Explorable
from chroma_nb_widgets import registry, stand_in, static
from chroma_nb_widgets.closing import close_all
from chroma_nb_widgets.filter_form import FilterForm
from chroma_nb_widgets.models import code
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.query_form import QueryForm
from chroma_nb_widgets.sample_note import SampleNote
from chroma_nb_widgets.table import RowsTable

_SETTABLE = ("query", "n_results", "where", "where_document", "showing", "sort", "page_size")


class QueryWidget(QueryModel):
    """A query form of a collection: its state (`QueryModel`), and its view in a notebook.

    Made by `Collection.query_widget`. Displaying it shows the widget; a closed kernel, GitHub and nbviewer
    show a table instead.

    Args:
        collection: to query.
        **values: state to begin with, as in `QueryModel`.
    """

    @cached_property
    def widget(self) -> w.VBox:
        """The view; put it beside other widgets, or display this object itself."""
        return QueryView(self)

    @property
    def sql(self) -> str:
        """SQL for the rows that pass the filters; run it with ``client.sql``."""
        return code.select(self.collection.name, self.where, self.where_document, self.keys)

    def code(self) -> str:
        """A cell that gets the same rows."""
        target = code.variable(self.collection.name)
        read_only = self.read_only
        lines = code.opening(self._store.location, self.collection.name, read_only=read_only)
        filters = {"where": self.where, "where_document": self.where_document}
        return "\n".join(lines + code.query_lines(target, self.query, self.n_results, filters))

    def close(self) -> None:
        """Take the widget off the screen; the next ``query_widget()`` begins anew."""
        registry.forget(self)
        if "widget" in self.__dict__:
            self.widget.close()
        self.unobserve_all()

    def _ipython_display_(self) -> None:
        if self.widget.comm is None:
            display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]
        else:
            stand_in.show(self.widget, lambda: (self._card(), b""), self._text())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Mapping[str, Any]:
        return static.bundle(self.widget, self._card(), b"", self._text())

    def _card(self) -> str:
        facts, rows = self._page()
        return static.static_html(self.collection.name, facts, None, b"", rows)

    def _text(self) -> str:
        facts, rows = self._page()
        table = "" if rows is None else f"\n{rows.to_string(max_colwidth=60)}"
        return f"{self!r}: {', '.join(facts)}{table}"

    def _page(self) -> tuple[list[str], pd.DataFrame | None]:
        """What the table shows, and what it is a page of, for where no kernel is."""
        try:
            facts, rows = [f"{len(self.positions):,} of {len(self.snapshot):,} rows pass the filters"], self.table()
        except ChromaNbError as error:  # a pattern that cannot be evaluated
            return [str(error)], None
        if self.query is not None:
            facts.append(f"{len(self.results):,} results for {self.query_label}")
        if self.sample_note:
            facts.append(self.sample_note)
        return facts, rows

    def __repr__(self) -> str:
        return f"QueryWidget({self.collection.name!r})"


class QueryView(w.VBox):
    """The parts of a query widget, one below the other.

    Args:
        model: what they show.
    """

    def __init__(self, model: QueryModel) -> None:
        self.query, self.filters, self.table = QueryForm(model), FilterForm(model), RowsTable(model, tabs=True)
        super().__init__([SampleNote(model), self.query, self.filters, self.table])
        self.add_class("chroma-nb-view")

    def close(self) -> None:
        """Close the view and all its parts."""
        close_all(*self.children, self.layout)
        super().close()


def query_collection(collection: Explorable, *, fresh: bool = False, **values: Any) -> QueryWidget:
    """The query widget of a collection; see `Collection.query_widget`.

    Args:
        collection: to query; of any dialect.
        fresh: make another one although one is there.
        **values: of `QueryWidget`; applied to the living one too.
    """
    unknown = sorted(set(values) - set(_SETTABLE))
    if unknown:
        raise InvalidArgumentError(
            f"query_widget() takes no {unknown[0]!r}.{suggest(unknown[0], _SETTABLE)} It takes: {', '.join(_SETTABLE)}."
        )
    plain = collection._with_frames()
    if fresh:
        return QueryWidget(plain, **values)
    found = registry.living((QueryWidget, id(plain._store), plain.id), lambda: QueryWidget(plain))
    found.refresh()
    for name, value in values.items():
        setattr(found, name, value)
    return found
