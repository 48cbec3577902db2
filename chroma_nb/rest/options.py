"""What a server allows, and how much of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from chroma_nb.errors import InvalidArgumentError

MIB = 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class ServerOptions:
    """Settings of a server; the defaults are safe on a machine's own loopback address.

    Attributes:
        token: what clients must send, as ``Authorization: Bearer`` or ``X-Chroma-Token``; None: nothing.
        allow_reset: whether ``/reset`` may delete everything.
        allow_sql: whether ``/raw_sql`` may read with DuckDB's SQL.
        cors_origins: origins whose pages may call the server from a browser, such as "http://localhost:3000".
        hosts: names that the ``Host`` header may have, or "*" for any, against pages that let their own name point
            here; None: with a token any, else those of this machine's loopback address.
        max_batch_size: items of one ``add``, ``update``, ``upsert`` or ``known``.
        max_body_bytes: of one request.
        max_results: ``n_results`` of one query.
        max_queries: vectors of one query.
        max_concurrent: requests at work at the same time, heartbeats apart.
        body_seconds: until the body of a request is there; longer while it arrives at `body_rate` or faster.
        body_rate: bytes per second.
        threads: that work on requests other than single queries.
        client_version: of the Chroma whose Python clients list collections here. Those before 0.3.23 refuse ids in
            lists, those before 0.3.11 metadata, those since need both.

    Raises:
        InvalidArgumentError: the version is none.
    """

    token: str | None = field(default=None, repr=False)
    allow_reset: bool = False
    allow_sql: bool = False
    cors_origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    max_batch_size: int = 250_000
    max_body_bytes: int = 128 * MIB
    max_results: int = 10_000
    max_queries: int = 1_000
    max_concurrent: int = 128
    body_seconds: float = 20.0
    body_rate: float = 64 * 1024
    threads: int = 8
    client_version: str = "0.3.29"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*", self.client_version):
            raise InvalidArgumentError(f"A version is like 0.3.29, got {self.client_version!r}")

    @property
    def answered_hosts(self) -> frozenset[str] | None:
        """The names that are answered to; None: any.

        >>> sorted(ServerOptions().answered_hosts), ServerOptions(token="...").answered_hosts
        (['127.0.0.1', '::1', 'localhost'], None)
        """
        hosts = self.hosts
        if hosts is None:
            return LOOPBACK if self.token is None else None
        return None if "*" in hosts else hosts

    @property
    def listed_fields(self) -> tuple[str, ...]:
        """What is told of collections in lists.

        >>> ServerOptions().listed_fields, ServerOptions(client_version="0.3.7").listed_fields
        (('name', 'id', 'metadata'), ('name',))
        """
        version = tuple(map(int, self.client_version.split(".")))
        if version < (0, 3, 11):
            return ("name",)
        return ("name", "metadata") if version < (0, 3, 23) else ("name", "id", "metadata")
