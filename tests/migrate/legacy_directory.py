"""Directories as Chroma 0.3 leaves them, made by the same means: DuckDB's COPY."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

NOTHING = "null"  # as metadata of a collection since 0.3.11


@dataclass
class Row:
    """An item: metadata as a dict, or as the text in the file."""

    id: str | None
    embedding: Sequence[float | None] | None
    document: str | None = None
    metadata: dict[str, Any] | str | None = None


@dataclass
class Old:
    """A collection."""

    name: str
    rows: list[Row] = field(default_factory=list)
    metadata: dict[str, Any] | str = NOTHING
    id: uuid.UUID = field(default_factory=uuid.uuid4)


def write(path: Path, collections: Sequence[Old], *, interleaved: bool = False, row_group: int = 122_880) -> Path:
    """Write the two files; ``interleaved``: the rows of collections in turns, as after alternating calls of add."""
    path.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE collections (uuid VARCHAR, name VARCHAR, metadata VARCHAR)")
        connection.execute(
            "CREATE TABLE embeddings (collection_uuid VARCHAR, uuid VARCHAR, embedding DOUBLE[], document VARCHAR, "
            "id VARCHAR, metadata VARCHAR)"
        )
        for old in collections:
            connection.execute("INSERT INTO collections VALUES (?, ?, ?)", [str(old.id), old.name, _json(old.metadata)])
        rows = [
            [str(old.id), str(uuid.uuid4()), row.embedding, row.document, row.id, _json(row.metadata)]
            for old, row in _in_order(collections, interleaved=interleaved)
        ]
        if rows:
            connection.executemany("INSERT INTO embeddings VALUES (?, ?, ?, ?, ?, ?)", rows)
        copy(connection, "collections", path)
        copy(connection, "embeddings", path, f", ROW_GROUP_SIZE {row_group}")
    return path


def copy(connection: duckdb.DuckDBPyConnection, table: str, path: Path, options: str = "") -> None:
    """What ``persist()`` of Chroma 0.3 does with a table."""
    file = str(path / f"chroma-{table}.parquet").replace("'", "''")
    connection.execute(f"COPY (SELECT * FROM {table}) TO '{file}' (FORMAT PARQUET{options})")


def fingerprints(path: Path) -> dict[str, tuple[str, int]]:
    """What every file of a directory holds, and when it was changed."""
    return {
        str(file.relative_to(path)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def _in_order(collections: Sequence[Old], *, interleaved: bool) -> list[tuple[Old, Row]]:
    placed = [(at, old, row) for old in collections for at, row in enumerate(old.rows)]
    return [(old, row) for _, old, row in (sorted(placed, key=lambda one: one[0]) if interleaved else placed)]


def _json(metadata: dict[str, Any] | str | None) -> str | None:
    return json.dumps(metadata) if isinstance(metadata, dict) else metadata
