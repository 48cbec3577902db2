"""The journal of calls that came from other processes: which of them happened, whatever became of the answer.

A call is noted in the transaction that carries it out. Whoever lost the connection before the answer asks for the
call again, under the same id, and it happens once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chroma_nb.store.schema import SCHEMA

if TYPE_CHECKING:
    import duckdb

# Older calls are forgotten: nobody asks for longer than some seconds.
KEPT = 10_000


@dataclass
class Call:
    """A call that happened, or is happening.

    Attributes:
        number: in the order of the journal.
        result: of those calls that return a number.
        committed: whether it happened.
    """

    number: int
    result: int | None = None
    committed: bool = False


class CallTable:
    """The journal in the database. Like the catalog it belongs to, not thread-safe."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._known: dict[str, Call] | None = None
        self._current: tuple[str, Call] | None = None

    def find(self, call: uuid.UUID) -> Call | None:
        """That call, if it happened."""
        return self._calls().get(call.hex)

    @contextmanager
    def noting(self, call: uuid.UUID) -> Iterator[None]:
        """What is committed first in here is that call."""
        last = next(reversed(self._calls().values()), None)
        self._current = call.hex, Call(0 if last is None else last.number + 1)
        try:
            yield
        finally:
            self._current = None

    def returns(self, result: int) -> None:
        """The call in hand, if there is one, is going to return this."""
        if self._current is not None:
            self._current[1].result = result

    def commit(self) -> None:
        """Note the call in hand, inside its transaction."""
        if self._current is None or self._current[1].committed:
            return
        name, call = self._current
        self._connection.execute(f"INSERT INTO {SCHEMA}.calls VALUES (?, ?, ?)", [call.number, name, call.result])
        if call.number % KEPT == 0:
            self._connection.execute(f"DELETE FROM {SCHEMA}.calls WHERE number < ?", [call.number - KEPT])

    def committed(self) -> None:
        """The transaction is over."""
        if self._current is not None:
            name, call = self._current
            call.committed = True
            known = self._calls()
            known[name] = call
            if call.number % KEPT == 0:
                oldest = call.number - KEPT
                self._known = {name: call for name, call in known.items() if call.number >= oldest}

    def forget(self) -> None:
        """Read the journal again when it is next needed: a transaction failed."""
        self._known = None

    def _calls(self) -> dict[str, Call]:
        if self._known is None:
            rows = self._connection.execute(f"SELECT number, id, result FROM {SCHEMA}.calls ORDER BY number").fetchall()
            self._known = {name: Call(number, result, committed=True) for number, name, result in rows}
        return self._known
