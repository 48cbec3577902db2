"""The connections of this process to the owner of a directory."""

from __future__ import annotations

import os
import secrets
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chroma_nb.errors import StoreLockedError
from chroma_nb.sharing import address, calls
from chroma_nb.sharing.channel import Channel, Gone, Guest, OtherVersion, introduce
from chroma_nb.store.protocol import Progress

_SILENCE = 10.0  # seconds without an answer after which the owner is asked whether it is there
_ANSWER = 5.0  # seconds that it may take to say so
_IDLE = 4  # connections kept for the next calls

_links: weakref.WeakSet[Link] = weakref.WeakSet()


class Link:
    """A way to the owner of a directory: one lasting connection, and one for each call that is under way.

    Args:
        directory: of the store.

    Attributes:
        pid: of the owner.

    Raises:
        Gone: nobody who listens has it open.
        StoreLockedError: the owner does not answer, or is of another version.
    """

    def __init__(self, directory: Path) -> None:
        found = address.read(directory)
        if found is None:
            raise Gone("nobody has it open")
        self._directory, self._address = directory, found
        self.pid = found.pid
        self._session = secrets.token_hex(16)
        self._idle: deque[Channel] = deque()
        self._released: deque[int] = deque()
        self._closed = False
        self._telling = threading.Lock()
        self._lasting = self._connect(lasting=True)
        _links.add(self)

    def request(
        self,
        name: str,
        /,
        *arguments: Any,
        call: uuid.UUID | None = None,
        snapshot: int | None = None,
        progress: Mapping[str, Progress | None] | None = None,
        **options: Any,
    ) -> Any:
        """What a method of the owner's store, or of a snapshot there, returns.

        Args:
            name: of the method.
            arguments: positional ones.
            call: under which it is carried out once.
            snapshot: its number.
            progress: callbacks by the names of their arguments.
            options: arguments by name.

        Raises:
            Gone: the owner is not there any more; whether the call was carried out is not known.
            StoreLockedError: the owner does not answer.
            BaseException: whatever the method raised.
        """
        self._tell()
        told = {which: callback for which, callback in (progress or {}).items() if callback is not None}
        asked = {"name": name, "arguments": arguments, "options": options, "call": call, "snapshot": snapshot}
        with self._connection() as channel:
            channel.send({**asked, "progress": list(told)})
            answer = channel.receive()
            while "progress" in answer:
                which, done, total = answer["progress"]
                told[which](done, total)
                answer = channel.receive()
        if "error" in answer:
            raise calls.raised(answer["error"])
        return answer["result"]

    def release(self, snapshot: int) -> None:
        """Nobody needs that snapshot any more. May be called from a destructor."""
        self._released.append(snapshot)
        self._tell()

    def close(self) -> None:
        """Close all connections; without locks, since destructors call it."""
        self._closed = True
        self._lasting.close()
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    # connections ------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[Channel]:
        """A connection for one call; one that was left in the middle of something is not used again."""
        try:
            channel = self._idle.pop()
        except IndexError:
            channel = self._connect(lasting=False)
            channel.wait_longer(_SILENCE, self._ping)
        try:
            yield channel
        except BaseException:
            channel.close()
            raise
        if self._closed or len(self._idle) >= _IDLE:
            channel.close()
        else:
            self._idle.append(channel)

    def _connect(self, *, lasting: bool) -> Channel:
        if lasting is False and self._closed:
            raise Gone("closed")
        try:
            channel = Channel(address.connect(self._address, _ANSWER), _ANSWER)
        except TimeoutError:
            raise self._does_not_answer() from None
        channel.wait_longer(_ANSWER, self._give_up)
        try:
            introduce(channel, self._address.token, Guest(self._session, lasting))
        except OtherVersion as error:
            channel.close()
            raise StoreLockedError(
                f"{self._directory} is open in process {self.pid} with another version of chroma_nb (it shares by "
                f"protocol {error}). Restart that kernel with the version installed here, and try again."
            ) from None
        except BaseException:
            channel.close()
            raise
        return channel

    def _ping(self, sending: bool) -> None:
        """See whether the owner still answers anybody; long work may take as long as it takes."""
        self._connect(lasting=False).close()

    def _give_up(self, sending: bool) -> None:
        raise self._does_not_answer()

    def _does_not_answer(self) -> StoreLockedError:
        return StoreLockedError(
            f"{self._directory} is open in process {self.pid}, which does not answer. Wait until it does, or restart "
            "that kernel, and try again. A write that was under way may still happen: look before you repeat it."
        )

    def _tell(self) -> None:
        """Tell the owner which snapshots it can drop, unless another thread is just doing that."""
        if self._closed or not self._released or not self._telling.acquire(blocking=False):
            return
        try:
            numbers = [self._released.popleft() for _ in range(len(self._released))]
            self._lasting.send({"released": numbers})
        except (Gone, StoreLockedError):
            self._lasting.close()  # the next call meets the same
        finally:
            self._telling.release()


def _close_all() -> None:
    for link in list(_links):
        link.close()
    _links.clear()


if hasattr(os, "register_at_fork"):
    # In a fork's copy: an owner would take its connections for those of the process that it knows.
    os.register_at_fork(after_in_child=_close_all)
