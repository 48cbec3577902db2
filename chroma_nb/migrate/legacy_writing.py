"""Collections into a directory of Chroma 0.3 (``duckdb+parquet``), which the original opens.

Its truth is two Parquet files, and beside them each collection has an hnswlib index with three pickles, which
0.3 does not rebuild. Everything is written into a folder of another name, which gets its own when it is complete.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chroma_nb import halves
from chroma_nb.columns import metadata_dicts, texts
from chroma_nb.migrate.appearing import appearing_folder
from chroma_nb.migrate.exporting import batches
from chroma_nb.migrate.legacy_pickle import write_dict
from chroma_nb.progress import PATIENCE, bar
from chroma_nb.store.plain_index import PlainIndex
from chroma_nb.store.protocol import Store
from chroma_nb.types import CollectionInfo, IndexSettings, MetadataValue, Records, Selection

_EVERYTHING = frozenset({"documents", "metadatas", "embeddings"})
# The order of columns is part of the format: 0.3 inserts them by position.
_ITEMS = pa.schema(
    [
        ("collection_uuid", pa.string()),
        ("uuid", pa.string()),
        ("embedding", pa.list_(pa.field("element", pa.float64()))),
        ("document", pa.string()),
        ("id", pa.string()),
        ("metadata", pa.string()),
    ]
)
_COLLECTIONS = pa.schema([("uuid", pa.string()), ("name", pa.string()), ("metadata", pa.string())])
# What 0.3.29 accepts of index settings; any other key that begins so is an error there.
_ACCEPTED = {
    "hnsw:space": r"^(l2|cosine|ip)$",
    "hnsw:construction_ef": r"^\d+$",
    "hnsw:search_ef": r"^\d+$",
    "hnsw:M": r"^\d+$",
    "hnsw:num_threads": r"^\d+$",
    "hnsw:resize_factor": r"^\d+(\.\d+)?$",
}
_SETTINGS = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "construction_ef",
    "hnsw:search_ef": "search_ef",
    "hnsw:M": "m",
    "hnsw:num_threads": "num_threads",
    "hnsw:resize_factor": "resize_factor",
}


@dataclass(frozen=True)
class Exported:
    """What became of one collection.

    Attributes:
        collection: its name.
        items: that were written.
        seconds: that it took.
        notes: what Chroma 0.3 has no place for.
    """

    collection: str
    items: int
    seconds: float
    notes: tuple[str, ...] = ()


def export_chroma(store: Store, path: Path, collections: Sequence[str] | str | None = None) -> list[Exported]:
    """Write collections as a directory of Chroma 0.3; see `chroma_nb.Client.export_chroma`."""
    path = path.expanduser()
    infos = halves.asked(store, collections)
    with appearing_folder(path) as folder:
        (folder / "index").mkdir()
        items = pq.ParquetWriter(folder / "chroma-embeddings.parquet", _ITEMS, compression="snappy", store_schema=False)
        with items:
            reports = [_write(store, info, items, folder / "index") for info in infos]
        rows = [{"uuid": str(info.id), "name": info.name, "metadata": json.dumps(_metadata(info)[0])} for info in infos]
        listed = pa.Table.from_pylist(rows, schema=_COLLECTIONS)
        pq.write_table(listed, folder / "chroma-collections.parquet", compression="snappy", store_schema=False)
    return reports


# one collection -------------------------------------------------------------------------------


def _write(store: Store, info: CollectionInfo, items: pq.ParquetWriter, folder: Path) -> Exported:
    started = time.perf_counter()
    index: PlainIndex | None = None
    rows: list[uuid.UUID] = []
    capacity = store.stats(info.id).count
    with bar(f"exporting {info.name}", "items", after=PATIENCE) as move:
        for records in batches(store, info, Selection(), _EVERYTHING, move):
            assert records.embeddings is not None  # noqa: S101 - asked for
            if index is None:
                index = PlainIndex(records.embeddings.shape[1], info.settings, max(capacity, len(records)))
            made = _row_ids(info, records)
            items.write_batch(_rows(info, records, made))
            # Labels begin at 1, as in 0.3.15 and later.
            index.add(records.embeddings, np.arange(len(rows) + 1, len(rows) + len(made) + 1))
            rows += made
            dimension = records.embeddings.shape[1]
        if index is not None:
            _save(index, folder, info, rows, dimension)
    return Exported(info.name, len(rows), time.perf_counter() - started, _notes(info))


def _row_ids(info: CollectionInfo, records: Records) -> list[uuid.UUID]:
    """The same for the same item whenever it is exported."""
    return [uuid.uuid5(info.id, id_) for id_ in texts(records.ids)]


def _rows(info: CollectionInfo, records: Records, ids: list[uuid.UUID]) -> pa.RecordBatch:
    assert records.embeddings is not None  # noqa: S101 - asked for
    count, dimension = records.embeddings.shape
    offsets = pa.array(np.arange(0, count * dimension + 1, dimension, dtype=np.int32))
    numbers = pa.array(records.embeddings.reshape(-1).astype(np.float64))
    metadata = metadata_dicts(records.metadata or {}, count)
    columns = [
        pa.array([str(info.id)] * count, pa.string()),
        pa.array([str(row) for row in ids], pa.string()),
        pa.ListArray.from_arrays(offsets, numbers, type=_ITEMS.field("embedding").type),
        pa.nulls(count, pa.string()) if records.documents is None else records.documents.cast(pa.string()),
        records.ids.cast(pa.string()),
        pa.array([None if row is None else json.dumps(row) for row in metadata], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_ITEMS)


def _save(index: PlainIndex, folder: Path, info: CollectionInfo, rows: list[uuid.UUID], dimension: int) -> None:
    index.save(folder / f"index_{info.id}.bin")
    with (folder / f"id_to_uuid_{info.id}.pkl").open("xb") as file:
        write_dict(file, enumerate(rows, start=1))
    with (folder / f"uuid_to_id_{info.id}.pkl").open("xb") as file:
        write_dict(file, ((row.hex, label) for label, row in enumerate(rows, start=1)))
    with (folder / f"index_metadata_{info.id}.pkl").open("xb") as file:
        # "elements" is what releases to 0.3.23 read, the other two are what later ones do.
        counts = dict.fromkeys(("elements", "curr_elements", "total_elements_added"), len(rows))
        write_dict(file, {"dimensionality": dimension, **counts, "time_created": time.time()})


# what 0.3 knows -------------------------------------------------------------------------------


def _metadata(info: CollectionInfo) -> tuple[dict[str, MetadataValue] | None, tuple[str, ...]]:
    """The collection's metadata with its index settings as 0.3 reads them, and the keys that are left out."""
    kept, lost = {}, []
    for key, value in (info.metadata or {}).items():
        if not key.startswith("hnsw:") or (key in _ACCEPTED and re.match(_ACCEPTED[key], str(value))):
            kept[key] = value
        elif key not in _ACCEPTED:
            lost.append(key)
    defaults = IndexSettings()
    for key, field in _SETTINGS.items():
        value = getattr(info.settings, field)
        if key not in kept and value != getattr(defaults, field):
            kept[key] = str(value) if field == "space" else value
    return kept or None, tuple(lost)


def _notes(info: CollectionInfo) -> tuple[str, ...]:
    lost = _metadata(info)[1]
    found = [f"{', '.join(lost)}: no setting of Chroma 0.3"] if lost else []
    if info.function_name is not None:
        found.append(f"embedding function {info.function_name!r}: pass it to get_collection there")
    return tuple(found)
