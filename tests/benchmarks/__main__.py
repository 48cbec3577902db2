"""``python -m tests.benchmarks compare --data FOLDER``: this project beside its peers and the raw libraries.

``python -m tests.benchmarks map --data FOLDER --sizes 10000 50000``: its maps beside umap-learn's.
``python -m tests.benchmarks serve --chromadb PROGRAM``: its server beside a real ``chroma run``.
``python -m tests.benchmarks scale --keep FOLDER``: growth from 10,000 to 1,000,000 items.
``python -m tests.benchmarks import --rows 1000000``: files read into a store beside DuckDB's own insert.
``python -m tests.benchmarks share``: what it costs to work through the process that has a directory open.

Steps run in fresh processes, interleaved over the repeats; medians are printed. Nothing else should
run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import scale
from tests.benchmarks.map import MAP_STEPS, compare_maps


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compare(commands.add_parser("compare", help="beside the peers: time, memory, recall, whether goals are met"))
    _add_map(commands.add_parser("map", help="maps beside umap-learn's"))
    _add_serve(commands.add_parser("serve", help="the server beside a real one of Chroma"))
    commands.add_parser("share", help="through the process that has a directory open").set_defaults(run=_share)
    scale.add_arguments(commands.add_parser("scale", help="growth from 10,000 to 1,000,000 items"))
    _add_import(commands.add_parser("import", help="files read into a store, beside DuckDB's own insert"))
    _add_step(commands.add_parser("step"))
    args = parser.parse_args()
    args.run(args)


def _place(text: str) -> Path:
    """A path that processes find which work elsewhere."""
    return Path(text).resolve()


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_compare)
    parser.add_argument("--data", type=_place, help="folder with wordnet.parquet and its ground truth; else made up")
    parser.add_argument("--rows", type=int, default=100_000, help="items; the goals are about 100,000")
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=[],
        help="of chromadb, lancedb, umap, with commas between; hnswlib and duckdb take part in any case",
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--keep", "--work", type=_place, help="folder for corpus and stores; default: a temporary one")
    parser.add_argument("--reuse", action="store_true", help="the peers' stores, kept from an earlier run with --keep")
    parser.add_argument("--environments", type=_place, help="folder for the peers' environments; default: the cache's")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a machine at rest")
    parser.add_argument("--report", type=Path, help="write a report (Markdown), and all numbers beside it (JSON)")
    parser.add_argument("--plot", type=Path, help="write a plot (SVG)")


def _compare(args: argparse.Namespace) -> None:
    from tests.benchmarks import report
    from tests.benchmarks.compare import PEERS, compare
    from tests.benchmarks.environments import default_folder

    unknown = {*args.peers} - {*PEERS, "umap"}
    if unknown:
        sys.exit(f"No such peers: {', '.join(sorted(unknown))}. There are {', '.join([*PEERS, 'umap'])}.")
    with tempfile.TemporaryDirectory() as temporary:
        results = compare(
            args.data,
            args.keep or Path(temporary).resolve(),
            peers=args.peers,
            repeats=args.repeats,
            rows=args.rows,
            reuse=args.reuse,
            environments=args.environments or default_folder(),
            patience=args.patience,
        )
    print("\n" + report.text(results))
    for change in report.write(results, args.report, args.plot):
        print(f"VERDICT CHANGED since the last report: {change}")


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_map)
    parser.add_argument("--data", type=_place, required=True, help="folder with wordnet.parquet and its ground truth")
    parser.add_argument("--work", type=_place, help="folder for the stores; default: a temporary one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000], help="of the maps")


def _map(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        compare_maps(args.data, args.work or Path(temporary).resolve(), args.sizes, args.repeats)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_serve)
    chroma = os.environ.get("CHROMA_NB_CHROMADB")
    parser.add_argument("--chromadb", type=Path, default=chroma, required=chroma is None, help="the program `chroma`")
    parser.add_argument("--data", type=Path, help="folder with wordnet.parquet and its ground truth; else made up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the stores, to be used again")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")


def _serve(args: argparse.Namespace) -> None:
    from tests.benchmarks.serving import compare_serving

    compare_serving(args.data, Path(args.chromadb), keep=args.keep, repeats=args.repeats, seconds=args.seconds)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_import)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=_place, help="an existing folder with room for the file and the stores")


def _import(args: argparse.Namespace) -> None:
    from tests.benchmarks.importing import compare_importing

    compare_importing(args.rows, args.repeats, args.work)


def _share(_: argparse.Namespace) -> None:
    from tests.benchmarks.sharing import compare_sharing

    compare_sharing()


def _add_step(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=lambda args: print(json.dumps(MAP_STEPS[args.name](args.data, args.work))))
    parser.add_argument("name", choices=sorted(MAP_STEPS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)


if __name__ == "__main__":
    main()
