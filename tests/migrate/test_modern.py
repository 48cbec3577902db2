"""The reader of Chroma 0.4 to 1.x, on directories of every layout that are written here table by table."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from chroma_nb import PersistentClient
from chroma_nb.errors import CorruptStoreError, ForeignStoreError, StoreLockedError
from chroma_nb.migrate.modern import ModernSource
from chroma_nb.types import Metric
from tests.migrate.modern_directory import ADD, DELETE, LAYOUTS, UPDATE, UPSERT, write_index
from tests.migrate.modern_fixture import Write, write
from tests.migrate.reading import read, state

__all__ = ["write"]  # the fixture

DOC, URI = "chroma:document", "chroma:uri"


# every layout ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_tables_segment_and_log(write: Write, layout: str) -> None:
    directory = write(layout)
    docs = directory.collection("docs", 2)
    other = directory.collection("other", 3)
    empty = directory.collection("empty")
    flags = {} if layout == "0.4.0" else {"flag": True, "off": False}
    directory.rows(docs, {"a": {DOC: "ü", "n": 1, "x": 1.0, **flags}, "b": {"s": "1", "big": 2**62}}, seen=9)
    directory.rows(other, {"a": {}})
    directory.rows(docs, {"c": {URI: "file:///c"}, "d": {DOC: ""}, "e": {"n": -1}}, seen=9)
    directory.segment(docs, {"a": [1, 2], "-x": [0, 0], "b": [3, 4], "e": [9, 9], "d": [5, 6]}, seen=5)
    for _ in range(5):
        directory.log(docs, UPSERT, "a", [99, 99])  # the segment has seen these
    directory.log(docs, ADD, "c", [7, 8])
    directory.log(docs, UPDATE, "b", [3.5, 4.5])
    directory.log(other, ADD, "a", [1, 2, 3], encoding="INT32")
    directory.log(docs, UPSERT, "e", [0.25, 0])
    directory.frame(other, 3)
    directory.seen(docs.rows, 9)
    before = state(directory.path)
    found = read(directory.path)
    assert state(directory.path) == before
    assert list(found) == ["docs", "other", "empty"]
    assert found["docs"]["items"] == {
        "a": ("ü", {"n": 1, "x": 1.0, **flags}, [1, 2]),
        "b": (None, {"s": "1", "big": 2**62}, [3.5, 4.5]),
        "c": (None, {URI: "file:///c"}, [7, 8]),
        "d": ("", None, [5, 6]),
        "e": (None, {"n": -1}, [0.25, 0]),
    }
    assert found["other"]["items"] == {"a": (None, None, [1, 2, 3])}
    assert [str(found[name]["info"].id) for name in found] == [docs.id, other.id, empty.id]
    assert [found[name]["info"].dimension for name in found] == [2, 3, None]
    assert all(not entry["notes"] and not entry["info"].notes for entry in found.values())
    values = found["docs"]["items"]["a"][1]
    assert [type(value) for value in values.values()] == [int, float, *(bool for _ in flags)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cosine_vectors_have_their_length_again(write: Write, layout: str) -> None:
    directory = write(layout)
    docs = directory.collection("docs", 2, metadata={"hnsw:space": "cosine"})
    vectors = {"a": [3.0, 4.0], "b": [0.5, 0.0], "c": [-1e3, 1e3]}
    directory.rows(docs, {id_: {} for id_ in vectors})
    folder = directory.segment(docs, vectors, cosine=True)
    found = read(directory.path)["docs"]
    assert found["info"].settings.space is Metric.COSINE
    for id_, vector in vectors.items():
        assert found["items"][id_][2] == pytest.approx(vector, rel=1e-6)
    (folder / "length.bin").unlink()
    shortened = read(directory.path)["docs"]
    assert shortened["info"].notes == ("its vectors have length 1: their lengths were not kept",)
    assert shortened["items"]["a"][2] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_log_is_replayed_as_chroma_does(write: Write, layout: str) -> None:
    directory = write(layout)
    docs = directory.collection("docs", 1)
    directory.rows(docs, {"a": {DOC: "a", "n": 1, "s": "x"}, "b": {"n": 2}, "c": {"n": 3}, "d": {"n": 4}}, seen=0)
    directory.segment(docs, {"a": [1], "b": [2], "c": [3], "d": [4]}, seen=0)
    for operation, id_, vector, metadata in (
        (ADD, "a", [99], {"n": 99}),  # ignored: it exists
        (UPDATE, "a", None, {"s": None, "new": True, DOC: "A"}),
        (UPDATE, "new", [98], {"n": 98}),  # ignored: it does not exist
        (DELETE, "b", None, None),
        (DELETE, "nowhere", None, None),
        (UPSERT, "c", [33], {"n": 3.5}),
        (ADD, "e", [5], {"n": 5, "gone": None}),
        (UPDATE, "b", [96], {"n": 96}),  # ignored: it is deleted
        (ADD, "b", [22], {"again": 1}),  # a new row at the end
        (UPDATE, "e", [55], {"n": None, "m": 1}),
        (ADD, "f", [6], {}),
        (DELETE, "f", None, None),
        (UPSERT, "g", [7], {DOC: "g"}),
        (DELETE, "d", None, None),
        (UPDATE, "d", [97], {"n": 97}),  # ignored
    ):
        directory.log(docs, operation, id_, vector, metadata)
    for rows in (1, 2, 100):
        found = read(directory.path, rows)["docs"]
        assert found["items"] == {
            "a": ("A", {"n": 1, "new": True}, [1]),
            "c": (None, {"n": 3.5}, [33]),
            "e": (None, {"m": 1}, [55]),
            "b": (None, {"again": 1}, [22]),
            "g": ("g", None, [7]),
        }
        assert list(found["items"]) == ["a", "c", "e", "b", "g"]
        assert found["notes"] == []
    with ModernSource(directory.path) as source:
        collection = source.collections()[0]
        for start in range(6):
            rest = [id_ for batch in source.batches(collection, 2, start) for id_ in batch.records.ids.to_pylist()]
            assert rest == ["a", "c", "e", "b", "g"][start:]


def test_ids_of_any_text(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 1)
    ids = ["", "a\0b", "日本", "x" * 5000, "'; DROP TABLE x", "-"]
    directory.rows(docs, {id_: {DOC: id_, f"k{id_}": id_} for id_ in ids})
    directory.segment(docs, {id_ if id_ != "-" else "y": [row] for row, id_ in enumerate(ids)})
    directory.log(docs, DELETE, "")
    directory.seen(docs.rows, 5)
    directory.log(docs, ADD, "-", [5])
    found = read(directory.path)["docs"]
    assert list(found["items"]) == ids[1:]
    assert found["items"]["a\0b"] == ("a\0b", {"ka\0b": "a\0b"}, [1])
    assert found["notes"] == ["1 x without a vector ('')"]


# what cannot be kept --------------------------------------------------------------------------


def test_rows_that_are_left_out_are_told(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 2)
    directory.rows(docs, {id_: {"n": 1} for id_ in ("a", "b", "c", "d", "e")})
    directory.segment(docs, {"a": [1, 2], "c": [np.nan, 1], "-d": [0, 0]})
    directory.log(docs, ADD, "b", [1, 2, 3])
    found = read(directory.path, 100)["docs"]
    assert list(found["items"]) == ["a"]
    assert found["notes"] == [
        "2 x without a vector ('d', 'e')",
        "1 x a vector of dimension 3, not 2 ('b')",
        "1 x a vector with NaN, infinite numbers or numbers too large for float32 ('c')",
    ]


def test_lists_become_json(write: Write) -> None:
    directory = write("1.5.9")
    docs = directory.collection("docs", 1)
    directory.rows(docs, {"a": {"tags": ["x", "y"], "flags": [True, False], "n": 1}})
    directory.log(docs, ADD, "b", [2], {"tags": ["z"]})
    directory.log(docs, UPDATE, "a", [1], {"flags": None})
    directory.segment(docs, {"a": [0]})
    found = read(directory.path, 100)["docs"]
    assert found["items"] == {"a": (None, {"n": 1, "tags": '["x", "y"]'}, [1]), "b": (None, {"tags": '["z"]'}, [2])}
    assert found["notes"] == [
        "1 x a list or dict in the metadata, kept as JSON text ('a')",
        "1 x a list or dict in the metadata, kept as JSON text ('b')",
    ]


def test_a_lost_folder(write: Write, tmp_path: Path) -> None:
    """What is still in the log is rescued; with most vectors missing it is an error that says what to do."""
    directory = write("0.6.3")
    docs = directory.collection("docs", 1)
    directory.rows(docs, {"a": {}, "b": {}, "c": {}}, seen=3)
    folder = directory.segment(docs, {"a": [1], "b": [2], "c": [3]}, seen=3)
    shutil.rmtree(folder)
    for missing in (3, 2):
        with ModernSource(directory.path) as source:
            collection = source.collections()[0]
            said = rf"{missing} of the 3 vectors of 'docs' are missing: .*copied as a whole\?"
            with pytest.raises(CorruptStoreError, match=said):
                source.ids(collection)
        directory.log(docs, ADD, "a", [1])  # entries 1 to 3, which the segment had seen
    directory.log(docs, UPDATE, "b", [22])
    found = read(directory.path)["docs"]
    assert {id_: item[2] for id_, item in found["items"].items()} == {"a": [1], "b": [22]}
    assert found["notes"] == [f"1 x without a vector: the folder {folder.name} is missing, or empty ('c')"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("index_metadata.pickle", b"cos\nsystem\n(S'ls'\ntR.", "it asks for os.system"),
        ("index_metadata.pickle", b"", "torn or no pickle"),
        ("index_metadata.pickle", b"\x80\x02}.", "which label an id has"),
        ("header.bin", b"", "has 0 of 100 bytes"),
        ("header.bin", bytes(100), "not the header of an index"),
        ("data_level0.bin", b"x", "holds 0 of 2 vectors"),
        ("length.bin", bytes(4), "holds 1 of 2 vectors"),
        ("data_level0.bin", None, "No such file"),
        ("header.bin", None, "No such file"),
    ],
)
def test_damaged_segments(write: Write, name: str, content: bytes | None, said: str) -> None:
    directory = write()
    directory.collection("before", 2)
    docs = directory.collection("docs", 2, metadata={"hnsw:space": "cosine"})
    directory.rows(docs, {"a": {}, "b": {}})
    path = directory.segment(docs, {"a": [1, 2], "b": [3, 4]}, cosine=True) / name
    assert len(read(directory.path)["docs"]["items"]) == 2
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with ModernSource(directory.path) as source:
        before, damaged = source.collections()
        assert len(source.ids(before)) == 0
        with pytest.raises(CorruptStoreError, match=said) as raised:
            source.ids(damaged)
    assert str(path) in str(raised.value)


def test_a_header_of_another_dimension(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 2)
    directory.rows(docs, {"a": {}})
    folder = directory.segment(docs, {"a": [1, 2]})
    write_index(folder, np.ones((1, 3), dtype="<f4"))
    assert read(directory.path)["docs"]["notes"] == ["1 x a vector of dimension 3, not 2 ('a')"]


def test_a_damaged_log(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 1)
    directory.log(docs, ADD, "a", [1], {})
    directory.sql.execute("UPDATE embeddings_queue SET metadata = '[1]'")
    with ModernSource(directory.path) as source, pytest.raises(CorruptStoreError, match="Entry 1 of the log"):
        source.collections()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE embeddings SET embedding_id = x'ff'",
        "UPDATE embedding_metadata SET string_value = x'ff'",
        "UPDATE embedding_metadata SET key = x'ff'",
    ],
)
def test_bytes_where_a_text_belongs(write: Write, statement: str) -> None:
    directory = write()
    docs = directory.collection("docs", 1)
    directory.rows(docs, {"a": {"s": "x"}})
    directory.segment(docs, {"a": [1]})
    directory.sql.execute(statement)
    with pytest.raises(CorruptStoreError, match=r"has b'\\xff' where a text belongs"):
        read(directory.path)


def test_a_writer_at_work_is_noticed(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 1)
    directory.rows(docs, {"a": {}, "b": {}})
    directory.segment(docs, {"a": [1], "b": [2]})
    with ModernSource(directory.path) as source:
        collection = source.collections()[0]
        batches = source.batches(collection, 1)
        assert next(batches).records.ids.to_pylist() == ["a"]
        directory.log(docs, DELETE, "b")
        with pytest.raises(StoreLockedError, match="changed by another process while it was read"):
            next(batches)
        fingerprint = source.fingerprint
    with ModernSource(directory.path) as source:
        assert source.fingerprint != fingerprint


def test_who_opens_such_a_directory_is_told_what_it_holds(write: Write) -> None:
    directory = write()
    docs = directory.collection("docs", 2)
    directory.rows(docs, {"a": {DOC: "x"}})
    directory.log(docs, ADD, "a", [1, 2])
    before = state(directory.path)
    with pytest.raises(ForeignStoreError) as caught:
        PersistentClient(str(directory.path))
    told = str(caught.value)
    for part in (
        "Chroma 0.4 or later",
        ".import_directory(",
        "chroma-nb import ",
        "It holds 1 collection: 'docs' (1 items).",
    ):
        assert part in told
    assert state(directory.path) == before
