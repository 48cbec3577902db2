from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from chroma_nb.rest.server import create_app
from chroma_nb.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """A store in memory, to be served."""
    made = LocalStore()
    yield made
    made.close()


@pytest.fixture
def http(store: LocalStore) -> Iterator[TestClient]:
    """A client of a server in this process that allows reset and SQL."""
    app = create_app(store, allow_reset=True, allow_sql=True)
    with TestClient(app, base_url="http://localhost", headers={"content-type": "application/json"}) as client:
        yield client
