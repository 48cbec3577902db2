"""The bar of the selection: says what it will do, does that and nothing else, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from chroma_nb_widgets.models.explorer import ExplorerModel
from chroma_nb_widgets.selection_bar import SelectionBar

import chroma_nb
from chroma_nb.errors import StoreWriteError
from tests.store.backend import fresh_name


@pytest.fixture
def docs(memory: chroma_nb.Client) -> chroma_nb.Collection:
    docs = memory.create_collection(fresh_name())
    docs.add(ids=list("abcdef"), embeddings=np.eye(6), metadatas=[{"n": number} for number in range(6)])
    return docs


@pytest.fixture
def model(docs: chroma_nb.Collection) -> Iterator[ExplorerModel]:
    model = ExplorerModel(docs, method="pca")
    yield model
    model.close()


@pytest.fixture
def bar(model: ExplorerModel) -> Iterator[SelectionBar]:
    bar = SelectionBar(model)
    yield bar
    bar.close()


def shown(bar: SelectionBar) -> bool:
    """Whether the form is open."""
    return bar.confirm in bar.children[1].children


def test_nothing_selected(bar: SelectionBar, model: ExplorerModel) -> None:
    assert bar.count.value == "Nothing selected"
    assert all(button.disabled for button in (bar.tag, bar.copy, bar.delete, bar.clear, bar.undo))
    model.select([0, 1])
    assert bar.count.value == "2 selected"
    assert not any(button.disabled for button in (bar.tag, bar.copy, bar.delete, bar.clear))
    assert bar.undo.disabled
    bar.clear.click()
    assert model.selected_ids == ()
    assert bar.tag.disabled


def test_a_tag_is_told_while_it_is_typed(bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection) -> None:
    model.select([0, 1])
    bar.tag.click()
    assert shown(bar)
    assert (bar.says.value, bar.confirm.disabled) == ("", True)
    bar.key.value = "n"
    assert bar.confirm.disabled
    bar.value.value = "7"
    assert bar.says.value.startswith("Write n = 7 to 2 rows. All of them have a value")
    assert not bar.confirm.disabled
    model.select([0, 1, 2])
    assert bar.says.value.startswith("Write n = 7 to 3 rows.")
    assert docs.get()["n"].tolist() == [0, 1, 2, 3, 4, 5]  # said, not done
    bar.confirm.click()
    assert docs.get()["n"].tolist() == [7, 7, 7, 3, 4, 5]
    assert not shown(bar)
    assert bar.count.value == "3 selected"
    bar.undo.click()
    assert bar.says.value == "Undo: give 3 rows the metadata of before back."
    assert docs.get()["n"].tolist() == [7, 7, 7, 3, 4, 5]
    bar.confirm.click()
    assert docs.get()["n"].tolist() == [0, 1, 2, 3, 4, 5]
    assert bar.undo.disabled


def test_deleting_and_putting_back(bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection) -> None:
    model.select([4, 5])
    bar.delete.click()
    assert bar.says.value.startswith("Delete 2 rows of 6")
    bar.back.click()
    assert not shown(bar)
    assert docs.count() == 6
    bar.delete.click()
    bar.confirm.click()
    assert docs.get().index.tolist() == list("abcd")
    assert bar.count.value == "Nothing selected"
    bar.undo.click()
    bar.confirm.click()
    assert docs.get().index.tolist() == list("abcdef")


def test_copying_and_taking_it_back(
    bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection, memory: chroma_nb.Client
) -> None:
    model.select([1, 2])
    bar.copy.click()
    bar.name.value = "x"
    assert "3-63 characters" in bar.says.value
    assert bar.confirm.disabled
    bar.name.value = docs.name
    assert "already exists" in bar.says.value
    assert bar.confirm.disabled
    name = fresh_name()
    bar.name.value = name
    bar.confirm.click()
    assert memory[name].get().index.tolist() == ["b", "c"]
    assert not bar.undo.disabled
    bar.undo.click()
    bar.confirm.click()
    assert name not in memory


def test_the_form_follows_what_others_do(bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection) -> None:
    model.select([0, 1])
    bar.delete.click()
    docs.delete(ids=["a", "b"])
    model.refresh()
    assert bar.says.value.startswith("Nothing is selected")
    assert bar.confirm.disabled
    bar.confirm.click()
    assert docs.count() == 4


def test_undo_that_came_too_late(bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection) -> None:
    model.select([0])
    bar.delete.click()
    bar.confirm.click()
    docs.delete(ids=["b"])
    bar.undo.click()
    assert bar.says.value == "There is nothing to undo any more."
    assert bar.confirm.disabled
    bar.back.click()
    model.refresh()
    assert bar.undo.disabled
    assert docs.count() == 4


def test_failures_leave_the_form_open(
    bar: SelectionBar, model: ExplorerModel, docs: chroma_nb.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise StoreWriteError("the disk is full")

    model.select([0])
    bar.delete.click()
    with monkeypatch.context() as patch:
        patch.setattr(docs._store, "delete", fails)
        bar.confirm.click()
    assert model.error == "the disk is full"
    assert shown(bar)
    assert docs.count() == 6
    bar.confirm.click()
    assert (docs.count(), shown(bar), str(model.error)) == (5, False, "None")


def test_a_deleted_collection(bar: SelectionBar, model: ExplorerModel, memory: chroma_nb.Client) -> None:
    model.select([0])
    memory.delete_collection(model.name)
    bar.delete.click()
    bar.confirm.click()
    assert "deleted" in (model.error or "")
    assert bar.undo.disabled


def test_hostile_names_are_text(bar: SelectionBar, model: ExplorerModel) -> None:
    """Labels show text as it is; nothing here may ever be shown as HTML."""
    model.select([0])
    bar.tag.click()
    bar.key.value, bar.value.value = "<img src=x>", "<script>"
    assert bar.says.value == "Write <img src=x> = '<script>' to 1 row."
    assert type(bar.says).__name__ == "Label"


def test_a_closed_bar_hears_nothing(bar: SelectionBar, model: ExplorerModel) -> None:
    bar.close()
    model.select([0])
    assert bar.count.value == "Nothing selected"
    assert bar.comm is None
    assert all(widget.comm is None for widget in (bar.tag, bar.key, bar.says, bar.confirm, bar.key.layout))
    bar.close()
