"""Collections from any source to any store: in batches, with progress, to be continued after an interruption.

A collection that is not in the target yet arrives under a name of its own (``importing-``, the identity of the
collection and the fingerprint of its files, see `chroma_nb.halves`). Once all have arrived, all get their names.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb import halves
from chroma_nb.errors import CorruptStoreError, InvalidArgumentError
from chroma_nb.migrate.planning import Plan, Way, half_name, planned
from chroma_nb.migrate.repetitions import REPEATED, kept_rows
from chroma_nb.migrate.reports import Imported
from chroma_nb.migrate.source import EXAMPLES, Note, Source, open_source, own_beside, together
from chroma_nb.progress import PATIENCE, bar
from chroma_nb.store.protocol import Progress, Store
from chroma_nb.types import BoolArray, CollectionInfo, Records

THERE = "in the target already"
_log = logging.getLogger(__name__)


def import_directory(
    path: str | os.PathLike[str],
    target: Store,
    collections: Sequence[str] | str | None = None,
    *,
    on_conflict: str = "error",
    duplicates: str = "last",
    batch_size: int | None = None,
) -> list[Imported]:
    """`import_source` of what is in a directory.

    Raises:
        ForeignStoreError: the directory holds nothing that can be imported; the message says what it holds.
    """
    with open_source(path) as source:
        reports = import_source(
            source, target, collections, on_conflict=on_conflict, duplicates=duplicates, batch_size=batch_size
        )
    said = own_beside(Path(path).expanduser())
    return [replace(report, notes=(*report.notes, *said)) for report in reports]


def import_source(
    source: Source,
    target: Store,
    collections: Sequence[str] | str | None = None,
    *,
    on_conflict: str = "error",
    duplicates: str = "last",
    batch_size: int | None = None,
) -> list[Imported]:
    """Import collections with their items, metadata, index settings and, where the source says them, functions.

    Args:
        source: to read; nothing in it is changed.
        target: to write to.
        collections: their names in the source; None: all.
        on_conflict: what happens to a collection whose name the target has: "error" refuses before anything is
            imported, "skip" adds the items whose ids are new, "upsert" adds those and overwrites the others,
            "replace" deletes the target's collection once the import is complete.
        duplicates: which row counts where an id stands several times in a collection: the "last" one (its place is
            kept too), the "first" one, or none: "error" refuses before anything is imported.
        batch_size: rows read and written at once, at most; None: about 16 MB.

    Returns:
        One report for each collection, in order.

    Raises:
        CollectionNotFoundError: the source has no collection of that name; nothing was imported.
        CollectionExistsError: the target has one; nothing was imported.
        DuplicateIDError: an id stands several times, with ``duplicates="error"``; nothing was imported.
        CorruptStoreError: files of the source are damaged.
        StoreError: writing failed, or the result is not what it should be; what was imported so far stays, and the
            same call goes on from there.
    """
    way = Way(source, target, on_conflict, duplicates, batch_size)
    plans = planned(way, collections)
    try:
        arrived = [_import(way, plan) for plan in plans]
    except CorruptStoreError:
        for plan in plans:  # the same call would not go on
            halves.forget_halves(target, half_name(way, plan), plan.info.name)
        raise
    for plan, (_, half) in zip(plans, arrived, strict=True):
        if half is not None:
            with halves.continued(plan.info.name, "imported", "import"):
                halves.complete(target, half, plan.info.name, plan.existing)
    return [report for report, _ in arrived]


# one collection -------------------------------------------------------------------------------


@dataclass
class _Tally:
    """What has become of the rows so far."""

    imported: int = 0
    already_there: int = 0
    reasons: list[Note] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)

    def left_out(self, what: str, ids: pa.Array) -> None:
        """Note rows that were left out."""
        if len(ids):
            self.reasons.append(Note(what, len(ids), tuple(ids.slice(0, EXAMPLES).drop_null().to_pylist())))


def _import(way: Way, plan: Plan) -> tuple[Imported, CollectionInfo | None]:
    """Import one collection; the report, and the half that is to get its name."""
    started, tally = time.perf_counter(), _Tally()
    name, found, half = plan.info.name, plan.found, None
    with halves.continued(name, "imported", "import"), bar(f"importing {name}", "items", after=PATIENCE) as move:
        ids = way.source.ids(found)
        ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        if len(ids) != found.rows:
            raise CorruptStoreError(
                f"{way.source.location} has {len(ids):,} ids of {found.name!r}, where it said that it has "
                f"{found.rows:,} rows."
            )
        rows = _Rows(way, plan, ids, kept_rows(ids, way.duplicates), tally, move)
        if plan.existing is None or plan.on_conflict == "replace":
            half = _whole(rows)
        else:
            _into(rows, plan.existing)
    said = (f"its name in the source is {found.name!r}",) if found.name != name else ()
    report = Imported(
        collection=name,
        rows=found.rows,
        imported=tally.imported,
        already_there=tally.already_there,
        reasons=together(tally.reasons),
        notes=(*said, *found.notes, *map(str, together(tally.changed))),
        seconds=time.perf_counter() - started,
        verified=True,
    )
    _log.info("%r of %s: %s of %s rows imported", found.name, way.source.location, tally.imported, found.rows)
    return report, half


@dataclass(frozen=True)
class _Rows:
    """The rows of a collection on their way.

    Attributes:
        ids: of all rows of the source, null for one without.
        kept: bool (rows,), which of them count where ids repeat.
    """

    way: Way
    plan: Plan
    ids: pa.Array
    kept: BoolArray
    tally: _Tally
    move: Progress

    def ids_of(self, rows: BoolArray) -> pa.Array:
        """The ids of these rows (bool (rows,)); of all of them without a copy: there may be millions."""
        return self.ids if rows.all() else self.ids.filter(pa.array(rows))

    def known(self, known: Callable[[pa.Array], BoolArray]) -> BoolArray:
        """Which rows are kept and have known ids, bool (rows,)."""
        found = np.zeros(len(self.ids), dtype=np.bool_)
        found[self.kept] = known(self.ids_of(self.kept))
        return found

    def wanted(self, known: BoolArray) -> Iterator[tuple[npt.NDArray[np.int64], Records]]:
        """What is left to be imported where the rows with ``known`` ids are not: positions of rows, and the items."""
        missing = np.flatnonzero(self.kept & ~known)
        # What comes before need not be read again; a row that was left out there has to be told again.
        start = int(missing[0]) if len(missing) else len(self.ids)
        self._repeated(np.flatnonzero(~self.kept[:start]))
        for batch in self.way.source.batches(self.plan.found, self.way.rows(self.plan.found.dimension), start):
            self.tally.reasons += batch.skipped
            self.tally.changed += batch.changed
            self._repeated(batch.positions[~self.kept[batch.positions]])
            good = self.kept[batch.positions] & ~known[batch.positions]
            records = batch.records if good.all() else batch.records.take(np.flatnonzero(good))
            if len(records):
                yield batch.positions[good], replace(records, metadata=records.metadata or {})
            start += batch.rows
            self.move(start, self.plan.found.rows)
        if start != self.plan.found.rows:
            raise CorruptStoreError(
                f"{self.way.source.location} gave {start:,} rows of {self.plan.found.name!r}, where it said that it "
                f"has {self.plan.found.rows:,}."
            )

    def _repeated(self, positions: npt.NDArray[np.int64]) -> None:
        self.tally.left_out(REPEATED, self.ids.take(pa.array(positions)))


def _whole(rows: _Rows) -> CollectionInfo:
    """A collection of its own."""
    target, tally = rows.way.target, rows.tally
    half, there = halves.half(target, rows.plan.info, half_name(rows.way, rows.plan), rows.ids_of(rows.kept))
    tally.already_there = int(there.sum())
    arrived = rows.known(lambda _: there)
    for positions, records in rows.wanted(arrived.copy()):
        target.add(half.id, records)
        arrived[positions] = True
        tally.imported += len(records)
    if len(rows.ids) and not (tally.imported or tally.already_there):
        raise CorruptStoreError(
            f"{rows.way.source.location}: no row of {rows.plan.found.name!r} can be kept. "
            f"{'; '.join(map(str, together(tally.reasons)))}. Nothing was imported; collections that are named are "
            "imported without the others."
        )
    halves.verify_all(target, half.id, rows.ids_of(arrived))
    return half


def _into(rows: _Rows, existing: CollectionInfo) -> None:
    """Into a collection that is there already."""
    target, plan, tally = rows.way.target, rows.plan, rows.tally
    known, written = np.zeros(len(rows.ids), dtype=np.bool_), []
    if plan.on_conflict != "upsert":
        known = rows.known(lambda ids: halves.known(target, existing.id, ids))
        if plan.continued:
            tally.already_there = int(known.sum())
        else:
            tally.left_out(THERE, rows.ids.filter(pa.array(known)))
    try:
        for _, records in rows.wanted(known):
            if plan.on_conflict == "upsert":
                halves.upsert_whole(target, existing.id, records, plan.info.embedding_function)
                tally.imported += len(records)
            else:
                tally.imported += target.add(existing.id, records, function=plan.info.embedding_function)
            written.append(records.ids)
    except (InvalidArgumentError, CorruptStoreError) as error:
        if tally.imported and not plan.continued:
            error.args = (f"{error} {tally.imported:,} rows before it are in {existing.name!r} now.",)
        raise
    expected = pa.chunked_array([rows.ids.filter(pa.array(known)), *written], pa.large_string())
    halves.verify(expected, halves.held(target, existing.id, expected))
    if not plan.continued:
        halves.forget_halves(target, half_name(rows.way, plan), existing.name)
