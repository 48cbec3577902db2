"""Any sequence of calls leaves the store as a plain Python model of it."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chroma_nb.errors import DuplicateIDWarning, IDNotFoundError
from chroma_nb.store import indexer, schema, search, writing

from .backend import Backend, exactly, fresh_name, items_in, items_of
from .reference import Item, distances, selected
from .strategies import DIMENSION, document_wheres, few, ids, item_lists, metadatas, texts, vectors, wheres

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chroma_nb import Collection

Selection = dict[str, Any]


def embed(documents: list[str]) -> list[list[float]]:
    """The embedding function of the machine: different for most texts, the same for equal ones."""
    return [[float(len(text)), float(sum(map(ord, text)) % 97), 1.0] for text in documents]


batches = st.lists(
    st.tuples(ids, st.none() | texts, st.none() | metadatas, vectors),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0],
)


class StoreMachine(RuleBasedStateMachine):
    """A collection and its model: the items by id, in order of insertion."""

    on_disk: ClassVar[bool] = False
    # Whether closing and opening again means anything.
    reopens: ClassVar[bool] = False
    # Whether thresholds are so low that compactions happen and graphs are built.
    low: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = tempfile.TemporaryDirectory() if self.on_disk else None
        if self.low:
            self.patch.setattr(writing, "COMPACT_SLOTS", 4)
            self.patch.setattr(writing, "COMPACT_SHARE", 0.2)
            lower_thresholds(self.patch)
        self.backend = self.opened()
        self.model: dict[str, Item] = {}

    def opened(self) -> Backend:
        """What is under test; `tests.contract` has other backends."""
        return Backend(None if self.folder is None else Path(self.folder.name))

    @initialize(
        space=st.sampled_from(["l2", "cosine", "ip"]),
        columns=st.sampled_from([64, 1, 0]),
        items=st.just([]) | item_lists,
    )
    def begin(self, space: str, columns: int, items: list[Item]) -> None:
        self.space = space
        self.patch.setattr(schema, "_FEW_COLUMNS", columns)
        if columns < 64:
            self.patch.setattr(schema, "_DENSE_SHARE", 2.0)
        self.name = fresh_name()
        self.collection: Collection = self.backend.client.create_collection(
            self.name, {"hnsw:space": space}, embedding_function=embed
        )
        if items:
            self.collection.add(
                ids=[item.id for item in items],
                embeddings=[item.vector for item in items],
                documents=[item.document for item in items],
                metadatas=[item.metadata or None for item in items],
            )
            self.model = {item.id: item for item in items}

    # writing ----------------------------------------------------------------------------------

    @rule(batch=batches, with_vectors=st.booleans(), with_documents=st.booleans(), with_metadata=st.booleans())
    def add(self, batch: Any, with_vectors: bool, with_documents: bool, with_metadata: bool) -> None:
        arguments, given = self._arguments(batch, with_vectors, with_documents, with_metadata, needed=True)
        known = [item.id for item in given if item.id in self.model]
        if known:
            with pytest.warns(DuplicateIDWarning, match=f"{len(known)} of the ids exist already"):
                self.collection.add(**arguments)
        else:
            self.collection.add(**arguments)
        for item in given:
            self.model.setdefault(item.id, item)

    @rule(
        batch=batches,
        with_vectors=st.booleans(),
        with_documents=st.booleans(),
        with_metadata=st.booleans(),
        merge=st.booleans(),
    )
    def upsert(self, batch: Any, with_vectors: bool, with_documents: bool, with_metadata: bool, merge: bool) -> None:
        arguments, given = self._arguments(batch, with_vectors, with_documents, with_metadata, needed=True)
        self.collection.upsert(**arguments, merge=merge)
        self._change(arguments, given, merge)

    @precondition(lambda self: self.model)
    @rule(
        batch=batches,
        data=st.data(),
        with_vectors=st.booleans(),
        with_documents=st.booleans(),
        with_metadata=st.booleans(),
        merge=st.booleans(),
    )
    def update(
        self,
        batch: Any,
        data: st.DataObject,
        with_vectors: bool,
        with_documents: bool,
        with_metadata: bool,
        merge: bool,
    ) -> None:
        known = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True, min_size=1, max_size=len(batch)))
        batch = [(id_, *row[1:]) for id_, row in zip(known, batch, strict=False)]
        arguments, given = self._arguments(batch, with_vectors, with_documents, with_metadata, needed=False)
        self.collection.update(**arguments, merge=merge)
        self._change(arguments, given, merge)

    @rule(
        batch=batches,
        with_vectors=st.booleans(),
        with_documents=st.booleans(),
        with_metadata=st.booleans(),
        merge=st.booleans(),
    )
    def update_of_missing_ids(
        self, batch: Any, with_vectors: bool, with_documents: bool, with_metadata: bool, merge: bool
    ) -> None:
        missing = [row for row in batch if row[0] not in self.model]
        if not missing:
            return
        arguments, _ = self._arguments(batch, with_vectors, with_documents, with_metadata, needed=False)
        with pytest.raises(IDNotFoundError, match=f"Could not find {len(missing)} items for update"):
            self.collection.update(**arguments, merge=merge)

    def _arguments(
        self, batch: Any, with_vectors: bool, with_documents: bool, with_metadata: bool, *, needed: bool
    ) -> tuple[dict[str, Any], list[Item]]:
        """Arguments of a call, and the items as they would be if all were new."""
        ids_, documents, metadatas_, vectors_ = map(list, zip(*batch, strict=True))
        if needed and not (with_documents and None not in documents):
            with_vectors = True
        arguments = {
            "ids": ids_,
            "documents": documents if with_documents else None,
            "metadatas": metadatas_ if with_metadata else None,
            "embeddings": vectors_ if with_vectors else None,
        }
        items = [
            Item(
                id_,
                document if with_documents else None,
                dict(metadata or {}) if with_metadata else {},
                vector if with_vectors else self._embedded(document if with_documents else None),
            )
            for id_, document, metadata, vector in batch
        ]
        return arguments, items

    @staticmethod
    def _embedded(document: str | None) -> tuple[float, ...]:
        return () if document is None else tuple(embed([document])[0])

    def _change(self, arguments: dict[str, Any], given: Sequence[Item], merge: bool) -> None:
        metadatas_ = arguments["metadatas"] or [None] * len(given)
        for item, metadata in zip(given, metadatas_, strict=True):
            old = self.model.get(item.id)
            if old is None:
                self.model[item.id] = item
                continue
            kept = old.metadata if metadata is None or merge else {}
            self.model[item.id] = Item(
                item.id,
                old.document if item.document is None else item.document,
                {**kept, **(metadata or {})},
                item.vector or old.vector,
            )

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        chosen = data.draw(self._selections())
        if not any(chosen.values()) and chosen["ids"] is None:
            chosen = {"ids": None, "where": None, "where_document": None}
        self.collection.delete(**chosen)
        for item in selected(self.model.values(), **chosen):
            del self.model[item.id]

    @precondition(lambda self: len(self.model) > 3)
    @rule(data=st.data())
    def delete_most(self, data: st.DataObject) -> None:
        kept = data.draw(st.sets(st.sampled_from(sorted(self.model)), max_size=3))
        self.collection.delete(ids=[id_ for id_ in self.model if id_ not in kept])
        self.model = {id_: item for id_, item in self.model.items() if id_ in kept}

    @rule(with_name=st.booleans(), metadata=st.none() | metadatas)
    def modify(self, with_name: bool, metadata: Any) -> None:
        if metadata is not None and any(key.startswith("hnsw:") for key in metadata):
            metadata = {"k": 1}
        name = fresh_name() if with_name else None
        before = self.collection.metadata
        self.collection.modify(name=name, metadata=metadata)
        self.name = name or self.name
        assert self.collection.name == self.name
        assert self.collection.metadata == (before if metadata is None else metadata)
        found = self.backend.client.get_collection(self.name)
        assert (found.id, found.metadata) == (self.collection.id, self.collection.metadata)

    @rule()
    def create_index(self) -> None:
        self.collection.create_index()

    @precondition(lambda self: self.on_disk or self.reopens)
    @rule(persist=st.booleans())
    def reopen(self, persist: bool) -> None:
        if persist and self.backend.path is not None:
            self.backend.client.persist()
        before = self.collection.get()
        client = self.backend.reopen()
        self.collection = client.get_collection(self.name, embedding_function=embed)
        after = self.collection.get()
        # Dtypes and the order of columns too.
        assert list(after.columns) == list(before.columns)
        assert after.dtypes.tolist() == before.dtypes.tolist()

    # reading ----------------------------------------------------------------------------------

    def _selections(self) -> st.SearchStrategy[Selection]:
        known = list(self.model.values())
        asked = st.lists(st.sampled_from([*self.model, "unknown"]) | ids, unique=True, max_size=8)
        return st.one_of(
            st.fixed_dictionaries({"ids": asked, "where": st.none(), "where_document": st.none()}),
            st.fixed_dictionaries({"ids": st.none(), "where": wheres(known), "where_document": st.none()}),
            st.fixed_dictionaries({"ids": st.none(), "where": st.none(), "where_document": document_wheres(known)}),
            st.fixed_dictionaries(
                {"ids": st.none() | asked, "where": wheres(known), "where_document": document_wheres(known)}
            ),
        )

    @rule(data=st.data(), limit=st.none() | st.integers(0, 12), offset=st.none() | st.integers(0, 12))
    def get(self, data: st.DataObject, limit: int | None, offset: int | None) -> None:
        chosen = data.draw(self._selections())
        expected = selected(self.model.values(), **chosen)[offset or 0 :][:limit]
        frame = self.collection.get(
            **chosen, limit=limit, offset=offset, include=["documents", "metadatas", "embeddings"]
        )
        assert [exactly(item) for item in items_of(frame)] == [exactly(item) for item in expected]
        assert frame.dtypes.drop("embedding").tolist() == self.collection.get().dtypes.tolist()

    @rule(
        data=st.data(),
        queries=st.lists(vectors, min_size=1, max_size=3),
        n_results=st.integers(1, 40),
        exact=st.booleans(),
    )
    def query(self, data: st.DataObject, queries: list[Any], n_results: int, exact: bool) -> None:
        nothing = {"ids": None, "where": None, "where_document": None}
        chosen = data.draw(st.just(nothing) | self._selections())
        allowed = selected(self.model.values(), **chosen)
        hits = self.collection.query(
            queries,
            n_results=n_results,
            include=["documents", "metadatas", "embeddings", "distances"],
            exact=exact,
            **chosen,
        )
        exactly_found = exact or not self.low
        for number, query in enumerate(queries):
            part = hits[hits["query"] == number]
            assert len(part) == min(n_results, len(allowed))
            assert part["rank"].tolist() == list(range(len(part)))
            assert part.index.is_unique
            found = items_of(part)
            assert {item.id for item in found} <= {item.id for item in allowed}
            assert all(exactly(item) == exactly(self.model[item.id]) for item in found)
            self._check_distances(part["distance"].to_numpy(), found, allowed, query, exactly_found)

    def _check_distances(
        self, got: Any, found: list[Item], allowed: list[Item], query: Any, exactly_found: bool
    ) -> None:
        if not found:
            return
        true = distances(self.space, [item.vector for item in found], query)
        scale = max(float(np.square(np.asarray(item.vector, dtype=np.float64)).sum()) for item in allowed)
        scale += float(np.square(np.asarray(query, dtype=np.float64)).sum())
        np.testing.assert_allclose(got, true, rtol=1e-9, atol=1e-9 if self.space == "cosine" else 1e-12 * scale)
        assert (np.diff(got) >= 0).all()
        if exactly_found:
            everything = distances(self.space, [item.vector for item in allowed], query)
            best = np.sort(everything)[: len(found)]
            # What rounding in float32 may confuse, and only where more items than n_results + 8 compete.
            slack = 1e-5 if self.space == "cosine" else 1e-5 * (scale + 1)
            np.testing.assert_allclose(got, best, rtol=1e-9, atol=slack)
            order = np.argsort(everything, kind="stable")
            apart = np.diff(everything[order], prepend=-np.inf, append=np.inf)
            for rank, item in enumerate(found):
                if min(apart[rank], apart[rank + 1]) > 2 * slack:
                    assert item.id == allowed[order[rank]].id

    @rule(limit=st.integers(0, 12))
    def peek(self, limit: int) -> None:
        expected = [item.without_vector() for item in self.model.values()][:limit]
        assert [exactly(item) for item in items_of(self.collection.peek(limit))] == [exactly(i) for i in expected]

    @rule()
    def sql(self) -> None:
        found = self.backend.client.sql(f'select id, document from "{self.name}"')
        documents = [
            None if missing else text for missing, text in zip(found.document.isna(), found.document, strict=True)
        ]
        assert found["id"].tolist() == list(self.model)
        assert documents == [item.document for item in self.model.values()]

    @invariant()
    def is_as_the_model_says(self) -> None:
        if not hasattr(self, "collection"):
            return
        assert self.collection.count() == len(self.collection) == len(self.model)
        assert [exactly(item) for item in items_in(self.collection)] == [exactly(item) for item in self.model.values()]
        # Everything is found, and nothing that is gone.
        for n_results in (len(self.model) + 3, 2):
            hits = self.collection.query([1.0, 0.5, -1.0], n_results=n_results, include=["distances"])
            assert len(hits) == min(n_results, len(self.model))
            assert set(hits.index) <= set(self.model)
            assert hits.index.is_unique

    def teardown(self) -> None:
        self.backend.close()
        self.patch.undo()
        if self.folder is not None:
            self.folder.cleanup()


def lower_thresholds(patch: pytest.MonkeyPatch) -> None:
    """Graphs for collections of more than 5 items, and no way round them but ``exact=True``."""
    patch.setattr(search, "EXACT_ELEMENTS", 5 * DIMENSION)
    patch.setattr(search, "EXACT_SURVIVORS", 2)
    patch.setattr(search, "_MANY_SURVIVORS", 2)
    patch.setattr(indexer, "_SLACK_SLOTS", 3)
    patch.setattr(indexer, "_SMALL_BATCH", 4)


class MemoryMachine(StoreMachine):
    pass


class DiskMachine(StoreMachine):
    on_disk = True


class LowMemoryMachine(StoreMachine):
    low = True


class LowDiskMachine(StoreMachine):
    on_disk = True
    low = True


@pytest.mark.parametrize("machine", [MemoryMachine, DiskMachine, LowMemoryMachine, LowDiskMachine])
def test_any_sequence_of_calls(machine: type[StoreMachine]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_state_machine_as_test(machine, settings=few)
