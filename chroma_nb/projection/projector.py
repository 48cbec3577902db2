"""Maps of one collection: the stored one, a quick one, a new one."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from chroma_nb.errors import InvalidArgumentError, NotFoundError, ReadOnlyStoreError, StoreError, suggest
from chroma_nb.projection.alignment import aligned
from chroma_nb.projection.engines import check_engine, fit
from chroma_nb.projection.pca import pca
from chroma_nb.projection.picture import Projection, Stage, Watch
from chroma_nb.projection.placing import beside
from chroma_nb.store.protocol import Snapshot, Store
from chroma_nb.types import Matrix, StoredLayout

_log = logging.getLogger(__name__)

METHODS = ("umap", "pca")
# With fewer items there are no neighbourhoods to be drawn.
_FEWEST = 10
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Projector:
    """Makes the maps of a collection, and keeps the fitted ones in the store.

    Args:
        store: where the collection is.
        collection_id: of the collection.
        method: "umap" or "pca".
        n_neighbors: how many neighbours UMAP looks at, the item itself included: few show detail, many the whole.
        min_dist: how close neighbours may come on the map, 0 to 1.
        engine: what draws a UMAP: "umap" (umap-learn), "native" (ours, quick to start) or "fastumap".
        seed: makes maps of equal data equal, with one thread; None: faster.

    Raises:
        InvalidArgumentError: what is wrong with which argument.

    >>> import chroma_nb
    >>> client = chroma_nb.Client()
    >>> docs = client.create_collection("docs")
    >>> docs.add(ids=["a", "b", "c"], embeddings=[[0, 0], [1, 0], [5, 0]])
    >>> Projector(client._store, docs.id, "pca").pca().xy.tolist()
    [[-2.0, 0.0], [-1.0, 0.0], [3.0, 0.0]]
    """

    def __init__(
        self,
        store: Store,
        collection_id: uuid.UUID,
        method: str = "umap",
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        engine: str = "umap",
        seed: int | None = None,
    ) -> None:
        self.method = check_method(method)
        self._store, self._collection = store, collection_id
        self._n_neighbors = _whole(n_neighbors, "n_neighbors", 2, 1000)
        self._min_dist = _share(min_dist)
        self._engine = check_engine(engine)
        self._seed = None if seed is None else _whole(seed, "seed", 0, 2**32 - 1)

    @property
    def parameters(self) -> dict[str, Any]:
        """What a stored map is recorded with."""
        return {
            "engine": self._engine,
            "n_neighbors": self._n_neighbors,
            "min_dist": self._min_dist,
            "seed": self._seed,
        }

    @property
    def key(self) -> str:
        """Under which the map is stored: maps of other parameters are other maps."""
        return "/".join([self.method, *(f"{name}={value}" for name, value in self.parameters.items())])

    def stored(self) -> Projection | None:
        """The stored map with new items placed and deleted ones gone.

        None if there is none, or if fewer than half of the items were there when it was made.
        """
        return self._stored(self._store.snapshot(self._collection))

    def _stored(self, snapshot: Snapshot) -> Projection | None:
        layout = None if self.method == "pca" or len(snapshot) == 0 else snapshot.layout(self.key)
        if layout is None:
            return None
        new = np.flatnonzero(~np.isfinite(layout.xy).all(axis=1))
        if 2 * len(new) > len(snapshot):
            return None
        xy = layout.xy
        if len(new):
            xy = xy.copy()
            xy[new] = beside(snapshot, layout.xy, snapshot.vectors(new))
        return Projection(snapshot, xy, layout.method, complete=True, fitted=len(xy) - len(new))

    def pca(self) -> Projection:
        """Two principal components, quickly."""
        return _pca(self._store.snapshot(self._collection))

    def run(
        self, progress: Callable[[Stage], None] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Projection:
        """A new map, begun from the stored one (or from the PCA), laid over it, and stored.

        Args:
            progress: told of every step.
            cancelled: asked between steps whether to end.

        Returns:
            The map. Cancelled during the epochs, the map so far: not ``complete``, and not stored.

        Raises:
            ProjectionCancelled: cancelled before the epochs.
            MissingDependencyError: the engine is not installed.
        """
        watch = Watch(progress or _unheard, cancelled or _never)
        watch.check()
        snapshot = self._store.snapshot(self._collection)
        if self.method == "pca" or len(snapshot) < _FEWEST:
            return _pca(snapshot)
        # A seed promises the same map whatever was stored before.
        old = None if self._seed is not None else self._stored(snapshot)
        start = old or _pca(snapshot)
        neighbours, distances = snapshot.neighbours(
            self._n_neighbors, watch.steps("neighbours"), indexing=watch.steps("index")
        )
        xy = fit(self._engine, neighbours, distances, start.xy, min_dist=self._min_dist, seed=self._seed, watch=watch)
        xy = aligned(xy, start.xy, scale=old is not None)
        made = Projection(snapshot, xy, self.method, complete=watch.complete, fitted=len(xy))
        if made.complete:
            self._save(made)
        return made

    def place(self, projection: Projection, vectors: Matrix) -> Matrix:
        """Where vectors (m, dim) - queries, new items - would lie on a map, float32 (m, 2).

        Raises:
            InvalidDimensionError: the vectors have another dimension than the collection.
        """
        return beside(projection.snapshot, projection.xy, vectors)

    def _save(self, made: Projection) -> None:
        layout = StoredLayout(made.xy, made.method, self.parameters, made.fitted)
        try:
            made.snapshot.save_layout(self.key, layout)
        except ReadOnlyStoreError:
            _log.debug("the map is not stored: the store is open for reading only")
        except (StoreError, NotFoundError) as error:
            # The map itself is there to be seen.
            _log.warning("the map could not be stored and will be computed again: %s", error)


def check_method(method: object) -> str:
    """The name of a method; InvalidArgumentError if it is none.

    >>> check_method("pca")
    'pca'
    """
    if isinstance(method, str) and method in METHODS:
        return method
    raise InvalidArgumentError(f"Unknown method {method!r}.{suggest(method, METHODS)}")


def _pca(snapshot: Snapshot) -> Projection:
    xy = pca(snapshot.vectors, len(snapshot), snapshot.info.dimension or 0)
    if len(xy) > 1 and not np.ptp(xy, axis=0).any():
        xy = _seeds(len(xy))
    return Projection(snapshot, xy, "pca", complete=True, fitted=len(xy))


def _seeds(count: int) -> Matrix:
    """Equal items, arranged like the seeds of a sunflower: all can be seen, and none is far."""
    numbers = np.arange(count)
    radius, angle = np.sqrt(numbers), numbers * _GOLDEN_ANGLE
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise InvalidArgumentError(f"Expected {name} to be an integer from {least} to {most}, got {value!r}")
    return int(value)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= float(value) <= 1:
        raise InvalidArgumentError(f"Expected min_dist to be a number from 0 to 1, got {value!r}")
    return float(value)


def _unheard(stage: Stage) -> None:
    """Progress that nobody looks at."""


def _never() -> bool:
    """Nobody can cancel."""
    return False
