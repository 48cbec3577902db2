"""What is told of an import."""

from __future__ import annotations

from dataclasses import dataclass

from chroma_nb.migrate.source import Note


@dataclass(frozen=True)
class Imported:
    """What became of one collection.

    ``rows`` is ``imported + skipped + already_there``.

    Attributes:
        collection: its name here.
        rows: that the source holds.
        imported: written by this run.
        already_there: written by an earlier run that was interrupted.
        reasons: why rows were skipped: of how many rows, and the ids of the first few.
        notes: what else is not as it was in the source: sentences.
        seconds: that it took.
        verified: that the target was seen to hold these ids; what is not so ends in an error.
    """

    collection: str
    rows: int
    imported: int
    already_there: int
    reasons: tuple[Note, ...]
    notes: tuple[str, ...]
    seconds: float
    verified: bool

    @property
    def skipped(self) -> int:
        """How many rows were left out."""
        return sum(reason.count for reason in self.reasons)

    @property
    def why(self) -> str:
        """Why, in one text; empty if none was left out."""
        return "; ".join(map(str, self.reasons))
