"""What processes write that share a directory, and what must be there afterwards."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from chroma_nb.types import Records

KEPT = 6  # batches of a writer that are there at once: it deletes older ones
_ITEMS = 3


def batch(name: str, step: int) -> Records:
    """What a writer adds in one step."""
    ids = [f"{name}:{step}:{number}" for number in range(_ITEMS)]
    vectors = np.random.default_rng(zlib.crc32(ids[0].encode())).standard_normal((_ITEMS, 8)).astype(np.float32)
    return Records(
        ids=pa.array(ids, pa.large_string()),
        documents=pa.array([f"text of {id_}" for id_ in ids], pa.large_string()),
        embeddings=vectors,
    )


class Log:
    """The log of a process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def failures(self) -> list[str]:
        return [line for line in self.lines() if line.startswith("failed")]

    def count(self, word: str) -> int:
        return sum(line.startswith(word) for line in self.lines())


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
