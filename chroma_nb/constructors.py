"""The constructors of Chroma 0.4 and later, by the place where the data is."""

from __future__ import annotations

import os
from collections.abc import Mapping

from chroma_nb.client import DEFAULT_DATABASE, DEFAULT_TENANT, Client
from chroma_nb.config import Settings
from chroma_nb.servers import server_settings


def EphemeralClient(  # noqa: N802 - Chroma's name
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> Client:
    """A client in memory, of its own. ``settings`` is accepted for Chroma's sake."""
    return Client(plain(settings), tenant, database)


def PersistentClient(  # noqa: N802 - Chroma's name
    path: str | os.PathLike[str] = "./chroma",
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    read_only: bool = False,
) -> Client:
    """A client on a directory, which is made if it is missing."""
    return Client(plain(settings), tenant, database, path=path, read_only=read_only)


def HttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int | str = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    token: str | None = None,
) -> Client:
    """A client of a server: of ``chroma-nb serve``, or of Chroma, from 0.3.25 to 1.x.

    Which interface the server speaks is found out. Frames and explorers are the same as those of a directory.

    Args:
        host: a name, or an address such as "https://example.org/prefix".
        port: of the server.
        ssl: speak https.
        headers: sent with every request.
        settings: others, such as ``chroma_query_request_timeout_seconds``.
        tenant: of a server with several.
        database: likewise.
        token: sent as ``Authorization: Bearer`` and as ``X-Chroma-Token``.

    Raises:
        ConnectionFailedError: there is no Chroma server.
        InvalidArgumentError: the port or a setting is no such number.
        AuthorizationError: the server wants another token.
    """
    return Client(server_settings(host, port, ssl, headers, settings, token), tenant, database)


def plain(settings: Settings | None) -> Settings:
    """Settings without those that would choose another kind of client."""
    values = dict(settings or {})
    return Settings(**(values | {"chroma_db_impl": None, "chroma_api_impl": None, "is_persistent": False}))
