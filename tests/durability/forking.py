"""A program that forks processes on request: each starts in milliseconds, with everything imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Forking:
    """The program.

    Args:
        module: what to run; it reads one JSON object a line, and answers with one line.
        errors: where its standard error goes.
    """

    def __init__(self, module: str, errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )

    def start(self, **task: object) -> int:
        """Fork a process; its id."""
        assert self._process.stdin is not None
        print(json.dumps(task), file=self._process.stdin, flush=True)
        return int(self.answer())

    def answer(self) -> str:
        """The next line that the program says; AssertionError with its errors if it says nothing more."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        assert answer, self.errors()
        return answer

    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
