"""A server that ends while eight clients write: killed, what was acknowledged is there; stopped, all get an answer."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.rest.process import ServerProcess, serving
from tests.rest.writers import Writer, held_by, of_writer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]

ROUNDS = 20
WRITERS = 8


def _collection(server: ServerProcess) -> str:
    body = {"name": "docs", "metadata": {"hnsw:space": "l2"}, "get_or_create": True}
    return str(server.call("POST", "/api/v1/collections", body).json["id"])


def _writing(server: ServerProcess, writers: list[Writer], stopping: threading.Event) -> list[threading.Thread]:
    collection = _collection(server)
    return [writer.start(server, collection, stopping) for writer in writers]


def _wait_until(writers: list[Writer], threads: list[threading.Thread], acknowledged: int) -> None:
    """Until so many calls have been answered, in all."""
    while sum(writer.acknowledged for writer in writers) < acknowledged:
        assert all(thread.is_alive() for thread in threads)
        time.sleep(0.001)


def _ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def _check_found(writer: Writer, held: dict[str, int]) -> bool:
    """Everything acknowledged is there; whether the call that was under way is there too, as a whole."""
    found = of_writer(held, writer.name)
    possible = [writer.held]
    if writer.in_flight is not None:
        possible.append(writer.in_flight.after(writer.held))
    assert found in possible, f"{writer.name}: {len(found)} rows, {len(writer.held)} acknowledged"
    kept = found != writer.held
    writer.held, writer.in_flight = found, None
    assert writer.refused == []
    return kept


def test_killed_under_writers(tmp_path: Path) -> None:
    """What was acknowledged is there, once and whole; what was not is there as a whole or not at all."""
    rng = np.random.default_rng(4)
    writers = [Writer(f"w{number}", number) for number in range(WRITERS)]
    under_way = kept = 0
    for _ in range(ROUNDS):
        acknowledged = sum(writer.acknowledged for writer in writers)
        with serving(tmp_path / "db", tmp_path / "log") as server:
            kept += _check_all(server, writers)  # what the round before left
            threads = _writing(server, writers, threading.Event())
            _wait_until(writers, threads, acknowledged + WRITERS)
            time.sleep(rng.uniform(0, 0.15))
            server.kill()
            _ended(threads)
        under_way += sum(writer.in_flight is not None for writer in writers)
    with serving(tmp_path / "db", tmp_path / "log") as server:
        kept += _check_all(server, writers)
        assert server.stop() == 0
        assert "Traceback" not in server.log
    # The kills struck while calls were under way, and some rounds wrote much.
    assert under_way > ROUNDS * WRITERS // 2
    assert kept <= under_way
    assert sum(writer.acknowledged for writer in writers) > ROUNDS * WRITERS


def _check_all(server: ServerProcess, writers: list[Writer]) -> int:
    """How many calls that got no answer are there nevertheless, as a whole."""
    held = held_by(server, _collection(server))
    kept = sum([_check_found(writer, held) for writer in writers])
    assert len(held) == sum(len(writer.held) for writer in writers)
    return kept


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_stopped_under_writers(tmp_path: Path, ending: signal.Signals) -> None:
    """Every call that was accepted is finished and answered; what got no answer did not happen."""
    writers = [Writer(f"w{number}", number) for number in range(WRITERS)]
    with serving(tmp_path / "db", tmp_path / "log") as server:
        threads = _writing(server, writers, threading.Event())
        _wait_until(writers, threads, 5 * WRITERS)
        server.process.send_signal(ending)
        _ended(threads)
        assert server.ended() == 0
        assert "Traceback" not in server.log
        assert [writer.refused for writer in writers] == [[]] * WRITERS
    with serving(tmp_path / "db", tmp_path / "log") as server:
        held = held_by(server, _collection(server))
        for writer in writers:
            assert of_writer(held, writer.name) == writer.held


def test_stopped_while_a_long_call_is_at_work(tmp_path: Path) -> None:
    """A call that takes longer than the others is answered too, and kept."""
    rng = np.random.default_rng(1)
    rows = 20_000
    body = {"ids": [f"r{number}" for number in range(rows)], "embeddings": rng.random((rows, 64)).round(3).tolist()}
    with serving(tmp_path / "db", tmp_path / "log") as server:
        connection = server.connect()
        # Returns when the last of some 10 MB is on its way, most of them read by the server.
        connection.request("POST", f"/api/v1/collections/{_collection(server)}/add", json.dumps(body))
        server.process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"true")
        connection.close()
        assert server.ended() == 0
    with serving(tmp_path / "db", tmp_path / "log") as server:
        assert server.call("GET", f"/api/v1/collections/{_collection(server)}/count").json == rows
