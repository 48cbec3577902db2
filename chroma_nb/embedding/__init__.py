"""From texts to vectors: which functions are accepted, how they are named, found again and called.

Any callable from a list of str to a list of vectors is an embedding function. A name stands for one
that this package knows (`resolve`); `spec_of` says in JSON which one it is, so that it can be kept with
a collection; `rebuild` makes it again from there; `embed` calls it and checks what it gave.

    >>> from chroma_nb.embedding import embed, resolve, spec_of
    >>> def lengths(texts):
    ...     return [[len(text), 1.0] for text in texts]
    >>> embed(lengths, ["a", "bcd"])
    array([[1., 1.],
           [3., 1.]], dtype=float32)
    >>> spec_of(resolve("openai:text-embedding-3-small")).name
    'openai:text-embedding-3-small'

Importing this package imports numpy and nothing heavier; models and client libraries are loaded by the
first call that needs them. The classes for other libraries and services are in
`chroma_nb.embedding.providers`.
"""

from chroma_nb.embedding.minilm import DefaultEmbeddingFunction
from chroma_nb.embedding.registry import rebuild, register, resolve
from chroma_nb.embedding.run import embed
from chroma_nb.embedding.spec import EmbeddingFunction, EmbeddingSpec, spec_of
from chroma_nb.embedding.static import WordLlamaEmbeddingFunction

__all__ = [
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "EmbeddingSpec",
    "WordLlamaEmbeddingFunction",
    "embed",
    "rebuild",
    "register",
    "resolve",
    "spec_of",
]
