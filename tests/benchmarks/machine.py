"""What the figures were measured on, and whether it was at rest."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_QUIET_SHARE = 0.1


def description() -> str:
    """Processor, cores, memory, system and Python; no names of hosts or folders."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    parts = [f"{_processor()}, {os.cpu_count()} cores", f"{memory:.0f} GB", f"{platform.system()} {platform.machine()}"]
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def wait_for_quiet(patience: float) -> float:
    """Wait until the processors rest; says so where they do not. How busy they are, 0 to 1."""
    deadline = time.monotonic() + patience
    while (share := busy_share()) > _QUIET_SHARE:
        if time.monotonic() > deadline:
            print(f"WARNING: the machine is {share:.0%} busy with other work; the figures are no use.")
            return share
    print(f"The machine was {share:.0%} busy before the first round.")
    return share


def busy_share(seconds: float = 1.0) -> float:
    """Of the processors, over the next seconds (Linux; elsewhere 0)."""
    before = _processor_ticks()
    time.sleep(seconds)
    idle, every = (later - earlier for later, earlier in zip(_processor_ticks(), before, strict=True))
    return 1 - idle / every if every else 0.0


def _processor_ticks() -> tuple[int, int]:
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except FileNotFoundError:
        return 0, 0
    return ticks[3] + ticks[4], sum(ticks)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    if "model name" not in fields:
        return platform.machine()
    return f"{fields['model name']} (family {fields.get('cpu family')}, model {fields.get('model')})"
