"""Settings under Chroma's names, from keywords or the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from chroma_nb.errors import InvalidArgumentError, suggest

DEFAULT_PERSIST_DIRECTORY = ".chroma"

_DEFAULTS: dict[str, Any] = {
    "environment": "",
    "chroma_db_impl": None,
    "chroma_api_impl": None,
    "clickhouse_host": None,
    "clickhouse_port": None,
    "is_persistent": False,
    "persist_directory": DEFAULT_PERSIST_DIRECTORY,
    "chroma_server_host": None,
    "chroma_server_http_port": None,
    "chroma_server_headers": None,
    "chroma_server_ssl_enabled": False,
    "chroma_server_grpc_port": None,
    "chroma_query_request_timeout_seconds": 60.0,
    "chroma_server_cors_allow_origins": [],
    "anonymized_telemetry": False,
    "allow_reset": False,
    "tenant_id": "default",
    "topic_namespace": "default",
    "sqlite_database": None,
    "migrations": "apply",
}
_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


class Settings:
    """Settings of a client; a keyword wins over an environment variable (``CHROMA_SERVER_HOST``, ...).

    The names are those of Chroma 0.3 and ``is_persistent``; all are attributes and can also be read
    as ``settings["name"]``. Nothing is ever sent anywhere: ``anonymized_telemetry`` is accepted and
    has no effect.

    >>> settings = Settings(chroma_db_impl="duckdb+parquet", persist_directory="db")
    >>> settings.persist_directory, settings["chroma_db_impl"]
    ('db', 'duckdb+parquet')

    Raises:
        InvalidArgumentError: a keyword is not the name of a setting.
    """

    environment: str
    chroma_db_impl: str | None
    chroma_api_impl: str | None
    is_persistent: bool
    persist_directory: str
    chroma_server_host: str | None
    chroma_server_http_port: str | None
    chroma_server_headers: dict[str, str] | None
    chroma_server_ssl_enabled: bool
    chroma_query_request_timeout_seconds: float
    allow_reset: bool

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in _DEFAULTS:
                raise InvalidArgumentError(f"Settings has no {name!r}.{suggest(name, _DEFAULTS)}")
        for name, default in _DEFAULTS.items():
            value = values[name] if name in values else _from_environment(name, default)
            if name.endswith("_port") and value is not None:
                value = str(value)
            setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        if name not in _DEFAULTS:
            raise InvalidArgumentError(f"Settings has no {name!r}.{suggest(name, _DEFAULTS)}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter([(name, getattr(self, name)) for name in _DEFAULTS])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment] # settings can be changed, as Chroma's can

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={_shown(name, value)}" for name, value in self if value != _DEFAULTS[name])
        return f"Settings({changed})"


def _shown(name: str, value: Any) -> str:
    """For people; headers carry tokens, which are nobody's to read."""
    if name == "chroma_server_headers" and isinstance(value, dict):
        return repr(dict.fromkeys(value, "..."))
    return repr(value)


def _from_environment(name: str, default: Any) -> Any:
    text = os.environ.get(name.upper(), os.environ.get(name))
    if text is None:
        return list(default) if isinstance(default, list) else default
    if isinstance(default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise InvalidArgumentError(f"The environment variable {name.upper()} must be true or false, got {text!r}")
        return text.lower() in _TRUE
    if isinstance(default, float):
        try:
            return float(text)
        except ValueError as error:
            raise InvalidArgumentError(
                f"The environment variable {name.upper()} must be a number, got {text!r}"
            ) from error
    return text.split(",") if isinstance(default, list) else text
