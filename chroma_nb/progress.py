"""A bar for long work, in notebooks and terminals alike.

In a notebook it is a widget of tqdm's, shown in a place that is emptied in the end: a widget that was closed would be
an error message as soon as the notebook is opened again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from chroma_nb.store.protocol import Progress

PATIENCE = 1.0  # seconds of work without a bar, for `bar`
_TICK = 1.0  # seconds after which a bar that stands still shows the time again
_NOT_YET = 1e-9  # seconds of tqdm's `delay`: it then leaves it to us where a notebook shows the bar
_COUNTED = "{l_bar}{bar}| {n:,}/{total:,} [{elapsed}<{remaining}, {rate_noinv_fmt}]"
_ONE_STEP = "{desc}: {bar}| [{elapsed}]"


def bar(what: str, unit: str, after: float = 0.0) -> AbstractContextManager[Progress]:
    """A callable (done, total) that moves a bar; nothing is shown before it is first called.

    Nor in the first seconds, if ``after`` says so: what is over by then needs no bar. An interrupt (Ctrl-C, the
    notebook's stop button) says what was interrupted.
    """
    return _Bar(what, unit, after)


def bars(what: str) -> AbstractContextManager[Callable[[str, int, int], None]]:
    """A callable (stage, done, total) with a bar for each stage, one after the other."""
    return _Stages(what)


class BriefInterrupts(AbstractContextManager[None]):
    """Around work with a bar: the traceback of an interrupt ends at the caller of the function that is in here.

    Where inside of this library the work was tells nothing to whoever has pressed the stop button.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and error.args:  # it says what was interrupted
            error.__cause__ = error.__context__ = error.__traceback__ = None


class _Bar(AbstractContextManager[Progress]):
    def __init__(self, what: str, unit: str, after: float) -> None:
        self.label = what
        self._what, self._unit, self._after = what, unit, after
        self._tqdm: Any = None
        self._place: Any = None  # where a notebook shows it
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Progress:
        self._begun = time.monotonic()
        return self._move

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            error.args = error.args or (f"{self._what} was interrupted",)
            BriefInterrupts().__exit__(kind, error, trace)
        if self._tqdm is not None:
            self._tqdm.n = self._tqdm.total  # a notebook would keep the bar of what did not reach its end
            self._tqdm.close()
        if self._place is not None:
            self._place.update({"text/plain": ""}, raw=True)

    def _move(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._tqdm is None:
            if self._after and now - self._begun < self._after:
                return
            self._show(done, total)
        elif total != self._tqdm.total or self.label != self._tqdm.desc:
            self._start_again(done, total)
        elif done != self._tqdm.n:
            self._told = now
            self._tqdm.update(done - self._tqdm.n)
            if done >= total:
                self._tqdm.refresh()
        elif now - self._told >= _TICK:
            self._told = now
            self._tqdm.refresh()

    def _show(self, done: int, total: int) -> None:
        from tqdm.auto import tqdm

        # What was done before the bar came says nothing of the pace, `miniters` else skips what is slower than that.
        shown: Any = tqdm(
            total=total, initial=done, desc=self.label, unit=self._unit and f" {self._unit}", unit_scale=True,
            leave=False, miniters=1, delay=_NOT_YET, bar_format=_format(total),
        )  # fmt: skip
        shown.start_t -= time.monotonic() - self._begun
        self._tqdm = shown
        if hasattr(shown, "container"):
            from IPython.display import display

            self._place = display(shown.container, display_id=True)  # type: ignore[no-untyped-call]
            shown.displayed = True
        shown.refresh()

    def _start_again(self, done: int, total: int) -> None:
        begun = time.time() if self.label != self._tqdm.desc else self._tqdm.start_t
        self._tqdm.set_description_str(self.label, refresh=False)
        self._tqdm.bar_format = _format(total)
        self._tqdm.reset(total)
        self._tqdm.start_t = begun
        self._tqdm.initial = self._tqdm.n = self._tqdm.last_print_n = done
        self._tqdm.refresh()


class _Stages(AbstractContextManager[Callable[[str, int, int], None]]):
    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = _Bar(what, "", 0.0)
        self._move: Progress = self._bar._move

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._move = self._bar.__enter__()
        return self._tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def _tell(self, stage: str, done: int, total: int) -> None:
        self._bar.label = f"{self._what}: {stage}"
        self._move(done, total)


def _format(total: int) -> str:
    return _COUNTED if total > 1 else _ONE_STEP
