"""Writers that share a server, and what each of them must find there afterwards.

Every writer has ids of its own, so that it knows what it wrote whatever the others do. The rows of an id are functions
of the id and a version: whoever reads them can tell whether they are whole.
"""

from __future__ import annotations

import http.client
import threading
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.rest.process import ServerProcess, ask

DIMENSION = 8
_LARGEST = 120


@dataclass(frozen=True)
class Batch:
    """One call: the version that each id gets, None where it is deleted."""

    kind: str
    versions: dict[str, int | None]

    def path(self, collection: str) -> str:
        return f"/api/v1/collections/{collection}/{self.kind}"

    def body(self) -> dict[str, Any]:
        if self.kind == "delete":
            return {"ids": list(self.versions)}
        rows = [(id_, version) for id_, version in self.versions.items() if version is not None]
        return {
            "ids": [id_ for id_, _ in rows],
            "embeddings": [vector(*row).tolist() for row in rows],
            "documents": [document(*row) for row in rows],
            "metadatas": [metadata(*row) for row in rows],
        }

    def after(self, held: dict[str, int]) -> dict[str, int]:
        """What there is when this has happened."""
        merged = held | self.versions
        return {id_: version for id_, version in merged.items() if version is not None}


def vector(id_: str, version: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng([zlib.crc32(id_.encode()), version])
    return rng.standard_normal(DIMENSION).astype(np.float32)


def document(id_: str, version: int) -> str:
    return f"text of {id_}, number {version}"


def metadata(id_: str, version: int) -> dict[str, Any]:
    return {"writer": id_.split("-")[0], "version": version, "even": version % 2 == 0}


@dataclass
class Writer:
    """One client that writes until it is told to stop or gets no answer.

    Attributes:
        name: the beginning of its ids.
        held: what the server must hold: the version of each id, after everything that was acknowledged.
        in_flight: what was sent and not answered.
        refused: answers that were no success.
    """

    name: str
    seed: int
    held: dict[str, int] = field(default_factory=dict)
    in_flight: Batch | None = None
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    made: int = 0

    def start(self, server: ServerProcess, collection: str, stopping: threading.Event) -> threading.Thread:
        thread = threading.Thread(target=self._write, args=(server, collection, stopping), name=self.name)
        thread.start()
        return thread

    def _write(self, server: ServerProcess, collection: str, stopping: threading.Event) -> None:
        rng = np.random.default_rng([self.seed, self.made])
        connection = server.connect()
        try:
            while not stopping.is_set():
                self.in_flight = self._batch(rng)
                answer = ask(connection, "POST", self.in_flight.path(collection), self.in_flight.body())
                if answer.status // 100 == 2:
                    self.held = self.in_flight.after(self.held)
                    self.acknowledged += 1
                else:
                    self.refused.append(f"{answer.status} {answer.body!r}")
                self.in_flight = None
        except (OSError, http.client.HTTPException):
            return  # what was under way stays noted as such
        finally:
            connection.close()

    def _batch(self, rng: np.random.Generator) -> Batch:
        self.made += 1
        kind = str(rng.choice(["add", "add", "upsert", "update", "delete"])) if len(self.held) > _LARGEST else "add"
        size = int(rng.integers(1, _LARGEST))
        fresh = [f"{self.name}-{self.made}-{number}" for number in range(size)]
        if kind == "add":
            return Batch(kind, dict.fromkeys(fresh, self.made))
        known = [str(id_) for id_ in rng.choice(list(self.held), size, replace=False)]
        if kind == "delete":
            return Batch(kind, dict.fromkeys(known))
        return Batch(kind, dict.fromkeys(known if kind == "update" else [*known, *fresh], self.made))


def held_by(server: ServerProcess, collection: str) -> dict[str, int]:
    """Every id with its version; AssertionError for rows that are there twice, or not whole."""
    route = f"/api/v1/collections/{collection}"
    found = server.call("POST", f"{route}/get", {"include": ["documents", "metadatas", "embeddings"]}).json
    ids = found["ids"]
    assert len(set(ids)) == len(ids) == server.call("GET", f"{route}/count").json
    versions = [one["version"] for one in found["metadatas"]]
    assert found["metadatas"] == [metadata(*row) for row in zip(ids, versions, strict=True)]
    assert found["documents"] == [document(*row) for row in zip(ids, versions, strict=True)]
    expected = np.array([vector(*row) for row in zip(ids, versions, strict=True)]).reshape(-1, DIMENSION)
    np.testing.assert_array_equal(np.array(found["embeddings"], np.float32).reshape(-1, DIMENSION), expected)
    return dict(zip(ids, versions, strict=True))


def of_writer(held: dict[str, int], name: str) -> dict[str, int]:
    """The ids of one writer."""
    return {id_: version for id_, version in held.items() if id_.startswith(f"{name}-")}
