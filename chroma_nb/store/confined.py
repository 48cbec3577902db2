"""SQL for others than the owner of the machine: it sees the collections, and no files, settings or other tables.

DuckDB can be ended between two blocks of a result only, counts no single large value, and is shut
off from files only as a whole. So what a statement names is copied to a process of its own, which
has limits of time and memory and can be killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from chroma_nb.errors import SqlError
from chroma_nb.store.protocol import Store
from chroma_nb.store.schema import quote
from chroma_nb.store.sql_views import ABOUT_TABLES, check_text

_CHILD = Path(__file__).with_name("confined_child.py")
_MOST_TEXT = 64 * 1024
# Beside the collections: tables of Chroma 0.3.
_OLD_TABLES = ("collections", "embeddings")


def confined_sql(
    store: Store,
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    seconds: float = 60.0,
    most_bytes: int = 256 * 1024 * 1024,
) -> pa.Table:
    """Run one reading statement with each collection as a table of its name, and nothing else.

    Each statement has a process, which on Linux may take 2 GiB beyond the tables that it names.

    Args:
        store: whose collections.
        statement: as for `Store.sql`, of 64 KiB at most.
        parameters: for ``?`` in order, or for ``$name``; what JSON can hold.
        seconds: after which it is ended.
        most_bytes: that the result may have.

    >>> from chroma_nb.store.local import LocalStore
    >>> confined_sql(LocalStore(), "SELECT 1 + ? AS n", [2]).to_pylist()
    [{'n': 3}]

    Raises:
        SqlError: it is not one reading statement, DuckDB refuses it, or it takes or gives too much.
    """
    check_text(statement)
    if len(statement.encode()) > _MOST_TEXT:
        raise SqlError(f"A statement may have {_MOST_TEXT:,} bytes here. Send values as parameters.")
    # A view has the column of vectors when that is named.
    note = "-- with embedding" if "embedding" in statement.casefold() else ""
    tables = {name: store.sql(f"SELECT * FROM {quote(name)} {note}") for name in _named(store, statement)}
    asked = {
        "statement": statement,
        "parameters": dict(parameters) if isinstance(parameters, Mapping) else list(parameters),
        "seconds": seconds,
        "most_bytes": most_bytes,
        "tables": list(tables),
    }
    said, _, table = _answer(asked, tables, seconds).partition(b"\n")
    result = json.loads(said or b'{"memory": true}')
    if "failed" in result:
        listed = ", ".join(map(quote, [info.name for info in store.list_collections()][:10])) or "none yet"
        raise SqlError(f"{result['failed']}\nTables are the collections: {listed}.")
    if result:
        raise SqlError(
            result.get("refused", "The statement broke down: it may take more memory than it has on a server.")
        )
    return pa.ipc.open_stream(table).read_all()


def _answer(asked: Mapping[str, Any], tables: Mapping[str, pa.Table], seconds: float) -> bytes:
    """What the other process says; nothing if it broke down."""
    late = threading.Event()
    child = subprocess.Popen(  # noqa: S603 - this library's own script
        [sys.executable, "-P", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},  # others reserve a lot, which counts
        start_new_session=True,  # Ctrl-C is for the server
    )

    def end() -> None:
        late.set()
        child.kill()

    watchdog = threading.Timer(seconds, end)
    with child:
        watchdog.start()
        try:
            with contextlib.suppress(OSError):  # it ended before it read all
                _send(cast("IO[bytes]", child.stdin), asked, tables)
            answer = cast("IO[bytes]", child.stdout).read()
        finally:
            watchdog.cancel()
            child.kill()
    if late.is_set():
        raise SqlError(f"The statement took longer than {seconds:g} seconds.")
    return answer


def _send(sink: IO[bytes], asked: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> None:
    with sink:
        sink.write(json.dumps(asked).encode() + b"\n")
        for table in tables.values():
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)


def _named(store: Store, statement: str) -> list[str]:
    """The tables that a statement may mean: those whose names occur in it."""
    text = statement.casefold()
    names = [info.name for info in store.list_collections()]
    taken = {name.casefold() for name in names}
    every = any(word in text for word in ABOUT_TABLES)
    meant = [name for name in names if every or name.casefold() in text]
    return meant + [name for name in _OLD_TABLES if name in text and name not in taken]
