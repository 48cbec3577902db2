"""A map computed beside whatever else the notebook does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from chroma_nb.errors import ChromaNbError
from chroma_nb.projection.picture import Projection, ProjectionCancelled, Stage
from chroma_nb.projection.projector import Projector

_log = logging.getLogger(__name__)
_LOOK = 0.05  # seconds between two looks at how far a job is


class ProjectionJob:
    """`Projector.run` in a thread of its own.

    The callbacks come from that thread. It is no daemon, so nothing is torn down amid its work; it ends by
    itself, within a step, when the job is cancelled or the program ends.

    Args:
        projector: what to run.
        on_progress: told of every step.
        on_done: told, with the job, when the work is over, cancelled or not.
        on_error: told instead when it failed.

    Attributes:
        projection: the map; unfinished if the job was cancelled during the epochs, None if before, or if it failed.
        error: why it failed; None if it did not.
    """

    def __init__(
        self,
        projector: Projector,
        on_progress: Callable[[Stage], None],
        on_done: Callable[[ProjectionJob], None],
        on_error: Callable[[ProjectionJob], None],
    ) -> None:
        self.projection: Projection | None = None
        self.error: BaseException | None = None
        self._projector = projector
        self._on_progress, self._on_done, self._on_error = on_progress, on_done, on_error
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="chroma_nb map")

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.ident is not None and not self._over.is_set()

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def cancel(self) -> None:
        """End soon; `wait` says when."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most so many seconds until the work is over and the callbacks are through; whether it is.

        A callback that calls this itself gets True: the work is over for it.
        """
        if self._thread is threading.current_thread() or self._thread.ident is None:
            return True
        # Not `join`: interrupted by Ctrl-C, Python 3.11 takes the thread for ended from then on.
        over = self._over.wait(timeout)
        if over:
            self._thread.join()
        return over

    def _ending(self) -> bool:
        return self._cancelled.is_set() or not threading.main_thread().is_alive()

    def _run(self) -> None:
        try:
            self._tell(self._outcome())
        finally:
            self._over.set()

    def _outcome(self) -> Callable[[ProjectionJob], None]:
        try:
            self.projection = self._projector.run(self._on_progress, self._ending)
        except ProjectionCancelled:
            _log.debug("a map was cancelled before its first epoch")
        except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
            self.error = error
            if not isinstance(error, ChromaNbError) and threading.main_thread().is_alive():
                _log.warning("a map failed", exc_info=error)
            return self._on_error
        return self._on_done

    def _tell(self, callback: Callable[[ProjectionJob], None]) -> None:
        if threading.main_thread().is_alive():
            callback(self)


def computed(projector: Projector, progress: Callable[[Stage], None]) -> Projection:
    """`Projector.run`, waited for. Ctrl-C ends it between two steps, not amid one.

    Args:
        projector: what to run.
        progress: told in this thread how far it is, now and then.

    Raises:
        BaseException: whatever ended the work.
    """
    latest: list[Stage] = []
    job = ProjectionJob(projector, lambda stage: latest.__setitem__(slice(None), [stage]), _over, _over)
    try:
        job.start()
        over = False
        while not over:
            over = job.wait(_LOOK)
            for stage in latest[:]:
                progress(stage)
    except BaseException:
        job.cancel()
        job.wait()
        raise
    if job.error is not None:
        raise job.error
    if job.projection is None:
        raise ProjectionCancelled("The map was cancelled before there was anything to show.")
    return job.projection


def _over(job: ProjectionJob) -> None:
    """Whoever waits sees it."""
