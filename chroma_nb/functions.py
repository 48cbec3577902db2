"""Which embedding function a collection uses, and the check that it stays the same one."""

from __future__ import annotations

from typing import Any, Final

from chroma_nb import embedding
from chroma_nb.embedding import EmbeddingSpec
from chroma_nb.errors import EmbeddingFunctionError
from chroma_nb.types import CollectionInfo, Matrix


class NotGiven:
    """Distinguishes "no argument" (the recorded or the default function) from None (no function)."""

    def __repr__(self) -> str:
        return "the recorded function, or all-MiniLM-L6-v2"


NOT_GIVEN: Final = NotGiven()


def spec_json(function: Any) -> str | None:
    """What is recorded at creation: the function's name and configuration, if one was given."""
    resolved = None if isinstance(function, NotGiven) else embedding.resolve(function)
    return None if resolved is None else embedding.spec_of(resolved).to_json()


class Embedder:
    """Embeds texts for one collection.

    Args:
        given: a function, its registered name, None (texts are refused) or `NOT_GIVEN`.
    """

    def __init__(self, given: Any) -> None:
        self._given = given if isinstance(given, NotGiven) else embedding.resolve(given)

    def embed(self, info: CollectionInfo, texts: list[str], *, query: bool = False) -> tuple[Matrix, str]:
        """Vectors (n, dim) of texts for that collection, and the function in JSON, to be recorded with them.

        Raises:
            EmbeddingFunctionError: there is no function, it failed, or it is not the recorded one.
        """
        function = self._function(info)
        spec = embedding.spec_of(function)
        recorded = None if info.embedding_function is None else EmbeddingSpec.from_json(info.embedding_function)
        if recorded is not None and recorded.name != spec.name:
            raise EmbeddingFunctionError(
                f"Collection {info.name!r} was made with the embedding function {recorded.name!r}, and this is "
                f"{spec.name!r}: their vectors cannot be compared. Pass the same function to get_collection("
                f"{info.name!r}, embedding_function=...), or make a new collection."
            )
        vectors = embedding.embed(function, texts, dimension=info.dimension, progress=not query, query=query)
        return vectors, spec.to_json()

    def _function(self, info: CollectionInfo) -> Any:
        if self._given is None:
            raise EmbeddingFunctionError(
                "You must provide embeddings or a function to compute them: this collection was opened with "
                "embedding_function=None."
            )
        if not isinstance(self._given, NotGiven):
            return self._given
        if info.embedding_function is None:
            return embedding.DefaultEmbeddingFunction()
        spec = EmbeddingSpec.from_json(info.embedding_function)
        rebuilt = embedding.rebuild(spec)
        if rebuilt is None:
            raise EmbeddingFunctionError(
                f"Collection {info.name!r} was made with the embedding function {spec.name!r}, which cannot be rebuilt "
                f"from its name. Pass it: get_collection({info.name!r}, embedding_function=...)."
            )
        self._given = rebuilt
        return rebuilt
