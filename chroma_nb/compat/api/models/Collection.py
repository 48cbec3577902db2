"""The names of ``chromadb.api.models.Collection``."""  # noqa: N999 - Chroma's name

from chroma_nb.compat.collection import Collection

__all__ = ["Collection"]
