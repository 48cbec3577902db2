"""Pages that are listened to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

# Of JupyterLab itself, of the browser under it, and Voila's icons. "Error setting state" comes, rarely, when a page is
# loaded again and JupyterLab's manager sends plotly's models the state that they have just been made of.
_NOISE = re.compile(
    r"ResizeObserver loop|favicon|GL Driver Message|/api/\S* net::ERR_ABORTED|jsdelivr\.net/npm/@fortawesome"
    r"|Error setting state: Cannot read properties of undefined \(reading 'length'\) \(\S*/jupyterlab-manager/"
)


class WatchedPage:
    """A page, and all that it complains about.

    Args:
        page: Shows nothing yet.
        artefacts: Where its pictures go.
    """

    def __init__(self, page: Page, artefacts: Path) -> None:
        self.page = page
        self.console: list[str] = []
        self.errors: list[str] = []
        self._artefacts = artefacts
        page.on("console", lambda said: self._note_console(said.type, said.text, said.location["url"]))
        page.on("pageerror", lambda error: self._note("uncaught", str(error), True))
        page.on("requestfailed", lambda asked: self._note("request", f"{asked.url} {asked.failure}", True))
        page.on("response", lambda reply: self._note_status(reply.status, reply.url))

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """Keep a picture of the page, or of an element; returns its path."""
        path = self._artefacts / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.page if of is None else of).screenshot(path=path)
        return path

    def close(self) -> None:
        """Close it."""
        self.page.close()

    def _note_console(self, level: str, text: str, source: str) -> None:
        self._note(f"console {level}", f"{text} ({source})", level == "error")

    def _note_status(self, status: int, url: str) -> None:
        if status >= 400:
            self._note("response", f"{status} {url}", True)

    def _note(self, kind: str, text: str, is_error: bool) -> None:
        line = f"{kind}: {text}"
        self.console.append(line)
        if is_error and not _NOISE.search(line):
            self.errors.append(line)


class Dashboard(WatchedPage):
    """A notebook as a page of Voila, its cells run; made by ``lab.voila``.

    Voila takes no code from the page: what the kernel has to say, it writes to a file in ``folder``, where it runs.
    """

    def __init__(self, page: Page, address: str, folder: Path, artefacts: Path) -> None:
        super().__init__(page, artefacts)
        self.folder = folder
        page.goto(address, timeout=120_000)  # Voila answers when all cells have run
        page.wait_for_function("() => window.jupyterapp?.widgetManager", timeout=120_000)
