"""What readers of other tools' data say, in plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chroma_nb.columns import metadata_dicts
from chroma_nb.migrate.source import SourceBatch, open_source

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "chroma_dirs"
"""What real Chroma wrote, for `tests/migrate/test_samples.py`; no part of the project."""


def read(path: Path, rows: int = 3) -> dict[str, dict[str, Any]]:
    """What the reader says, by name: the collection, and its items as a dict."""
    found: dict[str, dict[str, Any]] = {}
    with open_source(path) as source:
        for collection in source.collections():
            ids = source.ids(collection)
            batches = list(source.batches(collection, rows))
            assert sum(batch.rows for batch in batches) == len(ids) == collection.rows
            positions = [batch.positions for batch in batches] or [np.empty(0, dtype=np.int64)]
            kept = [id_ for batch in batches for id_ in batch.records.ids.to_pylist()]
            assert ids.take(pa.array(np.concatenate(positions))).to_pylist() == kept
            items = {id_: item for batch in batches for id_, item in items_of(batch)}
            notes = [str(note) for batch in batches for note in (*batch.skipped, *batch.changed)]
            found[collection.name] = {"info": collection, "items": items, "notes": notes}
    return found


def items_of(batch: SourceBatch) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Id -> document, metadata, vector."""
    records = batch.records
    assert records.documents is not None
    assert records.embeddings is not None
    dicts = metadata_dicts(records.metadata or {}, len(records))
    columns = records.ids.to_pylist(), records.documents.to_pylist(), dicts, records.embeddings.tolist()
    for id_, *item in zip(*columns, strict=True):
        yield id_, tuple(item)


def state(path: Path) -> dict[str, tuple[str, int]]:
    """Every file: content and time of change."""
    return {
        str(file): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
