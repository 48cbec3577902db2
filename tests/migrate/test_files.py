"""A file's rows become items as those of a frame do; what cannot be kept is said, with its row."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import chroma_nb
from chroma_nb import Client, copying
from chroma_nb.errors import (
    ChromaNbError,
    CollectionExistsError,
    ColumnNotFoundError,
    CorruptStoreError,
    DuplicateIDError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    InvalidDimensionError,
    StoreError,
)
from chroma_nb.functions import NOT_GIVEN, Embedder
from chroma_nb.migrate import exporting, files, files_columns, importing, legacy_writing
from chroma_nb.progress import PATIENCE
from tests.store.backend import dump, exactly, items_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chroma_nb import Collection
    from chroma_nb.store.protocol import Progress, Store
    from tests.store.backend import Backend

ROWS = 300
DIMENSION = 3
SUFFIXES = ("parquet", "feather", "arrow", "arrows", "csv", "csv.gz", "tsv", "jsonl", "jsonl.gz", "json")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


def vectors() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(size=(ROWS, DIMENSION)).astype(np.float32)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"id {n:03}" for n in range(ROWS)],
            "document": [None if n % 7 == 0 else f'text {n}, "é"\nand more' for n in range(ROWS)],
            "embedding": list(vectors()),
            "year": pd.array([None if n % 5 == 0 else 1900 + n for n in range(ROWS)], dtype="Int64"),
            "score": [n / 7 for n in range(ROWS)],
            "open": [n % 2 == 0 for n in range(ROWS)],
            "lang": ["de" if n % 3 else "en" for n in range(ROWS)],
            "distance": [f"{n} km" for n in range(ROWS)],
        }
    )


def write(data: pd.DataFrame, path: Path) -> Path:
    """By the means of others, not by our own exports."""
    name = path.name
    if name.endswith(".parquet"):
        data.to_parquet(path, row_group_size=70)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(data, path, compression="zstd", chunksize=90)
    elif name.endswith((".arrow", ".arrows")):
        table = pa.Table.from_pandas(data, preserve_index=False)
        opened = pa.ipc.new_stream if name.endswith("s") else pa.ipc.new_file
        with opened(path, table.schema) as made:
            made.write_table(table, max_chunksize=110)
    elif ".json" in name:
        rows = [
            {
                key: value.tolist() if isinstance(value, np.ndarray) else value
                for key, value in row.items()
                if isinstance(value, np.ndarray) or not pd.isna(value)
            }
            for row in data.to_dict("records")
        ]
        text = json.dumps(rows, indent=1) if name.endswith("json") else "\n".join(map(json.dumps, rows))
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    else:
        plain = data.assign(embedding=[str(vector.tolist()) for vector in data["embedding"]])
        plain.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


@pytest.fixture(params=SUFFIXES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(frame(), tmp_path / f"items.{request.param}")


def same(one: Collection, other: Collection) -> bool:
    return [exactly(item) for item in items_in(one)] == [exactly(item) for item in items_in(other)]


def test_a_file_means_what_its_frame_means(client: Client, file: Path) -> None:
    client.create_collection("frame").add(frame())
    report = client.import_file(file, "file", batch_size=64)
    assert report.index.tolist() == ["file"]
    assert report[["rows", "imported", "skipped", "verified"]].to_numpy().tolist() == [[ROWS, ROWS, 0, True]]
    assert same(client["file"], client["frame"])
    # Keys come in the order in which they appear: in JSON a row is silent about what it lacks.
    like = ".json" in file.name
    pd.testing.assert_frame_equal(client["file"].get(), client["frame"].get(), check_flags=False, check_like=like)


def test_any_batch_size_gives_the_same(client: Client, file: Path) -> None:
    for size in (29, 97, 10_000):
        client.import_file(file, f"size-{size}", batch_size=size)
    assert same(client["size-29"], client["size-97"])
    assert same(client["size-29"], client["size-10000"])


def test_a_bar_moves(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[str, int, int]] = []

    @contextmanager
    def bar(what: str, unit: str, after: float) -> Iterator[Progress]:
        assert after == PATIENCE
        yield lambda done, total: moved.append((what, done, total))

    for module in (importing, exporting, copying, legacy_writing):
        monkeypatch.setattr(module, "bar", bar)
    client.import_file(write(frame(), tmp_path / "items.parquet"), "docs", batch_size=100)
    client["docs"].export(tmp_path / "again.parquet", batch_size=100)
    with Client() as other:
        client.copy_to(other, batch_size=100)
        other["docs"].modify(name="more")
        other.export_chroma(tmp_path / "chroma")
    assert moved[-1] == ("exporting more", ROWS, ROWS)
    for what in ("importing docs", "exporting docs", "copying docs"):
        seen = [(done, total) for said, done, total in moved if said == what]
        assert len(seen) > 2
        assert seen == sorted(set(seen))
        assert seen[-1] == (ROWS, ROWS)


def test_the_file_stays_as_it_is(client: Client, file: Path) -> None:
    before = (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir()))
    client.import_file(file, "docs")
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir())) == before


def test_over_every_backend(backend: Backend, tmp_path: Path) -> None:
    path = write(frame(), tmp_path / "items.parquet")
    with Client() as here:
        here.create_collection("docs").add(frame())
        backend.client.import_file(path, "docs")
        assert same(backend.client["docs"], here["docs"])


# columns --------------------------------------------------------------------------------------


def test_columns_by_name(client: Client, tmp_path: Path) -> None:
    path = write(frame().rename(columns={"id": "key", "document": "body", "embedding": "vec"}), tmp_path / "f.parquet")
    client.import_file(path, "docs", id="key", document="body", embedding="vec", metadata=["lang", "year"])
    expected = client.create_collection("expected")
    expected.add(frame()[["id", "document", "embedding", "lang", "year"]])
    assert same(client["docs"], expected)


def test_a_number_a_column(client: Client, tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "x": [1.5, 2], "y": pa.array([3, 4], pa.int8())})
    pq.write_table(table, tmp_path / "f.parquet")
    client.import_file(tmp_path / "f.parquet", "docs", embedding=["x", "y"])
    assert client["docs"].embeddings(["1", "2"]).tolist() == [[1.5, 3], [2, 4]]
    assert client["docs"].get().columns.tolist() == ["document"]


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.list_(pa.float16()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float32(), DIMENSION),
        pa.list_(pa.int16()),
        pa.list_(pa.decimal128(12, 3)),
        pa.string(),
    ],
    ids=str,
)
def test_types_of_vectors(client: Client, tmp_path: Path, type_: pa.DataType) -> None:
    numbers = [[1, 2, 3], [-4, 5, 6]]
    values: list[Any] = list(map(str, numbers)) if type_ == pa.string() else numbers
    if "decimal" in str(type_):
        values = [[Decimal(number) for number in row] for row in numbers]
    column = pa.array(values, type_)
    pq.write_table(pa.table({"id": ["a", "b"], "embedding": column}), tmp_path / "f.parquet")
    client.import_file(tmp_path / "f.parquet", "docs")
    assert client["docs"].embeddings().tolist() == numbers


def test_tensors_of_polars(client: Client, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a"], "embedding": [[1.0, 2.0]]}, schema_overrides={"embedding": pl.Array(pl.Float32, 2)})
    data = pl.DataFrame({"id": ["a", "b"], "embedding": pl.Series([[1.0, 2], [3, 4]], dtype=pl.Array(pl.Float32, 2))})
    data.write_parquet(tmp_path / "f.parquet")
    data.write_ipc(tmp_path / "f.arrow")
    for name in ("f.parquet", "f.arrow"):
        client.import_file(tmp_path / name, name)
        assert client[name].embeddings().tolist() == [[1, 2], [3, 4]]


def test_the_index_of_pandas_is_the_id(client: Client, tmp_path: Path) -> None:
    frame().set_index("id").rename_axis(None).to_parquet(tmp_path / "f.parquet")
    client.import_file(tmp_path / "f.parquet", "docs")
    assert client["docs"].get().index.tolist() == frame()["id"].tolist()
    assert "__index_level_0__" not in client["docs"].get().columns
    frame().set_index(pd.Index(range(5, 5 + ROWS), dtype="int64", name="number")).to_parquet(tmp_path / "g.parquet")
    client.import_file(tmp_path / "g.parquet", "numbered")
    assert client["numbered"].get().index[0] == "id 000"


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_vectors_of_numpy(client: Client, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"items.{suffix}"
    data = frame()
    bare = data.drop(columns="embedding")
    bare.to_parquet(path) if suffix == "parquet" else bare.to_csv(path, index=False)
    np.save(tmp_path / "vectors.npy", vectors().astype(np.float64))
    client.create_collection("frame").add(data)
    client.import_file(path, "file", embedding=tmp_path / "vectors.npy", batch_size=77)
    client.import_file(path, "again", embedding=str(tmp_path / "vectors.npy"))
    assert same(client["file"], client["frame"])
    assert same(client["again"], client["frame"])


def test_a_pattern(client: Client, tmp_path: Path) -> None:
    data = frame()
    for number in range(3):
        data.iloc[number * 100 : (number + 1) * 100].to_parquet(tmp_path / f"part-{number}.parquet")
    client.create_collection("frame").add(data)
    client.import_file(str(tmp_path / "part-*.parquet"), "file", batch_size=33)
    assert same(client["file"], client["frame"])


def test_mixed_values_of_json(client: Client, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"k": 1},
        {"k": 1.0},
        {"k": "1"},
        {"k": True},
        {"k": None},
        {},
        {"big": 2**63 - 1},
        {"big": -(2**63)},
    ]
    rows[0]["date"] = "2024-01-31"
    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(json.dumps({"id": n, "embedding": [n, 1], **row}) for n, row in enumerate(rows)))
    client.import_file(path, "docs")
    found = [item.metadata for item in items_in(client["docs"])]
    wanted = [{key: value for key, value in row.items() if value is not None} for row in rows]
    assert list(map(repr, found)) == list(map(repr, wanted))


def test_csv_keeps_texts_that_look_like_numbers(client: Client, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(
        "id;document;when;n;zip;f;b;large;embedding\n"
        '007;12;2024-01-31;5;0123;1;true;12345678901234567890;"[1, 2]"\n008;"";;;4;1e3;;1.5;[3,4]\n'
    )
    client.import_file(tmp_path / "f.csv", "docs")
    first, second = items_in(client["docs"])
    assert (first.id, first.document) == ("007", "12")
    assert first.metadata == {
        "when": "2024-01-31",
        "n": 5,
        "zip": "0123",
        "f": 1.0,
        "b": True,
        "large": "12345678901234567890",
    }
    assert (second.id, second.document, second.metadata) == ("008", "", {"zip": "4", "f": 1000.0, "large": "1.5"})


# documents without vectors --------------------------------------------------------------------


def lengths(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


def test_documents_are_embedded(client: Client, tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(texts: list[str]) -> list[list[float]]:
        calls.append(len(texts))
        return lengths(texts)

    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(json.dumps({"id": n, "document": "x" * n}) for n in range(2_500)))
    docs = client.create_collection("docs", embedding_function=counted)
    client.import_file(path, docs)
    assert docs.embeddings(["0", "7", "2499"]).tolist() == [[0, 1], [7, 1], [2499, 1]]
    assert sum(calls) - 2_500 <= 2, "one text is embedded before, to see that it can be done"
    assert max(calls) <= 1_000
    assert "counted" in str(client._store.collection("docs").function_name)


def test_a_function_that_fails_in_the_midst(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("id,document\n" + "".join(f"{n},text {n}\n" for n in range(3_000)))
    calls: list[int] = []

    def failing(info: Any, texts: list[str]) -> Any:
        calls.append(len(texts))
        if sum(calls) == 2_002:
            raise EmbeddingFunctionError("no answer")
        return Embedder(lengths).embed(info, texts)

    def run() -> Any:
        return files.import_file(path, "docs", client._store, files_columns.asked(), failing)

    with pytest.raises(EmbeddingFunctionError, match=r"no answer.*goes on from there"):
        run()
    assert "docs" not in client
    report = run()
    assert (report.already_there, report.imported) == (1_000, 2_000)
    assert client["docs"].count() == 3_000


# conflicts and duplicates ---------------------------------------------------------------------


def test_an_empty_collection_is_filled(client: Client, tmp_path: Path) -> None:
    docs = client.create_collection("docs", {"hnsw:space": "cosine"})
    client.import_file(write(frame(), tmp_path / "f.parquet"), "docs")
    assert docs.count() == ROWS
    assert client._store.collection("docs").settings.space == "cosine"
    assert client["docs"].id == docs.id


def test_conflicts(client: Client, tmp_path: Path) -> None:
    path = write(frame(), tmp_path / "f.parquet")
    docs = client.create_collection("docs", {"hnsw:space": "ip"})
    docs.add(ids=["own", "id 001"], embeddings=[[1, 1, 1], [2, 2, 2]], documents=["own", "old"], metadatas=None)
    before = dump(client)
    with pytest.raises(CollectionExistsError, match="'skip', 'upsert' or 'replace'"):
        client.import_file(path, "docs")
    assert dump(client) == before
    report = client.import_file(path, docs, on_conflict="skip")
    assert report[["imported", "skipped"]].to_numpy().tolist() == [[ROWS - 1, 1]]
    assert docs.get("id 001").loc["id 001", "document"] == "old"
    client.import_file(path, docs, on_conflict="upsert")
    assert docs.count() == ROWS + 1
    assert docs.embeddings("id 001").tolist() == vectors()[1:2].tolist()
    client.import_file(path, docs, on_conflict="replace")
    expected = client.create_collection("expected")
    expected.add(frame())
    assert same(client["docs"], expected)
    assert client._store.collection("docs").settings.space == "ip", "of the collection that was there"


@pytest.mark.parametrize(("duplicates", "kept"), [("last", ["b", "a"]), ("first", ["a", "b"])])
def test_duplicates(client: Client, tmp_path: Path, duplicates: str, kept: list[str]) -> None:
    path = tmp_path / "f.jsonl"
    rows = [("a", 1), ("a", 2), ("b", 3), ("a", 4)]
    path.write_text("\n".join(json.dumps({"id": id_, "embedding": [n, 0]}) for id_, n in rows))
    report = client.import_file(path, "docs", duplicates=duplicates, batch_size=2)
    assert client["docs"].get().index.tolist() == kept
    assert client["docs"].embeddings("a").tolist() == [[4, 0]] if duplicates == "last" else [[1, 0]]
    assert report.loc["docs", "skipped"] == 2
    assert "'a'" in str(report.loc["docs", "why"])
    with pytest.raises(DuplicateIDError, match="'a'"):
        client.import_file(path, "other", duplicates="error")
    assert client.list_collections().index.tolist() == ["docs"]


# interrupted ----------------------------------------------------------------------------------


class Failing:
    """A store whose ``add`` fails once."""

    read_only = False

    def __init__(self, client: Client, after: int, error: BaseException) -> None:
        self.store, self.calls = client._store, iter([*[None] * after, error])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def add(self, *arguments: Any, **options: Any) -> int:
        error = next(self.calls, None)
        if error is not None:
            raise error
        return self.store.add(*arguments, **options)


@pytest.mark.parametrize("error", [StoreError("full"), KeyboardInterrupt()], ids=["full", "interrupted"])
def test_the_same_call_goes_on(client: Client, file: Path, error: BaseException) -> None:
    def run(store: Store) -> Any:
        return files.import_file(file, "docs", store, files_columns.asked(), Embedder(NOT_GIVEN).embed, batch_size=50)

    with pytest.raises(type(error)) as caught:
        run(cast("Store", Failing(client, 2, error)))
    assert "goes on from there" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert "docs" not in client
    report = run(client._store)
    assert report.already_there > 0
    assert report.already_there + report.imported == ROWS
    client.create_collection("frame").add(frame())
    assert same(client["docs"], client["frame"])
    assert sorted(client.list_collections().index) == ["docs", "frame"]


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("problem", [StoreError("full"), KeyboardInterrupt()], ids=["full", "interrupted"])
def test_filling_goes_on(client: Client, file: Path, problem: BaseException, after: int) -> None:
    def run(store: Store) -> Any:
        return files.import_file(file, "docs", store, files_columns.asked(), Embedder(NOT_GIVEN).embed, batch_size=50)

    docs = client.create_collection("docs")
    with pytest.raises(type(problem)):
        run(cast("Store", Failing(client, after, problem)))
    there = docs.count()
    assert (there > 0) == (after > 0)
    with Client() as other:
        assert client.copy_to(other).index.tolist() == ["docs"], "what says that it is filled is no collection"
    report = run(client._store)
    assert (report.already_there, report.imported, report.skipped) == (there, ROWS - there, 0)
    client.create_collection("frame").add(frame())
    assert same(docs, client["frame"])
    assert sorted(client.list_collections().index) == ["docs", "frame"]
    with pytest.raises(CollectionExistsError):
        run(client._store)


@pytest.mark.parametrize("on_conflict", ["error", "replace", "upsert", "skip"])
def test_filling_that_goes_on_otherwise(client: Client, tmp_path: Path, on_conflict: str) -> None:
    path = write(frame(), tmp_path / "f.parquet")
    embed = Embedder(NOT_GIVEN).embed
    docs = client.create_collection("docs", {"mine": 1})
    failing = cast("Store", Failing(client, 2, StoreError("full")))
    with pytest.raises(StoreError, match="full"):
        files.import_file(path, "docs", failing, files_columns.asked(), embed, batch_size=50)
    if on_conflict == "error":
        client.delete_collection("docs")
    client.import_file(path, "docs", on_conflict=on_conflict)
    assert client.list_collections()["count"].to_dict() == {"docs": ROWS}
    assert client["docs"].metadata == (None if on_conflict == "error" else {"mine": 1})
    assert (client["docs"].id == docs.id) == (on_conflict in ("upsert", "skip"))


def test_another_choice_of_columns_begins_anew(client: Client, tmp_path: Path) -> None:
    path = write(frame(), tmp_path / "f.parquet")
    with pytest.raises(StoreError):
        files.import_file(
            path,
            "docs",
            cast("Store", Failing(client, 2, StoreError("full"))),
            files_columns.asked(),
            Embedder(NOT_GIVEN).embed,
            batch_size=50,
        )
    report = client.import_file(path, "docs", metadata=["lang"])
    assert report.loc["docs", "already_there"] == 0
    assert client["docs"].get().columns.tolist() == ["document", "lang"]


# bad input ------------------------------------------------------------------------------------


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows))


GOOD = [{"id": str(n), "embedding": [n, 1.0], "k": n} for n in range(40)]


def with_row(**changed: Any) -> str:
    row = {**GOOD[30], **changed}
    return lines(*GOOD[:30], {key: value for key, value in row.items() if value != "gone"}, *GOOD[31:])


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("f.jsonl", with_row(embedding=[1, 2, 3]), InvalidDimensionError, r"f\.jsonl, row 31: .*3 numbers, .* has 2"),
        ("f.jsonl", with_row(embedding="gone"), InvalidArgumentError, r"row 31: The vector is missing"),
        ("f.jsonl", with_row(embedding="x"), InvalidArgumentError, r"row 31: The vector is missing"),
        ("f.jsonl", with_row(embedding=[1, None]), InvalidArgumentError, r"row 31: The vector lacks a number"),
        ("f.jsonl", with_row(embedding=[1, 1e300]), InvalidArgumentError, r"row 31: "),
        ("f.jsonl", with_row(id=None), InvalidArgumentError, r"'id', 1 are missing, the first one in row 31"),
        ("f.jsonl", with_row(k={"a": 1}), InvalidArgumentError, r"row 31: .*'k'.*json\.dumps"),
        ("f.jsonl", with_row(k=2**64), InvalidArgumentError, r"row 31: .*exceeds 64 bits"),
        ("f.jsonl", with_row(k=2**63), InvalidArgumentError, r"row 31: .*'k'.* 64 bits"),
        ("f.jsonl", lines({**GOOD[0], "k": -1}, {**GOOD[1], "k": 2**63}), InvalidArgumentError, "not fit in 64 bits"),
        ("f.jsonl", lines(*GOOD) + "\n{oops", CorruptStoreError, r"f\.jsonl cannot be read: .*line 4[12]"),
        ("f.jsonl", "[1]\n[2]", ChromaNbError, r"f\.jsonl"),
        ("f.jsonl", "", InvalidArgumentError, r"f\.jsonl is empty"),
        ("f.csv", "id,embedding\n", InvalidArgumentError, "has no rows"),
        (
            "f.csv",
            'id,embedding\na,"[1,2]"\nb,"[1,2]",c\n',
            CorruptStoreError,
            r"f\.csv cannot be read: .*[Ll]ine:? ?3",
        ),
        ("f.csv", 'id,embedding\na,"[1,2]"\nb,1 2\n', InvalidArgumentError, r"row 2: The vector is missing"),
        ("f.csv", "id,embedding\na,[0.1 0.2]\n", InvalidArgumentError, "null or no number.*have commas"),
        ("f.csv", 'id,embeding\na,"[1,2]"\n', InvalidArgumentError, r"neither vectors nor documents.*id, embeding"),
        ("f.csv", 'key,embedding\na,"[1,2]"\n', ColumnNotFoundError, r"no column 'id'.*id=.*key"),
        ("f.csv", "id,document\na,x\nb,\n", InvalidArgumentError, r"row 2: The document is missing"),
        ("f.parquet", "id,embedding", CorruptStoreError, r"f\.parquet cannot be read, it is damaged or cut off"),
        ("f.arrow", "x" * 100, CorruptStoreError, r"f\.arrow cannot be read"),
        ("f.xlsx", "x", InvalidArgumentError, r"ends in none of \.parquet"),
        ("f.parqet", "x", InvalidArgumentError, r'Did you mean "\.parquet"'),
    ],
)
def test_bad_files(
    client: Client, tmp_path: Path, name: str, content: str, error: type[ChromaNbError], message: str
) -> None:
    (tmp_path / name).write_text(content)
    docs = client.create_collection("other", embedding_function=lengths)
    with pytest.raises(error, match=message):
        files.import_file(
            tmp_path / name, "docs", client._store, files_columns.asked(), docs._embedder.embed, batch_size=10
        )
    assert client.list_collections().index.tolist() == ["other"], "nothing is half-imported"


def test_a_bad_row_leaves_an_empty_collection_empty(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    docs = client.create_collection("docs")
    path.write_text(lines(GOOD[0]) + "\n" + with_row(embedding=[1, None]))
    with pytest.raises(InvalidArgumentError, match="row 32"):
        client.import_file(path, docs, batch_size=10)
    assert docs.count() == 0
    assert client.count_collections() == 1
    path.write_text(lines(*GOOD))
    client.import_file(path, docs, batch_size=10)
    assert docs.count() == len(GOOD)


@pytest.mark.parametrize("on_conflict", ["skip", "upsert"])
def test_rows_before_a_bad_one_that_stay_are_told(client: Client, tmp_path: Path, on_conflict: str) -> None:
    path = tmp_path / "f.jsonl"
    docs = client.create_collection("docs")
    docs.add(ids="own", embeddings=[1, 2])
    path.write_text(with_row(embedding=[1, None]))
    with pytest.raises(InvalidArgumentError, match=r"row 31: .* 30 rows before it are in 'docs' now\.$"):
        client.import_file(path, docs, batch_size=10, on_conflict=on_conflict)
    assert docs.count() == 31


def test_a_file_of_another_function_does_not_fill(client: Client, tmp_path: Path) -> None:
    client.create_collection("from", embedding_function=lambda texts: [[1.0] for _ in texts]).add(["a"], documents="x")
    client["from"].export(tmp_path / "f.parquet")
    client.create_collection("docs", embedding_function="all-MiniLM-L6-v2")
    with pytest.raises(EmbeddingFunctionError, match="was made with"):
        client.import_file(tmp_path / "f.parquet", "docs")
    assert sorted(client.list_collections().index) == ["docs", "from"]


def parquet(path: Path, **columns: Any) -> Path:
    given = {"id": ["a", "b"], "embedding": [[1.0, 2], [3, 4]], **columns}
    pq.write_table(pa.table({name: value for name, value in given.items() if value is not None}), path)
    return path


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        ({"when": pa.array([0, 1], pa.timestamp("s"))}, {}, InvalidArgumentError, r"'when' holds timestamp"),
        ({"nested": [{"a": 1}, {"a": 2}]}, {}, InvalidArgumentError, r"'nested' holds struct"),
        ({"id": [1.5, 2.5]}, {}, InvalidArgumentError, r"texts or whole numbers; the column 'id' holds double"),
        ({"embedding": ["x", "y"]}, {}, InvalidArgumentError, r"row 1: The vector is missing"),
        ({"embedding": [1.0, 2.0]}, {}, InvalidArgumentError, r"'embedding' holds double, no vectors"),
        ({"embedding": [[1.0, float("nan")], [1, 2]]}, {}, InvalidArgumentError, r"row 1: .*NaN"),
        ({}, {"document": "txt"}, ColumnNotFoundError, r"no column 'txt'"),
        ({"lang": ["x", "y"]}, {"metadata": ["lnag"]}, ColumnNotFoundError, r'Did you mean "lang"'),
        ({"embedding": None}, {}, InvalidArgumentError, r"neither vectors nor documents"),
        ({}, {"embedding": Path("none.npy")}, InvalidArgumentError, r"none\.npy cannot be read"),
        ({}, {"embedding": 5}, InvalidArgumentError, r"embedding names columns, got 5"),
        ({}, {"id": 5}, InvalidArgumentError, r"id names a column, got 5"),
        ({}, {"on_conflict": "merge"}, InvalidArgumentError, r"on_conflict must be one of"),
        ({}, {"duplicates": "all"}, InvalidArgumentError, r"duplicates must be one of"),
        ({}, {"batch_size": 0}, InvalidArgumentError, r"batch_size must be a positive int"),
        (
            {"metadata.x": ["1", "2"], "metadata.id": ["1", "2"]},
            {"id": "metadata.x"},
            InvalidArgumentError,
            "both mean",
        ),
    ],
)
def test_bad_columns(
    client: Client,
    tmp_path: Path,
    columns: dict[str, Any],
    options: dict[str, Any],
    error: type[ChromaNbError],
    message: str,
) -> None:
    path = parquet(tmp_path / "f.parquet", **columns)
    with pytest.raises(error, match=message):
        client.import_file(path, "docs", **options)
    assert client.count_collections() == 0


@pytest.mark.parametrize("file", [name for name in SUFFIXES if name not in ("csv", "tsv")], indirect=True)
def test_torn_files(client: Client, file: Path) -> None:
    """A text that ends early may be whole."""
    whole = file.read_bytes()
    for size in (len(whole) // 2, len(whole) - 3, 20):
        file.write_bytes(whole[:size])
        with pytest.raises(ChromaNbError, match="items"):
            client.import_file(file, "docs", batch_size=50)
        assert client.count_collections() == 0


def test_damage_within(client: Client, tmp_path: Path) -> None:
    """What shows only when the pages in the midst are read."""
    path = tmp_path / "f.parquet"
    pq.write_table(pa.Table.from_pandas(frame()), path, row_group_size=100, compression="zstd")
    raw = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(2)
    assert "embedding" in column.path_in_schema
    start = column.data_page_offset
    raw[start + 40 : start + column.total_compressed_size - 10] = bytes(column.total_compressed_size - 50)
    path.write_bytes(raw)
    with pytest.raises(CorruptStoreError, match=r"f\.parquet cannot be read"):
        client.import_file(path, "docs", batch_size=50)
    assert client.count_collections() == 0


def test_files_that_are_not_what_they_are_called(client: Client, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "f.csv")
    with pytest.raises(ChromaNbError, match=r"f\.csv"):
        client.import_file(tmp_path / "f.csv", "docs")
    np.save(tmp_path / "v.npy", np.ones((2, 2)))
    with pytest.raises(InvalidArgumentError, match="holds vectors alone"):
        client.import_file(tmp_path / "v.npy", "docs")
    with pytest.raises(InvalidArgumentError, match="is a folder"):
        client.import_file(tmp_path, "docs")
    with pytest.raises(InvalidArgumentError, match=r'There is no file .*Did you mean "f\.csv"'):
        client.import_file(tmp_path / "ff.csv", "docs")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 2)), r"holds 3 vectors, and .*f\.parquet 2 rows"),
        (np.ones(2), r"shape \(2,\)"),
        (np.array([["a"], ["b"]]), r"<U1"),
        (np.array([[{}], [{}]], dtype=object), r"cannot be read as an array"),
        (np.array([[1.0, 2.0], [np.inf, 2.0]]), r"row 2: .*NaN or infinite"),
    ],
)
def test_bad_vectors_of_numpy(
    client: Client, tmp_path: Path, array: np.ndarray[Any, np.dtype[Any]], message: str
) -> None:
    np.save(tmp_path / "v.npy", array)
    path = parquet(tmp_path / "f.parquet", embedding=None)
    with pytest.raises(InvalidArgumentError, match=message):
        client.import_file(path, "docs", embedding=tmp_path / "v.npy")
    assert client.count_collections() == 0


def test_a_name_that_is_none(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="3-63 characters"):
        client.import_file(parquet(tmp_path / "f.parquet"), "x")
    with pytest.raises(InvalidArgumentError, match="a collection or its name, got 5"):
        client.import_file(parquet(tmp_path / "f.parquet"), 5)  # type: ignore[arg-type]


def test_reading_twice_the_memory_is_not_needed(tmp_path: Path) -> None:
    """A file of one row group is read in slices: what Arrow holds at once is a small part of it."""
    rows = 120_000
    path = tmp_path / "f.parquet"
    numbers = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), 64)
    pq.write_table(pa.table({"id": [str(n) for n in range(rows)], "embedding": column}), path, row_group_size=rows)
    asked = files_columns.asked()
    with files.FileSource([path], "docs", asked, Embedder(NOT_GIVEN).embed) as source:
        before, most = pa.total_allocated_bytes(), 0
        for batch in source.batches(source.collections()[0], 2_000):
            assert batch.records.embeddings is not None
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < numbers.nbytes / 4


def test_importing_the_library_loads_no_reader() -> None:
    import subprocess
    import sys

    code = "import chroma_nb, sys; print([name for name in sys.modules if name.startswith('chroma_nb.migrate')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert chroma_nb.__version__
