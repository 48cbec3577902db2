"""The process that runs one statement of SQL for others: `chroma_nb.store.confined` starts it as a script.

It imports nothing of this library, so that it starts fast, and can be killed at any time.
On standard input: a line of JSON, and a stream of Arrow for each table that the line names.
On standard output: a line of JSON, and unless that tells an error, a stream of Arrow.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

_CONFIG: dict[str, Any] = {
    "memory_limit": "1GB",
    "secret_directory": "-",  # or else it is in the home directory, and told
    "temp_directory": "",  # nothing is put on the disk
    "threads": min(4, os.cpu_count() or 1),
}
_SETTINGS = ("enable_external_access = false", "python_enable_replacements = false", "lock_configuration = true")
# Beyond the tables. DuckDB's own limit leaves out values of lists and texts, which are made at once.
_MOST_MEMORY = 2 * 1024**3


class RefusedError(Exception):
    """The statement is not run, or not to its end; the text says why."""


def objection(connection: duckdb.DuckDBPyConnection, statement: str) -> str | None:
    """Why this is not one statement that only reads; None if it is.

    >>> connection = duckdb.connect()
    >>> objection(connection, "SELECT 1"), objection(connection, "SELECT 1; SELECT 2")[:32]
    (None, 'sql() runs one statement that re')

    Raises:
        duckdb.Error: it is no SQL.
    """
    # Not `duckdb.extract_statements`: that opens a database of DuckDB's own, which ends every fork with a crash.
    statements = connection.extract_statements(statement)
    kind = statements[0].type if len(statements) == 1 else None
    # EXPLAIN ANALYZE runs what it explains, COPY TO a file included.
    harmless = kind == duckdb.StatementType.EXPLAIN and not re.search("analyze", statement, re.IGNORECASE)
    if kind == duckdb.StatementType.SELECT or harmless:
        return None
    return (
        "sql() runs one statement that reads (SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN). "
        "To write, use the methods of a collection."
    )


def _limit(seconds: float) -> None:
    if sys.platform == "win32":
        return
    import resource

    signal.alarm(int(seconds) + 2)  # for when nobody is left to end this process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = Path("/proc/self/statm")
    if size.exists():
        most = int(size.read_text().split()[0]) * resource.getpagesize() + _MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _run(asked: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> pa.Table:
    alone = duckdb.connect(config=_CONFIG)
    refused = objection(alone, asked["statement"])
    if refused is not None:
        raise RefusedError(refused)
    for name, table in tables.items():
        alone.register(name, table)
    for setting in _SETTINGS:
        alone.execute(f"SET {setting}")
    return _result(alone.sql(asked["statement"], params=asked["parameters"] or None), asked["most_bytes"])


def _result(relation: duckdb.DuckDBPyRelation | None, most_bytes: int) -> pa.Table:
    if relation is None:
        return pa.table({})
    batches: list[pa.RecordBatch] = []
    reader = relation.to_arrow_reader(10_000)
    for batch in reader:
        batches.append(batch)
        most_bytes -= batch.nbytes
        if most_bytes < 0:
            raise RefusedError("The statement gives more than a server sends at once. Ask for less: LIMIT or WHERE.")
    return pa.Table.from_batches(batches, reader.schema)


def _answered(asked: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> tuple[dict[str, Any], pa.Table | None]:
    try:
        return {}, _run(asked, tables)
    except RefusedError as error:
        return {"refused": str(error)}, None
    except MemoryError:
        return {"memory": True}, None
    except (duckdb.Error, OSError) as error:  # OSError: what Arrow makes of errors while it reads
        return {"failed": str(error).strip()}, None


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Run what the source asks for."""
    asked = json.loads(source.readline())
    tables = {name: pa.ipc.open_stream(source).read_all() for name in asked["tables"]}
    _limit(asked["seconds"])
    said, table = _answered(asked, tables)
    sink.write(json.dumps(said).encode() + b"\n")
    if table is not None:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    sink.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
