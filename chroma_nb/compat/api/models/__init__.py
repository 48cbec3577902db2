"""The package ``chromadb.api.models``."""

from chroma_nb.compat.api.models import Collection

__all__ = ["Collection"]
