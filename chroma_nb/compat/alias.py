"""Standing in for the package chromadb, for libraries that import it themselves."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from chroma_nb.errors import NotSupportedError

_OURS = "chroma_nb.compat"
_THEIRS = "chromadb"


def install_as_chromadb() -> None:
    """Let ``import chromadb`` in this process give this package.

    For libraries such as LangChain and LlamaIndex; call it before they are imported. A library that takes a
    client or a collection can be given one of ours without this.

    Raises:
        NotSupportedError: chromadb itself was imported before.
    """
    ours = importlib.import_module(_OURS)
    if sys.modules.get(_THEIRS, ours) is not ours:
        raise NotSupportedError(
            "chromadb itself is imported already in this process. Call install_as_chromadb() before whatever imports "
            "it; in a notebook, restart the kernel first."
        )
    sys.modules[_THEIRS] = ours
    for found in pkgutil.walk_packages(ours.__path__, f"{_OURS}."):
        sys.modules[_THEIRS + found.name.removeprefix(_OURS)] = importlib.import_module(found.name)
