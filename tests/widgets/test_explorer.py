"""`Collection.explore`: one living explorer a collection, its parts, and what it leaves behind (nothing)."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chroma_nb_widgets import registry
from chroma_nb_widgets.explorer import Explorer, ExplorerView, SavedViews, explore_collection
from ipywidgets.widgets import widget as widget_module

import chroma_nb
from chroma_nb import compat
from chroma_nb.errors import CollectionNotFoundError, InvalidArgumentError
from tests.store.backend import Backend, fresh_name

LONG = 30


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    before = dict(registry._living)
    yield
    for key in [key for key in registry._living if key not in before]:
        registry._living[key].close()


@pytest.fixture
def docs(memory: chroma_nb.Client) -> chroma_nb.Collection:
    return filled(memory)


def filled(client: chroma_nb.Client) -> chroma_nb.Collection:
    docs = client.create_collection(fresh_name(), embedding_function=None)
    docs.add(
        ids=[f"i{number}" for number in range(20)],
        embeddings=np.random.default_rng(0).normal(size=(20, 4)),
        metadatas=[{"k": "xyz"[number % 3], "n": number} for number in range(20)],
    )
    return docs


# one living explorer --------------------------------------------------------------------------


def test_running_a_cell_again_gives_the_same_explorer(memory: chroma_nb.Client, docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    explorer.where = {"n": {"$lt": 5}}
    explorer.select([1, 2])
    docs.add(ids=["new"], embeddings=[[1, 1, 1, 1]])
    again = memory[docs.name].explore()
    assert again is explorer
    assert again.where == {"n": {"$lt": 5}}
    assert again.selected_ids == ("i1", "i2")
    assert len(again.snapshot) == 21
    assert again.map.method == "pca"


def test_options_are_applied_to_the_living_one(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca", color="k")
    view = explorer.widget
    assert docs.explore(color="n", where={"n": 3}, selected_ids=["i3"], renderer="auto") is explorer
    assert (explorer.color, explorer.where, explorer.selected_ids) == ("n", {"n": 3}, ("i3",))
    assert explorer.widget is view
    assert docs.explore(method="umap", projection={"n_neighbors": 5}) is explorer
    assert explorer.map.wait(LONG)
    assert (explorer.map.method, explorer.map.parameters) == ("umap", {"n_neighbors": 5})
    assert docs.explore() is explorer
    assert (explorer.map.method, explorer.map.parameters) == ("umap", {"n_neighbors": 5})
    docs.explore(renderer="webgl")
    assert view.comm is None
    assert type(docs.explore().widget.plot.surface.renderer).__name__ == "WebGLMap"


def test_a_fresh_one_takes_over(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca", color="k")
    other = docs.explore(fresh=True, method="pca")
    assert other is not explorer
    assert (explorer.color, other.color) == ("k", None)
    assert docs.explore() is other
    explorer.close()
    assert docs.explore() is other


def test_closed_ones_are_forgotten(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca", color="k")
    explorer.close()
    other = docs.explore(method="pca")
    assert other is not explorer
    assert other.color is None


def test_each_collection_has_its_own(memory: chroma_nb.Client, docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    assert filled(memory).explore(method="pca") is not explorer
    name = docs.name
    memory.delete_collection(name)
    memory.create_collection(name)
    assert memory[name].explore(method="pca") is not explorer


def test_explorers_of_collections_that_are_gone(memory: chroma_nb.Client, docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    memory.delete_collection(docs.name)
    assert docs.explore() is explorer
    assert "deleted" in (explorer.error or "")
    explorer.close()
    with pytest.raises(CollectionNotFoundError):
        docs.explore()


def test_dialects_share_it() -> None:
    client = compat.EphemeralClient()
    docs = client.create_collection("docs")
    docs.add(ids=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 1.0]])
    explorer = docs.explore(method="pca")
    assert explorer.view.index.tolist() == ["a", "b"]
    assert client.get_collection("docs").explore() is explorer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "k"}, 'Did you mean "color"'),
        ({"methd": "pca"}, 'Did you mean "method"'),
        ({"color": "kk"}, "no column 'kk'"),
        ({"method": "umpa"}, 'Did you mean "umap"'),
        ({"renderer": "webgpu"}, 'Did you mean "webgl"'),
        ({"projection": {"n_neighbors": 0}}, "n_neighbors"),
        ({"name": "nothing"}, r"no saved view 'nothing'"),
    ],
)
def test_bad_options(docs: chroma_nb.Collection, options: dict[str, Any], message: str) -> None:
    for _ in range(2):  # without an explorer, and with one
        with pytest.raises(InvalidArgumentError, match=message):
            explore_collection(docs, **options)
        docs.explore(method="pca")


def test_by_the_name_of_a_view(disk: Backend) -> None:
    docs = filled(disk.client)
    explorer = docs.explore(method="pca", query=[1.0, 0.0, 0.0, 0.0], where={"n": {"$gt": 3}}, color="k")
    explorer.select([4, 5])
    explorer.save("mine")
    other = disk.reopen()[docs.name].explore("mine", n_results=3)
    assert other is not explorer
    assert (other.where, other.color, other.selected_ids, len(other.results)) == (
        {"n": {"$gt": 3}},
        "k",
        ("i4", "i5"),
        3,
    )


# its view -------------------------------------------------------------------------------------


def test_the_view_shows_the_state(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    view = explorer.widget
    assert isinstance(view, ExplorerView)
    explorer.where = {"n": {"$lt": 5}}
    explorer.query = {"like": "i1"}
    explorer.color = "k"
    assert view.plot.color.label == "k"
    assert "n_results" in view.code.value
    assert [count for _, _, count in view.table.shown["tabs"]] == [5, 4, 0]
    view.table.act("row", id="i3")
    view.table.act("like", id="i2")
    assert explorer.error is None
    explorer.select([1])
    assert view.selection.count.value == "1 selected"


def test_code_is_text_and_not_endless(docs: chroma_nb.Collection, memory: chroma_nb.Client) -> None:
    docs.add(ids=[f"<img src=x>{number}" for number in range(300)], embeddings=np.ones((300, 4)))
    explorer = docs.explore(method="pca", where={"<script>": "</pre>"})
    explorer.select([21, 22])
    shown = explorer.widget.code.value
    assert "<img" not in shown
    assert "&lt;img src=x&gt;1" in shown
    assert "&lt;script&gt;" in shown
    assert shown.count("</pre>") == 2
    explorer.select(range(320))
    assert "320 selected ids" in explorer.widget.code.value
    assert len(explorer.widget.code.value) < 5000


def test_code_follows(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    panel = explorer.widget.code
    for change, expected in (
        ({"query": {"like": "i1"}}, "like = "),
        ({"n_results": 7}, "head(7)"),
        ({"where": {"n": 2}}, "{&#x27;n&#x27;: 2}"),
        ({"color": "k"}, "color=&#x27;k&#x27;"),
        ({"selected_ids": ["i4"]}, "ids=[&#x27;i4&#x27;]"),
    ):
        for name, value in change.items():
            setattr(explorer, name, value)
        assert expected in panel.value
    explorer.map.method = "umap"
    assert "method=&#x27;umap&#x27;" in panel.value


def test_saving_and_opening_views(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca", where={"n": 3})
    views = SavedViews(explorer)
    assert (views.saved.options, views.load.disabled) == ((), True)
    views.save.click()
    assert "Give the view a name" in (explorer.error or "")
    views.name.value = " <b>three</b> "
    views.save.click()
    assert (explorer.error, views.name.value, views.saved.value) == (None, "", "<b>three</b>")
    explorer.clear_filters()
    views.load.click()
    assert explorer.where == {"n": 3}
    views.close()


def test_a_filter_that_cannot_be_judged_is_displayed_too(docs: chroma_nb.Collection) -> None:
    explorer = docs.explore(method="pca")
    assert explorer.widget.comm is not None
    explorer.where_document = {"$regex": "("}
    bundle = explorer._repr_mimebundle_()
    assert {"text/plain", "text/html", "image/png"} <= set(bundle)
    assert "missing )" in (explorer.error or "")
    assert explorer.widget.plot.surface.renderer is not None


def test_what_else_it_gives(docs: chroma_nb.Collection, tmp_path: Path) -> None:
    explorer = docs.explore(method="pca", color="k")
    assert len(explorer.figure().data) >= 3
    explorer.to_html(tmp_path / "page.html")
    assert docs.name in (tmp_path / "page.html").read_text(encoding="utf-8")
    docs.modify(name="renamed-explorer")
    assert repr(explorer) == "Explorer('renamed-explorer')"


def test_closing_leaves_nothing(docs: chroma_nb.Collection) -> None:
    threads = set(threading.enumerate())
    before = set(widget_module._instances)
    explorer = docs.explore(color="k", query={"like": "i1"})
    view = explorer.widget
    view.selection.tag.click()
    explorer.select([1, 2])
    explorer.map.wait(LONG)
    explorer.map.fit()
    explorer.close()
    gc.collect()
    left = [widget_module._instances[key] for key in set(widget_module._instances) - before]
    assert left == []
    assert not [thread for thread in set(threading.enumerate()) - threads if thread.name == "chroma_nb map"]
    assert view.comm is None
    explorer.color, explorer.where = None, {"n": 1}  # nobody listens any more
    explorer.close()
    assert isinstance(explorer, Explorer)
