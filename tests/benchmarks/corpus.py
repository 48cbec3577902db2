"""The corpus as files that every environment can read, with filters and the exact answers to everything asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.data import DIMENSION, Corpus, load, load_asked
from tests.benchmarks.peers.given import METADATA, Condition

FULL = 100_000
_NEAREST = 10
_CATEGORIES = {"verb.weather": 0.0007, "noun.event": 0.009, "noun.artifact": 0.099, "noun.act": 0.5, "adj.all": 0.3913}
_WORDS = {"river": 0.005, "plant": 0.02}


def prepare(data: Path | None, folder: Path, rows: int = FULL) -> dict[str, Any]:
    """Write the files into ``folder``, unless they are there; what there is, for the report.

    Args:
        data: folder with WordNet and its ground truth; None: a made-up corpus.
        folder: to write to.
        rows: how many items; the first ones of WordNet if these are not all.
    """
    about = {"corpus": "made up" if data is None else "WordNet", "rows": rows, "dimension": DIMENSION}
    said = folder / "about.json"
    if said.exists() and {name: json.loads(said.read_text()).get(name) for name in about} == about:
        described: dict[str, Any] = json.loads(said.read_text())
        return described
    folder.mkdir(parents=True, exist_ok=True)
    corpus, asked = made_up(rows) if data is None else _wordnet(data, rows)
    items = pa.Table.from_pandas(corpus.frame.reset_index(), preserve_index=False)
    plain = [
        pa.field(one.name, pa.string() if pa.types.is_large_string(one.type) else one.type) for one in items.schema
    ]
    pq.write_table(items.cast(pa.schema(plain)), folder / "items.parquet")  # not every peer takes large strings
    np.save(folder / "vectors.npy", corpus.vectors)
    np.save(folder / "queries.npy", corpus.queries)
    chosen = np.random.default_rng(5).permutation(rows)[:1_000]
    (folder / "thousand.json").write_text(json.dumps(list(corpus.ids[chosen])))
    (folder / "first.json").write_text(json.dumps(corpus.queries[0].tolist()))
    about |= _write_filters(folder, corpus, asked)
    said.write_text(json.dumps(about))
    return about


def conditions(asked: pd.DataFrame) -> dict[str, list[Condition]]:
    """The filters by the name of their row: one for all queries, or for each of the first 200 its own."""

    def one(column: str, how: str, value: object) -> list[Condition]:
        return [Condition({"column": column, "is": how, "value": value})]

    own = asked.head(200)
    return {
        "filter 0.07 %": one("lexname", "=", "verb.weather"),
        "filter 0.9 %": one("lexname", "=", "noun.event"),
        "filter 9.9 %": one("lexname", "=", "noun.artifact"),
        "filter 44 %": one("gloss_len", "<", 60),
        "filter own category": [one("lexname", "=", value)[0] for value in own["lexname"]],
        "filter own part of speech": [one("pos", "=", value)[0] for value in own["pos"]],
        "contains 0.5 %": one("document", "contains", "river"),
        "contains 2 %": one("document", "contains", "plant"),
    }


def _write_filters(folder: Path, corpus: Corpus, asked: pd.DataFrame) -> dict[str, Any]:
    filters = conditions(asked)
    (folder / "filters.json").write_text(json.dumps(filters))
    nearest = {"query": corpus.nearest[:, :_NEAREST], "many": corpus.nearest[:, :_NEAREST]}
    scores = corpus.queries[:200] @ corpus.vectors.T
    passes = {}
    for name, given in filters.items():
        masks = [_mask(corpus.frame, condition) for condition in given]
        passes[name] = round(float(np.mean(masks)), 6)
        nearest[name] = np.stack([_best(row, masks[at % len(masks)]) for at, row in enumerate(scores)])
    np.savez_compressed(folder / "nearest.npz", allow_pickle=False, **nearest)
    return {"passes": passes}


def _mask(frame: pd.DataFrame, condition: Condition) -> np.ndarray[Any, np.dtype[np.bool_]]:
    column, value = frame[condition["column"]], condition["value"]
    if condition["is"] == "contains":
        passes = column.str.contains(value, regex=False)
    else:
        passes = column == value if condition["is"] == "=" else column < value
    return np.asarray(passes, dtype=bool)


def _best(
    scores: np.ndarray[Any, np.dtype[np.float32]], mask: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions of the best that pass, filled up with -1."""
    there = np.flatnonzero(mask)
    best = there[np.argsort(-scores[there], kind="stable")[:_NEAREST]]
    return np.pad(best, (0, _NEAREST - len(best)), constant_values=-1).astype(np.int64)


def _wordnet(data: Path, rows: int) -> tuple[Corpus, pd.DataFrame]:
    corpus, asked = load(data), load_asked(data)
    if rows >= len(corpus.frame):
        return corpus, asked
    return _first(corpus.frame[:rows], corpus.vectors[:rows], corpus.queries), asked


def _first(frame: pd.DataFrame, vectors: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> Corpus:
    """A corpus whose exact neighbours are yet to be found."""
    everything = np.ones(len(vectors), dtype=bool)
    nearest = np.stack([_best(query @ vectors.T, everything) for query in queries])
    return Corpus(frame, vectors, queries, nearest)


def made_up(rows: int, seed: int = 7) -> tuple[Corpus, pd.DataFrame]:
    """WordNet's shape: a cluster of vectors for each category, texts of a few words; and the queries' metadata."""
    rng = np.random.default_rng(seed)
    names = np.array(list(_CATEGORIES))
    centres = rng.standard_normal((len(names), DIMENSION))

    def drawn(count: int) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.float32]]]:
        category = rng.choice(len(names), count, p=list(_CATEGORIES.values()))
        category[: len(names)] = np.arange(len(names))  # each exists
        vectors = centres[category] + 1.5 * rng.standard_normal((count, DIMENSION))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        words = rng.integers(5_000, size=(count, 12))
        texts = [" ".join(f"word{number}" for number in row) for row in words]
        for word, share in _WORDS.items():
            for at in (*np.flatnonzero(rng.random(count) < share), 0):
                texts[at] += f" {word}"
        frame = pd.DataFrame(
            {
                "document": texts,
                "pos": pd.Series(names[category]).str.split(".").str[0],
                "lexname": names[category],
                "lemma": [f"word{row[0]}" for row in words],
                "n_lemmas": rng.integers(1, 6, count),
                "gloss_len": rng.integers(10, 124, count),
            },
        )
        frame.index = pd.Index([f"s{number:06}" for number in range(count)], name="id")
        return frame[["document", *METADATA]], vectors.astype(np.float32)

    frame, vectors = drawn(rows)
    asked, asked_vectors = drawn(min(1_000, max(100, rows // 6)))
    return _first(frame, vectors, asked_vectors), asked
