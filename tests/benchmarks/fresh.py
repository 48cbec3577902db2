"""Steps in fresh processes, which share nothing but files: what a step prints last is its numbers, as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

Numbers = dict[str, float]

_ROOT = Path(__file__).parents[2]
# They would bring other libraries into an environment, or have modules compiled again each time.
_HIDDEN = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def numbers(
    *arguments: str, python: Path | None = None, extra: Mapping[str, str] | None = None, code: int = 0
) -> Numbers:
    """The numbers of a step; arguments as of `output`."""
    found: Numbers = json.loads(output(*arguments, python=python, extra=extra, code=code).splitlines()[-1])
    return found


def output(*arguments: str, python: Path | None = None, extra: Mapping[str, str] | None = None, code: int = 0) -> str:
    """What a process prints. It works in the root of the project: paths among the arguments are absolute.

    Args:
        arguments: of Python.
        python: of an environment; None: the one that runs this.
        extra: additions to the environment's variables.
        code: with which it ends.

    Raises:
        SystemExit: with all that it said, if it ended otherwise, or said nothing.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _HIDDEN} | dict(extra or {})
    command = [str(python or sys.executable), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=environment)
    if done.returncode != code or not done.stdout.strip():
        sys.exit(f"`{' '.join(arguments)}` failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout
