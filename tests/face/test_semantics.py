"""The level of behaviour kept (DESIGN, section 6), and what collections and clients promise."""

from __future__ import annotations

import html
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from chroma_nb import Client, Collection, EphemeralClient, PersistentClient, Settings
from chroma_nb.errors import (
    ClosedStoreError,
    CollectionNotFoundError,
    DuplicateIDWarning,
    EmbeddingFunctionError,
    InvalidArgumentError,
    NotSupportedError,
    ReadOnlyStoreError,
    StoreError,
)
from chroma_nb.store import indexer, search
from chroma_nb.types import Selection
from tests.store.backend import Backend, dump, exactly, items_in
from tests.store.reference import Item

if TYPE_CHECKING:
    from pathlib import Path


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


@pytest.fixture
def docs(client: Client) -> Collection:
    collection = client.create_collection("docs", embedding_function=embed)
    collection.add(
        ids=["b", "a", "c"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        documents=["first", "second", None],
        metadatas=[{"n": 1, "lang": "en"}, {"n": 2.0, "lang": "fr"}, None],
    )
    return collection


def ids(collection: Collection, **selection: Any) -> list[str]:
    return collection.get(**selection).index.tolist()


# selections -----------------------------------------------------------------------------------


def test_an_id_that_is_deleted_twice_counts_once(disk: Backend) -> None:
    docs = disk.client.create_collection("docs")
    docs.add(ids=["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]])
    assert docs._store.delete(docs.id, Selection(ids=["b", "a", "b"])) == 2
    assert (docs.count(), docs.get().index.tolist()) == (1, ["c"])
    assert disk.reopen()["docs"].count() == 1


def test_delete_without_conditions_deletes_all(docs: Collection) -> None:
    docs.delete()
    assert docs.count() == 0


@pytest.mark.parametrize(
    "nothing", [{"where": {}}, {"where_document": {}}, {"ids": None}, {"where": {}, "where_document": {}}]
)
def test_empty_filters_are_no_filters(docs: Collection, nothing: dict[str, Any]) -> None:
    assert ids(docs, **nothing) == ["b", "a", "c"]
    assert len(docs.query([1, 0], **nothing)) == 3
    docs.delete(**nothing)
    assert docs.count() == 0


@pytest.mark.parametrize("empty", [[], (), np.array([], dtype=str), pd.Index([]), pd.Series([], dtype="str")])
def test_an_empty_list_of_ids_selects_nothing(docs: Collection, empty: Any) -> None:
    assert ids(docs, ids=empty) == []
    assert ids(docs, ids=empty, where={"n": 1}) == []
    assert len(docs.query([1, 0], ids=empty)) == 0
    assert docs.embeddings(empty).shape == (0, 2)
    docs.delete(ids=empty)
    docs.delete(empty, where={"n": 1})
    assert docs.count() == 3


def test_conditions_are_anded(docs: Collection) -> None:
    assert ids(docs, ids=["a", "b"], where={"lang": "en"}, where_document={"$contains": "first"}) == ["b"]
    assert ids(docs, ids=["a"], where={"lang": "en"}) == []
    docs.delete(ids=["a", "b"], where={"lang": "en"}, where_document={"$contains": "second"})
    assert docs.count() == 3
    docs.delete(ids=["a", "b", "unknown"], where={"lang": "en"})
    assert ids(docs) == ["a", "c"]


def test_get_keeps_the_order_asked_for(docs: Collection) -> None:
    assert ids(docs) == ["b", "a", "c"]
    assert ids(docs, ids=["c", "unknown", "b", "a"]) == ["c", "b", "a"]
    assert ids(docs, ids=["c", "a", "b"], where={"n": {"$gt": 0}}) == ["a", "b"]
    assert ids(docs, ids=["c", "b", "a"], limit=2) == ["c", "b"]
    assert ids(docs, ids=["c", "b", "a"], offset=1) == ["b", "a"]
    assert docs.embeddings(["c", "b"]).tolist() == [[1, 1], [1, 0]]


def test_limit_and_offset_come_after_the_filters(docs: Collection) -> None:
    assert ids(docs, limit=0) == ids(docs, offset=3) == ids(docs, offset=99) == []
    assert ids(docs, limit=2) == ["b", "a"]
    assert ids(docs, limit=1, offset=1) == ["a"]
    assert ids(docs, where={"n": {"$gt": 0}}, offset=1) == ["a"]
    assert ids(docs, limit=np.int64(1)) == ["b"]
    assert ids(docs, limit=10**30, offset=10**30) == []
    assert docs.peek().index.tolist() == ["b", "a", "c"]
    assert docs.peek(1).index.tolist() == ["b"]


def test_peek_shows_ten(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(ids=[str(n) for n in range(20)], embeddings=np.ones((20, 2)))
    assert collection.peek().index.tolist() == [str(n) for n in range(10)]


def test_filters_of_present_day_idioms(docs: Collection) -> None:
    assert ids(docs, where={"n": {"$in": [1, 2]}}) == ["b", "a"]
    assert ids(docs, where={"n": {"$nin": [1]}}) == ["a"]
    assert ids(docs, where={"n": {"$ne": 1}}) == ["a"]
    assert ids(docs, where={"lang": {"$regex": "^e"}}) == ["b"]
    assert ids(docs, where_document={"$not_contains": "first"}) == ["a"]
    assert ids(docs, where_document={"$regex": "^s.*d$"}) == ["a"]
    assert ids(docs, where={"n": 2}) == ids(docs, where={"n": 2.0}) == ids(docs, where={"n": np.float32(2)}) == ["a"]
    assert ids(docs, where={"n": "2"}) == []


# writing --------------------------------------------------------------------------------------


def test_add_skips_existing_ids_and_says_so(docs: Collection) -> None:
    before = items_in(docs)
    with pytest.warns(
        DuplicateIDWarning, match="2 of the ids exist already and were skipped: 'b', 'a'.*upsert"
    ) as caught:
        docs.add(ids=["b", "new", "a"], embeddings=[[9, 9]] * 3, metadatas=[{"n": 9}] * 3)
    assert caught[0].filename == __file__
    assert items_in(docs) == [*before, Item("new", None, {"n": 9}, (9.0, 9.0))]
    with pytest.warns(DuplicateIDWarning, match="3 of the ids"):
        docs.add(ids=["b", "a", "c"], embeddings=[[9, 9]] * 3)
    assert items_in(docs)[:3] == before


def test_skipped_documents_are_not_embedded(client: Client) -> None:
    seen: list[str] = []

    def listening(texts: list[str]) -> list[list[float]]:
        seen.extend(texts)
        return embed(texts)

    collection = client.create_collection("docs", embedding_function=listening)
    collection.add(ids="a", documents="old")
    with pytest.warns(DuplicateIDWarning, match="1 of the ids"):
        collection.add(ids=["a", "b"], documents=["again", "new"])
    collection.add(ids="c", documents="given", embeddings=[5, 5])
    collection.update(ids=["a", "b"], documents=["changed", None])
    assert seen == ["old", "new", "changed"]


def test_metadata_is_replaced_or_merged(docs: Collection) -> None:
    docs.update(ids=["b"], metadatas=[{"lang": "de"}])
    assert items_in(docs, ids="b")[0].metadata == {"lang": "de"}
    docs.update(ids=["b"], metadatas=[{"n": "text"}], merge=True)
    assert items_in(docs, ids="b")[0].metadata == {"lang": "de", "n": "text"}
    docs.upsert(ids=["b"], embeddings=[[1, 0]], metadatas=[{"x": True}])
    assert items_in(docs, ids="b")[0].metadata == {"x": True}
    docs.upsert(ids=["b", "d"], embeddings=[[1, 0]] * 2, metadatas=[{"y": 1}] * 2, merge=True)
    assert items_in(docs, ids="b")[0].metadata == {"x": True, "y": 1}
    assert items_in(docs, ids="d")[0].metadata == {"y": 1}


def test_what_is_not_given_stays(docs: Collection) -> None:
    before = {item.id: item for item in items_in(docs)}
    docs.update(ids=["b", "a"], metadatas=[None, {"n": 5}])
    docs.update(ids=["b", "a"], documents=[None, "other"], embeddings=[[7, 7], [8, 8]])
    docs.update(ids=["c"])
    docs.update()
    after = {item.id: item for item in items_in(docs)}
    assert exactly(after["b"]) == exactly(Item("b", "first", before["b"].metadata, (7.0, 7.0)))
    assert exactly(after["a"]) == exactly(Item("a", "other", {"n": 5}, (8.0, 8.0)))
    assert exactly(after["c"]) == exactly(before["c"])
    docs.upsert(ids=["b"], documents=["text"])
    assert exactly(items_in(docs, ids="b")[0]) == exactly(Item("b", "text", before["b"].metadata, (4.0, 1.0)))


def test_new_documents_are_embedded_again(docs: Collection) -> None:
    docs.update(ids=["b", "a"], documents=["12345", None])
    assert docs.embeddings(["b", "a"]).tolist() == [[5, 1], [0, 1]]
    assert docs.query(query_texts="12345", n_results=1).index.tolist() == ["b"]
    assert docs.query(["12345"], n_results=1)["distance"].tolist() == [0.0]


def test_items_keep_their_place(docs: Collection) -> None:
    docs.update(ids=["c", "b"], embeddings=[[5, 5], [6, 6]], documents=["x", "y"])
    docs.upsert(ids=["new", "a"], embeddings=[[5, 5], [6, 6]])
    assert ids(docs) == ["b", "a", "c", "new"]
    docs.delete(ids="a")
    docs.add(ids="a", embeddings=[1, 2])
    assert ids(docs) == ["b", "c", "new", "a"]


def test_an_emptied_collection_keeps_its_dimension_and_forgets_its_items(docs: Collection) -> None:
    docs.delete()
    with pytest.raises(InvalidArgumentError, match=r"Dimensionality of \(3\) does not match"):
        docs.add(ids="a", embeddings=[1, 2, 3])
    docs.add(ids="a", embeddings=[1, 2])
    assert items_in(docs) == [Item("a", None, {}, (1.0, 2.0))]


def test_metadata_of_any_plain_kind(client: Client) -> None:
    collection = client.create_collection("docs")
    values = [True, False, 0, -1, 2**63 - 1, -(2**63), 0.0, -0.0, 1e308, 5e-324, float("inf"), "", "\0", "😀"]
    collection.add(
        ids=[str(n) for n in range(len(values))],
        embeddings=np.ones((len(values), 1)),
        metadatas=[{"v": v} for v in values],
    )
    assert [repr(item.metadata["v"]) for item in items_in(collection)] == [repr(value) for value in values]


def test_single_values_are_taken_for_lists_of_one(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add("a", [1.0, 2.0], {"k": 1}, "text")
    collection.add(ids="b", embeddings=(1, 2))
    assert items_in(collection, ids="a") == [Item("a", "text", {"k": 1}, (1.0, 2.0))]
    assert collection.query([1, 2]).index.tolist() == ["a", "b"]
    collection.delete("a")
    assert ids(collection) == ["b"]


def test_empty_and_strange_texts_are_ids(client: Client) -> None:
    strange = ["", " ", "\0", "\n", "'", '"', "%", "_", "😀", "\u00e9", "e\u0301", "a" * 10_000, "null", "1"]
    collection = client.create_collection("docs")
    collection.add(ids=strange, embeddings=np.ones((len(strange), 2)), documents=strange)
    assert ids(collection) == strange
    for id_ in strange:
        assert items_in(collection, ids=id_) == [Item(id_, id_, {}, (1.0, 1.0))]
    collection.delete(strange[::2])
    assert ids(collection) == strange[1::2]


def test_increment_index_and_create_index_change_nothing_that_is_seen(docs: Collection, client: Client) -> None:
    docs.add(ids="d", embeddings=[1, 0], increment_index=False)
    assert docs.query([1, 0], n_results=2).index.tolist() == ["b", "d"]
    docs.upsert(ids="e", embeddings=[1, 0], increment_index=False)
    assert client.create_index("docs") is True
    docs.create_index()
    assert docs.query([1, 0], n_results=3).index.tolist() == ["b", "d", "e"]


def test_distances_of_each_space(client: Client) -> None:
    for space, synonyms, expected in (
        ("l2", ("euclidean", "L2"), [0.0, 13.0]),
        ("cosine", ("Cosine",), [0.0, 1 - 3 / 34**0.5]),
        ("ip", ("dot", "inner_product"), [-1.0, -2.0]),
    ):
        for number, name in enumerate((space, *synonyms)):
            collection = client.create_collection(f"{space}-{number}", {"hnsw:space": name})
            collection.add(ids=["a", "b"], embeddings=[[1, 1], [4, -1]])
            hits = collection.query([1, 1], n_results=2)
            found = dict(zip(hits.index, hits["distance"], strict=True))
            np.testing.assert_allclose([found["a"], found["b"]], expected, atol=1e-12)
            assert client.list_collections().loc[f"{space}-{number}", "space"] == space


def test_index_settings_in_either_spelling(client: Client) -> None:
    collection = client.create_collection("old", {"hnsw:space": "ip", "hnsw:M": "32", "hnsw:search_ef": 20.0})
    assert collection.metadata == {"hnsw:space": "ip", "hnsw:M": "32", "hnsw:search_ef": 20.0}
    client.create_collection("new", configuration={"hnsw": {"space": "cosine", "max_neighbors": 32}})
    client.create_collection("none", configuration=None)
    client.create_collection("empty", configuration={"hnsw": {}})
    assert client.list_collections()["space"].tolist() == ["ip", "cosine", "l2", "l2"]


# collections ----------------------------------------------------------------------------------


def test_get_or_create(client: Client) -> None:
    first = client.get_or_create_collection("docs", {"k": 1})
    first.add(ids="a", embeddings=[1, 2])
    assert client.get_or_create_collection("docs").metadata == {"k": 1}
    assert client.get_or_create_collection("docs", {"k": 1}).metadata == {"k": 1}
    replaced = client.create_collection("docs", {"l": 2}, get_or_create=True)
    assert replaced == first
    assert replaced.metadata == {"l": 2}
    assert client.get_collection("docs").metadata == {"l": 2}
    assert client.count_collections() == 1
    assert replaced.count() == 1


def test_get_or_create_keeps_the_space(client: Client) -> None:
    client.create_collection("docs", {"hnsw:space": "cosine"}).add(ids="a", embeddings=[2, 0])
    again = client.get_or_create_collection("docs", {"other": 1})
    assert again.query([1, 0])["distance"].tolist() == [0.0]
    assert client.list_collections()["space"].tolist() == ["cosine"]


def test_modify(client: Client) -> None:
    collection = client.create_collection("docs", {"k": 1})
    other_handle = client.get_collection("docs")
    collection.modify()
    assert (collection.name, collection.metadata) == ("docs", {"k": 1})
    collection.modify(metadata={"l": True})
    assert (collection.name, collection.metadata) == ("docs", {"l": True})
    collection.modify(name="new-name")
    assert (collection.name, collection.metadata) == ("new-name", {"l": True})
    collection.metadata["l"] = False  # type: ignore[index] # a copy
    assert collection.metadata == {"l": True}
    other_handle.add(ids="a", embeddings=[1, 2])  # goes by identity, not by name
    assert client.get_collection("new-name").count() == 1
    assert "docs" not in client
    client.create_collection("docs")
    assert client.get_collection("docs").count() == 0


def test_deleted_and_made_again(backend: Backend) -> None:
    client = backend.client
    client.create_collection("docs").add(ids="a", embeddings=[1, 2], metadatas={"k": 1}, documents="x")
    old = client.get_collection("docs").id
    client.delete_collection("docs")
    again = client.create_collection("docs")
    assert again.id != old
    assert again.count() == 0
    assert list(again.get().columns) == ["document"]
    again.add(ids="a", embeddings=[1, 2, 3])
    client = backend.reopen()
    assert items_in(client.get_collection("docs")) == [Item("a", None, {}, (1.0, 2.0, 3.0))]
    if backend.path is not None:
        assert len(list((backend.path / "vectors").iterdir())) == 1


def test_list_collections(client: Client) -> None:
    empty = client.list_collections()
    assert empty.index.name == "name"
    columns = ["id", "count", "dimension", "space", "metadata", "metadata_keys", "embedding_function"]
    assert list(empty.columns) == columns
    assert len(empty) == 0
    made = client.create_collection("zzz", {"k": 1}, embedding_function=embed)
    made.add(ids=["a", "b"], embeddings=np.eye(2), metadatas=[{"x": 1}, {"y": "t", "x": 2}])
    client.create_collection("aaa")
    listed = client.list_collections()
    assert listed.index.tolist() == ["zzz", "aaa"]
    assert listed.dtypes.tolist() == empty.dtypes.tolist()
    row = listed.loc["zzz"]
    assert [row["id"], row["count"], row["dimension"], row["space"]] == [str(made.id), 2, 2, "l2"]
    assert [row["metadata"], row["metadata_keys"], row["embedding_function"]] == [{"k": 1}, ["x", "y"], "embed"]
    assert listed.loc["aaa", "dimension"] is pd.NA
    assert listed.loc["aaa", "metadata"] is None
    assert client.list_collections(limit=1).index.tolist() == ["zzz"]
    assert client.list_collections(offset=1).index.tolist() == ["aaa"]
    assert len(client.list_collections(limit=0)) == 0


def test_finding_collections(client: Client) -> None:
    made = client.create_collection("docs")
    assert client["docs"] == client.get_collection("docs") == made
    assert client.get_collection_by_id(made.id) == client.get_collection_by_id(str(made.id)) == made
    assert hash(client["docs"]) == hash(made)
    assert made != client.create_collection("other")
    assert made != "docs"
    assert "docs" in client
    assert 5 not in client
    assert client._ipython_key_completions_() == ["docs", "other"]
    assert bool(made)
    assert len(made) == 0


def test_heartbeat_version_and_sizes(client: Client) -> None:
    before = time.time_ns()
    assert before <= client.heartbeat() <= time.time_ns()
    assert client.get_version() == chroma_nb.__version__
    assert client.get_max_batch_size() >= 41_666
    assert isinstance(client.get_settings(), Settings)
    assert (client.tenant, client.database) == ("default_tenant", "default_database")


def test_reset(backend: Backend) -> None:
    for name in ("one", "two"):
        backend.client.create_collection(name).add(ids="a", embeddings=[1, 2])
    assert backend.client.reset() is True
    assert backend.client.count_collections() == 0
    assert backend.reopen().count_collections() == 0
    assert backend.client.create_collection("one").count() == 0


def test_representations(client: Client, docs: Collection) -> None:
    assert repr(docs) == "Collection(name=docs)"
    assert repr(client).startswith("Client('")
    assert "docs" in client._repr_html_()
    card = docs._repr_html_()
    assert "3 items" in card
    assert "2 dimensions" in card
    docs.add(ids="x", embeddings=[1, 2], metadatas={"<script>": 1})
    assert "<script>" not in docs._repr_html_()
    assert html.escape("<script>") in docs._repr_html_()
    client.delete_collection("docs")
    assert "was deleted" in docs._repr_html_()


# embedding functions --------------------------------------------------------------------------


def test_the_name_of_the_function_is_kept(backend: Backend) -> None:
    collection = backend.client.create_collection("docs", embedding_function=embed)
    collection.add(ids="a", documents="four")
    client = backend.reopen()
    assert client.list_collections()["embedding_function"].tolist() == ["embed"]
    with pytest.raises(EmbeddingFunctionError, match="'embed', which cannot be rebuilt"):
        client.get_collection("docs").query("text")
    assert client.get_collection("docs", embedding_function=embed).query("four")["distance"].tolist() == [0.0]
    assert client.get_collection("docs").query([4, 1]).index.tolist() == ["a"]


def test_the_function_is_recorded_when_first_used(client: Client) -> None:
    client.create_collection("docs").add(ids="a", embeddings=[1, 2])
    collection = client.get_collection("docs", embedding_function=embed)
    assert collection.query("x").index.tolist() == ["a"]
    assert client.list_collections()["embedding_function"].isna().tolist() == [True]
    collection.add(ids="b", documents="text")
    assert client.list_collections()["embedding_function"].tolist() == ["embed"]


# clients --------------------------------------------------------------------------------------


def test_clients_in_memory_are_isolated() -> None:
    with Client() as first, Client() as second, EphemeralClient() as third, Client(Settings()) as fourth:
        first.create_collection("docs")
        for other in (second, third, fourth):
            assert other.count_collections() == 0
            other.create_collection("docs")
        first.reset()
        assert second.count_collections() == 1
        with pytest.raises(NotSupportedError, match="in memory: there is nothing to persist"):
            first.persist()


def test_settings_of_both_generations(tmp_path: Path) -> None:
    clients = [
        Client(Settings(chroma_db_impl="duckdb+parquet", persist_directory=str(tmp_path / "a"))),
        Client(Settings(is_persistent=True, persist_directory=str(tmp_path / "b"))),
        Client(tmp_path / "c"),
        Client(str(tmp_path / "d")),
        Client(path=tmp_path / "e"),
        PersistentClient(tmp_path / "f"),
        PersistentClient(str(tmp_path / "g"), Settings(anonymized_telemetry=False)),
    ]
    for client in clients:
        client.create_collection("docs").add(ids="a", embeddings=[1, 2])
        assert client.persist() is True
        client.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcdefg")
    for name in "abcdefg":
        with Client(tmp_path / name) as client:
            assert client["docs"].count() == 1


def test_two_clients_on_one_directory_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Client(tmp_path / "db") as first, Client("db") as second, PersistentClient("./x/../db") as third:
        collection = first.create_collection("docs")
        second["docs"].add(ids="a", embeddings=[1, 2])
        assert collection.count() == third["docs"].count() == 1
        assert collection == second["docs"]
        third.delete_collection("docs")
        with pytest.raises(CollectionNotFoundError, match="deleted"):
            collection.count()


def test_closing_one_of_two_clients_leaves_the_other(tmp_path: Path) -> None:
    first, second = Client(tmp_path), Client(tmp_path)
    docs = second.create_collection("docs")
    first.close()
    docs.add(ids="a", embeddings=[1, 2])
    assert docs.count() == 1
    second.close()
    with pytest.raises(ClosedStoreError, match="This client was closed"):
        docs.count()
    with Client(tmp_path) as third:
        assert third["docs"].count() == 1


def test_close_ends_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EXACT_ELEMENTS", 10)
    monkeypatch.setattr(indexer, "_SMALL_BATCH", 1)
    before = set(threading.enumerate())
    with Client(tmp_path) as client:
        client.create_collection("docs").add(
            ids=[str(n) for n in range(300)], embeddings=np.random.default_rng(1).normal(size=(300, 8))
        )
    assert not [thread for thread in set(threading.enumerate()) - before if "chroma" in thread.name]
    assert not list(tmp_path.rglob("*.tmp"))


def test_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(tmp_path / "db") as writer:
        collection = writer.create_collection("docs", embedding_function=embed)
        collection.add(ids=["a", "b"], embeddings=np.eye(2), documents=["x", "y"], metadatas=[{"k": 1}, {"k": 2}])
        before = dump(writer)
        with pytest.raises(InvalidArgumentError, match="already open for writing"):
            Client(tmp_path / "db", read_only=True)
    files = {path: path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file()}
    monkeypatch.setattr(search, "EXACT_ELEMENTS", 1)
    with Client(tmp_path / "db", read_only=True) as reader:
        assert dump(reader) == before
        docs = reader.get_collection("docs", embedding_function=embed)
        assert docs.query([1, 0], where={"k": 2}).index.tolist() == ["b"]
        assert docs.query("x").shape[0] == 2
        assert reader.sql("select id from docs")["id"].tolist() == ["a", "b"]
        calls: list[Any] = [
            lambda: docs.add(ids="c", embeddings=[1, 2]),
            lambda: docs.add(ids="c", documents="x"),
            lambda: docs.update(ids="a", documents="z"),
            lambda: docs.upsert(ids="a", embeddings=[1, 2]),
            docs.delete,
            lambda: docs.delete(ids=["a"]),
            lambda: docs.modify(name="new-name"),
            lambda: reader.create_collection("new"),
            lambda: reader.get_or_create_collection("new"),
            lambda: reader.get_or_create_collection("docs", {"k": 1}),
            lambda: reader.delete_collection("docs"),
            reader.reset,
            reader.persist,
        ]
        for call in calls:
            with pytest.raises(ReadOnlyStoreError, match="opened with read_only=True"):
                call()
        assert docs.name == "docs"
        assert dump(reader) == before
        with pytest.raises(InvalidArgumentError, match="already open for reading only"):
            Client(tmp_path / "db")
        time.sleep(0.1)  # a graph, if one were built, would be saved by now
    assert {path: path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file()} == files
    with pytest.raises(ReadOnlyStoreError, match="holds no store to read"):
        Client(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"is a file. A store is a directory"):
        Client(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("name", ["with space", "it's", 'quo"te', "ünïcode-😀", "a;b", "--", "%", "$HOME"])
def test_any_path(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        with Client(tmp_path / name) as client:
            client.get_or_create_collection("docs").upsert(ids="a", embeddings=[1, 2])
            assert client["docs"].count() == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.sep == "\\", reason="there a backslash separates directories")
def test_a_path_with_a_backslash(tmp_path: Path) -> None:
    # DuckDB cannot open a file there: said plainly, and nothing is left behind.
    with pytest.raises(StoreError, match="backslash"):
        Client(tmp_path / "a\\b")
    assert list(tmp_path.iterdir()) == []


def test_everything_is_there_after_opening_again(backend: Backend) -> None:
    collection = backend.client.create_collection("docs", {"hnsw:space": "cosine", "k": "v"}, embedding_function=embed)
    rng = np.random.default_rng(3)
    numbers = [*(float(x) for x in rng.normal(size=3000) * 10.0 ** rng.integers(-300, 300, 3000)), -0.0, 5e-324, 1e308]
    count = len(numbers)
    collection.add(
        ids=[str(n) for n in range(count)],
        embeddings=rng.normal(size=(count, 2)),
        documents=[None if n % 3 else f"text {n}" for n in range(count)],
        metadatas=[{"f": number, "n": n, "b": n % 2 == 0} for n, number in enumerate(numbers)],
    )
    collection.delete(where={"n": {"$lt": 1000}})
    before = dump(backend.client)
    assert dump(backend.reopen()) == before
    if backend.path is not None:
        backend.client.persist()
        assert dump(backend.reopen()) == before


def test_nothing_warns(backend: Backend) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collection = backend.client.create_collection("docs", embedding_function=embed)
        collection.add(ids=["a", "b"], documents=["x", "y"])
        collection.upsert(ids=["b", "c"], documents=["x", "y"])
        collection.query(["x", "y"])
        backend.reopen()
