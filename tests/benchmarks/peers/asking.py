"""What is asked of every contestant, in the same order and with the same checks of the answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.benchmarks.peers.given import Condition, Given
from tests.benchmarks.peers.measuring import Numbers, Timed, beyond, memory, timing

if TYPE_CHECKING:
    import pyarrow as pa

RESULTS = 10
FIRST = 32
"""How many queries a new process asks."""
KILLED = ("add", "changes")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows both end a process at once
Steps = Mapping[str, Callable[[Given], Numbers]]
Ask = Callable[[Any], int]
"""Asks with one vector and tells how many results there were."""


class Reader(Protocol):
    """An open store, asked in its own natural way; frames hold documents and metadata, index ``id``."""

    def query(self, vector: Any, condition: Any = None) -> Any:
        """Ten results with documents and metadata, in the natural form."""

    def ids(self, answer: Any) -> list[str]:
        """Of that form."""

    def query_frame(self, vector: Any) -> Any:
        """The same as a pandas DataFrame."""

    at_once: int
    """How many queries `many` is measured with: 1,000, or fewer where that would take minutes."""

    def many(self, vectors: Any) -> Any:
        """Ten results with documents and metadata for each of these, in one call."""

    def ids_of_many(self, answer: Any) -> list[list[str]]:
        """Of that."""

    def native(self, condition: Condition) -> Any:
        """The condition in the contestant's own form."""

    def get_ids(self, ids: list[str]) -> Any:
        """As a frame."""

    def get_where(self, condition: Any) -> Any:
        """As a frame."""

    def peek(self) -> Any:
        """The first ten items."""

    def count(self) -> int: ...

    def embeddings(self) -> Any:
        """float32 (n, dim)."""


class Writer(Protocol):
    """An open store, written to in its own natural way."""

    def delete(self, ids: list[str]) -> None: ...

    def update(self, rows: Any) -> None: ...

    def upsert(self, rows: Any) -> None: ...

    def native_rows(self, rows: pa.Table, vectors: Any = None) -> Any:
        """Items in the form that the contestant takes without converting."""


def measure_reads(reader: Reader, given: Given, before: Numbers) -> Numbers:
    """Queries, filters and reads; the memory that they leave beyond ``before``; then recall."""
    found, answers = measure_queries(reader, given)
    where = reader.native(given.filters["filter 9.9 %"][0])
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "get ids": (lambda: reader.get_ids(given.thousand), 100),
        "get where": (lambda: reader.get_where(where), 100),
        "peek": (reader.peek, 200),
        "count": (reader.count, 200),
        "embeddings": (reader.embeddings, 5),
    }
    for name, (call, times) in calls.items():
        found |= Timed(lambda _, call=call: call(), times).numbers(name)  # type: ignore[misc]
    found |= beyond(before)
    assert len(reader.get_ids(given.thousand)) == len(given.thousand)
    assert reader.embeddings().shape == given.vectors.shape
    for name, kept in answers.items():
        found[f"{name} recall"] = given.recall(name, kept)
    return found


def measure_queries(reader: Reader, given: Given) -> tuple[Numbers, dict[str, dict[int, list[str]]]]:
    """Milliseconds, and the ids that each query found, by kind of query."""
    queries = given.queries
    times = len(queries)
    found = Numbers()
    answers: dict[str, dict[int, list[str]]] = {}
    one = Timed(lambda at: reader.query(queries[at]), times, keep=reader.ids)
    found |= one.numbers("query")
    answers["query"] = one.kept
    found |= Timed(lambda at: reader.query_frame(queries[at]), times).numbers("frame")
    together = queries[: reader.at_once]
    many = Timed(lambda _: reader.many(together), 3, warm=1, keep=reader.ids_of_many)
    found["many /s"] = len(together) * 1000 / many.numbers("many")["many ms"]
    answers["many"] = dict(enumerate(many.kept[0]))
    for name, conditions in given.filters.items():
        native = [reader.native(condition) for condition in conditions]
        timed = Timed(
            lambda at, native=native: reader.query(queries[at], native[at % len(native)]),  # type: ignore[misc]
            min(200, times),
            keep=reader.ids,
        )
        found |= timed.numbers(name)
        answers[name] = timed.kept
    return found, answers


def measure_changes(writer: Writer, given: Given) -> Numbers:
    """A tenth of the items each: deleted, given new metadata, given new vectors."""
    changed = given.changed
    updated, upserted = writer.native_rows(changed.updated), writer.native_rows(changed.upserted, changed.vectors)
    found = Numbers()
    with timing(found, "delete"):
        writer.delete(changed.deleted)
    with timing(found, "update"):
        writer.update(updated)
    with timing(found, "upsert"):
        writer.upsert(upserted)
    return found


def check_changes(reader: Reader, given: Given) -> Numbers:
    """What is wrong of the changed store, in a process that did not change it.

    Counted: items too many or too few; deleted ids that still come by id or by query; updated values that are not
    there; new vectors that do not find their own item first.
    """
    changed = given.changed
    deleted = set(changed.deleted)
    mistakes: Numbers = {"count": abs(reader.count() - changed.count), "deleted": len(reader.get_ids(changed.deleted))}
    for vector in changed.deleted_vectors[:50]:
        ids = reader.ids(reader.query(vector))
        mistakes["deleted"] += len(deleted & set(ids)) + RESULTS - len(ids)
    updated = changed.updated.to_pandas().set_index("id")
    now = reader.get_ids(list(updated.index))
    mistakes["updated"] = len(updated) - int((now["gloss_len"].reindex(updated.index) == updated["gloss_len"]).sum())
    step = max(1, len(changed.vectors) // 100)
    wanted = changed.upserted["id"].to_pylist()[::step]
    firsts = [reader.ids(reader.query(vector))[0] for vector in changed.vectors[::step]]
    mistakes["upserted"] = sum(id_ != first for id_, first in zip(wanted, firsts, strict=True))
    return {"mistakes": sum(mistakes.values())} | {f"mistakes, {name}": count for name, count in mistakes.items()}


def baseline(given: Given) -> Numbers:
    """Memory of the libraries, just imported, and of what is read here, which is not the store's."""
    assert len(given.queries)
    assert given.thousand
    assert given.filters
    return memory()


def fresh_copy(given: Given, name: str, of: str = "store") -> Path:
    """A copy of a store, in the place of an older one.

    It is on disk: whoever makes changes durable shall not wait for the copy as well.
    """
    to = given.work / name
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(given.work / of, to)
    if hasattr(os, "sync"):
        os.sync()
    return to


def measure_opening(given: Given, load: Callable[[], object], opened: Callable[[ExitStack], Ask]) -> Numbers:
    """A new process: the import, opening a store up to the first answer, then the next answers.

    Loading further queries, which needs numpy, and closing are not timed.

    Args:
        given: queries.
        load: imports.
        opened: opens; what is to be closed goes on the stack.
    """
    first = given.first
    start = time.perf_counter()
    load()
    imported = time.perf_counter()
    with ExitStack() as stack:
        ask = opened(stack)
        hits = ask(first)
        answered = time.perf_counter()
        queries = given.queries[1:FIRST]
        more = Timed(lambda at: ask(queries[at]), len(queries), warm=0, keep=int)
    assert {hits, *more.kept.values()} == {RESULTS}
    return {"import s": imported - start, "open s": answered - imported} | more.numbers("first queries")


def main(steps: Steps) -> None:
    """Run one step and print its numbers; after one of `KILLED` the process is killed, as what it wrote must last."""
    name, corpus, work = sys.argv[1:]
    numbers = steps[name](Given(Path(corpus), Path(work)))
    print(json.dumps(numbers), flush=True)
    if name in KILLED:
        os.kill(os.getpid(), KILL)
