"""Which slots a graph covers, and which of them it holds."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from chroma_nb.types import BoolArray, IndexSettings, IntArray, Matrix


class Covering(ABC):
    """A graph that answers for the slots below `upto`.

    Args:
        present: bool per slot below `upto`: in the graph, and not deleted.

    Attributes:
        upto: how many slots it covers.
        deletions: how often it lost some of them.
    """

    def __init__(self, present: BoolArray) -> None:
        self.upto = len(present)
        self.deletions = 0
        self._present = present

    @abstractmethod
    def search(
        self, queries: Matrix, k: int, allowed: BoolArray | None, threads: int, ef: int | None = None
    ) -> IntArray | None:
        """Slots of about the k nearest, shape (m, k); None when fewer than k can be reached.

        Args:
            queries: float32 (m, dim).
            k: how many.
            allowed: bool per slot; only these count, and none behind them.
            threads: for several queries without ``allowed``.
            ef: candidates kept while searching, instead of what the settings say.
        """

    @abstractmethod
    def forget(self, live: BoolArray) -> None:
        """Mark every slot in the graph that is not live (bool per slot) as deleted."""

    def lacks(self, live: BoolArray) -> bool:
        """Whether the graph covers a live slot without holding it: a newer state deleted it there."""
        shared = min(len(self._present), len(live))
        return bool((live[:shared] & ~self._present[:shared]).any())

    def gone(self, live: BoolArray) -> IntArray:
        """The slots that the graph holds and that are not live."""
        shared = min(len(self._present), len(live))
        return np.flatnonzero(self._present[:shared] & ~live[:shared])

    def lose(self, slots: IntArray) -> None:
        """No longer hold these slots; one thread at a time."""
        present = self._present.copy()
        present[slots] = False
        self._present = present
        self.deletions += 1


def candidates(settings: IndexSettings, k: int) -> int:
    """How many candidates a search for the k nearest keeps.

    >>> candidates(IndexSettings(), 10), candidates(IndexSettings(), 80)
    (100, 160)
    """
    return settings.search_ef or max(100, 2 * k)
