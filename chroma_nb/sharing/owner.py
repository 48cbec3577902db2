"""The process that has a directory open, for the others that want to work in it.

One thread waits for others to connect and one waits on each connection, all of them asleep while nothing is asked.
They are daemons, so that a program ends when it is over; but not amid a call: `atexit` waits for those in hand.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chroma_nb.errors import ChromaNbError, ClosedStoreError
from chroma_nb.sharing import address, calls
from chroma_nb.sharing.channel import Channel, Gone, Guest, OtherVersion, welcome
from chroma_nb.store.local import LocalStore
from chroma_nb.store.protocol import Progress
from chroma_nb.store.snapshot import LocalSnapshot

_log = logging.getLogger(__name__)

_GREETING = 5.0  # seconds that somebody who has connected may take to say who it is
_STALLED = 60.0  # seconds that an answer may find no taker
_TICK = 0.05  # seconds between two words about how far something is
_GRACE = 5.0  # seconds that the last answers may take to be sent when the store closes

_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


class Session:
    """What one other process has open here.

    Attributes:
        snapshots: by their numbers.
    """

    def __init__(self) -> None:
        self.snapshots: dict[int, LocalSnapshot] = {}
        self._last = 0

    def keep(self, snapshot: LocalSnapshot) -> int:
        """The number of a snapshot from now on."""
        self._last += 1
        number = self._last
        self.snapshots[number] = snapshot
        return number


class Owner:
    """Answers others for a store. The store is referred to weakly: this does not keep it open.

    Args:
        store: of a directory, for writing.
        directory: its path.

    Raises:
        OSError: there is no listening here.
        RuntimeError: there are no threads here.
    """

    def __init__(self, store: LocalStore, directory: Path) -> None:
        self._store = weakref.ref(store)
        self._directory = directory
        self._listener, self._address = address.listen(directory)
        self._bell, self._rung = socket.socketpair()
        self._sessions: dict[str, Session] = {}
        self._channels: dict[Channel, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chroma_nb owner", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._close_sockets()
            address.withdraw(directory, self._address)
            raise
        _owners.add(self)

    def answers_for(self, store: LocalStore) -> bool:
        """Whether it is for this store."""
        return self._store() is store

    def stop(self) -> None:
        """Begin to end: no new calls, and long ones are given up. May be called from anywhere, at any time."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._bell.send(b".")

    def join(self, timeout: float | None = None) -> None:
        """Wait until the calls in hand are done."""
        # Not `join` alone: interrupted by Ctrl-C, Python 3.11 takes the thread for ended from then on.
        if self._over.wait(timeout):
            self._thread.join()

    def abandon(self) -> None:
        """In a fork's copy: close what was inherited, which else would look like an owner that does not answer."""
        self._stopping = True
        self._close_sockets()
        for channel in self._channels:
            channel.close()

    # threads ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                selector.register(self._rung, selectors.EVENT_READ)
                while not self._stopping:
                    selector.select()
                    self._accept()
        finally:
            try:
                self._end()
            finally:
                self._over.set()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _log.warning("another process could not connect: %s", error)
            time.sleep(_TICK)  # too many open files, most likely
            return
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel = Channel(connection, _GREETING)
        thread = threading.Thread(target=self._serve, args=(channel,), name="chroma_nb connection", daemon=True)
        with self._lock:
            self._channels[channel] = thread
        try:
            thread.start()
        except RuntimeError as error:
            with self._lock:
                del self._channels[channel]
            channel.close()
            _log.warning("another process could not be served: %s", error)
            time.sleep(_TICK)  # too many threads, most likely

    def _end(self) -> None:
        self._close_sockets()
        address.withdraw(self._directory, self._address)
        with self._lock:
            channels = dict(self._channels)
        for channel in channels:
            channel.hang_up(both=False)
        deadline = time.monotonic() + _GRACE
        for channel, thread in channels.items():
            thread.join(max(deadline - time.monotonic(), 0))
            channel.hang_up(both=True)  # an answer that nobody takes
            thread.join()
        self._sessions.clear()

    def _close_sockets(self) -> None:
        for end in (self._listener, self._bell, self._rung):
            end.close()

    def _serve(self, channel: Channel) -> None:
        guest = None
        try:
            guest = welcome(channel, self._address.token)
            channel.wait_longer(_STALLED, _must_be_taken)
            session = self._session(guest)
            while not self._stopping:
                self._answer(channel, session, guest, channel.receive())
        except (Gone, OtherVersion) as error:
            _log.debug("a connection ended: %s", error)
        except Exception:  # noqa: BLE001 - logged, whatever it is
            _log.exception("a connection from another process was given up")
        finally:
            with self._lock:
                self._channels.pop(channel, None)
                if guest is not None and guest.lasting:
                    self._sessions.pop(guest.session, None)
            channel.close()

    def _session(self, guest: Guest) -> Session:
        with self._lock:
            if guest.lasting:
                return self._sessions.setdefault(guest.session, Session())
            # A connection that only asks whether somebody is there has no session.
            return self._sessions.get(guest.session) or Session()

    # calls ------------------------------------------------------------------------------------

    def _answer(self, channel: Channel, session: Session, guest: Guest, request: dict[str, Any]) -> None:
        if guest.lasting:
            for number in request["released"]:
                session.snapshots.pop(number, None)
            return
        if channel.peer_left():
            raise Gone("whoever asked has given up")
        try:
            answer = {"result": self._result(channel, session, request)}
        except BaseException as error:  # noqa: BLE001 - raised where it belongs
            answer = {"error": self._failure(request["name"], error)}
        channel.send(answer)

    def _failure(self, name: str, error: BaseException) -> list[str]:
        """An error for the other side; Gone if it shall ask the next owner."""
        if not isinstance(error, ChromaNbError | Gone):
            _log.debug("a call from another process failed", exc_info=error)
        calls.forget_frames(error)
        if isinstance(error, Gone | ClosedStoreError):
            raise Gone(str(error))
        if isinstance(error, RuntimeError) and "shutdown" in str(error):
            raise Gone("this program ends")  # no thread can be started any more
        if name == "sql" and self._stopping:
            raise Gone("the store is to be closed")  # and the statement was interrupted for it, most likely
        return calls.described(error)

    def _result(self, channel: Channel, session: Session, request: dict[str, Any]) -> Any:
        store = self._store()
        if store is None:
            raise Gone("the store was closed")
        name, arguments, options = request["name"], request["arguments"], request["options"]
        number = request["snapshot"]
        if name == "snapshot":
            return _taken(session, store.snapshot(*arguments))
        target = store if number is None else session.snapshots.get(number)
        if target is None or name not in (calls.OF_STORES if number is None else calls.OF_SNAPSHOTS):
            raise Gone(f"no such call or snapshot: {name}")
        found = getattr(target, name)
        if name in calls.PROGRESS:
            options |= self._progress(channel, name, request["progress"])
        if name == "sql":
            options |= {"interruptible": lambda interrupt: self._watched(channel, interrupt)}
        if request["call"] is None:
            return found(*arguments, **options)
        return calls.once(store, request["call"], name, arguments, lambda: found(*arguments, **options))

    def _progress(self, channel: Channel, name: str, wanted: list[str]) -> dict[str, Progress]:
        """Tell the other side how far it is; end the work when nobody waits for it any more."""
        told = 0.0

        def report(which: str, done: int, total: int) -> None:
            nonlocal told
            if self._stopping or channel.peer_left():
                raise Gone("nobody waits for it")
            now = time.monotonic()
            if which in wanted and (done >= total or now - told > _TICK):
                told = now
                channel.send({"progress": [which, done, total]})

        def of(which: str) -> Progress:
            return lambda done, total: report(which, done, total)

        # The first is always there, so that the work can be ended.
        return {which: of(which) for which in calls.PROGRESS[name] if which in (*wanted, calls.PROGRESS[name][0])}

    @contextmanager
    def _watched(self, channel: Channel, interrupt: Callable[[], None]) -> Iterator[None]:
        """Interrupt what goes on in here if the other side leaves, or the store is to be closed."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_TICK):
                if self._stopping or channel.peer_left():
                    interrupt()
                    return

        thread = threading.Thread(target=watch, name="chroma_nb watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _must_be_taken(sending: bool) -> None:
    """The other side may be silent for ever, but not while it has an answer to take."""
    if sending:
        raise Gone("nobody takes the answer")


def _taken(session: Session, snapshot: LocalSnapshot) -> dict[str, Any]:
    return {
        "number": session.keep(snapshot),
        "ids": snapshot.ids,
        "total": snapshot.total,
        "info": snapshot.info,
        "keys": snapshot.keys,
        "documented": snapshot.documented,
    }


def end_owners_of(store: LocalStore, timeout: float) -> None:
    """Nobody answers for the store any more, if that takes no longer than so many seconds."""
    for owner in list(_owners):
        if owner.answers_for(store):
            owner.stop()
            owner.join(timeout)


@atexit.register
def _stop_all() -> None:
    """Before daemon threads are torn down: let those that are inside of hnswlib or DuckDB come out."""
    owners = list(_owners)
    for owner in owners:
        owner.stop()
    deadline = time.monotonic() + _GRACE
    while owners and time.monotonic() < deadline:
        try:
            owners[-1].join(max(deadline - time.monotonic(), 0))
            owners.pop()
        except KeyboardInterrupt:
            continue  # to hurry would be to abort


def _abandon_all() -> None:
    for owner in list(_owners):
        owner.abandon()
    _owners.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
