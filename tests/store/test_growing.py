"""Arrays that are made when something asks, by whatever thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chroma_nb.store.growing import Growing


def test_made_once_and_what_is_written_meanwhile_stays() -> None:
    made = []

    def make() -> Growing:
        made.append(threading.get_ident())
        time.sleep(0.05)
        return Growing.joined(np.arange(1_000))

    later = Growing.later(1_000, make)
    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(lambda: int(later.first(1_000).sum())) for _ in range(4)]
        later.append(np.array([7, 8]))
        assert [reader.result() for reader in readers] == [sum(range(1_000))] * 4
    assert len(made) == 1
    assert later.view[-3:].tolist() == [999, 7, 8]


def test_what_fails_is_tried_again() -> None:
    failing = [False, True]

    def make() -> Growing:
        if failing.pop():
            raise MemoryError
        return Growing(np.arange(3))

    later = Growing.later(3, make)
    with pytest.raises(MemoryError):
        later.first(3)
    assert later.first(3).tolist() == [0, 1, 2]
