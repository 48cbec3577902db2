"""Time and memory of a contestant's calls.

Nothing outside the standard library is imported before it is needed: the time of a contestant's own import counts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Numbers = dict[str, float]
_PATIENCE = 1.5  # seconds for all calls of one kind
_FEWEST = 2  # repeats of a call, however slow
_TICK = 0.005
_GLANCE = 0.01


class Timed:
    """The calls of one kind: milliseconds of each, and what ``keep`` makes of each answer, outside the time."""

    def __init__(
        self, call: Callable[[int], Any], calls: int, *, warm: int = 3, keep: Callable[[Any], Any] | None = None
    ) -> None:
        self.kept: dict[int, Any] = {}
        self.milliseconds: list[float] = []
        begun = time.perf_counter()
        for at in range(min(warm, calls)):
            call(at)
            if time.perf_counter() - begun > _PATIENCE:
                break
        begun = time.perf_counter()
        for at in range(calls):
            start = time.perf_counter()
            answer = call(at)
            self.milliseconds.append((time.perf_counter() - start) * 1000)
            if keep is not None:
                self.kept[at] = keep(answer)
            del answer  # or the next call would hold two of them
            if at >= _FEWEST and time.perf_counter() - begun > _PATIENCE:
                break

    def numbers(self, name: str) -> Numbers:
        """Median and 99th percentile."""
        return percentiles(name, self.milliseconds)


def percentiles(name: str, milliseconds: list[float]) -> Numbers:
    """Median and 99th percentile."""
    import numpy as np

    return {
        f"{name} ms": float(np.median(milliseconds)),
        f"{name} p99 ms": float(np.percentile(milliseconds, 99)),
    }


@contextmanager
def timing(found: Numbers, name: str) -> Iterator[None]:
    """Seconds of the block, and of the processor, put into ``found``."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    found[f"{name} s"] = time.perf_counter() - wall
    found[f"{name} CPU s"] = time.process_time() - cpu


class Ticker(threading.Thread):
    """A thread that wants to run every 5 ms, as a kernel does that has messages to answer."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._gaps = [0.0]
        self._stopped = threading.Event()

    def run(self) -> None:
        last = time.perf_counter()
        while not self._stopped.is_set():
            time.sleep(_TICK)
            now = time.perf_counter()
            self._gaps.append(now - last - _TICK)
            last = now

    def stop(self) -> float:
        """The longest time, in milliseconds, that it had to wait."""
        self._stopped.set()
        self.join()
        return max(self._gaps) * 1000


def memory() -> Numbers:
    """MB of this process: all, and what is not shared with files (Linux; elsewhere nothing is told)."""
    told = _megabytes("smaps_rollup")
    fields = {"resident MB": "Rss", "anonymous MB": "Anonymous"}
    return {name: told[field] for name, field in fields.items() if told}


def beyond(before: Numbers) -> Numbers:
    """MB that this process holds now, and has held at most, more than ``before``."""
    found = {name: value - before[name] for name, value in memory().items()}
    if found:
        found["peak MB"] = _megabytes("status")["VmHWM"] - before["resident MB"]
    return found


class MemoryWatch(threading.Thread):
    """Looks every 10 ms how much memory no file is behind (Linux); within 1 MB or so, as the system counts it quickly.

    Raises:
        OSError: the system does not tell.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        if "RssAnon" not in _megabytes("status"):
            raise OSError("The system does not tell how much memory a process has of its own (RssAnon).")
        self._before = _megabytes("status")["RssAnon"]
        self._most = self._before
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_GLANCE):
            self._most = max(self._most, _megabytes("status")["RssAnon"])

    def stop(self) -> float:
        """The most, in MB, that there was beyond what there was in the beginning."""
        self._stopped.set()
        self.join()
        return self._most - self._before


def _megabytes(file: str) -> Numbers:
    """MB by field of a file of this process in /proc; empty where there is none."""
    path = Path("/proc/self", file)
    lines = path.read_text().splitlines() if path.exists() else []
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.removesuffix(":"): int(kibibytes) * 1.024 / 1000 for name, kibibytes, _ in fields}


def disk(folder: Path) -> Numbers:
    """MB that the files below a folder take."""
    return {"disk MB": sum(_taken(path.stat()) for path in folder.rglob("*") if path.is_file()) / 1e6}


def _taken(status: os.stat_result) -> int:
    blocks: int | None = getattr(status, "st_blocks", None)  # Windows tells none
    return status.st_size if blocks is None else blocks * 512
