"""The vectors of a collection of Chroma 0.4 to 1.x: those of its segment, and newer ones in the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from chroma_nb.errors import CorruptStoreError
from chroma_nb.migrate.assembling import NO_VECTOR
from chroma_nb.migrate.modern_catalog import Listed
from chroma_nb.migrate.modern_log import NOTHING_SEEN, Log
from chroma_nb.migrate.modern_segment import Segment
from chroma_nb.types import BoolArray, Matrix, Metric


class Vectors:
    """Where the vector of an item is: in the log if that has a newer one, else in the segment unless deleted since.

    Args:
        directory: of the database.
        listed: the collection.
        log: of the database.

    Raises:
        CorruptStoreError: the segment is damaged.
    """

    def __init__(self, directory: Path, listed: Listed, log: Log) -> None:
        self._log, self._name, self._missing = log, listed.name, NO_VECTOR
        self._folder = directory / (listed.vector_segment or "?")
        self._segment: Segment | None = None
        seen = log.seen(listed.vector_segment)
        if Segment.holds_anything(self._folder):
            self._segment = Segment(self._folder, cosine=listed.settings.space is Metric.COSINE)
            seen = self._segment.upto if seen is None else seen
        elif seen is not None:
            self._missing = f"{NO_VECTOR}: the folder {self._folder.name} is missing, or empty"
        # Where the segment is lost, the log may still hold what went into it.
        lost = self._segment is None and seen is not None
        after = NOTHING_SEEN if lost or seen is None else seen
        self._newer, self._gone = log.vector_changes(listed.id, after, self._labels, whole=not lost)

    @property
    def _labels(self) -> dict[str, int]:
        return {} if self._segment is None else self._segment.labels

    @property
    def dimension(self) -> int | None:
        """Of the first vector there is."""
        if self._segment is not None:
            return self._segment.dimension
        first = self._log.vectors(list(self._newer.values())[:1])
        return len(first[0]) if first and first[0] is not None else None

    def check_enough(self, ids: pa.Array) -> None:
        """Some rows without a vector are told in the report; where most have none, the directory is not whole.

        Raises:
            CorruptStoreError: there is no segment, and the log has the vectors of less than half of these items.
        """
        if self._segment is not None:
            return
        missing = sum(id_ not in self._newer for id_ in ids.to_pylist())
        if 2 * missing > len(ids):
            raise CorruptStoreError(
                f"{missing:,} of the {len(ids):,} vectors of {self._name!r} are missing: they were in the folder "
                f"{self._folder}, which is not there, or empty. Was the directory copied as a whole? Leave this "
                "collection out to import the others."
            )

    def of(self, ids: list[str], dimension: int) -> tuple[Matrix, dict[str, BoolArray]]:
        """Vectors float32 (n, dimension) of n items; and why -> which of them have none, bool (n,)."""
        matrix = np.zeros((len(ids), dimension), dtype=np.float32)
        dimensions = np.full(len(ids), -1, dtype=np.int64)  # -1: no vector
        if self._segment is not None:
            here = [row for row, id_ in enumerate(ids) if id_ not in self._newer and id_ not in self._gone]
            found, positions = self._segment.vectors([ids[row] for row in here])
            rows = np.array(here, dtype=np.int64)[positions]
            dimensions[rows] = found.shape[1]
            if found.shape[1] == dimension:
                matrix[rows] = found
        newer = [row for row, id_ in enumerate(ids) if id_ in self._newer]
        for row, vector in zip(newer, self._log.vectors([self._newer[ids[row]] for row in newer]), strict=True):
            if vector is not None:
                dimensions[row] = len(vector)
                if len(vector) == dimension:
                    matrix[row] = vector
        left_out = {self._missing: dimensions < 0}
        for other in np.unique(dimensions[(dimensions >= 0) & (dimensions != dimension)]).tolist():
            left_out[f"a vector of dimension {other}, not {dimension}"] = dimensions == other
        return matrix, left_out
