"""The JavaScript client in a page: what a browser's rules about origins let it do."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.chromium import find_chromium, launch
from tests.js import node
from tests.rest.process import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

_HOSTILE = "<img src=x onerror=\"document.title = 'run'\"><script>document.title = 'run'</script>"
_ADD_AND_QUERY = """
async ({ module, server, token, hostile }) => {
    const { ChromaClient } = await import(module);
    const client = new ChromaClient({ path: server, token, retries: 0 });
    try {
        const collection = await client.getOrCreateCollection("page");
        await collection.upsert(["a", "b"], [new Float32Array([1, 0]), new Float32Array([0, 1])],
                                [{ n: 9007199254740993n }, null], [hostile, "other"]);
        const found = await collection.query([[1, 0.1]], 1);
        document.body.textContent = found.documents[0][0];
        return { ids: found.ids, n: String(found.metadatas[0][0].n), shown: document.body.textContent,
                 elements: document.body.children.length, title: document.title };
    } catch (error) {
        return { error: error.name, message: error.message };
    }
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest's output is for tests."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """An origin whose pages can import the client: the package's folder on a port of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(node.PACKAGE))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    if find_spec("playwright") is None or find_chromium() is None:
        pytest.skip("needs playwright and Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


def _ask(browser: Browser, origin: str, server: str, token: str | None = None) -> dict[str, Any]:
    """Add and query from a page of an origin."""
    page = browser.new_page()
    try:
        page.goto(f"{origin}/README.md")  # any page of that origin
        arguments = {"module": f"{origin}/src/index.js", "server": server, "token": token, "hostile": _HOSTILE}
        answered: dict[str, Any] = page.evaluate(_ADD_AND_QUERY, arguments)
        return answered
    finally:
        page.close()


def test_pages_of_named_origins_may_ask(browser: Browser, origin: str, tmp_path: Path) -> None:
    options = ("--cors-origin", origin)
    with serving(tmp_path / "db", tmp_path / "log", *options, environment={"CHROMA_NB_TOKEN": "secret"}) as server:
        address = f"http://127.0.0.1:{server.port}"
        answered = _ask(browser, origin, address, token="secret")  # noqa: S106 - of a server that lives for this test
        assert answered["ids"] == [["a"]]
        assert answered["n"] == "9007199254740993"
        assert answered["shown"] == _HOSTILE
        assert (answered["elements"], answered["title"]) == (0, "")
        assert _ask(browser, origin, address)["error"] == "ChromaUnauthorizedError"


def test_pages_of_other_origins_may_not(browser: Browser, origin: str, tmp_path: Path) -> None:
    options = ("--cors-origin", "http://127.0.0.1:1")
    with serving(tmp_path / "db", tmp_path / "log", *options) as server:
        answered = _ask(browser, origin, f"http://127.0.0.1:{server.port}")
        assert answered["error"] == "ChromaConnectionError"
        assert "may this page ask it?" in answered["message"]
        assert server.call("GET", "/api/v1/collections").json == []
