"""The names of ``chromadb.api``."""

from __future__ import annotations

from typing import Any

from chroma_nb.compat.api import models, types
from chroma_nb.compat.client import Client
from chroma_nb.compat.types import CreateCollectionConfiguration
from chroma_nb.errors import NotSupportedError

__all__ = ["API", "BaseAPI", "ClientAPI", "CreateCollectionConfiguration", "Search", "models", "types"]

API = Client
BaseAPI = Client
ClientAPI = Client


class Search:
    """The query language of Chroma's cloud: the name is there, for modules that import it.

    Raises:
        NotSupportedError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotSupportedError("Search is answered by Chroma's cloud only. Use Collection.query.")
