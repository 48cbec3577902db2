"""The embedding functions of other libraries and services, under the names of Chroma's classes.

All load their client library at the first call, and ask for keys only then: the argument ``api_key``,
else the environment variable that ``api_key_env_var`` names, else the service's usual one. A key is never
part of ``get_config()`` or of the printed form. ``name()`` is ``"family:MODEL"``, as `resolve` takes it.
"""

from chroma_nb.embedding.minilm import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from chroma_nb.embedding.providers_local import (
    InstructorEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    Text2VecEmbeddingFunction,
)
from chroma_nb.embedding.providers_web import (
    CohereEmbeddingFunction,
    GooglePalmEmbeddingFunction,
    GoogleVertexEmbeddingFunction,
    HuggingFaceEmbeddingFunction,
    OpenAIEmbeddingFunction,
)

__all__ = [
    "CohereEmbeddingFunction",
    "DefaultEmbeddingFunction",
    "GooglePalmEmbeddingFunction",
    "GoogleVertexEmbeddingFunction",
    "HuggingFaceEmbeddingFunction",
    "InstructorEmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "OpenAIEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "Text2VecEmbeddingFunction",
]
