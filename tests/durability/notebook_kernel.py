"""A kernel as a notebook has one: cells, their output, and the interrupt button."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

_ROOT = Path(__file__).parents[2]
_LONGEST = 60.0  # seconds that a cell may take

# Bars that stop at a share of their way, once: so a cell can be interrupted at a moment that is known.
_HALTING = """
import time, warnings, tqdm.auto
class Halting(tqdm.auto.tqdm):
    name, share = "", None
    def update(self, n=1):
        super().update(n)
        share = Halting.share
        if share is not None and Halting.name in self.desc and share * self.total < self.n < self.total:
            Halting.share = None
            print("HALTED", self.desc, flush=True)
            time.sleep(60)
tqdm.auto.tqdm = Halting
"""


class CellError(AssertionError):
    """A cell failed."""


class NotebookKernel:
    """One kernel; each method runs a cell."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        self._manager = KernelManager()
        self._manager.start_kernel(env=environment, cwd=str(_ROOT), stderr=subprocess.DEVNULL)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self.run(_HALTING)

    def run(self, code: str) -> str:
        """What a cell printed.

        Raises:
            CellError: its traceback.
        """
        text, error = self._outcome(self._client.execute(code))
        if error is not None:
            raise CellError("\n".join(error["traceback"]))
        return text.strip()

    def interrupted(self, code: str, bar: str, share: float = 0) -> None:
        """Press the interrupt button when a bar of the cell, with these words, is past a share of its way.

        The cell must end with KeyboardInterrupt, and soon.
        """
        cell = self._client.execute(f"Halting.name, Halting.share = {bar!r}, {share}\n{code}")
        self._wait_for_halt(cell)
        self._manager.interrupt_kernel()
        pressed = time.monotonic()
        _, error = self._outcome(cell)
        assert error is not None, "the cell went on to its end"
        assert error["ename"] == "KeyboardInterrupt", "\n".join(error["traceback"])
        assert time.monotonic() - pressed < 10

    def end(self) -> None:
        """Shut it down."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _wait_for_halt(self, cell: str) -> None:
        text = ""
        for kind, content in self._messages(cell):
            text += content["text"] if kind == "stream" else ""
            if "HALTED" in text:
                return
            assert kind != "error", "\n".join(content["traceback"])
        raise AssertionError(f"the cell showed no such bar: {text}")

    def _outcome(self, cell: str) -> tuple[str, dict[str, Any] | None]:
        text, error = "", None
        for kind, content in self._messages(cell):
            if kind == "stream" and content["name"] == "stdout":
                text += content["text"]
            elif kind == "error":
                error = content
        return text, error

    def _messages(self, cell: str) -> Any:
        """What the kernel publishes of a cell, until it is idle again."""
        while True:
            message = self._client.get_iopub_msg(timeout=_LONGEST)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return
            yield kind, content
