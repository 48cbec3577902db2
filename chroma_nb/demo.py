"""The demonstration: a store of real texts, and the notebooks beside it.

``DIR/db`` becomes a store with the collection ``wordnet`` (the sample that ships with the package),
``DIR/01_quickstart.ipynb`` and the others copies of the notebooks. What is there already is kept.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from chroma_nb.client import Client
from chroma_nb.data import load_sample
from chroma_nb.embedding.available import require
from chroma_nb.errors import InvalidArgumentError, MissingDependencyError, StoreError, suggest

NOTEBOOKS = (
    "01_quickstart.ipynb",
    "02_explore.ipynb",
    "03_map.ipynb",
    "04_your_data.ipynb",
    "05_page.ipynb",
    "06_servers.ipynb",
)
NOTEBOOK = NOTEBOOKS[0]
STORE = "db"
COLLECTION = "wordnet"

_FEATURE = "chroma-nb demo"
_TO_RUN = ("ipykernel", "onnxruntime", "tokenizers")
_TO_EXECUTE = ("nbclient", "nbformat", *_TO_RUN)
_TO_BROWSE = ("jupyterlab", *_TO_RUN)
_CELL_SECONDS = 600
_START_SECONDS = 180
# How long JupyterLab gets to shut its kernels down before it is stopped harder.
_PATIENCE_SECONDS = 8


@dataclass(frozen=True)
class Demo:
    """What `prepare` found or made.

    Attributes:
        store: the directory of the store.
        notebook: the copy of the notebook to begin with.
        others: the copies of the other notebooks, beside it.
        items: how many texts the collection holds.
        new: whether the collection was made just now.
        own_notebook: whether the notebook to begin with was there already, and differs from the one that ships.
    """

    store: Path
    notebook: Path
    others: tuple[Path, ...]
    items: int
    new: bool
    own_notebook: bool


@dataclass(frozen=True)
class Execution:
    """How a run of the notebook went.

    Attributes:
        result: the notebook with its outputs, up to the cell that failed if one did.
        cells: how many code cells ran.
        seconds: how long they took, with the start of the kernel.
        failure: which cell failed and how; None if none did.
    """

    result: Path
    cells: int
    seconds: float
    failure: str | None


def need_packages(*, execute: bool) -> None:
    """Check for everything that the demonstration needs beyond the library, before anything is made.

    Raises:
        MissingDependencyError: the first that is missing, with the pip line.
    """
    for package in _TO_EXECUTE if execute else _TO_BROWSE:
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError.for_feature(_FEATURE, package, "demo")


def notebook_named(name: str) -> str:
    """The file name of a notebook, from its name with or without ``.ipynb``.

    >>> notebook_named("02_explore")
    '02_explore.ipynb'

    Raises:
        InvalidArgumentError: there is no such notebook.
    """
    file = f"{name.removesuffix('.ipynb')}.ipynb"
    if file not in NOTEBOOKS:
        known = [Path(notebook).stem for notebook in NOTEBOOKS]
        raise InvalidArgumentError(f"There is no notebook {name!r}.{suggest(name, known)} Known: {', '.join(known)}.")
    return file


def prepare(directory: Path, notebook: str = NOTEBOOK) -> Demo:
    """Make the store and the copies of the notebooks, or find them.

    Args:
        directory: where; made if it is missing.
        notebook: the one to begin with, a name of `NOTEBOOKS`.

    Raises:
        StoreError: the directory or the store in it cannot be used.
    """
    if directory.exists() and not directory.is_dir():
        raise StoreError(f"{directory} is a file. The demonstration needs a directory: choose another --path.")
    sources = {name: shipped_notebook(name) for name in NOTEBOOKS}
    store = directory / STORE
    with Client(store) as client:
        collection = client.get_or_create_collection(
            COLLECTION, metadata={"hnsw:space": "cosine"}, embedding_function="all-MiniLM-L6-v2"
        )
        new = collection.count() == 0
        if new:
            collection.add(load_sample())
        items = collection.count()
    for name, source in sources.items():
        if not (directory / name).exists():
            shutil.copyfile(source, directory / name)
    first, others = directory / notebook, tuple(directory / name for name in NOTEBOOKS if name != notebook)
    return Demo(store, first, others, items, new, first.read_bytes() != sources[notebook].read_bytes())


def shipped_notebook(name: str = NOTEBOOK) -> Path:
    """A notebook: in the package if it was installed from a wheel, else in the clone it was installed from.

    Raises:
        StoreError: it is in neither place.
    """
    package = Path(str(resources.files("chroma_nb")))
    for path in (package / "data" / "notebooks" / name, package.parent / "notebooks" / name):
        if path.is_file():
            return path
    raise StoreError(f"This installation lacks {name}. Run: pip install --force-reinstall --no-deps chroma-nb")


def execute(notebook: Path) -> Execution:
    """Run a notebook without a browser, in its own directory; the result is written beside it.

    What a kernel that dies said of it goes to the standard error.

    Raises:
        InvalidArgumentError: the file is not a notebook.
    """
    # Older kernels would warn that a debugger may miss breakpoints; nobody debugs here.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    nbformat: Any = require("nbformat", _FEATURE, extra="demo")
    require("nbclient", _FEATURE, extra="demo")
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal

    try:
        content = nbformat.read(notebook, as_version=4)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{notebook} is not a notebook ({error}). Delete it to get the original back."
        ) from error
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    ran: list[Any] = []
    client = NotebookClient(
        content,
        timeout=_CELL_SECONDS,
        startup_timeout=_START_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors; not that a local kernel is unencrypted
        on_cell_start=lambda cell, cell_index: ran.append(cell) if cell.cell_type == "code" else None,
    )
    started, failure = time.perf_counter(), None
    with tempfile.TemporaryFile() as said:  # by the kernel beside its cells: as it ends, complaints of libraries
        try:
            client.execute(stderr=said)
        except CellControlSignal as error:
            failure = _failure(ran, error)
        except RuntimeError as error:  # it died, or did not start
            failure = _failure(ran, error)
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
    result = notebook.with_suffix(".executed.ipynb")
    nbformat.write(content, result)
    return Execution(result, len(ran), time.perf_counter() - started, failure)


def _failure(ran: list[Any], error: Exception) -> str:
    """Which cell failed, by its number among the code cells and its first line, and with what."""
    if not ran:
        return f"the kernel did not start: {error}"
    first = ran[-1].source.strip().partition("\n")[0]
    cell = f"code cell {len(ran)} ({first})"
    for output in ran[-1].outputs:
        if output.output_type == "error":
            return f"{cell} failed: {output.ename}: {output.evalue}"
    return f"{cell} did not finish: {error}"  # a timeout or a dead kernel leaves no output


def browse(notebook: Path, *, port: int | None, browser: bool) -> int:
    """Start JupyterLab on a notebook and wait for its end; its exit code."""
    command = [sys.executable, "-m", "jupyterlab", str(notebook.resolve()), "--log-level=ERROR", "-y"]
    if port is not None:
        command.append(f"--ServerApp.port={port}")
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # as in most containers; Lab refuses to start without
    process = subprocess.Popen(command, cwd=notebook.parent)  # noqa: S603 - our own interpreter and arguments
    # umap-learn compiles for up to a minute when it is first used on a machine: better now than at the first map.
    warming = subprocess.Popen(
        [sys.executable, "-m", "chroma_nb.projection"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return process.wait()
    finally:
        _stop(process)
        warming.terminate()
        _stop(warming)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End JupyterLab; after Ctrl-C in a terminal it is doing so by itself."""
    for harder in (process.terminate, process.kill):
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            harder()
        else:
            return
    process.wait()
