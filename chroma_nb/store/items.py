"""The tables of items: every statement that reads or writes the rows of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.store.schema import items_table, sparse_table
from chroma_nb.store.sparse import SparseChange, SparseColumn
from chroma_nb.store.where_sql import SPARSE_COLUMNS, Condition, Place
from chroma_nb.types import ARROW_TYPES, IntArray, Kind

_BATCH = "chroma_nb_batch"
# Of one statement: a long one says nothing of how far it is.
_WRITTEN_ROWS = 131_072


class ItemTables:
    """The items of all collections, each collection addressed by its number."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    # writing (inside a transaction of the caller) ---------------------------------------------

    def insert(self, number: int, columns: Mapping[str, pa.Array], told: Callable[[int], None] | None = None) -> None:
        """Append items; ``columns`` holds row, slot, id, document and the key columns.

        ``told`` is called with the number of items inserted so far.
        """
        names = ", ".join(f'"{name}"' for name in columns)
        self._write(columns, f"INSERT INTO {items_table(number)} ({names}) SELECT {names} FROM {_BATCH}", told)

    def update(self, number: int, columns: Mapping[str, pa.Array], told: Callable[[int], None] | None = None) -> None:
        """Change columns of the items named by the column ``row``.

        ``told`` is called with the number of items changed so far.
        """
        names = [name for name in columns if name != "row"]
        if not names:
            return
        changes = ", ".join(f'"{name}" = batch."{name}"' for name in names)
        self._write(
            columns,
            f"UPDATE {items_table(number)} AS items SET {changes} FROM {_BATCH} AS batch "
            'WHERE items."row" = batch."row"',
            told,
        )

    def _write(self, columns: Mapping[str, pa.Array], statement: str, told: Callable[[int], None] | None) -> None:
        """Run a statement on parts of the columns, one after the other."""
        count = len(columns["row"])
        for start in range(0, count, _WRITTEN_ROWS):
            with self._batch({name: column.slice(start, _WRITTEN_ROWS) for name, column in columns.items()}):
                self._connection.execute(statement)
            if told is not None:
                told(min(start + _WRITTEN_ROWS, count))

    def delete(self, number: int, rows: IntArray) -> None:
        """Remove items and their sparse metadata."""
        with self._batch({"row": pa.array(rows)}):
            for table in (items_table(number), sparse_table(number)):
                self._connection.execute(f'DELETE FROM {table} WHERE "row" IN (SELECT "row" FROM {_BATCH})')

    def clear_sparse(self, number: int, cleared: Mapping[int, IntArray]) -> None:
        """Remove sparse values: for each (key, kind) pair number, those of some rows."""
        keys = np.repeat(np.fromiter(cleared, dtype=np.int64), [len(rows) for rows in cleared.values()])
        with self._batch({"key": pa.array(keys), "row": pa.array(np.concatenate([*cleared.values()]))}):
            self._connection.execute(
                f'DELETE FROM {sparse_table(number)} WHERE (key, "row") IN (SELECT (key, "row") FROM {_BATCH})'
            )

    def insert_sparse(self, number: int, changes: Sequence[SparseChange]) -> None:
        """Add sparse values, one statement for each kind."""
        for kind, column in SPARSE_COLUMNS.items():
            of_kind = [change for change in changes if change.kind is kind]
            if not of_kind:
                continue
            keys = np.repeat([change.number for change in of_kind], [len(change.rows) for change in of_kind])
            rows = np.concatenate([change.rows for change in of_kind])
            values = pa.concat_arrays([change.values for change in of_kind])
            with self._batch({"key": pa.array(keys), "row": pa.array(rows), "value": values}):
                self._connection.execute(
                    f'INSERT INTO {sparse_table(number)} ("row", key, {column}) SELECT "row", key, value FROM {_BATCH}'
                )

    @contextmanager
    def _batch(self, columns: Mapping[str, pa.Array]) -> Iterator[None]:
        # Left registered when a statement fails: an aborted transaction refuses to unregister, and
        # the next batch takes the place of this one.
        self._connection.register(_BATCH, pa.table(dict(columns)))
        yield
        self._connection.unregister(_BATCH)

    # reading ----------------------------------------------------------------------------------

    def count(self, number: int) -> int:
        """How many items there are."""
        rows = self._connection.execute(f"SELECT count(*) FROM {items_table(number)}").fetchall()
        return int(rows[0][0])

    def load(self, number: int, columns: Sequence[str], start: int, stop: int) -> pa.Table:
        """The items with rows from ``start`` to below ``stop``, in order, with ``row``, ``slot`` and these columns."""
        names = ", ".join(f'"{name}"' for name in ("row", "slot", *columns))
        return self._connection.sql(
            f'SELECT {names} FROM {items_table(number)} WHERE {_between(start, stop)} ORDER BY "row"'
        ).to_arrow_table()

    def load_sparse(
        self, number: int, places: Mapping[str, Mapping[Kind, Place]], start: int, stop: int
    ) -> dict[int, SparseColumn]:
        """The sparse values of these rows, by the number of the (key, kind) pair."""
        wanted = {
            place.number: kind for kinds in places.values() for kind, place in kinds.items() if place.column is None
        }
        if not wanted:
            return {}
        statement = f'SELECT * FROM {sparse_table(number)} WHERE {_between(start, stop)} ORDER BY key, "row"'
        table = self._connection.sql(statement).to_arrow_table().combine_chunks()
        keys, rows = table["key"].to_numpy(), table["row"].to_numpy().astype(np.int64)
        found = {}
        for key, kind in wanted.items():
            start, stop = np.searchsorted(keys, [key, key + 1])
            values = table[SPARSE_COLUMNS[kind]].slice(start, stop - start).cast(ARROW_TYPES[kind])
            joined = pa.concat_arrays([pa.array([], ARROW_TYPES[kind]), *values.chunks])
            found[key] = SparseColumn(rows[start:stop], joined)
        return found

    def matching(self, number: int, condition: Condition, patterns: Set[str]) -> IntArray:
        """Row numbers of the items that fulfil a condition, in which these ``patterns`` occur.

        Raises:
            InvalidArgumentError: a pattern in it is not a regular expression.
        """
        sql, params = condition
        try:
            for pattern in sorted(patterns):  # said also of those that no item is compared with
                self._connection.execute("SELECT regexp_matches('', ?::VARCHAR)", [pattern]).fetchall()
            found = self._connection.execute(
                f'SELECT "row" FROM {items_table(number)} WHERE {sql}', params
            ).fetchnumpy()
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
            raise InvalidArgumentError(f"The filter cannot be evaluated: {str(error).splitlines()[0]}") from error
        return np.asarray(found["row"], dtype=np.int64)


def _between(start: int, stop: int) -> str:
    return f'"row" >= {start:d} AND "row" < {stop:d}'
