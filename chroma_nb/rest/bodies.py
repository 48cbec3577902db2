"""Request bodies -> what a store takes. All validation of the server is here or in the library's own checks.

What is no JSON, or not of the type a field must have, is answered with 422, as Chroma 0.3 did; what
says something impossible with 400. As there, numbers are taken for texts ("name": 12345) and texts for
numbers ("n_results": "1"), unknown fields are ignored, and null means that a field is not given.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chroma_nb import batch
from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError, InvalidUUIDError
from chroma_nb.rest.refusals import MalformedRequestError
from chroma_nb.rest.wire import loads, loads_exactly
from chroma_nb.types import Kind, Matrix, MetadataColumns, Records, Selection
from chroma_nb.where import both, parse_where, parse_where_document

GET_INCLUDE = ("metadatas", "documents")
QUERY_INCLUDE = ("metadatas", "documents", "distances")
_LARGE = 2.0**63


def parse(raw: bytes, content_type: bytes | None) -> Body:
    """The fields of a request's body.

    Raises:
        MalformedRequestError: it is not a JSON object, or is said to be something else.
    """
    if not raw:
        raise MalformedRequestError(["body"], "field required", "value_error.missing")
    media = b"" if content_type is None else content_type.split(b";")[0].strip().lower()
    if media not in (b"", b"application/json") and not media.endswith(b"+json"):
        raise MalformedRequestError(
            ["body"], "value is not a valid dict: send it as application/json", "type_error.dict"
        )
    try:
        given = loads(raw)
    except ValueError as error:
        place = getattr(error, "pos", 0)
        raise MalformedRequestError(["body", place], f"not JSON: {error}", "value_error.jsondecode") from error
    if not isinstance(given, dict):
        raise MalformedRequestError(["body"], "value is not a valid dict", "type_error.dict")
    return Body(raw, given)


@dataclass(frozen=True)
class Body:
    """The fields of a request, each read as what it must be."""

    raw: bytes
    given: Mapping[str, Any]

    # plain values -----------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """A text, or None."""
        value = self.given.get(name)
        if value is None or isinstance(value, str):
            return value
        return _as_text(value, ["body", name])

    def need(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise self.missing(name)
        return value

    def whole(self, name: str) -> int | None:
        """A whole number, or None."""
        value = self.given.get(name)
        if value is None or type(value) is int:
            return value
        if isinstance(value, str | float) and not isinstance(value, bool):
            try:
                number = int(value)
            except (ValueError, OverflowError):
                number = None
            if number is not None and (isinstance(value, str) or number == value):
                return number
        raise MalformedRequestError(["body", name], "value is not a valid integer", "type_error.integer")

    def flag(self, name: str) -> bool:
        """True or false; false if not given."""
        value = self.given.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if type(value) is int and value in (0, 1):
            return value == 1
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise MalformedRequestError(["body", name], "value could not be parsed to a boolean", "type_error.bool")

    def texts(self, name: str, *, gaps: bool = False) -> list[Any] | None:
        """Texts, or one; None if not given. With ``gaps`` some may be null."""
        value = self.given.get(name)
        if value is None or isinstance(value, str):
            return None if value is None else [value]
        if not isinstance(value, list):
            if isinstance(value, dict):
                raise MalformedRequestError(["body", name], "value is not a valid list", "type_error.list")
            return [_as_text(value, ["body", name])]
        if all(type(text) is str for text in value):
            return value
        return [None if gaps and text is None else _as_text(text, ["body", name, at]) for at, text in enumerate(value)]

    def exact(self, name: str) -> Any:
        """Any value; integers beyond 64 bits as such, which orjson reads as floats."""
        value = self.given.get(name)
        if not _holds_large_float(value):
            return value
        try:
            return loads_exactly(self.raw)[name]
        except ValueError as error:
            raise MalformedRequestError(["body", name], str(error), "value_error.jsondecode") from error

    def included(self, usual: Sequence[str], permitted: Sequence[str]) -> frozenset[str]:
        """What to answer with."""
        names = self.texts("include")
        if names is None:
            return frozenset(usual)
        for at, name in enumerate(names):
            if name not in permitted:
                message = f"unexpected value; permitted: {', '.join(map(repr, permitted))}"
                raise MalformedRequestError(["body", "include", at], message, "value_error.const")
        return frozenset(names)

    def uuid(self, name: str) -> uuid.UUID | None:
        """A UUID, or None."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return uuid.UUID(value)
        except ValueError as error:
            raise InvalidUUIDError(f"Could not parse {value} as a UUID") from error

    def function(self, name: str) -> str | None:
        """What embedded something: JSON text that has a name."""
        value = self.text(name)
        if value is not None:
            try:
                named = isinstance(loads(value.encode())["name"], str)
            except (ValueError, TypeError, LookupError):
                named = False
            if not named:
                raise InvalidArgumentError(f"Expected {name} to be the JSON text of an object with a name.")
        return value

    def missing(self, name: str) -> MalformedRequestError:
        """To raise where a field must be given."""
        return MalformedRequestError(["body", name], "field required", "value_error.missing")

    # collections and filters ------------------------------------------------------------------

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object, or None; what is in it is checked elsewhere."""
        value = self.exact(name)
        if value is None or isinstance(value, dict):
            return value
        raise MalformedRequestError(["body", name], "value is not a valid dict", "type_error.dict")

    def selection(self) -> Selection:
        """Which items ``ids``, ``where`` and ``where_document`` choose together."""
        ids = self.texts("ids")
        where = self.mapping("where")
        if where is not None and len(where) > 1 and not any(key.startswith("$") for key in where):
            where = {"$and": [{key: value} for key, value in where.items()]}  # as clients before 0.3.26 mean it
        return Selection(
            None if ids is None else batch.ids_array(ids, may_be_empty=True).to_pylist(),
            both(parse_where(where), parse_where_document(self.mapping("where_document"))),
        )

    # items ------------------------------------------------------------------------------------

    def vectors(self, name: str, what: str) -> Matrix | None:
        """Vectors as numbers or as base64 of little-endian float32; one flat vector gives one row."""
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise MalformedRequestError(["body", name], "value is not a valid list", "type_error.list")
        if value and isinstance(value[0], str):
            return _decoded(value, what)
        return batch.matrix_of(value, what)

    def records(self) -> Records:
        """The items of an ``add``, ``update`` or ``upsert``."""
        ids = self.texts("ids")
        if ids is None:
            raise self.missing("ids")
        plain = batch.records(
            ids, self.vectors("embeddings", "embeddings"), self._metadatas(), self.texts("documents", gaps=True)
        )
        if plain.metadata is None:
            return self._with_columns(plain)
        # {} is an item without metadata, which in an update replaces what was there; null leaves it.
        given = self.given["metadatas"]
        listed = given if isinstance(given, list) else [given]
        return replace(plain, keeps=np.array([metadata is None for metadata in listed]))

    def _metadatas(self) -> list[Any] | None:
        value = self.exact("metadatas")
        if value is None:
            return None
        listed = [value] if isinstance(value, dict) else value
        if not isinstance(listed, list):
            raise MalformedRequestError(["body", "metadatas"], "value is not a valid list", "type_error.list")
        for at, metadata in enumerate(listed):
            if metadata is not None and not isinstance(metadata, dict):
                raise MalformedRequestError(["body", "metadatas", at], "value is not a valid dict", "type_error.dict")
        return [metadata or None for metadata in listed]

    def _with_columns(self, records: Records) -> Records:
        entries = self.exact("columns")
        if entries is None:
            return records
        if not isinstance(entries, list):
            raise MalformedRequestError(["body", "columns"], "value is not a valid list", "type_error.list")
        metadata: MetadataColumns = {}
        for at, entry in enumerate(entries):
            _add_column(metadata, entry, len(records), at)
        keeps = np.zeros(len(records), dtype=np.bool_)
        positions = self.given.get("keeps") or []
        if not isinstance(positions, list) or not all(type(p) is int and 0 <= p < len(records) for p in positions):
            raise MalformedRequestError(["body", "keeps"], "value is not a list of positions", "type_error.list")
        keeps[positions] = True
        return replace(records, metadata=metadata, keeps=keeps)


def _add_column(metadata: MetadataColumns, entry: Any, length: int, at: int) -> None:
    place: list[str | int] = ["body", "columns", at]
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        raise MalformedRequestError(place, "not an object with key, kind and values", "type_error.dict")
    kinds = metadata.setdefault(batch.check_text(entry["key"]), {})
    if "kind" not in entry:
        return
    kind, values = entry["kind"], entry.get("values")
    if not isinstance(kind, str) or kind not in set(Kind) or not isinstance(values, list):
        raise MalformedRequestError(place, "not values of one kind", "type_error.list")
    found = batch.columns_of_values(values, entry["key"])
    if len(values) != length or kind in kinds or not found.keys() <= {kind}:
        raise InvalidArgumentError(
            f"Expected {length} values of the kind {kind} for the metadata key {entry['key']!r}."
        )
    taken = [column.is_valid().to_numpy(zero_copy_only=False) for column in (*kinds.values(), *found.values())]
    if len(taken) > 1 and (np.sum(taken, axis=0) > 1).any():
        raise InvalidArgumentError(f"Items have two values for the metadata key {entry['key']!r}.")
    kinds.update(found)


def _decoded(value: list[Any], what: str) -> Matrix:
    rows = []
    for at, text in enumerate(value):
        try:
            rows.append(np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4"))
        except (TypeError, ValueError, binascii.Error) as error:
            raise InvalidArgumentError(
                f"Expected {what} to be base64 of little-endian float32 numbers, got something else at position {at}."
            ) from error
        if len(rows[at]) != len(rows[0]):
            raise InvalidDimensionError(
                f"Expected all {what} to have one dimension: the first has {len(rows[0])} numbers, the one at "
                f"position {at} has {len(rows[at])}"
            )
    return batch.matrix_of(np.stack(rows), what)


def _as_text(value: Any, place: list[str | int]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise MalformedRequestError(place, "str type expected", "type_error.str")


def _holds_large_float(value: Any) -> bool:
    left = [value]  # not by recursion: filters may be nested as deep as JSON is read
    while left:
        one = left.pop()
        if type(one) is float:
            if not -_LARGE < one < _LARGE:
                return True
        elif isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return False
