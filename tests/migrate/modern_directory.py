"""Directories as Chroma 0.4 to 1.x leaves them, written without Chroma: the layouts of five generations."""

from __future__ import annotations

import json
import pickle
import sqlite3
import struct
import sys
import types
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYOUTS = ("0.4.0", "0.4.24", "0.6.3", "1.0.20", "1.5.9")
ADD, UPDATE, UPSERT, DELETE = range(4)
DEFAULT = "00000000-0000-0000-0000-000000000000"
_CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
_TYPED = "str_value TEXT, int_value INTEGER, float_value REAL"
_CELLS = "id INTEGER, key TEXT NOT NULL, string_value TEXT, int_value INTEGER, float_value REAL"


@dataclass(frozen=True)
class Made:
    """A collection that was written."""

    id: str
    name: str
    vectors: str  # its segments
    rows: str


class ModernDirectory:
    """Writes a directory, table by table; nothing is kept consistent by itself."""

    def __init__(self, path: Path, layout: str = "1.5.9") -> None:
        assert layout in LAYOUTS
        self.path, self.layout = path, layout
        path.mkdir(parents=True, exist_ok=True)
        self.sql = sqlite3.connect(path / "chroma.sqlite3", isolation_level=None)
        self.sql.execute("PRAGMA synchronous=OFF")
        self.bytes = layout < "1"  # numbers of the log are big-endian bytes
        self._tables()

    def _tables(self) -> None:
        old = self.layout == "0.4.0"
        topic = ", topic TEXT" if self.layout < "0.5" else ""
        more = {"0.6.3": ", config_json_str TEXT", "1.0.20": ", config_json_str TEXT"}.get(self.layout, "")
        more = ", config_json_str TEXT, schema_str TEXT" if self.layout == "1.5.9" else more
        bools = "" if old else ", bool_value INTEGER"
        place = "" if old else ", database_id TEXT"
        of_collections = bools if self.layout >= "0.5" else ""
        statements = [
            f"CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT, dimension INTEGER{topic}{place}{more})",
            f"CREATE TABLE collection_metadata (collection_id TEXT, key TEXT, {_TYPED}{of_collections})",
            f"CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT, scope TEXT{topic}, collection TEXT)",
            (
                "CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT, seq_id BLOB, "
                "UNIQUE (segment_id, embedding_id))"
            ),
            f"CREATE TABLE embedding_metadata ({_CELLS}{bools}, PRIMARY KEY (id, key))",
            "CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id)",
            (
                "CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, operation INTEGER, topic TEXT, id TEXT, "
                "vector BLOB, encoding TEXT, metadata TEXT)"
            ),
        ]
        if not old:
            statements += [
                "CREATE TABLE databases (id TEXT PRIMARY KEY, name TEXT, tenant_id TEXT)",
                f"INSERT INTO databases VALUES ('{DEFAULT}', 'default_database', 'default_tenant')",
            ]
        if self.layout == "1.5.9":
            statements.append(f"CREATE TABLE embedding_metadata_array ({_CELLS}{bools})")
        for statement in statements:
            self.sql.execute(statement)

    def _insert(self, table: str, **values: Any) -> int:
        marks = ", ".join("?" * len(values))
        cursor = self.sql.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def number(self, seq_id: int) -> int | bytes:
        """A number of the log as this layout stores it."""
        return seq_id.to_bytes(8, "big") if self.bytes else seq_id

    def database(self, name: str, tenant: str) -> str:
        """Another database."""
        made = str(uuid.uuid4())
        self._insert("databases", id=made, name=name, tenant_id=tenant)
        return made

    def collection(
        self,
        name: str,
        dimension: int | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        database: str = DEFAULT,
        **texts: Any,
    ) -> Made:
        """A collection with its two segments; ``texts``: JSON of its configuration."""
        made = Made(str(uuid.uuid4()), name, vectors=str(uuid.uuid4()), rows=str(uuid.uuid4()))
        topic = {"topic": self._topic(made)} if self.layout < "0.5" else {}
        place = {} if self.layout == "0.4.0" else {"database_id": database}
        said = {key: value if isinstance(value, str) else json.dumps(value) for key, value in texts.items()}
        self._insert("collections", id=made.id, name=name, dimension=dimension, **topic, **place, **said)
        for key, value in (metadata or {}).items():
            self._insert("collection_metadata", collection_id=made.id, key=key, **_cell(value, "str_value"))
        vectors = "urn:chroma:segment/vector/hnsw-local-persisted"
        for id_, kind, scope in (
            (made.vectors, vectors, "VECTOR"),
            (made.rows, "urn:chroma:segment/metadata/sqlite", "METADATA"),
        ):
            self._insert("segments", id=id_, type=kind, scope=scope, collection=made.id, **topic)
        return made

    @staticmethod
    def _topic(made: Made) -> str:
        return f"persistent://default/default/{made.id}"

    def rows(self, made: Made, items: Mapping[str, Mapping[str, Any]], seen: int = 0) -> None:
        """Rows of the table: id -> metadata, the document under ``chroma:document``."""
        for id_, metadata in items.items():
            number = self._insert("embeddings", segment_id=made.rows, embedding_id=id_, seq_id=self.number(seen))
            for key, value in metadata.items():
                if isinstance(value, list):
                    for one in value:
                        self._insert("embedding_metadata_array", id=number, key=key, **_cell(one))
                else:
                    self._insert("embedding_metadata", id=number, key=key, **_cell(value))
        self.seen(made.rows, seen)

    def seen(self, segment: str, seq_id: int) -> None:
        """How far a segment has seen the log."""
        self.sql.execute("INSERT OR REPLACE INTO max_seq_id VALUES (?, ?)", (segment, self.number(seq_id)))

    def log(
        self,
        made: Made,
        operation: int,
        id_: str,
        vector: Any = None,
        metadata: Mapping[str, Any] | None = None,
        encoding: str = "FLOAT32",
    ) -> int:
        """An entry of the log."""
        dtype = {"FLOAT32": "<f4", "INT32": "<i4"}[encoding]
        content = None if vector is None else np.asarray(vector, dtype).tobytes()
        return self._insert(
            "embeddings_queue",
            operation=operation,
            topic=self._topic(made),
            id=id_,
            vector=content,
            encoding=None if vector is None else encoding,
            metadata=None if metadata is None else json.dumps(metadata),
        )

    def segment(self, made: Made, vectors: Mapping[str, Any], seen: int = 0, *, cosine: bool = False) -> Path:
        """A folder of vectors; an id that begins with "-" is marked as deleted."""
        folder = self.path / made.vectors
        folder.mkdir()
        matrix = np.array(list(vectors.values()), dtype="<f4")
        write_index(folder, matrix, cosine=cosine, deleted=[id_.startswith("-") for id_ in vectors])
        labels = {id_: row + 1 for row, id_ in enumerate(vectors) if not id_.startswith("-")}
        state = {
            "dimensionality": matrix.shape[1],
            "total_elements_added": len(matrix),
            "id_to_label": labels,
            "label_to_id": {label: id_ for id_, label in labels.items()},
            "id_to_seq_id": {},
        }
        if self.layout < "0.5":
            state["max_seq_id"] = seen
        else:
            self.seen(made.vectors, seen)
        content = pickle.dumps(state, 3) if self.layout >= "1" else pickled_object(state)
        (folder / "index_metadata.pickle").write_bytes(content)
        return folder

    def frame(self, made: Made, dimension: int) -> None:
        """The folder of a segment to which nothing was flushed yet."""
        folder = self.path / made.vectors
        folder.mkdir()
        write_index(folder, np.zeros((0, dimension), dtype="<f4"), capacity=100)

    def close(self) -> None:
        """Let go of the database."""
        self.sql.close()


def write_index(
    folder: Path, matrix: Any, *, cosine: bool = False, deleted: list[bool] | None = None, capacity: int = 0
) -> None:
    """The files of hnswlib without any link; labels count from 1, records lie in reverse order."""
    count, dimension = matrix.shape
    links = 4 + 32 * 4
    record = links + 4 * dimension + 8
    lengths = np.linalg.norm(matrix, axis=1).astype("<f4") if cosine else np.full(count, np.nan, dtype="<f4")
    stored = matrix / lengths[:, None] if cosine else matrix
    content = bytearray()
    for row in reversed(range(count)):
        mark = 1 << 16 if deleted is not None and deleted[row] else 0
        content += struct.pack("<I", mark) + bytes(links - 4) + stored[row].astype("<f4").tobytes()
        content += struct.pack("<Q", row + 1)
    content += bytes(record * max(0, capacity - count))
    (folder / "data_level0.bin").write_bytes(content)
    (folder / "length.bin").write_bytes(lengths[::-1].tobytes())
    (folder / "link_lists.bin").write_bytes(bytes(4 * count))
    header = (1, 0, max(count, capacity), count, record, record - 8, links, -1, 0, 16, 32, 16, 0.36, 100)
    (folder / "header.bin").write_bytes(struct.pack("<i6QiI3QdQ", *header))


def pickled_object(state: dict[str, Any], module: str = _CLASS[0], name: str = _CLASS[1], protocol: int = 5) -> bytes:
    """A pickle of an object of such a class with these attributes, whether or not there is one."""
    cls = type(name, (), {"__module__": module, "__qualname__": name})
    made = cls()
    made.__dict__.update(state)
    stand_in = types.ModuleType(module)
    setattr(stand_in, name, cls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, stand_in)
        for end in range(len(module.split("."))):
            parent = ".".join(module.split(".")[:end])
            if parent and parent not in sys.modules:
                patch.setitem(sys.modules, parent, types.ModuleType(parent))
        return pickle.dumps(made, protocol)


def _cell(value: Any, text: str = "string_value") -> dict[str, Any]:
    column = {bool: "bool_value", int: "int_value", float: "float_value", str: text}.get(type(value))
    return {} if column is None else {column: value}
