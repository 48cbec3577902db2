"""One connection between two processes: messages over a socket, and who may speak on it.

A message is the mark, the length of its text, the text, and the buffers whose sizes the text begins with. Whoever
connects proves with the token from the owner's file that it could read that file, and the owner proves the same; the
token itself never travels.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chroma_nb.sharing.codec import decode, encode

# Of what is said on a connection. Raised when messages, the methods of stores or the value types change.
VERSION = 1

_PREFIX = struct.Struct(">4sII")  # mark, length of the sizes, length of the text
_MARK = b"cnb\n"
_LONGEST_GREETING = 4096
_SMALL = 65_536  # buffers below this go along with the text


class Gone(Exception):
    """The other side is not there any more (or is not what it should be)."""


class OtherVersion(Exception):
    """The other side speaks another version of this."""


class Channel:
    """Messages over a connected socket; for one thread at a time.

    Args:
        connection: the socket, which is closed with this.
        patience: seconds without a byte after which waiting ends with `Gone`.
    """

    def __init__(self, connection: socket.socket, patience: float) -> None:
        self._socket = connection
        self._silent: Callable[[bool], None] = _no_patience
        self._scratch = np.empty(_SMALL, dtype=np.uint8).data
        self._early = self._scratch[:0]  # received with what came before, not asked for yet
        connection.settimeout(patience)

    def wait_longer(self, patience: float, silent: Callable[[bool], None]) -> None:
        """From now on ``silent(sending)`` is asked after so many seconds: it returns if waiting is worth while."""
        self._socket.settimeout(patience)
        self._silent = silent

    def send(self, value: Any) -> None:
        """Send one message; Gone."""
        text, buffers = encode(value)
        sizes = json.dumps([memoryview(buffer).nbytes for buffer in buffers]).encode()
        waiting = bytearray(_PREFIX.pack(_MARK, len(sizes), len(text)) + sizes + text)
        for buffer in buffers:
            view = memoryview(buffer)
            if view.nbytes < _SMALL:
                waiting += view
                continue
            self._write(memoryview(waiting))
            self._write(view)
            waiting = bytearray()
        self._write(memoryview(waiting))

    def receive(self, longest: int | None = None) -> Any:
        """The next message; Gone, also for one that is longer than ``longest`` or is none."""
        mark, sizes, length = _PREFIX.unpack(self._read(_PREFIX.size))
        if mark != _MARK or (longest is not None and sizes + length > longest):
            raise Gone("what came is no message")
        try:
            expected = json.loads(bytes(self._read(sizes)))
            if longest is not None and expected:
                raise Gone("what came is no greeting")
            text = bytes(self._read(length))
            return decode(text, [self._read(size) for size in expected])
        except (ValueError, TypeError, RecursionError) as error:
            raise Gone(f"what came is no message: {error}") from error

    def peer_left(self) -> bool:
        """Whether the other side has closed the connection (it says nothing while it waits for an answer)."""
        before = self._socket.gettimeout()
        try:
            self._socket.setblocking(False)
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(before)

    def fileno(self) -> int:
        """Of the socket, to wait for."""
        return self._socket.fileno()

    def hang_up(self, *, both: bool) -> None:
        """End what is being received - and, with ``both``, what is being sent - in whatever thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR if both else socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _write(self, view: memoryview) -> None:
        view = view.cast("B") if view.nbytes else memoryview(b"")
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                self._silent(True)
            except OSError as error:
                raise Gone(str(error)) from error

    def _read(self, size: int) -> memoryview:
        """So many bytes, in memory of their own."""
        # Not a bytearray: that would be filled with zeros first, which takes half as long as the transfer.
        buffer = np.empty(size, dtype=np.uint8).data if size else memoryview(b"")
        here = min(size, len(self._early))
        if here:
            buffer[:here], self._early = self._early[:here], self._early[here:]
        view = buffer[here:]
        while len(view) >= _SMALL:
            view = view[self._receive_into(view) :]
        while view:
            # What follows comes along: one message, one system call, as a rule.
            count = self._receive_into(self._scratch)
            taken = min(count, len(view))
            view[:taken] = self._scratch[:taken]
            view, self._early = view[taken:], self._scratch[taken:count]
        return buffer

    def _receive_into(self, view: memoryview) -> int:
        while True:
            try:
                count = self._socket.recv_into(view)
            except TimeoutError:
                self._silent(False)
                continue
            except OSError as error:
                raise Gone(str(error)) from error
            if count == 0:
                raise Gone("the connection was closed")
            return count


def _no_patience(sending: bool) -> None:
    raise Gone("no answer in time")


@dataclass(frozen=True)
class Guest:
    """Who has connected.

    Attributes:
        session: the same for all connections of one link.
        lasting: whether this is the connection that the link lives as long as.
    """

    session: str
    lasting: bool


def introduce(channel: Channel, token: str, guest: Guest) -> None:
    """Say who this is, and check who the other one is.

    Raises:
        Gone: it is not the owner with that token.
        OtherVersion: it speaks another version.
    """
    nonce = secrets.token_hex(16)
    channel.send({"version": VERSION, "nonce": nonce, "session": guest.session, "lasting": guest.lasting})
    answer = channel.receive(_LONGEST_GREETING)
    _check_version(answer)
    if not _proves(answer, token, "owner", nonce):
        raise Gone("another program listens there")
    channel.send({"proof": _proof(token, "guest", str(answer.get("nonce")))})
    if channel.receive(_LONGEST_GREETING) != "welcome":
        raise Gone("the owner did not accept this")


def welcome(channel: Channel, token: str) -> Guest:
    """The same on the other side: who has connected.

    Raises:
        Gone: somebody without the token.
        OtherVersion: it speaks another version, and was told so.
    """
    asked = channel.receive(_LONGEST_GREETING)
    if not isinstance(asked, dict):
        raise Gone("what came is no greeting")
    nonce = secrets.token_hex(16)
    proof = _proof(token, "owner", str(asked.get("nonce")))
    channel.send({"version": VERSION, "nonce": nonce, "proof": proof})
    _check_version(asked)
    if not _proves(channel.receive(_LONGEST_GREETING), token, "guest", nonce):
        raise Gone("somebody without the token")
    channel.send("welcome")
    return Guest(str(asked.get("session")), asked.get("lasting") is True)


def _check_version(greeting: Any) -> None:
    if not isinstance(greeting, dict) or "version" not in greeting:
        raise Gone("what came is no greeting")
    if greeting["version"] != VERSION:
        raise OtherVersion(str(greeting["version"]))


def _proof(token: str, side: str, nonce: str) -> str:
    return hmac.digest(token.encode(), f"{side} {nonce}".encode(), "sha256").hex()


def _proves(answer: Any, token: str, side: str, nonce: str) -> bool:
    given = answer.get("proof") if isinstance(answer, dict) else None
    return hmac.compare_digest(str(given).encode(), _proof(token, side, nonce).encode())


def jitter(deadline: float) -> bool:
    """Wait a little before another try, unless it is past the deadline (of `time.monotonic`)."""
    if time.monotonic() >= deadline:
        return False
    time.sleep(0.005 + secrets.randbelow(30) / 1000)
    return True
