"""What shows a collection in a notebook: maps, figures, explorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chroma_nb import frames
from chroma_nb.progress import BriefInterrupts, bars
from chroma_nb.projection import Projection, Projector, computed

if TYPE_CHECKING:
    import uuid

    import pandas as pd
    from chroma_nb_widgets import Explorer, QueryWidget
    from plotly.graph_objects import Figure

    from chroma_nb.collection import Collection
    from chroma_nb.store.protocol import Store

_STAGES = {"prepare": "preparing (the first time, up to a minute)"}  # where the name alone does not tell what is done


class Explorable(ABC):
    """The methods of a collection that draw it. `chroma_nb.Collection` is one."""

    _store: Store

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the collection."""

    @property
    @abstractmethod
    def id(self) -> uuid.UUID:
        """Its identity."""

    @abstractmethod
    def _with_frames(self) -> Collection:
        """The same collection, with results as frames."""

    def explore(self, name: str | None = None, *, fresh: bool = False, **options: Any) -> Explorer:
        """An explorer: query, filters, table and a map of all items, linked, in the notebook.

        The first map is computed in the background and kept in the store. Running the cell again shows the same
        explorer, with its state. What is chosen in it comes back as data: ``.selection``, ``.results``, ``.view``,
        ``.where``, ``.code()``, ``.figure()`` and more.

        Args:
            name: of a view saved with ``.save(name)``.
            fresh: make another explorer although there is one.
            **options: state to begin with: ``query``, ``n_results``, ``where``, ``where_document``, ``color``, ...;
                ``method`` ("umap" or "pca"), ``renderer`` ("auto", "plotly" or "webgl").

        Raises:
            InvalidArgumentError: an option is unknown or has a bad value.
        """
        from chroma_nb_widgets import explore_collection

        return explore_collection(self, name, fresh=fresh, **options)

    def query_widget(self, query: Any = None, *, fresh: bool = False, **options: Any) -> QueryWidget:
        """A form in the notebook: a query, filters that fit the columns, and a table of rows or results.

        Running the cell again shows the same widget, with its state and with what is given here on top. What is
        chosen in it comes back as data: ``.results``, ``.view``, ``.where``, ``.sql``, ``.code()``.

        Args:
            query: a text, a vector or ``{"like": id}``.
            fresh: make another widget although there is one.
            **options: state to begin with: ``n_results``, ``where``, ``where_document``, ``sort``, ``page_size``, ...

        Raises:
            InvalidArgumentError: an option is unknown or has a bad value.
        """
        from chroma_nb_widgets.query_widget import query_collection

        if query is not None:
            options["query"] = query
        return query_collection(self, fresh=fresh, **options)

    def plot(
        self,
        color: str | None = None,
        hover: Sequence[str] | str | bool | None = None,
        *,
        method: str = "umap",
        query: Any = None,
        n_results: int = 10,
        where: Any = None,
        where_document: Any = None,
        sample: int = 20_000,
        title: str | None = None,
        width: int | None = None,
        height: int | None = 560,
        dark: bool = False,
        refresh: bool = False,
        **options: Any,
    ) -> Figure:
        """The map as a plain plotly figure: for papers, files, and hosts without widgets.

        The stored map is used; without one it is computed first, as `project` does. Where plotly itself is not drawn,
        as on GitHub, ``plotly.io.renderers.default = "png"`` (with the package kaleido) puts a picture into the
        notebook; explorers leave one by themselves.

        Args:
            color: what colours the points: a metadata key, or "distance" (to the query).
            hover: what is told about a point besides its id: metadata keys and "document"; None: the first words
                of the document; False: nothing at all.
            method: "umap" or "pca".
            query: a text, a vector or ``{"like": id}``, drawn with its hits.
            n_results: how many hits.
            where: a filter on metadata; the other items are drawn faintly.
            where_document: a filter on documents; likewise.
            sample: of more items than this a sample is drawn in which every colour has its share; the figure says so.
            title: the heading; None: the collection's name.
            width: in pixels; None fills the page.
            height: in pixels.
            dark: on a dark ground.
            refresh: compute the map anew.
            **options: of `project`.

        Raises:
            ColumnNotFoundError: there is no such column to colour by or to show.
            InvalidArgumentError: another argument is wrong.
        """
        from chroma_nb_widgets import plot_collection

        look: dict[str, Any] = {"title": title, "width": width, "height": height, "dark": dark}
        asked = {"query": query, "n_results": n_results, "where": where, "where_document": where_document}
        return plot_collection(
            self, color, hover, method=method, sample=sample, refresh=refresh, **asked, **look, **options
        )

    def project(
        self,
        method: str = "umap",
        refresh: bool = False,
        *,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        engine: str = "umap",
        seed: int | None = None,
    ) -> pd.DataFrame:
        """A map: each item at a place in the plane, alike ones beside each other.

        A UMAP is stored with the collection and comes back at once. Items added since then are placed beside
        their neighbours without moving the others; once they are the larger part, the map is computed anew.
        Can be interrupted without harm.

        Args:
            method: "umap", or "pca" (two principal components: quick, and never stored).
            refresh: compute the map anew, laid over the stored one.
            n_neighbors: how many neighbours UMAP looks at: few show detail, many the whole.
            min_dist: how close neighbours may come on the map, 0 to 1.
            engine: what draws a UMAP: "umap" (umap-learn); "native", our own loop, which starts within a second or two
                where umap-learn was not used before; or "fastumap", from the package of that name.
            seed: makes maps of equal data equal, with one thread; None: faster.

        Returns:
            Index ``id``, in order of insertion; columns ``x`` and ``y`` (float32).

        Raises:
            InvalidArgumentError: what is wrong with which argument.
            MissingDependencyError: the engine is not installed.

        >>> import chroma_nb
        >>> docs = chroma_nb.Client().create_collection("docs")
        >>> docs.add(ids=["a", "b", "c"], embeddings=[[0, 0], [1, 0], [5, 0]])
        >>> docs.project("pca")
              x    y
        id
        a  -2.0  0.0
        b  -1.0  0.0
        c   3.0  0.0
        """
        projector = Projector(self._store, self.id, method, n_neighbors, min_dist, engine, seed)
        with BriefInterrupts():
            made = projected(projector, self.name, refresh=refresh)
        attrs = {"collection": self.name, "call": "project", "method": made.method}
        return frames.map_frame(made.snapshot.ids, made.xy, attrs)


def projected(projector: Projector, name: str, *, refresh: bool) -> Projection:
    """The stored map, or one that is computed now, with a progress bar.

    Args:
        projector: of the collection.
        name: of the collection, for the bar.
        refresh: compute it in any case.
    """
    made = None if refresh else projector.stored()
    if made is not None:
        return made
    with bars(f"map of {name}") as move:
        return computed(projector, lambda stage: move(_STAGES.get(stage.name, stage.name), stage.done, stage.total))
