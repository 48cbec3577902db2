"""What goes out as frames and files comes back as it was, and others can read it."""

from __future__ import annotations

import builtins
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma_nb import Client
from chroma_nb.errors import (
    ChromaNbError,
    CollectionNotFoundError,
    InvalidArgumentError,
    MissingDependencyError,
    StoreError,
    StoreWriteError,
)
from chroma_nb.migrate import exporting
from tests.store.backend import dump, exactly, fresh_name, items_in
from tests.store.strategies import item_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Collection
    from chroma_nb.store.protocol import Store
    from tests.store.backend import Backend
    from tests.store.reference import Item

COUNT = 400
TYPED = ("parquet", "arrow", "feather", "ipc")
OBJECTS = ("jsonl", "ndjson", "jsonl.gz")


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0, 0.5] for text in texts]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


@pytest.fixture
def docs(client: Client) -> Collection:
    return fill(client)


def fill(client: Client, name: str = "docs") -> Collection:
    """A collection with values of all kinds, gaps, keys of several types and names that clash."""
    made = client.create_collection(
        name, {"hnsw:space": "cosine", "hnsw:M": 24, "about": "é"}, embedding_function=embed
    )
    rng = np.random.default_rng(8)
    made.add(
        ids=[f"id {n}" for n in range(COUNT)],
        documents=[None if n % 3 == 0 else f'text {n}, "quoted"\n' for n in range(COUNT)],
        embeddings=rng.normal(size=(COUNT, 3)),
        metadatas=[
            None if n % 7 == 0 else {"n": n, "f": float(n), "b": n % 2 == 0, "s": f"s{n}", "id": n, "mixed": 1}
            for n in range(COUNT)
        ],
    )
    made.update(ids="id 3", metadatas={"mixed": "1", "n": 2**63 - 1, "empty": "", "far": float("inf")})
    made.update(ids="id 4", metadatas={"mixed": 1.0, "metadata.id": "x"})
    made.update(ids="id 5", metadatas={"mixed": True, "ключ": "é\u2028", "o'k": "a\\b"})
    return made


def exact(collection: Collection, **selection: Any) -> list[Any]:
    return [exactly(item) for item in items_in(collection, **selection)]


# frames ---------------------------------------------------------------------------------------


def test_arrow_keeps_everything(client: Client, docs: Collection) -> None:
    other = client.create_collection("other")
    other.add(docs.to_arrow(embeddings=True))
    assert exact(other) == exact(docs)
    pd.testing.assert_frame_equal(other.get(), docs.get(), check_flags=False)


@given(items=item_lists)
def test_arrow_keeps_any_items(client: Client, items: list[Item]) -> None:
    docs, other = client.create_collection(fresh_name()), client.create_collection(fresh_name())
    docs.add(
        ids=[item.id for item in items],
        documents=[item.document for item in items],
        embeddings=[list(item.vector) for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    other.add(docs.to_arrow(embeddings=True))
    assert exact(other) == exact(docs)


@settings(max_examples=6)
@given(items=item_lists)
def test_files_keep_any_items(client: Client, items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> None:
    docs, folder = client.create_collection(fresh_name()), tmp_path_factory.mktemp("files")
    docs.add(
        ids=[item.id for item in items],
        documents=[item.document for item in items],
        embeddings=[list(item.vector) for item in items],
        metadatas=[item.metadata or None for item in items],
    )
    for suffix in ("parquet", "jsonl"):
        name = fresh_name()
        client.import_file(docs.export(folder / f"docs.{suffix}"), name)
        assert exact(client[name]) == exact(docs)


def test_the_columns_of_arrow(docs: Collection) -> None:
    table = docs.to_arrow(embeddings=True)
    types = {field.name: str(field.type) for field in table.schema}
    assert table.column_names == ["id", *docs.get(include=["documents", "metadatas", "embeddings"]).columns]
    assert types["id"] == types["document"] == types["s"] == "large_string"
    assert (types["n"], types["f"], types["b"]) == ("int64", "double", "bool")
    assert types["embedding"].startswith("fixed_size_list<item: float")
    assert table["mixed"].to_pylist()[1:6] == ["1", "1", '"1"', "1.0", "true"]
    assert "embedding" not in docs.to_arrow().column_names


def test_pandas_is_get(docs: Collection) -> None:
    where: dict[str, Any] = {"n": {"$lt": 30}}
    pd.testing.assert_frame_equal(docs.to_pandas(), docs.get())
    pd.testing.assert_frame_equal(
        docs.to_pandas(where=where, where_document={"$contains": "2"}, embeddings=True),
        docs.get(where=where, where_document={"$contains": "2"}, include=["documents", "metadatas", "embeddings"]),
    )


def test_polars(docs: Collection) -> None:
    frame = docs.to_polars(where={"b": True}, embeddings=True)
    assert frame.schema["embedding"] == pl.Array(pl.Float32, 3)
    assert [str(frame.schema[name]) for name in ("n", "b", "s")] == ["Int64", "Boolean", "String"]
    assert frame["id"].to_list() == docs.get(where={"b": True}).index.tolist()
    assert frame["embedding"].to_numpy().tolist() == docs.embeddings(frame["id"].to_list()).tolist()


def test_without_polars(docs: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "polars":
            raise ImportError(name)
        return found(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match="pip install polars"):
        docs.to_polars()


def test_frames_of_an_empty_collection(client: Client) -> None:
    docs = client.create_collection("docs")
    assert docs.to_arrow(embeddings=True).column_names == ["id", "document", "embedding"]
    assert docs.to_polars(embeddings=True).shape == (0, 3)
    assert len(docs.to_pandas()) == 0


def test_the_dialect_of_chroma_has_frames_too() -> None:
    from chroma_nb import compat

    docs = compat.Client().create_collection("docs")
    docs.add(ids=["a"], embeddings=[[1, 2]], documents=["x"])
    assert isinstance(docs.to_pandas(), pd.DataFrame)
    assert docs.to_arrow().to_pydict() == {"id": ["a"], "document": ["x"]}


# files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", TYPED)
@pytest.mark.parametrize("batch_size", [None, 70])
def test_a_file_brings_the_collection_back(
    client: Client, docs: Collection, tmp_path: Path, suffix: str, batch_size: int | None
) -> None:
    path = docs.export(tmp_path / f"docs.{suffix}", batch_size=batch_size)
    assert path == tmp_path / f"docs.{suffix}"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    with Client() as other:
        other.import_file(path, "docs")
        first, second = dump(client), dump(other)
        for found in (first, second):
            del found["docs"][0]["id"]
        assert first == second
        assert other._store.collection("docs").settings == client._store.collection("docs").settings
        assert (other._store.collection("docs").embedding_function or "") == (
            client._store.collection("docs").embedding_function
        )


@pytest.mark.parametrize("suffix", OBJECTS)
def test_json_lines_keep_items(client: Client, docs: Collection, tmp_path: Path, suffix: str) -> None:
    path = docs.export(tmp_path / f"docs.{suffix}", batch_size=70)
    raw = gzip.decompress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes()
    assert len(raw.decode().split("\n")) == COUNT + 1
    if suffix.startswith("jsonl"):
        client.import_file(path, "other")
        # Infinity is no JSON that every reader takes: DuckDB does.
        assert exact(client["other"]) == exact(docs)


def test_csv_has_texts(client: Client, docs: Collection, tmp_path: Path) -> None:
    path = docs.export(tmp_path / "docs.csv", batch_size=70)
    found = pd.read_csv(path, keep_default_na=False, dtype=str)
    frame = docs.get(include=["documents", "metadatas", "embeddings"])
    assert found.columns.tolist() == ["id", *frame.columns]
    assert found["id"].tolist() == frame.index.tolist()
    assert found["document"].tolist() == frame["document"].fillna("").tolist()
    assert [json.loads(text) for text in found["embedding"]] == [
        pytest.approx(vector.tolist()) for vector in frame["embedding"]
    ]
    assert found["mixed"].tolist()[1:6] == ["1", "1", "1", "1.0", "true"]
    client.import_file(path, "other", metadata=["n", "s", "b"])
    assert client["other"].embeddings().tobytes() == docs.embeddings().tobytes()
    pd.testing.assert_frame_equal(client["other"].get(), docs.get()[["document", "n", "s", "b"]], check_like=True)


def test_others_read_parquet(docs: Collection, tmp_path: Path) -> None:
    path = docs.export(tmp_path / "docs.parquet", batch_size=150)
    frame, vectors = docs.get(), docs.embeddings()
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    by_pandas = pd.read_parquet(path)
    by_polars = pl.read_parquet(path)
    by_duckdb = duckdb.execute("SELECT id, n, s, embedding FROM read_parquet(?)", [str(path)]).fetchall()
    assert (
        by_pandas["id"].tolist() == by_polars["id"].to_list() == [row[0] for row in by_duckdb] == frame.index.tolist()
    )
    assert (
        by_polars["n"].to_list()
        == [row[1] for row in by_duckdb]
        == frame["n"].astype(object).where(frame["n"].notna(), None).tolist()
    )
    for found in (by_pandas["embedding"], by_polars["embedding"].to_list(), [row[3] for row in by_duckdb]):
        assert np.array_equal(np.array(list(found), dtype=np.float32), vectors)


def test_a_part_is_exported(client: Client, docs: Collection, tmp_path: Path) -> None:
    path = docs.export(
        tmp_path / "docs.parquet", where={"b": True}, where_document={"$contains": "2"}, embeddings=False
    )
    assert "embedding" not in pq.read_schema(path).names
    expected = docs.get(where={"b": True}, where_document={"$contains": "2"})
    assert pq.read_table(path)["id"].to_pylist() == expected.index.tolist()
    client.import_file(path, "other", embedding=str(_saved(docs.embeddings(expected.index.tolist()), tmp_path)))
    assert client["other"].get().index.tolist() == expected.index.tolist()


def _saved(vectors: Any, folder: Path) -> Path:
    np.save(folder / "vectors.npy", vectors)
    return folder / "vectors.npy"


def test_empty_collections(client: Client, tmp_path: Path) -> None:
    docs = client.create_collection("docs", {"hnsw:space": "cosine", "mine": 1})
    for suffix in (*TYPED, *OBJECTS, "csv", "csv.gz"):
        path = docs.export(tmp_path / f"docs.{suffix}")
        if suffix in TYPED:
            table = pq.read_table(path) if suffix == "parquet" else pa.ipc.open_file(path).read_all()
            assert (table.num_rows, table.column_names) == (0, ["id", "document", "embedding"])
            report = client.import_file(path, suffix)
            assert (report["rows"].tolist(), report["verified"].tolist()) == ([0], [True])
            made = client[suffix]
            assert (made.count(), made.metadata, made._info.settings) == (0, docs.metadata, docs._info.settings)
            client.import_file(path, suffix)
            assert made.count() == 0
            continue
        with pytest.raises(InvalidArgumentError, match=r"no rows|is empty|no JSON objects"):
            client.import_file(path, "other")


def test_over_every_backend(backend: Backend, tmp_path: Path) -> None:
    docs = fill(backend.client)
    path = docs.export(tmp_path / "docs.parquet", batch_size=120)
    with Client() as here:
        here.import_file(path, "docs")
        assert exact(here["docs"]) == exact(docs)
    assert docs.to_arrow().num_rows == COUNT


def test_a_file_is_replaced_when_the_new_one_is_complete(docs: Collection, tmp_path: Path) -> None:
    path = tmp_path / "docs.parquet"
    path.write_text("old")

    class Cut:
        def __getattr__(self, name: str) -> Any:
            return getattr(docs._store, name)

        def get(self, collection: Any, selection: Any, include: Any, *rest: Any) -> Any:
            assert path.read_text() == "old"
            if include and "id 200" in selection.ids:
                raise StoreError("The line is cut.")
            return docs._store.get(collection, selection, include, *rest)

    with pytest.raises(StoreError, match="The line is cut"):
        exporting.export(cast("Store", Cut()), docs.id, path, batch_size=50)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["docs.parquet"]
    docs.export(path)
    assert pq.read_table(path).num_rows == COUNT


def test_new_values_meanwhile(docs: Collection, tmp_path: Path) -> None:
    class Changing:
        def __getattr__(self, name: str) -> Any:
            return getattr(docs._store, name)

        def get(self, collection: Any, selection: Any, include: Any, *rest: Any) -> Any:
            docs.update(ids="id 7", metadatas={"new": 1})
            return docs._store.get(collection, selection, include, *rest)

    with pytest.raises(StoreError, match="'docs' was changed while it was exported: it has new values in 'new'"):
        exporting.export(cast("Store", Changing()), docs.id, tmp_path / "docs.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("docs.xls", {}, InvalidArgumentError, r"ends in none of \.parquet"),
        ("docs", {}, InvalidArgumentError, r"ends in none of"),
        ("docs.parqet", {}, InvalidArgumentError, r'Did you mean "\.parquet"'),
        ("none/docs.parquet", {}, InvalidArgumentError, r"The folder .*none does not exist"),
        ("folder.parquet", {}, InvalidArgumentError, r"is a folder"),
        ("docs.parquet", {"batch_size": 0}, InvalidArgumentError, r"batch_size must be a positive int"),
        ("docs.parquet", {"where": {"$x": 1}}, InvalidArgumentError, r"\$x"),
    ],
)
def test_refused(
    docs: Collection, tmp_path: Path, name: str, options: Any, error: type[ChromaNbError], message: str
) -> None:
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(error, match=message):
        docs.export(tmp_path / name, **options)
    assert [found.name for found in tmp_path.iterdir()] == ["folder.parquet"]


def test_no_space_left(docs: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *arguments: Any, **options: Any) -> Any:
        return opened(Path("/dev/full"), "wb", buffering=0) if self.suffix == ".tmp" else opened(self, *arguments)

    opened = Path.open
    monkeypatch.setattr(Path, "open", full)
    for suffix in ("parquet", "arrow", "jsonl", "csv"):
        with pytest.raises(StoreWriteError, match=rf"docs\.{suffix} could not be written: .*No space left"):
            docs.export(tmp_path / f"docs.{suffix}")
        assert list(tmp_path.iterdir()) == []


def test_a_collection_that_is_gone(client: Client, docs: Collection, tmp_path: Path) -> None:
    client.delete_collection("docs")
    with pytest.raises(CollectionNotFoundError):
        docs.export(tmp_path / "docs.parquet")


@given(numbers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_vectors_as_texts_are_exact(numbers: list[float]) -> None:
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers, pa.float32()), len(numbers))
    (text,) = exporting.vector_texts(column).to_pylist()
    assert np.array_equal(np.array(json.loads(text), dtype=np.float32), np.array(numbers, dtype=np.float32))
