"""The map: where every item lies in the plane, and the work that finds it out."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import traitlets

from chroma_nb.errors import ChromaNbError
from chroma_nb.projection import Projection, ProjectionJob, Projector, Stage
from chroma_nb.projection.projector import check_method
from chroma_nb.store.protocol import Snapshot, Store
from chroma_nb.types import Matrix
from chroma_nb_widgets.map.interface import Points
from chroma_nb_widgets.models.mainloop import MainLoop

_log = logging.getLogger(__name__)

AUTOMATIC = 200_000
"""Up to so many items a UMAP is begun without being asked for (a minute or two at this size)."""
_TICK = 0.1  # seconds between two reports of progress
_CANCELLING = "Cancelling"


class MapModel(traitlets.HasTraits):
    """Places of all items: the stored ones at once, else a PCA first and UMAP in the background.

    All methods may be called from several threads. What the background finds arrives on the event loop on
    which this was made; where there was none, in the background's own thread.

    Args:
        store: where the collection is.
        collection: its id.
        method: "umap" or "pca".
        **parameters: of the method (see `Projector`).

    Attributes:
        method: "umap" or "pca".
        state: "empty" (before `start`), "ready", "running", "waiting" (too many items to begin by
            itself: call `fit`), "cancelled" or "failed".
        stage: what the background work does, in words.
        progress: of the stage, from 0 to 1.
        projection: the places shown; None before `start`.
        problem: why it failed; None when it did not.
    """

    method = traitlets.Unicode("umap")
    state = traitlets.Enum(("empty", "ready", "running", "waiting", "cancelled", "failed"), "empty")
    stage = traitlets.Unicode("")
    progress = traitlets.Float(0.0)
    projection = traitlets.Any(None, allow_none=True)
    problem = traitlets.Unicode(None, allow_none=True)

    def __init__(self, store: Store, collection: uuid.UUID, method: str = "umap", **parameters: Any) -> None:
        super().__init__(method=check_method(method))
        self._store, self._collection = store, collection
        self._parameters = parameters
        self._projector = self._make_projector()
        self._main = MainLoop()
        self._lock = threading.RLock()  # never held while waiting for a thread
        self._job: ProjectionJob | None = None  # whose result is wanted
        self._jobs: list[ProjectionJob] = []  # whose threads may still run
        self._told = 0.0
        self.observe(self._other_method, "method")

    @traitlets.validate("method")
    def _check_method(self, proposal: Any) -> str:
        return check_method(proposal["value"])

    @property
    def xy(self) -> Points:
        """The places, float32 (n, 2)."""
        shown: Projection | None = self.projection
        return np.zeros((0, 2), dtype=np.float32) if shown is None else shown.xy

    @property
    def parameters(self) -> dict[str, Any]:
        """Those given for the method."""
        return dict(self._parameters)

    @property
    def running(self) -> bool:
        """Whether work goes on in the background."""
        return self._job is not None

    def start(self) -> None:
        """Show the stored map, or a PCA while UMAP is computed in the background."""
        with self._lock:
            self._begin(self._projector.stored())

    def fit(self) -> None:
        """Compute the map anew in the background, aligned to the one shown; nothing if that goes on already."""
        with self._lock:
            if self._job is not None:
                return
            self.problem, self.progress, self.stage = None, 0.0, "Starting"
            self.state = "running"
            job = ProjectionJob(self._projector, lambda stage: self._tell(job, stage), self._over, self._over)
            self._job = job
            self._jobs = [*(old for old in self._jobs if old.running), job]
            job.start()

    def cancel(self) -> None:
        """End the background work; a finished map stays, a PCA gives way to the unfinished one."""
        with self._lock:
            if self._job is not None:
                self.stage = _CANCELLING
                self._job.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the background work, for at most so many seconds; whether it is over."""
        with self._lock:
            job = self._job
        if job is None:
            return True
        if not job.wait(timeout):
            return False
        self._settle(job)
        return True

    def place(self, vectors: Matrix) -> Points:
        """Where vectors (m, dim) would lie on the map shown, float32 (m, 2)."""
        return np.asarray(self._projector.place(self.projection, vectors), dtype=np.float32)

    def carry(self, snapshot: Snapshot) -> Snapshot:
        """Show the items of a later moment on the same map; the snapshot that is now shown.

        New items lie beside their neighbours, deleted ones are gone, the others stay. Where most are new,
        the map begins anew.
        """
        with self._lock:
            stored, carried = self._projector.stored(), None
            if stored is None and self.projection is not None:
                carried = self._carried(self.projection, snapshot)
            if carried is None:
                self._begin(stored)
            else:
                self.projection = carried
            shown: Snapshot = self.projection.snapshot
            return shown

    def use(self, **parameters: Any) -> None:
        """Other parameters of the method; the map begins anew if they differ."""
        with self._lock:
            if parameters != self._parameters:
                Projector(self._store, self._collection, method=self.method, **parameters)  # may refuse them
                self._parameters = parameters
                self._restart()

    def close(self) -> None:
        """End the background work and wait until it is gone."""
        with self._lock:
            self._drop()
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.wait(None)

    # inside -----------------------------------------------------------------------------------

    def _make_projector(self) -> Projector:
        return Projector(self._store, self._collection, method=self.method, **self._parameters)

    def _begin(self, stored: Projection | None) -> None:
        if stored is not None:
            self.projection = stored
            if self._job is None:
                self.state = "ready"
            return
        self.projection = self._projector.pca()
        if self._job is not None:
            return
        count = len(self.projection.xy)
        if self.method == "pca" or count == 0:
            self.state = "ready"
        elif count > AUTOMATIC:
            self.state = "waiting"
        else:
            self.fit()

    def _other_method(self, change: Any) -> None:
        with self._lock:
            self._restart()

    def _restart(self) -> None:
        self._drop()
        self._projector = self._make_projector()
        if self.state != "empty":
            self.problem = None
            self.start()

    def _drop(self) -> None:
        """Let the work end by itself: its result is not wanted any more."""
        for job in self._jobs:
            job.cancel()
        if self._job is not None:
            self._job = None
            self._rest()
            self.state = "cancelled"

    def _carried(self, old: Projection, snapshot: Snapshot) -> Projection | None:
        """The places of old items and those of new ones beside them; None where most are new."""
        xy = np.full((len(snapshot), 2), np.nan, dtype=np.float32)
        at = pc.index_in(snapshot.ids, value_set=old.snapshot.ids)
        known = at.is_valid().to_numpy(zero_copy_only=False)
        new = np.flatnonzero(~known)
        if 2 * len(new) > len(xy):
            return None
        xy[known] = old.xy[np.asarray(at.drop_null(), dtype=np.int64)]
        carried = replace(old, snapshot=snapshot, xy=xy)
        if len(new):
            xy[new] = self._projector.place(carried, snapshot.vectors(new))
        return carried

    # what the background says -----------------------------------------------------------------

    def _tell(self, job: ProjectionJob, stage: Stage) -> None:
        """Pass progress on, not more often than a person can see."""
        now = time.monotonic()
        if now - self._told >= _TICK or stage.done >= stage.total:
            self._told = now
            self._main(self._show_progress, job, stage)

    def _show_progress(self, job: ProjectionJob, stage: Stage) -> None:
        with self._lock:
            if job is self._job and self.stage != _CANCELLING:
                self.stage, self.progress = stage.text, stage.done / max(stage.total, 1)

    def _over(self, job: ProjectionJob) -> None:
        self._main(self._settle, job)

    def _settle(self, job: ProjectionJob) -> None:
        """Take over what a job has found; once, whoever comes first."""
        with self._lock:
            if job is not self._job:
                return
            self._job = None
            self._rest()
            if job.error is not None:
                self._fail(job.error)
                return
            try:
                self._take(job.projection)
            except Exception as error:  # noqa: BLE001 - whatever an observer raised is logged and shown
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, ChromaNbError):
            _log.error("a map could not be computed", exc_info=error)
        self.problem = f"The map could not be computed: {error}"
        self.state = "failed"

    def _take(self, found: Projection | None) -> None:
        """Show what was found, unless what is shown is better."""
        shown: Projection = self.projection
        finished = shown.complete and shown.method == self.method
        if found is None or (finished and not found.complete):
            self.state = "ready" if finished else "cancelled"
            return
        if shown.snapshot.info.version > found.snapshot.info.version:  # data came while it was computed
            carried = self._carried(found, shown.snapshot)
            if carried is None:
                self._begin(None)
                return
            found = carried
        self.projection = found
        self.state = "ready" if found.complete else "cancelled"

    def _rest(self) -> None:
        self.stage, self.progress = "", 0.0
