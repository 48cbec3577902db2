"""The JavaScript client: fixtures for Node.js and for the servers that its tests speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.js import node
from tests.rest.process import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def npm() -> None:
    """Node.js, npm and the package's development dependencies."""
    lacking = node.missing() or node.install()
    if lacking is not None:
        pytest.skip(lacking)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that name a server which allows everything, and one that wants a token."""
    folder = tmp_path_factory.mktemp("servers")
    free = serving(folder / "free", folder / "free.log", "--allow-reset", "--allow-sql")
    locked = serving(folder / "locked", folder / "locked.log", environment={"CHROMA_NB_TOKEN": "secret"})
    with free as one, locked as other:
        yield {
            "CHROMA_URL": f"http://127.0.0.1:{one.port}",
            "CHROMA_LOCKED_URL": f"http://127.0.0.1:{other.port}",
        }


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that need Node.js."""
    if "npm" in getattr(item, "fixturenames", ()):
        item.add_marker("node")
