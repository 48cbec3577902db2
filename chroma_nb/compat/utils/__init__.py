"""The package ``chromadb.utils``."""

from chroma_nb.compat.utils import batch_utils, embedding_functions

__all__ = ["batch_utils", "embedding_functions"]
