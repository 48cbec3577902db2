"""Data that ships with the package: a sample of real texts, and the vocabulary of the default model.

What is here, where it comes from and under which licences is said in the file ``NOTICE``.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_sample"]


def load_sample() -> pd.DataFrame:
    """4,000 entries of WordNet 3.0 with their embeddings, as a DataFrame; needs no model and no network.

    500 of each of eight categories (``lexname``): noun.animal, noun.body, noun.food, noun.location,
    noun.plant, noun.possession, noun.time, verb.motion. Rows are mixed, so any first n show them all.

    Returns:
        The index ``id`` (str) is WordNet's, e.g. ``"n00001740"``: part of speech and offset. Columns:

        * ``document``: str, the synonyms and their gloss
        * ``lemma``: str, the first synonym
        * ``pos``: str, ``"n"`` or ``"v"``
        * ``lexname``: str, the category
        * ``n_lemmas``: int64, the number of synonyms
        * ``gloss_len``: int64, characters of the gloss
        * ``embedding``: object, arrays of shape (384,), float32: all-MiniLM-L6-v2 (float32 weights) of
          ``document``, unit vectors to within 0.0001, for they are stored as float16

    >>> df = load_sample()
    >>> df.shape, df.index.name, df["lexname"].nunique()
    ((4000, 7), 'id', 8)
    >>> df["embedding"].iloc[0].shape
    (384,)
    """
    import numpy as np
    import pyarrow.parquet as pq

    with (resources.files(__name__) / "sample.parquet").open("rb") as file:
        table = pq.read_table(file)
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    frame: pd.DataFrame = table.drop_columns("embedding").to_pandas().set_index("id")
    frame["embedding"] = list(vectors.astype(np.float32))
    return frame
