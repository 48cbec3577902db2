"""``chroma-nb serve`` as a program: what it refuses, what it says, how it ends."""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from chroma_nb.errors import AuthorizationError, InvalidArgumentError
from chroma_nb.rest import serve
from chroma_nb.rest.options import MIB
from chroma_nb.store.local import LocalStore
from tests.rest.process import ROOT, ServerProcess, serving

API = "/api/v1"


def _options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(["db", *arguments])


# what is asked for ----------------------------------------------------------------------------


def test_the_usual_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.TOKEN, raising=False)
    usual = serve.server_options(_options())
    assert (usual.token, usual.allow_reset, usual.allow_sql, usual.cors_origins) == (None, False, False, ())
    assert usual.hosts == frozenset({"localhost", "127.0.0.1", "::1"})
    assert _options().host == "127.0.0.1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])  # noqa: S104 - what is refused
def test_other_addresses_need_a_token(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.TOKEN, raising=False)
    with pytest.raises(AuthorizationError, match=r"CHROMA_NB_TOKEN.*--insecure"):
        serve.server_options(_options("--host", host))
    assert serve.server_options(_options("--host", host, "--insecure")).answered_hosts is None
    named = serve.server_options(
        _options("--host", host, "--insecure", "--allow-host", "Box.lan", "--allow-host", "[::7]")
    )
    assert (named.answered_hosts or set()) == {"localhost", "127.0.0.1", "::1", host, "box.lan", "::7"}
    monkeypatch.setenv(serve.TOKEN, "from-the-environment")
    assert serve.server_options(_options("--host", host)).token == "from-the-environment"  # noqa: S105
    given = serve.server_options(_options("--host", host, "--token", "given"))
    assert (given.token, given.answered_hosts) == ("given", None)


@pytest.mark.parametrize("token", ["", "two words", "t\u00f6ken", "line\nbreak"])
def test_tokens_that_no_header_carries(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="token"):
        serve.server_options(_options("--token", token))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_addresses_of_this_machine_alone(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.TOKEN, raising=False)
    assert host in (serve.server_options(_options("--host", host)).hosts or ())


def test_a_version_that_is_none() -> None:
    assert serve.server_options(_options("--client-version", "0.3.7")).listed_fields == ("name",)
    with pytest.raises(InvalidArgumentError, match="version"):
        serve.server_options(_options("--client-version", "latest"))


def test_all_that_can_be_asked_for() -> None:
    asked = serve.server_options(
        _options(
            *("--allow-reset", "--allow-sql", "--cors-origin", "http://a", "--cors-origin", "http://b"),
            *("--max-batch-size", "1", "--max-body-mib", "2", "--max-results", "3", "--max-concurrent", "4"),
        )
    )
    assert (asked.allow_reset, asked.allow_sql, asked.cors_origins) == (True, True, ("http://a", "http://b"))
    assert (asked.max_batch_size, asked.max_body_bytes, asked.max_results, asked.max_concurrent) == (1, 2 * MIB, 3, 4)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--port", "-1", "a port is a number from 0 to 65535, got '-1'"),
        ("--port", "65536", "a port is a number from 0 to 65535, got '65536'"),
        ("--port", "70000", "a port is a number from 0 to 65535, got '70000'"),
        ("--port", "x", "a port is a number from 0 to 65535, got 'x'"),
        ("--max-results", "0", "a limit is a whole number from 1 on, got '0'"),
        ("--max-body-mib", "-1", "a limit is a whole number from 1 on, got '-1'"),
        ("--max-batch-size", "1.5", "a limit is a whole number from 1 on, got '1.5'"),
        ("--max-concurrent", "many", "a limit is a whole number from 1 on, got 'many'"),
    ],
)
def test_arguments_that_make_no_sense(option: str, value: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _options(option, value)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: argument {option}: {says}\n")


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_ports_there_are(port: int) -> None:
    assert _options("--port", str(port)).port == port


# as a program ---------------------------------------------------------------------------------


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chroma_nb", "serve", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_path_is_needed() -> None:
    ended = _run()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "PATH" in ended.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run(str(tmp_path / "db"), "--port", str(port))
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "db").exists()


def test_what_is_written_is_there_for_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with serving(path, tmp_path / "log", "--token", "from-the-command-line") as server:
        assert server.call("GET", f"{API}/collections").status == 401
        assert server.call("GET", f"{API}/heartbeat", headers={"Host": "evil.example"}).status == 403
        headers = {"X-Chroma-Token": "from-the-command-line"}
        assert server.call("POST", f"{API}/collections", {"name": "docs"}, headers=headers).status == 200
        items = {"ids": ["a"], "embeddings": [[1, 2]], "documents": ["private"]}
        assert server.call("POST", f"{API}/collections/docs/add", items, headers=headers).status == 201
        assert server.call("POST", f"{API}/persist", headers=headers).body == b"null"
        assert server.call("POST", f"{API}/reset", headers=headers).status == 403
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert [line["status"] for line in lines] == [401, 403, 200, 201, 200, 403]
    assert "from-the-command-line" not in server.log
    assert "private" not in server.log
    store = LocalStore(path)
    assert [store.stats(info.id).count for info in store.list_collections()] == [1]
    store.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "db", tmp_path / "log", "--quiet") as server:
        idle = server.connect()
        idle.request("GET", f"{API}/heartbeat")
        assert idle.getresponse().read()
        server.process.send_signal(number)
        assert server.ended() == 0
        idle.close()
    assert server.log == ""


def test_what_was_accepted_is_answered(tmp_path: Path) -> None:
    """A request whose body is still on its way when the server is told to stop."""
    with serving(tmp_path / "db", tmp_path / "log") as server:
        assert server.call("POST", f"{API}/collections", {"name": "docs"}).status == 200
        body = json.dumps({"ids": ["a"], "embeddings": [[1, 2]]}).encode()
        connection = _half_sent(server, body)
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while not _refuses(server.port):
            assert time.monotonic() < deadline, "still listening"
            time.sleep(0.02)
        connection.send(body[10:])
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"true")
        connection.close()
        assert server.ended() == 0
    store = LocalStore(tmp_path / "db")
    assert [store.stats(info.id).count for info in store.list_collections()] == [1]
    store.close()


def _half_sent(server: ServerProcess, body: bytes) -> http.client.HTTPConnection:
    connection = server.connect()
    connection.putrequest("POST", f"{API}/collections/docs/add")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    time.sleep(0.2)  # until the server has seen it
    return connection


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_head_that_never_ends_is_cut(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "db", tmp_path / "log") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock,
    ):
        sock.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n")
        cut = threading.Event()

        def flood() -> None:
            try:
                for number in range(100_000):
                    sock.sendall(b"X-Header-%d: %s\r\n" % (number, b"x" * 1000))
            except OSError:
                cut.set()

        flood()
        assert cut.is_set()
        assert server.call("GET", f"{API}/heartbeat").status == 200


def test_it_says_where_it_listens(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chroma_nb", "serve", str(tmp_path / "db"), "--host", "localhost", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
    pattern = rf"chroma_nb serves {re.escape(str(tmp_path / 'db'))} at http://localhost:\d+ \(Ctrl-C stops\)\n"
    assert re.fullmatch(pattern, line)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "chroma_nb.rest.running", None)
    options: Any = _options("--port", "0")
    options.path = tmp_path / "db"
    with pytest.raises(ImportError, match=r"chroma-nb\[server\]"):
        serve.run(options)
