"""Frames in, frames out, and in again: nothing is lost, added or changed on the way."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from chroma_nb.columns import column_of, key_of
from chroma_nb.errors import ColumnNotFoundError, DuplicateIDError, InvalidArgumentError
from tests.store.backend import exactly, fresh_name, items_in, items_of
from tests.store.reference import Item
from tests.store.strategies import few, int64, item_lists, stored_keys, texts, values, vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from chroma_nb import Client, Collection

# Without the stubs: they know few of the combinations that pandas takes.
array: Any = pd.array
STR = pd.StringDtype("pyarrow", na_value=np.nan)
FIXED = ("id", "document", "embedding", "query", "rank", "distance")
EVERYTHING = ["documents", "metadatas", "embeddings"]


def exact(items: list[Item]) -> list[Any]:
    return [exactly(item) for item in items]


def new(client: Client) -> Collection:
    return client.create_collection(fresh_name(), embedding_function=None)


def keys_of(items: list[Item]) -> list[str]:
    return list(dict.fromkeys(key for item in items for key in item.metadata))


# round trips ----------------------------------------------------------------------------------


@given(items=item_lists, missing=st.sampled_from([None, math.nan, pd.NA]), as_index=st.booleans())
def test_pandas_round_trip_of_anything(memory: Client, items: list[Item], missing: object, as_index: bool) -> None:
    """Columns of Python objects, values of several types in one column included."""
    keys = keys_of(items)
    cells = {column_of(key): array([item.metadata.get(key, missing) for item in items], dtype=object) for key in keys}
    frame = pd.DataFrame(
        {"document": array([item.document for item in items], dtype=object), **cells},
        index=pd.Index([item.id for item in items], dtype=object, name="id"),
    )
    if not as_index:
        frame = frame.reset_index()
    before = frame.copy(deep=True)
    first = new(memory)
    first.add(frame, embeddings=[item.vector for item in items])
    assert_frame_equal(frame, before)
    assert exact(items_in(first)) == exact(items)
    out = first.get(include=EVERYTHING)
    assert list(out.columns) == ["document", *map(column_of, keys), "embedding"]

    second = new(memory)
    second.add(out)
    assert exact(items_in(second)) == exact(items)
    again = second.get(include=EVERYTHING)
    assert_frame_equal(again.drop(columns="embedding"), out.drop(columns="embedding"))
    for collection in (first, second):
        memory.delete_collection(collection.name)


KINDS: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "int": int64,
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
}
ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
POLARS = {"str": pl.String, "int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
NULLABLE = {"str": "string", "int": "Int64", "float": "Float64", "bool": "boolean"}


@st.composite
def typed_items(draw: st.DrawFn) -> tuple[list[Item], dict[str, str]]:
    """Items whose values of one key are all of one type, and those types."""
    kinds = draw(st.dictionaries(stored_keys, st.sampled_from(sorted(KINDS)), max_size=4))
    ids = draw(st.lists(texts, unique=True, min_size=1, max_size=8))
    items = []
    for id_ in ids:
        cells = {key: draw(st.none() | KINDS[kind]) for key, kind in kinds.items()}
        metadata = {key: value for key, value in cells.items() if value is not None}
        items.append(Item(id_, draw(st.none() | texts), metadata, draw(vectors)))
    return items, kinds


def as_arrow(items: list[Item], kinds: dict[str, str]) -> pa.Table:
    columns = {
        "id": pa.array([item.id for item in items], pa.string()),
        "document": pa.array([item.document for item in items], pa.string()),
        "embedding": pa.array([item.vector for item in items], pa.list_(pa.float32(), 3)),
    }
    cells = {column_of(k): pa.array([item.metadata.get(k) for item in items], ARROW[kind]) for k, kind in kinds.items()}
    return pa.table(columns | cells)


def as_chunked_arrow(items: list[Item], kinds: dict[str, str]) -> pa.Table:
    parts = [as_arrow([item], kinds) for item in items]
    return pa.concat_tables([*parts, parts[0].slice(0, 0)])


def as_large_arrow(items: list[Item], kinds: dict[str, str]) -> pa.Table:
    table = as_arrow(items, kinds)
    large = {pa.string(): pa.large_string()}
    fields = [pa.field(f.name, large.get(f.type, f.type)) for f in table.schema]
    fields[2] = pa.field("embedding", pa.large_list(pa.float64()))
    return table.cast(pa.schema(fields))


def as_record_batch(items: list[Item], kinds: dict[str, str]) -> pa.RecordBatch:
    return as_arrow(items, kinds).combine_chunks().to_batches()[0]


def as_polars(items: list[Item], kinds: dict[str, str]) -> pl.DataFrame:
    columns = {
        "id": pl.Series([item.id for item in items], dtype=pl.String),
        "document": pl.Series([item.document for item in items], dtype=pl.String),
        "embedding": pl.Series([list(item.vector) for item in items], dtype=pl.Array(pl.Float32, 3)),
    }
    cells = {
        column_of(k): pl.Series([item.metadata.get(k) for item in items], dtype=POLARS[kind])
        for k, kind in kinds.items()
    }
    return pl.DataFrame(columns | cells)


def as_polars_lists(items: list[Item], kinds: dict[str, str]) -> pl.DataFrame:
    return as_polars(items, kinds).with_columns(pl.col("embedding").cast(pl.List(pl.Float64)))


def as_nullable_pandas(items: list[Item], kinds: dict[str, str]) -> pd.DataFrame:
    cells = {
        column_of(k): array([item.metadata.get(k, pd.NA) for item in items], dtype=NULLABLE[kind])
        for k, kind in kinds.items()
    }
    document = array([item.document if item.document is not None else pd.NA for item in items], dtype="string")
    index = pd.Index([item.id for item in items])
    frame = pd.DataFrame({"document": document, **cells}, index=index)
    # Not through the constructor: a row of cells each of which is an array.
    return frame.assign(embedding=pd.Series([np.array(item.vector) for item in items], index=index, dtype=object))


def as_arrow_pandas(items: list[Item], kinds: dict[str, str]) -> pd.DataFrame:
    made: pd.DataFrame = as_arrow(items, kinds).to_pandas(types_mapper=pd.ArrowDtype)
    return made


@pytest.mark.parametrize(
    "build",
    [
        as_arrow,
        as_chunked_arrow,
        as_large_arrow,
        as_record_batch,
        as_polars,
        as_polars_lists,
        as_nullable_pandas,
        as_arrow_pandas,
    ],
)
@few
@given(case=typed_items())
@example(case=([Item(id="a", document=None, metadata={"\0": 1}, vector=(0.0, 0.0, 0.0))], {"\0": "int"}))
def test_round_trip_of_typed_columns(memory: Client, build: Callable[..., Any], case: Any) -> None:
    items, kinds = case
    collection = new(memory)
    collection.add(build(items, kinds))
    assert exact(items_in(collection)) == exact(items)
    out = collection.get(include=EVERYTHING)
    upserted = new(memory)
    upserted.upsert(out)
    upserted.update(out)
    assert exact(items_in(upserted)) == exact(items)
    present = {key: kind for key, kind in kinds.items() if any(key in item.metadata for item in items)}
    assert list(out.columns) == ["document", *map(column_of, present), "embedding"]
    for key, kind in present.items():
        full = all(key in item.metadata for item in items)
        expected = {"str": STR, "int": np.dtype("int64") if full else pd.Int64Dtype(), "float": np.dtype("float64")}
        assert out[column_of(key)].dtype == expected.get(kind, pd.BooleanDtype())
    for made in (collection, upserted):
        memory.delete_collection(made.name)


@few
@given(items=item_lists)
def test_round_trip_through_polars_and_arrow(memory: Client, items: list[Item]) -> None:
    """A result handed to another library and back; mixed columns cannot go that way, and are left out."""
    collection = new(memory)
    collection.add(
        ids=[item.id for item in items],
        embeddings=[item.vector for item in items],
        documents=[item.document for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    out = collection.get()
    typed = out.loc[:, [dtype != "object" for dtype in out.dtypes]].reset_index(
        names="id" if "id" not in out.columns else None
    )
    expected = exact(items_of(typed.set_index("id")))
    table = pa.Table.from_pandas(typed, preserve_index=False)
    # pl.from_pandas would rename an empty column.
    for frame in (table, pl.DataFrame({name: table[name].to_pylist() for name in table.column_names})):
        other = new(memory)
        other.add(frame, embeddings=[[1.0]] * len(items))
        assert exact(items_of(other.get())) == expected
        memory.delete_collection(other.name)
    memory.delete_collection(collection.name)


# what frames look like ------------------------------------------------------------------------


def test_columns_of_results_in_order(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["x"], metadatas=[{"z": 1, "a": "t"}])
    collection.add(ids=["b"], embeddings=[[1, 3]], metadatas=[{"m": True, "z": 2}])
    got, hits = collection.get(), collection.query([[1, 2], [1, 3]])
    assert got.index.name == hits.index.name == "id"
    assert list(got.columns) == ["document", "z", "a", "m"]
    assert list(hits.columns) == ["query", "rank", "distance", "document", "z", "a", "m"]
    assert hits["query"].tolist() == [0, 0, 1, 1]
    assert hits["rank"].tolist() == [0, 1, 0, 1]
    assert list(collection.peek(1).columns) == list(got.columns)
    assert [str(hits[name].dtype) for name in ("query", "rank", "distance")] == ["int64", "int64", "float64"]


@pytest.mark.parametrize(
    ("include", "columns"),
    [
        ([], []),
        (["documents"], ["document"]),
        (["metadatas"], ["k"]),
        (["embeddings"], ["embedding"]),
        (["embeddings", "metadatas", "documents"], ["document", "k", "embedding"]),
        ({"documents"}, ["document"]),
        (("metadatas",), ["k"]),
    ],
)
def test_include_chooses_columns(client: Client, include: Any, columns: list[str]) -> None:
    collection = client.create_collection("docs")
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["x"], metadatas=[{"k": 1}])
    assert list(collection.get(include=include).columns) == columns
    assert list(collection.query([1, 2], include=include).columns) == ["query", "rank", *columns]
    with_distance = collection.query([1, 2], include=[*include, "distances"])
    assert list(with_distance.columns) == ["query", "rank", "distance", *columns]


@pytest.mark.parametrize("sparse", [False, True])
def test_dtypes_are_the_same_in_every_result(client: Client, monkeypatch: pytest.MonkeyPatch, sparse: bool) -> None:
    if sparse:
        monkeypatch.setattr("chroma_nb.store.schema._FEW_COLUMNS", 0)
        monkeypatch.setattr("chroma_nb.store.schema._DENSE_SHARE", 2.0)
    collection = client.create_collection("docs")
    full = {"int": 1, "float": 1.5, "str": "x", "bool": True, "mixed": "text"}
    part = {"int gap": 1, "float gap": 1.5, "str gap": "x", "bool gap": True}
    collection.add(
        ids=["a", "b", "c"],
        embeddings=np.eye(3),
        documents=["x", "y", "z"],
        metadatas=[full | part, full | {"mixed": 1}, full | {"mixed": True}],
    )
    frame = collection.get()
    expected = {
        "document": "str",
        "int": "Int64" if sparse else "int64",
        "float": "float64",
        "str": "str",
        "bool": "boolean",
        "mixed": "object",
        "int gap": "Int64",
        "float gap": "float64",
        "str gap": "str",
        "bool gap": "boolean",
    }
    found = {column: str(dtype) for column, dtype in frame.dtypes.items()}
    assert {**expected, "int": found["int"]} == found
    assert found["int"] in ("int64", "Int64")
    if not sparse:
        assert found["int"] == "int64"
    selections: list[dict[str, Any]] = [
        {"ids": "a"},
        {"ids": ["b"]},
        {"ids": []},
        {"ids": "unknown"},
        {"where": {"mixed": "text"}},
        {"where": {"mixed": 1}},
        {"where": {"str": "nothing"}},
        {"where_document": {"$contains": "y"}},
    ]
    for selection in selections:
        assert_dtypes(collection.get(**selection), frame)
        hits = collection.query([0, 0, 0], **selection)
        assert_dtypes(hits.drop(columns=["query", "rank", "distance"]), frame)
        assert [str(hits[name].dtype) for name in ("query", "rank", "distance")] == ["int64", "int64", "float64"]
    assert_dtypes(collection.get(limit=0), frame)
    assert_dtypes(collection.get(offset=100), frame)
    assert_dtypes(collection.peek(0), frame)
    assert collection.get(ids=[]).index.dtype == frame.index.dtype == STR


def assert_dtypes(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(got.columns) == list(expected.columns)
    assert got.dtypes.tolist() == expected.dtypes.tolist()
    assert got.index.dtype == expected.index.dtype


def test_results_can_be_written_to(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(
        ids=["a", "b"], embeddings=np.eye(2), documents=["x", "y"], metadatas=[{"i": 1, "f": 1.5, "b": True}] * 2
    )
    for frame in (collection.get(include=EVERYTHING), collection.query([1, 0])):
        frame.loc["a", "i"] = 7
        frame.loc["a", "f"] = 7.5
        frame.loc["a", "b"] = False
        frame.loc["a", "document"] = "new"
        assert [frame[name].iloc[0] for name in ("i", "f", "b", "document")] == [7, 7.5, False, "new"]
    matrix = collection.embeddings()
    matrix[:] = 5
    collection.get(include=["embeddings"])["embedding"].iloc[0][:] = 9
    np.testing.assert_array_equal(collection.embeddings(), np.eye(2))
    assert collection.get(ids="a")["i"].tolist() == [1]


def test_attrs_say_where_a_result_comes_from(client: Client) -> None:
    collection = client.create_collection("docs", {"hnsw:space": "cosine"})
    collection.add(ids=["a"], embeddings=[[1, 2]])
    assert collection.get().attrs == {"chroma_nb": {"collection": "docs", "call": "get"}}
    assert collection.peek().attrs == {"chroma_nb": {"collection": "docs", "call": "peek"}}
    assert collection.query([1, 2]).attrs == {"chroma_nb": {"collection": "docs", "call": "query", "space": "cosine"}}


def test_results_are_plain_frames(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(ids=["a"], embeddings=[[1, 2]])
    for frame in (collection.get(), collection.peek(), collection.query([1, 2]), client.list_collections()):
        assert type(frame) is pd.DataFrame


# names of columns -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", FIXED)
@pytest.mark.parametrize("prefixes", [0, 1, 2])
def test_keys_named_like_a_fixed_column_get_a_prefix(client: Client, key: str, prefixes: int) -> None:
    key = "metadata." * prefixes + key
    collection = client.create_collection("docs")
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["text"], metadatas=[{key: 5, "other": 1}])
    for frame in (collection.get(include=EVERYTHING), collection.query([1, 2])):
        assert frame[f"metadata.{key}"].tolist() == [5]
        assert frame["document"].tolist() == ["text"]
    copied = client.create_collection("copied")
    copied.add(collection.get(include=EVERYTHING))
    assert copied.get(where={key: 5}).index.tolist() == ["a"]
    assert_frame_equal(copied.get(), collection.get())


@given(keys=st.lists(stored_keys | st.sampled_from(FIXED).map("metadata.".__add__), unique=True))
def test_columns_and_keys_are_one_to_one(keys: list[str]) -> None:
    columns = [column_of(key) for key in keys]
    assert len(set(columns)) == len(columns)
    assert not set(columns) & set(FIXED)
    assert [key_of(column) for column in columns] == keys


def test_columns_that_mean_one_key_are_refused(memory: Client) -> None:
    collection = new(memory)
    for columns in ([1, "1"], ["distance", "metadata.distance"]):
        frame = pd.DataFrame([[1, 2]], columns=pd.Index(columns, dtype=object), index=["a"])
        with pytest.raises(InvalidArgumentError, match=f"'{columns[0]}'|'{columns[1]}'"):
            collection.add(frame, embeddings=[[1]])
    assert collection.count() == 0


def test_columns_that_are_not_texts_become_text_keys(memory: Client) -> None:
    collection = new(memory)
    collection.add(pd.DataFrame({0: [1], ("x", 1): ["t"], 2.5: [True]}, index=["a"]), embeddings=[[1]])
    assert items_in(collection)[0].metadata == {"0": 1, "('x', 1)": "t", "2.5": True}


# inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, 2], dtype="int8"), [1, 2]),
        (pd.Series([1, 2], dtype="uint64"), [1, 2]),
        (pd.Series([1, None], dtype="Int32"), [1, None]),
        (pd.Series([True, False]), [True, False]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series([1.5, np.nan]), [1.5, None]),
        (pd.Series([1.5, np.nan], dtype="float32"), [1.5, None]),
        (pd.Series([1.5, None], dtype="Float64"), [1.5, None]),
        (pd.Series([math.inf, -math.inf]), [math.inf, -math.inf]),
        (pd.Series(["a", None], dtype="str"), ["a", None]),
        (pd.Series(["a", None], dtype="string[python]"), ["a", None]),
        (pd.Series(["a", None], dtype="string[pyarrow]"), ["a", None]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series([3, 4], dtype="category"), [3, 4]),
        (pd.Series([True, None], dtype="category"), [True, None]),
        (pd.Series([1.5, 2.5], dtype="category"), [1.5, 2.5]),
        (pd.Series(["a", 1], dtype="category"), ["a", 1]),
        (pd.Series([1, "a"], dtype=object), [1, "a"]),
        (pd.Series([True, 1.0], dtype=object), [True, 1.0]),
        (pd.Series([np.int64(1), np.float32(0.5)], dtype=object), [1, 0.5]),
        (pd.Series([None, pd.NaT], dtype=object), [None, None]),
        (pd.Series([None, None], dtype=object), [None, None]),
        (pd.Series([np.nan, np.nan]), [None, None]),
        (pd.Series([pd.NA, 1], dtype=object), [None, 1]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), [1, None]),
        (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string())), ["a", None]),
        (pd.Series(["a", "b"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))), ["a", "b"]),
    ],
    ids=lambda value: f"{value.dtype}-{value.tolist()}" if isinstance(value, pd.Series) else "",
)
def test_pandas_columns(memory: Client, column: pd.Series[Any], expected: list[Any]) -> None:
    frame = pd.DataFrame({"k": column.set_axis(["a", "b"])})
    before = copy.deepcopy(frame)
    collection = new(memory)
    collection.add(frame, embeddings=np.eye(2))
    found = [item.metadata.get("k") for item in items_in(collection)]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]
    assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series(["a", None], dtype=pl.Categorical), ["a", None]),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), ["a", "b"]),
        (pl.Series([1, None], dtype=pl.UInt8), [1, None]),
        (pl.Series([1.5, math.nan], dtype=pl.Float32), [1.5, None]),
        (pl.Series([None, None], dtype=pl.Null), [None, None]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.nulls(2), [None, None]),
        (pa.array(np.array([1.5, 2.5], dtype=np.float16)), [1.5, 2.5]),
        (pa.array([2**63 - 1, 0], pa.uint64()), [2**63 - 1, 0]),
    ],
    ids=str,
)
def test_polars_and_arrow_columns(memory: Client, column: Any, expected: list[Any]) -> None:
    build = pl.DataFrame if isinstance(column, pl.Series) else pa.table
    collection = new(memory)
    collection.add(build({"id": ["a", "b"], "k": column}), embeddings=np.eye(2))
    assert [item.metadata.get("k") for item in items_in(collection)] == expected


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        (pd.RangeIndex(2), ["0", "1"]),
        (pd.Index([7, -7]), ["7", "-7"]),
        (pd.Index([2**64 - 1, 0], dtype="uint64"), ["18446744073709551615", "0"]),
        (pd.Index(["b", "a"]), ["b", "a"]),
        (pd.Index(["b", ""], dtype=object), ["b", ""]),
        (pd.CategoricalIndex(["x", "y"]), ["x", "y"]),
        (pd.Index(["b", "a"], dtype="string[pyarrow]"), ["b", "a"]),
        (pd.Index([1, 2], dtype=object), ["1", "2"]),
    ],
)
def test_the_index_serves_as_id(memory: Client, index: pd.Index[Any], ids: list[str]) -> None:
    collection = new(memory)
    collection.add(pd.DataFrame({"n": [1, 2]}, index=index), embeddings=np.eye(2))
    assert collection.get().index.tolist() == ids


@pytest.mark.parametrize("column", [[1, 2], ["1", "2"], pd.Categorical(["1", "2"]), array([1, 2], dtype="Int64")])
def test_a_column_serves_as_id(memory: Client, column: Any) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [("id", {}), ("key", {"id": "key"})]
    for name, arguments in cases:
        collection = new(memory)
        collection.add(pd.DataFrame({name: column, "n": [1, 2]}, index=["x", "y"]), embeddings=np.eye(2), **arguments)
        assert collection.get().index.tolist() == ["1", "2"]
        assert list(collection.get().columns) == ["document", "n"]


def test_columns_are_named_by_keyword(memory: Client) -> None:
    frame = pd.DataFrame(
        {
            "key": ["a", "b"],
            "text": ["x", None],
            "vec": [[1, 2], [3, 4]],
            "keep": [1, 2],
            "drop": [1, 2],
            "document": [5, 6],
        }
    )
    collection = new(memory)
    collection.add(frame, id="key", document="text", embedding="vec", metadata=["keep"])
    assert exact(items_in(collection)) == exact(
        [Item("a", "x", {"keep": 1}, (1.0, 2.0)), Item("b", None, {"keep": 2}, (3.0, 4.0))]
    )
    for metadata, columns in (("keep", ["keep"]), ([], []), (("drop", "keep"), ["drop", "keep"])):
        other = new(memory)
        other.add(frame, id="key", document="text", embedding="vec", metadata=metadata)
        assert list(other.get().columns) == ["document", *columns]


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_wide_columns_of_vectors(memory: Client, library: str, dtype: str) -> None:
    matrix = np.arange(12).reshape(3, 4).astype(dtype)
    wide: Any = pd.DataFrame(matrix, columns=list("wxyz")).assign(id=["a", "b", "c"], lang="en")
    if library != "pandas":
        wide = pl.from_pandas(wide) if library == "polars" else pa.Table.from_pandas(wide)
    collection = new(memory)
    collection.add(wide, embedding=list("zwxy"))
    np.testing.assert_array_equal(collection.embeddings(), matrix[:, [3, 0, 1, 2]])
    assert list(collection.get().columns) == ["document", "lang"]


@pytest.mark.parametrize(
    "cells",
    [
        [[1, 2], [3, 4]],
        [(1.0, 2.0), (3.0, 4.0)],
        [np.array([1, 2]), np.array([3, 4], dtype="float16")],
        array([[1, 2], [3, 4]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        array([[1, 2], [3, 4]], dtype=pd.ArrowDtype(pa.list_(pa.float64(), 2))),
    ],
)
def test_a_column_of_vectors(memory: Client, cells: Any) -> None:
    frame = pd.DataFrame({"id": ["a", "b"]}).assign(embedding=pd.Series(cells))
    collection = new(memory)
    collection.add(frame)
    np.testing.assert_array_equal(collection.embeddings(), [[1, 2], [3, 4]])
    assert collection.embeddings().dtype == np.float32


@pytest.mark.parametrize(
    "embeddings",
    [
        [[1, 2], [3, 4]],
        ((1, 2), (3, 4)),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], dtype=">f8"),
        np.asfortranarray(np.array([[1, 2], [3, 4]], dtype="float32")),
        np.array([[1, 9, 2], [3, 9, 4]])[:, ::2],
        [np.array([1, 2]), [3, 4]],
        pd.Series([[1, 2], [3, 4]]),
        pd.DataFrame({"x": [1, 3], "y": [2, 4]}),
        pl.DataFrame({"x": [1, 3], "y": [2, 4]}),
        pl.Series([[1, 2], [3, 4]]),
        pa.array([[1.0, 2.0], [3.0, 4.0]]),
        pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0, 4.0]), 2),
        pa.chunked_array([[[1.0, 2.0]], [[3.0, 4.0]]]),
    ],
    ids=lambda value: type(value).__module__.partition(".")[0] + "." + type(value).__name__,
)
def test_vectors_beside_a_frame_and_alone(memory: Client, embeddings: Any) -> None:
    before = copy.deepcopy(embeddings)
    alone, beside = new(memory), new(memory)
    alone.add(ids=["a", "b"], embeddings=embeddings)
    beside.add(pd.DataFrame(index=["a", "b"], data={"k": [1, 2]}), embeddings=embeddings)
    for collection in (alone, beside):
        np.testing.assert_array_equal(collection.embeddings(), [[1, 2], [3, 4]])
        hits = collection.query(embeddings, n_results=1)
        assert hits.index.tolist() == ["a", "b"]
        assert hits["distance"].tolist() == [0, 0]
    assert str(embeddings.to_pylist() if isinstance(embeddings, pa.Array | pa.ChunkedArray) else embeddings) == str(
        before.to_pylist() if isinstance(before, pa.Array | pa.ChunkedArray) else before
    )


@pytest.mark.parametrize(
    "ids",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        pd.Series(["a", "b"]),
        pd.Index(["a", "b"]),
        pl.Series(["a", "b"]),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
    ],
    ids=lambda value: type(value).__module__.partition(".")[0] + "." + type(value).__name__,
)
def test_ids_and_documents_as_any_column(memory: Client, ids: Any) -> None:
    collection = new(memory)
    collection.add(ids=ids, documents=ids, embeddings=np.eye(2))
    assert collection.get(ids).index.tolist() == ["a", "b"]
    assert collection.get()["document"].tolist() == ["a", "b"]
    collection.delete(ids)
    assert collection.count() == 0


def test_a_result_of_a_query_goes_back_without_its_own_columns(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(
        ids=["a", "b"], embeddings=np.eye(2), documents=["x", "y"], metadatas=[{"rank": 1, "n": 1}, {"n": 2}]
    )
    copied = client.create_collection("copied")
    copied.add(collection.query([1, 0], include=["documents", "metadatas", "embeddings", "distances"]))
    assert_frame_equal(copied.get(), collection.get())
    twice = collection.query([[1, 0], [0, 1]], include=["documents", "metadatas", "embeddings", "distances"])
    with pytest.raises(DuplicateIDError, match="found 2 duplicated"):
        copied.upsert(twice)


def test_a_frame_of_ones_own_may_have_columns_named_like_those_of_a_query(memory: Client) -> None:
    collection = new(memory)
    collection.add(pd.DataFrame({"id": ["a"], "distance": [5], "rank": ["x"], "query": [True]}), embeddings=[[1]])
    assert items_in(collection)[0].metadata == {"distance": 5, "rank": "x", "query": True}
    assert list(collection.get().columns) == ["document", "metadata.distance", "metadata.rank", "metadata.query"]


def test_parts_of_a_result_update_what_they_hold(client: Client) -> None:
    collection = client.create_collection("docs")
    collection.add(ids=["a", "b"], embeddings=np.eye(2), documents=["x", "y"], metadatas=[{"n": 1}, {"n": 2}])
    changed = collection.get()
    changed["n"] = changed["n"] * 10
    collection.update(changed.drop(columns="document"))
    assert exact(items_in(collection)) == exact(
        [Item("a", "x", {"n": 10}, (1.0, 0.0)), Item("b", "y", {"n": 20}, (0.0, 1.0))]
    )


# refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "arguments", "error", "message"),
    [
        ({"id": ["a", "a"]}, {}, DuplicateIDError, "found 1 duplicated in the call: 'a'"),
        ({"id": ["a", None]}, {}, InvalidArgumentError, "column 'id' 1 of them are missing"),
        (
            {"id": [1.5, 2.5]},
            {},
            InvalidArgumentError,
            "Ids are texts or whole numbers; in column 'id' they are double",
        ),
        ({"id": ["a", 1]}, {}, InvalidArgumentError, "'id'"),
        ({"id": [True, False]}, {}, InvalidArgumentError, "they are bool"),
        ({"id": ["a", "\ud800"]}, {}, InvalidArgumentError, "lone surrogate"),
        ({"id": ["a", "b"], "document": ["x", "\udfff"]}, {}, InvalidArgumentError, "lone surrogate"),
        ({"id": ["a", "b"], "k": ["x", "\ud800"]}, {}, InvalidArgumentError, "lone surrogate"),
        ({"id": ["a", "b"], "\ud800": [1, 2]}, {}, InvalidArgumentError, "lone surrogate"),
        (
            {"id": ["a", "b"], "document": [1, 2]},
            {},
            InvalidArgumentError,
            "Documents are texts; column 'document' holds int64",
        ),
        ({"id": ["a", "b"]}, {"document": "txt"}, ColumnNotFoundError, "no column 'txt'"),
        ({"id": ["a", "b"], "text": ["x", "y"]}, {"document": "txet"}, ColumnNotFoundError, 'Did you mean "text"'),
        ({"id": ["a", "b"]}, {"id": "key"}, ColumnNotFoundError, "no column 'key'"),
        ({"id": ["a", "b"]}, {"embedding": "vec"}, ColumnNotFoundError, "no column 'vec'"),
        ({"id": ["a", "b"], "x": [1, 2]}, {"embedding": ["x", "y"]}, ColumnNotFoundError, "no column 'y'"),
        ({"id": ["a", "b"]}, {"metadata": ["lang"]}, ColumnNotFoundError, "no column 'lang'"),
        (
            {"id": ["a", "b"], "t": pd.to_datetime(["2020", "2021"])},
            {},
            InvalidArgumentError,
            "Column 't' holds timestamp",
        ),
        ({"id": ["a", "b"], "t": pd.to_timedelta([1, 2])}, {}, InvalidArgumentError, "Column 't' holds duration"),
        ({"id": ["a", "b"], "t": [[1], [2]]}, {}, InvalidArgumentError, "for key 't'"),
        ({"id": ["a", "b"], "t": [{}, {}]}, {}, InvalidArgumentError, "for key 't'"),
        ({"id": ["a", "b"], "t": [b"a", b"b"]}, {}, InvalidArgumentError, "for key 't'"),
        ({"id": ["a", "b"], "t": [1 + 2j, 0]}, {}, InvalidArgumentError, "'t'"),
        ({"id": ["a", "b"], "t": [2**63, 1]}, {}, InvalidArgumentError, "64 bits"),
        ({"id": ["a", "b"], "t": [2**100, "x"]}, {}, InvalidArgumentError, "64 bits"),
        ({"id": ["a", "b"], "t": [pd.Timestamp(0), 5]}, {}, InvalidArgumentError, "for key 't'"),
        ({"id": ["a", "b"], "embedding": [[1, 2], [1]]}, {}, InvalidArgumentError, "one dimension"),
        ({"id": ["a", "b"], "embedding": [[1, 2], None]}, {}, InvalidArgumentError, "at position 1"),
        ({"id": ["a", "b"], "embedding": ["x", "y"]}, {}, InvalidArgumentError, "'embedding'"),
        ({"id": ["a", "b"], "embedding": [[1, math.nan], [1, 2]]}, {}, InvalidArgumentError, "NaN or infinite"),
        ({"id": ["a", "b"], "x": [1.0, math.nan], "y": [1, 2]}, {"embedding": ["x", "y"]}, InvalidArgumentError, "NaN"),
        (
            {"id": ["a", "b"], "x": ["p", "q"], "y": [1, 2]},
            {"embedding": ["x", "y"]},
            InvalidArgumentError,
            "int or float",
        ),
        ({"id": []}, {}, InvalidArgumentError, "The frame has no rows"),
    ],
)
def test_refused_frames(
    memory: Client, frame: dict[str, Any], arguments: Any, error: type[Exception], message: str
) -> None:
    # pandas itself refuses lone surrogates, except in columns of objects.
    odd = {
        name for name, cells in frame.items() if any(isinstance(c, str) and not c.isprintable() for c in (name, *cells))
    }
    made = pd.DataFrame(
        {n: pd.Series(cells, dtype=object if odd else None) for n, (_, cells) in enumerate(frame.items())}
    ).set_axis(pd.Index(list(frame), dtype=object), axis=1)
    has_vectors = "embedding" in frame or "embedding" in arguments
    vectors: dict[str, Any] = {} if has_vectors else {"embeddings": np.eye(2)}
    collection = new(memory)
    with pytest.raises(error, match=message):
        collection.add(made, **arguments, **vectors)
    assert collection.count() == 0
    assert list(collection.get().columns) == ["document"]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (pd.Index(["a", "a"]), "found 1 duplicated"),
        (pd.Index(["a", None]), "1 of them are missing"),
        (pd.Index(["a", None], dtype=object), "1 of them are missing"),
        (pd.Index(["a", math.nan], dtype=object), "1 of them are missing"),
        (pd.Index(["a", 1], dtype=object), "mixes types|Ids are texts or whole numbers"),
        (pd.Index(["a", "\ud800"], dtype=object), "lone surrogate"),
        (pd.Index([1.5, 2.5]), "they are double"),
        (pd.date_range("2020", periods=2), "they are timestamp"),
        (pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), "several levels"),
        (pd.IntervalIndex.from_breaks([0, 1, 2]), "index"),
    ],
)
def test_refused_indexes(memory: Client, index: pd.Index[Any], message: str) -> None:
    collection = new(memory)
    with pytest.raises(InvalidArgumentError, match=message):
        collection.add(pd.DataFrame({"k": [1, 2]}, index=index), embeddings=np.eye(2))
    assert collection.count() == 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.LazyFrame({"id": ["a"]}), r"This frame is lazy. Run .collect\(\)"),
        (pl.DataFrame({"k": ["a"]}), "The frame has no column 'id'"),
        (pa.table({"k": ["a"]}), "The frame has no column 'id'"),
        (pl.DataFrame({"id": ["a"], "d": [pd.Timestamp(0)]}), "'d'"),
        (pd.DataFrame({"id": ["a"], "d": pd.arrays.SparseArray([0.5])}), "'d'"),
        (pl.DataFrame({"id": ["a"], "o": pl.Series([object()], dtype=pl.Object)}), "'o'"),
        (pa.table({"id": ["a"], "d": pa.array([1], pa.date32())}), "Column 'd' holds date32"),
        (pa.table({"id": ["a"], "d": pa.array([1], pa.decimal128(5, 2))}), "Column 'd' holds decimal128"),
        (pa.table({"id": ["a"], "d": pa.array([[1]])}), "Column 'd' holds list"),
        (pa.table({"id": ["a"], "d": pa.array([b"x"])}), "Column 'd' holds binary"),
        (pa.table([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["id", "x", "x"]), "'x'"),
        (pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]), "'x'"),
    ],
)
def test_refused_frames_of_other_libraries(memory: Client, frame: Any, message: str) -> None:
    collection = new(memory)
    with pytest.raises(InvalidArgumentError, match=message):
        collection.add(frame, embeddings=[[1]])
    assert collection.count() == 0


def test_arguments_that_do_not_go_together(memory: Client) -> None:
    collection = new(memory)
    frame = pd.DataFrame({"id": ["a"], "embedding": [[1, 2]], "text": ["x"]})
    with pytest.raises(InvalidArgumentError, match="Give the vectors once"):
        collection.add(frame, embedding="embedding", embeddings=[[1, 2]])
    with pytest.raises(InvalidArgumentError, match="With a DataFrame, name its columns"):
        collection.add(frame, documents=["x"])
    with pytest.raises(InvalidArgumentError, match="With a DataFrame, name its columns"):
        collection.add(frame, metadatas=[{"k": 1}])
    with pytest.raises(InvalidArgumentError, match="document name columns of a DataFrame"):
        collection.add(ids=["a"], embeddings=[[1, 2]], document="text")
    with pytest.raises(TypeError, match=r"Unexpected argument 'docment'. Did you mean .document."):
        collection.add(frame, docment="text")
    with pytest.raises(InvalidArgumentError, match="Number of embeddings 2 must match number of rows 1"):
        collection.add(frame, embeddings=[[1, 2], [3, 4]])
    with pytest.raises(InvalidArgumentError, match="You must provide either embeddings or documents"):
        collection.add(frame[["id", "text"]])
    assert collection.count() == 0


@few
@given(items=item_lists, value=values)
def test_a_frame_is_never_changed(memory: Client, items: list[Item], value: Any) -> None:
    frame = pd.DataFrame(
        {"k": array([value] * len(items), dtype=object), "embedding": [list(item.vector) for item in items]},
        index=pd.Index([item.id for item in items], name="my name"),
    )
    frame.attrs["mine"] = {"a": [1]}
    before = frame.copy(deep=True)
    collection = new(memory)
    for call in (collection.add, collection.update, collection.upsert):
        call(frame)
        assert_frame_equal(frame, before)
        assert frame.attrs == {"mine": {"a": [1]}}
    memory.delete_collection(collection.name)
