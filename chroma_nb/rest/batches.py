"""One call, several requests: how items are split, and what is said when one of the requests fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.errors import ChromaNbError, PartialWriteError
from chroma_nb.store.protocol import Progress
from chroma_nb.types import IntArray, Records

BATCH_BYTES = 8 << 20
_NUMBER_BYTES = 12  # of a float32 as decimal text; base64 takes less
_VALUE_BYTES = 24  # of a number or bool in JSON with the marks around it
_T = TypeVar("_T")


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Consecutive pieces of at most that size.

    >>> list(chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]


def parts(batch: Records, rows: int, size: int = BATCH_BYTES) -> Iterator[IntArray]:
    """Positions of the items of each request: at most so many, and about so many bytes (or a single item)."""
    upto = np.cumsum(_sizes(batch))
    start = 0
    while start < len(batch):
        before = upto[start - 1] if start else 0
        end = int(np.searchsorted(upto, before + size, side="right"))
        stop = min(max(end, start + 1), start + rows, len(batch))
        yield np.arange(start, stop)
        start = stop


def _sizes(batch: Records) -> npt.NDArray[np.int64]:
    """About how many bytes each item takes in a request."""
    sizes = _lengths(batch.ids)
    if batch.documents is not None:
        sizes = sizes + _lengths(batch.documents)
    if batch.embeddings is not None:
        sizes = sizes + _NUMBER_BYTES * batch.embeddings.shape[1]
    for key, kinds in (batch.metadata or {}).items():
        for column in kinds.values():
            there = column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
            sizes = sizes + there * (_VALUE_BYTES + len(key))
            if pa.types.is_large_string(column.type):
                sizes = sizes + _lengths(column)
    return sizes


def _lengths(column: Any) -> npt.NDArray[np.int64]:
    lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray(lengths, dtype=np.int64)


def write_parts(
    call: str,
    batch: Records,
    pieces: Iterator[IntArray],
    write: Callable[[Records, IntArray], None],
    progress: Progress | None = None,
) -> None:
    """Write an ``add``, ``update`` or ``upsert`` piece by piece; ``progress`` is told how many items are written.

    Raises:
        PartialWriteError: a piece failed that was not the first one.
    """
    written = 0
    for positions in pieces:
        try:
            write(batch if len(positions) == len(batch) else batch.take(positions), positions)
        except ChromaNbError as error:
            if written == 0:
                raise
            again = "skips those that are there" if call == "add" else "writes them once more, with the same result"
            raise PartialWriteError(
                f"{written:,} of {len(batch):,} items were written, one request at a time, before this: {error} To go "
                f"on, call {call} again with all of them, which {again}.",
                written,
            ) from error
        written += len(positions)
        if progress is not None:
            progress(written, len(batch))
