"""What the import engine asks of a reader of other tools' data, and how a reader is found for a directory.

A reader gives collections, the ids of all their rows, and batches of rows in a fixed order. It opens its files for
reading only and leaves them byte for byte as they were. What it cannot keep it says: in `SourceBatch.skipped` rows that
are left out, in `SourceBatch.changed` rows that are kept but not wholly, in `SourceCollection.notes` what is said of a
collection.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import pyarrow as pa

from chroma_nb.errors import ForeignStoreError, StoreError
from chroma_nb.store.directory import DATABASE
from chroma_nb.types import IndexSettings, IntArray, MetadataValue, Records

EXAMPLES = 3
"""How many ids a `Note` gives."""

LEGACY_FILES = ("chroma-collections.parquet", "chroma-embeddings.parquet")
MODERN_FILE = "chroma.sqlite3"
_AT_ONCE = 64 << 20  # bytes of files that are read for an error message


@dataclass(frozen=True)
class Note:
    """Something to be told of some rows.

    Attributes:
        what: in words that can follow a number of rows: "a vector with NaN or infinite numbers".
        count: of how many rows.
        ids: the first few of them.
    """

    what: str
    count: int
    ids: tuple[str, ...] = ()

    def __add__(self, other: Note) -> Note:
        """Both together, which say the same."""
        return Note(self.what, self.count + other.count, (self.ids + other.ids)[:EXAMPLES])

    def __str__(self) -> str:
        shown = ", ".join(map(repr, self.ids)) + (", ..." if self.count > len(self.ids) else "")
        return f"{self.count:,} x {self.what}" + (f" ({shown})" if self.ids else "")


def together(notes: Iterable[Note]) -> tuple[Note, ...]:
    """One note for each thing that is said, in order of first appearance.

    >>> [str(note) for note in together([Note("no vector", 1, ("a",)), Note("no vector", 2, ("b", "c"))])]
    ["3 x no vector ('a', 'b', 'c')"]
    """
    found: dict[str, Note] = {}
    for note in notes:
        found[note.what] = found[note.what] + note if note.what in found else note
    return tuple(found.values())


@dataclass(frozen=True)
class SourceCollection:
    """A collection as its source describes it.

    Attributes:
        id: its identity there; kept, so that who knows it finds it again.
        name: as it is there, whatever the rules for names here.
        metadata: what of it can be kept here.
        settings: of the index.
        dimension: of the vectors that are kept; None if there are none.
        rows: in the source, those that will be left out included.
        embedding_function: name and configuration as JSON text (`chroma_nb.embedding.spec`), if the source says it.
        notes: sentences for the report: what could not be kept of the collection itself.
    """

    id: uuid.UUID
    name: str
    metadata: dict[str, MetadataValue] | None = None
    settings: IndexSettings = field(default_factory=IndexSettings)
    dimension: int | None = None
    rows: int = 0
    embedding_function: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceBatch:
    """Some rows of a collection, one after the other as they are in the source.

    Attributes:
        records: those that can be kept, in order, with documents, metadata and embeddings: float32 (m, dim), finite.
            Ids need not be unique: what becomes of repetitions, the engine decides.
        positions: int64 (m,), ascending: which row of the source each record is, counted from 0.
        rows: how many rows of the source were read, those that were left out included.
        skipped: why rows were left out; the counts add up to ``rows - len(records)``.
        changed: what of the rows in ``records`` could not be kept as it was.
    """

    records: Records
    positions: IntArray
    rows: int
    skipped: tuple[Note, ...] = ()
    changed: tuple[Note, ...] = ()


class Source(Protocol):
    """Data that another tool wrote, opened for reading.

    Raises:
        CorruptStoreError: of any method: files are torn, missing, or hold what they should not.
    """

    @property
    def location(self) -> str:
        """Where the data is, for people."""

    @property
    def kind(self) -> str:
        """What it is, for people: "Chroma 0.3 (duckdb+parquet)"."""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that differ when the files do (`fingerprint_of`)."""

    def collections(self) -> list[SourceCollection]:
        """All collections, oldest first."""

    def ids(self, collection: SourceCollection) -> pa.Array | pa.ChunkedArray:
        """The ids of all ``collection.rows`` rows in order (``large_string``), null for a row without one."""

    def batches(self, collection: SourceCollection, rows: int, start: int = 0) -> Iterator[SourceBatch]:
        """The rows from position ``start`` on, at most so many at once, in bounded memory."""

    def close(self) -> None:
        """Let go of the files."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def fingerprint_of(files: Iterable[Path]) -> str:
    """16 hexadecimal digits from names, sizes and times of change: another state of these files has others.

    Raises:
        OSError: a file cannot be looked at.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(files):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def kind_of(path: Path) -> str | None:
    """What a directory is by the names of its files; None if it holds nothing that can be imported."""
    if (path / MODERN_FILE).is_file():
        return "Chroma 0.4 or later (chroma.sqlite3)"
    if any((path / name).is_file() for name in LEGACY_FILES):
        return "Chroma 0.3 (duckdb+parquet)"
    return None


def open_source(path: str | os.PathLike[str]) -> Source:
    """The reader for what is in a directory.

    Raises:
        ForeignStoreError: the directory is missing, empty, one of ours, or none that can be imported.
        CorruptStoreError: it is one that can be imported, but is damaged.
    """
    directory = Path(path).expanduser()
    if (directory / MODERN_FILE).is_file():
        from chroma_nb.migrate.modern import ModernSource

        return ModernSource(directory)
    if any((directory / name).is_file() for name in LEGACY_FILES):
        from chroma_nb.migrate.legacy import LegacySource

        return LegacySource(directory)
    raise ForeignStoreError(_not_a_source(directory))


def own_beside(path: Path) -> tuple[str, ...]:
    """What is to be said of a directory that holds a store of ours too: the files of Chroma are older."""
    said = (
        f"a store of chroma_nb lies beside these files ({DATABASE}): what was written since then is in it; "
        f"chroma_nb.Client({str(path)!r}) opens it, and copy_to copies it"
    )
    return (said,) if (path / DATABASE).is_file() else ()


def found_in(path: Path) -> str:
    """A sentence on the collections of a directory, if that can be said at once; else nothing."""
    files = [file for file in path.glob("*") if file.is_file()] if kind_of(path) else []
    if not files or sum(file.stat().st_size for file in files) > _AT_ONCE:
        return ""
    try:
        with open_source(path) as source:
            found = source.collections()
    except StoreError as error:
        return f"\nBut it cannot be imported as it is: {error}"
    shown = ", ".join(f"{one.name!r} ({one.rows:,} items)" for one in found[:5]) + (", ..." if len(found) > 5 else "")
    return f"\nIt holds {len(found)} collection{'' if len(found) == 1 else 's'}{': ' if found else ''}{shown}."


def _not_a_source(path: Path) -> str:
    accepted = "What can be imported is a directory of Chroma 0.3 (chroma-embeddings.parquet) or of 0.4 to 1.x "
    accepted += f"({MODERN_FILE})."
    if not path.exists():
        return f"{path} does not exist. {accepted}"
    if not path.is_dir():
        return f"{path} is a file. {accepted}"
    if (path / DATABASE).is_file():
        return (
            f"{path} is a store of chroma_nb already: open it with chroma_nb.Client({str(path)!r}), and copy it with "
            "its method copy_to."
        )
    if any(path.glob("index/index_*.bin")):
        return (
            f"{path} holds the index of a Chroma 0.3 whose data was never written: client.persist() was not called, or "
            "the process was killed before. The texts and metadata are not in these files."
        )
    if not any(path.iterdir()):
        return f"{path} is empty. {accepted}"
    return f"{path} holds nothing that can be imported. {accepted}{_inside(path)}"


def _inside(path: Path) -> str:
    """A sentence on directories right inside that could be meant."""
    found = [inner.name for inner in sorted(path.iterdir()) if inner.is_dir() and kind_of(inner) is not None]
    return f" Is {str(path / found[0])!r} meant?" if found else ""
