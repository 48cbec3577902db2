"""CSV and JSON, read by DuckDB: their types are those of all their rows, found before any of them is used."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from chroma_nb import arrow
from chroma_nb.errors import ChromaNbError, CorruptStoreError, InvalidArgumentError, StoreError

_MEMORY = "1GB"
_LINE = 4_000_000  # bytes of a line of CSV
_DELIMITERS = (",", ";", "\t", "|")
# Types of cells of CSV, narrowest first, and what a cell of each is. A date stays a text, and so does a number that
# begins with zeros, which is a code, or a whole one of so many digits that some would be lost.
_CSV_TYPES = (
    ("BOOLEAN", "lower({}) IN ('true', 'false')"),
    ("BIGINT", "regexp_full_match({0}, '-?(0|[1-9][0-9]*)') AND TRY_CAST({0} AS BIGINT) IS NOT NULL"),
    ("DOUBLE", "NOT regexp_matches({0}, '^-?(0[0-9]|[0-9]{{19,}}$)') AND TRY_CAST({0} AS DOUBLE) IS NOT NULL"),
)
# Types of JSON values, as DuckDB calls them -> the column of a key all of whose values are such.
_JSON_TYPES = {
    frozenset[str](): "NULL::VARCHAR",
    frozenset({"VARCHAR"}): "json_extract_string({}, '$')",
    frozenset({"BOOLEAN"}): "CAST({} AS BOOLEAN)",
    frozenset({"BIGINT"}): "CAST({} AS BIGINT)",
    frozenset({"UBIGINT"}): "CAST({} AS UBIGINT)",  # what is not negative is an unsigned one
    frozenset({"BIGINT", "UBIGINT"}): "CAST({} AS BIGINT)",
    frozenset({"DOUBLE"}): "CAST({} AS DOUBLE)",
}


class _TextTable:
    """A query of a file that DuckDB streams.

    Args:
        path: of the file.
        texts: columns that are never read as numbers.
        vectors: columns of lists of numbers; what is none is null.
    """

    def __init__(self, path: Path, *, texts: Sequence[str], vectors: Sequence[str]) -> None:
        self.path = path
        self._connection = duckdb.connect()
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements"):
            self._connection.execute(f"SET {setting} = false")
        self._connection.execute(f"SET memory_limit = '{_MEMORY}'")
        try:
            with self._reading():
                self._scan, self._columns, mixed = self._found(texts, vectors)
            found = self._query(list(self._columns), "LIMIT 0").to_arrow_table().schema
        except BaseException:
            self.close()
            raise
        named = [field.with_name(name) for field, name in zip(found, self._columns, strict=True)]
        marked = [field.with_metadata(arrow.MIXED) if field.name in mixed else field for field in named]
        self.schema: pa.Schema = pa.schema(marked)

    def _found(self, texts: Sequence[str], vectors: Sequence[str]) -> tuple[str, dict[str, str], set[str]]:
        """How the file is read, the expression of each column, and which columns hold JSON texts."""
        raise NotImplementedError

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns in order."""
        with self._reading():
            reader = self._query(columns).to_arrow_reader(rows)
            wanted = pa.schema([self.schema.field(name) for name in columns])
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=wanted)

    def _query(self, columns: Sequence[str], rest: str = "") -> duckdb.DuckDBPyRelation:
        chosen = ", ".join(f"{self._columns[name]} AS c{place}" for place, name in enumerate(columns))
        # A cursor of its own: a query that is begun later does not end this one.
        found = self._connection.cursor().sql(f"SELECT {chosen} FROM {self._scan} {rest}")
        assert found is not None  # noqa: S101 - a SELECT is a relation
        return found

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise StoreError(f"{self.path} needs more than {_MEMORY} of memory to be read: {error}") from error
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # of a stream, Arrow makes an OSError
            if isinstance(error, ChromaNbError):
                raise
            if "KeyboardInterrupt" in str(error) or "INTERRUPT Error" in str(error):
                raise KeyboardInterrupt from error
            if "Conversion Error" in str(error):  # all other casts give null
                raise InvalidArgumentError(
                    f"{self.path} has a number that does not fit in 64 bits: {_told(str(error))}"
                ) from error
            raise CorruptStoreError(f"{self.path} cannot be read: {_told(str(error))}") from error
        except RuntimeError as error:
            if type(error) is RuntimeError and "nterrupted" in str(error):  # so DuckDB 2 reports Ctrl-C
                raise KeyboardInterrupt from error
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class CsvTable(_TextTable):
    """CSV with a header; a column is of the narrowest type that all its cells have."""

    def _found(self, texts: Sequence[str], vectors: Sequence[str]) -> tuple[str, dict[str, str], set[str]]:
        # Found here: where rows differ in length, DuckDB takes another line for the header and leaves out those before.
        names, delimiter = _header(self.path)
        # By place: to DuckDB names are the same whatever their case, and one that is empty is none.
        own = {name: f"c{place}" for place, name in enumerate(names)}
        listed = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in own.values())
        dialect = (
            f"header = true, delim = {_text(delimiter)}, quote = '\"', escape = '\"', strict_mode = true, skip = 0"
        )
        # Of a quoted empty cell it is known that it is a text.
        dialect += f", allow_quoted_nulls = false, max_line_size = {_LINE}, auto_detect = false"
        scan = f"read_csv({_text(str(self.path))}, {dialect}, columns = {{{listed}}})"
        plain = [name for name in names if name not in texts and name not in vectors]
        types = dict.fromkeys(names, "VARCHAR") | dict.fromkeys((name for name in vectors if name in own), "FLOAT[]")
        types |= zip(plain, self._types(scan, [own[name] for name in plain]), strict=True)
        return scan, {name: _cast(own[name], type_) for name, type_ in types.items()}, set()

    def _types(self, scan: str, names: Sequence[str]) -> list[str]:
        if not names:
            return []
        tests = [_of(name, test.format(_name(name))) for name in names for _, test in _CSV_TYPES]
        asked = ", ".join(f"bool_and({test})" for test in tests)
        (row,) = self._rows(f"SELECT {asked} FROM {scan}")
        fits = iter(row)
        found = [[type_ for type_, _ in _CSV_TYPES if next(fits)] for _ in names]
        return [types[0] if types else "VARCHAR" for types in found]


def _header(path: Path) -> tuple[list[str], str]:
    """The names in the first line, and what separates them."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = next(csv.reader([file.readline(_LINE)]), [])
            delimiter = max(_DELIMITERS, key=lambda sign: ",".join(first).count(sign))
            file.seek(0)
            names = next(csv.reader(file, delimiter=delimiter, strict=True), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise CorruptStoreError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidArgumentError(f"{path} has several columns named {repeated[0]!r}.")
    if not names:
        raise InvalidArgumentError(f"{path} has no header: its first line is empty.")
    return names, delimiter


def _cast(name: str, type_: str) -> str:
    """What a cell says, or null. Not the bare cast, which DuckDB's reader would do itself, with an error for others."""
    return _of(name, f"TRY_CAST({_name(name)} AS {type_})")


def _of(name: str, expression: str) -> str:
    return f"CASE WHEN {_name(name)} IS NULL THEN NULL ELSE {expression} END"


class JsonTable(_TextTable):
    """One JSON object a line, or an array of objects; columns are the keys that any of them has."""

    def _found(self, texts: Sequence[str], vectors: Sequence[str]) -> tuple[str, dict[str, str], set[str]]:
        lines = ".json" not in (self.path.suffix.lower(), Path(self.path.stem).suffix.lower())
        shape = "newline_delimited" if lines else "auto"
        # As whole objects: for DuckDB names of columns are the same whatever their case.
        scan = f"read_json_objects({_text(str(self.path))}, format = '{shape}')"
        names = self._keys(scan)
        plain = [name for name in names if name not in texts and name not in vectors]
        columns = {name: f"json_extract_string({_value(name)}, '$')" for name in texts if name in names}
        columns |= {name: f"TRY_CAST({_value(name)} AS FLOAT[])" for name in vectors if name in names}
        mixed = set()
        for name, held in zip(plain, self._types(scan, plain), strict=True):
            if held not in _JSON_TYPES:
                mixed.add(name)
            columns[name] = _JSON_TYPES.get(held, "CAST({} AS VARCHAR)").format(_value(name))
        return scan, {name: columns[name] for name in names}, mixed

    def _keys(self, scan: str) -> list[str]:
        """The keys of all objects in order of first appearance."""
        numbered = f"SELECT json_keys(json) AS keys, row_number() OVER () AS n FROM {scan}"
        each = f"SELECT unnest(keys) AS key, unnest(range(len(keys))) AS place, n FROM ({numbered})"
        ordered = f"SELECT key FROM ({each}) GROUP BY key ORDER BY min({{n: n, place: place}})"
        found = [key for key, *_ in self._rows(ordered)]
        if not found or self._rows(f"SELECT 1 FROM {scan} WHERE json_type(json) != 'OBJECT' LIMIT 1"):
            raise InvalidArgumentError(f"{self.path} holds rows that are no JSON objects, or none at all.")
        return found

    def _types(self, scan: str, names: Sequence[str]) -> list[frozenset[str]]:
        if not names:
            return []
        asked = ", ".join(f"list(DISTINCT json_type({_value(name)}))" for name in names)
        (row,) = self._rows(f"SELECT {asked} FROM {scan}")
        return [frozenset(held or ()) - {None, "NULL"} for held in row]


def _value(key: str) -> str:
    """The value of a key of an object (a JSON pointer, RFC 6901)."""
    return f"json_extract(json, {_text('/' + key.replace('~', '~0').replace('/', '~1'))})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _told(message: str) -> str:
    """DuckDB's words without its advice on options of its own."""
    kept = []
    for line in message.splitlines():
        if line.startswith(("LINE ", "Possible fixes", "Possible Solution", "  file =", "Try ", "* ")):
            break
        kept.append(line.strip())
    return " ".join(line for line in kept if line)[:500]
