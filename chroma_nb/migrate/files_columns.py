"""Which column of a file is what: the rules of ``collection.add(frame)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from chroma_nb.errors import ColumnNotFoundError, InvalidArgumentError, suggest
from chroma_nb.migrate.files_reading import Table, pandas_index
from chroma_nb.migrate.files_vectors import is_vector, storage

_UNNAMED = "__index_level_"  # so pandas calls the columns of an index without a name


@dataclass(frozen=True)
class Asked:
    """What the caller says of the columns; None: the default.

    Attributes:
        id: the column of ids; default: ``id``, or the index that pandas wrote.
        document: of texts; default: ``document`` if there is one.
        embedding: of vectors, or the names of dim columns of numbers; default: ``embedding`` if there is one.
        metadata: the columns to keep as metadata; default: all others.
        vectors_file: the path of a numpy file that holds the vectors.
    """

    id: str | None = None
    document: str | None = None
    embedding: str | tuple[str, ...] | None = None
    metadata: tuple[str, ...] | None = None
    vectors_file: str | None = None

    @property
    def texts(self) -> tuple[str, str]:
        """Columns that hold texts whatever they look like."""
        return self.id or "id", self.document or "document"

    @property
    def lists(self) -> tuple[str, ...]:
        """Columns that hold lists of numbers."""
        if self.embedding is None:
            return ("embedding",)
        return (self.embedding,) if isinstance(self.embedding, str) else ()


def asked(
    id: str | None = None,
    document: str | None = None,
    embedding: str | Path | Sequence[str] | None = None,
    metadata: str | Sequence[str] | None = None,
) -> Asked:
    """What the arguments of `chroma_nb.Client.import_file` mean.

    >>> asked(embedding="vectors.npy").vectors_file
    'vectors.npy'

    Raises:
        InvalidArgumentError: an argument is of another type.
    """
    for name, value in (("id", id), ("document", document)):
        if value is not None and not isinstance(value, str):
            raise InvalidArgumentError(f"{name} names a column, got {value!r}")
    kept = None if metadata is None else _names(metadata, "metadata")
    if isinstance(embedding, Path) or (isinstance(embedding, str) and embedding.lower().endswith(".npy")):
        return Asked(id, document, None, kept, str(Path(embedding).expanduser()))
    if embedding is None or isinstance(embedding, str):
        return Asked(id, document, embedding, kept)
    return Asked(id, document, _names(embedding, "embedding"), kept)


def _names(value: object, what: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else [None]
    if not all(isinstance(name, str) for name in listed) or (what == "embedding" and not listed):
        raise InvalidArgumentError(f"{what} names columns, got {value!r}")
    return tuple(str(name) for name in listed)


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are.

    Attributes:
        id: of ids.
        document: of texts, if there are any.
        vectors: none, one of lists, or one for each number.
        metadata: kept as metadata.
    """

    id: str
    document: str | None
    vectors: tuple[str, ...]
    metadata: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All that is read."""
        found = [self.id, *([] if self.document is None else [self.document]), *self.vectors, *self.metadata]
        return list(dict.fromkeys(found))


def columns_of(table: Table, asked: Asked) -> Columns:
    """What the columns of a file are.

    Raises:
        ColumnNotFoundError: one that is asked for is not there.
        InvalidArgumentError: vectors are asked for of a column that holds none.
    """
    names, path = list(table.schema.names), table.path
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidArgumentError(f"{path} has several columns named {repeated[0]!r}.")
    ids = _id(table, names, asked.id)
    document = _chosen(path, names, asked.document, "document")
    vectors = _vectors(table, names, asked)
    fixed = {ids, document, *vectors, *(["embedding"] if asked.vectors_file is not None else [])}
    if asked.metadata is None:
        kept = [name for name in names if name not in fixed and not name.startswith(_UNNAMED)]
    else:
        kept = [_present(path, names, name) for name in asked.metadata]
    return Columns(ids, document, vectors, tuple(kept))


def _id(table: Table, names: list[str], asked: str | None) -> str:
    found = _chosen(table.path, names, asked, "id")
    if found is not None:
        return found
    index = pandas_index(table.schema)
    if len(index) == 1:
        return index[0]
    raise ColumnNotFoundError(
        f"{table.path} has no column 'id'. Name the one that holds the ids: id=...{suggest('id', names)}"
    )


def _vectors(table: Table, names: list[str], asked: Asked) -> tuple[str, ...]:
    if asked.vectors_file is not None:
        return ()
    if isinstance(asked.embedding, tuple):
        return tuple(_present(table.path, names, name) for name in asked.embedding)
    column = _chosen(table.path, names, asked.embedding, "embedding")
    if column is None:
        return ()
    type_ = table.schema.field(column).type
    if not is_vector(type_):
        raise InvalidArgumentError(
            f"{table.path}: the column {column!r} holds {type_}, no vectors: lists of numbers, or texts such as "
            "'[0.1, 0.2]'."
        )
    return (column,)


def _chosen(path: Path, names: list[str], asked: str | None, default: str) -> str | None:
    if asked is None:
        return default if default in names else None
    return _present(path, names, asked)


def _present(path: Path, names: list[str], name: str) -> str:
    if name not in names:
        raise ColumnNotFoundError(f"{path} has no column {name!r}.{suggest(name, names)}")
    return name


def id_texts(column: pa.Array, name: str) -> pa.Array:
    """A column of ids as texts; whole numbers become their decimal text.

    >>> id_texts(pa.array([7, None]), "n").to_pylist()
    ['7', None]
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    type_ = storage(column.type)
    known = pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    if not (known or pa.types.is_integer(type_) or pa.types.is_null(type_)):
        raise InvalidArgumentError(f"Ids are texts or whole numbers; the column {name!r} holds {type_}.")
    return column.cast(pa.large_string())
