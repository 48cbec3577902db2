"""WordLlama: static word vectors, some thousands of texts a second, for a first look at many."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import MissingDependencyError, ModelNotFoundError

MAX_CHARS = 100_000  # of one text; the rest hardly moves a mean of word vectors
_BATCH_CHARS = 200_000  # of one batch, padding included: bounds the memory it takes

_lock = threading.Lock()
_loaded: list[Any] = []


class WordLlamaEmbeddingFunction:
    """WordLlama's 256-dimensional static model (extra ``static``; the weights are in its wheel).

    A text becomes the mean of its tokens' vectors, L2-normalised; the order of words does not count.
    Texts are cut after 100,000 characters; an empty text gets the vector of a space.

    >>> WordLlamaEmbeddingFunction()(["good morning"]).shape
    (1, 256)
    """

    dimension = 256

    def __call__(self, input: list[str] | str) -> npt.NDArray[np.float32]:
        """Embed n texts: an array of shape (n, 256), float32, unit vectors.

        Raises:
            MissingDependencyError: the package wordllama is not installed.
            ModelNotFoundError: it is, without its weights.
        """
        texts = [_clean(text) for text in ([input] if isinstance(input, str) else input)]
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return out
        model = _load()
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * len(texts[order[stop]]) <= _BATCH_CHARS:
                stop += 1
            rows = order[start:stop]
            vectors = model.embed([texts[row] for row in rows], batch_size=len(rows))
            out[rows] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            start = stop
        return out

    def __repr__(self) -> str:
        return "WordLlamaEmbeddingFunction()"

    @staticmethod
    def name() -> str:
        """The name in the registry."""
        return "wordllama"

    def get_config(self) -> dict[str, Any]:
        """Nothing to configure."""
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> WordLlamaEmbeddingFunction:
        """Make the function again."""
        return WordLlamaEmbeddingFunction()


def _clean(text: str) -> str:
    """Shortened, never empty, and without the lone surrogates that tokenizers refuse."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8") or " "


def _load() -> Any:
    """The model, loaded once for the process (0.2 s)."""
    with _lock:
        if not _loaded:
            root = logging.getLogger()
            handlers, level = list(root.handlers), root.level
            try:
                import wordllama
            except ImportError as error:
                raise MissingDependencyError.for_feature('"wordllama"', "wordllama", extra="static") from error
            finally:  # its import sets the whole process to log at INFO
                root.handlers[:] = handlers
                root.setLevel(level)
            try:
                # Its default is to look in a cache and download: both files are beside its code.
                home = Path(wordllama.__file__).parent
                _loaded.append(wordllama.WordLlama.load(cache_dir=home, disable_download=True))
            except FileNotFoundError as error:
                raise ModelNotFoundError(
                    f"The installed package wordllama lacks its weights ({error}). "
                    "Run: pip install --force-reinstall wordllama"
                ) from error
        return _loaded[0]
