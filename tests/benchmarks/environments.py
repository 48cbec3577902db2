"""An environment of its own for each peer that is no part of this project: made on request, kept for the next time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from chroma_nb.embedding.weights import cache_dir

_STAMP = "packages.txt"


def default_folder() -> Path:
    """In the platform's place for caches, beside the models."""
    return cache_dir().parents[1] / "benchmarks"


def python_with(packages: Sequence[str], folder: Path) -> Path:
    """The Python of an environment with exactly these packages asked for, made if it is not there.

    Made with uv, or with venv and pip where there is no uv. An environment whose making was interrupted has no stamp
    and is made again.

    Args:
        packages: requirements, the first one naming the environment; none: the Python that runs this.
        folder: where environments are kept.

    Raises:
        SystemExit: with what the installer said, if it failed.
    """
    if not packages:
        return Path(sys.executable)
    version = ".".join(map(str, sys.version_info[:2]))
    place = folder / f"{packages[0].replace('==', '-')}-py{version}"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = place / _STAMP
    wanted = "\n".join(packages)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Making an environment with {', '.join(packages)} ...", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    for command in _commands(shutil.which("uv"), place, python, packages):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"`{' '.join(command)}` failed:\n{done.stderr or done.stdout}")
    stamp.write_text(wanted)
    return python


def _commands(uv: str | None, place: Path, python: Path, packages: Sequence[str]) -> list[list[str]]:
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *packages],
        ]
    print("There is no uv; pip does it, more slowly.")
    return [
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
    ]
