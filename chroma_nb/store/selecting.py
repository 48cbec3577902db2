"""Which items a selection means: by the mirror, or by the database where a regular expression is in it."""

from __future__ import annotations

import numpy as np

from chroma_nb.store import matching, schema, where_sql
from chroma_nb.store.mirror import ascending
from chroma_nb.store.search import Allowed
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.shelves import Shelves
from chroma_nb.types import BoolArray, IntArray, Selection
from chroma_nb.where import patterns

# Of at most this share of all items the slots are looked up; of more, each slot is asked whether its item passes.
_FEW = 0.1


def selected(shelves: Shelves, shelf: Shelf, selection: Selection, first: int | None = None) -> IntArray:
    """Positions of the selected items, or of the first so many: in order of insertion, or of the ids asked for."""
    mirror = shelf.state.mirror
    if selection.ids is not None:
        asked = shelf.find(selection.ids)
        positions = asked[asked >= 0]
        if selection.where is not None:
            positions = positions[_matching(shelves, shelf, selection)[positions]]
    elif selection.where is not None:
        positions = np.flatnonzero(_matching(shelves, shelf, selection))
    else:
        positions = mirror.live_positions(first)
    return positions[:first]


def allowed(shelves: Shelves, shelf: Shelf, selection: Selection) -> Allowed:
    """The slots of the selected items."""
    mirror = shelf.state.mirror
    if selection.ids is not None or selection.where is None or mirror.count == 0:
        return Allowed(slots=np.unique(mirror.slots[selected(shelves, shelf, selection)]))
    found, place = _matching(shelves, shelf, selection), mirror.position_of_slot
    if np.count_nonzero(found) <= _FEW * len(found):
        return Allowed(slots=ascending(mirror.slots[np.flatnonzero(found)]))
    mask = found[place]
    if len(place) != mirror.count:
        mask &= place >= 0  # what was picked for a slot without an item is that of the last one
    return Allowed(mask=mask)


def _matching(shelves: Shelves, shelf: Shelf, selection: Selection) -> BoolArray:
    state = shelf.state
    expressions = patterns(selection.where)
    if not expressions:
        return matching.mask(selection.where, state)
    number = state.entry.number
    condition = where_sql.condition(selection.where, state.places, schema.sparse_table(number))
    found = np.zeros(len(state.mirror), dtype=np.bool_)
    found[state.mirror.positions(shelves.catalog.items.matching(number, condition, expressions))] = True
    return found
