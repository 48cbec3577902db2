"""The names of ``chromadb.utils.embedding_functions``; see `chroma_nb.embedding.providers`."""

from chroma_nb.compat.types import EmbeddingFunction
from chroma_nb.embedding.providers import (
    CohereEmbeddingFunction,
    DefaultEmbeddingFunction,
    GooglePalmEmbeddingFunction,
    GoogleVertexEmbeddingFunction,
    HuggingFaceEmbeddingFunction,
    InstructorEmbeddingFunction,
    ONNXMiniLM_L6_V2,
    OpenAIEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    Text2VecEmbeddingFunction,
)

__all__ = [
    "CohereEmbeddingFunction",
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "GooglePalmEmbeddingFunction",
    "GoogleVertexEmbeddingFunction",
    "HuggingFaceEmbeddingFunction",
    "InstructorEmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "OpenAIEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "Text2VecEmbeddingFunction",
]
