"""Finding out what kind of server there is at an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from chroma_nb.errors import (
    ConnectionFailedError,
    InvalidArgumentError,
    NotFoundError,
    NotSupportedError,
)
from chroma_nb.rest import failures, wire
from chroma_nb.rest.dialect_v1 import DialectV1
from chroma_nb.rest.dialect_v2 import API as API_V2
from chroma_nb.rest.dialect_v2 import DEFAULT_DATABASE, DEFAULT_TENANT, DialectV2
from chroma_nb.rest.remote import SAMPLE, RemoteStore
from chroma_nb.rest.remote_foreign import ForeignServerStore
from chroma_nb.rest.remote_own import OwnServerStore
from chroma_nb.rest.transport import Transport

_V1_BATCH = 1000  # where a server names no limit


def connect(
    host: str = "localhost",
    port: int | None = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    token: str | None = None,
    timeout: float = 60.0,
    client: httpx.Client | None = None,
    sample: int = SAMPLE,
) -> RemoteStore:
    """A store on the server there: one of ours, or any of Chroma's from 0.3.25 to 1.x.

    Args:
        host: a name, or a whole address such as "https://example.org/chroma", which then counts for ``port`` and
            ``ssl`` as well.
        port: of the server.
        ssl: speak https.
        headers: sent with every request, credentials for example.
        tenant: of a server of Chroma's that has several.
        database: of the tenant.
        token: sent as ``Authorization: Bearer`` and as ``X-Chroma-Token``.
        timeout: seconds that the server may be silent.
        client: sends the requests, and stays open; None: one of its own.
        sample: how many items snapshots, and so explorers and maps, hold at most.

    Raises:
        ConnectionFailedError: there is no Chroma server.
        AuthorizationError: it wants another token.
        NotFoundError: it has no such tenant or database.
    """
    base = address(host, port, ssl=ssl)
    sent = dict(headers or {})
    if token is not None:
        sent |= {"Authorization": f"Bearer {token}", "X-Chroma-Token": token}
    transport = Transport(base, sent, timeout, failures.foreign, client)
    try:
        return _store(transport, base, tenant, database, sample)
    except BaseException:
        transport.close()
        raise


def address(host: str, port: int | None, *, ssl: bool) -> str:
    """The address without a slash at its end.

    >>> address("localhost", 8000, ssl=False), address("https://example.org/chroma/", 8000, ssl=False)
    ('http://localhost:8000', 'https://example.org/chroma')
    """
    if not isinstance(host, str) or not host.strip():
        raise InvalidArgumentError(f"Expected host to be the name or address of a server, got {host!r}")
    host = host.strip()
    try:
        if "://" in host:
            parts = urlsplit(host)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
                raise ValueError("it begins with http:// or https://, and holds no user name")
            return f"{parts.scheme}://{_netloc(parts.hostname, parts.port)}{parts.path.rstrip('/')}"
        name, _, path = host.partition("/")
        parts = urlsplit(f"//[{name}]" if name.count(":") > 1 and not name.startswith("[") else f"//{name}")
        if not parts.hostname or parts.username:
            raise ValueError("it is a name, perhaps with a port")
        way = f"/{path}".rstrip("/")
        return f"{'https' if ssl else 'http'}://{_netloc(parts.hostname, parts.port or port)}{way}"
    except ValueError as error:
        raise InvalidArgumentError(
            f"Expected host to be the name or address of a server, got {host!r}: {error}"
        ) from error


def _netloc(name: str, port: int | None) -> str:
    shown = f"[{name}]" if ":" in name else name
    return shown if port is None else f"{shown}:{port}"


def _store(transport: Transport, base: str, tenant: str, database: str, sample: int) -> RemoteStore:
    limits = _answer(transport, f"{API_V2}/pre-flight-checks")
    if isinstance(limits, Mapping):
        return _on_v2(transport, base, limits, tenant, database, sample)
    old = _answer(transport, f"{wire.API}/pre-flight-checks")
    if isinstance(old, Mapping) and "chroma_nb" in old:
        if (tenant, database) != (DEFAULT_TENANT, DEFAULT_DATABASE):
            raise NotFoundError(
                f"The server at {base} has one tenant, {DEFAULT_TENANT!r}, with one database, {DEFAULT_DATABASE!r}."
            )
        transport.failure = failures.answered
        return OwnServerStore(transport, base, old, sample)
    version = _answer(transport, f"{wire.API}/version")
    if isinstance(version, str):
        batch = old.get("max_batch_size") if isinstance(old, Mapping) else None
        dialect = DialectV1(transport, version, tenant, database, int(batch or _V1_BATCH))
        dialect.collections()  # says that tenant and database are there, and that the token is right
        return ForeignServerStore(dialect, _location(base, tenant, database), sample)
    raise ConnectionFailedError(
        f"Could not connect to a Chroma server at {base}: something answers there, but not as Chroma does. Are you "
        "sure that host and port (and ssl) are right?"
    )


def _answer(transport: Transport, path: str) -> Any:
    """What is there, or None where the server has no such thing."""
    try:
        return transport.get(path)
    except (NotFoundError, NotSupportedError, InvalidArgumentError):
        return None


def _on_v2(
    transport: Transport, base: str, limits: Mapping[str, Any], tenant: str, database: str, sample: int
) -> RemoteStore:
    if (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE):
        tenant, database = _own_place(_answer(transport, f"{API_V2}/auth/identity"))
    encodes = bool(limits.get("supports_base64_encoding"))
    dialect = DialectV2(transport, tenant, database, int(limits.get("max_batch_size") or _V1_BATCH), encodes=encodes)
    try:
        dialect.check_place()
    except NotFoundError as error:
        raise NotFoundError(
            f"The server at {base} has no tenant {tenant!r} with a database {database!r}: {error}"
        ) from error
    return ForeignServerStore(dialect, _location(base, tenant, database), sample)


def _own_place(identity: Any) -> tuple[str, str]:
    """Tenant and database that belong to a token, if it leaves no choice."""
    said = identity if isinstance(identity, Mapping) else {}
    databases = [name for name in said.get("databases") or [] if name != "*"]
    tenant = said.get("tenant")
    if not isinstance(tenant, str) or tenant in ("", "*", DEFAULT_TENANT) or len(databases) != 1:
        return DEFAULT_TENANT, DEFAULT_DATABASE
    return tenant, databases[0]


def _location(base: str, tenant: str, database: str) -> str:
    ordinary = (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE)
    return base if ordinary else f"{base} (tenant {tenant}, database {database})"
