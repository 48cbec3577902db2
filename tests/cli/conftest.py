from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import chroma_nb

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For child processes: the library under test, no downloads, no settings of whoever runs this."""
    root = str(Path(chroma_nb.__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    home = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / ".ipython")}
    return os.environ | home | {"PYTHONPATH": path, "CHROMA_NB_OFFLINE": "1", "PYTHONUTF8": "1"}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Command:
    """Run ``chroma-nb`` in a process of its own, in an empty directory."""
    folder = tmp_path / "here"
    folder.mkdir()

    def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chroma_nb", *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )

    return command
