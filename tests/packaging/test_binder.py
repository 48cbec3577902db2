"""The Binder folder: what can be checked without building the image. `binder_start.py` measures the rest."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chroma_nb.demo import NOTEBOOKS

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
POST_BUILD = (BINDER / "postBuild").read_text(encoding="utf-8")


def test_names_are_those_that_binder_knows() -> None:
    """And one that only the scripts know."""
    assert sorted(path.name for path in BINDER.iterdir()) == ["numba.sh", "postBuild", "runtime.txt", "start"]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_python_is_one_that_is_supported(project: dict[str, Any]) -> None:
    """Without a runtime Binder would take one that is too old."""
    found = re.fullmatch(r"python-(3\.\d+)\s*", (BINDER / "runtime.txt").read_text(encoding="utf-8"))
    assert found is not None
    assert f"Programming Language :: Python :: {found[1]}" in project["classifiers"]


def test_extras_exist(project: dict[str, Any]) -> None:
    found = re.search(r'pip install .*"\.\[([\w,]+)\]"', POST_BUILD)
    assert found is not None
    assert set(found[1].split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("name", ["postBuild", "start"])
@pytest.mark.skipif(sys.platform == "win32", reason="Binder's scripts are for a POSIX shell")
def test_scripts(name: str) -> None:
    assert os.access(BINDER / name, os.X_OK)
    checked = subprocess.run(["/bin/sh", "-n", str(BINDER / name)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="Binder's scripts are for a POSIX shell")
def test_start_hands_over(tmp_path: Path) -> None:
    """To the command it is given, with its arguments and exit code, from any directory; numba's settings are set."""
    code = "import os, sys; print(*map(os.environ.get, sys.argv[1:3]), sys.argv[3]); sys.exit(7)"
    command = [str(BINDER / "start"), sys.executable, "-c", code, "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "two words"]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"HOME": "/nobody"}, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (7, "")
    assert ended.stdout == "/nobody/.cache/chroma_nb/numba generic two words\n"


def test_the_store_is_the_one_that_the_notebooks_open() -> None:
    found = re.search(r"<<'PYTHON'\n(.*?)^PYTHON$", POST_BUILD, re.DOTALL | re.MULTILINE)
    assert found is not None
    ast.parse(found[1])
    assert 'Client("./explore")' in found[1]
    assert 'Client("./explore")' in (ROOT / "notebooks" / NOTEBOOKS[1]).read_text(encoding="utf-8").replace("\\", "")
