"""Which tests hold for which backends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LOCAL = ("memory", "disk")
# A second notebook on the directory of another, our server within the process, our server on a socket.
ELSEWHERE = ("linked", "rest", "socket")
KINDS = tuple(os.environ.get("H5", "memory disk").split())

# Modules whose tests are about behaviour: they must hold whatever is behind the client.
_EVERYWHERE = (
    "tests.compat.",
    "tests.contract.",
    "tests.face.test_bad_input",
    "tests.face.test_frames",
    "tests.face.test_semantics",
    "tests.face.test_sql",
)

# What a backend cannot do: (kind, test) -> what the NotSupportedError says. A test that passes fails: it must be taken
# off the list then.
CANNOT: dict[tuple[str, str], str] = {}


def kinds(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    """Of the backends that a test runs on."""
    module = metafunc.module.__name__
    if module == "tests.contract.test_properties":
        return ELSEWHERE  # over memory and disk, tests.store has the same
    return KINDS if module.startswith(_EVERYWHERE) else LOCAL
