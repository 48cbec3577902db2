"""Which items a selection means, by the database."""

from __future__ import annotations

import numpy as np

from chroma_nb.store import schema, where_sql
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.shelves import Shelves
from chroma_nb.types import IntArray, Selection
from chroma_nb.where import patterns


def selected(shelves: Shelves, shelf: Shelf, selection: Selection) -> IntArray:
    """Positions of the selected items: in order of insertion, or of the ids asked for."""
    mirror = shelf.state.mirror
    if selection.ids is not None:
        known = shelf.positions
        asked = [known[id_] for id_ in selection.ids if id_ in known]
        positions = np.asarray(asked, dtype=np.int64)
        if selection.where is None:
            return positions
        return positions[np.isin(positions, _matching(shelves, shelf, selection))]
    return mirror.live_positions() if selection.where is None else _matching(shelves, shelf, selection)


def _matching(shelves: Shelves, shelf: Shelf, selection: Selection) -> IntArray:
    number = shelf.state.entry.number
    condition = where_sql.condition(selection.where, shelf.state.places, schema.sparse_table(number))
    rows = shelves.catalog.items.matching(number, condition, patterns(selection.where))
    return shelf.state.mirror.positions(rows)
