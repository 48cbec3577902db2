"""Bringing results of background threads to where the widgets live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any


class MainLoop:
    """Calls functions on the event loop it was made on; at once where there was none, or is none any more.

    Widgets are changed by the kernel's event loop, one message after the other. A thread that
    changed them too would have to fear every observer.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function, later and in the right thread if this is another one."""
        if self._loop is None or threading.get_ident() == self._thread:
            function(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # closed
            function(*arguments)
