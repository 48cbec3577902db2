"""One piece of work on all cores: numpy and Arrow let other threads run while they compute."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

# Those that this process may use; asking each time costs 15 us.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def on_all_cores(work: Callable[[Iterator[_Piece]], _Result], pieces: Sequence[_Piece]) -> list[_Result]:
    """Let threads, this one among them, share the pieces; what each of them made of those it took.

    A thread takes its next piece when it is done with the one before, so that a core that is busy with something else
    holds nobody up. Threads are started anew, for 0.1 ms: kept ones would not survive a fork.

    Args:
        work: called once in each thread with an iterator over the pieces that this thread takes.
        pieces: in the order in which they are taken.

    Raises:
        Exception: what ``work`` raised, when all threads have ended.

    >>> sum(on_all_cores(sum, range(10)))
    45
    """
    left = _Left(pieces)
    others = min(CORES, len(pieces)) - 1
    if others < 1:
        return [work(left)]
    futures: list[Future[_Result]] = []
    with ThreadPoolExecutor(others) as pool:
        try:
            with suppress(RuntimeError):  # no threads any more, as the program ends: this one does it all
                futures += (pool.submit(work, left) for _ in range(others))
            results = [work(left)]
        finally:
            left.stop()  # an interrupt ends all of them
        return results + [future.result() for future in futures]


class _Left(Iterator[_Piece]):
    """The pieces that nobody has taken yet."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = iter(pieces)
        self._lock = threading.Lock()
        self._stopped = False

    def __next__(self) -> _Piece:
        with self._lock:
            if self._stopped:
                raise StopIteration
            return next(self._pieces)

    def stop(self) -> None:
        """Nobody takes any more."""
        self._stopped = True
