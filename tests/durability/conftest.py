from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SERVER = """
import json, os, sys
scope = {}
for line in sys.stdin:
    try:
        exec(json.loads(line), scope)
        answer = str(scope.pop("answer", "done"))
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""


class OtherProcess:
    """Another Python that runs what it is told."""

    def __init__(self, errors: Path) -> None:
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        # A first call of each kind imports what is only imported when it is needed: a process that
        # gives up its rights later may not read its own packages any more.
        warm = "warm = chroma_nb.Client(); docs = warm.create_collection('docs', embedding_function=None)"
        metadata = "[{'n': 1, 'b': True}, {'t': 'x', 'f': 0.5}]"
        add = f"docs.add(ids=['a', 'b'], embeddings=[[1, 2], [3, 4]], metadatas={metadata})"
        self.run(f"import os, chroma_nb; {warm}; {add}; docs.query([[1, 2]]); warm.close()")

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, code: str) -> str:
        """What the code left in ``answer``, or the error that it raised, as ``Class: message``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(code), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, str)
        return answer

    def open(self, path: Path, *, read_only: bool = False) -> str:
        """Open a store there; the client is called ``client``."""
        return self.run(f"client = chroma_nb.Client({str(path)!r}, read_only={read_only})")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def stop(self) -> None:
        """Let it stand still, until SIGCONT."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # its threads go on for a moment

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    """Another process; close the client that was opened there."""
    process = OtherProcess(tmp_path_factory.mktemp("other") / "stderr")
    yield process
    process.end()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[OtherProcess]:
    """Another process, of this test alone, that may be killed."""
    process = OtherProcess(tmp_path / "mortal-stderr")
    yield process
    process.end()
