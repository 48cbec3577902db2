"""Queries that come at the same time, searched for together.

A store answers eight vectors in two thirds of the time of eight calls, and many threads that search
side by side take the interpreter from one another. So the first calls go to work at once; what
comes meanwhile waits and goes together as soon as one of them is done. Nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np

from chroma_nb.rest.queries import Query
from chroma_nb.types import Matrix

_Run = Callable[[Query, Matrix, list[int]], list[bytes]]
# Calls at work at the same time, of those that could go together: hnswlib searches for so few vectors in one thread.
_AT_WORK = 2
# More vectors than this at once make the first of them wait longer than they save.
_MOST = 32


class Gatherer:
    """Hands queries to threads; all of its methods are called in the event loop."""

    def __init__(self, run: _Run, executor: Executor) -> None:
        self._run = run
        self._executor = executor
        self._waiting: dict[Any, list[tuple[Query, Matrix, asyncio.Future[bytes]]]] = {}
        self._at_work: Counter[Any] = Counter()

    async def answer(self, query: Query, vectors: Matrix) -> bytes:
        """The body of the answer."""
        loop = asyncio.get_running_loop()
        shared = query.shared
        if shared is None or len(vectors) > _MOST:
            return (await loop.run_in_executor(self._executor, self._run, query, vectors, [len(vectors)]))[0]
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.setdefault(shared, []).append((query, vectors, future))
        if self._at_work[shared] < _AT_WORK:
            self._start(shared, loop)
        return await future

    def _start(self, shared: Any, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting[shared]
        going, total = 0, 0
        while going < len(waiting) and (going == 0 or total + len(waiting[going][1]) <= _MOST):
            total += len(waiting[going][1])
            going += 1
        calls, waiting[:going] = waiting[:going], []
        if not waiting:
            del self._waiting[shared]
        self._at_work[shared] += 1
        vectors = calls[0][1] if going == 1 else np.concatenate([vectors for _, vectors, _ in calls])
        counts = [len(vectors) for _, vectors, _ in calls]
        work = loop.run_in_executor(self._executor, self._run, calls[0][0], vectors, counts)

        def done(finished: asyncio.Future[list[bytes]]) -> None:
            self._at_work[shared] -= 1
            if not self._at_work[shared]:
                del self._at_work[shared]
            if shared in self._waiting:
                self._start(shared, loop)
            _settle(finished, [future for _, _, future in calls])

        work.add_done_callback(done)


def _settle(finished: asyncio.Future[list[bytes]], futures: list[asyncio.Future[bytes]]) -> None:
    error = finished.exception()
    for at, future in enumerate(futures):
        if future.done():
            continue  # its client went away
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(finished.result()[at])
