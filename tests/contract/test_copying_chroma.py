"""Copies to a real Chroma server and back: to be continued, and nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb import Client, HttpClient, copying
from chroma_nb.errors import StoreError
from tests.rest.chroma_process import chroma_server
from tests.store.backend import items_in
from tests.store.reference import Item

from .test_copying import COUNT, failing_after, fill, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a Chroma server that runs for this module."""
    with chroma_server(tmp_path_factory.mktemp("chroma")) as port, HttpClient("127.0.0.1", port) as client:
        yield client


@pytest.fixture
def target(chroma: Client) -> Client:
    chroma.reset()
    return chroma


@pytest.fixture
def source() -> Iterator[Client]:
    with Client() as client:
        fill(client)
        client.create_collection("empty", {"hnsw:space": "ip"})
        yield client


def facts(client: Client) -> dict[Any, Any]:
    """What is said of collections; Chroma's server also lists metadata keys that no item has any more."""
    columns = ["count", "dimension", "space", "metadata", "embedding_function"]
    return client.list_collections()[columns].sort_index().astype(object).fillna("none").T.to_dict()


def rounded(item: Item) -> Item:
    """Without its vector, and with floats as the server reads them from JSON: the last digit may be another."""
    cells = item.metadata.items()
    return Item(item.id, item.document, {k: round(v, 12) if isinstance(v, float) else v for k, v in cells})


def check_same(one: Client, other: Client) -> None:
    assert facts(one) == facts(other)
    items, copied = items_in(one["docs"]), items_in(other["docs"])
    assert [rounded(item) for item in copied] == [rounded(item) for item in items]
    # For cosine the server keeps unit vectors and lengths, whose products are rounded.
    np.testing.assert_allclose([i.vector for i in copied], [i.vector for i in items], rtol=5e-7)


def test_there_and_back(source: Client, target: Client) -> None:
    with pytest.raises(StoreError, match="not copied completely"):
        copying.copy(source._store, listening(target, add=failing_after(2, StoreError("no"))), batch_size=100)
    assert target.list_collections()["count"].tolist() == [200]
    report = source.copy_to(target)
    assert report["copied"].tolist() == [COUNT - 200, 0]
    assert report["already_there"].tolist() == [200, 0]
    check_same(source, target)
    with Client() as back:
        with pytest.raises(StoreError, match="not copied completely"):
            copying.copy(target._store, listening(back, add=failing_after(3, StoreError("no"))), batch_size=100)
        assert target.copy_to(back)["already_there"].max() == 300
        check_same(target, back)
        assert (
            back["docs"].query([1, 2], n_results=3).index.tolist()
            == source["docs"].query([1, 2], n_results=3).index.tolist()
        )


@pytest.mark.parametrize("on_conflict", ["skip", "upsert", "replace"])
def test_into_what_is_there(source: Client, target: Client, on_conflict: str) -> None:
    source.copy_to(target)
    source["docs"].update(ids="id 4", embeddings=[9, 9], metadatas={"n": 1})
    source["docs"].add(ids="new", embeddings=[1, 1])
    report = source.copy_to(target, "docs", on_conflict=on_conflict)
    assert report["copied"].tolist() == [1 if on_conflict == "skip" else COUNT + 1]
    if on_conflict == "skip":
        source["docs"].update(ids="id 4", embeddings=target["docs"].embeddings("id 4"))
        source["docs"].update(ids="id 4", metadatas={"mixed": 4, "late": True})
    check_same(source, target)
