"""``chroma-nb export``, and ``chroma-nb import`` of files: options, and what is said in the end."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from chroma_nb import rules
from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd

EXPORT = """\
Write a store's data for other tools: one collection as a file that anything reads (Parquet, Arrow / Feather, CSV,
JSON lines, by its suffix), or collections as a directory of Chroma 0.3. The store is opened for reading only.
What is written appears under its name once it is complete.
"""
EXPORT_EXAMPLES = """\
examples:
  chroma-nb export ./db --collection docs --to docs.parquet
  chroma-nb export ./db --collection docs --to docs.csv.gz
  chroma-nb export ./db --to ./chroma_db                       every collection, for Chroma 0.3
  chroma-nb export ./db --to ./chroma_db --collection docs --collection images

Back again: chroma-nb import docs.parquet --into ./db --collection docs
"""


def add_export(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``export``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="the directory given to chroma_nb.Client")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE|DIR", help="the file, or the new directory")
    parser.add_argument(
        "--collection", action="append", metavar="NAME", help="which one; for a directory several, or all"
    )
    parser.add_argument("--no-embeddings", action="store_true", help="a file without the vectors")


def add_columns(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``import`` that are for files."""
    columns = parser.add_argument_group("files")
    columns.add_argument("--id", metavar="COLUMN", help="the column of ids (default: id)")
    columns.add_argument("--document", metavar="COLUMN", help="of texts (default: document)")
    columns.add_argument("--embedding", metavar="COLUMN|FILE.npy", help="of vectors (default: embedding)")
    columns.add_argument(
        "--metadata", action="append", metavar="COLUMN", help="to keep; may be repeated (default: all)"
    )


def as_options(message: str) -> str:
    """A message with the arguments of methods as the options of a command.

    >>> as_options("Say on_conflict='skip', 'upsert' or 'replace'.")
    'Say --on-conflict skip, upsert or replace.'
    """

    def option(found: re.Match[str]) -> str:
        name, values = found[1].replace("_", "-"), found[2].replace("'", "")
        return f"--{name} {values}"

    return re.sub(r"\b(on_conflict|duplicates)=('\w+'(?:(?:, | or )'\w+')*)", option, message)


def check_directory(options: argparse.Namespace) -> None:
    """An error if there is nothing that can be imported, or none of the collections that are asked for."""
    from chroma_nb.migrate.planning import asked
    from chroma_nb.migrate.source import open_source

    with open_source(options.path) as source:
        if options.collection is not None:
            asked(source.collections(), options.collection)


def is_file(path: Path) -> bool:
    """Whether that means a file, or several by a pattern, and not a directory."""
    return path.is_file() or (not path.exists() and (path.suffix != "" or any(sign in str(path) for sign in "*?[")))


def import_file(options: argparse.Namespace) -> pd.DataFrame:
    """Import a file as the options say; the report."""
    from chroma_nb.client import Client
    from chroma_nb.migrate.files_reading import open_table, paths_of

    if options.collection is None or len(options.collection) != 1:
        raise InvalidArgumentError("A file becomes one collection: name it with --collection NAME.")
    rules.check_name(options.collection[0])
    for path in paths_of(options.path):  # before a store is made that would stay empty
        open_table(path).close()
    with Client(options.into) as client:
        return client.import_file(
            options.path,
            options.collection[0],
            id=options.id,
            document=options.document,
            embedding=options.embedding,
            metadata=options.metadata,
            on_conflict=options.on_conflict,
            duplicates=options.duplicates,
        )


def export(options: argparse.Namespace) -> list[str]:
    """Export as the options say; what is told of it, in lines."""
    from chroma_nb.client import Client

    with Client(options.path, read_only=True) as client:
        if options.to.suffix == "" or options.to.is_dir():
            report = client.export_chroma(options.to, options.collection)
            notes = [f"{name}: {said}" for name, said in report["notes"].dropna().items()]
            return [report[["items", "seconds"]].round(2).to_string(), *notes]
        names = options.collection or client.list_collections().index.tolist()
        if len(names) != 1:
            raise InvalidArgumentError("A file holds one collection: name it with --collection NAME.")
        collection = client.get_collection(names[0])
        collection.export(options.to, embeddings=not options.no_embeddings)
        size = options.to.stat().st_size
        return [f"{options.to}: {collection.count():,} items of {names[0]!r}, {size:,} bytes"]
