"""Ids that stand several times in a source."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.migrate.source import EXAMPLES, Note
from chroma_nb.store.columns_ids import hashes
from chroma_nb.types import BoolArray

REPEATED = "an id that another row has too"


def kept_rows(ids: pa.Array, duplicates: str) -> BoolArray:
    """Which rows count, bool (n,): of those with one id the first or the last; none without an id.

    >>> ids = pa.array(["a", "b", "a", None])
    >>> kept_rows(ids, "first").tolist(), kept_rows(ids, "last").tolist()
    ([True, True, False, False], [False, True, True, False])
    """
    kept = np.asarray(pc.is_valid(ids)).copy()
    if _all_differ(ids.drop_null()):
        return kept
    rows = np.flatnonzero(kept)
    codes = ids.take(pa.array(rows)).dictionary_encode().indices.to_numpy()
    order = slice(None) if duplicates == "first" else slice(None, None, -1)
    _, at = np.unique(codes[order], return_index=True)
    kept[:] = False
    kept[rows[order][at]] = True
    return kept


def _all_differ(ids: pa.Array) -> bool:
    """Whether no id repeats, by 8 bytes of each: where no hash repeats. Two ids with one hash are looked at again."""
    found = np.sort(hashes(ids.cast(pa.large_string())))
    return not bool((found[1:] == found[:-1]).any())


def repeated(ids: pa.Array | pa.ChunkedArray) -> Note | None:
    """The rows whose id an earlier one has; None if there are none."""
    ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    again = ids.filter(pa.array(~kept_rows(ids, "first"))).drop_null()
    return Note(REPEATED, len(again), tuple(again.slice(0, EXAMPLES).to_pylist())) if len(again) else None
