"""`Explorer`: query, filters, table, map and selection of one collection on screen, linked."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from chroma_nb.collection import Collection
from chroma_nb.errors import InvalidArgumentError, suggest
from chroma_nb.exploring import Explorable
from chroma_nb_widgets import registry, stand_in, static
from chroma_nb_widgets.closing import close_all
from chroma_nb_widgets.filter_form import FilterForm
from chroma_nb_widgets.map.choose import Prefer
from chroma_nb_widgets.models.explorer import ExplorerModel
from chroma_nb_widgets.projection_plot import ProjectionPlot
from chroma_nb_widgets.query_form import QueryForm
from chroma_nb_widgets.sample_note import SampleNote
from chroma_nb_widgets.selection_bar import SelectionBar
from chroma_nb_widgets.style import Style
from chroma_nb_widgets.table import RowsTable

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RENDERERS: tuple[Prefer, ...] = ("auto", "plotly", "webgl")
_MADE_WITH = ("renderer", "method", "projection")
_SETTABLE = ("query", "n_results", "where", "where_document", "color", "selected_ids", "showing", "sort", "page_size")
_IN_CODE = ["query", "n_results", "where", "where_document", "selected_ids", "color", "version"]
_SHOWN_IDS = 200  # listed on screen; `Explorer.code` lists all


class Explorer(ExplorerModel):
    """An explorer of a collection: its state (`ExplorerModel`), and its view in a notebook.

    Made by `Collection.explore`. Displaying it shows the widget; a closed kernel, GitHub and nbviewer show
    a picture of the map and a table instead.

    Args:
        collection: to explore.
        renderer: "plotly", "webgl" or "auto" (plotly up to 20,000 points).
        **values: state to begin with, as in `ExplorerModel`.
    """

    def __init__(self, collection: Collection, *, renderer: str = "auto", **values: Any) -> None:
        self._renderer = _checked(renderer)
        super().__init__(collection, **values)

    @cached_property
    def widget(self) -> w.VBox:
        """The view; put it beside other widgets, or display the explorer itself."""
        return ExplorerView(self, self._renderer)

    def draw_with(self, renderer: str) -> None:
        """Draw the map with another renderer; a view on screen gives way to a new one."""
        if _checked(renderer) != self._renderer:
            self._renderer = _checked(renderer)
            old = self.__dict__.pop("widget", None)
            if old is not None:
                old.close()

    def figure(self) -> go.Figure:
        """What the map shows, as a plain plotly figure of up to 20,000 points."""
        from chroma_nb_widgets import plot

        return plot.explorer_figure(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write what is seen to one HTML file that needs no kernel and no network."""
        static.page(self, path)

    def close(self) -> None:
        """End the background work and take the widget off the screen."""
        registry.forget(self)
        super().close()
        if "widget" in self.__dict__:
            self.widget.close()

    def _ipython_display_(self) -> None:
        stand_in.show(self.widget, partial(static.explorer_card, self), repr(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Mapping[str, Any]:
        return static.explorer_bundle(self)

    def __repr__(self) -> str:
        return f"Explorer({self.name!r})"


def _checked(renderer: str) -> Prefer:
    for known in _RENDERERS:
        if renderer == known:
            return known
    raise InvalidArgumentError(
        f"renderer is one of {', '.join(_RENDERERS)}, got {renderer!r}.{suggest(renderer, _RENDERERS)}"
    )


class ExplorerView(w.VBox):
    """The parts of an explorer, arranged: controls beside the map, the table below.

    Args:
        model: of the explorer.
        renderer: see `Explorer`.
    """

    def __init__(self, model: ExplorerModel, renderer: Prefer) -> None:
        self._model = model
        self.query = QueryForm(model)
        self.filters = FilterForm(model)
        self.plot = ProjectionPlot(model, renderer)
        self.selection = SelectionBar(model)
        self.table = RowsTable(model, tabs=True)
        self.views = SavedViews(model)
        self.code = CodePanel(model)
        left = w.VBox([self.query, self.filters], layout=w.Layout(flex="1 1 310px", min_width="0", max_width="100%"))
        right = w.VBox([self.plot], layout=w.Layout(flex="3 1 410px", min_width="0"))
        self.more = w.Accordion([self.code, self.views], titles=("Code and SQL", "Saved views"), selected_index=None)
        super().__init__(
            [
                Style(),
                SampleNote(model),
                w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", align_items="stretch", grid_gap="12px")),
                self.selection,
                self.table,
                self.more,
            ]
        )
        self.add_class("chroma-nb-explorer")
        self.table.on_row(self.plot.point_at)

    def close(self) -> None:
        """Close the view and all its parts."""
        if self.comm is not None:
            close_all(*self.children, self.layout)
        super().close()


class CodePanel(w.HTML):
    """What is seen, as code and as SQL; always up to date."""

    def __init__(self, model: ExplorerModel) -> None:
        self._model = model
        super().__init__()
        model.observe(self._update, _IN_CODE)
        model.map.observe(self._update, "method")
        self._update()

    def _update(self, change: Any = None) -> None:
        with self._model.guarded(clear=False):
            parts = (self._model.code(most_ids=_SHOWN_IDS), self._model.sql)
            shown = (f'<pre class="chroma-nb-code" tabindex="0">{html.escape(part)}</pre>' for part in parts)
            self.value = "".join(shown)

    def close(self) -> None:
        """Take it off the screen; the model goes on."""
        if self.comm is not None:
            self._model.unobserve(self._update, _IN_CODE)
            self._model.map.unobserve(self._update, "method")
        super().close()


class SavedViews(w.HBox):
    """Save what is seen under a name, and open what was saved."""

    def __init__(self, model: ExplorerModel) -> None:
        self._model = model
        self.name = w.Text(placeholder="name of this view", tooltip="Name of this view", layout=w.Layout(width="220px"))
        self.save = w.Button(
            description="Save", layout=w.Layout(width="auto"), tooltip="Keep what is seen in the store"
        )
        self.saved = w.Dropdown(tooltip="Saved views", layout=w.Layout(width="220px"))
        self.load = w.Button(description="Open", layout=w.Layout(width="auto"), tooltip="Show the saved view")
        super().__init__([self.name, self.save, self.saved, self.load])
        self.add_class("chroma-nb-toolbar")
        self.save.on_click(lambda _: self._save())
        self.load.on_click(lambda _: self._load())
        self._list()

    def _list(self) -> None:
        with self._model.guarded(clear=False):
            self.saved.options = self._model.saved_views()
        self.load.disabled = not self.saved.options

    def _save(self) -> None:
        with self._model.guarded():
            name = self.name.value.strip()
            self._model.save(name)
            self._list()
            self.name.value, self.saved.value = "", name

    def _load(self) -> None:
        with self._model.guarded():
            self._model.load(self.saved.value)


def explore_collection(
    collection: Explorable, name: str | None = None, *, fresh: bool = False, **options: Any
) -> Explorer:
    """The explorer of a collection; see `Collection.explore`.

    Args:
        collection: to explore; of any dialect.
        name: of a saved view to show.
        fresh: make another one although one is there.
        **options: of `Explorer`; applied to the living one too.
    """
    plain = collection._with_frames()
    key = (Explorer, id(plain._store), plain.id)
    known = (*_SETTABLE, *_MADE_WITH, "name", "fresh")
    for option in options:
        if option not in known:
            raise InvalidArgumentError(
                f"explore() takes no {option!r}.{suggest(option, known)} It takes: {', '.join(known)}."
            )
    made = {option: options.pop(option) for option in _MADE_WITH if option in options}
    if fresh:
        explorer = Explorer(plain, **made)
        registry.replace(key, explorer)
    else:
        explorer = registry.living(key, lambda: Explorer(plain, **made))
        explorer.refresh()
        explorer.draw_with(made.get("renderer", explorer._renderer))
        explorer.map.use(**(made.get("projection") or explorer.map.parameters))
        explorer.map.method = made.get("method", explorer.map.method)
    if name is not None:
        explorer.load(name)
    for option, value in options.items():
        setattr(explorer, option, value)
    return explorer
