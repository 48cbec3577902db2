"""Everything an explorer knows: query, filters, map, colours and selection as one state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import traitlets

from chroma_nb.collection import Collection
from chroma_nb.errors import ChromaNbError, ClosedStoreError, CollectionNotFoundError, InvalidArgumentError, suggest
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import BoolArray, IntArray, Kind
from chroma_nb_widgets.map.interface import Colours, HoverText, Overlay
from chroma_nb_widgets.models import asked, code, colours, distances
from chroma_nb_widgets.models.curation import Curation, Plan
from chroma_nb_widgets.models.map import MapModel
from chroma_nb_widgets.models.query import QueryModel

DISTANCE = "distance"
_BODY = 600  # characters of a document in a tooltip
_LINES = 12  # metadata keys in a tooltip


class ExplorerModel(QueryModel):
    """The state of an explorer; a `QueryModel` with a map, colours, a selection and curation.

    Attributes:
        color: what colours the map: a metadata key, "distance" (to the query, unless there is a key of that
            name), or None.
        hidden: codes of the legend that are toggled off.
        selected_ids: ids of the selected items, in order of insertion.
        colours: of all points, made from ``color``.
        map: the places (see `MapModel`).
        curation: tag, delete, copy, undo.
    """

    color = traitlets.Unicode(None, allow_none=True)
    hidden = traitlets.Any(frozenset())
    selected_ids = traitlets.Any(())
    colours = traitlets.Any()

    tables = ("rows", "results", "selection")

    def __init__(self, collection: Collection, *, method: str = "umap", projection: Any = None, **values: Any) -> None:
        self._selected = np.zeros(0, dtype=np.int64)
        self._keys: dict[str, tuple[Kind, ...]] = {}
        super().__init__(collection)
        self._keys = self.keys
        self.map = MapModel(self._store, collection.id, method, **(projection or {}))
        self.curation = Curation(self._store, collection.id)
        self.colours = colours.one_colour(len(self._snapshot))
        self._coloured_for = self._vector
        self.observe(self._recolour, "color")
        self.observe(self._hide, "hidden")
        self.observe(self._ids_set, "selected_ids")
        self.observe(self._new_results, "results")
        self.map.observe(self._new_places, "projection")
        with self.guarded():
            self.map.start()
        for name, value in values.items():
            setattr(self, name, value)

    # checks -----------------------------------------------------------------------------------

    @traitlets.validate("color")
    def _check_color(self, proposal: Any) -> str | None:
        value: str | None = proposal["value"]
        known = (*self.keys, *({DISTANCE} - self.keys.keys()))
        if value is None or value in known:
            return value
        raise InvalidArgumentError(
            f"There is no column {value!r} to colour by.{suggest(value, known)} Columns: {', '.join(known)}."
        )

    @traitlets.validate("selected_ids")
    def _check_selected_ids(self, proposal: Any) -> tuple[str, ...]:
        value = proposal["value"]
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)

    @traitlets.validate("hidden")
    def _check_hidden(self, proposal: Any) -> frozenset[int]:
        return frozenset(proposal["value"])

    # selection --------------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys in order of first appearance, with their kinds; the last known if the collection is gone."""
        with suppress(CollectionNotFoundError, ClosedStoreError):
            self._keys = self._store.stats(self.collection.id).keys
        return self._keys

    @property
    def positions(self) -> IntArray:
        """Positions in the snapshot of the items that pass the filters, ascending.

        None when the filters cannot be judged, of which ``error`` tells: whatever shows them still shows the rest.
        """
        try:
            return self._passing()
        except ChromaNbError:
            return np.zeros(0, dtype=np.int64)

    @property
    def selected(self) -> IntArray:
        """Positions in the snapshot of the selected items, ascending."""
        return self._selected

    @property
    def selection(self) -> pd.DataFrame:
        """The selected rows, as `Collection.get` gives them; EMPTY when nothing is selected."""
        return self._frame(self._selected)

    def select(self, positions: Sequence[int] | IntArray) -> None:
        """Select the items at these positions; the table shows them."""
        self._selected = np.flatnonzero(self._mask(np.asarray(positions, dtype=np.int64)))  # sorted, and each once
        self._sorted = None
        self.selected_ids = self._ids_at(self._selected)
        self.page = 0
        if len(self._selected):
            self.showing = "selection"
        elif self.showing == "selection":
            self._show_other_rows()

    def _ids_set(self, change: Any) -> None:
        """Follow ids that were set from outside; those that `select` set are there already."""
        if self.selected_ids == self._ids_at(self._selected):
            return
        with self.guarded():
            wanted = self.selected_ids or ()
            positions = self.places_of(wanted)
            self.select(positions)
            missing = sorted(set(wanted) - set(self.selected_ids))
            if missing:
                raise InvalidArgumentError(
                    f"{len(missing):,} of these ids do not exist: {', '.join(map(repr, missing[:5]))}."
                )

    def _ids_at(self, positions: IntArray) -> tuple[str, ...]:
        return tuple(self._snapshot.ids.take(pa.array(positions)).to_pylist())

    def _show_other_rows(self) -> None:
        self.showing = "results" if self.query is not None else "rows"

    def _shown_positions(self) -> IntArray:
        return self._selected if self.showing == "selection" else self.positions

    # the map ----------------------------------------------------------------------------------

    @property
    def visible(self) -> BoolArray:
        """Which points pass the filters, bool (n,)."""
        return self._mask(self.positions)

    @property
    def marked(self) -> BoolArray | None:
        """Which points are selected, bool (n,); None when none is."""
        return self._mask(self._selected) if len(self._selected) else None

    def _mask(self, positions: IntArray) -> BoolArray:
        mask = np.zeros(len(self._snapshot), dtype=np.bool_)
        mask[positions] = True
        return mask

    def overlay(self) -> Overlay | None:
        """The query on the map; None without one."""
        xy = self.map.xy
        if self._vector is None or len(xy) == 0 or len(xy) != len(self._snapshot):
            return None
        own = self.places_of([self.query.id]) if isinstance(self.query, asked.Like) else np.zeros(0, np.int64)
        place = xy[own[0]] if len(own) else self.map.place(self._vector)[0]
        return Overlay((float(place[0]), float(place[1])), self.query_label, self.places_of(list(self.results.index)))

    def hover(self, position: int) -> HoverText:
        """What is told about the point at a position: id, metadata, the beginning of the document."""
        found = self._snapshot.records(np.asarray([position]), frozenset({"documents", "metadatas"}))
        lines = []
        for key, kinds in (found.metadata or {}).items():
            values = [column[0].as_py() for column in kinds.values() if column[0].is_valid]
            lines += [
                (key, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)) for value in values
            ]
        document = None if found.documents is None else found.documents[0].as_py()
        text = "" if document is None else document if len(document) <= _BODY else f"{document[:_BODY]}…"
        if len(lines) > _LINES:
            lines = [*lines[:_LINES], ("…", f"{len(lines) - _LINES} more")]
        return HoverText(str(found.ids[0]), tuple(lines), text)

    # colours ----------------------------------------------------------------------------------

    def _recolour(self, change: Any = None) -> None:
        with self.guarded(clear=False):
            self._paint(self._made_colours(), ())

    def _made_colours(self) -> Colours:
        self._coloured_for = self._vector
        count = len(self._snapshot)
        if self.color is not None and self.color in self.keys:
            return colours.by_column(self.color, self._snapshot.column(self.color), count)
        if self.color is None or self._vector is None:
            return colours.one_colour(count)
        space = self._snapshot.info.settings.space
        return colours.by_number("distance to the query", distances.to_all(self._snapshot, self._vector[0], space))

    def _hide(self, change: Any) -> None:
        if self.colours.hidden != self.hidden:
            self.colours = replace(self.colours, hidden=frozenset(self.hidden))

    def _hidden_texts(self) -> list[str]:
        return [entry.text for entry in self.colours.legend if entry.code in self.colours.hidden]

    def _new_results(self, change: Any) -> None:
        if self.color == DISTANCE and self._vector is not self._coloured_for:
            self._recolour()

    # data that changes ------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The collection's name as it is now."""
        with suppress(CollectionNotFoundError, ClosedStoreError):
            self.collection._refresh()
        return self.collection.name

    def refresh(self) -> bool:
        """Look at the collection as it is now; whether anything was new."""
        changed = False
        with self.guarded(clear=False):
            changed = self.stale
            if changed:
                self.collection._refresh()
                self.map.carry(self._store.snapshot(self.collection.id))
        return changed

    def _new_places(self, change: Any) -> None:
        shown = self.map.projection.snapshot
        if shown.info.version != self.version:
            self._stand_on(shown)
        else:
            self._snapshot = shown  # the same items at the same positions

    def _stand_on(self, snapshot: Snapshot) -> None:
        """Let everything speak of this snapshot: positions mean something else from here on.

        Nobody is told before all is done, or they would see positions of one in arrays of the other.
        """
        with self.hold_trait_notifications():
            page, hidden = self.page, self._hidden_texts()
            self._snapshot = snapshot
            self._forget()
            if self.color not in (None, DISTANCE, *self.keys):
                self.color = None
            self._selected = np.sort(self.places_of(self.selected_ids))
            self.selected_ids = self._ids_at(self._selected)
            if self.showing == "selection" and len(self._selected) == 0:
                self._show_other_rows()
            self.version = snapshot.info.version
            self._search()
            self._paint(self._made_colours(), hidden)
            with self.guarded(clear=False):
                self.page = min(page, max(0, -(-self.total // self.page_size) - 1))

    def _paint(self, made: Colours, hidden: Sequence[str]) -> None:
        """Take colours over, those lines of the legend hidden."""
        codes = frozenset(entry.code for entry in made.legend if entry.text in hidden)
        with self.hold_trait_notifications():
            self.colours = replace(made, hidden=codes)
            self.hidden = codes

    # curation ---------------------------------------------------------------------------------

    def plan_tag(self, key: str, value: Any) -> Plan:
        """Writing a metadata value to the selected items, as a plan."""
        return self.curation.tag(self._snapshot, self._selected, key, value)

    def plan_delete(self) -> Plan:
        """Deleting the selected items, as a plan."""
        return self.curation.delete(self._snapshot, self._selected)

    def plan_copy(self, name: str) -> Plan:
        """Copying the selected items to a new collection, as a plan."""
        return self.curation.copy(self._snapshot, self._selected, name)

    def carry_out(self, plan: Plan) -> bool:
        """Do what a plan says, and show the collection as it is afterwards; whether it was done."""
        done = False
        with self.guarded():
            plan.run()
            done = True
            self.refresh()
        return done

    # back to code -----------------------------------------------------------------------------

    @property
    def sql(self) -> str:
        """SQL for the rows that pass the filters; run it with ``client.sql``."""
        return code.select(self.name, self.where, self.where_document, self.keys)

    def code(self, most_ids: int | None = None) -> str:
        """A cell that reproduces what is seen.

        Args:
            most_ids: a selection of more items is left out, which is said; None: it is never.
        """
        target = code.variable(self.name)
        filters = {"where": self.where, "where_document": self.where_document}
        lines = code.opening(self._store.location, self.name, read_only=self.read_only)
        lines += code.query_lines(target, self.query, self.n_results, filters)
        if most_ids is None or len(self.selected_ids) <= most_ids:
            lines += code.selection_lines(target, self.selected_ids)
        else:
            lines.append(f"# {len(self.selected_ids):,} selected ids: .selected_ids of the explorer, listed by .code()")
        color = self.color if self.color in self.keys or self.query is not None else None
        number = None if self.query is None else self.n_results
        options = {"n_results": number, **filters, "color": color, "method": self.map.method, **self.map.parameters}
        return "\n".join([*lines, code.plot_line(target, self.query, **options)])

    # saved views ------------------------------------------------------------------------------

    _SAVED = ("n_results", "where", "where_document", "page_size", "color", "sort")

    def save(self, name: str) -> None:
        """Keep what is seen under a name, in the store; ``explore(name=...)`` shows it again.

        Raises:
            ReadOnlyStoreError: the store cannot be written.
            InvalidArgumentError: the name is empty.
        """
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError("Give the view a name, such as .save('reviewed').")
        state = {trait: getattr(self, trait) for trait in (*self._SAVED, "showing")}
        state |= {"query": asked.to_json(self.query), "selected_ids": self.selected_ids, "method": self.map.method}
        self._store.save_view(self.collection.id, name, code.as_json(state | {"hidden": self._hidden_texts()}))

    def saved_views(self) -> list[str]:
        """The names of the saved views of this collection."""
        return self._store.views(self.collection.id)

    def load(self, name: str) -> None:
        """Show what was kept under a name; ``error`` says if selected items were deleted since.

        Raises:
            InvalidArgumentError: nothing was saved under this name.
        """
        text = self._store.view(self.collection.id, name)
        if text is None:
            names = self.saved_views()
            raise InvalidArgumentError(
                f"There is no saved view {name!r} of {self.name}.{suggest(name, names)}"
                + (f" Saved: {', '.join(names)}." if names else " Make one with .save(name).")
            )
        state = json.loads(text)
        with self.guarded():
            with self._one_search():
                self.map.method = state["method"]
                for trait in (*self._SAVED, "query"):
                    setattr(self, trait, state[trait])
            self._paint(self.colours, state["hidden"])
            ids = state["selected_ids"]
            self.select(self.places_of(ids))
            if state["showing"] != "selection" or len(self._selected):
                self.showing = state["showing"]
            if len(self._selected) < len(ids):
                raise InvalidArgumentError(
                    f"{len(ids) - len(self._selected):,} of {len(ids):,} items selected in {name!r} were deleted since."
                )

    def close(self) -> None:
        """End the background work; the explorer can no longer be used."""
        self.map.unobserve_all()
        self.map.close()
        self.unobserve_all()
