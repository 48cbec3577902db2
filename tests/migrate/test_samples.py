"""Directories that real Chroma 0.3.29 and 1.5.9 wrote, held against what they answered.

They lie beside the project, not in it: `tests/migrate/conftest.py` leaves this file out where they are missing. The
other tests make directories of their own.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chroma_nb import compat
from tests.migrate.legacy_directory import fingerprints
from tests.migrate.reading import SAMPLES, state
from tests.migrate.test_legacy import typed
from tests.migrate.test_real_directories import kinds_of, with_the_value

LEGACY, MODERN = SAMPLES / "legacy_0_3_29", SAMPLES / "modern_1_5_9"

# Chroma 1.5.9 ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sample of Chroma 1.5.9 imported; and what it answered."""
    before = state(MODERN)
    client = compat.PersistentClient(tmp_path_factory.mktemp("sample") / "store")
    report = client.import_directory(MODERN)
    assert state(MODERN) == before
    assert report["imported"].sum() == report["rows"].sum() == 282 + 197 + 1500
    dump = json.loads(MODERN.with_suffix(".dump.json").read_text())
    yield client, {said["name"]: said for said in dump["collections"]}
    client.close()


_NAMES = ("articles", "products", "big1500", "empty-coll")


@pytest.mark.parametrize("name", _NAMES)
def test_items_of_the_sample(sample: Any, name: str) -> None:
    client, dump = sample
    docs, said = client.get_collection(name), dump[name]
    assert (str(docs.id), docs.metadata, docs.count()) == (said["id"], said["metadata"], said["count"])
    assert docs._info.settings.space == said["configuration"]["hnsw"]["space"]
    found, expected = docs.get(include=["embeddings", "documents", "metadatas"]), said["get_all"]
    for key in ("ids", "documents", "metadatas"):
        assert found[key] == expected[key]
    assert [kinds_of(row) for row in found["metadatas"]] == [kinds_of(row) for row in expected["metadatas"]]
    if expected["ids"]:
        np.testing.assert_allclose(found["embeddings"], expected["embeddings"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", _NAMES)
def test_filters_of_the_sample(sample: Any, name: str) -> None:
    client, dump = sample
    docs, said = client.get_collection(name), dump[name]
    assert len(said["gets"]) == 25
    for asked in said["gets"]:
        arguments, expected = asked["args"], asked["result"]["ids"]
        found = docs.get(**arguments, include=[])["ids"]
        if "ids" in arguments:
            found, expected = sorted(found), sorted(expected)
        for condition in (arguments[key] for key in ("where", "where_document") if key in arguments):
            expected = with_the_value(condition, expected, said["get_all"])
        assert found == expected, arguments


@pytest.mark.parametrize("name", _NAMES[:3])
def test_queries_of_the_sample(sample: Any, name: str) -> None:
    client, dump = sample
    docs, said = client.get_collection(name), dump[name]
    assert len(said["queries"]) >= 1
    for asked in said["queries"]:
        found = docs.query(**asked["args"], exact=True)
        for key in ("documents", "metadatas"):
            assert [
                dict(zip(*pair, strict=True)) for pair in zip(found["ids"], map(_texts, found[key]), strict=True)
            ] == [
                dict(zip(*pair, strict=True))
                for pair in zip(asked["result"]["ids"], map(_texts, asked["result"][key]), strict=True)
            ]
        for far, their_far in zip(found["distances"], asked["result"]["distances"], strict=True):
            np.testing.assert_allclose(far, their_far, rtol=1e-4, atol=1e-4)


def _texts(values: list[Any]) -> list[str]:
    return [json.dumps(value, sort_keys=True) for value in values]


# Chroma 0.3.29 -------------------------------------------------------------------------------


def test_a_directory_of_chroma_0_3_answers_as_it_did(tmp_path: Path) -> None:
    path = Path(shutil.copytree(LEGACY, tmp_path / "old"))
    before = fingerprints(path)
    dump = json.loads(LEGACY.with_name("legacy_0_3_29.dump.json").read_text(encoding="utf-8"))
    with compat.PersistentClient(str(tmp_path / "new")) as client:
        client.import_directory(path)
        assert fingerprints(path) == before
        names = [one.name for one in client.list_collections()]
        assert sorted(names) == sorted(one["name"] for one in dump["collections"])
        for facts in dump["collections"]:
            _check_legacy(client, facts)


def _check_legacy(client: compat.Client, facts: dict[str, Any]) -> None:
    docs = client.get_collection(facts["name"], embedding_function=None)
    assert (str(docs.id), docs.metadata, docs.count()) == (facts["id"], facts["metadata"], facts["count"])
    truth = facts["get_all"]
    found: Any = docs.get(include=["documents", "metadatas", "embeddings"])
    order = [found["ids"].index(id_) for id_ in truth["ids"]]
    assert sorted(order) == list(range(len(found["ids"])))
    for name in ("documents", "metadatas"):
        assert typed([found[name][at] for at in order]) == typed(truth[name])
    embeddings = np.asarray(found["embeddings"], dtype=np.float32)
    assert np.array_equal(embeddings[order], np.asarray(truth["embeddings"], dtype=np.float32)) or not order
    assert len(facts["gets"]) == 24
    for get in facts["gets"]:
        ids, expected = docs.get(**get["args"])["ids"], get["result"]["ids"]
        # Chroma 0.3 puts rows in an order of its own, by a sort that is not stable: which ones a limit lets pass is
        # not to be had, how many are, and of what.
        whole = {key: value for key, value in get["args"].items() if key not in ("limit", "offset")}
        assert len(ids) == len(expected), get
        assert {*ids, *expected} <= {*docs.get(**whole)["ids"]}, get
        assert "limit" in get["args"] or sorted(ids) == sorted(expected), get
    for query in facts["queries"]:
        answers: Any = docs.query(**query["args"])
        for at, exact in enumerate(query["exact"]):
            assert answers["ids"][at] == exact["ids"]
            assert answers["distances"][at] == pytest.approx(exact["distances"], rel=1e-4, abs=1e-5)
