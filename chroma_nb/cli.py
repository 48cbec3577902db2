"""The command line: ``chroma-nb demo``, ``serve``, ``info``, ``import``, ``export``.

Exit codes: 0 done, 1 something was wrong with the data, the machine or the installation (one line on
standard error says what), 2 the command was written wrongly, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chroma_nb import __version__, moving_commands
from chroma_nb.errors import ChromaNbError, InvalidArgumentError
from chroma_nb.rest import serve

INTERRUPTED = 130

_DESCRIPTION = """\
chroma_nb: an embedded vector store for notebooks. Chroma's API, DataFrames out.
"""
_EXAMPLES = """\
examples:
  chroma-nb demo                  4,000 real texts in a store, JupyterLab on the quickstart
  chroma-nb serve ./db            Chroma's REST API on the store in ./db
  chroma-nb info ./db             what is in the store in ./db
  chroma-nb import ./old --into ./db    what Chroma left in ./old, of any version; or a file
  chroma-nb export ./db --collection docs --to docs.parquet
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
_SERVE = """\
Serve the store in a directory with Chroma's REST API (v1): for clients of Chroma in Python and JavaScript, and
for chroma_nb.HttpClient. Notebooks may have the same directory open meanwhile. Only this machine can connect
unless --host says otherwise; then clients need a token.
"""
_SERVE_EXAMPLES = """\
examples:
  chroma-nb serve ./db                                   at http://127.0.0.1:8000
  CHROMA_NB_TOKEN=... chroma-nb serve ./db --host 0.0.0.0    for other machines
  chroma-nb serve ./db --cors-origin http://localhost:3000   for a page in the browser

In a notebook: chroma_nb.HttpClient("localhost", 8000)     It needs: pip install "chroma-nb[server]"
The API is described at /docs of the server.
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

A notebook, or a server, may have the store open meanwhile.
"""
_IMPORT = """\
Bring what other tools wrote into a store: directories of Chroma 0.3 (duckdb+parquet) and of 0.4 to 1.x
(chroma.sqlite3), and files: Parquet, Arrow / Feather, CSV, JSON lines. Chroma need not be installed. What is
imported is only read and stays as it is. What is interrupted goes on when the same command is given again; a
half collection never stands under its name.
"""
_IMPORT_EXAMPLES = """\
examples:
  chroma-nb import ./chroma_db --into ./db
  chroma-nb import ./chroma_db --into ./db --collection docs --collection images
  chroma-nb import ./chroma_db --into ./db --on-conflict upsert
  chroma-nb import items.parquet --into ./db --collection items --document text
  chroma-nb import "part-*.parquet" --into ./db --collection items

Afterwards: chroma-nb info ./db
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
    except KeyboardInterrupt as interrupt:
        for note in getattr(interrupt, "__notes__", ()):
            _complain(note)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ChromaNbError, OSError) as error:
        return _complain(moving_commands.as_options(str(error)))
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

    served = _command(commands, "serve", "a store as a server with Chroma's REST API", _SERVE, _SERVE_EXAMPLES)
    serve.add_arguments(served)
    served.set_defaults(run=serve.run)

    info = _command(commands, "info", "what is in a store", _INFO, _INFO_EXAMPLES)
    info.add_argument("path", type=Path, metavar="PATH", help="the directory given to chroma_nb.Client")
    info.add_argument("--json", action="store_true", help="for programs: one JSON object")
    info.set_defaults(run=_info)

    _add_import(commands)

    exported = _command(
        commands, "export", "a store's data, for other tools", moving_commands.EXPORT, moving_commands.EXPORT_EXAMPLES
    )
    moving_commands.add_export(exported)
    exported.set_defaults(run=_export)
    return parser


def _add_import(commands: Any) -> None:
    imported = _command(commands, "import", "what other tools wrote, into a store", _IMPORT, _IMPORT_EXAMPLES)
    imported.add_argument("path", type=Path, metavar="DIR|FILE", help="what is imported")
    imported.add_argument("--into", type=Path, required=True, metavar="PATH", help="the store, made if it is missing")
    imported.add_argument(
        "--collection", action="append", metavar="NAME", help="only this one; may be repeated; of a file: its name here"
    )
    imported.add_argument(
        "--on-conflict",
        choices=("error", "skip", "upsert", "replace"),
        default="error",
        help="what happens to a collection that the store has already (default: %(default)s)",
    )
    imported.add_argument(
        "--duplicates",
        choices=("last", "first", "error"),
        default="last",
        help="which row counts where an id stands several times (default: %(default)s)",
    )
    moving_commands.add_columns(imported)
    imported.set_defaults(run=_import)


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
    from chroma_nb import inspecting

    facts = inspecting.store_facts(options.path)
    print(json.dumps(facts, indent=2) if options.json else "\n".join(inspecting.lines(facts)))
    return 0


# import ---------------------------------------------------------------------------------------


def _import(options: argparse.Namespace) -> int:
    from chroma_nb.client import Client

    if moving_commands.is_file(options.path):
        report = moving_commands.import_file(options)
    else:
        moving_commands.check_directory(options)  # before a store is made that would stay empty
        with Client(options.into) as client:
            report = client.import_directory(
                options.path,
                options.collection,
                on_conflict=options.on_conflict,
                duplicates=options.duplicates,
            )
    print(report[["rows", "imported", "skipped", "already_there", "seconds", "verified"]].round(2).to_string())
    for name, row in report.iterrows():
        for line in filter(None, [row["why"], *row["notes"]]):
            print(f"{name}: {line}")
    return 0


# export ---------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> int:
    print(*moving_commands.export(options), sep="\n")
    return 0
