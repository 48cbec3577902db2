"""The names of ``chromadb.config``, and the settings that ``Client()`` uses when it is given none."""

from __future__ import annotations

from typing import Any

from chroma_nb.client import DEFAULT_DATABASE, DEFAULT_TENANT
from chroma_nb.config import Settings

__all__ = ["API_LEVEL", "DEFAULT_DATABASE", "DEFAULT_TENANT", "Settings", "configure", "get_settings"]

API_LEVEL = "0.3.29"
"""The version of Chroma whose API this is; callers choose their way of calling by it."""

_configured: Settings | None = None


def configure(**settings: Any) -> None:
    """Set the settings of every later ``Client()``, by keywords as `Settings` takes them.

    Raises:
        InvalidArgumentError: a keyword is not the name of a setting.
    """
    global _configured  # noqa: PLW0603 - one default for the process is what this function is for
    _configured = Settings(**settings)


def get_settings() -> Settings:
    """What `configure` was told; else the defaults and what the environment says."""
    return Settings() if _configured is None else _configured
