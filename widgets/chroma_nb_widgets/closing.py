"""Closing widgets with all that they hold: a closed one leaves nothing behind in the kernel or the page."""

from __future__ import annotations

from typing import Any


def close_all(*widgets: Any) -> None:
    """Close widgets, what they hold, and their layouts and styles."""
    for widget in widgets:
        close_all(*getattr(widget, "children", ()))
        widget.close()
        for name in ("layout", "style"):
            part = getattr(widget, name, None)
            if part is not None:
                part.close()
