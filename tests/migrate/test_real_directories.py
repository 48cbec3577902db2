"""Directories that real Chroma wrote, imported and held against what real Chroma answers of them.

Known differences of the two, all wanted: here ``$ne`` matches only items that have the key, and ``$not_contains`` only
those that have a document; lists in the metadata become JSON text, uris are metadata; ``get(ids=...)`` keeps the order
that was asked for; a search with ``exact=True`` misses nothing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chroma_nb import compat
from tests.migrate.reading import state
from tests.rest.chroma_process import PROGRAM

WRITER = Path(__file__).with_name("chroma_writer.py")
SEEDS = 2
_LIST = "a list or dict in the metadata, kept as JSON text"


# random directories ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeds() -> list[int]:
    """Others in every run; a failure shows them."""
    return random.sample(range(10**6), SEEDS)


@pytest.fixture(scope="module")
def written(seeds: list[int], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Directories by seed, as a process that was killed left them."""
    folder = tmp_path_factory.mktemp("written")
    _chroma("write", folder, *seeds)
    return {seed: folder / str(seed) for seed in seeds}


@pytest.fixture(scope="module")
def answers(written: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """What real Chroma answers of copies of them."""
    folder, file = tmp_path_factory.mktemp("copies"), tmp_path_factory.mktemp("answers") / "answers.json"
    for seed, path in written.items():
        shutil.copytree(path, folder / str(seed))
    _chroma("dump", folder, file)
    return {int(seed): dump for seed, dump in json.loads(file.read_text()).items()}


def _chroma(*arguments: object) -> None:
    """Run the writer with the Python of chromadb 1.5.9."""
    program = os.environ.get(PROGRAM)
    if not program:
        pytest.skip(f"{PROGRAM} does not name the program `chroma` of chromadb 1.5.9")
    ended = subprocess.run(
        [str(Path(program).parent / "python"), str(WRITER), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )
    assert ended.returncode == 0, ended.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(SEEDS))
def test_what_chroma_wrote_is_what_it_answers(
    number: int, seeds: list[int], written: dict[int, Path], answers: dict[int, Any], tmp_path: Path
) -> None:
    seed = seeds[number]
    print(f"seed {seed}: python chroma_writer.py write FOLDER {seed}")
    before = state(written[seed])
    client = compat.PersistentClient(tmp_path / "store")
    report = client.import_directory(written[seed], batch_size=random.Random(seed).choice([7, 50, 10_000]))
    assert state(written[seed]) == before
    assert report["verified"].all()
    assert (report["skipped"] == 0).all(), report["why"].tolist()
    assert len(report) == len(answers[seed]) == client.count_collections() == 9
    for said in answers[seed]:
        docs = client.get_collection(_name_of(said))
        assert (str(docs.id), docs.metadata) == (said["id"], said["metadata"])
        assert docs._info.settings.space == said["space"]
        _check_items(docs, said)
        notes = report["notes"][docs.name]
        assert any(_LIST in note for note in notes) == _has_lists(said)
        for asked in said["wheres"]:
            found = docs.get(where=asked["where"], include=[])["ids"]
            assert found == with_the_value(asked["where"], asked["ids"], said["items"]), asked["where"]
        for asked in said["texts"]:
            found = docs.get(where_document=asked["text"], include=[])["ids"]
            assert found == with_the_value(asked["text"], asked["ids"], said["items"]), asked["text"]
        for asked in said["queries"]:
            _check_query(docs, said, asked)
    client.close()


def _name_of(said: dict[str, Any]) -> str:
    tenant, database = said["place"]
    shared = said["name"] == "l2-0" and database != "default_database"
    return f"{tenant}.{database}.{said['name']}" if shared else said["name"]


def _has_lists(said: dict[str, Any]) -> bool:
    return any(isinstance(value, list) for row in said["items"]["metadatas"] for value in (row or {}).values())


def _check_items(docs: Any, said: dict[str, Any]) -> None:
    expected = said["items"]
    found = docs.get(include=["embeddings", "documents", "metadatas"])
    assert found["ids"] == expected["ids"]
    assert found["documents"] == expected["documents"]
    metadatas = [_ours(metadata, uri) for metadata, uri in zip(expected["metadatas"], expected["uris"], strict=True)]
    assert [_theirs(row) for row in found["metadatas"]] == metadatas
    assert [kinds_of(row) for row in found["metadatas"]] == [kinds_of(row) for row in metadatas]
    if expected["ids"]:
        np.testing.assert_allclose(found["embeddings"], said["vectors"], rtol=1e-5, atol=1e-6)


def _ours(metadata: dict[str, Any] | None, uri: str | None) -> dict[str, Any] | None:
    values = {**(metadata or {}), **({} if uri is None else {"chroma:uri": uri})}
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in values.items()} or None


def _theirs(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """With lists written in one way."""
    return metadata and {
        key: json.dumps(json.loads(value)) if isinstance(value, str) and value.startswith("[") else value
        for key, value in metadata.items()
    }


def kinds_of(metadata: dict[str, Any] | None) -> dict[str, type]:
    return {key: type(value) for key, value in (metadata or {}).items()}


def with_the_value(condition: dict[str, Any], ids: list[str], items: dict[str, Any]) -> list[str]:
    """Without items that only lack the key, or the document: there they match ``$ne``, ``$not_contains`` and such."""
    ((key, test),) = condition.items()
    if key in ("$not_contains", "$not_regex"):
        have = {id_ for id_, text in zip(items["ids"], items["documents"], strict=True) if text is not None}
    elif isinstance(test, dict) and {"$ne", "$nin"} & set(test):
        have = {id_ for id_, row in zip(items["ids"], items["metadatas"], strict=True) if key in (row or {})}
    else:
        return ids
    return [id_ for id_ in ids if id_ in have]


def _check_query(docs: Any, said: dict[str, Any], asked: dict[str, Any]) -> None:
    """Same distances, and no hit of theirs that is closer; they may miss some, and order equals otherwise."""
    if asked["where"] is not None and _uses_ne(asked["where"]):
        return
    found = docs.query(asked["vectors"], n_results=5, where=asked["where"], include=["distances"], exact=True)
    for ids, far, their_ids, their_far in zip(
        found["ids"], found["distances"], asked["ids"], asked["far"], strict=True
    ):
        assert len(ids) == len(their_ids)
        theirs = dict(zip(their_ids, their_far, strict=True))
        for rank, (id_, distance) in enumerate(zip(ids, far, strict=True)):
            assert distance == pytest.approx(theirs.get(id_, distance), rel=1e-3, abs=1e-3)
            assert distance <= their_far[rank] + max(1e-3, 1e-3 * abs(their_far[rank]))
        if said["space"] == "l2" and len(set(their_far)) == len(their_far):
            assert len(set(ids) & set(their_ids)) >= len(ids) - 1


def _uses_ne(where: dict[str, Any]) -> bool:
    return any(isinstance(condition, dict) and "$ne" in condition for condition in where.values())
