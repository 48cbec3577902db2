from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from chroma_nb.embedding import WordLlamaEmbeddingFunction, embed, static
from chroma_nb.errors import MissingDependencyError

pytest.importorskip("wordllama", reason="the extra static is not installed")


def test_shape_dtype_and_length() -> None:
    vectors = embed(WordLlamaEmbeddingFunction(), ["one", "two words", "", " ", "日本語 🙂", "\ud800"])
    assert vectors.shape == (6, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_and_one_str() -> None:
    ef = WordLlamaEmbeddingFunction()
    assert embed(ef, []).shape == (0, 256)
    np.testing.assert_array_equal(ef("hello"), ef(["hello"]))


def test_order_is_restored_and_long_texts_are_cut() -> None:
    ef = WordLlamaEmbeddingFunction()
    long = "river bank " * 200_000
    texts = [long, "short", long + "!", "a somewhat longer text", "b" * 3_000]
    together = ef(texts)
    for row in (1, 3, 4):
        np.testing.assert_allclose(together[row], ef([texts[row]])[0], atol=1e-5)
    np.testing.assert_allclose(together[0], together[2], atol=1e-6)


def test_retrieval_makes_sense() -> None:
    ef = WordLlamaEmbeddingFunction()
    documents = ["a young cat", "income tax and money", "bread and butter"]
    assert int(np.argmax(ef(documents) @ ef(["kitten"])[0])) == 0


def test_import_leaves_logging_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "wordllama"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(static, "_loaded", [])
    root = logging.getLogger()
    before = list(root.handlers), root.level
    monkeypatch.setattr(root, "handlers", [])
    WordLlamaEmbeddingFunction()(["a"])
    assert root.handlers == []
    assert root.level == before[1]


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_loaded", [])
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "chroma-nb\[static\]"'):
        embed(WordLlamaEmbeddingFunction(), ["a"])
