"""The command line: ``chroma-nb demo``, ``chroma-nb info``.

Exit codes: 0 done, 1 something was wrong with the data, the machine or the installation (one line on
standard error says what), 2 the command was written wrongly, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from chroma_nb import __version__
from chroma_nb.errors import ChromaNbError, InvalidArgumentError, NotFoundError

INTERRUPTED = 130

_DESCRIPTION = """\
chroma_nb: an embedded vector store for notebooks. Chroma's API, DataFrames out.
"""
_EXAMPLES = """\
examples:
  chroma-nb demo                  4,000 real texts in a store, JupyterLab on the quickstart
  chroma-nb info ./db             what is in the store in ./db
  chroma-nb demo --help           all about one command

In a notebook: import chroma_nb; client = chroma_nb.Client("./db")
"""
_DEMO = """\
See it work: put 4,000 entries of WordNet, with their embeddings, into a store, copy the notebooks beside
it and open the quickstart in JupyterLab. Nothing is downloaded. What is there from an earlier run is kept:
the store, and the notebooks with your changes.
"""
_DEMO_EXAMPLES = """\
examples:
  chroma-nb demo                              in ./chroma_nb_demo, in the browser
  chroma-nb demo --path ~/tour                somewhere else
  chroma-nb demo --no-browser --port 8899     on a remote machine: prints the address to open
  chroma-nb demo --notebook 02_explore        begin with another notebook: 02_explore, 03_map, 04_your_data
  chroma-nb demo --execute                    no browser at all: runs the notebook, prints where the result is
  chroma-nb demo --execute --all              runs all notebooks

It needs JupyterLab and the default embedding model: pip install "chroma-nb[demo]"
Afterwards: chroma-nb info ./chroma_nb_demo/db
"""
_INFO = """\
Say what is in a store: location, versions and size on disk, and for each collection the number of items,
dimension, space, embedding function, metadata keys with their types, and the state of its index. The store
is opened for reading only and not changed.
"""
_INFO_EXAMPLES = """\
examples:
  chroma-nb info ./db
  chroma-nb info ./db --json
  chroma-nb info ./db --json | jq -r '.collections[] | "\\(.name) \\(.count)"'

A store that a notebook has open can be read when that client is closed: client.close()
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code, or raises SystemExit for --help and usage errors."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ChromaNbError, OSError) as error:
        return _complain(str(error))
    return code


def _complain(message: str) -> int:
    print(f"chroma-nb: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chroma-nb",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chroma-nb {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    demo = _command(commands, "demo", "a store of real texts, and JupyterLab on the notebooks", _DEMO, _DEMO_EXAMPLES)
    demo.add_argument(
        "--path",
        type=Path,
        default=Path("chroma_nb_demo"),
        metavar="DIR",
        help="where to put it all (default: ./%(default)s)",
    )
    demo.add_argument("--execute", action="store_true", help="run the notebook without a browser and stop")
    which = demo.add_mutually_exclusive_group()
    which.add_argument("--notebook", metavar="NAME", help="the notebook to open or run (default: 01_quickstart)")
    which.add_argument("--all", action="store_true", help="with --execute: run all notebooks")
    demo.add_argument("--no-browser", action="store_true", help="start JupyterLab, but open no window")
    demo.add_argument("--port", type=_port, metavar="N", help="the port of JupyterLab (default: 8888 or the next free)")
    demo.set_defaults(run=_demo, usage_error=demo.error)

    info = _command(commands, "info", "what is in a store", _INFO, _INFO_EXAMPLES)
    info.add_argument("path", type=Path, metavar="PATH", help="the directory given to chroma_nb.Client")
    info.add_argument("--json", action="store_true", help="for programs: one JSON object")
    info.set_defaults(run=_info)
    return parser


def _command(commands: Any, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {text!r}")
    return int(text)


# demo -----------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    if options.execute and (options.no_browser or options.port is not None):
        options.usage_error("--no-browser and --port are for JupyterLab; --execute does not start it")
    if options.all and not options.execute:
        options.usage_error("--all is for --execute; JupyterLab opens one notebook, and shows the others beside it")
    from chroma_nb import demo

    try:
        notebook = demo.notebook_named(options.notebook or demo.NOTEBOOK)
    except InvalidArgumentError as error:
        options.usage_error(str(error))
    demo.need_packages(execute=options.execute)
    made = demo.prepare(options.path, notebook)
    state = "made" if made.new else "found"
    print(f"Store:    {made.store} ({state}: collection {demo.COLLECTION!r}, {made.items:,} texts)")
    note = " (yours, changed; delete it to get the original back)" if made.own_notebook else ""
    print(f"Notebook: {made.notebook}{note}")
    print(f"Beside:   {', '.join(path.stem for path in made.others)}", flush=True)
    if options.execute:
        return max(_execute(path) for path in (made.notebook, *(made.others if options.all else ())))
    print("Starting JupyterLab. Ctrl-C here ends it.", flush=True)
    return 0 if demo.browse(made.notebook, port=options.port, browser=not options.no_browser) == 0 else 1


def _execute(notebook: Path) -> int:
    from chroma_nb import demo

    print(f"Running {notebook.name} ...", flush=True)
    done = demo.execute(notebook)
    if done.failure is not None:
        return _complain(f"{done.failure} - see {done.result}")
    print(f"Result:   {done.result} ({done.cells} code cells ran in {done.seconds:.0f} s)")
    return 0


# info -----------------------------------------------------------------------------------------


def _info(options: argparse.Namespace) -> int:
    facts = store_facts(options.path)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(_lines(facts)))
    return 0


def store_facts(path: Path) -> dict[str, Any]:
    """Everything that ``chroma-nb info`` says, as plain JSON values.

    Raises:
        NotFoundError: there is no store at the path.
        StoreError: there is one, but it cannot be read; or what is there is something else.
    """
    from chroma_nb.store.directory import DATABASE
    from chroma_nb.store.local import LocalStore
    from chroma_nb.store.schema import VERSION

    if not path.exists():
        raise NotFoundError(f"{path} does not exist.")
    if path.is_dir() and not (path / DATABASE).exists():
        inside = sorted(child.name for child in path.iterdir() if (child / DATABASE).is_file())
        if inside:
            raise NotFoundError(f"{path} holds no store itself, but {path / inside[0]} does.")
    store = LocalStore(path, read_only=True)
    try:
        collections = [_collection_facts(store, info, path) for info in store.list_collections()]
    finally:
        store.close()
    return {
        "location": str(path.resolve()),
        "size_bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        "versions": {
            "chroma_nb": __version__,
            "tables": VERSION,
            "duckdb": metadata.version("duckdb"),
            "hnswlib": metadata.version("hnswlib"),
        },
        "collections": collections,
    }


def _collection_facts(store: Any, info: Any, path: Path) -> dict[str, Any]:
    stats = store.stats(info.id)
    return {
        "name": info.name,
        "id": str(info.id),
        "count": stats.count,
        "dimension": info.dimension,
        "space": info.settings.space.value,
        "metadata": info.metadata,
        "metadata_keys": {key: [kind.value for kind in kinds] for key, kinds in stats.keys.items()},
        "embedding_function": None if info.embedding_function is None else json.loads(info.embedding_function),
        "index": _index_state(path / "graphs", info, stats.count),
    }


def _index_state(graphs: Path, info: Any, count: int) -> dict[str, Any]:
    from chroma_nb.store.search import wants_graph

    size = sum(file.stat().st_size for file in graphs.glob(f"{info.id}.*.graph"))
    state = "graph" if size else "pending" if wants_graph(count, info.dimension or 0) else "exact"
    return {"state": state, "size_bytes": size}


_INDEX_STATES = {
    "exact": "exact search (small enough to need no graph)",
    "pending": "no graph saved yet: it is built in the background when the collection is next searched",
    "graph": "graph of {size}",
}


def _lines(facts: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    number = len(facts["collections"])
    lines = [
        facts["location"],
        f"  {number} collection{'' if number == 1 else 's'}, {_size(facts['size_bytes'])} on disk",
        f"  {versions}",
    ]
    for found in facts["collections"]:
        function = found["embedding_function"]
        index = found["index"]
        described = {
            "items": f"{found['count']:,}",
            "dimension": found["dimension"] or "not known before the first item",
            "space": found["space"],
            "embedding": function["name"] if function else "none recorded",
            "index": _INDEX_STATES[index["state"]].format(size=_size(index["size_bytes"])),
            "metadata": ", ".join(f"{_safe(k)} = {_safe(v)}" for k, v in (found["metadata"] or {}).items()) or "none",
            "keys": ", ".join(f"{_safe(k)} ({'/'.join(kinds)})" for k, kinds in found["metadata_keys"].items())
            or "none",
        }
        lines += ["", found["name"], *(f"  {name:<10} {value}" for name, value in described.items())]
    return lines


def _size(number: float) -> str:
    """A number of bytes for people.

    >>> _size(512), _size(7_729_152)
    ('512 bytes', '7.7 MB')
    """
    if number < 1000:
        return f"{number:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def _safe(value: object) -> str:
    """A value for the terminal: control characters in keys and texts are shown, not obeyed."""
    text = str(value)
    return text if text.isprintable() else ascii(text)
