"""A bar for long work, in notebooks and terminals alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from chroma_nb.store.protocol import Progress

PATIENCE = 1.0  # seconds of work without a bar, for `bar`


@contextmanager
def bars(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A callable (stage, done, total) with a bar for each stage, one after the other."""
    with ExitStack() as stack:
        shown: dict[str, Progress] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                stack.close()
                shown[stage] = stack.enter_context(bar(f"{what}: {stage}", ""))
            shown[stage](done, total)

        yield move


@contextmanager
def bar(what: str, unit: str, after: float = 0.0) -> Iterator[Progress]:
    """A callable (done, total) that moves a bar; nothing is shown before it is first called.

    Nor in the first seconds, if ``after`` says so: what is over by then needs no bar.
    """
    shown: list[Any] = []
    begun = time.monotonic()

    def move(done: int, total: int) -> None:
        if not shown:
            if after and time.monotonic() - begun < after:
                return
            from tqdm.auto import tqdm

            shown.append(tqdm(total=total, desc=what, unit=unit, unit_scale=bool(unit), leave=False))
        shown[0].total = total
        shown[0].update(done - shown[0].n)

    try:
        yield move
    finally:
        for one in shown:
            one.n = one.total  # a notebook keeps the bar of what did not reach its end
            one.close()
