"""Maps that note in the kernel what people do on them, and their parts on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.browser.notebook import Notebook

# Five round clusters: one about the middle, with a point of its own in the very middle, and four in the corners.
SETUP = """
import threading
import time
import numpy as np
from chroma_nb_widgets.map.choose import MapSurface
from chroma_nb_widgets.map.interface import Colours, HoverText, LegendEntry, Overlay
from chroma_nb_widgets.map.plotly import PlotlyMap
from chroma_nb_widgets.map.webgl import WebGLMap

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
NAMES = ("<b>bold</b>", "north west", "south west", "north east", "south east")
HOSTILE = "<img src=x onerror=\\"window.hacked=1\\"><script>window.hacked=1</script>"


class Watched:
    def __init__(self, renderer, n):
        random = np.random.default_rng(0)
        self.renderer = renderer
        self.cluster = np.arange(n) % 5
        angle, radius = random.uniform(0, 2 * np.pi, n), random.uniform(0.5, 1, n)
        radius[:5] = 0, 1, 1, 1, 1
        angle[1:5] = np.pi / 4 * np.array([3, 5, 1, 7])
        centres = np.array([[0, 0], [-10, 10], [-10, -10], [10, 10], [10, -10]])
        self.xy = (centres[self.cluster] + (radius * [np.cos(angle), np.sin(angle)]).T).astype(np.float32)
        renderer.on_select(self.select)
        renderer.on_click(lambda position: self.clicked.append(position))
        renderer.on_legend(lambda codes: self.off.append(sorted(codes)))
        renderer.on_hover(lambda position: HoverText(f"{position} {HOSTILE}", (("key", HOSTILE),), HOSTILE * 3))
        self.show()

    def select(self, positions):
        self.at.append(time.time())
        self.selected.append(positions)
        self.threads.append(threading.current_thread().name)

    def show(self):
        self.selected, self.clicked, self.off, self.at, self.threads = [], [], [], [], []
        counts = np.bincount(self.cluster)
        legend = tuple(LegendEntry(NAMES[i], PALETTE[i], int(counts[i]), i) for i in range(5))
        colours = Colours(self.cluster.astype(np.uint16), PALETTE, "categorical", "where", legend)
        self.renderer.show(self.xy, colours)

    def clusters(self, which=-1):
        chosen = np.bincount(self.cluster[self.selected[which]], minlength=5)
        return (chosen / np.bincount(self.cluster)).tolist()
"""
MIDDLE = [1, 0, 0, 0, 0]
N = {"webgl": 30_000, "plotly": 5_000}
CELLS = {"webgl": 0, "plotly": 1}


class Map:
    """One of the maps: its parts on the page, its object in the kernel."""

    def __init__(self, nb: Notebook, name: str) -> None:
        self.nb = nb
        self.name = name
        self.root = nb.cell(CELLS[name]).locator(".cnb-map")
        self.stage = self.root.locator(".cnb-stage")

    def use(self, tool: str) -> None:
        self.root.locator(f"[data-tool={tool}]").click()

    def wait(self, what: str, timeout: float = 30) -> Any:
        return self.nb.wait(f"{self.name}.{what}", timeout)

    def counts(self, text: str) -> None:
        self.root.locator(".cnb-count", has_text=text).wait_for(timeout=20_000)

    def reset(self) -> None:
        self.nb.execute(f"{self.name}.show()")
        self.counts(f"{N[self.name]:,} of {N[self.name]:,} shown")
        self.root.get_by_role("button", name="Clear").wait_for(state="hidden")
        self.stage.scroll_into_view_if_needed()
        self.nb.page.wait_for_timeout(300)
