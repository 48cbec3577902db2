"""Which tests run over which backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LOCAL = ("memory", "disk")
# A second notebook on the directory of another, our server within the process, our server on a socket.
ELSEWHERE = ("linked", "rest", "socket")
KINDS = (*LOCAL, *ELSEWHERE)

# Modules about behaviour: it is the same whatever is behind the client. What differs is in test_differences.
_EVERYWHERE = (
    "tests.compat.",
    "tests.contract.",
    "tests.face.test_bad_input",
    "tests.face.test_frames",
    "tests.face.test_semantics",
    "tests.face.test_sql",
)
# About maps and snapshots: a second notebook has those of the first; a server gives samples, which have tests of their
# own.
_SHARED = ("tests.store.test_layouts", "tests.store.test_snapshot")

# Tests of those modules that are not about behaviour alone.
LOCAL_ONLY = {
    "test_maps_and_views_go_with_their_collection": "looks for rows that are left in the database",
    "test_after_closing": "what a snapshot holds in another process ends with the client",
}


def kinds(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    """Of the backends that a test runs on."""
    module = metafunc.module.__name__
    if metafunc.function.__name__ in LOCAL_ONLY:
        return LOCAL
    if module == "tests.contract.test_properties":
        return ELSEWHERE  # over memory and disk, tests.store and tests.face have the same
    if module.startswith(_SHARED):
        return (*LOCAL, "linked")
    return KINDS if module.startswith(_EVERYWHERE) else LOCAL
