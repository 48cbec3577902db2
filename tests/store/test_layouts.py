"""Stored maps and views: a place belongs to an item and its vector, through all that is written."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import chroma_nb
from chroma_nb.errors import CollectionNotFoundError, ReadOnlyStoreError
from chroma_nb.store import schema, writing
from chroma_nb.store.catalog import Catalog
from chroma_nb.types import StoredLayout

from .backend import fresh_name

if TYPE_CHECKING:
    import numpy.typing as npt

    from chroma_nb import Client, Collection
    from chroma_nb.store.protocol import Snapshot

    from .backend import Backend

ROOT = Path(__file__).parents[2]
KEY = "umap/any"
Places = dict[str, tuple[float, float] | None]


def filled(client: Client, count: int = 20) -> Collection:
    collection = client.create_collection(fresh_name())
    collection.add(ids=[str(n) for n in range(count)], embeddings=rows(count))
    return collection


def rows(count: int, seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def snapshot(collection: Collection) -> Snapshot:
    return collection._store.snapshot(collection.id)


def save(shown: Snapshot, key: str = KEY) -> None:
    """A map on which every item is at (its number, -its number)."""
    numbers = np.array([int(id_) for id_ in shown.ids.to_pylist()], dtype=np.float32)
    shown.save_layout(key, StoredLayout(np.stack([numbers, -numbers], axis=1), "umap", {"k": 15}, len(shown)))


def places(collection: Collection, key: str = KEY) -> Places:
    """Where each item is on the stored map; None: nowhere."""
    shown = snapshot(collection)
    layout = shown.layout(key)
    assert layout is not None
    assert layout.xy.dtype == np.float32
    assert layout.xy.shape == (len(shown), 2)
    return {
        id_: None if np.isnan(place).any() else (place[0], place[1])
        for id_, place in zip(shown.ids.to_pylist(), layout.xy.tolist(), strict=True)
    }


def at(*numbers: int) -> Places:
    return {str(n): (float(n), float(-n)) for n in numbers}


def test_a_map_comes_back(backend: Backend) -> None:
    collection = filled(backend.client)
    before = snapshot(collection)
    assert before.layout(KEY) is None
    save(before)
    client = backend.reopen()
    collection = client[collection.name]
    assert places(collection) == at(*range(20))
    layout = snapshot(collection).layout(KEY)
    assert layout is not None
    assert (layout.method, layout.parameters, layout.fitted) == ("umap", {"k": 15}, 20)
    assert layout.version == before.info.version == snapshot(collection).info.version
    assert layout.created is not None
    assert timedelta(0) <= datetime.now(UTC) - layout.created < timedelta(minutes=1)
    assert snapshot(collection).layout("another") is None


def test_saving_again_replaces(client: Client) -> None:
    collection = filled(client)
    save(snapshot(collection))
    collection.delete(ids=["3"])
    save(snapshot(collection))
    save(snapshot(collection), "another")
    assert places(collection) == places(collection, "another") == at(*[n for n in range(20) if n != 3])
    other = filled(client, 3)
    assert snapshot(other).layout(KEY) is None


@pytest.mark.parametrize("compacts", [False, True])
def test_new_changed_and_deleted_items(backend: Backend, monkeypatch: pytest.MonkeyPatch, compacts: bool) -> None:
    collection = filled(backend.client)
    save(snapshot(collection))
    old = snapshot(collection)
    if compacts:
        monkeypatch.setattr(writing, "COMPACT_SLOTS", 5)
    collection.update(ids=["5", "6"], embeddings=rows(2, seed=2))
    collection.update(ids=["7"], documents=["a text"], embeddings=rows(20)[7:8])
    collection.update(ids=["8"], metadatas=[{"a": 1}])
    collection.add(ids=["20", "21"], embeddings=rows(2, seed=3))
    collection.delete(ids=[str(n) for n in range(9, 20)])
    collection.add(ids=["9"], embeddings=rows(20)[9:10])
    expected = at(0, 1, 2, 3, 4) | dict.fromkeys(["5", "6", "7"]) | at(8) | dict.fromkeys(["20", "21", "9"])
    assert places(collection) == expected
    collection = backend.reopen()[collection.name]
    assert places(collection) == expected
    if backend.path is None:
        layout = old.layout(KEY)
        assert layout is not None
        assert np.isfinite(layout.xy[:5]).all()


@pytest.mark.parametrize("compacts", [False, True])
def test_a_map_of_an_older_moment(client: Client, monkeypatch: pytest.MonkeyPatch, compacts: bool) -> None:
    collection = filled(client)
    old = snapshot(collection)
    if compacts:
        monkeypatch.setattr(writing, "COMPACT_SLOTS", 5)
    else:
        collection.update(ids=["1"], embeddings=rows(1, seed=2))
    collection.delete(ids=[str(n) for n in range(4, 20)])
    collection.add(ids=["4", "x"], embeddings=rows(2))
    save(old)
    assert places(collection) == at(0) | ({"1": None} if not compacts else at(1)) | at(2, 3) | {"4": None, "x": None}


def test_items_without_a_place(client: Client) -> None:
    collection = filled(client, 4)
    xy = np.array([[0, 0], [np.nan, 1], [2, 2], [3, np.inf]], dtype=np.float32)
    snapshot(collection).save_layout(KEY, StoredLayout(xy, "umap"))
    assert places(collection) == {"0": (0.0, 0.0), "1": None, "2": (2.0, 2.0), "3": None}
    empty = client.create_collection(fresh_name())
    save(snapshot(empty))
    assert places(empty) == {}


def test_views(backend: Backend) -> None:
    collection = filled(backend.client, 2)
    other = filled(backend.client, 2)
    store = backend.client._store
    version = store.collection_by_id(collection.id).version
    store.save_view(collection.id, "b 'quoted'", '{"a": 1}')
    store.save_view(collection.id, "a", "{}")
    store.save_view(collection.id, "a", '{"new": true}')
    store = backend.reopen()._store
    assert store.views(collection.id) == ["a", "b 'quoted'"]
    assert store.view(collection.id, "a") == '{"new": true}'
    assert store.view(collection.id, "unknown") is None
    assert store.views(other.id) == []
    store.delete_view(collection.id, "a")
    store.delete_view(collection.id, "unknown")
    assert store.views(collection.id) == ["b 'quoted'"]
    assert store.collection_by_id(collection.id).version == version


def test_maps_and_views_go_with_their_collection(client: Client) -> None:
    collection = filled(client)
    shown = snapshot(collection)
    save(shown)
    client._store.save_view(collection.id, "a", "{}")
    client.delete_collection(collection.name)
    for call in (lambda: shown.layout(KEY), lambda: save(shown), lambda: client._store.view(collection.id, "a")):
        with pytest.raises(CollectionNotFoundError):
            call()
    for table in ("layouts", "views"):
        store: Any = client._store
        local = getattr(store, "_backing", store)  # on disk, behind what several processes share
        found = local._shelves.catalog.cursor().execute(f"SELECT count(*) FROM {schema.SCHEMA}.{table}").fetchall()
        assert found == [(0,)]


def test_a_read_only_store_shows_and_does_not_save(disk: Backend) -> None:
    save(snapshot(filled(disk.client)))
    disk.client.close()
    with chroma_nb.Client(disk.path, read_only=True) as client:
        collection = client[client.list_collections().index[0]]
        assert places(collection) == at(*range(20))
        with pytest.raises(ReadOnlyStoreError):
            save(snapshot(collection))


def test_a_store_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    with chroma_nb.Client(tmp_path) as client:
        name = filled(client).name
    (file,) = tmp_path.glob("*.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{file}' AS store")
        for statement in (
            *(f"DROP TABLE {schema.SCHEMA}.{table}" for table in ("layouts", "views", "calls")),
            f"ALTER TABLE {schema.SCHEMA}.collections DROP COLUMN stamps",
            f"UPDATE {schema.SCHEMA}.store SET value = '1' WHERE key = 'version'",
        ):
            connection.execute(statement)
    assert _version(tmp_path) == 1
    with pytest.raises(ReadOnlyStoreError, match="open it once without"):
        chroma_nb.Client(tmp_path, read_only=True)
    with chroma_nb.Client(tmp_path) as client:
        assert client[name].count() == 20
        save(snapshot(client[name]))
        assert places(client[name]) == at(*range(20))
    assert _version(tmp_path) == schema.VERSION > 1


def _version(folder: Path) -> int:
    (file,) = folder.glob("*.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{file}' AS store (READ_ONLY)")
        rows = connection.execute(f"SELECT value FROM {schema.SCHEMA}.store WHERE key = 'version'").fetchall()
    return int(rows[0][0])


_SAVES_FOR_EVER = """
import sys
import numpy as np
import chroma_nb
from chroma_nb.types import StoredLayout

docs = chroma_nb.Client(sys.argv[1])["docs"]
shown = docs._store.snapshot(docs.id)
for number in range(1, 10**6):
    shown.save_layout("umap/any", StoredLayout(np.full((len(shown), 2), number, dtype=np.float32), "umap"))
    print(number, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL")
def test_killed_while_saving(tmp_path: Path) -> None:
    """A map is stored as a whole or not at all, and what was acknowledged is there."""
    with chroma_nb.Client(tmp_path) as client:
        docs = client.create_collection("docs")
        docs.add(ids=[str(n) for n in range(3000)], embeddings=rows(3000))
    for wait in (1, 4, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", _SAVES_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(wait)]
        child.kill()
        said += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        acknowledged = max(int(line) for line in said if line.endswith("\n"))
        with chroma_nb.Client(tmp_path) as client:
            layout = snapshot(client["docs"]).layout(KEY)
            assert layout is not None
            assert layout.xy.shape == (3000, 2)
            assert layout.xy.min() == layout.xy.max()
            assert acknowledged <= layout.xy.min() <= acknowledged + 1


@pytest.mark.parametrize("method", ["transaction", "save_entry"])
def test_a_failed_compaction_keeps_the_map(disk: Backend, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Renumbered places and renumbered items are one transaction."""
    collection = filled(disk.client)
    save(snapshot(collection))
    monkeypatch.setattr(writing, "COMPACT_SLOTS", 5)
    original = writing.compact

    def failing(*args: Any) -> Any:
        def fail(*_: Any) -> None:
            raise duckdb.IOException("no more")

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, method, fail)
            return original(*args)

    monkeypatch.setattr(writing, "compact", failing)
    collection.delete(ids=[str(n) for n in range(12)])
    assert places(collection) == at(*range(12, 20))
    monkeypatch.setattr(writing, "compact", original)
    collection = disk.reopen()[collection.name]
    assert places(collection) == at(*range(12, 20))
    collection.delete(ids=["12"])
    assert places(collection) == at(*range(13, 20))
