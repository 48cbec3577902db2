"""Take the pictures of the README from the real thing: the notebooks, run in JupyterLab in Chromium.

    python -m tests.notebooks.make_images [--only NAME ...] [--all DIR]

Needs the extra ``test``, the package ``pillow``, and Chromium. ``--only`` takes the names of pictures, without
``.png``; ``--all`` also keeps a picture of every cell, to look at.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from chroma_nb.demo import prepare
from tests.browser.chromium import missing
from tests.browser.lab import Desk, Lab
from tests.browser.notebook import Notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
IMAGES = NOTEBOOKS / "images"
_MINUTES = 10 * 60
_EXPLORER = """
explorer.where, explorer.selected_ids = None, ()
explorer.color, explorer.query, explorer.showing = "lexname", "a sour fruit drink", "results"
"""


@dataclass(frozen=True)
class Picture:
    """One picture of an output.

    Attributes:
        name: of the file, without ``.png``.
        notebook: the stem of its file.
        cell: how the cell's source begins.
        of: the element to cut out, a CSS selector inside of the output.
        before: code to run in the kernel before the picture is taken.
        ready: an expression in the kernel to wait for.
    """

    name: str
    notebook: str
    cell: str
    of: str
    before: str = ""
    ready: str = "True"


PICTURES = (
    Picture("query", "01_quickstart", 'docs.query("the money you borrow', "table"),
    Picture("explorer", "02_explore", "explorer = ", ".chroma-nb-explorer", _EXPLORER, "explorer.map.state == 'ready'"),
    Picture("collections", "02_explore", "client.explore()", ".jp-OutputArea-output > *"),
    Picture("umap", "03_map", 'docs.plot(color="lexname"', ".js-plotly-plot"),
)


def take(lab: Lab, notebook: str, pictures: list[Picture], every: Path | None) -> None:
    """Run a notebook as far as these pictures, which are in its order, need it."""
    nb = lab.notebook(NOTEBOOKS / f"{notebook}.ipynb", width=1300, height=1600, scale=2)
    prepare(nb.folder)
    sources, ran = nb.sources(), 0
    for picture in pictures:
        number = next((number for number, source in enumerate(sources) if source.startswith(picture.cell)), None)
        if number is None:
            raise SystemExit(f"{notebook} has no cell that begins with {picture.cell!r}")
        nb.run(*range(ran, number + 1), timeout=_MINUTES)
        ran = number + 1
        photograph(nb, number, picture)
    if every is not None:
        nb.run(*range(ran, len(sources)), timeout=_MINUTES)
        for number in range(len(sources)):
            (every / f"{notebook}-{number:02d}.png").write_bytes(nb.page.locator(".jp-Cell").nth(number).screenshot())
    nb.close()


def photograph(nb: Notebook, number: int, picture: Picture) -> None:
    """Bring an output into the wanted state and keep its picture, in 128 colours: a quarter of the size."""
    nb.execute(picture.before)
    nb.wait(picture.ready, timeout=_MINUTES)
    element = nb.cell(number).locator(picture.of).first
    element.scroll_into_view_if_needed()
    nb.page.mouse.move(0, 0)
    nb.page.wait_for_timeout(2500)  # for what moves to come to rest
    image = import_module("PIL.Image").open(io.BytesIO(element.screenshot()))
    IMAGES.mkdir(exist_ok=True)
    image.convert("RGB").quantize(128).save(IMAGES / f"{picture.name}.png", optimize=True)


def main() -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[picture.name for picture in PICTURES], metavar="NAME")
    parser.add_argument("--all", type=Path, metavar="DIR")
    options = parser.parse_args()
    if (lacking := missing()) is not None:
        raise SystemExit(f"This {lacking}.")
    if options.all is not None:
        options.all.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    wanted = [picture for picture in PICTURES if options.only is None or picture.name in options.only]
    with (
        tempfile.TemporaryDirectory() as name,
        sync_playwright() as playwright,
        closing(Desk(playwright, Path(name))) as desk,
    ):
        for notebook in dict.fromkeys(picture.notebook for picture in wanted):
            take(Lab(desk), notebook, [picture for picture in wanted if picture.notebook == notebook], options.all)


if __name__ == "__main__":
    main()
