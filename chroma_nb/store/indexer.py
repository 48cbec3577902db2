"""Keeps graphs up to date in the background.

One thread, started when there is work and gone when there is none. It inserts small batches (so
that a search waits at most for one of them), saves what it built, and leaves when the store
closes, the collection goes or the program ends. It is no daemon: a daemon thread would be torn
down inside hnswlib. Nothing that it does is needed for the data to be safe.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from pathlib import Path

import numpy as np

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.protocol import Progress
from chroma_nb.store.search import can_scan_beside, wants_graph
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.shelves import Shelves

_log = logging.getLogger(__name__)

# Vectors inserted while searches wait: about 15 ms of work. While no search can use the graph
# yet, larger batches waste less on starting threads.
_SMALL_BATCH = 32
_LARGE_BATCH = 1024
# Slots behind the graph are scanned at search time; so many are cheaper to scan than to insert.
_SLACK_SLOTS = 2048
_SLACK_SHARE = 0.02
# A graph file is written again when it lacks this share of what the graph covers.
_UNSAVED_SHARE = 0.05


class Indexer:
    """The background builder of one store.

    Args:
        shelves: of the store. Referred to weakly: the thread must not keep an abandoned store alive
            and its file locked.
        saves: whether graph files may be written.
    """

    def __init__(self, shelves: Shelves, *, saves: bool) -> None:
        self._shelves = weakref.ref(shelves)
        self._saves = saves
        self._pending: list[Shelf] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._building = threading.RLock()
        self._waited_for = 0

    def wake(self, shelf: Shelf) -> None:
        """See to it that the graph of this collection catches up, if it is worth one."""
        if not _lags(shelf):
            return
        with self._lock:
            if self._stopping or shelf in self._pending:
                return
            if self._thread is None:
                thread = threading.Thread(target=self._run, args=(shelf,), name="chroma_nb indexer")
                thread.start()
                self._thread = thread
            else:
                self._pending.append(shelf)

    def stop(self) -> None:
        """Finish the batch in hand and end the thread."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def catch_up(self, shelf: Shelf, progress: Progress | None = None) -> None:
        """Build in the calling thread until the graph covers everything; KeyboardInterrupt stops it unharmed."""
        self._waited_for += 1  # the background thread gives way, since this one may use all cores
        try:
            with self._building:
                self._build(shelf, 0, progress or _silent)
        finally:
            self._waited_for -= 1

    def save(self, shelf: Shelf) -> None:
        """Write the graph file if it lacks anything."""
        path = self._graph_path(shelf)
        graph = shelf.graph
        if not self._saves or path is None or graph is None or graph.upto == shelf.saved or shelf.dropped:
            return
        upto = graph.upto
        try:
            graph.save(path, _identity(shelf))
        except OSError as error:
            _log.warning("the search graph could not be saved to %s (%s); it will be rebuilt when needed", path, error)
        else:
            shelf.saved = upto

    # the thread -------------------------------------------------------------------------------

    def _run(self, shelf: Shelf) -> None:
        while True:
            try:
                with self._building:
                    self._build(shelf, _slack(shelf), None)
            except Exception:  # noqa: BLE001 - logged, whatever it is
                # Searches stay exact without a graph: worth a word, not worth a broken notebook.
                shelf.graph_failed = True
                _log.exception("building the search graph failed; searches stay exact, but slower")
            with self._lock:
                if not self._pending or self._stopping:
                    self._thread = None
                    self._pending.clear()
                    return
                shelf = self._pending.pop(0)

    def _build(self, shelf: Shelf, slack: int, progress: Progress | None) -> None:
        if not shelf.graph_tried:
            shelf.graph_tried = True
            self._load(shelf)
        while not self._ended(shelf):
            state, vectors, graph = shelf.state, shelf.vectors, shelf.graph
            slots = state.entry.next_slot
            if vectors is None or not wants_graph(slots, vectors.dimension):
                break
            if graph is None:
                graph = Graph(vectors.dimension, state.entry.info.settings, slots)
            if slots - graph.upto <= (slack if len(graph) else 0) or (progress is None and self._waited_for):
                break
            first = graph.upto
            useful = can_scan_beside(slots - first, vectors.dimension)
            upto = min(slots, first + (_SMALL_BATCH if useful and progress is None else _LARGE_BATCH))
            live = np.flatnonzero(state.mirror.position_of_slot[first:upto] >= 0) + first
            threads = _threads(state.entry.info.settings.num_threads, waited_for=progress is not None)
            graph.extend(vectors.view(slots)[live], live, upto, threads)
            if state.entry.generation != shelf.state.entry.generation:
                break
            shelf.graph = graph
            if progress is not None:
                progress(upto, slots)
            elif useful:
                time.sleep(0)
        graph = shelf.graph
        if graph is not None and graph.upto - shelf.saved > _UNSAVED_SHARE * graph.upto:
            self.save(shelf)

    def _ended(self, shelf: Shelf) -> bool:
        gone = self._stopping or shelf.dropped or self._shelves() is None
        return gone or not threading.main_thread().is_alive()

    def _graph_path(self, shelf: Shelf) -> Path | None:
        shelves = self._shelves()
        if shelves is None or shelves.directory is None:
            return None
        return shelves.directory.graph(shelf.state.entry)

    def _load(self, shelf: Shelf) -> None:
        path = self._graph_path(shelf)
        if path is None or not path.exists() or shelf.vectors is None:
            return
        state = shelf.state
        try:
            graph = Graph.load(
                path, _identity(shelf), state.entry.info.settings, shelf.vectors.view(state.entry.next_slot)
            )
        except CorruptStoreError as error:
            _log.warning("the search graph is built anew: %s", error)
            return
        shelf.graph, shelf.saved = graph, graph.upto


def _silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _identity(shelf: Shelf) -> dict[str, object]:
    entry = shelf.state.entry
    settings = entry.info.settings
    return {
        "collection": str(entry.info.id),
        "generation": entry.generation,
        "dimension": entry.info.dimension,
        "space": settings.space.value,
        "m": settings.m,
        "construction_ef": settings.construction_ef,
    }


def _slack(shelf: Shelf) -> int:
    return max(_SLACK_SLOTS, int(shelf.state.entry.next_slot * _SLACK_SHARE))


def _lags(shelf: Shelf) -> bool:
    vectors, slots = shelf.vectors, shelf.state.entry.next_slot
    if vectors is None or shelf.graph_failed or not wants_graph(slots, vectors.dimension):
        return False
    return shelf.graph is None or slots - shelf.graph.upto > _slack(shelf)


def _threads(asked: int | None, *, waited_for: bool) -> int:
    # In the background one core stays free for the notebook.
    cores = os.cpu_count() or 1
    return asked or (cores if waited_for else max(1, cores - 1))
