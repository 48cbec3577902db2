"""Plain plotly figures of a collection's map: for papers, for files, and for hosts without widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from chroma_nb import arguments
from chroma_nb.collection import Collection
from chroma_nb.errors import ColumnNotFoundError, InvalidArgumentError, suggest
from chroma_nb.exploring import Explorable, projected
from chroma_nb.projection import Projection, Projector
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import IntArray, Matrix
from chroma_nb_widgets.figures import map_figure
from chroma_nb_widgets.map.interface import Colours, HoverText, Mask, Overlay, Points
from chroma_nb_widgets.models import asked, colours, distances
from chroma_nb_widgets.models.explorer import DISTANCE, ExplorerModel
from chroma_nb_widgets.models.places import places_of
from chroma_nb_widgets.static import cell_text

SAMPLE = 20_000
_OPTIONS = ("n_neighbors", "min_dist", "engine", "seed")
_OWN = ("color", "hover", "method", "query", "n_results", "where", "where_document", "sample", "title", "refresh")
_WORDS = 100  # characters of a document in a tooltip


def plot_collection(
    collection: Explorable,
    color: str | None = None,
    hover: Sequence[str] | str | bool | None = None,
    *,
    method: str = "umap",
    query: Any = None,
    n_results: int = 10,
    where: Any = None,
    where_document: Any = None,
    sample: int = SAMPLE,
    title: str | None = None,
    width: int | None = None,
    height: int | None = 560,
    dark: bool = False,
    refresh: bool = False,
    **options: Any,
) -> go.Figure:
    """A figure of a collection's map; see `Collection.plot`, which has the same arguments."""
    plain = collection._with_frames()
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 1:
        raise InvalidArgumentError(f"sample is how many points are drawn at most, got {sample!r}")
    keys = plain._store.stats(plain.id).keys
    names = _hover_names(hover, keys)
    if color is not None and color not in (*keys, DISTANCE):
        raise _unknown("colour by", color, (*keys, DISTANCE))
    checked = asked.checked(query)
    if color == DISTANCE and DISTANCE not in keys and checked is None:
        raise InvalidArgumentError('color="distance" colours by the distance to a query: give query= too.')
    selection = arguments.selection(None, where, where_document)
    projector, projection = _projection(plain, method, options, refresh=refresh)
    snapshot: Snapshot = projection.snapshot
    vector, hits = _hits(plain, snapshot, checked, n_results, {"where": where, "where_document": where_document})
    overlay = None
    if vector is not None:
        own = places_of(snapshot, [checked.id] if isinstance(checked, asked.Like) else [])
        x, y = projection.xy[own[0]] if len(own) else projector.place(projection, vector)[0]
        overlay = Overlay((float(x), float(y)), asked.label(checked), hits)
    visible = np.zeros(len(snapshot), dtype=np.bool_)
    visible[snapshot.matching(selection)] = True
    painted = _colours(snapshot, color, keys, vector)
    scene = Scene(snapshot, projection.xy, painted, visible, None, overlay, projection.method)
    look = {"width": width, "height": height, "dark": dark, "title": plain.name if title is None else title}
    return scene.figure(sample, names, **look)


def _projection(
    collection: Collection, method: str, options: Mapping[str, Any], *, refresh: bool
) -> tuple[Projector, Projection]:
    """The stored map, or one that is computed now."""
    for name in options:
        if name not in _OPTIONS:
            raise InvalidArgumentError(f"plot() takes no {name!r}.{suggest(name, (*_OWN, *_OPTIONS))}")
    projector = Projector(collection._store, collection.id, method, **options)
    return projector, projected(projector, collection.name, refresh=refresh)


def explorer_figure(model: ExplorerModel, sample: int = SAMPLE, *, dark: bool = False) -> go.Figure:
    """What an explorer's map shows, as a plain figure of at most ``sample`` points."""
    method = "pca" if model.map.projection is None else model.map.projection.method
    scene = Scene(model.snapshot, model.map.xy, model.colours, model.visible, model.marked, model.overlay(), method)
    return scene.figure(sample, (*list(model.keys)[:8], "document"), title=model.collection.name, dark=dark, height=560)


@dataclass(frozen=True)
class Scene:
    """All points of a map and what is to be seen of them.

    Attributes:
        snapshot: the n items.
        xy: their places, float32 (n, 2).
        colours: theirs.
        visible: bool (n,), which pass the filters.
        selected: bool (n,), or None.
        overlay: a query with its hits, or None.
        method: what placed the points, "umap" or "pca".
    """

    snapshot: Snapshot
    xy: Points
    colours: Colours
    visible: Mask
    selected: Mask | None
    overlay: Overlay | None
    method: str

    def figure(self, sample: int, names: Sequence[str], **look: Any) -> go.Figure:
        """A figure of at most ``sample`` of the points, which tell these columns when hovered."""
        total, passing = len(self.xy), int(self.visible.sum())
        notes = [f"{passing:,} of {total:,} items pass the filters"] if passing < total else []
        drawn = self.sampled(sample)
        if len(drawn) < self.snapshot.total:
            notes.append(f"{len(drawn):,} of {self.snapshot.total:,} items are drawn")
        return map_figure(
            self.xy[drawn],
            replace(self.colours, codes=self.colours.codes[drawn]),
            hover_texts(self.snapshot, drawn, names) if names else None,
            selected=None if self.selected is None else self.selected[drawn],
            visible=self.visible[drawn],
            overlay=self._overlay_of(drawn),
            note=f"{', '.join(notes) or f'{total:,} items'} · {self.method.upper()}",
            **look,
        )

    def sampled(self, most: int) -> IntArray:
        """Positions to draw, ascending: all hits, and of all else its share, however small."""
        if len(self.xy) <= most:
            return np.arange(len(self.xy))
        from chroma_nb_widgets.map.choose import stratified_sample

        strata = self.colours.codes.astype(np.int64) * 4 + self.visible * 2
        if self.selected is not None:
            strata += self.selected
        codes = np.unique(strata, return_inverse=True)[1].astype(np.uint16)
        hits = np.zeros(0, dtype=np.int64) if self.overlay is None else self.overlay.hits
        others = np.setdiff1d(np.arange(len(codes)), hits)
        return np.union1d(hits, others[stratified_sample(codes[others], len(others), max(most - len(hits), 1))])

    def _overlay_of(self, drawn: IntArray) -> Overlay | None:
        if self.overlay is None:
            return None
        return replace(self.overlay, hits=np.searchsorted(drawn, self.overlay.hits))


def hover_texts(snapshot: Snapshot, positions: IntArray, names: Sequence[str]) -> list[HoverText]:
    """What is told about items: the id, and these columns, "document" being the first words of it."""
    include = frozenset({"documents", "metadatas"} if len(names) else ())
    found = snapshot.records(positions, include)
    documents = None if "document" not in names or found.documents is None else found.documents.to_pylist()
    lines: list[list[tuple[str, str]]] = [[] for _ in range(len(found))]
    for name in names:
        for column in (found.metadata or {}).get(name, {}).values():
            for line, value in zip(lines, column.to_pylist(), strict=True):
                if value is not None:
                    line.append((name, cell_text(value)))
    bodies = [""] * len(found) if documents is None else [_beginning(document) for document in documents]
    ids = found.ids.to_pylist()
    return [HoverText(*parts) for parts in zip(ids, map(tuple, lines), bodies, strict=True)]


def _beginning(document: str | None) -> str:
    text = " ".join((document or "")[: 4 * _WORDS].split())
    return text if len(text) <= _WORDS else f"{text[:_WORDS].rsplit(' ', 1)[0]}…"


def _hover_names(hover: Sequence[str] | str | bool | None, keys: Mapping[str, object]) -> tuple[str, ...]:
    if hover is None or hover is True:
        return ("document",)
    if hover is False:
        return ()
    names = (hover,) if isinstance(hover, str) else tuple(hover)
    for name in names:
        if name not in (*keys, "id", "document"):
            raise _unknown("show", name, ("id", "document", *keys))
    return names or ("id",)


def _unknown(what_for: str, name: object, known: Sequence[str]) -> ColumnNotFoundError:
    return ColumnNotFoundError(f"There is no column {name!r} to {what_for}.{suggest(name, known)}")


def _colours(snapshot: Snapshot, color: str | None, keys: Mapping[str, object], vector: Matrix | None) -> Colours:
    if color is None:
        return colours.one_colour(len(snapshot))
    if color in keys:
        return colours.by_column(color, snapshot.column(color), len(snapshot))
    assert vector is not None  # noqa: S101 - checked with the arguments
    found = distances.to_all(snapshot, vector[0], snapshot.info.settings.space)
    return colours.by_number("distance to the query", found)


def _hits(
    collection: Collection, snapshot: Snapshot, query: asked.Query, n_results: int, filters: Mapping[str, Any]
) -> tuple[Matrix | None, IntArray]:
    """The vector asked for and the positions of its hits, best first."""
    if query is None:
        return None, np.zeros(0, dtype=np.int64)
    like = query.id if isinstance(query, asked.Like) else None
    vector = collection._vectors_of(query) if like is None else collection.embeddings([like])
    hits = collection.query(vector, n_results=n_results + (like is not None), **filters)
    ids = [id_ for id_ in hits.index if id_ != like][:n_results]
    return vector, places_of(snapshot, ids)
