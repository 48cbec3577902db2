"""What the fixture ``lab`` gives: notebooks in one JupyterLab and one browser."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.chromium import launch
from tests.browser.notebook import Notebook
from tests.browser.pages import Dashboard
from tests.browser.servers import JupyterLab, Voila

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import BrowserContext, Page, Playwright

    from tests.browser.pages import WatchedPage

ARTEFACTS = Path(os.environ.get("CHROMA_NB_ARTEFACTS") or Path(__file__).parent / "artefacts")


@dataclass(frozen=True)
class Look:
    """How a page is shown: theme "light" or "dark"; width and height in CSS pixels; device pixels in a CSS pixel."""

    theme: str = "light"
    width: int = 1280
    height: int = 1000
    scale: float = 1


class Desk:
    """One JupyterLab, one Voila if it is asked for, and one browser, for as many notebooks as come."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        self._folder = folder
        self._browser = launch(playwright)
        self._lab = JupyterLab(folder)
        self._voila: Voila | None = None
        self._contexts: dict[float, BrowserContext] = {}
        self._opened = 0

    def notebook(self, cells: Sequence[str] | Path, look: Look) -> Notebook:
        """Open a notebook in a folder of its own."""
        path = self._write(cells)
        self._lab.use_theme(look.theme)
        address = f"{self._lab.address}/lab/tree/{path.parent.name}/{path.name}?reset"
        return Notebook(self._page(look), address, path, ARTEFACTS)

    def voila(self, cells: Sequence[str] | Path, look: Look) -> Dashboard:
        """Show a notebook as Voila does."""
        path = self._write(cells)
        if self._voila is None:
            self._voila = Voila(self._folder / "voila", self._lab.notebooks)
        address = f"{self._voila.address}/voila/render/{path.parent.name}/{path.name}?theme={look.theme}"
        return Dashboard(self._page(look), address, path.parent, ARTEFACTS)

    def close(self) -> None:
        """End browser and servers."""
        try:
            self._browser.close()
        finally:
            self._lab.stop()
            if self._voila is not None:
                self._voila.stop()

    def _write(self, cells: Sequence[str] | Path) -> Path:
        self._opened += 1
        path = self._lab.notebooks / f"nb{self._opened}" / "notebook.ipynb"
        path.parent.mkdir()
        path.write_text(cells.read_text("utf-8") if isinstance(cells, Path) else as_notebook(cells), encoding="utf-8")
        return path

    def _page(self, look: Look) -> Page:
        if look.scale not in self._contexts:
            # Pages of one context share the browser's cache: the second JupyterLab is there in half the time.
            self._contexts[look.scale] = self._browser.new_context(device_scale_factor=look.scale)
        page = self._contexts[look.scale].new_page()
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme="dark" if look.theme == "dark" else "light")
        return page


class Lab:
    """Opens notebooks, and closes them all at its end.

    Args:
        desk: The servers and the browser that do it.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.pages: list[WatchedPage] = []

    def notebook(
        self,
        cells: Sequence[str] | Path,
        *,
        theme: str = "light",
        width: int = 1280,
        height: int = 1000,
        scale: float = 1,
    ) -> Notebook:
        """Open a notebook in JupyterLab; its kernel is ready, and runs in ``nb.folder``.

        Args:
            cells: Sources of code cells, or the path of a notebook, which is copied.
            theme: "light" or "dark", of JupyterLab and of the browser.
            width: Of the window; unit: CSS pixels.
            height: Of the window; unit: CSS pixels.
            scale: Device pixels in a CSS pixel.
        """
        made = self._desk.notebook(cells, Look(theme, width, height, scale))
        self.pages.append(made)
        return made

    def voila(self, cells: Sequence[str] | Path, *, theme: str = "light", width: int = 1280) -> Dashboard:
        """Show a notebook as a page of Voila, its cells run."""
        made = self._desk.voila(cells, Look(theme, width))
        self.pages.append(made)
        return made

    def close(self) -> None:
        """Close what it opened."""
        while self.pages:
            self.pages.pop().close()


def as_notebook(cells: Sequence[str]) -> str:
    """The file of a notebook with these code cells."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    fields: dict[str, object] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "cells": [{"id": f"c{number}", "source": source, **fields} for number, source in enumerate(cells)],
    }
    return json.dumps(content)


def keep_evidence(pages: Sequence[WatchedPage], test: str) -> list[Path]:
    """After a failure: a picture of every open page and what its console said; returns the files."""
    name = "failed-" + re.sub(r"[^\w.-]+", "-", test.rpartition("/")[2]).strip("-")
    kept = []
    for number, page in enumerate(pages):
        if page.page.is_closed():
            continue
        kept.append(page.screenshot(f"{name}-{number}"))
        log = kept[-1].with_suffix(".txt")
        log.write_text("\n".join(page.console), encoding="utf-8")
        kept.append(log)
    return kept
