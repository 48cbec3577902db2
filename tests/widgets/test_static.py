"""What stands for an explorer without a kernel: pictures, cards, pages."""

from __future__ import annotations

import html.parser
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
import nbconvert
import nbformat
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from chroma_nb_widgets import stand_in, static
from chroma_nb_widgets.map.interface import NO_VALUE, Colours, LegendEntry, Overlay, plain
from chroma_nb_widgets.models import colours
from chroma_nb_widgets.models.explorer import ExplorerModel
from hypothesis import given, settings
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.errors import InvalidArgumentError

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\u2028&lt;"
Pixels = npt.NDArray[np.uint8]
RED, BLUE = (255, 0, 0), (0, 0, 255)
TWO = Colours(np.asarray([0, 1], dtype=np.uint16), ("#ff0000", "#0000ff"), "categorical", "k")
LEFT_RIGHT = np.asarray([[0, 0], [1, 0]], dtype=np.float32)


def decoded(png: bytes) -> Pixels:
    """Pixels of a PNG whose rows are not filtered."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 2)
    at, body = 8, b""
    while at < len(png):
        (length,), name = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            png[at + 4 : at + 8 + length]
        )
        body += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(body), dtype=np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def has(pixels: Pixels, colour: tuple[int, int, int]) -> bool:
    return bool((pixels == np.asarray(colour)).all(axis=2).any())


# pictures -------------------------------------------------------------------------------------


def test_points_lie_where_they_are() -> None:
    pixels = decoded(static.map_png(LEFT_RIGHT, TWO, width=100, height=60))
    assert pixels.shape == (60, 100, 3)
    assert tuple(pixels[30, 18]) == RED
    assert tuple(pixels[30, 82]) == BLUE
    assert tuple(pixels[2, 2]) == (255, 255, 255)
    up = decoded(static.map_png(np.asarray([[0, 0], [0, 1]], dtype=np.float32), TWO, width=60, height=100))
    assert tuple(up[82, 30]) == RED, "y grows upwards"


def test_proportions_are_kept() -> None:
    corners = np.asarray([[0, 0], [1, 1]], dtype=np.float32)
    pixels = decoded(static.map_png(corners, TWO, width=300, height=100))
    rows, columns = np.nonzero((pixels != 255).any(axis=2))
    assert np.ptp(rows) == np.ptp(columns)


def test_selected_hidden_filtered_and_dark() -> None:
    first = np.asarray([True, False])
    chosen = decoded(static.map_png(LEFT_RIGHT, TWO, selected=first))
    assert has(chosen, RED)
    assert not has(chosen, BLUE)
    assert not has(decoded(static.map_png(LEFT_RIGHT, replace(TWO, hidden=frozenset({1})))), BLUE)
    faint = decoded(static.map_png(LEFT_RIGHT, TWO, visible=first))
    assert has(faint, (0xD9, 0xDC, 0xE0))
    assert not has(faint, BLUE)
    assert tuple(decoded(static.map_png(LEFT_RIGHT, TWO, dark=True))[0, 0]) == (0x11, 0x14, 0x18)
    missing = replace(TWO, codes=np.asarray([0, NO_VALUE], dtype=np.uint16))
    assert has(decoded(static.map_png(LEFT_RIGHT, missing)), (0x9A, 0x9A, 0x9A))


def test_edges_are_smooth() -> None:
    colours_seen = np.unique(decoded(static.map_png(LEFT_RIGHT, TWO)).reshape(-1, 3), axis=0)
    assert len(colours_seen) > 6


def test_a_query_is_drawn() -> None:
    overlay = Overlay((0.5, 0.0), "q", np.asarray([0, 1]))
    pixels = decoded(static.map_png(LEFT_RIGHT, TWO, overlay=overlay, width=200, height=100))
    assert tuple(pixels[50, 100]) == (0xD5, 0x5E, 0x00)
    assert pixels[49:51, 60].min() < 180, "a line to the first hit"
    assert has(pixels, (0x24, 0x29, 0x2F)), "rings"
    far = replace(overlay, query=(40.0, 3.0))
    assert decoded(static.map_png(LEFT_RIGHT, TWO, overlay=far)).any()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_to_spread(count: int) -> None:
    assert decoded(
        static.map_png(np.full((count, 2), 7, dtype=np.float32), plain(count), width=40, height=30)
    ).shape == (30, 40, 3)


def test_no_category_covers_the_others() -> None:
    """Half of the points of two mixed categories keep about half of the picture, whatever their order."""
    xy = np.random.default_rng(0).random((20_000, 2)).astype(np.float32)
    codes = np.repeat(np.asarray([0, 1], dtype=np.uint16), 10_000)
    pixels = decoded(static.map_png(xy, replace(TWO, codes=codes), width=200, height=200)).astype(int)
    share = (pixels[40:160, 40:160, 0] > pixels[40:160, 40:160, 2]).mean()
    assert 0.4 < share < 0.6


def test_a_hundred_thousand_points_are_quick() -> None:
    xy = np.random.default_rng(0).normal(size=(100_000, 2)).astype(np.float32)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        static.map_png(xy, plain(len(xy)))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.6  # 0.1 s on two quiet cores


# cards ----------------------------------------------------------------------------------------


class _Markup(html.parser.HTMLParser):
    """Which tags and attributes there are, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(text: str) -> _Markup:
    markup = _Markup()
    markup.feed(text)
    return markup


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from([HOSTILE, "'\"><b onclick=x>", ""]))
def test_cards_hold_text_only(text: str, hostile: str) -> None:
    said = hostile + text
    entry = LegendEntry(said, "#000000", 3, 0)
    made = Colours(np.zeros(1, dtype=np.uint16), ("#000000",), "categorical", said, (entry,))
    table = pd.DataFrame({said or "x": [said], "n": [1]}, index=pd.Index([said], name="id"))
    markup = parsed(static.static_html(said, [said], made, b"png", table, said))
    assert markup.tags <= {"div", "b", "img", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert markup.attributes <= {"style", "alt", "src"}
    flat = " ".join(said.split())
    assert "".join(markup.text.split()).count("".join(flat.split())) >= 5


def test_tables() -> None:
    frame = pd.DataFrame(
        {"query": [0], "rank": [0], "distance": [0.25], "text": ["x " * 500], "flag": [True], "gap": [None]},
        index=["a"],
    )
    text = static.table_html(frame)
    markup = parsed(text)
    assert "query" not in markup.text
    assert "rank" not in markup.text
    assert "0.25" in markup.text
    assert "yes" in markup.text
    assert "–" in markup.text
    assert "…" in markup.text
    assert len(markup.text) < 400
    wide = pd.DataFrame({f"column{at}": [at] for at in range(30)})
    assert "18 more" in parsed(static.table_html(wide)).text


def test_legends() -> None:
    assert static.legend_html(plain(3)) == ""
    scale = colours.by_number("score", np.asarray([0.0, 2.5]))
    assert "2.5" in parsed(static.legend_html(scale)).text
    gone = (LegendEntry("gone", "#000000", 1, 0),)
    hidden = Colours(np.zeros(1, dtype=np.uint16), ("#000000",), "categorical", "k", gone, hidden=frozenset({0}))
    assert "gone" not in static.legend_html(hidden)


def test_a_bundle_has_the_widget_while_it_lives() -> None:
    view = "application/vnd.jupyter.widget-view+json"
    widget = ipywidgets.VBox()
    made = static.bundle(widget, "<b>x</b>", b"png", "plain")
    assert made[view]["model_id"] == widget.model_id
    assert (made["text/html"], made["text/plain"], made["image/png"]) == ("<b>x</b>", "plain", "cG5n")
    widget.close()
    assert set(static.bundle(widget, "<b>x</b>", b"", "plain")) == {"text/html", "text/plain"}


def test_a_card_beside_the_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    widget = ipywidgets.VBox()
    for _ in range(2):
        stand_in.show(widget, lambda: ("<b>card</b>", b"png"), "plain")
    assert len(widget.children) == 1
    assert widget.children[0].key == widget.model_id
    views, cards = shown[0::2], shown[1::2]
    assert all("text/html" not in view and "application/vnd.jupyter.widget-view+json" in view for view in views)
    assert all(f"chroma-nb-static-{widget.model_id}" in card["text/html"] and card["image/png"] for card in cards)


def test_nbconvert_takes_the_card() -> None:
    made = static.bundle(ipywidgets.VBox(), static.static_html("the card", [], None, b"", None), b"", "plain")
    output = {"output_type": "display_data", "data": made, "metadata": {}}
    cell = {"cell_type": "code", "source": "x", "outputs": [output], "metadata": {}, "execution_count": 1, "id": "a"}
    notebook = nbformat.from_dict({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # type: ignore[no-untyped-call]
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    assert "<b>the card</b>" in page
    assert "widget-view+json" not in page


# explorers ------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Iterator[ExplorerModel]:
    client = chroma_nb.Client()
    docs = client.create_collection("docs", embedding_function=None)
    docs.add(
        ids=[HOSTILE, *(f"id{at}" for at in range(29))],
        embeddings=np.random.default_rng(0).normal(size=(30, 4)),
        documents=[HOSTILE, *("words" for _ in range(29))],
        metadatas=[{"topic": HOSTILE, "n": 0}, *({"topic": "plain", "n": at} for at in range(29))],
    )
    made = ExplorerModel(docs, method="pca", color="topic", query={"like": HOSTILE})
    yield made
    made.close()


def test_the_card_of_an_explorer(model: ExplorerModel) -> None:
    text, png = static.explorer_card(model)
    markup = parsed(text)
    assert "script" not in markup.tags
    assert "30 items" in markup.text
    assert "id" in markup.text
    assert decoded(png).shape == (480, 800, 3)
    model.where = {"n": {"$lt": 5}}
    assert "of 30 items" in parsed(static.explorer_card(model)[0]).text


def test_a_page(model: ExplorerModel, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")
    model.select([0, 3])
    static.page(model, target)
    text = target.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert "<h2>Selection (2)</h2>" in text
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", text), "nothing is fetched"
    # The figure's own call is the last script; nothing in it ends it or begins markup.
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(re.findall(r"</script>", text))
    assert "<" not in scripts[-1].split("Plotly.newPlot(")[1]
    outside = re.sub(r"<script[^>]*>.*?</script>|<style>.*?</style>", "", text, flags=re.DOTALL)
    markup = parsed(outside)
    assert not markup.tags & {"img", "script", "iframe"}
    assert "onerror" not in markup.attributes
    assert " ".join(HOSTILE.split()) in " ".join(markup.text.split())
    assert "docs.plot(" in markup.text


def test_a_page_without_selection_or_query(model: ExplorerModel, tmp_path: Path) -> None:
    static.page(model, tmp_path / "page.html")
    assert "<h2>Results (10)</h2>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    model.query = None
    static.page(model, tmp_path / "page.html")
    assert "<h2>Rows (30)</h2>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_is_written_as_a_whole_or_not_at_all(
    model: ExplorerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        static.page(model, target)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "old")]
    with pytest.raises(InvalidArgumentError, match="There is no folder"):
        static.page(model, tmp_path / "missing" / "page.html")


def test_what_a_page_holds_is_json(model: ExplorerModel, tmp_path: Path) -> None:
    """The figure within the page is the explorer's figure, hostile text included."""
    from chroma_nb_widgets import plot

    static.page(model, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    begin = text.rindex("Plotly.newPlot(")
    data, _ = json.JSONDecoder().raw_decode(text[text.index("[", begin) :])
    assert [trace.get("name") for trace in data] == [trace.name for trace in plot.explorer_figure(model).data]
