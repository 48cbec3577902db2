"""Writes to the items of a collection: vectors first, then one transaction, then memory.

That order is what makes a crash harmless: vectors are written behind the last committed slot and
fsynced; one DuckDB transaction inserts the rows that refer to them and commits; only then does the
state in memory change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from chroma_nb.errors import InvalidDimensionError
from chroma_nb.store import changes, schema
from chroma_nb.store.catalog import Catalog, Entry
from chroma_nb.store.mirror import Mirror
from chroma_nb.store.protocol import Progress
from chroma_nb.store.shelf import Shelf, State
from chroma_nb.store.shelves import Shelves
from chroma_nb.store.where_sql import Place
from chroma_nb.types import CollectionInfo, IntArray, Kind, Records

# Vectors of deleted and replaced items are dropped from the file when they are this share of it.
COMPACT_SHARE = 0.5
COMPACT_SLOTS = 10_000
COMPACT_ROWS = 65_536  # copied at once

Told = Callable[[int], None] | None


@dataclass(frozen=True)
class _Slots:
    """Slots that the vectors of a write got.

    Attributes:
        new: of the new items.
        old: of the changed items, if they got new vectors.
        next: the next free one.
    """

    new: IntArray
    old: IntArray | None
    next: int


def write(
    shelves: Shelves,
    shelf: Shelf,
    *,
    new: Records | None = None,
    old: Records | None = None,
    merge: bool = False,
    function: str | None = None,
    progress: Progress | None = None,
) -> None:
    """One transaction: ``new`` items inserted, ``old`` ones (which exist) changed, the function recorded.

    ``progress`` is told how many items are done; if it raises, nothing was written.

    Raises:
        InvalidDimensionError: the vectors do not have the collection's dimension.
        StoreError: nothing was written.
    """
    state = shelf.state
    entry = _with_dimension(state.entry, new, old)
    added = _new_places(state, new, old)
    places = changes.merged_places(state.places, added)
    with shelves.committing(entry.info.id):
        vectors_told, old_told, new_told = _tellers(progress, new, old)
        slots = _write_vectors(shelves, shelf, entry, new, old, vectors_told)
        rows = entry.next_row + np.arange(0 if new is None else len(new))
        recorded = entry.info.embedding_function or function
        info = replace(entry.info, version=entry.info.version + 1, embedding_function=recorded)
        order, positions = _ascending(shelf, [] if old is None else old.ids.to_pylist())
        after = replace(entry, next_row=entry.next_row + len(rows), next_slot=slots.next, info=info)
        after = after.stamped(state.mirror.rows[positions])
        catalog = shelves.catalog
        with catalog.transaction():
            catalog.add_places(entry.number, added)
            mirror = state.mirror
            if old is not None:
                moved = None if slots.old is None else slots.old[order]
                rest = replace(old, embeddings=None).take(order)
                mirror = _alter(catalog, State(entry, places, mirror), positions, rest, moved, old_told, merge=merge)
            if new is not None:
                mirror = _insert(catalog, State(entry, places, mirror), new, rows, slots.new, new_told)
            catalog.save_entry(after)
        shelves.entries[entry.info.id] = after
        shelf.state = State(after, places, mirror)
        if new is not None:
            shelf.added(new.ids, len(state.mirror))


def delete(shelves: Shelves, shelf: Shelf, positions: IntArray) -> None:
    """Delete the items at these positions (ascending)."""
    state = shelf.state
    ids = state.mirror.take(positions, ["id"])["id"]
    rows = state.mirror.rows[positions]
    entry = replace(state.entry, info=replace(state.entry.info, version=state.entry.info.version + 1)).stamped(rows)
    with shelves.committing(entry.info.id):
        with shelves.catalog.transaction():
            shelves.catalog.items.delete(entry.number, rows)
            shelves.catalog.save_entry(entry)
        shelves.entries[entry.info.id] = entry
        sparse = {key: column.without(rows) for key, column in state.mirror.sparse.items()}
        shelf.state = State(entry, state.places, replace(state.mirror.remove(positions), sparse=sparse))
        shelf.removed(ids)


def compact(shelves: Shelves, shelf: Shelf) -> Shelf:
    """Rewrite the vectors without dead ones, if those are many; the shelf to use from now on."""
    state, old = shelf.state, shelf.vectors
    entry = state.entry
    dead = entry.next_slot - state.mirror.count
    if old is None or dead < COMPACT_SLOTS or dead < COMPACT_SHARE * entry.next_slot:
        return shelf
    live = state.mirror.live_positions()
    after = replace(entry, next_slot=len(live), generation=entry.generation + 1).stamped(state.mirror.rows)
    with shelves.committing(entry.info.id):
        vectors = shelves.make_vectors(replace(after, next_slot=0), old.dimension)
        shelf.successors[after.generation] = vectors
        held = old.view(entry.next_slot)
        for start in range(0, len(live), COMPACT_ROWS):
            vectors.write(start, held[state.mirror.slots[live[start : start + COMPACT_ROWS]]])
        with shelves.catalog.transaction():
            columns = {"row": pa.array(state.mirror.rows[live]), "slot": pa.array(np.arange(len(live)))}
            shelves.catalog.items.update(entry.number, columns)
            shelves.catalog.saved.renumber(
                entry.number, state.mirror.rows[live], state.mirror.slots[live], after.generation
            )
            shelves.catalog.save_entry(after)
        shelves.entries[entry.info.id] = after
        successor = shelves.load(after, vectors)
        shelves.replace(shelf, successor)
    old.close()
    if shelf.columns is not None:
        shelf.columns.dropped = True
    shelves.remove_files(entry)
    return successor


def _with_dimension(entry: Entry, *batches: Records | None) -> Entry:
    for batch in batches:
        if batch is None or batch.embeddings is None:
            continue
        dimension = batch.embeddings.shape[1]
        if entry.info.dimension is None:
            entry = replace(entry, info=replace(entry.info, dimension=dimension))
        elif entry.info.dimension != dimension:
            raise wrong_dimension(entry.info, dimension)
    return entry


def wrong_dimension(info: CollectionInfo, given: int) -> InvalidDimensionError:
    """The error for vectors of another dimension than the collection's."""
    function = f" (embedding function: {info.function_name})" if info.function_name else ""
    return InvalidDimensionError(
        f"Dimensionality of ({given}) does not match index dimensionality ({info.dimension}): collection "
        f"{info.name!r} holds vectors of dimension {info.dimension}{function}. Use the model it was made with, or "
        "make a new collection for these vectors."
    )


def _new_places(state: State, *batches: Records | None) -> dict[tuple[str, Kind], Place]:
    counts: dict[tuple[str, Kind], int] = {}
    items = state.mirror.count
    for batch in batches:
        if batch is not None:
            for pair, count in changes.value_counts(batch.metadata).items():
                counts[pair] = counts.get(pair, 0) + count
            items += len(batch)
    return schema.place_keys(state.places, counts, items)


def _tellers(progress: Progress | None, new: Records | None, old: Records | None) -> tuple[Told, Told, Told]:
    """What to tell of vectors written, then of old rows changed, then of new ones inserted."""
    if progress is None:
        return None, None, None
    batches = [batch for batch in (old, new) if batch is not None]
    total = sum(map(len, batches))
    vectors = sum(len(batch) for batch in batches if batch.embeddings is not None)
    changed = 0 if old is None else len(old)

    def told(before: int) -> Callable[[int], None]:
        # Its vector is one half of an item, its row the other.
        return lambda count: progress((before + count) * total // max(1, vectors + total), total)

    return told(0), told(vectors), told(vectors + changed)


def _write_vectors(
    shelves: Shelves, shelf: Shelf, entry: Entry, new: Records | None, old: Records | None, told: Told = None
) -> _Slots:
    at = entry.next_slot
    # Changed items first: their slots extend the mirror's table of slots before those of new items.
    matrices = [batch.embeddings for batch in (old, new) if batch is not None and batch.embeddings is not None]
    if not matrices:
        return _Slots(np.arange(0), None, at)
    matrix = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
    if shelf.vectors is None:
        shelf.vectors = shelves.make_vectors(entry, matrix.shape[1])
    shelf.vectors.write(at, matrix, told)
    slots = at + np.arange(len(matrix))
    replaced = 0 if old is None or old.embeddings is None else len(old)
    return _Slots(slots[replaced:], slots[:replaced] if replaced else None, at + len(matrix))


def _insert(
    catalog: Catalog, state: State, batch: Records, rows: IntArray, slots: IntArray, told: Told = None
) -> Mirror:
    change = changes.insertion(batch, state.places, rows)
    catalog.items.insert(state.entry.number, {"row": pa.array(rows), "slot": pa.array(slots), **change.columns}, told)
    mirror = state.mirror.append(rows, slots, change.columns, state.types)
    return _apply_sparse(catalog, state.entry.number, mirror, change)


def _alter(
    catalog: Catalog,
    state: State,
    positions: IntArray,
    batch: Records,
    slots: IntArray | None,
    told: Told = None,
    *,
    merge: bool,
) -> Mirror:
    change = changes.alteration(batch, state.places, state.mirror, positions, merge=merge)
    columns = {"row": pa.array(state.mirror.rows[positions]), **change.columns}
    if slots is not None:
        columns["slot"] = pa.array(slots)
    catalog.items.update(state.entry.number, columns, told)
    mirror = state.mirror.change(positions, change.columns, state.types)
    if slots is not None:
        mirror = mirror.move(positions, slots)
    return _apply_sparse(catalog, state.entry.number, mirror, change)


def _ascending(shelf: Shelf, ids: Sequence[str]) -> tuple[IntArray, IntArray]:
    """The order that sorts known ids by position, and the sorted positions."""
    found = shelf.find(ids)
    order = np.argsort(found, kind="stable")
    return order, found[order]


def _apply_sparse(catalog: Catalog, number: int, mirror: Mirror, change: changes.Change) -> Mirror:
    if not change.cleared and not change.sparse:
        return mirror
    sparse = dict(mirror.sparse)
    if change.cleared:
        catalog.items.clear_sparse(number, change.cleared)
        for key, rows in change.cleared.items():
            if key in sparse:
                sparse[key] = sparse[key].without(rows)
    if change.sparse:
        catalog.items.insert_sparse(number, change.sparse)
        for new in change.sparse:
            sparse[new.number] = changes.extended(sparse.get(new.number), new)
    return replace(mirror, sparse=sparse)
