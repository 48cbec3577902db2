"""The socket of an owner: who may speak on it, what it makes of nonsense, and files that lie."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma_nb
from chroma_nb.errors import StoreLockedError
from chroma_nb.sharing import address, channel
from chroma_nb.sharing.channel import Channel, Gone, Guest, introduce
from chroma_nb.sharing.link import Link
from chroma_nb.sharing.shared import SharedStore
from tests.durability import points
from tests.durability.conftest import OtherProcess


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def client(path: Path) -> Iterator[chroma_nb.Client]:
    """The owner."""
    with chroma_nb.Client(path) as made:
        points.populate(made)
        yield made
        assert made["docs"].count() == 300


def _address(path: Path) -> address.Address:
    found = address.read(path)
    assert found is not None
    return found


def _connected(path: Path) -> Channel:
    return Channel(address.connect(_address(path), 5), 5)


# who may speak --------------------------------------------------------------------------------


@pytest.mark.usefixtures("client")
def test_only_this_user_can_find_it(path: Path) -> None:
    found = _address(path)
    at = Path(found.path)
    assert len(found.token) >= 32
    modes = [oct(stat.S_IMODE(file.stat().st_mode)) for file in (path / "owner.json", at, at.parent)]
    assert modes == ["0o600", "0o600", "0o700"]
    assert not any(stat.S_ISSOCK(file.stat().st_mode) for file in path.rglob("*")), "a socket would break plain copies"


@pytest.mark.usefixtures("client")
def test_without_the_token(path: Path) -> None:
    for token in ("", "0" * 64, _address(path).token[:-1]):
        connected = _connected(path)
        with pytest.raises(Gone, match="another program listens there"):
            introduce(connected, token, Guest("s", lasting=False))
        connected.close()


@pytest.mark.usefixtures("client")
def test_somebody_who_does_not_look_at_the_owners_proof(path: Path) -> None:
    connected = _connected(path)
    connected.send({"version": channel.VERSION, "nonce": "n", "session": "s", "lasting": False})
    assert set(connected.receive()) == {"version", "nonce", "proof"}
    connected.send({"proof": "0" * 64})
    with pytest.raises(Gone):
        connected.receive()
    connected.close()


@pytest.mark.usefixtures("client")
def test_calls_before_a_greeting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.sharing.owner._GREETING", 0.2)
    for message in ({"name": "reset", "arguments": []}, "welcome", None, ["version"], {"version": channel.VERSION}):
        connected = _connected(path)
        connected.send(message)
        with contextlib.suppress(Gone):
            assert set(connected.receive()) == {"version", "nonce", "proof"}
        with pytest.raises(Gone):
            connected.receive()
        connected.close()


@pytest.mark.usefixtures("client")
def test_only_methods_of_stores_can_be_called(path: Path) -> None:
    for name in ("close", "_open", "__class__", "once", "intact", "neighbours", ""):
        link = Link(path)
        with pytest.raises(Gone):
            link.request(name)
        with pytest.raises(Gone):
            link.request("vectors", snapshot=77)
        link.close()


_NONSENSE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "nothing": b"",
    "a long message": channel._MARK + b"\xff" * 8,
    "no json": channel._MARK + (2).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"[]{{",
    "buffers": channel._MARK + (4).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"[99]{}",
    "a wrong tree": channel._MARK + (2).to_bytes(4, "big") + (7).to_bytes(4, "big") + b'[]{"a":1',
    "zeros": bytes(10_000),
}


@pytest.mark.parametrize("what", _NONSENSE)
def test_nonsense(client: chroma_nb.Client, path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    """The connection ends, and nothing else."""
    with caplog.at_level(logging.WARNING), address.connect(_address(path), 5) as connected:
        try:
            connected.sendall(_NONSENSE[what])
            connected.shutdown(socket.SHUT_WR)
            assert connected.recv(100) == b""
        except ConnectionError:
            pass  # closed with the rest unread
    assert caplog.text == ""
    link = Link(path)
    assert link.request("stats", client["docs"].id).count == 300
    link.close()


def test_nonsense_after_the_greeting(client: chroma_nb.Client, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only another version of this, or a fault, sends such; the log says so and the owner goes on."""
    caplog.set_level(logging.CRITICAL, "chroma_nb.sharing.owner")
    requests: list[Any] = [None, {}, {"name": 1}, {"name": "stats", "arguments": 5, "options": {}, "snapshot": None}]
    for request in requests:
        connected = _connected(path)
        introduce(connected, _address(path).token, Guest("s", lasting=False))
        connected.send(request)
        with contextlib.suppress(Gone):
            assert "error" in connected.receive()
        connected.close()
    assert client["docs"].count() == 300


@pytest.mark.usefixtures("client")
def test_somebody_who_says_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma_nb.sharing.owner._GREETING", 0.2)
    connected = _connected(path)
    with pytest.raises(Gone, match="closed"):
        connected.receive()
    connected.close()


@pytest.mark.usefixtures("client")
def test_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = _connected(path)
    connected.send({"version": channel.VERSION + 1, "nonce": "n", "session": "s", "lasting": True})
    assert connected.receive()["version"] == channel.VERSION
    with pytest.raises(Gone):
        connected.receive()
    connected.close()


def test_an_owner_of_another_version(other: OtherProcess, path: Path) -> None:
    other.run("from chroma_nb.sharing import channel; channel.VERSION += 1")
    assert other.open(path) == "done"
    try:
        message = rf"is open in process {other.pid} with another version of chroma_nb.*Restart that kernel"
        with pytest.raises(StoreLockedError, match=message):
            chroma_nb.Client(path)
    finally:
        other.run("channel.VERSION -= 1; client.close()")


# where it listens -----------------------------------------------------------------------------


def _no_sockets(*_: object) -> None:
    raise OSError("no sockets here")


@pytest.mark.parametrize("way", ["no Unix domain sockets", "a long path"])
def test_on_a_port(other: OtherProcess, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """As on Windows."""
    if way == "a long path":
        (tmp_path / ("x" * 120)).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 120)))
    else:
        monkeypatch.setattr(address, "_unix_listener", _no_sockets)
    with chroma_nb.Client(path) as client:
        points.populate(client)
        assert _address(path).port > 0
        assert other.open(path) == "done"
        assert other.run("answer = client['docs'].count(), client._store.owner") == f"(300, {os.getpid()})"
        assert list(tmp_path.glob("x*/*")) == []
    assert other.run("answer = client['docs'].count(), client._store.owner") == f"(300, {other.pid})"
    other.run("client.close()")


def test_where_nothing_can_listen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the store of this process alone then, as it was before there was any sharing."""
    monkeypatch.setattr(address, "_listener", _no_sockets)
    with chroma_nb.Client(path) as client:
        points.populate(client)
        assert client["docs"].count() == 300
    assert not (path / "owner.json").exists()


def test_where_no_thread_can_be_started(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        client = chroma_nb.Client(path)
    client.create_collection("docs")
    assert not (path / "owner.json").exists()
    client.close()


# files that lie -------------------------------------------------------------------------------


def _lie(found: address.Address, **changes: Any) -> str:
    fields = {
        "pid": found.pid,
        "token": found.token,
        "database": found.database,
        "path": found.path,
        "port": found.port,
    }
    return json.dumps(fields | changes)


def test_stale_and_broken_files(path: Path) -> None:
    """Left by a process that was killed, by a copy, by anybody."""
    with chroma_nb.Client(path) as client:
        points.populate(client)
        found = _address(path)
    here = address.identity(path)
    with socket.create_server(("127.0.0.1", 0)) as server:  # somebody else has the port now
        threading.Thread(target=_talk, args=(server,), daemon=True).start()
        lies = [
            "",
            "{",
            "[]",
            '{"pid": 1}',
            _lie(found, more=1),
            _lie(found),
            _lie(found, path=str(path / "nowhere")),
            _lie(found, path="", port=1),
            _lie(found, path="", port=server.getsockname()[1]),
            _lie(found, database=[1, 2]),
        ]
        for lie in lies:
            (path / "owner.json").write_text(lie)
            with chroma_nb.Client(path) as client:
                assert isinstance(client._store, SharedStore)
                assert client._store.owner == os.getpid(), lie
                assert client["docs"].count() == 300
                assert _address(path).database == here
            assert not (path / "owner.json").exists()


def _talk(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"220 mail.example.com\r\n" * 10)


def test_a_copy_of_an_open_directory_is_another_store(path: Path, client: chroma_nb.Client, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "copy")
    assert (tmp_path / "copy" / "owner.json").exists()
    with chroma_nb.Client(tmp_path / "copy") as copy:
        copy["docs"].delete(ids=["a1"])
        assert copy["docs"].count() == 299
    assert client["docs"].count() == 300
    link = Link(path)
    assert link.request("stats", client["docs"].id).count == 300
    link.close()


def test_what_a_killed_owner_leaves_is_removed(mortal: OtherProcess, path: Path) -> None:
    assert mortal.open(path) == "done"
    found = _address(path)
    mortal.kill()
    (path / "owner.json.12345678.new").write_text("{")
    assert Path(found.path).exists()
    with chroma_nb.Client(path):
        assert not Path(found.path).parent.exists()
        assert _address(path).pid == os.getpid()
    assert sorted(file.name for file in path.iterdir() if file.is_file()) == ["chroma_nb.duckdb"]


# the end of the program -----------------------------------------------------------------------


def test_the_owners_program_ends_amid_calls(mortal: OtherProcess, path: Path, tmp_path: Path) -> None:
    """No thread is torn down inside of DuckDB or hnswlib; whoever asked takes over."""
    assert mortal.open(path) == "done"
    with chroma_nb.Client(path) as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(ids=list(map(str, range(300))), embeddings=points.vectors(300, 1))
        failures: list[BaseException] = []
        ended = threading.Event()

        def work() -> None:
            try:
                while not ended.is_set():
                    assert len(docs.query(points.vectors(20, 3), n_results=10)) == 200
                    client.sql("select sum(len(document)) from docs, range(1000)")
            except BaseException as error:  # noqa: BLE001 - shown below
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        mortal.end()
        time.sleep(0.3)
        ended.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert isinstance(client._store, SharedStore)
        assert client._store.owner == os.getpid()
    assert mortal._process.returncode == 0
    assert (tmp_path / "mortal-stderr").read_text() == ""
