"""The view of the collections browser, without a browser: what the page is told, and what it may ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chroma_nb_widgets.browser import CollectionsBrowser, CollectionsPanel, explore_client

import chroma_nb
from chroma_nb.errors import CollectionNotFoundError

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def client() -> chroma_nb.Client:
    made = chroma_nb.Client()
    docs = made.create_collection("docs", embedding_function=None)
    docs.add(
        ids=["a", HOSTILE],
        embeddings=[[1.0, 0.0], [0.0, 1.0]],
        documents=["x", HOSTILE],
        metadatas=[{"n": 1, "ok": True}, {HOSTILE: HOSTILE}],
    )
    return made


@pytest.fixture
def browser(client: chroma_nb.Client) -> Iterator[CollectionsBrowser]:
    made = client.explore()
    yield made
    made.close()


@pytest.fixture
def panel(browser: CollectionsBrowser) -> CollectionsPanel:
    found = browser.widget.children[0]
    assert isinstance(found, CollectionsPanel)
    return found


def shown(panel: CollectionsPanel) -> dict[str, Any]:
    """As it arrives in the page."""
    return dict(json.loads(json.dumps(panel.shown)))


def test_the_list(panel: CollectionsPanel) -> None:
    state = shown(panel)
    (row,) = state["rows"]
    assert (row["name"], row["count"], row["dimension"], row["space"]) == ("docs", 2, 2, "l2")
    assert row["keys"] == [["n", "int"], ["ok", "yes/no"], [HOSTILE, "text"]]
    assert "of vectors" in row["title"]
    assert (state["chosen"], state["asking"], state["open"], state["error"]) == (None, None, False, None)


def test_a_look(panel: CollectionsPanel, browser: CollectionsBrowser) -> None:
    panel.act("choose", name="docs")
    assert browser.collection.name == "docs"
    peek = shown(panel)["peek"]
    assert [column["name"] for column in peek["columns"]] == ["id", "document", "n", "ok", HOSTILE]
    assert [column["number"] for column in peek["columns"]] == [False, False, True, False, False]
    assert peek["rows"] == [["a", "x", "1", "yes", None], [HOSTILE, HOSTILE, None, None, HOSTILE]]


def test_creating(panel: CollectionsPanel, client: chroma_nb.Client) -> None:
    panel.act("ask", what="create")
    assert shown(panel)["asking"] == "create"
    panel.act("create", name="x", space="l2", function="", metadata="")
    assert "x" in shown(panel)["error"]
    assert shown(panel)["asking"] == "create", "the form stays, to be put right"
    panel.act("create", name="fresh", space="cosine", function="none", metadata='{"a": 1}')
    assert "fresh" in client
    state = shown(panel)
    assert (state["asking"], state["chosen"], state["error"]) == (None, "fresh", None)


def test_renaming(panel: CollectionsPanel, client: chroma_nb.Client) -> None:
    panel.act("choose", name="docs")
    panel.act("ask", what="rename")
    panel.act("rename", name="papers")
    assert "papers" in client
    assert (shown(panel)["chosen"], shown(panel)["asking"]) == ("papers", None)


def test_deleting(panel: CollectionsPanel, client: chroma_nb.Client) -> None:
    panel.act("delete", typed="docs")
    assert "Say first" in shown(panel)["error"]
    panel.act("choose", name="docs")
    panel.act("ask", what="delete")
    deletion = shown(panel)["deletion"]
    assert deletion["text"].startswith("Delete docs: 2 rows")
    assert deletion["typed"]
    panel.act("delete", typed="doc")
    assert "docs" in client
    assert "type its name" in shown(panel)["error"]
    panel.act("ask", what=None)
    assert (shown(panel)["asking"], shown(panel)["deletion"], shown(panel)["error"]) == (None, None, None)
    panel.act("ask", what="delete")
    panel.act("delete", typed="docs")
    assert "docs" not in client
    assert (shown(panel)["rows"], shown(panel)["chosen"], shown(panel)["asking"]) == ([], None, None)


def test_choosing_another_one_drops_the_form(panel: CollectionsPanel, client: chroma_nb.Client) -> None:
    client.create_collection("other", embedding_function=None)
    panel.act("choose", name="docs")
    panel.act("ask", what="delete")
    panel.act("choose", name="other")
    assert shown(panel)["deletion"] is None
    panel.act("delete", typed="docs")
    assert "docs" in client
    assert "other" in client


def test_a_collection_that_is_gone(
    panel: CollectionsPanel, client: chroma_nb.Client, browser: CollectionsBrowser
) -> None:
    panel.act("choose", name="docs")
    client.delete_collection("docs")
    panel.act("open")
    assert shown(panel)["error"]
    panel.update()
    assert shown(panel)["peek"]["problem"]
    panel.act("refresh")
    assert (shown(panel)["rows"], shown(panel)["error"], browser.collection) == ([], None, None)


def test_messages_of_the_page(panel: CollectionsPanel, browser: CollectionsBrowser) -> None:
    panel._handle_custom_msg({"do": "choose", "name": "docs"}, [])
    assert browser.collection.name == "docs"
    panel._handle_custom_msg({"do": "format_disk"}, [])
    assert "format_disk" in shown(panel)["error"]
    panel._handle_custom_msg({"do": "dismiss"}, [])
    assert shown(panel)["error"] is None


def test_the_explorer_opens_below(panel: CollectionsPanel, browser: CollectionsBrowser) -> None:
    panel.act("choose", name="docs")
    panel.act("open")
    below = browser.widget.children[1]
    assert below.children == (browser.explorer.widget,)
    assert shown(panel)["open"] is True
    first = browser.explorer
    panel.act("hide")
    assert below.children == ()
    panel.act("open")
    assert browser.explorer is first


def test_the_same_browser_until_it_is_closed(client: chroma_nb.Client) -> None:
    first = client.explore()
    client.create_collection("later", embedding_function=None)
    assert explore_client(client) is first
    assert [listed.name for listed in first.collections] == ["docs", "later"]
    assert chroma_nb.Client().explore() is not first
    widget = first.widget
    first.close()
    assert widget.comm is None
    second = client.explore()
    assert second is not first
    second.close()


def test_opening_by_name(client: chroma_nb.Client) -> None:
    browser = client.explore("docs")
    assert browser.collection == client["docs"]
    assert browser.explorer.collection == client["docs"]
    with pytest.raises(CollectionNotFoundError, match='Did you mean "docs"'):
        client.explore(name="dosc")
    browser.close()


def test_where_no_kernel_is(browser: CollectionsBrowser) -> None:
    bundle = browser._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "docs" in bundle["text/html"]
    assert "&lt;img src=x onerror=alert(1)&gt; (str)" in bundle["text/html"]
    assert bundle["text/plain"] == "CollectionsBrowser('memory')"
