"""Processes that share a directory. Run by `test_shared_takeover`, never imported by it.

It imports everything once and forks a process for each line of JSON on its standard input; it answers with the id of
that process. What the processes do is in their logs.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import chroma_nb
from chroma_nb.sharing.owner import Owner
from chroma_nb.types import Selection
from tests.durability import points
from tests.durability.takeover import KEPT, batch


def main() -> None:
    """Serve lines."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    logging.getLogger("chroma_nb.sharing").setLevel(logging.ERROR)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(json.loads(line))
        print(pid, flush=True)


def _child(task: dict[str, Any]) -> None:
    descriptor = os.open(task.pop("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*words: Any) -> None:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())

    try:
        role = _write if task.pop("role") == "write" else _own
        role(note, **task)
    except BaseException:  # noqa: BLE001 - the test shows it
        note("failed", json.dumps(traceback.format_exc()))
    os._exit(0)


def _own(note: Any, directory: str, hook: str | None = None) -> None:
    """Open the directory and wait for calls of others; die in one of them, at the hook."""
    client = chroma_nb.Client(directory)
    if hook == "after the answer was made":
        _die_with_an_answer()
    elif hook is not None:
        points.HOOKS[hook]()
    note("ready", client.count_collections())
    while True:
        time.sleep(60)


def _die_with_an_answer() -> None:
    result = Owner._result

    def die(self: Owner, channel: Any, session: Any, request: dict[str, Any]) -> Any:
        made = result(self, channel, session, request)
        return made if request["call"] is None else points.die()

    setattr(Owner, "_result", die)  # noqa: B010


def _write(note: Any, directory: str, name: str) -> None:
    """Write until there is a file called "stop"; what each call returned is noted, and must be what it returns once."""
    client = chroma_nb.Client(directory)
    store = client._store
    docs = store.collection("docs").id
    step = 0
    while not Path(directory, "..", "stop").exists():
        note("begin", step)
        records = batch(name, step)
        added = store.add(docs, records)
        if added != len(records):
            note("failed", f"{added} were added")
        if step >= KEPT:
            deleted = store.delete(docs, Selection(ids=batch(name, step - KEPT).ids.to_pylist()))
            if deleted != len(records):
                note("failed", f"{deleted} were deleted")
        if step % 5 == 0:
            client.create_collection(f"{name}-{step}", embedding_function=None)
        note("end", step)
        step += 1
    note("stopped", step)
    client.close()


if __name__ == "__main__":
    main()
