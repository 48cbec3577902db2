"""What the machine and the environment have: optional packages, processors."""

from __future__ import annotations

import importlib
import os
from typing import Any

from chroma_nb.errors import MissingDependencyError


def require(module: str, feature: str, *, package: str | None = None, extra: str | None = None) -> Any:
    """Import an optional package.

    Args:
        module: what to import.
        feature: what needs it, for the message.
        package: the name to install, if it is not the module's.
        extra: our own extra that brings it.

    Raises:
        MissingDependencyError: it is not installed; the message gives the pip line.

    >>> require("math", "Counting").pi
    3.14...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != module and not module.startswith(f"{missing}."):
            raise  # the package is there, something of its own is not: that message is the better one
        raise MissingDependencyError.for_feature(feature, package or module, extra) from error


def cpu_count() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
