"""What an import is asked for: which collections, what they will be called, what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from chroma_nb import halves
from chroma_nb.errors import (
    CollectionNotFoundError,
    DuplicateIDError,
    InvalidArgumentError,
    ReadOnlyStoreError,
    suggest,
)
from chroma_nb.migrate.naming import legal_names
from chroma_nb.migrate.repetitions import repeated
from chroma_nb.migrate.source import Source, SourceCollection
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo

Duplicates: TypeAlias = Literal["last", "first", "error"]

_BATCH_ROWS = 10_000
_BATCH_BYTES = 16 << 20
_ROW_BYTES = 1000  # of documents and metadata, about


@dataclass(frozen=True)
class Way:
    """From where to where, and how; see `chroma_nb.migrate.importing.import_source`.

    Raises:
        InvalidArgumentError: an argument has a wrong value.
        ReadOnlyStoreError: nothing can be written to the target.
    """

    source: Source
    target: Store
    on_conflict: str
    duplicates: str
    batch_size: int | None

    def __post_init__(self) -> None:
        halves.checked_conflict(self.on_conflict)
        halves.checked_rows(self.batch_size, _BATCH_ROWS)
        choices = get_args(Duplicates)
        if self.duplicates not in choices:
            raise InvalidArgumentError(
                f"duplicates must be one of {', '.join(map(repr, choices))}, got {self.duplicates!r}"
            )
        if self.target.read_only:
            raise ReadOnlyStoreError(
                f"{self.target.location} was opened with read_only=True: nothing can be imported to it."
            )

    def rows(self, dimension: int | None) -> int:
        """How many are read at once."""
        fitting = _BATCH_BYTES // (4 * (dimension or 1) + _ROW_BYTES)
        return halves.checked_rows(self.batch_size, max(1, min(_BATCH_ROWS, fitting)))


@dataclass(frozen=True)
class Plan:
    """What happens to one collection.

    Attributes:
        found: what it is in the source.
        info: what it becomes.
        existing: what has its name in the target.
        on_conflict: what happens then.
        continued: ``existing`` is what an interrupted run of the same import made of it, or what it fills.
    """

    found: SourceCollection
    info: CollectionInfo
    existing: CollectionInfo | None
    on_conflict: str
    continued: bool


def half_name(way: Way, plan: Plan) -> str:
    """What the collection is called until it has arrived."""
    return f"importing-{plan.found.id.hex}-{way.source.fingerprint}"


def filling_name(source: Source, existing: CollectionInfo) -> str:
    """What an empty collection is called that stands there as long as the source's rows come into an existing one."""
    return f"filling-{existing.id.hex}-{source.fingerprint}"


def planned(way: Way, collections: Sequence[str] | str | None) -> list[Plan]:
    """A plan for each collection that is asked for; None: all.

    Raises:
        CollectionNotFoundError: the source has no collection of that name.
        CollectionExistsError: the target has one.
        InvalidArgumentError: it does not go with that one; or one of the subclasses of this error.
        DuplicateIDError: ids repeat, and must not.
    """
    there = way.source.collections()
    wanted = there if collections is None else asked(there, collections)
    existing = {info.name: info for info in way.target.list_collections()}
    interrupted = any(halves.is_half(name) and name.endswith(f"-{way.source.fingerprint}") for name in existing)
    plans = []
    for found, name in zip(there, legal_names([found.name for found in there]), strict=True):
        if not any(found is other for other in wanted):
            continue
        other = existing.get(name)
        info = CollectionInfo(
            id=found.id,
            name=name,
            metadata=found.metadata,
            settings=found.settings,
            dimension=found.dimension,
            embedding_function=found.embedding_function,
        )
        # All get their names in the end, one after the other: between two of them this run may have ended.
        continued = (
            other is not None
            and way.on_conflict == "error"
            and ((interrupted and other.id == found.id) or filling_name(way.source, other) in existing)
        )
        on_conflict = "skip" if continued else way.on_conflict
        if other is not None:
            halves.check_goes_with(info, other, on_conflict, "imported")
        plans.append(Plan(found, info, other, on_conflict, continued))
    if way.duplicates == "error":
        _check_unique(way.source, plans)
    return plans


def asked(there: Sequence[SourceCollection], collections: Sequence[str] | str) -> list[SourceCollection]:
    """The collections of these names.

    Raises:
        InvalidArgumentError: a name is no text.
        CollectionNotFoundError: the source has none of that name.
    """
    names = [collections] if isinstance(collections, str) else list(collections)
    available = [found.name for found in there]
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"Expected the names of collections, got {name!r}")
        if name not in available:
            raise CollectionNotFoundError(f"The source has no collection {name!r}.{suggest(name, available)}")
    return [found for found in there if found.name in names]


def _check_unique(source: Source, plans: Sequence[Plan]) -> None:
    for plan in plans:
        note = repeated(source.ids(plan.found))
        if note is not None:
            shown = ", ".join(map(repr, note.ids)) + (", ..." if note.count > len(note.ids) else "")
            raise DuplicateIDError(
                f"{note.count:,} rows of {plan.found.name!r} have the id of a row before them ({shown}); nothing was "
                "imported. duplicates='last' or 'first' says which of them counts."
            )
