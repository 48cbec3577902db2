"""What is said about a map, and about the work on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chroma_nb.errors import ChromaNbError
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import Matrix


class ProjectionCancelled(ChromaNbError):
    """A map was cancelled before there was anything to show."""

    wire_name = "ProjectionCancelled"
    http_status = 499


@dataclass(frozen=True)
class Projection:
    """A map of all items of a snapshot.

    Attributes:
        snapshot: whose items.
        xy: float32 (n, 2), finite.
        method: what made it, "umap" or "pca"; a UMAP of fewer than ten items is a PCA.
        complete: false if the work was cancelled on the way.
        fitted: how many points the method itself placed; the others stand beside their neighbours.
    """

    snapshot: Snapshot
    xy: Matrix
    method: str
    complete: bool
    fitted: int


StageName = Literal["index", "neighbours", "prepare", "epochs"]

_TEXTS = {
    "index": "Indexing: {done:,} of {total:,}",
    "neighbours": "Neighbours: {done:,} of {total:,}",
    "prepare": "Preparing UMAP (the first time, up to a minute)",
    "epochs": "Epoch {done:,} of {total:,}",
}


@dataclass(frozen=True)
class Stage:
    """How far the work on a map is.

    Attributes:
        name: of the stage; they follow each other in the order "index" (only where there is one and it is
            incomplete), "neighbours", "prepare", "epochs".
        done: of ``total``.
        total: vectors, items, steps or epochs.

    >>> Stage("epochs", 20, 200).text
    'Epoch 20 of 200'
    """

    name: StageName
    done: int
    total: int

    @property
    def text(self) -> str:
        """For people."""
        return _TEXTS[self.name].format(done=self.done, total=self.total)


class Watch:
    """Passes progress on and asks whether to go on.

    Args:
        progress: told of every step.
        cancelled: whether the work shall end.

    Attributes:
        complete: whether the last epoch was reached.
    """

    def __init__(self, progress: Callable[[Stage], None], cancelled: Callable[[], bool]) -> None:
        self.complete = False
        self._progress = progress
        self._cancelled = cancelled

    def check(self) -> None:
        """ProjectionCancelled if the work shall end."""
        if self._cancelled():
            raise ProjectionCancelled("The map was cancelled before there was anything to show.")

    def steps(self, name: StageName) -> Callable[[int, int], None]:
        """Progress (done, total) of a stage that has nothing to show; raises ProjectionCancelled."""

        def told(done: int, total: int) -> None:
            self.check()
            self._progress(Stage(name, done, total))

        return told

    def epochs(self, done: int, total: int) -> bool:
        """Progress of the last stage; whether to go on. What there is by then can be shown."""
        self.complete = done == total
        self._progress(Stage("epochs", done, total))
        return not self._cancelled()
