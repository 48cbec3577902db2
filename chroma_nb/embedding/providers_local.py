"""Embedding functions that run a model of another library on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from chroma_nb.embedding.available import require
from chroma_nb.embedding.provider import Provider

if TYPE_CHECKING:
    from typing import Self

    from chroma_nb.embedding.provider import Vectors


@dataclass(eq=False)
class SentenceTransformerEmbeddingFunction(Provider):
    """A model of the package sentence-transformers.

    Args:
        model_name: a name on the hub, or a directory.
        device: ``"cpu"``, ``"cuda"``, ...
        normalize_embeddings: whether to make the vectors unit vectors.
        **kwargs: passed to ``SentenceTransformer``, e.g. ``trust_remote_code=True``.

    >>> SentenceTransformerEmbeddingFunction("all-mpnet-base-v2").name()
    'sentence-transformers:all-mpnet-base-v2'
    """

    model_name: str
    device: str
    normalize_embeddings: bool
    kwargs: dict[str, Any]

    family: ClassVar[str] = "sentence-transformers"

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        device: str = "cpu",
        normalize_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        self.model_name = model_name
        self.device = device
        self.normalize_embeddings = normalize_embeddings
        self.kwargs = kwargs
        self.__post_init__()

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Self:
        """Make the function again from what `get_config` (or Chroma's) said."""
        flat = {key: value for key, value in config.items() if key != "kwargs"}
        return cls(**flat, **(config.get("kwargs") or {}))

    def _connect(self) -> Any:
        library = require("sentence_transformers", f'"{self.name()}"', package="sentence-transformers")
        return library.SentenceTransformer(self.model_name, device=self.device, **self.kwargs)

    def _embed(self, texts: list[str]) -> Vectors:
        found: Vectors = self.connection.encode(
            texts, convert_to_numpy=True, normalize_embeddings=self.normalize_embeddings, show_progress_bar=False
        )
        return found


@dataclass(eq=False)
class InstructorEmbeddingFunction(Provider):
    """A model of the package InstructorEmbedding, with the same instruction before every text."""

    model_name: str = "hkunlp/instructor-base"
    device: str = "cpu"
    instruction: str | None = None

    family: ClassVar[str] = "instructor"

    def _connect(self) -> Any:
        library = require("InstructorEmbedding", f'"{self.name()}"')
        return library.INSTRUCTOR(self.model_name, device=self.device)

    def _embed(self, texts: list[str]) -> Vectors:
        asked: list[Any] = texts if self.instruction is None else [[self.instruction, text] for text in texts]
        found: Vectors = self.connection.encode(asked)
        return found


@dataclass(eq=False)
class Text2VecEmbeddingFunction(Provider):
    """A model of the package text2vec."""

    model_name: str = "shibing624/text2vec-base-chinese"

    family: ClassVar[str] = "text2vec"

    def _connect(self) -> Any:
        return require("text2vec", f'"{self.name()}"').SentenceModel(model_name_or_path=self.model_name)

    def _embed(self, texts: list[str]) -> Vectors:
        found: Vectors = self.connection.encode(texts, convert_to_numpy=True)
        return found
