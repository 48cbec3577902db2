"""One of Chroma's own servers, for tests: what our client means must be what it does there."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chroma_nb.errors import StoreError
from chroma_nb.rest.connecting import connect
from chroma_nb.rest.remote import SAMPLE
from chroma_nb.rest.remote_foreign import ForeignServerStore

PROGRAM = "CHROMA_NB_CHROMADB"
# The port of any other server of Chroma's on this machine, to try the same tests with it by hand.
PORT = "CHROMA_NB_CHROMADB_PORT"


@contextmanager
def chroma_server(directory: Path) -> Iterator[int]:
    """The port of a server that allows reset."""
    given = os.environ.get(PORT)
    if given:
        yield int(given)
        return
    program = os.environ.get(PROGRAM)
    if not program:
        pytest.skip(f"{PROGRAM} does not name the program `chroma` of chromadb 1.5.9")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = directory / "chroma.yaml"
    settings.write_text(
        f'listen_address: "127.0.0.1"\nport: {port}\npersist_path: "{directory / "data"}"\nallow_reset: true\n'
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, "run", str(settings)], stdout=log, stderr=log)
    try:
        _wait(port, process, directory / "log")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        try:
            connect("127.0.0.1", port).close()
        except StoreError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"chroma run did not start:\n{log.read_text()[-2000:]}")


def connected(port: int, sample: int = SAMPLE) -> ForeignServerStore:
    """A store on that server."""
    store = connect("127.0.0.1", port, sample=sample)
    assert isinstance(store, ForeignServerStore)
    return store
