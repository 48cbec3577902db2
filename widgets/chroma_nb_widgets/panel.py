"""What forms and tables have in common: one state to show, and messages of what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import anywidget
import traitlets

from chroma_nb.errors import InvalidArgumentError
from chroma_nb_widgets.models.mainloop import MainLoop
from chroma_nb_widgets.style import script, stylesheet


class Once:
    """Calls a function once for many calls: on the next turn of the event loop, at once where none runs.

    A change of a filter changes positions, page and results, one trait after the other; the page shall
    be told of it once.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> None:
        """Ask for a call."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._function()
            return
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self.now)

    def now(self) -> None:
        """Call it, if that was asked for and has not happened yet."""
        if self._loop is not None:
            self._loop = None
            self._function()


class Model(Protocol):
    """What a panel needs of its model: traits, and a place for errors."""

    def has_trait(self, name: str) -> bool:
        """Whether there is such a trait."""

    def observe(self, handler: Callable[[Any], object], names: Any) -> None:
        """Call back when one of these traits has changed."""

    def unobserve(self, handler: Callable[[Any], object], names: Any) -> None:
        """Call back no more."""

    def guarded(self, *, clear: bool = True) -> AbstractContextManager[None]:
        """Put what goes wrong into the model's ``error``."""


class Panel(anywidget.AnyWidget):
    """A view of a model: it shows ``shown``, and what people do to it arrives in `act`.

    Args:
        model: what is shown and changed.
        watched: the traits of the model that ``shown`` depends on.

    Attributes:
        shown: all that the page needs, as JSON holds it.
    """

    _esm = ""
    _css = traitlets.Unicode(stylesheet()).tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    _model: Model

    def __init__(self, model: Model, watched: Sequence[str]) -> None:
        self._model = model
        self._watched = [name for name in watched if model.has_trait(name)]
        self._update = Once(self.update)
        self._main = MainLoop()
        super().__init__(shown=self._state())
        model.observe(self._changed, self._watched)
        self.on_msg(self._received)

    def _state(self) -> dict[str, Any]:
        raise NotImplementedError

    def _actions(self) -> dict[str, Callable[..., object]]:
        raise NotImplementedError

    def act(self, do: str, **given: Any) -> None:
        """Do what a person did in the page; what goes wrong ends in the model's ``error``.

        Args:
            do: the name of the action.
            **given: its arguments.
        """
        with self._model.guarded(clear=False):
            actions = self._actions()
            if do not in actions:
                raise InvalidArgumentError(f"There is nothing called {do!r} to do here.")
            actions[do](**given)
        self._update()

    def update(self) -> None:
        """Show the model as it is now."""
        with self._model.guarded(clear=False):  # others may have deleted the collection
            self.shown = self._state()

    def close(self) -> None:
        """Take it off the screen; the model goes on."""
        if self.comm is not None:
            self._model.unobserve(self._changed, self._watched)
        super().close()

    def _changed(self, change: Any) -> None:
        self._update()

    def _received(self, widget: Any, content: Any, buffers: Any) -> None:
        # After a reload of the page, JupyterLab has the messages of each widget handled in a thread of its own.
        self._main(self._handle, content)

    def _handle(self, content: Any) -> None:
        self.act(**content)
        self._update.now()
        self.send({"kind": "done"})  # though nothing may have changed: the page stops waiting


def module(*names: str) -> str:
    """The script of a panel: these files, the last of which draws it, and what all panels share."""
    return script("page.js", *names)
