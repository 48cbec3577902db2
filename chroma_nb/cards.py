"""Small HTML cards that stand for a client or a collection at the end of a cell.

Plain HTML with inherited colours, so that they fit light and dark themes and static viewers; every
text that comes from data is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from chroma_nb.types import CollectionInfo, CollectionStats

_BOX = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 12px;max-width:52em;overflow-x:auto"


def collection_card(info: CollectionInfo, stats: CollectionStats) -> str:
    """Name, size and metadata keys of a collection."""
    facts = [
        f"{stats.count:,} items",
        "no vectors yet" if info.dimension is None else f"{info.dimension} dimensions",
        f"space {info.settings.space.value}",
    ]
    keys = ", ".join(f"{html.escape(key)}&nbsp;({'/'.join(kinds)})" for key, kinds in list(stats.keys.items())[:30])
    more = len(stats.keys) - 30
    keys_line = f"<div><small>metadata: {keys}{f' and {more} more' if more > 0 else ''}</small></div>" if keys else ""
    return (
        f'<div style="{_BOX}"><div><b>{html.escape(info.name)}</b> &middot; {" &middot; ".join(facts)}</div>{keys_line}'
        "</div>"
    )


def client_card(location: str, collections: Sequence[tuple[CollectionInfo, CollectionStats]]) -> str:
    """Where the data is, and a line for each collection."""
    rows = "".join(
        f'<tr><td style="text-align:left">{html.escape(info.name)}</td><td>{stats.count:,}</td>'
        f"<td>{info.dimension or ''}</td><td>{info.settings.space.value}</td></tr>"
        for info, stats in collections[:50]
    )
    more = f"<small>and {len(collections) - 50} more</small>" if len(collections) > 50 else ""
    table = (
        '<table><thead><tr><th style="text-align:left">collection</th><th>items</th><th>dimensions</th>'
        f"<th>space</th></tr></thead><tbody>{rows}</tbody></table>{more}"
        if rows
        else "<small>no collections yet: client.create_collection(name)</small>"
    )
    return f'<div style="{_BOX}"><div><b>chroma_nb</b> &middot; {html.escape(location)}</div>{table}</div>'


def note(title: str, text: str) -> str:
    """A card that only says something."""
    return f'<div style="{_BOX}"><b>{html.escape(title)}</b><div>{html.escape(text)}</div></div>'
