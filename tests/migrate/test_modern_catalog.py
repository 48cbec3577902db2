"""Collections of Chroma 0.4 to 1.x: names, metadata, databases, settings and functions, in every layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from chroma_nb.types import IndexSettings, Metric
from tests.migrate.modern_fixture import Write, write
from tests.migrate.reading import read

__all__ = ["write"]  # the fixture


def test_metadata_of_collections(write: Write) -> None:
    directory = write("1.0.20")
    said: Mapping[str, Any] = {"a": 1, "b": 1.0, "c": "x", "d": True, "none": None}
    directory.collection("docs", metadata=said)
    directory.collection("bare")
    found = read(directory.path)
    assert found["docs"]["info"].metadata == {"a": 1, "b": 1.0, "c": "x", "d": True}
    assert [type(value) for value in found["docs"]["info"].metadata.values()] == [int, float, str, bool]
    assert found["bare"]["info"].metadata is None


def test_databases_and_tenants(write: Write) -> None:
    directory = write()
    texts, ours, theirs = (directory.database(*place) for place in (("texts", "us"), ("x", "us"), ("x", "them")))
    directory.collection("docs", database=texts)
    directory.collection("docs")
    for database in (ours, theirs):
        directory.collection("docs", database=database)
    directory.collection("only-here", database=texts)
    found = read(directory.path)
    assert list(found) == ["texts.docs", "docs", "us.x.docs", "them.x.docs", "only-here"]
    assert found["docs"]["info"].notes == ()
    assert found["only-here"]["info"].notes == ("it comes from the database 'texts' of the tenant 'us'",)
    assert found["them.x.docs"]["info"].notes == (
        "it comes from the database 'x' of the tenant 'them'",
        "it was called 'docs' there, as another collection is in another database",
    )


def _schema(**config: Any) -> str:
    vector = {"float_list": {"vector_index": {"enabled": True, "config": config}}}
    return json.dumps({"defaults": {}, "keys": {"#embedding": vector}})


_USUAL = {"ef_construction": 100, "max_neighbors": 16, "ef_search": 100, "resize_factor": 1.2, "num_threads": 2}
_KNOWN = {"type": "known", "name": "default", "config": {}}


@pytest.mark.parametrize(
    ("layout", "metadata", "texts", "settings", "function"),
    [
        ("0.4.0", {}, {}, IndexSettings(), None),
        (
            "0.4.24",
            {"hnsw:space": "ip", "hnsw:M": 32, "hnsw:num_threads": 3, "hnsw:search_ef": 7, "hnsw:batch_size": 9},
            {},
            IndexSettings(space=Metric.IP, m=32, num_threads=3, search_ef=7),
            None,
        ),
        (
            "0.6.3",
            {"hnsw:space": "cosine"},
            {"config_json_str": {"hnsw_configuration": {"space": "l2", "M": 48, "ef_search": 10}}},
            IndexSettings(space=Metric.COSINE),
            None,
        ),
        (
            "0.6.3",
            {},
            {"config_json_str": {"hnsw_configuration": {"space": "ip", "M": 48, "ef_search": 10}}},
            IndexSettings(space=Metric.IP, m=48),
            None,
        ),
        (
            "1.0.20",
            {},
            {
                "config_json_str": {
                    "vector_index": {"hnsw": {**_USUAL, "space": "cosine", "ef_construction": 77}},
                    "embedding_function": _KNOWN,
                }
            },
            IndexSettings(space=Metric.COSINE, construction_ef=77),
            "all-MiniLM-L6-v2",
        ),
        (
            "1.5.9",
            {"hnsw:space": "l2"},
            {
                "config_json_str": "{}",
                "schema_str": _schema(
                    space="ip",
                    hnsw={**_USUAL, "max_neighbors": 40, "ef_search": 55},
                    embedding_function={"type": "known", "name": "my-fn", "config": {"k": 1}},
                ),
            },
            IndexSettings(space=Metric.IP, m=40, search_ef=55),
            "my-fn",
        ),
        (
            "1.5.9",
            {},
            {"schema_str": _schema(space="cosine", hnsw=_USUAL, embedding_function={"type": "legacy"})},
            IndexSettings(space=Metric.COSINE),
            None,
        ),
        ("1.5.9", {}, {"schema_str": _schema(space="l2", spann={"ef_search": 5})}, IndexSettings(search_ef=5), None),
    ],
)
def test_settings_and_functions(
    write: Write,
    layout: str,
    metadata: dict[str, Any],
    texts: dict[str, Any],
    settings: IndexSettings,
    function: str | None,
) -> None:
    directory = write(layout)
    directory.collection("docs", metadata=metadata, **texts)
    info = read(directory.path)["docs"]["info"]
    assert info.settings == settings
    assert info.notes == ()
    assert (None if info.embedding_function is None else json.loads(info.embedding_function)["name"]) == function


def test_settings_that_are_not_known_here(write: Write) -> None:
    directory = write("1.5.9")
    directory.collection("damaged", schema_str='{"keys": [1]}', metadata={"hnsw:space": "ip"})
    directory.collection("unknown", metadata={"hnsw:magic": 1}, schema_str=_schema(space="hamming", hnsw={}))
    function = {"type": "known", "name": 7, "config": {}}
    directory.collection("function", schema_str=_schema(space="l2", embedding_function=function))
    found = read(directory.path)
    assert found["damaged"]["info"].settings == IndexSettings(space=Metric.IP)
    assert "configuration is damaged" in found["damaged"]["info"].notes[0]
    magic, distance = found["unknown"]["info"].notes
    assert "hnsw:magic" in magic
    assert "'hamming' is not known here" in distance
    assert "embedding function could not be kept" in found["function"]["info"].notes[0]
