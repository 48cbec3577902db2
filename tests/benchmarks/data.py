"""The corpus of the benchmarks: WordNet's 100,000 base texts, 1,000 held-out queries, exact neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DIMENSION = 384


@dataclass(frozen=True)
class Corpus:
    """What is measured on.

    Attributes:
        frame: the items without vectors, index ``id``.
        vectors: float32 (n, 384).
        queries: float32 (1000, 384).
        nearest: int64 (1000, 100), positions of the exact cosine neighbours.
    """

    frame: pd.DataFrame
    vectors: np.ndarray[Any, np.dtype[np.float32]]
    queries: np.ndarray[Any, np.dtype[np.float32]]
    nearest: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def ids(self) -> np.ndarray[Any, Any]:
        """Ids by position."""
        return self.frame.index.to_numpy(dtype=object)


def load(folder: Path) -> Corpus:
    """Read ``wordnet.parquet`` and ``wordnet_groundtruth.npz`` from a folder."""
    table = pq.read_table(folder / "wordnet.parquet")
    split = np.asarray(table["split"].to_pylist())
    base = table.filter(pa.array(split == "base100k"))
    frame = base.select(["id", "document", "pos", "lexname", "lemma", "n_lemmas", "gloss_len"]).to_pandas()
    truth = np.load(folder / "wordnet_groundtruth.npz")["cosine_idx_100k"]
    return Corpus(
        frame=frame.set_index("id"),
        vectors=_matrix(base),
        queries=_matrix(table.filter(pa.array(split == "query"))),
        nearest=truth.astype(np.int64),
    )


def _matrix(table: pa.Table) -> np.ndarray[Any, np.dtype[np.float32]]:
    column = pa.concat_arrays(table["embedding"].chunks)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(-1, DIMENSION), dtype=np.float32)


def load_asked(folder: Path) -> pd.DataFrame:
    """Metadata of the 1,000 queries, which are synsets themselves."""
    table = pq.read_table(folder / "wordnet.parquet", columns=["split", "pos", "lexname"])
    frame: pd.DataFrame = table.filter(pa.array(np.asarray(table["split"].to_pylist()) == "query")).to_pandas()
    return frame


def recall(got: np.ndarray[Any, np.dtype[np.int64]], nearest: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Share of the true k nearest that were found."""
    k = got.shape[1]
    return float(np.mean([len(set(row) & set(true[:k])) / k for row, true in zip(got, nearest, strict=True)]))
