"""Changes to selected items: tag, delete, copy. Each can be looked at before, and undone once."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from chroma_nb import batch, rules
from chroma_nb.errors import ClosedStoreError, CollectionExistsError, CollectionNotFoundError, InvalidArgumentError
from chroma_nb.store.protocol import Snapshot, Store
from chroma_nb.types import (
    ARROW_TYPES,
    CollectionInfo,
    IntArray,
    Kind,
    MetadataColumns,
    MetadataValue,
    Records,
    Selection,
)

_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(?P<fraction>(\.\d*)?(e[+-]?\d+)?)|[+-]?\.\d+(e[+-]?\d+)?", re.ASCII | re.I)


@dataclass(frozen=True)
class Plan:
    """A change that has not happened yet.

    Attributes:
        text: what it will do and to how many rows, for the person who decides.
        rows: how many rows it touches.
        run: makes the change, as a whole or not at all.
    """

    text: str
    rows: int
    run: Callable[[], None]


class Curation:
    """Plans changes of items of one collection and can take back the last one.

    Args:
        store: where the collection is.
        collection: its id.
    """

    def __init__(self, store: Store, collection: uuid.UUID) -> None:
        self._store, self._collection = store, collection
        self._undo: Plan | None = None
        self._after: CollectionInfo | None = None

    # plans ------------------------------------------------------------------------------------

    def tag(self, snapshot: Snapshot, positions: IntArray, key: str, value: MetadataValue) -> Plan:
        """Write a metadata value to items.

        Raises:
            InvalidArgumentError: the key or the value cannot be metadata.
        """
        if batch.check_text(rules.check_key(key)).strip() == "":
            raise InvalidArgumentError("A tag needs a name and a value, such as reviewed = yes.")
        count, plain = _some(positions), batch.check_metadata_value(value, key)
        if isinstance(plain, str):
            batch.text_array([plain], f"value of {key!r}")
        kind = Kind(type(plain).__name__)
        columns: MetadataColumns = {key: {kind: pa.array([plain] * count, ARROW_TYPES[kind])}}
        held = [column.take(pa.array(positions)) for column in snapshot.column(key).values()]
        having = sum(len(column) - column.null_count for column in held)
        text = f"Write {key} = {_shown(plain)} to {_rows(count)}."
        if having:
            some = f"{having:,} of them {'has' if having == 1 else 'have'}"
            which = some if having < count else "All of them have" if count > 1 else "It has"
            text += f" {which} a value of {key} already, which is replaced."
        return Plan(text, count, lambda: self._tag(snapshot, positions, columns))

    def delete(self, snapshot: Snapshot, positions: IntArray) -> Plan:
        """Delete items."""
        count = _some(positions)
        text = (
            f"Delete {_rows(count)} of {snapshot.total:,} from {snapshot.info.name}, with their vectors and documents."
        )
        return Plan(text, count, lambda: self._delete(snapshot, positions))

    def copy(self, snapshot: Snapshot, positions: IntArray, name: str) -> Plan:
        """Copy items to a new collection of the same settings.

        Raises:
            InvalidArgumentError: it cannot be the name of a collection.
            CollectionExistsError: the name is taken.
        """
        count, checked = _some(positions), rules.check_name(name)
        if any(info.name == checked for info in self._store.list_collections()):
            raise CollectionExistsError(f"Collection {checked} already exists. Take another name.")
        text = f"Copy {_rows(count)} from {snapshot.info.name} to a new collection {checked}."
        return Plan(text, count, lambda: self._copy(snapshot, positions, checked))

    @property
    def undo(self) -> Plan | None:
        """What would take the last change back; None when there is nothing to take back.

        Gone once done, and when others have changed the same collection meanwhile.
        """
        if self._undo is not None and not self._as_left():
            self._undo = None
        return self._undo

    # changes ----------------------------------------------------------------------------------

    def _tag(self, snapshot: Snapshot, positions: IntArray, columns: MetadataColumns) -> None:
        before, old = self._now(snapshot, positions, frozenset({"metadatas"}))
        self._store.update(self._collection, Records(ids=old.ids, metadata=columns), merge=True)
        self._can_undo(
            Plan(
                f"Undo: give {_rows(len(old))} the metadata of before back.",
                len(old),
                lambda: self._store.update(self._collection, old, merge=False),
            ),
            before,
        )

    def _delete(self, snapshot: Snapshot, positions: IntArray) -> None:
        before, old = self._now(snapshot, positions, _EVERYTHING)
        self._store.delete(self._collection, Selection(ids=old.ids.to_pylist()))
        self._can_undo(
            Plan(f"Undo: put {_rows(len(old))} back, behind the others.", len(old), lambda: self._put_back(old)),
            before,
        )

    def _put_back(self, old: Records) -> None:
        self._store.add(self._collection, old)

    def _copy(self, snapshot: Snapshot, positions: IntArray, name: str) -> None:
        source, rows = self._now(snapshot, positions, _EVERYTHING)
        target = replace(source, id=uuid.uuid4(), name=name, dimension=None, version=0)
        made = self._store.create_collection(target)
        try:
            self._store.add(target.id, rows)
        except BaseException:
            self._store.delete_collection(target.id)
            raise
        self._can_undo(
            Plan(
                f"Undo: delete the collection {name} with its {_rows(len(rows))}.",
                len(rows),
                lambda: self._store.delete_collection(target.id),
            ),
            made,
        )

    # undoing ----------------------------------------------------------------------------------

    def _can_undo(self, plan: Plan, before: CollectionInfo) -> None:
        """Offer to take a change back, unless others wrote between its reading and its writing.

        Args:
            plan: takes it back.
            before: the collection it changed, as it was before.
        """

        def run() -> None:
            if self._undo is not offered or not self._as_left():
                raise InvalidArgumentError("This cannot be undone any more: the collection was changed since.")
            plan.run()
            self._undo = None

        after = self._store.collection_by_id(before.id)
        offered = replace(plan, run=run)
        self._undo = offered if after.version == before.version + 1 else None
        self._after = after

    def _as_left(self) -> bool:
        """Whether the collection that was changed last is still as the change left it."""
        if self._after is None:
            return False
        try:
            now = self._store.collection_by_id(self._after.id)
        except (CollectionNotFoundError, ClosedStoreError):
            return False
        return (now.version, now.name) == (self._after.version, self._after.name)

    def _now(self, snapshot: Snapshot, positions: IntArray, include: frozenset[str]) -> tuple[CollectionInfo, Records]:
        """The collection, and the selected items as they are now; all must be there."""
        info = self._store.collection_by_id(self._collection)
        ids = snapshot.ids.take(pa.array(positions))
        found = self._store.get(self._collection, Selection(ids=ids.to_pylist()), include)
        if len(found) != len(ids):
            gone = len(ids) - len(found)
            raise InvalidArgumentError(
                f"{gone:,} of the selected items {'was' if gone == 1 else 'were'} deleted meanwhile. Select again."
            )
        return info, found


def _some(positions: IntArray) -> int:
    if len(positions) == 0:
        raise InvalidArgumentError("Nothing is selected. Draw a lasso on the map, or set selected_ids.")
    return len(positions)


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _shown(value: MetadataValue) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else repr(value)


def typed_value(text: str) -> MetadataValue:
    """What was typed as a value: true/false/yes/no, a number, or else the text; quotes make it text.

    >>> typed_value("yes"), typed_value("3"), typed_value("0.5"), typed_value("'3'"), typed_value("007")
    (True, 3, 0.5, '3', '007')
    """
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "'\"":
        return stripped[1:-1]
    if stripped.lower() in ("true", "yes", "false", "no"):
        return stripped.lower() in ("true", "yes")
    number = _NUMBER.fullmatch(stripped)
    if number is None:
        return stripped
    if number["fraction"] == "":
        return int(stripped)
    return float(stripped) if math.isfinite(float(stripped)) else stripped
