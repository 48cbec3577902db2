"""Where the owner of a directory is to be found: ``owner.json``, and the socket it names.

The socket is a Unix domain socket (mode 0600, in a folder of mode 0700 among the temporary files: in the directory
itself it would break every plain copy of that directory, and its path could be too long). Where there are none, on
Windows, it is a port on the loopback interface. What protects both is the token, which stands in a file of mode 0600.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from chroma_nb.sharing.channel import Gone
from chroma_nb.store.directory import DATABASE

_log = logging.getLogger(__name__)

_NAME = "owner.json"
_FOLDER = "chroma_nb-"
_SOCKET = "socket"
_BACKLOG = 128


@dataclass(frozen=True)
class Address:
    """Of an owner.

    Attributes:
        pid: of the process.
        token: whoever knows it may connect.
        database: device and number of the database file: a copy of the directory has another one.
        path: of a Unix domain socket; "": it is a port.
        port: on the loopback interface; 0: it is a path.
    """

    pid: int
    token: str
    database: tuple[int, int]
    path: str = ""
    port: int = 0


def identity(directory: Path) -> tuple[int, int] | None:
    """Which file the database of a directory is; None if there is none."""
    try:
        status = (directory / DATABASE).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def read(directory: Path) -> Address | None:
    """The address of whoever last owned the directory, dead or alive; None if nobody can be found by it."""
    address = _read(directory)
    return address if address is not None and address.database == identity(directory) else None


def _read(directory: Path) -> Address | None:
    try:
        fields = json.loads((directory / _NAME).read_text(encoding="utf-8"))
        return Address(**fields | {"database": tuple(fields["database"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def connect(address: Address, timeout: float) -> socket.socket:
    """A connection; Gone if nobody listens there, TimeoutError if whoever listens is not getting round to it."""
    family = socket.AF_UNIX if address.path else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address.path or ("127.0.0.1", address.port))
        if not address.path:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (TimeoutError, BlockingIOError) as error:
        connection.close()
        raise TimeoutError(str(error)) from error
    except OSError as error:
        connection.close()
        raise Gone(str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def listen(directory: Path) -> tuple[socket.socket, Address]:
    """Begin to listen, and say where in the directory; OSError. The caller owns the directory."""
    found = identity(directory)
    if found is None:
        raise FileNotFoundError(directory / DATABASE)
    old = _read(directory)
    if old is not None and old.database == found:
        _remove_socket(old)  # of a process that was killed
    listener, path, port = _listener()
    try:
        address = Address(os.getpid(), secrets.token_hex(32), found, path, port)
        _write(directory, address)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        _remove_socket(Address(0, "", found, path))
        raise
    return listener, address


def withdraw(directory: Path, address: Address) -> None:
    """Nobody listens there any more."""
    if _read(directory) == address:
        with contextlib.suppress(OSError):
            (directory / _NAME).unlink()
    _remove_socket(address)


def _listener() -> tuple[socket.socket, str, int]:
    if hasattr(socket, "AF_UNIX"):
        try:
            return _unix_listener()
        except OSError as error:
            _log.debug("no Unix domain socket (%s): using a port", error)
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    return listener, "", listener.getsockname()[1]


def _unix_listener() -> tuple[socket.socket, str, int]:
    folder = tempfile.mkdtemp(prefix=_FOLDER)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path = str(Path(folder, _SOCKET))
        listener.bind(path)
        Path(path).chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return listener, path, 0


def _remove_socket(address: Address) -> None:
    path = Path(address.path)
    folder = path.parent
    if path.name == _SOCKET and folder.name.startswith(_FOLDER):
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def _write(directory: Path, address: Address) -> None:
    temporary = directory / f"{_NAME}.{secrets.token_hex(4)}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(address), file)
        temporary.replace(directory / _NAME)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
