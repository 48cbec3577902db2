"""The explorers of chroma_nb: a map, queries, tables and a collections browser, in the notebook.

``collection.explore()`` and ``client.explore()`` are the usual way in. ``%load_ext chroma_nb_widgets`` adds ``%chroma``
and ``%%chroma_sql``. Nothing heavy is loaded before a name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chroma_nb_widgets.browser import CollectionsBrowser, explore_client
    from chroma_nb_widgets.explorer import Explorer, explore_collection
    from chroma_nb_widgets.plot import plot_collection
    from chroma_nb_widgets.query_widget import QueryWidget

__all__ = ["CollectionsBrowser", "Explorer", "QueryWidget", "explore_client", "explore_collection", "plot_collection"]

_HOMES = {
    "CollectionsBrowser": "browser",
    "explore_client": "browser",
    "Explorer": "explorer",
    "explore_collection": "explorer",
    "plot_collection": "plot",
    "QueryWidget": "query_widget",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext chroma_nb_widgets``: adds ``%chroma`` and ``%%chroma_sql``."""
    from chroma_nb_widgets import extension

    extension.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext chroma_nb_widgets``: takes them away."""
    from chroma_nb_widgets import extension

    extension.unload(shell)
