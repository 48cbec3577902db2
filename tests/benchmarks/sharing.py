"""What it costs to work through the process that has a directory open, instead of being that process."""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import chroma_nb
from tests.benchmarks.peers.measuring import Timed

_ITEMS = 100_000
_DIMENSION = 384
_BATCH = 1000
Figures = dict[str, float]

_OWNER = """
import json
import sys
from pathlib import Path
from tests.benchmarks.sharing import _measured, _opened
client = _opened(Path(sys.argv[1]))
for line in sys.stdin:
    if line == "measure\\n":
        print(json.dumps(_measured(client, "owner", int(sys.argv[2]))), flush=True)
    else:
        print("ready", flush=True)
"""


def compare_sharing(repeats: int = 200) -> None:
    """Medians in milliseconds of the owner's own calls, and of the same calls through it from here."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "db")
        _fill(path)
        owner = subprocess.Popen(
            [sys.executable, "-c", _OWNER, str(path), str(repeats)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with owner:
            _ask(owner, "ready")
            rounds = []
            with _opened(path) as client:
                for _ in range(3):  # in turn, so that a busy moment of the machine meets both
                    here: Figures = json.loads(_ask(owner, "measure"))
                    rounds.append((here, _measured(client, "linked", repeats)))
            assert owner.stdin is not None
            owner.stdin.close()
    print(f"{'milliseconds':<28}{'owner':>10}{'second':>10}{'overhead':>10}")
    for name in rounds[0][0]:
        own, linked = (statistics.median(pair[side][name] for pair in rounds) for side in (0, 1))
        print(f"{name:<28}{own:>10.3f}{linked:>10.3f}{linked - own:>10.3f}")


def _fill(path: Path) -> None:
    rng = np.random.default_rng(1)
    with chroma_nb.Client(path) as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(
            ids=[f"id{number}" for number in range(_ITEMS)],
            embeddings=rng.random((_ITEMS, _DIMENSION), dtype=np.float32),
            documents=[f"the text of item {number}, of the length of a short sentence" for number in range(_ITEMS)],
            metadatas=[{"number": number, "group": f"g{number % 7}"} for number in range(_ITEMS)],
        )
        docs.create_index()


def _opened(path: Path) -> chroma_nb.Client:
    logging.getLogger("chroma_nb.sharing").setLevel(logging.ERROR)
    return chroma_nb.Client(path)


def _ask(owner: subprocess.Popen[str], what: str) -> str:
    assert owner.stdin is not None
    assert owner.stdout is not None
    print(what, file=owner.stdin, flush=True)
    return owner.stdout.readline()


def _measured(client: chroma_nb.Client, who: str, repeats: int) -> Figures:
    docs = client["docs"]
    rng = np.random.default_rng(2)
    queries = rng.random((repeats, _DIMENSION), dtype=np.float32)
    batch = rng.random((_BATCH, _DIMENSION), dtype=np.float32)
    ids = [f"id{number}" for number in range(0, _ITEMS, _ITEMS // _BATCH)]
    new = [f"{who}-{number}" for number in range(_BATCH)]
    texts = ["a new text"] * _BATCH
    few = max(3, repeats // 20)

    def add(_: int) -> None:
        docs.add(ids=new, embeddings=batch, documents=texts)

    def delete(_: object) -> None:
        docs.delete(ids=new)

    figures = {
        "count": _median(lambda _: docs.count(), repeats),
        "query, 10 results": _median(lambda at: docs.query(queries[at]), repeats),
        "get 1,000": _median(lambda _: docs.get(ids=ids), few),
        "get 1,000 with vectors": _median(
            lambda _: docs.get(ids=ids, include=["documents", "metadatas", "embeddings"]), few
        ),
    }
    # What is added is deleted at once, outside the time.
    figures["add 1,000"] = statistics.median(Timed(add, few, warm=0, keep=delete).milliseconds)
    return figures


def _median(call: Callable[[int], object], repeats: int) -> float:
    return statistics.median(Timed(call, repeats, warm=10).milliseconds)


if __name__ == "__main__":
    compare_sharing()
