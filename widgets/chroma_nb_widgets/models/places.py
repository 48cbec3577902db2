"""From ids to positions in a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import IntArray

_FEW_IDS = 10_000


def places_of(snapshot: Snapshot, ids: Sequence[str]) -> IntArray:
    """Positions of these ids, in their order; unknown ones are left out."""
    asked, known = pa.array(ids, type=pa.large_string()), snapshot.ids
    # A table of all ids takes its time; of a few asked for, it is quickly made and all ids are looked up in it.
    among = np.flatnonzero(pc.is_in(known, value_set=asked)) if len(asked) < _FEW_IDS else np.arange(len(known))
    found = pc.index_in(asked, value_set=known.take(pa.array(among))).drop_null()
    return among[np.asarray(found, dtype=np.int64)]
