"""Run by the Python of a real chromadb 1.x: writes random directories, or tells what they answer.

``write FOLDER SEED...`` makes FOLDER/SEED and ends without any goodbye; ``dump FOLDER FILE`` reads every directory in
FOLDER and writes what it answers to FILE (JSON). Reading changes a directory: dump a copy.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings

_DEFAULT = "default_tenant", "default_database"
_PLACES = (_DEFAULT, ("default_tenant", "other"), ("team", "other"))
_SPACES = ("l2", "cosine", "ip")
_WORDS = ("alpha", "beta", "Übergröße", "日本語", "50%", "under_score", 'quoted"', "it's")
_QUERIES = 4


def _client(path: Path, place: tuple[str, str]) -> Any:
    settings = Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(str(path), settings=settings, tenant=place[0], database=place[1])


class _Writer:
    """Random calls on one collection; ids are few, so that they meet again."""

    def __init__(self, chance: random.Random, collection: Any, dimension: int) -> None:
        self._chance, self._collection, self._dimension = chance, collection, dimension
        self._numbers = np.random.default_rng(chance.getrandbits(32))
        self._ids = [f"id {n}" for n in range(chance.choice([40, 120]))]

    def run(self) -> None:
        for _ in range(40):
            ids = self._chance.sample(self._ids, self._chance.choice([1, 2, 7]))
            step = self._chance.random()
            if step < 0.35:
                self._collection.add(ids=ids, **self._all(len(ids)))
            elif step < 0.5:
                self._collection.upsert(ids=ids, **self._all(len(ids)))
            elif step < 0.6:
                self._collection.update(ids=ids, embeddings=self._vectors(len(ids)))
            elif step < 0.75:
                self._collection.update(ids=ids, metadatas=[self._metadata(gone=True) for _ in ids])
            elif step < 0.85:
                self._collection.update(ids=ids, embeddings=self._vectors(len(ids)), documents=self._texts(len(ids)))
            elif step < 0.95:
                self._collection.delete(ids=ids)
            else:
                self._collection.delete(where={"n": {"$lt": self._chance.randint(-90, 0)}})

    def _all(self, count: int) -> dict[str, Any]:
        given: dict[str, Any] = {"embeddings": self._vectors(count)}
        if self._chance.random() < 0.8:
            given["metadatas"] = [self._metadata() for _ in range(count)]
        if self._chance.random() < 0.7:
            given["documents"] = self._texts(count)
        if self._chance.random() < 0.1:
            given["uris"] = [f"file:///{n}" for n in range(count)]
        return given

    def _vectors(self, count: int) -> Any:
        scale = self._chance.choice([1.0, 30.0, 0.01])
        return (self._numbers.standard_normal((count, self._dimension)) * scale).astype(np.float32)

    def _texts(self, count: int) -> list[str]:
        return [" ".join(self._chance.choices(_WORDS, k=4)) for _ in range(count)]

    def _metadata(self, *, gone: bool = False) -> dict[str, Any]:
        chance = self._chance
        made: dict[str, Any] = {"n": chance.randint(-100, 100)}
        if chance.random() < 0.5:
            values = (chance.randint(-(2**62), 2**62), chance.random(), float(chance.randint(0, 3)), "1", True, False)
            made["mixed"] = chance.choice(values)
        if chance.random() < 0.5:
            made[chance.choice(["a.b", "Schlüssel", "x y"])] = chance.choice(_WORDS)
        if chance.random() < 0.1:
            made["tags"] = chance.choices(_WORDS, k=2)
        if gone and chance.random() < 0.3:
            made[chance.choice(["mixed", "tags"])] = None
        return made


def _write(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    admin = chromadb.AdminClient(Settings(is_persistent=True, persist_directory=str(path), anonymized_telemetry=False))
    admin.create_tenant("team")
    for tenant, database in _PLACES[1:]:
        admin.create_database(database, tenant=tenant)
    for place in _PLACES:
        client = _client(path, place)
        for number in range(4 if place == _DEFAULT else 1):
            space = _SPACES[number % 3]
            asked = {"space": space, "sync_threshold": chance.choice([20, 50, 1000]), "batch_size": 10}
            metadata = {"seed": seed, "share": 0.5, "flag": True, "word": "ü"} if chance.random() < 0.5 else None
            name = f"{space}-{number}" if place == _DEFAULT else "l2-0"
            dimension = chance.randint(1, 20)
            collection = client.create_collection(
                name, metadata=metadata, configuration={"hnsw": asked}, embedding_function=None
            )
            _Writer(chance, collection, dimension).run()
        client.create_collection("empty" if place == _DEFAULT else f"empty-{place[0]}", embedding_function=None)


def _dump(path: Path) -> list[dict[str, Any]]:
    chance = random.Random(1)
    return [
        _answers(collection, place, chance)
        for place in _PLACES
        for collection in _client(path, place).list_collections()
    ]


def _answers(collection: Any, place: tuple[str, str], chance: random.Random) -> dict[str, Any]:
    every = collection.get(include=["embeddings", "metadatas", "documents", "uris"])
    vectors = np.asarray(every["embeddings"], dtype=np.float32)
    wheres = [_where(chance, every["metadatas"]) for _ in range(12)]
    texts = [{operator: word} for operator in ("$contains", "$not_contains") for word in _WORDS]
    queries: list[dict[str, Any]] = []
    for where in [None, *wheres[:2]] if len(vectors) else []:
        asked = np.random.default_rng(len(queries)).standard_normal((_QUERIES, vectors.shape[1])).astype(np.float32)
        found = collection.query(query_embeddings=asked, n_results=5, where=where, include=["distances"])
        queries.append({"vectors": asked.tolist(), "where": where, "ids": found["ids"], "far": found["distances"]})
    return {
        "place": place,
        "name": collection.name,
        "id": str(collection.id),
        "metadata": collection.metadata,
        "space": collection.configuration["hnsw"]["space"],
        "items": {key: every[key] for key in ("ids", "documents", "metadatas", "uris")},
        "vectors": vectors.tolist(),
        "wheres": [{"where": where, "ids": collection.get(where=where, include=[])["ids"]} for where in wheres],
        "texts": [{"text": text, "ids": collection.get(where_document=text, include=[])["ids"]} for text in texts],
        "queries": queries,
    }


def _where(chance: random.Random, metadatas: list[dict[str, Any] | None]) -> dict[str, Any]:
    """A condition on values that some item has."""
    known = [(key, value) for row in metadatas for key, value in (row or {}).items() if not isinstance(value, list)]
    key, value = chance.choice([*known, ("n", 0)])
    if isinstance(value, str | bool):
        return {key: {chance.choice(["$eq", "$ne"]): value}}
    if chance.random() < 0.3:
        return {"$and": [{key: {"$gte": value}}, {"n": {"$lt": 50}}]}
    return {key: {chance.choice(["$eq", "$gt", "$gte", "$lt", "$lte"]): value}}


def _main(task: str, folder: str, *rest: str) -> None:
    if task == "write":
        for seed in rest:
            _write(Path(folder) / seed, int(seed))
        os._exit(0)
    dumps = {path.name: _dump(path) for path in sorted(Path(folder).iterdir())}
    Path(rest[0]).write_text(json.dumps(dumps))


if __name__ == "__main__":
    _main(*sys.argv[1:])
