"""``client.sql``: collections as tables, and nothing but reading."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from chroma_nb.errors import SqlError
from tests.store.backend import dump, fresh_name
from tests.store.strategies import few, item_lists, texts

if TYPE_CHECKING:
    from pathlib import Path

    from chroma_nb import Client, Collection
    from tests.store.backend import Backend
    from tests.store.reference import Item


@pytest.fixture(params=["dense", "sparse"])
def docs(request: pytest.FixtureRequest, client: Client, monkeypatch: pytest.MonkeyPatch) -> Collection:
    if request.param == "sparse":
        monkeypatch.setattr("chroma_nb.store.schema._FEW_COLUMNS", 0)
        monkeypatch.setattr("chroma_nb.store.schema._DENSE_SHARE", 2.0)
    collection = client.create_collection("docs")
    collection.add(
        ids=["b", "a", "c", "gone"],
        documents=["first", None, "third", "x"],
        embeddings=[[1, 0], [0, 1], [1, 1], [9, 9]],
        metadatas=[
            {"lang": "en", "n": 1, "mixed": 1, "number": 1, "flag": True},
            {"lang": "fr", "n": 2, "mixed": "x", "number": 2.5},
            None,
            {"lang": "xx"},
        ],
    )
    collection.delete(ids=["gone"])
    collection.update(ids=["a"], embeddings=[[5, 5]])
    return collection


def test_a_collection_is_a_table_in_order_of_insertion(docs: Collection, client: Client) -> None:
    found = client.sql("select * from docs")
    assert list(found.columns) == ["id", "document", "lang", "n", "mixed", "number", "flag"]
    assert found["id"].tolist() == ["b", "a", "c"]
    assert found["document"].fillna("-").tolist() == ["first", "-", "third"]
    assert found["lang"].fillna("-").tolist() == ["en", "fr", "-"]
    assert found["mixed"].fillna("-").tolist() == ["1", "x", "-"]
    assert found["number"].fillna(0).tolist() == [1.0, 2.5, 0.0]
    assert found["flag"].tolist() == [True, pd.NA, pd.NA]
    assert [str(found[name].dtype) for name in ("id", "lang", "number", "flag")] == ["str", "str", "float64", "boolean"]
    assert "chroma_nb" not in found.attrs


def test_statements(docs: Collection, client: Client) -> None:
    assert client.sql("select lang, count(*) n from docs group by 1 order by 1 nulls last")["n"].tolist() == [1, 1, 1]
    assert client.sql("FROM DOCS WHERE Lang = 'fr'")["id"].tolist() == ["a"]
    assert client.sql("with t as (from docs) select max(n) m from t")["m"].tolist() == [2]
    assert client.sql("select 1 as one")["one"].tolist() == [1]
    assert client.sql("select 'a' where false").shape == (0, 1)
    assert "lang" in client.sql("describe docs")["column_name"].tolist()
    assert "lang" in client.sql("summarize docs")["column_name"].tolist()
    assert len(client.sql("explain select * from docs")) > 0
    assert client.sql("select id from docs;").shape == (3, 1)
    assert client.sql("-- a comment\nselect id from docs").shape == (3, 1)
    assert client.raw_sql("select id from docs").shape == client.raw_sql(raw_sql="select id from docs").shape == (3, 1)


def test_parameters(docs: Collection, client: Client) -> None:
    assert client.sql("select id from docs where lang = ?", ["fr"])["id"].tolist() == ["a"]
    assert client.sql("select id from docs where n > $1 and lang <> $2", (0, "fr"))["id"].tolist() == ["b"]
    for value in ("'; drop table docs; --", "\0", "😀", '"'):
        assert client.sql("select ? as v", [value])["v"].tolist() == [value]
    with pytest.raises(SqlError, match=r"(?i)parameter"):
        client.sql("select ? as v")
    with pytest.raises(SqlError, match=r"(?i)parameter"):
        client.sql("select 1 as v", [5])


def test_vectors(docs: Collection, client: Client) -> None:
    found = client.sql("select id, embedding from docs")
    assert [vector.tolist() for vector in found["embedding"]] == [[1, 0], [5, 5], [1, 1]]
    distances = client.sql(
        "select id, array_distance(embedding, ?::FLOAT[2]) as d from docs order by d limit 2", [[1.0, 0.0]]
    )
    assert distances["id"].tolist() == ["b", "c"]
    np.testing.assert_allclose(distances["d"], [0, 1])


def test_what_was_written_since_is_seen(docs: Collection, client: Client) -> None:
    docs.add(ids="new", embeddings=[7, 7], metadatas={"later": 1})
    assert client.sql("select id from docs where later = 1")["id"].tolist() == ["new"]
    docs.update(ids="new", metadatas={"lang": "de"})
    assert client.sql("select id, lang, later from docs where id = 'new'").iloc[0].fillna(0).tolist() == [
        "new",
        "de",
        0,
    ]
    docs.delete()
    assert client.sql("select * from docs").shape == (0, 8)
    docs.modify(name="renamed")
    assert client.sql("from renamed").shape == (0, 8)
    with pytest.raises(SqlError, match=r'(?s)docs does not exist.*Tables are the collections: "renamed"'):
        client.sql("from docs")


def test_joins_of_collections(docs: Collection, client: Client) -> None:
    other = client.create_collection("my-other.docs")
    other.add(ids=["a"], embeddings=[[1, 2, 3]], documents=["theirs"])
    found = client.sql('select docs.id, o.document, o.embedding as v from docs join "my-other.docs" o using (id)')
    assert found["document"].tolist() == ["theirs"]
    assert found["v"].iloc[0].tolist() == [1, 2, 3]


NAMES = [
    "select",
    "123",
    "my-docs",
    "a.b.c",
    "items",
    "rare",
    "vectors",
    "store",
    "main",
    "temp",
    "chroma_nb",
    "sparse_1",
    "items_1",
    "collections",
    "embeddings",
    "information_schema",
    "embedding",
    "document",
    "Docs",
    "chroma_nb_vectors_1",
    "system",
    "row",
    "pg_catalog",
]


def test_names_of_collections(client: Client) -> None:
    for size, name in enumerate(NAMES, start=1):
        collection = client.create_collection(name)
        collection.add(ids=["a"], embeddings=[np.ones(size)], documents=["x"], metadatas=[{name: 5}])
    for size, name in enumerate(NAMES, start=1):
        assert client.sql(f'select id from "{name}"')["id"].tolist() == ["a"]
        assert len(client.sql(f'select id, embedding from "{name}"')["embedding"].iloc[0]) == size
        assert client.sql(f'select * exclude (id) from "{name}"').shape == (1, 3 if "embedding" in name else 2)


KEYS = [
    "",
    " ",
    '"',
    "'",
    "a.b",
    "$.x",
    "a\0b",
    "\n",
    "😀",
    "ключ",
    "select",
    "id",
    "ID",
    "document",
    "embedding",
    "row",
    "slot",
    "c0",
    "metadata.id",
    "K",
    "k",
    "%",
    "x" * 300,
    "rare",
    "items",
]


@pytest.mark.parametrize("sparse", [False, True])
def test_any_metadata_key_is_a_column(client: Client, monkeypatch: pytest.MonkeyPatch, sparse: bool) -> None:
    if sparse:
        monkeypatch.setattr("chroma_nb.store.schema._FEW_COLUMNS", 0)
        monkeypatch.setattr("chroma_nb.store.schema._DENSE_SHARE", 2.0)
    collection = client.create_collection("docs")
    collection.add(ids="a", embeddings=[1.0], metadatas={key: n for n, key in enumerate(KEYS)})
    found = client.sql("select * from docs")
    assert found.shape == (1, 2 + len(KEYS))
    assert found.columns.is_unique
    assert found.iloc[0, 2:].tolist() == list(range(len(KEYS)))
    for key in ('"', "'", "a.b", "$.x", "😀", "%"):
        column = key.replace('"', '""')
        assert client.sql(f'select "{column}" as v from docs')["v"].tolist() == [KEYS.index(key)]


@few
@given(items=item_lists)
def test_the_table_of_anything(memory: Client, items: list[Item]) -> None:
    name = fresh_name()
    collection = memory.create_collection(name)
    collection.add(
        ids=[item.id for item in items],
        embeddings=[item.vector for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    found = memory.sql(f'select * exclude (embedding), embedding from "{name}"')
    assert found["id"].tolist() == [item.id for item in items]
    np.testing.assert_array_equal(np.stack(found["embedding"].tolist()), collection.embeddings())
    keys = list(dict.fromkeys(key for item in items for key in item.metadata))
    assert found.shape[1] == 3 + len(keys)
    for at, key in enumerate(keys):
        missing = [key not in item.metadata for item in items]
        assert found.iloc[:, 2 + at].isna().tolist() == missing
    old = memory.sql("select * from embeddings where collection_uuid = ?", [str(collection.id)])
    assert old["id"].tolist() == [item.id for item in items]
    memory.delete_collection(name)


def test_the_old_tables(client: Client) -> None:
    client.create_collection("plain", {"k": "v"}).add(
        ids=["a", "b"],
        embeddings=[[1, 2], [3, 4]],
        documents=["x", None],
        metadatas=[{"s": "it's", "n": 1, "f": 2.5, "b": True, 'q"': "\0"}, None],
    )
    client.create_collection("empty")
    collections = client.raw_sql("select * from collections order by name")
    assert collections["name"].tolist() == ["empty", "plain"]
    assert collections["metadata"].fillna("null").map(json.loads).tolist() == [None, {"k": "v"}]
    rows = client.raw_sql("select e.*, name from embeddings e join collections on uuid = collection_uuid order by id")
    assert rows["name"].tolist() == ["plain", "plain"]
    assert [vector.tolist() for vector in rows["embedding"]] == [[1, 2], [3, 4]]
    assert rows["document"].fillna("-").tolist() == ["x", "-"]
    assert json.loads(rows["metadata"].iloc[0]) == {"s": "it's", "n": 1, "f": 2.5, "b": True, 'q"': "\0"}


WRITING = [
    "insert into docs values ('x')",
    "update docs set lang = 'x'",
    "delete from docs",
    "drop view docs",
    "drop table store.chroma_nb.items_1",
    "delete from store.chroma_nb.items_1",
    "truncate store.chroma_nb.items_1",
    "create table t (i int)",
    "create temp table t (i int)",
    "create or replace view docs as select 1",
    "create macro f() as 1",
    "alter table store.chroma_nb.items_1 add column x int",
    "copy (select 1) to '{path}'",
    "copy docs to '{path}'",
    "export database '{path}'",
    "attach '{path}'",
    "detach store",
    "checkpoint",
    "vacuum",
    "begin",
    "commit",
    "rollback",
    "set threads = 1",
    "pragma threads = 1",
    "use memory",
    "load json",
    "install json",
    "call checkpoint()",
    "prepare p as select 1",
    "execute p",
    "explain analyze delete from store.chroma_nb.items_1",
    "explain analyze copy (select 1) to '{path}'",
    "EXPLAIN /* */ ANALYZE copy (select 1) to '{path}'",
    "explain (analyze) copy (select 1) to '{path}'",
    "with t as (delete from store.chroma_nb.items_1 returning *) select * from t",
    "select 1; select 2",
    "select 1; drop table store.chroma_nb.items_1",
    "select 1; copy (select 1) to '{path}'",
    "",
    ";",
    "-- nothing",
]


def test_nothing_is_written(backend: Backend, tmp_path: Path) -> None:
    client = backend.client
    client.create_collection("docs").add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"lang": "en"}])
    before = dump(client)
    files = sorted(tmp_path.iterdir())
    for statement in WRITING:
        with pytest.raises(
            SqlError, match=r"one statement that reads|read-only|Parser Error|Tables are the collections"
        ):
            client.sql(statement.replace("{path}", str(tmp_path / "written")))
        assert sorted(tmp_path.iterdir()) == files, statement
        assert dump(client) == before, statement
        assert client.sql("select lang from docs")["lang"].tolist() == ["en"], statement
    assert dump(backend.reopen()) == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("selec 1", "(?s)Parser Error.*Tables are the collections"),
        ("select nothing from docs", '(?s)"nothing" not found.*Tables are the collections: "docs"'),
        ("from nothing", '(?s)nothing does not exist.*Tables are the collections: "docs"'),
        ("select lang::int from docs", "(?s)Could not convert.*Tables are the collections"),
        ("select \ud800", "valid Unicode"),
        (5, "str"),
        (None, "str"),
        ("select 1 'a\0b'", "Tables are the collections"),
    ],
    ids=ascii,
)
def test_wrong_statements(client: Client, statement: Any, message: str) -> None:
    client.create_collection("docs").add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"lang": "en"}])
    with pytest.raises(SqlError, match=message):
        client.sql(statement)
    with pytest.raises(ValueError, match=message):
        client.sql(statement)
    assert client.sql("select lang from docs")["lang"].tolist() == ["en"]


def test_names_that_differ_in_case_only(client: Client) -> None:
    for name, count in (("docs", 1), ("Docs", 2)):
        client.create_collection(name).add(ids=[str(n) for n in range(count)], embeddings=np.ones((count, 2)))
    with pytest.raises(SqlError, match="SQL ignores case"):
        client.sql("select count(*) from docs")


def test_python_variables_are_no_tables(client: Client) -> None:
    frame = pd.DataFrame({"secret": [1]})
    assert len(frame) == 1
    with pytest.raises(SqlError, match="frame does not exist"):
        client.sql("select * from frame")


@given(text=texts)
@few
def test_any_text_comes_through(memory: Client, text: str) -> None:
    assert memory.sql("select ? as v", [text])["v"].tolist() == [text]


@pytest.mark.parametrize("value", [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -0.0, 2**63 - 1, -(2**63)])
def test_numbers_come_through(client: Client, value: float) -> None:
    client.create_collection("docs").add(ids="a", embeddings=[1.0], metadatas={"n": value})
    assert client.sql("select n from docs")["n"].tolist() == [value]
    assert client.raw_sql("select id from embeddings")["id"].tolist() == ["a"]
    assert len(client.raw_sql("select metadata from embeddings")) == 1


def test_show_tables(client: Client) -> None:
    for name in ("docs", "images"):
        client.create_collection(name)
    assert sorted(client.sql("show tables")["name"]) == ["docs", "images"]
