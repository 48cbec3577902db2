"""The image's own commands, run as they stand but for the program's place, the directory and the address."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.dockerfile import Stage, stages
from tests.rest.process import call_port, free_port

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-some-length"  # noqa: S105 - made up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="the container's files are in the repository only"),
]


@pytest.fixture(scope="module")
def final() -> Stage:
    return stages(ROOT / "Dockerfile")[-1]


def _environment(**more: str) -> dict[str, str]:
    """What the container has, and what Python needs to find this library."""
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT") if name in os.environ}
    return inherited | {"PYTHONUNBUFFERED": "1"} | more


def _command(words: list[str], directory: Path, **replaced: str) -> list[str]:
    places = {"chroma-nb": [sys.executable, "-m", "chroma_nb"], "python": [sys.executable]}
    begun = places[words[0]]
    return [*begun, *[str(directory) if word == "/data" else replaced.get(word, word) for word in words[1:]]]


def test_without_a_token_it_does_not_start(final: Stage, tmp_path: Path) -> None:
    """Exactly the image's command: it listens for everybody, which a token must guard."""
    command = _command(final.command("ENTRYPOINT"), tmp_path / "data")
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "CHROMA_NB_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def port(final: Stage, tmp_path: Path) -> Iterator[str]:
    """The port of a server started with the image's command, for this machine only; it stops as a container does."""
    port = str(free_port())
    here = {"0.0.0.0": "127.0.0.1", "8000": port}  # noqa: S104 - replaced
    command = _command(final.command("ENTRYPOINT"), tmp_path / "data", **here)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=_environment(CHROMA_NB_TOKEN=TOKEN), stdout=log, stderr=log)
    yield port
    server.terminate()
    assert server.wait(30) == 0, (tmp_path / "log").read_text()
    assert TOKEN not in (tmp_path / "log").read_text()


def _healthy(final: Stage, port: str) -> bool:
    """What the engine asks."""
    options, words = final.health_check
    command = [sys.executable, *[word.replace(":8000/", f":{port}/") for word in words[1:]]]
    assert words[0] == "python"
    seconds = float(options["timeout"].removesuffix("s"))
    return subprocess.run(command, env=_environment(), capture_output=True, timeout=seconds).returncode == 0


def test_it_becomes_healthy_and_serves_those_with_the_token(final: Stage, port: str) -> None:
    deadline = time.monotonic() + float(final.health_check[0]["start-period"].removesuffix("s"))
    while not _healthy(final, port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    path = "/api/v1/collections"
    assert call_port(int(port), "GET", path).status == 401
    assert call_port(int(port), "GET", path, headers={"Authorization": f"Bearer {TOKEN}"}).body == b"[]"


def test_a_server_that_is_not_there_is_not_healthy(final: Stage) -> None:
    assert not _healthy(final, str(free_port()))
