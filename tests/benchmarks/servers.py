"""The servers under load: this project's and a real ``chroma run``, each a process with a store of its own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tests.benchmarks.data import DIMENSION, Corpus
from tests.rest.process import free_port

_BATCH = 5_000
_GRAPH = {"space": "cosine", "ef_construction": 100, "ef_search": 100, "max_neighbors": 16}


class Server(ABC):
    """A server process on a free port of this machine, and its one collection, "docs"."""

    name: ClassVar[str]
    heartbeat: ClassVar[str]
    collections: ClassVar[str]
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def creation(self) -> dict[str, Any]:
        """The body that makes the collection, with the settings of the graph that all have."""

    @abstractmethod
    def index(self) -> None:
        """Wait until the graph covers every item."""

    @property
    def route(self) -> str:
        """Of the collection's items."""
        return f"{self.collections}/{self.call('GET', f'{self.collections}/docs')['id']}"

    @contextlib.contextmanager
    def running(self, log: Path) -> Iterator[None]:
        """The process, until the end of the block."""
        with log.open("ab") as output:
            environment = os.environ | self.environment
            self._process = subprocess.Popen(self.command(), stdout=output, stderr=output, env=environment)
        try:
            self._wait(log)
            yield
        finally:
            self._process.terminate()
            self._process.wait(60)

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self.call("GET", self.heartbeat)
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer: {log.read_text()[-2000:]}")

    def fill(self, corpus: Corpus) -> None:
        """Put everything in, unless it is there, and wait until it is indexed."""
        there = [one["name"] for one in self.call("GET", self.collections)]
        if "docs" in there and self.call("GET", f"{self.route}/count") != len(corpus.frame):
            self.call("DELETE", f"{self.collections}/docs")
            there.remove("docs")
        if "docs" not in there:
            self.call("POST", self.collections, self.creation())
            route = self.route
            for start in range(0, len(corpus.frame), _BATCH):
                self.call("POST", f"{route}/add", _batch(corpus, slice(start, start + _BATCH)))
        self.index()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request with an answer in JSON; RuntimeError for any other status than 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1800)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            read = answer.read()
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status} {read[:2000]!r}")
        return json.loads(read)

    def processor_seconds(self) -> float:
        """What the process has used of the processors so far (Linux; elsewhere 0)."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ours(Server):
    """``chroma-nb serve``."""

    name = "chroma_nb"
    heartbeat = "/api/v1/heartbeat"
    collections = "/api/v1/collections"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "chroma_nb", "serve", str(self.folder), "--port", str(self.port)]

    def creation(self) -> dict[str, Any]:
        names = {"space": "space", "ef_construction": "construction_ef", "ef_search": "search_ef", "max_neighbors": "M"}
        return {"name": "docs", "metadata": {f"hnsw:{names[key]}": value for key, value in _GRAPH.items()}}

    def index(self) -> None:
        self.call("POST", f"{self.collections}/docs/create_index")


class Theirs(Server):
    """``chroma run``; ``program`` is the ``chroma`` of an environment with chromadb."""

    name = "chromadb"
    heartbeat = "/api/v2/heartbeat"
    collections = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    # It logs several lines for each request otherwise, and answers 10 to 20 % fewer of them.
    environment: ClassVar[dict[str, str]] = {"RUST_LOG": "error"}

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder)
        self._program = program

    def command(self) -> list[str]:
        where = ["--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        return [str(self._program), "run", *where]

    def creation(self) -> dict[str, Any]:
        return {"name": "docs", "configuration": {"hnsw": _GRAPH}}

    def index(self) -> None:
        # Alone it has no indexing_status (500): a query first brings the graph up to date with what was written.
        self.call("POST", f"{self.route}/query", {"query_embeddings": [[1.0] + [0.0] * (DIMENSION - 1)]})


def _batch(corpus: Corpus, rows: slice) -> dict[str, Any]:
    frame: pd.DataFrame = corpus.frame.iloc[rows]
    return {
        "ids": frame.index.tolist(),
        "embeddings": [base64.b64encode(row.tobytes()).decode() for row in corpus.vectors[rows]],
        "documents": frame["document"].tolist(),
        "metadatas": frame.drop(columns="document").to_dict("records"),
    }
