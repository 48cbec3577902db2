"""Living widgets: re-running a cell shows the one there is, with its state, not a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Widget = TypeVar("Widget")

_living: dict[tuple[Any, ...], Any] = {}


def living(key: tuple[Any, ...], make: Callable[[], Widget]) -> Widget:
    """The widget of that key; made if there is none."""
    if key not in _living:
        _living[key] = make()
    found: Widget = _living[key]
    return found


def replace(key: tuple[Any, ...], widget: Any) -> None:
    """From now on this is the one of that key; an older one lives on where it is shown."""
    _living[key] = widget


def forget(widget: Any) -> None:
    """A widget was closed: the next one of its key is made anew."""
    for key in [key for key, other in _living.items() if other is widget]:
        del _living[key]
