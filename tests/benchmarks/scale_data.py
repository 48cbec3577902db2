"""A corpus of any size for measurements of growth: seeded, clustered, normalised, made batch by batch.

A smaller corpus is the beginning of a larger one, and the rows do not depend on the size of the batches: they are made
in blocks, each from a generator of its own. The vectors are what embeddings of texts look like to a search graph:
3,000 topics, of sizes after Zipf's law, in a space where few directions carry most of the variance; within a
topic again few directions, and a little noise in all. On the first 30,000 rows an hnswlib graph (M 16, construction
100, search 100) reaches a recall@10 of 0.988; on as many WordNet embeddings of the other benchmarks 0.995.

``category`` depends on the topic, so a filter on it correlates with the query; ``length`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

    Floats = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]

DIMENSION = 384
BLOCK = 4_096
_SEED = 20_240_607
_TOPICS = 3_000
_RANK = 64  # directions that the topics differ in
_SHAPES = 48  # kinds of spread within a topic
_SPREAD_RANK = 24
_SPREAD = 0.85  # length of the part within a topic beside that of its centre
_NOISE = 0.25

# Category by share of the items; a filter on the first three keeps about 0.1, 1 and 10 % of them.
_SHARES = {"weather": 0.001, "events": 0.01, "artefacts": 0.1, "people": 0.2, "places": 0.3, "ideas": 1.0}
# A word of the documents of one category, never in others.
FILTERS: dict[str, dict[str, Any]] = {
    "0.1 %": {"category": "weather"},
    "1 %": {"category": "events"},
    "10 %": {"category": "artefacts"},
    "44 %": {"length": {"$lt": 440}},
}

_OPENINGS = ("a short note on", "the history of", "an account of", "what is known about", "a survey of", "remarks on")
_THINGS = ("river", "harbour", "engine", "orchard", "letter", "market", "glacier", "garden", "theatre", "signal")
_QUALITIES = ("quiet", "distant", "northern", "early", "broken", "golden", "shallow", "crowded", "patient", "narrow")
_ENDINGS = ("as seen by those who lived there", "with a list of sources", "and its use in everyday work", "in brief")


@dataclass(frozen=True)
class Batch:
    """Consecutive rows.

    Attributes:
        table: ``id``, ``document``, ``category`` (str), ``length`` (int, 0 to 999), ``score`` (float, 0 to 1) and
            ``checked`` (bool); n rows.
        vectors: float32 (n, 384), of length 1.
        topics: int64 (n,), 0 to 2999.
    """

    table: pa.Table
    vectors: Floats
    topics: Ints

    def frame(self) -> pd.DataFrame:
        """The table as a frame, index ``id``."""
        frame: pd.DataFrame = self.table.to_pandas().set_index("id")
        return frame

    def __len__(self) -> int:
        return len(self.vectors)


def batches(rows: int, size: int = 50_000, start: int = 0) -> Iterator[Batch]:
    """Rows ``start`` to ``start + rows`` of the corpus, ``size`` at a time."""
    for first in range(start, start + rows, size):
        yield batch(first, min(first + size, start + rows))


def batch(start: int, stop: int) -> Batch:
    """These rows of the corpus."""
    parts = []
    for block in range(start // BLOCK, max(start // BLOCK + 1, -(-stop // BLOCK))):
        made, at = _block(block), block * BLOCK
        low, high = max(start - at, 0), min(stop - at, BLOCK)
        parts.append(Batch(made.table.slice(low, high - low), made.vectors[low:high], made.topics[low:high]))
    return Batch(
        pa.concat_tables([part.table for part in parts]),
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.topics for part in parts]),
    )


def queries(count: int) -> Floats:
    """Vectors (count, 384) of the same kind that no row has."""
    return queries_with_topics(count)[0]


def queries_with_topics(count: int) -> tuple[Floats, Ints]:
    """These vectors, and the topic of each, int64 (count,)."""
    generator = np.random.default_rng([_SEED, 1])
    topics = generator.choice(_TOPICS, count, p=_model().sizes)
    return _vectors(generator, topics), topics


def categories(shares: Mapping[str, float]) -> npt.NDArray[np.str_]:
    """A category for each topic, (3000,), so that each has its share of the rows; the last one has what is left.

    Topics are given out until each category has its share, the scarce ones first.
    """
    return np.array(list(shares))[_given_out(_model().sizes, list(shares.values()))]


@dataclass(frozen=True)
class _Model:
    """What all blocks share: topics (3000, 384), their shares and categories, and the spreads (48, 24, 384)."""

    centres: Floats
    sizes: npt.NDArray[np.float64]
    categories: Ints
    shapes: Floats


@cache
def _model() -> _Model:
    generator = np.random.default_rng([_SEED, 0])
    weights = 1.0 / (np.arange(_TOPICS) + 20.0)
    sizes = generator.permutation(weights / weights.sum())
    directions = np.linalg.qr(generator.standard_normal((DIMENSION, _RANK)))[0].T
    centres = (generator.standard_normal((_TOPICS, _RANK)) * _falling(_RANK)) @ directions
    shapes = [np.linalg.qr(generator.standard_normal((DIMENSION, _SPREAD_RANK)))[0].T for _ in range(_SHAPES)]
    return _Model(
        centres=_unit(centres),
        sizes=sizes,
        categories=_given_out(sizes, list(_SHARES.values())),
        shapes=(np.stack(shapes) * _falling(_SPREAD_RANK)[:, None]).astype(np.float32),
    )


def _falling(count: int) -> npt.NDArray[np.float64]:
    """Standard deviations of directions, their squares falling and of sum 1."""
    variances = 1.0 / (np.arange(count) + 4.0)
    return np.asarray(np.sqrt(variances / variances.sum()))


def _given_out(sizes: npt.NDArray[np.float64], shares: Sequence[float]) -> Ints:
    """The number of the share that each topic falls to."""
    found = np.full(len(sizes), len(shares) - 1)
    order, at = np.argsort(sizes, kind="stable"), 0
    for number, share in enumerate(shares[:-1]):
        given = 0.0
        while given < share:
            given += sizes[order[at]]
            found[order[at]] = number
            at += 1
    return found


def _vectors(generator: np.random.Generator, topics: Ints) -> Floats:
    model = _model()
    inner = generator.standard_normal((len(topics), _SPREAD_RANK), dtype=np.float32)
    noise = generator.standard_normal((len(topics), DIMENSION), dtype=np.float32)
    made = model.centres[topics] + noise * np.float32(_NOISE / np.sqrt(DIMENSION))
    for shape in range(_SHAPES):
        chosen = np.flatnonzero(topics % _SHAPES == shape)
        made[chosen] += (inner[chosen] * np.float32(_SPREAD)) @ model.shapes[shape]
    return _unit(made)


def _unit(rows: npt.NDArray[Any]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _block(number: int) -> Batch:
    generator = np.random.default_rng([_SEED, 2, number])
    topics = generator.choice(_TOPICS, BLOCK, p=_model().sizes)
    rows = np.arange(BLOCK) + number * BLOCK
    # An odd factor permutes the numbers below 2^48: unique ids in no order, as hashes are.
    scattered = rows.astype(np.uint64) * np.uint64(0x5DEECE66D) & np.uint64(2**48 - 1)
    columns = {
        "id": pa.array([f"{value:012x}" for value in scattered.tolist()]),
        "document": _documents(generator, topics, rows),
        "category": pa.array(list(_SHARES)).take(pa.array(_model().categories[topics])),
        "length": pa.array(generator.integers(0, 1000, BLOCK)),
        "score": pa.array(generator.random(BLOCK)),
        "checked": pa.array(generator.random(BLOCK) < 0.5),
    }
    return Batch(pa.table(columns), _vectors(generator, topics), topics)


def _documents(generator: np.random.Generator, topics: Ints, rows: Ints) -> pa.Array:
    """Sentences of about 100 characters; the quality and the thing belong to the topic."""

    def words(choices: tuple[str, ...], picked: Ints) -> pa.Array:
        return pa.array(choices).take(pa.array(picked))

    def drawn(choices: tuple[str, ...]) -> pa.Array:
        return words(choices, generator.integers(0, len(choices), len(rows)))

    parts = [
        drawn(_OPENINGS),
        "the",
        words(_QUALITIES, topics // 10 % 10),
        words(_THINGS, topics % 10),
        "and the",
        drawn(_QUALITIES),
        drawn(_THINGS),
        drawn(_ENDINGS),
        "number",
        pc.cast(pa.array(rows), pa.string()),
    ]
    return pc.binary_join_element_wise(*parts, " ")
