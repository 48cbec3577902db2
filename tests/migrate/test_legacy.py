"""Directories of Chroma 0.3 come over whole, of every release, and stay as they are."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import compat
from chroma_nb.errors import CorruptStoreError, ForeignStoreError
from chroma_nb.migrate.legacy import LegacySource
from chroma_nb.migrate.source import open_source
from tests.migrate.legacy_directory import Old, Row, copy, fingerprints, write


@pytest.fixture
def client() -> Iterator[compat.Client]:
    with compat.EphemeralClient() as made:
        yield made


def told(report: pd.DataFrame) -> list[Any]:
    """The rows of a report."""
    return list(report.itertuples())


def everything(collection: compat.Collection) -> list[dict[str, Any]]:
    """All items in order."""
    found: Any = collection.get(include=["documents", "metadatas", "embeddings"])
    columns = (found[name] for name in ("ids", "documents", "metadatas", "embeddings"))
    return [
        {"id": id_, "document": document, "metadata": metadata, "embedding": list(map(float, embedding))}
        for id_, document, metadata, embedding in zip(*columns, strict=True)
    ]


def expected(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "document": row.document,
            "metadata": row.metadata or None,
            "embedding": np.asarray(row.embedding, dtype=np.float32).tolist(),
        }
        for row in rows
    ]


def typed(value: Any) -> Any:
    """With the types of numbers, which compare equal otherwise."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, value)


# everything comes over ------------------------------------------------------------------------


def test_a_directory(tmp_path: Path, client: compat.Client) -> None:
    texts = [
        Row("b", [1.5, -2.0], "Übergröße 日本 \U0001f600\t\n'\"%", {"n": 11, "f": 11.0, "s": "11", "b": True}),
        Row("a", [0.1, 1e-30], None, None),
        Row("http://x/?q=1", [0.0, 0.0], "", {"big": 2**63 - 1, "neg": -(2**63), "b": False, "": "no name"}),
    ]
    numbers = [Row("a", [3.0, 4.0, 12.0], "five", {"é": "é"})]
    hnsw = {"hnsw:space": "cosine", "hnsw:M": 24, "hnsw:construction_ef": 120, "hnsw:search_ef": 80, "owner": "h1"}
    old = [Old("texts", texts), Old("numbers", numbers, hnsw), Old("empty", [], {"note": "nothing", "n": 1.0})]
    path = write(tmp_path / "old", old, interleaved=True)
    before = fingerprints(path)
    report = client.import_directory(path)
    assert fingerprints(path) == before
    assert report.index.tolist() == ["texts", "numbers", "empty"]
    assert report["imported"].tolist() == [3, 1, 0]
    assert report["skipped"].tolist() == [0, 0, 0]
    assert report["notes"].tolist() == [[], [], []]
    assert report["verified"].all()
    assert [(one.name, one.id) for one in client.list_collections()] == [(one.name, one.id) for one in old]
    assert typed(everything(client["texts"])) == typed(expected(texts))
    assert typed(everything(client["numbers"])) == typed(expected(numbers))
    assert typed(client["numbers"].metadata) == typed(hnsw)
    assert typed(client["empty"].metadata) == typed({"note": "nothing", "n": 1.0})
    index = client._store.collection("numbers").settings
    assert (index.space.value, index.m, index.construction_ef, index.search_ef) == ("cosine", 24, 120, 80)
    assert client["texts"].metadata is None
    assert client._store.collection("texts").settings.space.value == "l2"
    # The length of cosine vectors is kept.
    answer: Any = client["numbers"].query([[3.0, 4.0, 12.0]], n_results=1)
    assert answer["distances"][0][0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("text", ["null", "{}", json.dumps(json.dumps({})), json.dumps("null")])
def test_collections_without_metadata(tmp_path: Path, client: compat.Client, text: str) -> None:
    client.import_directory(write(tmp_path, [Old("docs", [Row("a", [1.0])], text)]))
    assert client["docs"].metadata is None


def test_metadata_that_was_encoded_twice(tmp_path: Path, client: compat.Client) -> None:
    twice = json.dumps(json.dumps({"hnsw:space": "ip", "a": 1}))
    client.import_directory(write(tmp_path, [Old("docs", [Row("a", [1.0], None, '"{\\"k\\": 2.0}"')], twice)]))
    assert client["docs"].metadata == {"hnsw:space": "ip", "a": 1}
    assert client._store.collection("docs").settings.space.value == "ip"
    assert typed(everything(client["docs"])[0]["metadata"]) == typed({"k": 2.0})


def test_a_release_without_metadata_of_collections(tmp_path: Path, client: compat.Client) -> None:
    write(tmp_path, [Old("docs", [Row("a", [1.0], "text")])])
    with duckdb.connect(":memory:") as connection:
        file = str(tmp_path / "chroma-collections.parquet")
        connection.execute("CREATE TABLE collections AS SELECT uuid, name FROM read_parquet(?)", [file])
        copy(connection, "collections", tmp_path)
    client.import_directory(tmp_path)
    assert everything(client["docs"])[0]["document"] == "text"


def test_paths_that_look_like_patterns(tmp_path: Path, client: compat.Client) -> None:
    path = write(tmp_path / "a[1]* year=2020" / "it's", [Old("docs", [Row("a", [1.0], "text")])])
    client.import_directory(path)
    assert everything(client["docs"])[0] == {"id": "a", "document": "text", "metadata": None, "embedding": [1.0]}


# what does not fit ----------------------------------------------------------------------------


def test_rows_that_cannot_be_kept(tmp_path: Path, client: compat.Client) -> None:
    rows = [
        Row("good", [1.0, 2.0], "x"),
        Row("nan", [1.0, math.nan]),
        Row("inf", [math.inf, 0.0]),
        Row("large", [1e39, 0.0]),
        Row("hole", [1.0, None]),
        Row("long", [1.0, 2.0, 3.0]),
        Row("none", None),
        Row("nothing", []),
        Row(None, [1.0, 2.0]),
        Row("last", [3.0, 4.0]),
    ]
    (report,) = told(client.import_directory(write(tmp_path, [Old("docs", rows)])))
    assert (report.rows, report.imported, report.skipped) == (10, 2, 8)
    assert (
        "4 x a vector with NaN, infinite numbers or numbers too large for float32 ('nan', 'inf', 'large'" in report.why
    )
    assert "1 x a vector of dimension 3, not 2 ('long')" in report.why
    assert "2 x without a vector ('none', 'nothing')" in report.why
    assert "1 x without an id" in report.why
    assert [item["id"] for item in everything(client["docs"])] == ["good", "last"]


def test_the_dimension_that_most_rows_have(tmp_path: Path, client: compat.Client) -> None:
    rows = [Row("a", [1.0]), *(Row(f"b{n}", [1.0, float(n)]) for n in range(3))]
    client.import_directory(write(tmp_path, [Old("docs", rows)]))
    assert client["docs"].count() == 3
    (report,) = told(
        client.import_directory(write(tmp_path / "tie", [Old("tied", [Row("a", [1.0]), Row("b", [1.0, 2.0])])]))
    )
    assert (report.imported, client["tied"].get()["ids"]) == (1, ["a"])


def test_values_that_are_kept_as_something_else(tmp_path: Path, client: compat.Client) -> None:
    odd = {"n": None, "nan": math.nan, "inf": math.inf, "list": [1, "é"], "big": 2**64, "ok": 1, "half": "\ud83d"}
    rows = [Row("a", [1.0], None, odd), Row("b", [1.0], None, "not JSON"), Row("c", [1.0], None, "[1]")]
    collection = Old("docs", rows, {"list": [1], "none": None, "hnsw:space": "nonsense", "ok": 1})
    (report,) = told(client.import_directory(write(tmp_path, [collection])))
    assert (report.imported, report.skipped) == (3, 0)
    kept = everything(client["docs"])
    assert kept[0]["metadata"] == {"inf": math.inf, "list": '[1, "é"]', "big": str(2**64), "ok": 1, "half": "?"}
    assert kept[1]["metadata"] is kept[2]["metadata"] is None
    assert client["docs"].metadata == {"list": "[1]", "hnsw:space": "nonsense", "ok": 1}
    said = "\n".join(report.notes)
    for part in ("null, left out ('a')", "NaN, left out ('a')", "JSON text ('a')", "64 bits", "('b', 'c')", "question"):
        assert part in said
    for part in ("metadata 'list'", "metadata 'none'", "the index setting 'hnsw:space' = 'nonsense' has no meaning"):
        assert part in said


def test_rows_of_no_collection_are_nobodys(tmp_path: Path, client: compat.Client) -> None:
    gone = Old("gone", [Row("x", [1.0])])
    write(tmp_path, [Old("docs", [Row("a", [1.0])]), gone])
    with duckdb.connect(":memory:") as connection:
        file = str(tmp_path / "chroma-collections.parquet")
        connection.execute("CREATE TABLE collections AS SELECT * FROM read_parquet(?) WHERE name = 'docs'", [file])
        copy(connection, "collections", tmp_path)
    client.import_directory(tmp_path)
    assert [(one.name, one.count()) for one in client.list_collections()] == [("docs", 1)]


def test_metadata_that_is_nested_without_end(tmp_path: Path, client: compat.Client) -> None:
    rows = [Row("a", [1.0], None, '{"k":' * 10_000), Row("b", [1.0], None, "[" * 10_000 + "]" * 10_000)]
    (report,) = told(client.import_directory(write(tmp_path, [Old("docs", rows)])))
    assert (report.imported, report.notes) == (2, ["2 x metadata that is no JSON object, left out ('a', 'b')"])


# what cannot be imported ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["collections", "embeddings"])
@pytest.mark.parametrize("damage", ["cut", "empty", "scrambled", "other"])
def test_torn_files(tmp_path: Path, client: compat.Client, name: str, damage: str) -> None:
    rows = [Row(f"id {n}", [float(n), 1.0], f"text {n}" * 20, {"n": n}) for n in range(500)]
    path = write(tmp_path, [Old("docs", rows)])
    file = path / f"chroma-{name}.parquet"
    content = file.read_bytes()
    if damage == "other":
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS x")
            copy(connection, name, path)
    else:
        middle = len(content) // 3
        file.write_bytes(
            {
                "cut": content[: len(content) // 2],
                "empty": b"",
                "scrambled": content[:4] + bytes(middle) + content[4 + middle :],
            }[damage]
        )
    with pytest.raises(CorruptStoreError, match=rf"chroma-{name}\.parquet"):
        client.import_directory(path)
    assert client.list_collections() == []


@pytest.mark.parametrize(("name", "match"), [("collections", "names and metadata"), ("embeddings", "holds the items")])
def test_one_of_the_files_is_missing(tmp_path: Path, client: compat.Client, name: str, match: str) -> None:
    path = write(tmp_path, [Old("docs", [Row("a", [1.0])])])
    (path / f"chroma-{name}.parquet").unlink()
    (path / "index").mkdir()
    (path / "index" / f"index_{uuid.uuid4()}.bin").write_bytes(b"graph")
    with pytest.raises(CorruptStoreError, match=match):
        client.import_directory(path)


def test_an_id_of_two_collections(tmp_path: Path, client: compat.Client) -> None:
    docs = Old("docs", [Row("a", [1.0])])
    write(tmp_path, [docs, Old("more", id=docs.id)])
    with pytest.raises(CorruptStoreError, match="several collections with the same id"):
        client.import_directory(tmp_path)
    assert not client.list_collections()


def test_a_directory_that_was_never_persisted(tmp_path: Path, client: compat.Client) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / f"index_{uuid.uuid4()}.bin").write_bytes(b"graph")
    with pytest.raises(ForeignStoreError, match=r"never written: client\.persist\(\) was not called"):
        client.import_directory(tmp_path)


def test_pickles_are_not_read(tmp_path: Path, client: compat.Client) -> None:
    old = Old("docs", [Row("a", [1.0])])
    path = write(tmp_path, [old])
    (path / "index").mkdir()
    for name in ("id_to_uuid", "uuid_to_id", "index_metadata"):
        (path / "index" / f"{name}_{old.id}.pkl").write_bytes(b"cos\nsystem\n(S'touch " + bytes(path) + b"/ran'\ntR.")
    client.import_directory(path)
    assert client["docs"].count() == 1
    assert not (path / "ran").exists()


# reading --------------------------------------------------------------------------------------


def test_batches_begin_anywhere(tmp_path: Path) -> None:
    rows = [Row(f"id {n}", None if n % 10 == 0 else [float(n), 1.0], f"text {n}") for n in range(300)]
    others = [Row(f"other {n}", [1.0]) for n in range(300)]
    with open_source(write(tmp_path, [Old("docs", rows), Old("x", others)], interleaved=True)) as source:
        docs, _ = source.collections()
        ids = [row.id for row in rows]
        assert (docs.rows, docs.dimension, source.ids(docs).to_pylist()) == (300, 2, ids)
        for start in (0, 1, 17, 250, 299, 300):
            batches = list(source.batches(docs, 17, start))
            assert all(batch.rows <= 17 for batch in batches)
            assert sum(batch.rows for batch in batches) == 300 - start
            found = [at for batch in batches for at in batch.positions.tolist()]
            assert found == [at for at in range(start, 300) if at % 10]
            kept = [id_ for batch in batches for id_ in batch.records.ids.to_pylist()]
            assert kept == [ids[at] for at in found]
            assert all(
                len(batch.records) + sum(note.count for note in batch.skipped) == batch.rows for batch in batches
            )


def test_another_state_has_another_fingerprint(tmp_path: Path) -> None:
    seen = set()
    for count in (1, 2):
        write(tmp_path, [Old("docs", [Row(f"id {n}", [1.0]) for n in range(count)])])
        with LegacySource(tmp_path) as source, LegacySource(tmp_path) as again:
            assert source.fingerprint == again.fingerprint
            seen.add(source.fingerprint)
    assert len(seen) == 2


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
METADATA = st.dictionaries(TEXTS, VALUES, max_size=4)


@st.composite
def collections(draw: st.DrawFn) -> list[Old]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=(width := draw(st.integers(1, 4))), max_size=width)
        ids = draw(st.lists(TEXTS, max_size=6, unique=True))
        rows = [Row(id_, draw(vectors), draw(st.none() | TEXTS), draw(st.none() | METADATA)) for id_ in ids]
        space = draw(st.sampled_from(["l2", "cosine", "ip"]))
        made.append(Old(f"docs-{number}", rows, {"hnsw:space": space, **draw(METADATA)}))
    return made


@pytest.mark.slow
@given(collections(), st.booleans(), st.integers(1, 4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_directory(tmp_path: Path, old: list[Old], interleaved: bool, batch_size: int) -> None:
    path = tmp_path / uuid.uuid4().hex
    write(path, old, interleaved=interleaved, row_group=2048)
    with compat.EphemeralClient() as client:
        client.import_directory(path, batch_size=batch_size)
        assert [one.name for one in client.list_collections()] == [one.name for one in old]
        for one in old:
            assert typed(everything(client[one.name])) == typed(expected(one.rows))
            assert typed(client[one.name].metadata) == typed(one.metadata)
