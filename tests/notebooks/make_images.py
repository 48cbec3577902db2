"""Take the pictures of the README from the real thing: the quickstart, run in JupyterLab in Chromium.

    python tests/notebooks/make_images.py [--all DIR]

Needs the extra ``demo``, the packages ``playwright`` and ``pillow``, and Chromium (``--chromium``, default
/usr/bin/chromium).
``--all`` also keeps a picture of every cell, to look at.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Path(__file__).parents[2] / "notebooks" / "images"
# The cell whose source starts so -> the picture of its output.
WANTED = {
    'docs.query("the money you borrow': "query.png",
    "question = ": "map.png",
}
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]
_KERNEL_IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === "idle";
}"""
_RUN_DONE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const code = panel.content.widgets.filter((cell) => cell.model.type === "code");
    return code.every((cell) => cell.model.executionCount) && panel.sessionContext.session.kernel.status === "idle";
}"""


@contextmanager
def jupyterlab(folder: Path, theme: str) -> Iterator[str]:
    """JupyterLab on the quickstart in a folder, with settings of its own; the address of the notebook."""
    settings = folder / "settings"
    for name, values in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "apputils-extension/themes": {"theme": theme},
    }.items():
        file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--log-level=ERROR"]
    process = subprocess.Popen(command, cwd=folder / "tour", env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/api")
        yield f"{address}/lab/tree/01_quickstart.ipynb?reset"
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str) -> None:
    """Return once a server answers."""
    for _ in range(240):
        try:
            with urlopen(address, timeout=2):  # noqa: S310 - our own server
                return
        except URLError:
            time.sleep(0.25)
    raise TimeoutError(address)


def take(address: str, chromium: str, every: Path | None) -> None:
    """Run the notebook and photograph the wanted outputs."""
    api = import_module("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.goto(address)
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=120_000)
        page.wait_for_function(_KERNEL_IDLE, timeout=120_000)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function(_RUN_DONE, timeout=300_000)
        for number, source in enumerate(sources(page)):
            photograph(page, number, source, every)
        browser.close()


def sources(page: Any) -> list[str]:
    """The sources of all cells."""
    script = "() => window.jupyterapp.shell.currentWidget.content.widgets.map((c) => c.model.sharedModel.getSource())"
    found: list[str] = page.evaluate(script)
    return found


def photograph(page: Any, number: int, source: str, every: Path | None) -> None:
    """Scroll to a cell; keep its picture, and that of its output if it is wanted."""
    page.evaluate(
        """async (number) => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = number;
            await notebook.scrollToItem(number, "start");
        }""",
        number,
    )
    page.wait_for_timeout(600)
    cell = page.locator(f'.jp-Cell[data-windowed-list-index="{number}"]')
    if every is not None:
        every.mkdir(parents=True, exist_ok=True)
        cell.screenshot(path=str(every / f"cell-{number:02d}.png"))
    for start, name in WANTED.items():
        if source.startswith(start):
            output = cell.locator(".jp-OutputArea-output").first
            table = output.locator("table, .js-plotly-plot")
            shrink((table.first if table.count() else output).screenshot(), IMAGES / name)


def shrink(picture: bytes, path: Path) -> None:
    """Keep a picture in 128 colours: a quarter of the size, and no difference to be seen."""
    image = import_module("PIL.Image")
    image.open(io.BytesIO(picture)).convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    """Make a demo in a scratch folder, run it, take the pictures."""
    from chroma_nb.demo import prepare

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, metavar="DIR")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--theme", default="JupyterLab Light")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder / "tour")
        with jupyterlab(folder, options.theme) as address:
            take(address, options.chromium, options.all)


if __name__ == "__main__":
    main()
