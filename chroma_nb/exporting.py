"""What takes the items of a collection elsewhere: frames of other libraries, files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chroma_nb import arguments, arrow
from chroma_nb.errors import MissingDependencyError
from chroma_nb.progress import BriefInterrupts

if TYPE_CHECKING:
    import uuid

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from chroma_nb.collection import Collection
    from chroma_nb.store.protocol import Store

_TEXTS = ("documents", "metadatas")


class Exportable(ABC):
    """The methods of a collection that give its items away. `chroma_nb.Collection` is one."""

    _store: Store

    @property
    @abstractmethod
    def id(self) -> uuid.UUID:
        """The identity of the collection."""

    @abstractmethod
    def _with_frames(self) -> Collection:
        """The same collection, with results as frames."""

    def to_pandas(self, *, where: Any = None, where_document: Any = None, embeddings: bool = False) -> pd.DataFrame:
        """The items as a pandas frame: `get` of all of them, or of those that fulfil the conditions.

        Args:
            where: a filter on metadata.
            where_document: a filter on documents.
            embeddings: with the column ``embedding``, a float32 array of length dim in each cell.

        >>> import chroma_nb
        >>> docs = chroma_nb.Client().create_collection("docs")
        >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["x", "y"], metadatas=[{"n": 1}, {"n": 2}])
        >>> docs.to_pandas(where={"n": {"$gt": 1}})
           document  n
        id
        b         y  2
        """
        asked = self._with_frames()
        return asked.get(where=where, where_document=where_document, include=_included(embeddings))

    def to_arrow(self, *, where: Any = None, where_document: Any = None, embeddings: bool = False) -> pa.Table:
        """The items as an Arrow table: ``id``, ``document``, a column for each metadata key, ``embedding`` if wanted.

        Texts are ``large_string``, numbers ``int64`` or ``double``, missing values null, ``embedding`` a
        ``fixed_size_list`` of float32. A metadata key with values of several types is a column of JSON texts, which
        `add` reads back as what they were: ``other.add(docs.to_arrow(embeddings=True))`` keeps everything.

        Args: as for `to_pandas`.

        >>> import chroma_nb
        >>> docs = chroma_nb.Client().create_collection("docs")
        >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, None])
        >>> docs.to_arrow().to_pydict()
        {'id': ['a', 'b'], 'document': [None, None], 'n': [1, None]}
        """
        import pyarrow as pa

        selection = arguments.selection(None, where, where_document)
        include = frozenset(_included(embeddings))
        found = self._store.get(self.id, selection, include)
        kinds = {key: tuple(columns) for key, columns in (found.metadata or {}).items()}
        dimension = None if found.embeddings is None or not len(found) else found.embeddings.shape[1]
        wanted = arrow.schema(kinds, dimension or self._store.collection_by_id(self.id).dimension, include)
        return pa.Table.from_batches([arrow.record_batch(found, wanted)])

    def to_polars(self, *, where: Any = None, where_document: Any = None, embeddings: bool = False) -> pl.DataFrame:
        """The items as a polars frame, with the columns of `to_arrow`; ``embedding`` is an ``Array(Float32, dim)``.

        Args: as for `to_pandas`.

        Raises:
            MissingDependencyError: polars is not installed.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise MissingDependencyError.for_feature("to_polars", "polars") from error
        table = self.to_arrow(where=where, where_document=where_document, embeddings=embeddings)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table gives a frame
        return frame

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        where: Any = None,
        where_document: Any = None,
        embeddings: bool = True,
        batch_size: int | None = None,
    ) -> Path:
        """Write the items to a file: Parquet, Arrow / Feather, CSV or JSONL, by its suffix.

        Goes in batches, in bounded memory, with a progress bar. The file has the columns of `to_arrow` and appears,
        in the place of one that has its name, once it is complete. Items that others change meanwhile are written as
        they are when their turn comes.

        ``.parquet`` (zstd), ``.arrow`` and ``.feather`` keep all types, and in their own metadata the name, metadata,
        index settings and embedding function of the collection: `Client.import_file` makes the same collection of
        them. ``.jsonl`` keeps the types of values; ``.csv`` has texts only, vectors as ``[0.1,0.2]``. Either may end
        in ``.gz``.

        Args:
            path: of the file; its folder must exist.
            where: a filter on metadata.
            where_document: a filter on documents.
            embeddings: with the vectors.
            batch_size: items read and written at once, at most.

        Returns:
            The path.

        >>> import chroma_nb, tempfile
        >>> docs = chroma_nb.Client().create_collection("docs")
        >>> docs.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, {"n": 2}])
        >>> docs.export(Path(tempfile.mkdtemp()) / "docs.csv").read_text().splitlines()
        ['"id","document","n","embedding"', '"a",,1,"[1,0]"', '"b",,2,"[0,1]"']

        Raises:
            InvalidArgumentError: the suffix is none of these, or the path is a folder.
            StoreError: reading or writing failed; there is no new file.
        """
        from chroma_nb.migrate import exporting

        selection = arguments.selection(None, where, where_document)
        with BriefInterrupts():
            return exporting.export(
                self._store, self.id, Path(path), selection, embeddings=embeddings, batch_size=batch_size
            )


def _included(embeddings: bool) -> list[str]:
    return [*_TEXTS, "embeddings"] if embeddings else list(_TEXTS)
