"""The corpus as files that every environment can read, with filters and the exact answers to everything asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks import scale_data
from tests.benchmarks.data import DIMENSION, Corpus, load, load_asked
from tests.benchmarks.peers.given import METADATA, Condition

FULL = 100_000
_NEAREST = 10
_MADE_UP = "made-up topics"
# WordNet's largest categories after those that are filtered by, in the shares that they have there; the last one
# has what is left.
_LEXNAMES = {
    "verb.weather": 0.0007,
    "noun.event": 0.009,
    "noun.artifact": 0.099,
    "noun.person": 0.094,
    "noun.plant": 0.068,
    "noun.animal": 0.064,
    "noun.act": 0.057,
    "noun.communication": 0.048,
    "adj.pert": 0.031,
    "adv.all": 0.031,
    "noun.state": 0.03,
    "noun.location": 0.027,
    "noun.attribute": 0.026,
    "noun.substance": 0.025,
    "noun.cognition": 0.025,
    "noun.group": 0.022,
    "noun.food": 0.022,
    "verb.change": 0.02,
    "verb.contact": 0.019,
    "noun.body": 0.017,
    "verb.communication": 0.013,
    "verb.motion": 0.012,
    "noun.time": 0.009,
    "adj.all": 1.0,
}
_FILTERED = 3
_WORDS = {"river": 0.005, "plant": 0.02}


def prepare(data: Path | None, folder: Path, rows: int = FULL) -> dict[str, Any]:
    """Write the files into ``folder``, unless they are there; what there is, for the report.

    Args:
        data: folder with WordNet and its ground truth; None: a made-up corpus.
        folder: to write to.
        rows: how many items; the first ones of WordNet if these are not all.
    """
    about = {"corpus": _MADE_UP if data is None else "WordNet", "rows": rows, "dimension": DIMENSION}
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


def made_up(rows: int) -> tuple[Corpus, pd.DataFrame]:
    """Vectors, ids and texts of `scale_data`, with metadata like WordNet's; and the queries' metadata."""
    made = scale_data.batch(0, rows)
    vectors, topics = scale_data.queries_with_topics(min(1_000, max(100, rows // 6)))
    lexname = scale_data.categories(_LEXNAMES)
    table, score = made.table, made.table["score"].to_numpy()
    frame = pd.DataFrame(
        {
            "document": _with_words(table["document"], score),
            "lexname": lexname[made.topics],
            "lemma": [f"topic {topic}" for topic in made.topics],
            "n_lemmas": 1 + (5 * score).astype(np.int64),
            "gloss_len": table["length"].to_numpy() * 60 // 440,  # below 60 are 44 %
        },
        index=pd.Index(table["id"].to_pandas(), name="id"),
    )
    rare = list(_LEXNAMES)[:_FILTERED]
    frame.loc[frame.index[: len(rare)], "lexname"] = rare  # each exists, however few items there are
    asked = pd.DataFrame({"lexname": lexname[topics]})
    for one in (frame, asked):
        one["pos"] = one["lexname"].str.split(".").str[0]
    return _first(frame[["document", *METADATA]], made.vectors, vectors), asked


def _with_words(documents: pa.ChunkedArray, score: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    """Each word is in its share of the texts and in the first one, whatever their topic."""
    texts: list[str] = pc.replace_substring(documents, "river", "canal").to_pylist()
    least = 0.0
    for word, share in _WORDS.items():
        for at in {0, *np.flatnonzero((score >= least) & (score < least + share)).tolist()}:
            texts[at] += f", {word}"
        least += share
    return texts
