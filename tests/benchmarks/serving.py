"""Throughput: this project's server beside a real ``chroma run`` on the same 100,000 items, in one run.

Both are filled once (a folder given with ``keep`` holds the stores for the next time), with the same settings of the
graph, and everything is indexed before anything is measured. Then one load generator asks both the same single queries
(10 results with documents, metadatas and distances) in turns: v1 bodies here, v2 bodies there, the same text for the
vectors. Medians over the rounds are printed.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.data import DIMENSION, Corpus, load, recall
from tests.benchmarks.load import Round, drive, request
from tests.benchmarks.machine import wait_for_quiet
from tests.benchmarks.servers import Ours, Server, Theirs

Numbers = dict[str, float]

CLIENTS = (8, 1)
RESULTS = 10
_INCLUDE = ["documents", "metadatas", "distances"]
_WARM_SECONDS = 2.0


def compare_serving(
    data: Path | None,
    program: Path,
    *,
    keep: Path | None = None,
    repeats: int = 5,
    seconds: float = 4.0,
    patience: float = 120.0,
) -> None:
    """Fill what is not filled, measure both servers in turns, print a table.

    Args:
        data: folder with WordNet and its ground truth; None: a made-up corpus of the same size.
        program: the ``chroma`` of an environment with chromadb.
        keep: folder for the stores; None: a temporary one.
        repeats: rounds of each server with each number of clients.
        seconds: of a round.
        patience: how long to wait until nothing else keeps the machine busy, in seconds.
    """
    corpus, kind = (synthetic(), "synthetic") if data is None else (load(data), "wordnet")
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as running:
        work = keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        servers: list[Server] = [Ours(work / f"ours-{kind}"), Theirs(work / f"chromadb-{kind}", program)]
        plans = {}
        for server in servers:
            running.enter_context(server.running(work / f"{server.name}.log"))
            begun = time.perf_counter()
            server.fill(corpus)
            print(f"{server.name}: filled and indexed in {time.perf_counter() - begun:.1f} s", flush=True)
            plans[server.name] = requests(server, corpus)
            check(server, plans[server.name], corpus)
        wait_for_quiet(patience)
        _report(_measure(servers, plans, corpus, repeats, seconds))


def requests(server: Server, corpus: Corpus) -> list[bytes]:
    """Every held-out vector as a whole request, the vector in the shortest decimals of its float32 numbers."""
    path, tail = f"{server.route}/query", json.dumps({"n_results": RESULTS, "include": _INCLUDE})[1:]
    texts = [",".join(map(str, query)) for query in corpus.queries]
    bodies = [f'{{"query_embeddings": [[{text}]], {tail}'.encode() for text in texts]
    return [request("POST", path, server.port, body) for body in bodies]


def check(server: Server, plan: Sequence[bytes], corpus: Corpus) -> None:
    """A first round that is not measured: answers are whole and say what was put in."""
    warm = drive(server.port, plan, max(CLIENTS), _WARM_SECONDS)
    for body in warm.answers.values():
        answer = json.loads(body)
        ids, documents = answer["ids"][0], answer["documents"][0]
        assert len(ids) == RESULTS
        assert documents == corpus.frame.loc[ids, "document"].tolist()
        assert [one["lemma"] for one in answer["metadatas"][0]] == corpus.frame.loc[ids, "lemma"].tolist()
        assert answer["distances"][0] == sorted(answer["distances"][0])


def _measure(
    servers: Sequence[Server], plans: dict[str, list[bytes]], corpus: Corpus, repeats: int, seconds: float
) -> dict[tuple[int, str], list[Numbers]]:
    """The rounds' numbers by number of clients and server, the servers taking turns."""
    found: dict[tuple[int, str], list[Numbers]] = {}
    for repeat in range(repeats):
        for clients in CLIENTS:
            for server in servers if repeat % 2 == 0 else reversed(servers):
                used = server.processor_seconds()
                seen = drive(server.port, plans[server.name], clients, seconds)
                used = server.processor_seconds() - used
                found.setdefault((clients, server.name), []).append(_numbers(seen, used, corpus))
                print(".", end="", flush=True)
    print()
    return found


def _numbers(seen: Round, used: float, corpus: Corpus) -> Numbers:
    milliseconds = np.array(seen.latencies) * 1000
    asked = sorted(seen.answers)
    got = corpus.frame.index.get_indexer(
        pd.Index([id_ for at in asked for id_ in json.loads(seen.answers[at])["ids"][0]])
    )
    return {
        "requests/s": seen.rate,
        "p50 ms": float(np.percentile(milliseconds, 50)),
        "p99 ms": float(np.percentile(milliseconds, 99)),
        "server CPU ms": used * 1000 / len(milliseconds),
        "recall@10": recall(got.reshape(-1, RESULTS).astype(np.int64), corpus.nearest[asked]),
    }


def _report(found: dict[tuple[int, str], list[Numbers]]) -> None:
    """One line for each number of clients and server, and their ratio."""
    names = list(next(iter(found.values()))[0])
    print(f"\n{'clients':>8}  {'server':<12}" + "".join(f"{name:>15}" for name in names))
    for clients in CLIENTS:
        lines: list[Numbers] = []
        for server in (Ours.name, Theirs.name):
            runs = found[clients, server]
            lines.append({name: statistics.median(run[name] for run in runs) for name in names})
            print(f"{clients:>8}  {server:<12}" + "".join(f"{lines[-1][name]:>15.3f}" for name in names))
        ratios = {name: lines[0][name] / lines[1][name] if lines[1][name] else float("nan") for name in names}
        print(f"{clients:>8}  {'ratio':<12}" + "".join(f"{ratios[name]:>15.2f}" for name in names))
    rounds = len(next(iter(found.values())))
    spread = {key: [run["requests/s"] for run in seen] for key, seen in found.items()}
    print(f"\nMedians of {rounds} rounds. Requests/s in each:")
    for (clients, server), rates in spread.items():
        print(f"{clients:>8}  {server:<12}" + "".join(f"{rate:>9.0f}" for rate in rates))


def synthetic(rows: int = 100_000, queries: int = 1_000, seed: int = 7) -> Corpus:
    """A made-up corpus of WordNet's size and shape: clusters with noise, texts of a few words, exact neighbours."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((200, DIMENSION)).astype(np.float32)

    def unit(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        made = centres[rng.integers(len(centres), size=count)] + rng.standard_normal((count, DIMENSION))
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)

    vectors, asked = unit(rows), unit(queries)
    products = asked @ vectors.T
    near = np.argpartition(-products, 100, axis=1)[:, :100]
    order = np.argsort(-np.take_along_axis(products, near, axis=1), axis=1)
    words = np.array([f"word{number}" for number in range(5_000)], dtype=object)
    frame = pd.DataFrame(
        {
            "document": [" ".join(row) for row in words[rng.integers(len(words), size=(rows, 12))]],
            "pos": rng.choice(["n", "v", "a", "r"], rows),
            "lexname": [f"cluster.{number}" for number in rng.integers(45, size=rows)],
            "lemma": words[rng.integers(len(words), size=rows)],
            "n_lemmas": rng.integers(1, 6, rows),
            "gloss_len": rng.integers(10, 200, rows),
        },
        index=pd.Index([f"s{number:06}" for number in range(rows)], name="id"),
    )
    return Corpus(frame, vectors, asked, np.take_along_axis(near, order, axis=1).astype(np.int64))
