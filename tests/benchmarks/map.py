"""Maps: time and quality of this project's beside umap-learn's own default, on the same rows.

Every step runs in a fresh process, "cold" with an empty directory for numba's compiled code and "warm" with the one
that the run before filled. Each size has a folder of its own: ``rows.npy``, ``held_out.npy`` and a store.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks import fresh
from tests.benchmarks.fresh import Numbers

if TYPE_CHECKING:
    from chroma_nb import Collection

_HELD_OUT = 500
_SAMPLE = 5_000
_K = 15


# steps, each in a process of its own ------------------------------------------------------------


def prepare(data: Path, work: Path) -> Numbers:
    """The rows of this size, in a store with its index complete."""
    from chroma_nb import Client
    from tests.benchmarks.data import load

    size = int(work.name)
    vectors = load(data).vectors
    chosen = np.random.default_rng(1).permutation(len(vectors))[: size + _HELD_OUT]
    np.save(work / "rows.npy", vectors[chosen[:size]])
    np.save(work / "held_out.npy", vectors[chosen[size:]])
    with Client(work / "store") as client:
        collection = client.create_collection("map", {"hnsw:space": "cosine"})
        collection.add(ids=[str(n) for n in range(size)], embeddings=vectors[chosen[:size]])
        begun = time.perf_counter()
        collection.create_index()
        return {"index_s": time.perf_counter() - begun}


def default(data: Path, work: Path) -> Numbers:
    """umap-learn as it comes, from the import on."""
    rows = np.load(work / "rows.npy")
    begun = time.perf_counter()
    import umap

    imported = time.perf_counter()
    xy = umap.UMAP(metric="cosine").fit_transform(rows)
    ended = time.perf_counter()
    np.save(work / "default.npy", xy)
    return {"import_s": imported - begun, "picture_s": ended - begun}


def ours(data: Path, work: Path) -> Numbers:
    """A first map by `Collection.project`, from the import on."""
    return _project(work, "umap")


def native(data: Path, work: Path) -> Numbers:
    """The same with the engine of our own."""
    return _project(work, "native")


def fast(data: Path, work: Path) -> Numbers:
    """The same with fastumap as the engine."""
    return _project(work, "fastumap")


def _project(work: Path, engine: str) -> Numbers:
    from chroma_nb.projection import Projector

    # Read-only, so that nothing is stored and every map is a first one.
    with _Opened(work, read_only=True) as (collection, begun):
        first = Projector(collection._store, collection.id).pca()
        pictured = time.perf_counter()
        frame = collection.project(engine=engine, n_neighbors=_K)
        ended = time.perf_counter()
        assert len(first.xy) == len(frame)
    np.save(work / f"{engine}.npy", frame.to_numpy())
    return {"first_picture_s": pictured - begun, "picture_s": ended - begun}


def store(data: Path, work: Path) -> Numbers:
    """A map that stays in the store, and what a map laid over it costs."""
    with _Opened(work) as (collection, _):
        collection.project()
        begun = time.perf_counter()
        collection.project(refresh=True)
        return {"again_s": time.perf_counter() - begun}


def stored(data: Path, work: Path) -> Numbers:
    """The stored map back; a new row and a query placed on it."""
    from chroma_nb.projection import Projector

    held_out = np.load(work / "held_out.npy")
    with _Opened(work) as (collection, begun):
        collection.project()
        back = time.perf_counter()
        projector = Projector(collection._store, collection.id)
        shown = projector.stored()
        assert shown is not None
        times = []
        for query in held_out[:20]:
            started = time.perf_counter()
            projector.place(shown, query[None])
            times.append(time.perf_counter() - started)
        collection.add(ids=["new"], embeddings=held_out[:1])
        added = time.perf_counter()
        carried = projector.stored()
        carried_in = time.perf_counter() - added
        assert carried is not None
        assert len(carried.xy) == len(shown.xy) + 1
        collection.delete(ids=["new"])
    return {
        "stored_back_s": back - begun,
        "new_row_placed_s": carried_in,
        "query_placed_first_s": times[0],
        "query_placed_median_s": statistics.median(times),
    }


def placement(data: Path, work: Path) -> Numbers:
    """Held-out rows beside the places of their true neighbours, relative to `UMAP.transform`."""
    import umap

    from chroma_nb.projection import Projection, Projector

    rows, held_out = np.load(work / "rows.npy"), np.load(work / "held_out.npy")
    model = umap.UMAP(metric="cosine").fit(rows)
    theirs = model.transform(held_out)
    with _Opened(work) as (collection, _):
        snapshot = collection._store.snapshot(collection.id)
        shown = Projection(snapshot, model.embedding_.astype(np.float32), "umap", complete=True, fitted=len(rows))
        placed = Projector(collection._store, collection.id).place(shown, held_out)
        exact = collection.query(held_out, n_results=_K, include=[], exact=True)
    neighbours = exact.index.to_numpy().astype(np.int64).reshape(len(held_out), _K)
    means = [np.linalg.norm(shown.xy[neighbours] - at[:, None], axis=2).mean() for at in (placed, theirs)]
    return {"placement_ratio": float(means[0] / means[1])}


def quality(data: Path, work: Path) -> Numbers:
    """Trustworthiness@15 on a sample, and the share of each sampled row's 15 nearest that are near on the map."""
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    rows = np.load(work / "rows.npy")
    sample = np.random.default_rng(0).permutation(len(rows))[:_SAMPLE]
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    products = units[sample] @ units.T
    products[np.arange(len(sample)), sample] = -np.inf
    true = np.argpartition(-products, _K, axis=1)[:, :_K]
    found: Numbers = {}
    for path in sorted(work.glob("*.npy")):
        if path.stem in ("rows", "held_out"):
            continue
        xy = np.load(path)
        near = NearestNeighbors(n_neighbors=_K + 1).fit(xy).kneighbors(xy[sample], return_distance=False)[:, 1:]
        kept = [len(np.intersect1d(a, b)) / _K for a, b in zip(true, near, strict=True)]
        found[f"trust15_{path.stem}"] = float(
            trustworthiness(rows[sample], xy[sample], n_neighbors=_K, metric="cosine")
        )
        found[f"kept15_{path.stem}"] = float(np.mean(kept))
    return found


class _Opened:
    """The collection of a folder, and when its opening began: with the import of the library."""

    def __init__(self, work: Path, *, read_only: bool = False) -> None:
        self._work, self._read_only = work, read_only

    def __enter__(self) -> tuple[Collection, float]:
        begun = time.perf_counter()
        import chroma_nb

        self._client = chroma_nb.Client(self._work / "store", read_only=self._read_only)
        return self._client["map"], begun

    def __exit__(self, *error: Any) -> None:
        self._client.close()


MAP_STEPS: dict[str, Callable[[Path, Path], Numbers]] = {
    f"map_{step.__name__}": step for step in (prepare, default, ours, native, fast, quality, store, stored, placement)
}


# the comparison -----------------------------------------------------------------------------------


def run_step(name: str, data: Path, work: Path, extra: Mapping[str, str] | None = None) -> Numbers:
    """One of `MAP_STEPS` in a fresh process, with ``extra`` in its environment."""
    where = ("--data", str(data), "--work", str(work))
    return fresh.numbers("-m", "tests.benchmarks", "step", name, *where, extra=extra)


def compare_maps(data: Path, work: Path, sizes: Sequence[int], repeats: int) -> None:
    """Every size: cold and warm pictures, interleaved; then what is stored; then quality. Medians at the end."""
    results: dict[tuple[int, str], list[Numbers]] = {}

    def note(size: int, name: str, step: str, environment: Mapping[str, str]) -> None:
        numbers = run_step(f"map_{step}", data, work / str(size), environment)
        results.setdefault((size, name), []).append(numbers)
        print(f"{size:>8} {name:<14} {numbers}", flush=True)

    for size in sizes:
        (work / str(size)).mkdir(parents=True)
        note(size, "prepare", "prepare", {})
        for repeat in range(repeats):
            for step in ("default", "ours", "native", "fast"):
                cache = {"NUMBA_CACHE_DIR": str(work / f"numba-{size}-{repeat}-{step}")}
                note(size, f"{step} cold", step, cache)
                note(size, f"{step} warm", step, cache)
            note(size, "quality", "quality", {})
        note(size, "store", "store", cache)
        for _ in range(repeats):
            note(size, "stored", "stored", cache)
    note(sizes[0], "placement", "placement", {})
    print("\nmedians")
    for (size, name), runs in results.items():
        for number in runs[0]:
            median = statistics.median(one[number] for one in runs)
            print(f"{size:>8} {name:<14} {number:<24} {median:10.3f}")
