"""hnswlib alone: a graph in memory and ids, nothing else; what searching can cost at least."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.benchmarks.peers import asking
from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.measuring import Numbers, Timed, beyond, disk, timing

_EF = 100


def build(given: Given) -> Numbers:
    """With the settings that the others have, too; saved for the reads."""
    import hnswlib

    vectors, found = given.vectors, Numbers()
    index = hnswlib.Index("cosine", vectors.shape[1])
    with timing(found, "build"):
        index.init_index(len(vectors), M=16, ef_construction=100)
        index.add_items(vectors)
    folder = given.work / "store"
    folder.mkdir(parents=True, exist_ok=True)
    index.save_index(str(folder / "graph.bin"))
    return found | disk(folder)


def reads(given: Given) -> Numbers:
    """One query at a time with one thread, and all at once with all."""
    import hnswlib

    before = asking.baseline(given)
    queries = given.queries
    index = hnswlib.Index("cosine", queries.shape[1])
    index.load_index(str(given.work / "store" / "graph.bin"))
    index.set_ef(_EF)
    one = Timed(
        lambda at: index.knn_query(queries[at], asking.RESULTS, num_threads=1),
        len(queries),
        keep=lambda answer: answer[0][0].tolist(),
    )
    many = Timed(lambda _: index.knn_query(queries, asking.RESULTS), 3, warm=1, keep=lambda answer: answer[0].tolist())
    found = beyond(before)
    found |= one.numbers("query") | {"many /s": len(queries) * 1000 / many.numbers("many")["many ms"]}
    for name, kept in (("query", one.kept), ("many", dict(enumerate(many.kept[0])))):
        found[f"{name} recall"] = given.recall(
            name, {at: [given.ids[label] for label in labels] for at, labels in kept.items()}
        )
    return found


def opening(given: Given) -> Numbers:
    """The import, then loading up to the first ids."""
    return asking.measure_opening(given, _load, partial(_opened, given.work / "store" / "graph.bin", len(given.first)))


def _load() -> None:
    import hnswlib  # noqa: F401
    import numpy as np  # noqa: F401 - it comes with the first call


def _opened(file: Path, dimension: int, _: ExitStack) -> asking.Ask:
    import hnswlib

    index = hnswlib.Index("cosine", dimension)
    index.load_index(str(file))
    index.set_ef(_EF)
    return lambda vector: len(index.knn_query(vector, asking.RESULTS, num_threads=1)[0][0])


STEPS: asking.Steps = {step.__name__: step for step in (build, reads, opening)}

if __name__ == "__main__":
    asking.main(STEPS)
