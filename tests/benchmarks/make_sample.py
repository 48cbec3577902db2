"""Make ``chroma_nb/data/sample.parquet``: 4,000 WordNet synsets with their MiniLM embeddings.

    python tests/benchmarks/make_sample.py path/to/wordnet.parquet

The source has all 117,659 synsets of WordNet 3.0 (columns id, document, pos, lexname, lemma, n_lemmas,
gloss_len, embedding). Taken are 500 of each of eight categories, drawn with a fixed seed, in the order of
the source. The categories were picked so that a map shows them apart: of a text's 10 nearest neighbours
86 % are of its own category (92 % for body parts and possessions, 79 % for animals, the extremes).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LEXNAMES = (
    "noun.animal",
    "noun.body",
    "noun.food",
    "noun.location",
    "noun.plant",
    "noun.possession",
    "noun.time",
    "verb.motion",
)
EACH = 500
SEED = 20_240_607
COLUMNS = ["id", "document", "lemma", "pos", "lexname", "n_lemmas", "gloss_len", "embedding"]
TARGET = Path(__file__).parents[2] / "chroma_nb" / "data" / "sample.parquet"


def choose(table: pa.Table) -> pa.Table:
    """Draw the rows; the same ones whenever the source is the same."""
    rng = np.random.default_rng(SEED)
    rows: list[int] = []
    for lexname in LEXNAMES:
        there = np.flatnonzero(pc.equal(table["lexname"], lexname).to_numpy())
        rows.extend(rng.choice(there, EACH, replace=False).tolist())
    return table.take(sorted(rows))


def main() -> None:
    """Read the source, write the sample, say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args()
    sample = choose(pq.read_table(options.source, columns=COLUMNS))
    text = {name: pa.string() for name in ("id", "document", "lemma", "pos", "lexname")}
    types = {**text, "n_lemmas": pa.int64(), "gloss_len": pa.int64(), "embedding": pa.list_(pa.float16(), 384)}
    schema = pa.schema([pa.field(name, types[name], nullable=False) for name in COLUMNS])
    pq.write_table(sample.cast(schema), options.target, compression="zstd", compression_level=19)
    print(f"{options.target}: {sample.num_rows} rows, {options.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
