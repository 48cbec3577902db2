"""The collections browser's state: what it lists, creates, renames and deletes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from chroma_nb_widgets.models.browser import BrowserModel, size
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb import compat
from chroma_nb.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidArgumentError,
    ReadOnlyStoreError,
)


class Opened:
    """Stands for an explorer."""

    def __init__(self, collection: chroma_nb.Collection) -> None:
        self.collection = collection
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client() -> chroma_nb.Client:
    made = chroma_nb.Client()
    docs = made.create_collection("docs", {"owner": "me", "hnsw:space": "cosine"}, embedding_function=None)
    docs.add(
        ids=[f"id{at}" for at in range(20)],
        embeddings=[[float(at), 1.0, 2.0] for at in range(20)],
        documents=["word " * 10 for _ in range(20)],
        metadatas=[{"n": at, "lang": "en"} for at in range(20)],
    )
    made.create_collection("empty", embedding_function="wordllama")
    return made


@pytest.fixture
def model(client: chroma_nb.Client) -> BrowserModel:
    return BrowserModel(client, Opened)


def choose(model: BrowserModel, name: str | None) -> None:
    model.collection = name


def names(model: BrowserModel) -> list[str]:
    return [listed.name for listed in model.collections]


def test_what_is_listed(model: BrowserModel) -> None:
    docs, empty = model.collections
    assert (docs.name, docs.count, docs.dimension, docs.space) == ("docs", 20, 3, "cosine")
    assert [(key, [kind.value for kind in kinds]) for key, kinds in docs.keys] == [("n", ["int"]), ("lang", ["str"])]
    assert docs.vectors == 20 * 3 * 4
    assert 20 * 52 <= docs.texts <= 20 * 100, "50 letters, an int and a short text each"
    assert (empty.count, empty.dimension, empty.vectors, empty.texts, empty.function) == (0, None, 0, 0, "wordllama")


def test_looking(model: BrowserModel, client: chroma_nb.Client) -> None:
    assert model.peek().empty
    assert model.facts() == []
    choose(model, "docs")
    assert model.collection == client["docs"]
    assert model.peek().equals(client["docs"].peek())
    facts = dict(model.facts())
    assert facts["Items"] == "20"
    assert facts["Vectors"] == "3 numbers each, space cosine"
    assert facts["Size"].startswith("240 B of vectors, about 1.")
    assert "owner" in facts["Collection metadata"]
    client._store.save_view(model.collection.id, "mine", "{}")
    assert dict(model.facts())["Saved views"] == "mine"
    choose(model, None)
    assert model.chosen is None


def test_bad_names_are_refused_in_code_and_shown_in_the_widget(model: BrowserModel) -> None:
    with pytest.raises(CollectionNotFoundError, match='Did you mean "docs"'):
        choose(model, "dosc")
    with model.guarded():
        choose(model, "dosc")
    said = model.error
    assert said is not None
    assert 'Did you mean "docs"' in said
    with model.guarded(clear=False):
        choose(model, "docs")
    assert model.error == said
    with model.guarded():
        choose(model, "docs")
    assert model.error is None


def test_unexpected_failures_are_shown_and_logged(model: BrowserModel, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    with model.guarded():
        fail()
    assert model.error == "ZeroDivisionError: by zero"
    assert "ZeroDivisionError" in caplog.text


def test_others_change_collections(model: BrowserModel, client: chroma_nb.Client) -> None:
    choose(model, "docs")
    client["docs"].modify(name="renamed")
    client.create_collection("another")
    model.refresh()
    assert names(model) == ["renamed", "empty", "another"]
    chosen = model.chosen
    assert chosen is not None
    assert chosen.name == "renamed"
    client.delete_collection("renamed")
    model.refresh()
    assert (model.collection, model.chosen) == (None, None)


def test_creating(model: BrowserModel, client: chroma_nb.Client) -> None:
    model.create(" fresh ", "ip", "none", '{"owner": "me", "n": 1}')
    assert model.collection == client["fresh"]
    row = client.list_collections().loc["fresh"]
    assert (row["space"], row["metadata"]) == ("ip", {"owner": "me", "n": 1})
    model.create("known", embedding_function="wordllama", metadata={"a": True})
    assert client.list_collections().loc["known", "embedding_function"] == "wordllama"
    model.create("plain")
    assert names(model) == ["docs", "empty", "fresh", "known", "plain"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"name": "docs"}, CollectionExistsError),
        ({"name": "x"}, InvalidArgumentError),
        ({"name": "fine", "space": "l3"}, InvalidArgumentError),
        ({"name": "fine", "embedding_function": "nothing-like-it"}, InvalidArgumentError),
        ({"name": "fine", "metadata": "{nonsense"}, InvalidArgumentError),
        ({"name": "fine", "metadata": "[1]"}, InvalidArgumentError),
    ],
)
def test_what_cannot_be_created(model: BrowserModel, arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        model.create(**arguments)
    model.refresh()
    assert names(model) == ["docs", "empty"]
    assert model.collection is None


def test_renaming(model: BrowserModel, client: chroma_nb.Client) -> None:
    choose(model, "docs")
    explorer = model.explorer
    model.rename("papers")
    assert (names(model), model.collection.name, model.explorer) == (["papers", "empty"], "papers", explorer)
    with pytest.raises(CollectionExistsError):
        model.rename("empty")
    assert "papers" in client


def test_deleting_what_holds_items(model: BrowserModel, client: chroma_nb.Client) -> None:
    choose(model, "docs")
    client._store.save_view(model.collection.id, "mine", "{}")
    deletion = model.deletion()
    assert deletion.text.startswith("Delete docs: 20 rows, 1 saved view, its index and maps.")
    assert deletion.typed
    for typed in ("", "empty", "DOCS"):
        with pytest.raises(InvalidArgumentError, match="type its name"):
            model.delete(deletion, typed)
    assert "docs" in client
    model.delete(deletion, " docs ")
    assert "docs" not in client
    assert (names(model), model.collection) == (["empty"], None)


def test_deleting_what_is_empty(model: BrowserModel, client: chroma_nb.Client) -> None:
    choose(model, "empty")
    deletion = model.deletion()
    assert (deletion.text, deletion.typed) == ("Delete empty: 0 rows. There is no way back.", False)
    client["empty"].add(ids=["a"], embeddings=[[1.0]])
    with pytest.raises(InvalidArgumentError, match="holds 1 rows, not 0"):
        model.delete(deletion)
    assert "empty" in client


def test_nothing_chosen(model: BrowserModel) -> None:
    for action in (model.open, model.deletion, lambda: model.rename("other")):
        with pytest.raises(InvalidArgumentError, match="Choose a collection"):
            action()


def test_explorers(model: BrowserModel) -> None:
    choose(model, "docs")
    model.open()
    docs = model.explorer
    assert docs.collection.name == "docs"
    model.refresh()
    assert model.explorer is docs, "looking again leaves it open"
    choose(model, "empty")
    assert (model.explorer, docs.closed) == (None, False), "out of sight, with its state"
    model.open()
    empty = model.explorer
    model.delete(model.deletion())
    assert (empty.closed, model.explorer) == (True, None)
    model.close()
    assert docs.closed
    assert [thread.name for thread in threading.enumerate() if "projection" in thread.name.lower()] == []


def test_read_only(tmp_path: Path) -> None:
    with chroma_nb.Client(tmp_path) as writing:
        writing.create_collection("docs", embedding_function=None)
    with chroma_nb.Client(tmp_path, read_only=True) as reading:
        model = BrowserModel(reading, Opened)
        with model.guarded():
            model.create("other")
        assert model.error
        choose(model, "docs")
        with pytest.raises(ReadOnlyStoreError):
            model.delete(model.deletion())


def test_chromas_dialect() -> None:
    client = compat.Client()
    client.create_collection("docs").add(ids=["a"], embeddings=[[1.0, 2.0]])
    model = BrowserModel(client, Opened)
    choose(model, "docs")
    assert list(model.peek().index) == ["a"]
    model.create("other", embedding_function="none")
    assert names(model) == ["docs", "other"]


@given(st.integers(0, 10**15))
def test_sizes_are_short(count: int) -> None:
    text = size(count)
    number, unit = text.split()
    scale = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert float(number) * scale == pytest.approx(count, rel=0.051)
    assert unit == "GB" or len(number) <= 4
