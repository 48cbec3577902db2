"""What moves collections between a client and elsewhere: another client, files, directories of Chroma."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chroma_nb import frames, rules
from chroma_nb.errors import CollectionNotFoundError, InvalidArgumentError
from chroma_nb.functions import NOT_GIVEN, Embedder
from chroma_nb.progress import BriefInterrupts

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.collection import Collection
    from chroma_nb.store.protocol import Store


class Movable(ABC):
    """The methods of a client that bring collections in and take them out. `chroma_nb.Client` is one."""

    _store: Store

    @abstractmethod
    def get_collection(self, name: str, embedding_function: Any = NOT_GIVEN) -> Collection:
        """The collection of that name."""

    def copy_to(
        self,
        other: Movable,
        collections: str | Sequence[str] | None = None,
        *,
        batch_size: int | None = None,
        on_conflict: str = "error",
    ) -> pd.DataFrame:
        """Copy collections to another client, wherever that keeps its data: memory, a directory, a server.

        Goes in batches, with a progress bar. What is interrupted (Ctrl-C, a lost connection) is continued by the same
        call: a collection that is half-copied stands in the other client as ``copying-...`` until it is complete.
        Items that others add meanwhile are left out. Maps and saved views stay behind.

        Args:
            other: the client to copy to.
            collections: their names; None: all.
            batch_size: items read and written at once, at most; batches are also kept below 16 MB or so.
            on_conflict: what happens to a collection whose name the other client has: "error" refuses before anything
                is copied, "skip" adds the items whose ids are new, "upsert" adds those and overwrites the others,
                "replace" puts the copy in its place.

        Returns:
            Index ``collection``; columns ``items`` (in this client when copying began), ``copied``, ``skipped``,
            ``already_there`` (from an interrupted run), ``seconds`` and ``verified`` (counts and a checksum over the
            ids were compared).

        >>> import chroma_nb
        >>> client, other = chroma_nb.Client(), chroma_nb.Client()
        >>> client.create_collection("docs").add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]])
        >>> client.copy_to(other)[["items", "copied", "verified"]]
                    items  copied  verified
        collection
        docs            2       2      True

        Raises:
            CollectionNotFoundError: this client has no collection of that name; nothing was copied.
            CollectionExistsError: the other one has; nothing was copied.
            InvalidDimensionError: both hold vectors of different dimensions; nothing was copied.
            StoreError: reading or writing failed; what was copied so far stays, and the same call goes on from there.
        """
        if not isinstance(other, Movable):
            raise InvalidArgumentError(f"copy_to takes another client, got {other!r}")
        from chroma_nb import copying

        with BriefInterrupts():
            reports = copying.copy(
                self._store, other._store, collections, batch_size=batch_size, on_conflict=on_conflict
            )
        return frames.copied_frame(reports)

    def import_directory(
        self,
        path: str | os.PathLike[str],
        collections: str | Sequence[str] | None = None,
        *,
        on_conflict: str = "error",
        duplicates: str = "last",
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """Import the collections of a directory that Chroma wrote: 0.3 (``duckdb+parquet``) or 0.4 to 1.x.

        Every id, document, metadata value with its type and vector comes along, in order, and so do the metadata, ids
        and index settings of collections. Chroma need not be installed. The directory is opened for reading only and
        stays as it is, byte for byte; nothing in it is executed. Goes in batches, with a progress bar. What is
        interrupted (Ctrl-C, a full disk) is continued by the same call: until then collections stand here as
        ``importing-...``, and all get their names at the very end; what is not to be continued is deleted like any
        other collection, with `delete_collection`.

        Args:
            path: of the directory.
            collections: their names there; None: all.
            on_conflict: what happens to a collection whose name is taken here: "error" refuses before anything is
                imported, "skip" adds the items whose ids are new, "upsert" adds those and overwrites the others,
                "replace" puts the imported one in its place.
            duplicates: which row counts where an id stands several times: the "last", the "first", or "error".
            batch_size: rows read and written at once, at most; None: about 16 MB.

        Returns:
            Index ``collection``; columns ``rows`` (in the directory), ``imported``, ``skipped``, ``already_there``
            (from an interrupted run), ``why`` (rows were skipped: how many, and ids), ``notes`` (a list of sentences on
            what could not be kept as it was), ``seconds`` and ``verified`` (the ids here were compared).

        >>> import chroma_nb, tempfile
        >>> old, client = Path(tempfile.mkdtemp()) / "chroma_db", chroma_nb.Client()
        >>> client.create_collection("docs").add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]])
        >>> client.export_chroma(old)["items"].to_dict()
        {'docs': 2}
        >>> chroma_nb.Client().import_directory(old)[["rows", "imported", "verified"]]
                    rows  imported  verified
        collection
        docs           2         2      True

        Raises:
            ForeignStoreError: there is no such directory, or nothing in it that can be imported.
            CorruptStoreError: it is damaged, or no row of a collection can be kept; nothing was imported.
            CollectionNotFoundError: it has no collection of that name; nothing was imported.
            CollectionExistsError: the name of a collection is taken here; nothing was imported.
            DuplicateIDError: ids repeat, with ``duplicates="error"``; nothing was imported.
            StoreError: writing failed; what was imported so far stays, and the same call goes on from there.
        """
        from chroma_nb.migrate import importing

        with BriefInterrupts():
            reports = importing.import_directory(
                path,
                self._store,
                collections,
                on_conflict=on_conflict,
                duplicates=duplicates,
                batch_size=batch_size,
            )
        return frames.imported_frame(reports)

    def import_file(
        self,
        path: str | os.PathLike[str],
        collection: str | Collection,
        *,
        id: str | None = None,
        document: str | None = None,
        embedding: str | Path | Sequence[str] | None = None,
        metadata: str | Sequence[str] | None = None,
        on_conflict: str = "error",
        duplicates: str = "last",
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        r"""Import the rows of a file: Parquet, Arrow / Feather, CSV or JSON lines, whatever fits on the disk.

        Columns mean what they mean in ``collection.add(frame)``. The file is read a batch at a time, in bounded memory,
        with a progress bar. Without vectors the documents are embedded. A new collection appears under its name once
        it is complete; what is interrupted (Ctrl-C) is continued by the same call: until then it stands here as
        ``importing-...``, or, where rows go to an empty collection, ``filling-...`` beside that says so. What is not
        to be continued is deleted like any other collection, with `delete_collection`. A file that
        `Collection.export` wrote brings the metadata, index settings and embedding function of its collection.

        Args:
            path: of the file; a pattern such as ``"part-*.parquet"`` stands for several with the same columns.
            collection: its name, or the collection itself. One that exists without items is filled.
            id: column of ids, texts or whole numbers; default: ``id``, or the index that pandas wrote.
            document: column of texts; default: ``document`` if there is one.
            embedding: column of vectors (lists of numbers of any type, or texts like ``[0.1, 0.2]``), or the names of
                columns with a number each, or the path of a ``.npy`` file, shape (n, dim), that goes with the rows;
                default: ``embedding`` if there is such a column.
            metadata: columns to keep as metadata; default: all others.
            on_conflict: what happens if the collection has items: "error" refuses before anything is read, "skip"
                adds the rows whose ids are new, "upsert" adds those and overwrites the others, "replace" puts the rows
                in the place of the items.
            duplicates: which row of several with the same id counts: "last", "first", or "error".
            batch_size: rows read and written at once, at most.

        Returns:
            Index ``collection``, one row, as of `import_directory`.

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "items.jsonl"
        >>> written = path.write_text('{"id": "a", "embedding": [1, 0], "n": 1}\n{"id": "b", "embedding": [0, 1]}')
        >>> import chroma_nb
        >>> client = chroma_nb.Client()
        >>> client.import_file(path, "docs")[["rows", "imported", "verified"]]
                    rows  imported  verified
        collection
        docs           2         2      True

        Raises:
            InvalidArgumentError: no such file, a row or a column that cannot be kept: the message says which. There is
                no new collection; in one that has items ("skip", "upsert") the rows before it stay.
            ColumnNotFoundError: the file has no column of that name.
            CollectionExistsError: there are items in a collection of that name.
            CorruptStoreError: the file is damaged.
            StoreError: writing failed; what was imported so far stays, and the same call goes on from there.
        """
        from chroma_nb.migrate import files, files_columns

        asked = files_columns.asked(id, document, embedding, metadata)
        name, embedder = self._filled(collection)
        with BriefInterrupts():
            report = files.import_file(
                os.fspath(path),
                name,
                self._store,
                asked,
                embedder.embed,
                on_conflict=on_conflict,
                duplicates=duplicates,
                batch_size=batch_size,
            )
        return frames.imported_frame([report])

    def _filled(self, collection: str | Collection) -> tuple[str, Embedder]:
        """The name of a collection that rows go to, and what embeds their documents."""
        if not isinstance(collection, str):
            if not hasattr(collection, "_embedder"):
                raise InvalidArgumentError(f"import_file takes a collection or its name, got {collection!r}")
            return collection.name, collection._embedder
        name = rules.check_name(collection)
        try:
            return name, self.get_collection(name)._embedder
        except CollectionNotFoundError:
            return name, Embedder(NOT_GIVEN)

    def export_chroma(
        self, path: str | os.PathLike[str], collections: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Write collections as a directory of Chroma 0.3 (``duckdb+parquet``), which the original opens.

        Goes with a progress bar; the directory appears once it is complete. The index of each collection is built anew,
        in memory. Maps and saved views stay behind, and so do embedding functions, of which 0.3 keeps nothing.

        Args:
            path: of a new directory, or of an empty one.
            collections: their names; None: all.

        Returns:
            Index ``collection``; columns ``items``, ``seconds`` and ``notes`` (what 0.3 has no place for). For an
            example see `import_directory`.

        Raises:
            InvalidArgumentError: there is something at that path already.
            CollectionNotFoundError: there is no collection of that name; nothing was written.
            StoreError: reading or writing failed; nothing is left of what was written.
        """
        from chroma_nb.migrate import legacy_writing

        with BriefInterrupts():
            reports = legacy_writing.export_chroma(self._store, Path(path), collections)
        return frames.exported_frame(reports)
