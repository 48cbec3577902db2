"""What stands for an explorer where no kernel is: a picture and a table, or a page of its own.

How front ends choose among the parts of a `bundle`: JupyterLab, Colab and VS Code show the widget, and an error once
its kernel is gone (`stand_in.show` is made for that); nbconvert and nbviewer show the widget only if its state was
saved with the notebook, else the HTML; others the HTML or the PNG.
Everything here is text and pictures with inline styles, without script, and every text that comes from data is escaped.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from chroma_nb.errors import InvalidArgumentError
from chroma_nb_widgets.map.interface import Colours
from chroma_nb_widgets.raster import map_png

if TYPE_CHECKING:
    from chroma_nb_widgets.explorer import Explorer
    from chroma_nb_widgets.models.explorer import ExplorerModel

__all__ = [
    "bundle",
    "cell_text",
    "explorer_bundle",
    "explorer_card",
    "legend_html",
    "map_png",
    "model_png",
    "page",
    "static_html",
    "table_html",
]

_BOX = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 12px;max-width:880px;overflow-x:auto"
_SMALL = "font-size:85%;opacity:.75"
_SWATCH = "display:inline-block;width:10px;height:10px;border-radius:50%;margin:0 5px 0 12px"
_CELL = "padding:3px 8px;border-bottom:1px solid rgba(128,128,128,.25);vertical-align:top"
_CLIPPED = f"{_CELL};white-space:nowrap;overflow:hidden;text-overflow:ellipsis;max-width:20em"
_WRAPPED = f"{_CELL};max-width:40em"
_TEXT = 300  # characters of a cell
_COLUMNS = 12
_ROWS = 10
_PAGE_ROWS = 200
_NUMBER = "text-align:right;font-variant-numeric:tabular-nums"
UNSAID = ("query", "rank")  # there is one query, and the rows are in the order of the rank


def bundle(widget: Any, html_text: str, png: bytes, plain: str) -> dict[str, Any]:
    """What ``_repr_mimebundle_`` gives: the widget's view, if it lives, and what stands for it elsewhere.

    Args:
        widget: an `ipywidgets.Widget`, or None.
        html_text: what stands for it where HTML is shown.
        png: where pictures are shown; empty for none.
        plain: where only text is shown.
    """
    alive = widget is not None and widget.comm is not None
    found = dict(widget._repr_mimebundle_()) if alive else {}
    found |= {"text/plain": plain, "text/html": html_text}
    if png:
        found["image/png"] = base64.b64encode(png).decode("ascii")
    return found


def explorer_bundle(explorer: Explorer) -> dict[str, Any]:
    """`bundle` of an explorer."""
    return bundle(explorer.widget, *explorer_card(explorer), repr(explorer))


def explorer_card(explorer: ExplorerModel) -> tuple[str, bytes]:
    """An explorer's map as it is now, and the first rows of what its table shows; as HTML, and the map as a PNG."""
    png = model_png(explorer)
    rows = explorer.table()
    note = f"{explorer.showing}: the first {len(rows):,} of {explorer.total:,}" if len(rows) < explorer.total else ""
    return static_html(explorer.collection.name, _facts(explorer), explorer.colours, png, rows, note), png


def model_png(model: ExplorerModel, width: int = 800, height: int = 480) -> bytes:
    """The map of an explorer as a picture."""
    return map_png(
        model.map.xy,
        model.colours,
        selected=model.marked,
        visible=model.visible,
        overlay=model.overlay(),
        width=width,
        height=height,
    )


def _facts(model: ExplorerModel) -> list[str]:
    total, passing = len(model.snapshot), len(model.positions)
    facts = [f"{total:,} items" if passing == total else f"{passing:,} of {total:,} items"]
    if model.query is not None:
        facts.append(f"query: {model.query_label}")
    if model.where:
        facts.append(f"where: {model.where}")
    if model.where_document:
        facts.append(f"where_document: {model.where_document}")
    if len(model.selected):
        facts.append(f"{len(model.selected):,} selected")
    if model.sample_note:
        facts.append(model.sample_note)
    return facts


def static_html(
    title: str, facts: Sequence[str], colours: Colours | None, png: bytes, table: pd.DataFrame | None, note: str = ""
) -> str:
    """A card: heading, facts, legend, picture, table.

    Args:
        title: the heading.
        facts: short texts below it.
        colours: whose legend is shown; None for none.
        png: the picture; empty for none.
        table: whose first 10 rows are shown; None for none.
        note: below the table.

    >>> static_html("a<b", [], None, b"", None)
    '<div style="..."><div><b>a&lt;b</b></div></div>'
    """
    parts = [f"<div><b>{html.escape(title)}</b></div>"]
    if facts:
        parts.append(f'<div style="{_SMALL}">{" &middot; ".join(map(html.escape, facts))}</div>')
    if png:
        source = base64.b64encode(png).decode("ascii")
        alt = html.escape(f"map of {title}", quote=True)
        style = "max-width:100%;border-radius:4px;margin:8px 0"
        parts.append(f'<img alt="{alt}" src="data:image/png;base64,{source}" style="{style}">')
    if colours is not None:
        parts.append(legend_html(colours))
    if table is not None:
        parts.append(table_html(table.head(_ROWS)))
    if note:
        parts.append(f'<div style="{_SMALL}">{html.escape(note)}</div>')
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


def legend_html(colours: Colours) -> str:
    """The legend of a map on a line or a few; empty where all points look alike."""
    if colours.kind == "none":
        return ""
    label = f"<b>{html.escape(colours.label)}</b>"
    if colours.kind == "continuous":
        stops = ",".join(colours.palette[:: max(1, len(colours.palette) // 16)])
        bar = f"display:inline-block;width:140px;height:10px;margin:0 8px;background:linear-gradient(90deg,{stops})"
        low, high = (f"{number:,.6g}" if number is not None else "" for number in (colours.low, colours.high))
        return f'<div style="font-size:85%">{label} &nbsp; {low}<span style="{bar}"></span>{high}</div>'
    shown = [entry for entry in colours.legend if entry.code not in colours.hidden]
    entries = "".join(
        f'<span style="white-space:nowrap"><span style="{_SWATCH};background:{html.escape(entry.colour, quote=True)}">'
        f"</span>{html.escape(_cut(entry.text, 40))} <span style='opacity:.6'>{entry.count:,}</span></span> "
        for entry in shown
    )
    return f'<div style="font-size:85%">{label}{entries}</div>'


def table_html(table: pd.DataFrame, *, wrap: bool = False) -> str:
    """Rows as an HTML table: numbers to the right, long texts cut, at most 12 columns.

    Args:
        table: the rows, with their index.
        wrap: give long texts several lines, instead of cutting them to one.

    >>> "&lt;script&gt;" in table_html(pd.DataFrame({"document": ["<script>"]}))
    True
    """
    columns = [column for column in table.columns if column not in UNSAID][:_COLUMNS]
    more = sum(column not in UNSAID for column in table.columns) - len(columns)
    numbers = [pd.api.types.is_numeric_dtype(table[column]) for column in columns]
    aligns = ["text-align:left", *(_NUMBER if number else "text-align:left" for number in numbers)]
    names = zip([str(table.index.name or ""), *map(str, columns)], aligns, strict=True)
    head = "".join(f'<th style="{_CELL};{align}">{_shown(name)}</th>' for name, align in names)
    head += f'<th style="{_CELL};text-align:left">{more} more</th>' if more > 0 else ""
    style, body = _WRAPPED if wrap else _CLIPPED, []
    for values in table[columns].itertuples(name=None):
        cells = zip(map(cell_text, values), aligns, strict=True)
        body.append("".join(f'<td style="{style};{align}">{_shown(text)}</td>' for text, align in cells))
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    outer = "border-collapse:collapse;font-size:85%;margin-top:8px"
    return f'<table style="{outer}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _shown(text: str) -> str:
    return html.escape(_cut(text, _TEXT))


def cell_text(value: Any) -> str:
    """A value as a table shows it.

    >>> cell_text(0.123456789), cell_text(True), cell_text(None), cell_text(1234567)
    ('0.12346', 'yes', '–', '1234567')
    """
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _cut(text: str, most: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


# a page ---------------------------------------------------------------------------------------

# Scripts and styles of the page itself, pictures within it: whatever stands in the data, nothing is fetched.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "worker-src blob:; base-uri 'none'; form-action 'none'"
)
_STYLE = """
body { font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; margin: 24px auto;
  max-width: 1200px; padding: 0 20px; color: #24292f; background: #fff; }
h1 { font-size: 22px; margin: 0 0 2px; } h2 { font-size: 16px; margin: 28px 0 6px; }
.facts { color: #57606a; } .wide { overflow-x: auto; }
pre { background: #f6f8fa; border: 1px solid #d9dce0; border-radius: 6px; padding: 10px 12px; overflow-x: auto; }
"""


def page(explorer: ExplorerModel, path: str | os.PathLike[str]) -> None:
    """Write what an explorer shows to one HTML file that needs neither a kernel nor a network.

    The map can be zoomed and hovered; below it stand the filters, the selected rows or the results (else the first
    rows that pass the filters; at most 200), and the code. The file appears as a whole or not at all.

    Args:
        explorer: what to show.
        path: the file; replaced if it is there.

    Raises:
        InvalidArgumentError: its folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InvalidArgumentError(f"There is no folder {str(target.parent)!r} to write {target.name} to.")
    text = _page(explorer)
    begun = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        begun.write_text(text, encoding="utf-8")
        begun.replace(target)
    finally:
        begun.unlink(missing_ok=True)


def _page(model: ExplorerModel) -> str:
    from chroma_nb_widgets import plot  # plotly is slow to import

    figure = plot.explorer_figure(model)
    figure.update_layout(title=None, margin={"t": 12}, height=560)
    drawing = figure.to_html(
        full_html=False, include_plotlyjs=True, include_mathjax=False, config={"displaylogo": False, "scrollZoom": True}
    )
    title = html.escape(model.collection.name)
    heading, rows, total = _page_rows(model)
    count = f"{total:,}" if len(rows) == total else f"the first {len(rows):,} of {total:,}"
    code = "".join(f"<h2>{name}</h2><pre>{html.escape(text)}</pre>" for name, text in _codes(model))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{title}</h1><div class="facts">{" &middot; ".join(map(html.escape, _facts(model)))}</div>{drawing}'
        f'<h2>{heading} ({count})</h2><div class="wide">{table_html(rows, wrap=True)}</div>{code}</body></html>\n'
    )


def _page_rows(model: ExplorerModel) -> tuple[str, pd.DataFrame, int]:
    """What the page's table shows, its rows, and how many there are."""
    if len(model.selected):
        return "Selection", model._frame(model.selected[:_PAGE_ROWS]), len(model.selected)
    if len(model.results):
        return "Results", model.results.head(_PAGE_ROWS), len(model.results)
    return "Rows", model._frame(model.positions[:_PAGE_ROWS]), len(model.positions)


def _codes(model: ExplorerModel) -> list[tuple[str, str]]:
    return [("Code", model.code()), ("SQL", model.sql)]
