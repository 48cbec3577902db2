"""Searches and the builder of a graph take turns, whatever the clock does meanwhile."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

from chroma_nb.store import hnsw
from chroma_nb.store.hnsw import _Gate

if TYPE_CHECKING:
    import pytest


def test_a_reader_that_looks_late_and_the_writer_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the writer's patience may end between what the one sees and what the other does."""
    clock = [0.0]
    monkeypatch.setattr(hnsw, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    overdue = _Gate._overdue
    gate, done = _Gate(), threading.Event()

    def read() -> None:
        with gate.reading():
            done.set()

    def looked_at(self: _Gate) -> bool:
        if threading.current_thread() is reader:
            clock[0] += 1  # the writer has looked before
        return overdue(self)

    def write() -> None:
        with gate._condition:
            with gate.writing():
                reader.start()
                while not gate._waiting:
                    gate._condition.wait(0.001)
            # The lock is still held: the reader looks again only when the next writer waits.
            with gate.writing():
                pass

    monkeypatch.setattr(_Gate, "_overdue", looked_at)
    reader, writer = threading.Thread(target=read, daemon=True), threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    assert done.wait(10)
    assert clock[0] > 0
