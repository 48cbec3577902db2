"""Play Binder: run `postBuild` and `start` on a copy of the tree, and measure how soon a kernel shows the stored map.

    python tests/packaging/binder_start.py [--python python3.12] [--folder DIR]

Makes an environment of its own with the versions that Binder brings along, and a home of its own, which holds the copy
of the tree, as in Binder. Takes some minutes and downloads what pip needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BROUGHT_ALONG = ("jupyterlab==4.4.9", "notebook==7.4.7", "ipywidgets==8.1.7")
LIMIT = 10.0
"""Seconds from the start of a kernel to the stored map."""
# Runs in Binder's environment: the cells of 02_explore up to the explorer, in a kernel beside the notebook.
_FIRST_CELLS = """
import sys, time
import nbformat
from jupyter_client.manager import start_new_kernel

cells = [cell.source for cell in nbformat.read("02_explore.ipynb", 4).cells if cell.cell_type == "code"]
(last,) = [number for number, cell in enumerate(cells) if "docs.explore(" in cell]
began = time.perf_counter()
manager, client = start_new_kernel(startup_timeout=120)
said = []
for source in [*cells[: last + 1], "print(explorer.map.state, len(explorer.map.xy))"]:
    shown = client.execute_interactive(source, output_hook=said.append, timeout=300)
    assert shown["content"]["status"] == "ok", shown["content"]
seconds = time.perf_counter() - began
printed = "".join(one["content"].get("text", "") for one in said if one["msg_type"] == "stream")
pictures = sum("image/png" in one["content"].get("data", {}) for one in said)
client.stop_channels()
manager.shutdown_kernel()
print(seconds, pictures, printed.split()[-2:])
"""
_REFIT = """
import time, chroma_nb
docs = chroma_nb.Client("./explore")["wordnet"]
began = time.perf_counter()
docs.project(refresh=True)
print(time.perf_counter() - began)
"""


class Binder:
    """A home with the tree in it, and an environment whose programs come first.

    Args:
        folder: for both; empty.
        python: that makes the environment.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self.home = folder / "home"
        self._run_in(folder, os.environ, python, "-m", "venv", "env")
        copy_tree(self.home)
        passed = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP", "LANG"))
        }
        path = os.pathsep.join([str(folder / "env" / "bin"), os.defpath])
        self._environment = passed | {"HOME": str(self.home), "PATH": path}

    def run(self, *command: str, folder: str = ".") -> str:
        """Run a command; what it printed, the last line."""
        return self._run_in(self.home / folder, self._environment, *command)

    def start(self, *command: str) -> str:
        """Run a command in notebooks/ as Binder does: through `start`."""
        return self.run(str(self.home / "binder" / "start"), *command, folder="notebooks")

    def _run_in(self, folder: Path, environment: object, *command: str) -> str:
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # type: ignore[call-overload]
        return str(ended.stdout).strip().rpartition("\n")[2]


def copy_tree(target: Path) -> None:
    """What is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def compiled(home: Path) -> set[str]:
    """The files of numba's cache."""
    return {str(path) for path in (home / ".cache" / "chroma_nb" / "numba").rglob("*.nb?")}


def main() -> int:
    """Build, start, measure; 1 if the map is late or not the stored one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3.12", help="default: %(default)s, as in runtime.txt")
    parser.add_argument("--folder", type=Path, help="keep everything there; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        return measure(Binder(folder.resolve(), options.python))


def measure(binder: Binder) -> int:
    """Print the times."""
    binder.run("pip", "install", "--quiet", *BROUGHT_ALONG)
    began = time.perf_counter()
    binder.run("./binder/postBuild")
    print(f"postBuild: {time.perf_counter() - began:.0f} s")
    before = compiled(binder.home)
    good = bool(before)
    print(f"numba's cache: {len(before)} files")
    for attempt in ("first", "second"):
        seconds, pictures, *state = binder.start("python", "-c", _FIRST_CELLS).split(" ", 2)
        print(f"{attempt} kernel: the map after {float(seconds):.1f} s; {pictures} picture; {' '.join(state)}")
        good = good and float(seconds) < LIMIT and pictures == "1" and state == ["['ready', '4000']"]
    refit = float(binder.start("python", "-c", _REFIT))
    print(f"refit: {refit:.1f} s, {len(compiled(binder.home) - before)} files compiled anew")
    good = good and compiled(binder.home) == before
    print("good" if good else "NOT good")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
