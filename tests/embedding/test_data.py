from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np

from chroma_nb.data import load_sample

FILES = resources.files("chroma_nb.data")


def test_sample_is_as_described() -> None:
    sample = load_sample()
    assert sample.shape == (4_000, 7)
    assert sample.index.name == "id"
    assert sample.index.is_unique
    assert sample["lexname"].value_counts().tolist() == [500] * 8
    assert list(sample) == ["document", "lemma", "pos", "lexname", "n_lemmas", "gloss_len", "embedding"]
    assert sample["n_lemmas"].dtype == sample["gloss_len"].dtype == np.int64
    assert not sample.isna().to_numpy().any()
    assert sample["lexname"].iloc[:40].nunique() == 8


def test_sample_embeddings_are_unit_vectors() -> None:
    vectors = load_sample()["embedding"].tolist()
    assert {(vector.shape, vector.dtype.name) for vector in vectors} == {((384,), "float32")}
    np.testing.assert_allclose(np.linalg.norm(np.stack(vectors), axis=1), 1, atol=1e-4)


def test_sample_may_be_changed_by_its_owner() -> None:
    sample = load_sample()
    sample["embedding"].iloc[0][:] = 0
    assert load_sample()["embedding"].iloc[0].any()


def test_categories_stand_apart() -> None:
    sample = load_sample()
    vectors, labels = np.stack(sample["embedding"].tolist()), sample["lexname"].to_numpy()
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -1)
    neighbours = np.argpartition(-similar, 10, axis=1)[:, :10]
    assert (labels[neighbours] == labels[:, None]).mean() > 0.85


def test_shipped_files() -> None:
    notice = (FILES / "NOTICE").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in notice
    vocabulary = (FILES / "minilm_vocab.txt").read_bytes()
    assert hashlib.sha256(vocabulary).hexdigest() in notice
    assert len((FILES / "sample.parquet").read_bytes()) < 4_000_000
