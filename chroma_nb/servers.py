"""Settings that name a server -> a store on that server."""

from __future__ import annotations

from collections.abc import Mapping

from chroma_nb.config import Settings
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.store.protocol import Store

_REST = ("rest", "chromadb.api.fastapi.fastapi")


def asks_for_server(settings: Settings) -> bool:
    """Whether these are settings of a client of a server."""
    return (settings.chroma_api_impl or "").lower() in _REST


def server_settings(
    host: str,
    port: int | str,
    ssl: bool,
    headers: Mapping[str, str] | None,
    settings: Settings | None,
    token: str | None,
) -> Settings:
    """What the arguments of ``HttpClient`` mean; the token as both headers that servers look for.

    >>> server_settings("localhost", 8000, False, None, None, "secret").chroma_server_headers["X-Chroma-Token"]
    'secret'
    """
    sent = dict(headers or {})
    if token is not None:
        sent |= {"Authorization": f"Bearer {token}", "X-Chroma-Token": token}
    asked = {
        "chroma_api_impl": "rest",
        "chroma_server_host": host,
        "chroma_server_http_port": port,
        "chroma_server_ssl_enabled": ssl,
        "chroma_server_headers": sent or None,
    }
    return Settings(**(dict(settings or {}) | asked))


def connected(settings: Settings, tenant: str, database: str, *, read_only: bool) -> Store:
    """A store on the server of these settings.

    Raises:
        ConnectionFailedError: there is no Chroma server.
        InvalidArgumentError: the settings do not name one.
    """
    if read_only:
        raise InvalidArgumentError(
            "read_only=True is for directories; what a client of a server may do, the server says."
        )
    if not settings.chroma_server_host:
        raise InvalidArgumentError(
            "With chroma_api_impl='rest' say where the server is: chroma_server_host=..., chroma_server_http_port=..."
        )
    from chroma_nb.rest.connecting import connect

    return connect(
        settings.chroma_server_host,
        _port(settings.chroma_server_http_port),
        ssl=settings.chroma_server_ssl_enabled,
        headers=settings.chroma_server_headers,
        tenant=tenant,
        database=database,
        timeout=_seconds(settings.chroma_query_request_timeout_seconds),
    )


def _port(port: object) -> int:
    if port is None:
        return 8000
    text = str(port)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise InvalidArgumentError(f"The port of a server is a number from 1 to 65535, got {port!r}")
    return int(text)


def _seconds(timeout: object) -> float:
    try:
        seconds = float(timeout)  # type: ignore[arg-type] # that is the question
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidArgumentError(
            f"chroma_query_request_timeout_seconds must be a positive number of seconds, got {timeout!r}"
        )
    return seconds
