"""The exception classes: section 7 of what is known of Chroma 0.3."""

from __future__ import annotations

import pytest

import chroma_nb.errors
from chroma_nb.compat import errors

NAMES = [
    "ChromaError",
    "NoDatapointsException",
    "NoIndexException",
    "InvalidDimensionException",
    "NotEnoughElementsException",
    "IDAlreadyExistsError",
    "DuplicateIDError",
    "InvalidUUIDError",
    "InvalidCollectionException",
    "NotFoundError",
    "InvalidArgumentError",
    "UniqueConstraintError",
    "AuthorizationError",
    "InternalError",
    "ChromaAuthError",
    "BatchSizeExceededError",
    "InvalidHTTPVersion",
    "VersionMismatchError",
    "RateLimitError",
    "QuotaError",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_there_and_an_error_of_ours(name: str) -> None:
    cls = getattr(errors, name)
    assert issubclass(cls, chroma_nb.errors.ChromaNbError)
    error = cls("what", "happened")
    assert error.message() == str(error) == "what, happened"
    assert errors.error_types[cls.name()] is cls
    assert error.code() in range(400, 600)
    assert name in errors.__all__


@pytest.mark.parametrize(
    ("name", "wire_name", "code"),
    [
        ("InvalidDimensionException", "InvalidDimension", 400),
        ("IDAlreadyExistsError", "IDAlreadyExists", 409),
        ("DuplicateIDError", "DuplicateID", 400),
        ("InvalidUUIDError", "InvalidUUID", 400),
        ("InvalidCollectionException", "InvalidCollection", 404),
        ("NoDatapointsException", "NoDatapoints", 400),
        ("NoIndexException", "NoIndex", 400),
        ("NotEnoughElementsException", "NotEnoughElements", 400),
    ],
)
def test_names_and_codes(name: str, wire_name: str, code: int) -> None:
    cls = errors.error_types[wire_name]
    assert cls is getattr(errors, name)
    assert (cls.name(), cls("x").code()) == (wire_name, code)


def test_classes_never_raised_are_not_in_the_tree_of_the_library() -> None:
    tree = chroma_nb.errors.error_types()
    assert "NoIndex" not in tree
    assert "InternalError" not in tree


@pytest.mark.parametrize(
    "name", ["InvalidArgumentError", "NotFoundError", "UniqueConstraintError", "AuthorizationError", "DuplicateIDError"]
)
def test_value_error_catches_what_it_did(name: str) -> None:
    assert issubclass(getattr(errors, name), ValueError)
