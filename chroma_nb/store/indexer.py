"""Keeps graphs, and files of columns, up to date in the background.

One thread, started when there is work and gone when there is none. It inserts small batches (so
that a search waits at most for one of them), saves what it built, and leaves when the store
closes, the collection goes or the program ends. It is no daemon: a daemon thread would be torn
down inside hnswlib. Nothing that it does is needed for the data to be safe.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from chroma_nb.errors import CorruptStoreError
from chroma_nb.store.cores import CORES
from chroma_nb.store.graph_files import GraphFile
from chroma_nb.store.hnsw import Graph
from chroma_nb.store.protocol import Progress
from chroma_nb.store.search import can_scan_beside, wants_graph
from chroma_nb.store.shelf import Shelf
from chroma_nb.store.shelves import Shelves
from chroma_nb.store.walking import Walker

_log = logging.getLogger(__name__)

# Vectors inserted while searches wait: about 15 ms of work. While no search can use the graph
# yet, larger batches waste less on starting threads.
_SMALL_BATCH = 32
_LARGE_BATCH = 1024
# Slots behind the graph are scanned at search time; so many are cheaper to scan than to insert.
_SLACK_SLOTS = 2048
_SLACK_SHARE = 0.02
# So many queries are answered by walking through the graph file before it is read, or so many for a number of
# slots, if that is more. Reading pays off after some hundred queries: who asks a few and goes shall not pay.
_WALKS = 32
_SLOTS_PER_WALK = 3000
# Seconds that many queries at once wait for other building before they are answered by walking.
_PATIENCE = 5.0
# A graph file is written again when it lacks this share of what the graph covers.
_UNSAVED_SHARE = 0.05


_ANEW = "the search graph is built anew: %s"


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

    def seek(self, shelf: Shelf) -> None:
        """Look for the graph file, once, and map it; the store is locked."""
        if shelf.graph_sought:
            return
        if shelf.vectors is None or not wants_graph(shelf.state.entry.next_slot, shelf.vectors.dimension):
            return
        shelf.graph_sought = True
        file = self._file(shelf)
        if file is not None and file.walkable:
            try:
                walker = Walker(file, shelf.state.entry.info.settings, shelf.held())
            except CorruptStoreError as error:
                _log.warning(_ANEW, error)
                return
            if not shelf.graph_read:  # another thread may have read it meanwhile
                shelf.graph = walker

    def read(self, shelf: Shelf, queries: int) -> None:
        """Read a graph that is only mapped, if so many queries at once are worth it and nobody builds for long."""
        graph = shelf.graph
        if queries < _WALKS or not isinstance(graph, Walker) or not _is_worth_reading(shelf, graph, queries):
            return
        with self._awaited():
            held = False
            try:
                held = self._building.acquire(timeout=_PATIENCE)
                if held:
                    self._load(shelf)
            finally:
                if held:
                    self._building.release()

    def wake(self, shelf: Shelf) -> None:
        """See to it that the graph of this collection catches up, if it is worth one."""
        if not _lags(shelf) and not self._columns_due(shelf):
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
        with self._awaited(), self._building:
            self._build(shelf, 0, progress or _silent)

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        """Let the background thread give way to this one, which may use all cores."""
        with self._lock:
            self._waited_for += 1
        try:
            yield
        finally:
            with self._lock:
                self._waited_for -= 1

    def save(self, shelf: Shelf) -> None:
        """Write the graph file if it lacks anything."""
        path = self._graph_path(shelf)
        graph = shelf.graph
        if not self._saves or path is None or not isinstance(graph, Graph) or shelf.dropped:
            return
        if graph.upto == shelf.saved:
            return
        upto = graph.upto
        try:
            graph.save(path, _identity(shelf))
        except OSError as error:
            _log.warning("the search graph could not be saved to %s (%s); it will be rebuilt when needed", path, error)
        else:
            shelf.saved = upto

    def save_columns(self, shelf: Shelf, *, closing: bool = False) -> None:
        """Write the files of columns that are due."""
        if shelf.columns is not None and self._saves:
            state = shelf.state
            gone = partial(getattr, shelf, "dropped") if closing else partial(self._ended, shelf)
            shelf.columns.save(state.entry, state.mirror, gone, closing=closing)

    def _columns_due(self, shelf: Shelf) -> bool:
        state = shelf.state
        return shelf.columns is not None and self._saves and shelf.columns.wanting(state.entry, state.mirror)

    # the thread -------------------------------------------------------------------------------

    def _run(self, shelf: Shelf) -> None:
        while True:
            self.save_columns(shelf)
            try:
                if _lags(shelf):
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
        self._load(shelf)
        while not self._ended(shelf):
            state, vectors, graph = shelf.state, shelf.vectors, shelf.graph
            slots = state.entry.next_slot
            if vectors is None or not wants_graph(slots, vectors.dimension):
                break
            if not isinstance(graph, Graph):
                graph = Graph(vectors.dimension, state.entry.info.settings, slots)
            if slots - graph.upto <= (slack if len(graph) else 0) or (progress is None and self._waited_for):
                break
            first = graph.upto
            useful = can_scan_beside(first, slots, vectors.dimension)
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
        if isinstance(graph, Graph) and graph.upto - shelf.saved > _UNSAVED_SHARE * graph.upto:
            self.save(shelf)

    def _ended(self, shelf: Shelf) -> bool:
        gone = self._stopping or shelf.dropped or self._shelves() is None
        return gone or not threading.main_thread().is_alive()

    def _graph_path(self, shelf: Shelf) -> Path | None:
        shelves = self._shelves()
        if shelves is None or shelves.directory is None:
            return None
        return shelves.directory.graph(shelf.state.entry)

    def _file(self, shelf: Shelf) -> GraphFile | None:
        """The graph file, if there is one of this collection that can be read."""
        path = self._graph_path(shelf)
        if path is None or not path.exists():
            return None
        try:
            file = GraphFile(path)
            if not file.walkable:
                file.verify()
            file.check(_identity(shelf), shelf.state.entry.next_slot)
        except CorruptStoreError as error:
            _log.warning(_ANEW, error)
            if self._saves:
                # What covers too many slots today would seem to fit once the collection has grown.
                path.unlink(missing_ok=True)
            return None
        return file

    def _load(self, shelf: Shelf) -> None:
        """Read the graph file, once; a walker gives way to what was read, or to nothing."""
        if shelf.graph_read:
            return
        shelf.graph_read = shelf.graph_sought = True
        walker = shelf.graph
        file = walker.file if isinstance(walker, Walker) else self._file(shelf)
        if file is None or shelf.vectors is None:
            return
        state = shelf.state
        try:
            file.verify()
        except CorruptStoreError as error:
            _log.warning(_ANEW, error)
            shelf.graph = None
            return
        graph = Graph.load(file, state.entry.info.settings, shelf.vectors.view(state.entry.next_slot))
        # A file that cannot be walked through is written anew.
        shelf.graph, shelf.saved = graph, graph.upto if file.walkable else 0


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
    graph = shelf.graph
    if isinstance(graph, Walker) and (graph.torn or _is_worth_reading(shelf, graph, 0)):
        return True
    return graph is None or slots - graph.upto > _slack(shelf)


def _is_worth_reading(shelf: Shelf, graph: Walker, queries: int) -> bool:
    """Whether a graph is asked so often, these queries included, that it is worth to be read."""
    return graph.walks + queries >= max(_WALKS, shelf.state.entry.next_slot // _SLOTS_PER_WALK)


def _threads(asked: int | None, *, waited_for: bool) -> int:
    # In the background one core stays free for the notebook.
    return asked or (CORES if waited_for else max(1, CORES - 1))
