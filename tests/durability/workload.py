"""Random writes as a function of (seed, step, state), and the plain Python model that says what they must do."""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import chroma_nb
from chroma_nb.errors import DuplicateIDWarning
from chroma_nb.types import BoolArray, Matrix, Metric, Selection

NAME = "docs"
_UNIVERSE = 6000
_LARGEST_BATCH = 2000
_KINDS = ("add", "update", "upsert", "delete", "index")

# Small enough that a few hundred items get a graph that is saved, loaded and extended, that the
# vectors are compacted, that most metadata keys are sparse, and that there are files of columns, often written.
THRESHOLDS = {
    "chroma_nb.store.search.EXACT_ELEMENTS": 4000,
    "chroma_nb.store.search.EXACT_SURVIVORS": 20,
    "chroma_nb.store.indexer._SLACK_SLOTS": 50,
    "chroma_nb.store.writing.COMPACT_SLOTS": 200,
    "chroma_nb.store.writing.COMPACT_ROWS": 64,
    "chroma_nb.store.schema._FEW_COLUMNS": 4,
    "chroma_nb.store.schema.CHUNK": 512,
    "chroma_nb.store.columns.CHUNK": 512,
    "chroma_nb.store.columns._FEW": 30,
    "chroma_nb.store.columns.PAUSE": 0.01,
}


@dataclass(frozen=True, eq=False)
class Item:
    """What the store must say about one id."""

    vector: Matrix
    document: str | None
    metadata: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Item)
            and (self.document, self.metadata) == (other.document, other.metadata)
            and bool(np.array_equal(self.vector, other.vector))
        )

    __hash__ = None  # type: ignore[assignment] # compared, never looked up


@dataclass(frozen=True)
class Operation:
    """One call on a collection; None stands for "not given"."""

    kind: str
    ids: list[str] | None = None
    vectors: Matrix | None = None
    documents: list[str] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    merge: bool = False
    where: dict[str, Any] | None = None

    def run(self, collection: chroma_nb.Collection) -> None:
        """Make the call."""
        columns: dict[str, Any] = {
            "embeddings": self.vectors,
            "documents": self.documents,
            "metadatas": self.metadatas,
        }
        if self.kind == "add":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DuplicateIDWarning)
                collection.add(self.ids, **columns)
        elif self.kind == "delete":
            collection.delete(self.ids, where=self.where)
        elif self.kind in ("update", "upsert"):
            getattr(collection, self.kind)(self.ids, merge=self.merge, **columns)
        else:
            collection.create_index()


@dataclass(eq=False)
class Model:
    """The items of a collection, in order of insertion."""

    items: dict[str, Item] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and list(self.items.items()) == list(other.items.items())

    __hash__ = None  # type: ignore[assignment] # compared, never looked up

    def after(self, operation: Operation) -> Model:
        """The state that the operation leads to."""
        items = dict(self.items)
        if operation.kind == "delete":
            for id_ in self._selected(operation):
                del items[id_]
        elif operation.kind != "index":
            for position, id_ in enumerate(operation.ids or []):
                old = items.get(id_)
                if old is None:
                    items[id_] = _new_item(operation, position)
                elif operation.kind != "add":
                    items[id_] = _changed_item(old, operation, position)
        return Model(items)

    def _selected(self, operation: Operation) -> list[str]:
        chosen = self.items if operation.ids is None else [id_ for id_ in operation.ids if id_ in self.items]
        where = operation.where or {}
        return [id_ for id_ in chosen if all(self.items[id_].metadata.get(k) == v for k, v in where.items())]

    def nearest(self, metric: Metric, query: Matrix, k: int, chosen: BoolArray | None = None) -> pd.Series[float]:
        """Distances of the k nearest by id, closest first, computed without the store's help."""
        distances = pd.Series(brute_force(metric, self.matrix(), query), index=list(self.items), dtype=float)
        return (distances if chosen is None else distances[chosen]).sort_values(kind="stable").head(k)

    def matrix(self) -> Matrix:
        """All vectors, (n, dim)."""
        return np.stack([item.vector for item in self.items.values()]) if self.items else np.empty((0, 0), np.float32)


def brute_force(metric: Metric, vectors: Matrix, query: Matrix) -> Any:
    """Distances in float64, float64 (n,)."""
    x, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric is Metric.L2:
        return ((x - q) ** 2).sum(axis=1)
    if metric is Metric.IP:
        return 1 - x @ q
    return 1 - (x @ q) / (np.linalg.norm(x, axis=1) * np.linalg.norm(q))


def _new_item(operation: Operation, position: int) -> Item:
    assert operation.vectors is not None
    document = None if operation.documents is None else operation.documents[position]
    metadata = None if operation.metadatas is None else operation.metadatas[position]
    return Item(operation.vectors[position], document, metadata or {})


def _changed_item(old: Item, operation: Operation, position: int) -> Item:
    metadata = None if operation.metadatas is None else operation.metadatas[position]
    if metadata is None:
        metadata = old.metadata
    elif operation.merge:
        metadata = old.metadata | metadata
    return Item(
        old.vector if operation.vectors is None else operation.vectors[position],
        old.document if operation.documents is None else operation.documents[position],
        metadata,
    )


def make_operation(seed: int, step: int, model: Model, emphasis: str, dimension: int) -> Operation:
    """The operation of that step: the same wherever and whenever it is made."""
    rng = np.random.default_rng([seed, step])
    kind = emphasis if rng.random() < 0.6 else str(rng.choice(_KINDS))
    if len(model.items) < 100 and kind in ("update", "delete"):
        kind = "add"
    size = int(np.exp(rng.uniform(0, np.log(_LARGEST_BATCH))))
    if kind == "index":
        return Operation(kind)
    if kind == "delete":
        return _deletion(rng, model, size)
    existing = list(model.items)
    if kind == "update":
        ids = _sample(rng, existing, size)
    else:
        ids = _sample(rng, [f"item-{number}" for number in range(_UNIVERSE)], size)
    vectors = rng.standard_normal((len(ids), dimension)).astype(np.float32)
    documents = [f"text {step} {id_}" for id_ in ids] if rng.random() < 0.7 else None
    metadatas = [_metadata(rng) for _ in ids] if rng.random() < 0.8 else None
    if kind == "update" and documents is None and rng.random() < 0.5:
        metadatas = metadatas or [_metadata(rng) for _ in ids]
        return Operation(kind, ids, None, None, metadatas, merge=bool(rng.random() < 0.5))
    return Operation(kind, ids, vectors, documents, metadatas, merge=kind != "add" and bool(rng.random() < 0.5))


def _deletion(rng: np.random.Generator, model: Model, size: int) -> Operation:
    way = rng.random()
    if way < 0.03:
        return Operation("delete")
    if way < 0.5:
        return Operation("delete", where={"group": int(rng.integers(5))})
    return Operation("delete", _sample(rng, [*model.items, "unknown"], size))


def _sample(rng: np.random.Generator, names: Sequence[str], size: int) -> list[str]:
    return [names[at] for at in rng.choice(len(names), min(size, len(names)), replace=False)]


def _metadata(rng: np.random.Generator) -> dict[str, Any] | None:
    if rng.random() < 0.1:
        return None
    found: dict[str, Any] = {"group": int(rng.integers(5)), "label": f"l{rng.integers(100)}"}
    if rng.random() < 0.5:
        found["score"] = float(rng.standard_normal())
    if rng.random() < 0.05:
        makers: list[Callable[[], Any]] = [lambda: "text", lambda: int(rng.integers(9)), lambda: 0.5, lambda: True]
        found[f"rare{rng.integers(20)}"] = makers[int(rng.integers(4))]()
    return found


def read(client: chroma_nb.Client, name: str = NAME) -> Model:
    """Everything the store says about a collection."""
    store = client._store
    everything = frozenset({"documents", "metadatas", "embeddings"})
    records = store.get(store.collection(name).id, Selection(), everything)
    assert records.metadata is not None
    assert records.documents is not None
    assert records.embeddings is not None
    ids = records.ids.to_pylist()
    assert len(set(ids)) == len(ids) == client[name].count(), "ids are unique and counted right"
    metadatas: list[dict[str, Any]] = [{} for _ in ids]
    for key, kinds in records.metadata.items():
        for at, value in itertools.chain.from_iterable(enumerate(column.to_pylist()) for column in kinds.values()):
            if value is not None:
                assert key not in metadatas[at], f"{ids[at]} has two values for {key}"
                metadatas[at][key] = value
    rows = zip(records.embeddings, records.documents.to_pylist(), metadatas, strict=True)
    return Model({id_: Item(*row) for id_, row in zip(ids, rows, strict=True)})


def set_threshold(name: str, value: float) -> None:
    """Set a constant by its dotted name, outside of a test."""
    module, _, attribute = name.rpartition(".")
    loaded = importlib.import_module(module)
    assert hasattr(loaded, attribute), name
    setattr(loaded, attribute, value)
