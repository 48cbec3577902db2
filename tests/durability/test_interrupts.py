"""The interrupt button of a notebook amid long work: a bar was there, nothing is harmed, the same cell then works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.durability.conftest import OtherProcess
from tests.durability.notebook_kernel import NotebookKernel

_ITEMS = 4_000
_DIMENSION = 64
# Where the store is: small collections get a graph, and small writes have many parts.
_STORE = f"""
from chroma_nb.store import items, vectors
from tests.durability import workload
workload.set_threshold("chroma_nb.store.search.EXACT_ELEMENTS", 100_000)
vectors._PART_BYTES = {_ITEMS * _DIMENSION * 4 // 40}
items._WRITTEN_ROWS = {_ITEMS // 40}
"""
# In an owner, which does not halt with the bar of another process: amid vectors, or amid rows, it waits for the
# interrupt there. To tell somebody who has gone raises.
_LINGERING = f"""
import time
waits_amid = None
def lingering(method, what):
    def call(self, at, given, told=None):
        def tell(done):
            told(done)
            end = time.monotonic() + 20
            while waits_amid == what and done >= {_ITEMS // 2}:
                assert time.monotonic() < end, "nobody interrupts"
                time.sleep(0.02)
                told(done)
        return method(self, at, given, None if told is None else tell)
    return call
vectors.FileVectors.write = lingering(vectors.FileVectors.write, "vectors")
items.ItemTables.insert = lingering(items.ItemTables.insert, "rows")
items.ItemTables.update = lingering(items.ItemTables.update, "rows")
"""
_CLIENT = """
import chroma_nb, json, numpy as np, pandas as pd
from chroma_nb import collection
from chroma_nb.projection.projector import Projector
collection.PATIENCE = 0
client = chroma_nb.Client(PATH)
settings = {"hnsw:construction_ef": 1_500, "hnsw:M": 40, "hnsw:num_threads": 1}
docs = client.create_collection("docs", settings, embedding_function=None)
matrix = np.random.default_rng(1).random((ITEMS, DIMENSION), dtype=np.float32)
frame = pd.DataFrame({"n": range(ITEMS)}, index=[f"i{number}" for number in range(ITEMS)])
def state():
    there = int(client.sql("select count(*) as n from docs")["n"].iloc[0])
    shares = []
    for exact in (True, False):
        hits = docs.query(matrix[::100], n_results=1, exact=exact)
        same = (hits.index == frame.index[::100]) & (hits["n"] == range(0, ITEMS, 100)) if len(hits) else [False]
        shares.append(float(np.mean(same)))
    return json.dumps([docs.count(), there, shares[0] == 1 and shares[1] >= 0.9])
"""
_ADD = "docs.add(frame, embeddings=matrix)"
_WHOLE = (_ITEMS, _ITEMS, True)


@dataclass
class Notebook:
    """A kernel with an empty collection ``docs``, in its own hands or through the ``owner`` of the directory."""

    kernel: NotebookKernel
    owner: OtherProcess | None

    def run(self, code: str) -> str:
        return self.kernel.run(code)

    def interrupted(self, code: str, bar: str, amid: str = "vectors") -> None:
        """Amid the writing of vectors (the first half of the bar), or of rows; amid neither, soon after its start."""
        if self.owner is not None:
            self.owner.run(f"waits_amid = {amid!r}")
        self.kernel.interrupted(code, bar, share=0.7 if amid == "rows" else 0)
        if self.owner is not None:
            self.owner.run("waits_amid = None")

    def state(self) -> tuple[int, int, bool]:
        """How many items there are, in memory and in the database, and whether some find themselves: all
        by comparison with every item, nearly all by the graph."""
        count, there, found = json.loads(self.run("print(state())"))
        return count, there, found


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookKernel]:
    made = NotebookKernel()
    yield made
    made.end()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    made = OtherProcess(tmp_path_factory.mktemp("owner") / "errors")
    assert made.run(_STORE) == "done"
    assert made.run(_LINGERING) == "done"
    yield made
    made.end()


@pytest.fixture(params=["alone", "linked"])
def notebook(request: pytest.FixtureRequest, tmp_path: Path, kernel: NotebookKernel) -> Iterator[Notebook]:
    path = tmp_path / "db"
    owner: OtherProcess | None = request.getfixturevalue("owner") if request.param == "linked" else None
    if owner is not None:
        assert owner.open(path) == "done"
    kernel.run(_STORE)
    code = _CLIENT.replace("PATH", repr(str(path)))
    kernel.run(code.replace("ITEMS", str(_ITEMS)).replace("DIMENSION", str(_DIMENSION)))
    if owner is not None:
        assert kernel.run("print(client._store.owner)") == str(owner.pid)
    yield Notebook(kernel, owner)
    kernel.run("client.close()")
    if owner is not None:
        assert owner.run("client.close()") == "done"
    kernel.run(f"client = chroma_nb.Client({str(path)!r}); docs = client['docs']")
    assert Notebook(kernel, None).state() == _WHOLE, "as it was left, after it was opened again"
    kernel.run("client.close()")


@pytest.mark.parametrize("amid", ["vectors", "rows"])
@pytest.mark.parametrize("call", ["add", "upsert"])
def test_adding(notebook: Notebook, call: str, amid: str) -> None:
    notebook.interrupted(_ADD.replace("add", call), "docs", amid)
    assert notebook.state() == (0, 0, False)
    notebook.run(_ADD.replace("add", call))
    assert notebook.state() == _WHOLE


@pytest.mark.parametrize("amid", ["vectors", "rows"])
def test_updating(notebook: Notebook, amid: str) -> None:
    notebook.run(_ADD)
    notebook.interrupted("docs.update(frame + 7, embeddings=-matrix)", "updating docs", amid)
    assert notebook.state() == _WHOLE, "the old vectors, and the old metadata"
    notebook.run("docs.update(frame + 7, embeddings=-matrix); docs.update(frame, embeddings=matrix)")
    assert notebook.state() == _WHOLE


def test_indexing(notebook: Notebook) -> None:
    # In one cell: between two of them the graph may be made, and then nobody waits for it.
    notebook.interrupted(f"{_ADD}; docs.create_index()", "indexing docs", amid="neither")
    assert notebook.state() == _WHOLE
    notebook.run("docs.add(ids=['new'], embeddings=matrix[:1] + 5, metadatas=[{'n': -1}]); docs.delete(ids=['new'])")
    notebook.run("docs.create_index()")
    assert notebook.run("print(client._store.stats(docs.id).indexed)") == str(_ITEMS + 1)
    assert notebook.state() == _WHOLE


def test_embedding(notebook: Notebook) -> None:
    notebook.run(
        "def lengths(texts): return [[float(len(text)), 1.0] for text in texts]\n"
        "texts = [f'text {number}' for number in range(len(frame))]\n"
        "told = client.create_collection('told', embedding_function=lengths)"
    )
    notebook.interrupted("told.add(ids=frame.index, documents=texts)", "lengths")
    assert notebook.run("print(told.count())") == "0"
    notebook.run(f"told.add(ids=frame.index, documents=texts); {_ADD}")
    assert notebook.run("print(told.count(), told.embeddings()[:3, 0])") == f"{_ITEMS} [6. 6. 6.]"


@pytest.mark.parametrize("stage", ["index", "epochs"])
def test_projecting(notebook: Notebook, stage: str) -> None:
    """While the graph is made for it, in the owner; and while the map is laid out, here."""
    # In one cell, as in `test_indexing`, and not with the imports and compiling of a first map in between.
    notebook.run("warm = client.create_collection('warm', embedding_function=None)")
    notebook.run("warm.add(frame[:200], embeddings=matrix[:200]); warm.project(engine='native')")
    notebook.interrupted(f"{_ADD}; docs.project(engine='native')", f"map of docs: {stage}", amid="neither")
    assert notebook.run("print(Projector(client._store, docs.id, engine='native').stored())") == "None"
    assert notebook.state() == _WHOLE
    if stage == "epochs":  # else it costs the same seconds once more
        assert notebook.run("print(docs.project(engine='native').notna().all(axis=None))") == "True"
