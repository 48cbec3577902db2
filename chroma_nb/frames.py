"""Results as DataFrames: the only module that knows pandas.

A column has the same dtype in every result of a collection, empty ones included: texts ``str``,
bools ``boolean``, floats ``float64`` (missing: NaN), integers ``int64``, or ``Int64`` when some item of
the collection lacks the key, and ``object`` for keys whose values are of several types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from chroma_nb.columns import column_of
from chroma_nb.types import CollectionInfo, CollectionStats, Hits, Kind, Matrix, Records

if TYPE_CHECKING:
    from chroma_nb.copying import Copied
    from chroma_nb.migrate.legacy_writing import Exported
    from chroma_nb.migrate.reports import Imported

_STR = pd.StringDtype("pyarrow", na_value=np.nan)


def records_frame(records: Records, attrs: Mapping[str, Any]) -> pd.DataFrame:
    """One row an item: index ``id``; columns ``document``, metadata keys, ``embedding``, as included."""
    return _frame(_columns(records), records.ids, attrs)


def hits_frame(hits: Hits, attrs: Mapping[str, Any], *, distances: bool = True) -> pd.DataFrame:
    """One row a hit: ``query``, ``rank``, ``distance``, then as in `records_frame`."""
    columns: dict[str, Any] = {"query": hits.query, "rank": hits.rank}
    if distances:
        columns["distance"] = hits.distance
    return _frame(columns | _columns(hits.records), hits.records.ids, attrs)


def collections_frame(collections: Sequence[tuple[CollectionInfo, CollectionStats]]) -> pd.DataFrame:
    """One row a collection, index ``name``."""
    infos = [info for info, _ in collections]
    names = pd.Index(_strings([info.name for info in infos]), name="name")
    return _made(
        {
            "id": _strings([str(info.id) for info in infos]),
            "count": np.array([stats.count for _, stats in collections], dtype=np.int64),
            "dimension": pd.array([info.dimension for info in infos], dtype="Int64"),
            "space": _strings([info.settings.space.value for info in infos]),
            "metadata": _objects((info.metadata for info in infos), len(infos)),
            "metadata_keys": _objects((list(stats.keys) for _, stats in collections), len(infos)),
            "embedding_function": _strings([info.function_name for info in infos]),
        },
        names,
    )


def copied_frame(reports: Sequence[Copied]) -> pd.DataFrame:
    """One row a collection that was copied, index ``collection``."""
    numbers = {
        name: np.array([getattr(report, name) for report in reports], dtype=np.int64)
        for name in ("items", "copied", "skipped", "already_there")
    }
    return _made(
        {
            **numbers,
            "seconds": np.array([report.seconds for report in reports], dtype=np.float64),
            "verified": np.array([report.verified for report in reports], dtype=np.bool_),
        },
        pd.Index(_strings([report.collection for report in reports]), name="collection"),
    )


def imported_frame(reports: Sequence[Imported]) -> pd.DataFrame:
    """One row a collection that was imported, index ``collection``."""
    numbers = {
        name: np.array([getattr(report, name) for report in reports], dtype=np.int64)
        for name in ("rows", "imported", "skipped", "already_there")
    }
    return _made(
        {
            **numbers,
            "why": _strings([report.why for report in reports]),
            "notes": _objects((list(report.notes) for report in reports), len(reports)),
            "seconds": np.array([report.seconds for report in reports], dtype=np.float64),
            "verified": np.array([report.verified for report in reports], dtype=np.bool_),
        },
        pd.Index(_strings([report.collection for report in reports]), name="collection"),
    )


def exported_frame(reports: Sequence[Exported]) -> pd.DataFrame:
    """One row a collection that was exported, index ``collection``."""
    return _made(
        {
            "items": np.array([report.items for report in reports], dtype=np.int64),
            "seconds": np.array([report.seconds for report in reports], dtype=np.float64),
            "notes": _strings(["; ".join(report.notes) or None for report in reports]),
        },
        pd.Index(_strings([report.collection for report in reports]), name="collection"),
    )


def map_frame(ids: pa.Array, xy: Matrix, attrs: Mapping[str, Any]) -> pd.DataFrame:
    """One row an item, index ``id``: its place ``x``, ``y`` (float32)."""
    return _frame({"x": xy[:, 0].copy(), "y": xy[:, 1].copy()}, ids, attrs)


def table_frame(table: pa.Table) -> pd.DataFrame:
    """Any Arrow table, with pandas' nullable or native dtypes; vectors as float arrays."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=_mapped)
    return frame


def _mapped(type_: pa.DataType) -> Any:
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _STR
    return pd.BooleanDtype() if pa.types.is_boolean(type_) else None


def _frame(columns: dict[str, Any], ids: pa.Array, attrs: Mapping[str, Any]) -> pd.DataFrame:
    frame = _made(columns, pd.Index(_text(ids), name="id"))
    frame.attrs["chroma_nb"] = dict(attrs)
    return frame


def _made(columns: Mapping[str, Any], index: pd.Index) -> pd.DataFrame:
    typed = {
        name: pd.Series(column.values, index=index, dtype=object) if isinstance(column, _Objects) else column
        for name, column in columns.items()
    }
    return pd.DataFrame(typed, index=index, copy=False)


def _columns(records: Records) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if records.documents is not None:
        columns["document"] = _text(records.documents)
    for key, kinds in (records.metadata or {}).items():
        columns[column_of(key)] = _values(kinds, len(records), gap=key in records.gaps)
    if records.embeddings is not None:
        columns["embedding"] = _objects(records.embeddings, len(records))
    return columns


def _values(kinds: Mapping[Kind, pa.Array], length: int, *, gap: bool) -> Any:
    if len(kinds) != 1:
        return _mixed(kinds, length)
    ((kind, array),) = kinds.items()
    if kind is Kind.STR:
        return _text(array)
    if kind is Kind.BOOL:
        return _of_arrow(pd.BooleanDtype(), array)
    if kind is Kind.INT and gap:
        return _of_arrow(pd.Int64Dtype(), array)
    # A copy: Arrow's memory is read-only, and a frame should not be.
    return np.array(array.to_numpy(zero_copy_only=False))


def _mixed(kinds: Mapping[Kind, pa.Array], length: int) -> Any:
    values = np.full(length, None, dtype=object)
    for array in kinds.values():
        there = array.is_valid().to_numpy(zero_copy_only=False)
        values[there] = np.array(array.drop_null().to_pylist(), dtype=object)
    return _Objects(values)


def _text(array: pa.Array) -> Any:
    return _of_arrow(_STR, array)


def _of_arrow(dtype: Any, array: pa.Array) -> Any:
    """An array of an extension dtype, by the protocol with which pandas itself reads Arrow columns."""
    return dtype.__from_arrow__(array)


def _strings(values: list[Any]) -> Any:
    return _text(pa.array(values, pa.large_string()))


def _objects(values: Iterable[Any], length: int) -> _Objects:
    # np.array(values) would make a matrix of equally long vectors; and from a bare array of objects
    # pandas 3 would infer `str` whenever all of them are texts.
    # This wrapper is what keeps the dtype until `_frame` makes a Series of it.
    return _Objects(np.fromiter(values, dtype=object, count=length))


@dataclass(frozen=True)
class _Objects:
    """A column that must stay of dtype object."""

    values: npt.NDArray[Any]
