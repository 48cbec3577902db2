"""A directory of Chroma 0.3 made here: what is in its files, and that reading it gives the same back."""

from __future__ import annotations

import json
import pickletools
import struct
import uuid
from typing import TYPE_CHECKING, Any

import duckdb
import hnswlib
import numpy as np
import pytest

from chroma_nb import Client, cli
from chroma_nb.errors import CollectionNotFoundError, InvalidArgumentError
from tests.migrate.test_exporting import COUNT, exact, fill
from tests.store.backend import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.store.backend import Backend


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


def test_the_full_circle(client: Client, tmp_path: Path) -> None:
    fill(client)
    client.create_collection("empty")
    other = client.create_collection("other", configuration={"hnsw": {"space": "ip", "max_neighbors": 8}})
    other.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    report = client.export_chroma(tmp_path / "old")
    assert report["items"].to_dict() == {"docs": COUNT, "empty": 0, "other": 2}
    assert "embed" in str(report.loc["docs", "notes"])
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    with Client() as back:
        back.import_directory(tmp_path / "old")
        first, second = dump(client), dump(back)
        for found in (first, second):
            for facts, *_ in found.values():
                del facts["embedding_function"]  # 0.3 keeps nothing of it
        # What was said by a configuration stands in the metadata there.
        assert first["other"][0].pop("metadata") is None
        assert second["other"][0].pop("metadata") == {"hnsw:space": "ip", "hnsw:M": 8}
        assert first == second
        for name in ("docs", "empty", "other"):
            assert back._store.collection(name).settings == client._store.collection(name).settings


def test_over_every_backend(backend: Backend, tmp_path: Path) -> None:
    docs = fill(backend.client)
    backend.client.export_chroma(tmp_path / "old", "docs")
    with Client() as back:
        back.import_directory(tmp_path / "old")
        assert exact(back["docs"]) == exact(docs)


def test_the_parquet_files(client: Client, tmp_path: Path) -> None:
    """Columns in the order in which 0.3 inserts them, of the types that it wrote."""
    docs = fill(client)
    client.export_chroma(tmp_path / "old")
    described = {
        name: [row[:2] for row in duckdb.execute(f"DESCRIBE SELECT * FROM '{tmp_path}/old/{name}'").fetchall()]
        for name in ("chroma-embeddings.parquet", "chroma-collections.parquet")
    }
    assert described == {
        "chroma-embeddings.parquet": [
            ("collection_uuid", "VARCHAR"),
            ("uuid", "VARCHAR"),
            ("embedding", "DOUBLE[]"),
            ("document", "VARCHAR"),
            ("id", "VARCHAR"),
            ("metadata", "VARCHAR"),
        ],
        "chroma-collections.parquet": [("uuid", "VARCHAR"), ("name", "VARCHAR"), ("metadata", "VARCHAR")],
    }
    rows = duckdb.execute(f"SELECT * FROM '{tmp_path}/old/chroma-embeddings.parquet'").fetchall()
    assert [row[4] for row in rows] == docs.get().index.tolist()
    assert rows[0][5] is None, "an item without metadata"
    assert json.loads(rows[1][5])["f"] == 1.0
    assert '"f": 1.0' in rows[1][5], "a whole float stays one"


def test_the_index_files(client: Client, tmp_path: Path) -> None:
    docs = fill(client)
    client.export_chroma(tmp_path / "old")
    folder = tmp_path / "old" / "index"
    labels = _unpickled(folder / f"uuid_to_id_{docs.id}.pkl")
    rows = _unpickled(folder / f"id_to_uuid_{docs.id}.pkl")
    facts = _unpickled(folder / f"index_metadata_{docs.id}.pkl")
    stored = duckdb.execute(f"SELECT uuid FROM '{tmp_path}/old/chroma-embeddings.parquet'").fetchall()
    assert [rows[label] for label in range(1, COUNT + 1)] == [uuid.UUID(row[0]) for row in stored]
    assert labels == {row.hex: label for label, row in rows.items()}
    assert facts.pop("time_created") > 1e9
    assert facts == {"dimensionality": 3, "elements": COUNT, "curr_elements": COUNT, "total_elements_added": COUNT}
    index = hnswlib.Index("cosine", 3)
    index.load_index(str(folder / f"index_{docs.id}.bin"), max_elements=1000)
    assert (index.M, index.ef_construction, index.get_current_count()) == (24, 100, COUNT)
    vectors = docs.embeddings()
    normalised = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(index.get_items(range(1, COUNT + 1)), normalised, atol=1e-6)


def _unpickled(path: Path) -> dict[Any, Any]:
    """What a pickle of dicts says, by its opcodes."""
    stack: list[Any] = []
    marks: list[int] = []
    for opcode, argument, _ in pickletools.genops(path.read_bytes()):
        match opcode.name:
            case "GLOBAL":
                assert argument == "uuid UUID"
                stack.append(uuid.UUID)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "MARK":
                marks.append(len(stack))
            case "BINGET":
                stack.append(uuid.UUID)
            case "POP" | "NEWOBJ":
                stack.pop()
            case "SETITEM":
                stack[-3][stack[-2]] = stack[-1]
                del stack[-2:]
            case "SETITEMS":
                start = marks.pop()
                stack[start - 1].update(zip(stack[start::2], stack[start + 1 :: 2], strict=True))
                del stack[start:]
            case "BUILD":
                state = stack.pop()
                stack[-1] = uuid.UUID(**state)
            case "PROTO" | "BINPUT" | "STOP":
                pass
            case _:
                stack.append(argument)
    (found,) = stack
    assert isinstance(found, dict)
    return found


def test_pickles_of_large_numbers(tmp_path: Path) -> None:
    from chroma_nb.migrate.legacy_pickle import write_dict

    values: dict[str, str | int | float | uuid.UUID] = {
        "a": 2**31,
        "b": -(2**31) - 1,
        "c": 255,
        "d": 1.5,
        "é": "x",
        "u": uuid.UUID(int=2**128 - 1),
    }
    with (tmp_path / "f.pkl").open("wb") as file:
        write_dict(file, values)
    assert _unpickled(tmp_path / "f.pkl") == values
    assert struct.unpack("<BB", (tmp_path / "f.pkl").read_bytes()[:2]) == (0x80, 2)


def test_settings_that_0_3_refuses_are_left_out(client: Client, tmp_path: Path) -> None:
    client.create_collection("docs", {"hnsw:space": "euclidean", "hnsw:batch_size": 7, "x": 1})
    report = client.export_chroma(tmp_path / "old")
    (row,) = duckdb.execute(f"SELECT metadata FROM '{tmp_path}/old/chroma-collections.parquet'").fetchall()
    assert json.loads(row[0]) == {"x": 1}
    assert "hnsw:batch_size" in str(report.loc["docs", "notes"])


def test_refused(client: Client, tmp_path: Path) -> None:
    fill(client)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("there", "file"):
        with pytest.raises(InvalidArgumentError, match="exists and is not an empty folder"):
            client.export_chroma(tmp_path / name)
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        client.export_chroma(tmp_path / "none" / "old")
    with pytest.raises(CollectionNotFoundError, match="dosc"):
        client.export_chroma(tmp_path / "old", ["dosc"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]
    (tmp_path / "empty").mkdir()
    client.export_chroma(tmp_path / "empty")
    assert (tmp_path / "empty" / "chroma-embeddings.parquet").is_file()


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(tmp_path / "db") as client:
        docs = fill(client)
        expected = exact(docs)
    file = tmp_path / "docs.parquet"
    assert cli.main(["export", str(tmp_path / "db"), "--collection", "docs", "--to", str(file)]) == 0
    assert f"{COUNT} items of 'docs'" in capsys.readouterr().out
    assert cli.main(["import", str(file), "--into", str(tmp_path / "new"), "--collection", "again"]) == 0
    assert "again" in capsys.readouterr().out
    with Client(tmp_path / "new") as client:
        assert exact(client["again"]) == expected
    assert cli.main(["export", str(tmp_path / "db"), "--to", str(tmp_path / "old")]) == 0
    assert "docs" in capsys.readouterr().out
    assert (tmp_path / "old" / "chroma-collections.parquet").is_file()
    assert cli.main(["import", str(file), "--into", str(tmp_path / "none")]) == 1
    assert "--collection NAME" in capsys.readouterr().err
    assert (
        cli.main(["import", str(tmp_path / "no.parquet"), "--into", str(tmp_path / "none"), "--collection", "docs"])
        == 1
    )
    assert "There is no file" in capsys.readouterr().err
    assert cli.main(["import", str(file), "--into", str(tmp_path / "none"), "--collection", "x"]) == 1
    assert "3-63 characters" in capsys.readouterr().err
    assert not (tmp_path / "none").exists(), "no store was made"
