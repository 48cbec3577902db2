"""Filters for servers that do not mean by them what we mean.

A filter becomes what such a server is asked for - never less than we want - and whether that is
exactly what we want. If it is not, `chroma_nb.rest.where_rows` decides about the items that come.

How Chroma's servers differ, each one measured: from 0.5 up ``$ne``, ``$nin`` and ``$not_contains`` match
items that lack the key or the document; 1.x compares an integer with the whole part of a fraction
(2 is equal to 2.5) and no list of mixed types; 0.4 does not find 2 by 2.0; nobody searches inside texts of metadata.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chroma_nb.where import All, AnyOf, Compare, OneOf, Text, Where

# Up to here a float holds every integer, and servers compare exactly.
_EXACT = 2**53


@dataclass(frozen=True)
class Asked:
    """A filter as a server takes it.

    Attributes:
        where: on metadata; None for none.
        where_document: on documents; None for none.
        exact: whether it lets through what we mean; else it lets through more.
        nothing: whether no item can pass.
    """

    where: dict[str, Any] | None = None
    where_document: dict[str, Any] | None = None
    exact: bool = True
    nothing: bool = False


@dataclass(frozen=True)
class Abilities:
    """What a server can do with filters.

    Attributes:
        negates_documents: ``$not_contains`` of documents.
        patterns: ``$regex`` of documents.
        trusted: positive conditions mean what they mean here.
        has_key: whether an item can have that metadata key at all.
        says_key: whether a filter can name it.
    """

    negates_documents: bool
    patterns: bool
    trusted: bool
    has_key: Callable[[str], bool]
    says_key: Callable[[str], bool]


def asked(tree: Where | None, abilities: Abilities) -> Asked:
    """What to ask a server of these abilities for.

    >>> able = Abilities(True, True, True, bool, bool)
    >>> asked(Compare("lang", "$ne", "en"), able)
    Asked(where={'lang': {'$ne': 'en'}}, where_document=None, exact=False, nothing=False)
    """
    if tree is None:
        return Asked()
    members = tree.members if isinstance(tree, All) else (tree,)
    translate = _Translation(abilities).of
    fields = _and([translate(member) for member in members if _about(member) == {"metadata"}])
    texts = _and([translate(member) for member in members if _about(member) == {"document"}])
    mixed = any(len(_about(member)) > 1 for member in members)
    return Asked(
        where=fields.filter,
        where_document=texts.filter,
        exact=fields.exact and texts.exact and not mixed,
        nothing=fields.nothing or texts.nothing,
    )


def _about(tree: Where) -> set[str]:
    if isinstance(tree, All | AnyOf):
        return set().union(*(_about(member) for member in tree.members))
    return {"document" if isinstance(tree, Text) and tree.key is None else "metadata"}


@dataclass(frozen=True)
class _Part:
    """A piece of a filter; ``filter`` None lets everything through."""

    filter: dict[str, Any] | None
    exact: bool = True
    nothing: bool = False


_NOTHING = _Part(None, nothing=True)
_UNSAID = _Part(None, exact=False)


def _and(parts: Sequence[_Part]) -> _Part:
    if any(part.nothing for part in parts):
        return _NOTHING
    filters = [part.filter for part in parts if part.filter is not None]
    return _Part(_combined("$and", filters) if filters else None, all(part.exact for part in parts))


def _or(parts: Sequence[_Part]) -> _Part:
    possible = [part for part in parts if not part.nothing]
    if not possible:
        return _NOTHING
    exact = all(part.exact for part in possible)
    filters = [part.filter for part in possible if part.filter is not None]
    return _Part(_combined("$or", filters) if len(filters) == len(possible) else None, exact)


def _combined(operator: str, filters: list[dict[str, Any]]) -> dict[str, Any]:
    return filters[0] if len(filters) == 1 else {operator: filters}


class _Translation:
    """Trees to parts, for one kind of server."""

    def __init__(self, abilities: Abilities) -> None:
        self._able = abilities

    def of(self, tree: Where) -> _Part:
        if isinstance(tree, All):
            return _and([self.of(member) for member in tree.members])
        if isinstance(tree, AnyOf):
            return _or([self.of(member) for member in tree.members])
        if isinstance(tree, Text) and tree.key is None:
            return self._document(tree)
        assert tree.key is not None  # noqa: S101 - the case above
        if not self._able.has_key(tree.key):
            return _NOTHING
        if not self._able.says_key(tree.key):
            return _UNSAID
        part = self._field(tree)
        return part if self._able.trusted or part.nothing else _Part(part.filter, exact=False)

    def _field(self, tree: Compare | OneOf | Text) -> _Part:
        if isinstance(tree, Text):
            return _UNSAID
        if isinstance(tree, OneOf):
            one = Compare(tree.key, "$ne" if tree.negated else "$eq", "")
            parts = [self._compare(Compare(one.key, one.operator, value)) for value in tree.values]
            if tree.negated:
                return _and([_UNSAID, *parts])
            return _gathered(tree.key, parts) or _or(parts)
        return self._compare(tree)

    def _compare(self, tree: Compare) -> _Part:
        key, value = tree.key, tree.value
        if tree.operator == "$ne" and not self._able.trusted:
            return _UNSAID  # 0.4 takes it for "has another value of the same type"
        if isinstance(value, str | bool):
            return _Part({key: {tree.operator: value}}, exact=tree.operator == "$eq")
        if not math.isfinite(value) or abs(value) >= _EXACT:
            return _UNSAID if tree.operator == "$ne" else _number(key)
        below, above = math.floor(value), math.ceil(value)
        if below == above:
            return self._whole(tree, below)
        fraction = _fraction if self._able.trusted else _plain_fraction
        return fraction(tree, float(value), below, above)

    def _whole(self, tree: Compare, value: int) -> _Part:
        key, operator = tree.key, tree.operator
        plain = {key: {operator: value}}
        if operator == "$ne":
            return _Part(plain, exact=False)
        # Servers that are not trusted may tell 2 from 2.0.
        return _Part(plain if self._able.trusted else {"$or": [plain, {key: {operator: float(value)}}]})

    def _document(self, tree: Text) -> _Part:
        if (tree.regex and not self._able.patterns) or "\0" in tree.pattern:  # which ends a text in SQLite
            return _UNSAID
        if tree.negated:
            if not self._able.negates_documents:
                return _UNSAID
            name = "$not_regex" if tree.regex else "$not_contains"
            # An empty text, which nothing lacks, some servers refuse.
            return _Part({name: tree.pattern}, exact=False) if tree.pattern else _UNSAID
        if not tree.pattern:
            return _UNSAID
        return _Part({"$regex" if tree.regex else "$contains": tree.pattern})


def _gathered(key: str, parts: Sequence[_Part]) -> _Part | None:
    """Texts in one list, where all are texts: shorter than an alternative of each."""
    values = [part.filter[key]["$eq"] for part in parts if part.filter is not None and list(part.filter) == [key]]
    if len(values) < len(parts) or len(values) < 2 or not all(isinstance(value, str) for value in values):
        return None
    return _Part({key: {"$in": values}})


def _number(key: str) -> _Part:
    """Every number lets itself be compared with 0."""
    return _Part({"$or": [{key: {op: zero}} for op in ("$gte", "$lt") for zero in (0, 0.0)]}, exact=False)


def _plain_fraction(tree: Compare, value: float, below: int, above: int) -> _Part:
    """A comparison with a fraction that lets through more, whatever types a server tells apart."""
    plain: dict[str, Any] = {tree.key: {tree.operator: value}}
    if tree.operator == "$eq":
        return _Part(plain)
    whole = {"$lte": below} if tree.operator in ("$lt", "$lte") else {"$gte": above}
    return _Part({"$or": [plain, {tree.key: whole}]})


def _fraction(tree: Compare, value: float, below: int, above: int) -> _Part:
    """A comparison with a fraction, for servers that compare integers with its whole part."""
    key, operator = tree.key, tree.operator
    part = int(value)
    if operator == "$ne":
        return _Part({"$or": [{key: {"$ne": value}}, {key: {"$eq": part}}]}, exact=False)
    plain: dict[str, Any] = {key: {operator: value}}
    if operator in ("$lt", "$lte"):
        plain = plain if operator == "$lt" or part == below else {"$and": [plain, {key: {"$ne": part}}]}
        return _Part({"$or": [plain, {key: {"$lte": below}}]})
    if operator in ("$gt", "$gte"):
        plain = plain if operator == "$gt" or part == above else {"$and": [plain, {key: {"$ne": part}}]}
        return _Part({"$or": [plain, {key: {"$gte": above}}]})
    return _Part({"$and": [plain, {key: {"$ne": part}}]})
