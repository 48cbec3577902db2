"""A process that writes until it is killed. Run by `test_kill`, never imported by it.

It imports everything once and then forks a writer for each line of JSON on its standard input, so
that a round costs milliseconds. A writer opens the directory, makes random calls for ever and
notes each one in a log before and after. Answers on standard output: the writer's process id, and
after its end how it ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import chroma_nb
from tests.durability import points, workload


def main() -> None:
    """Serve rounds."""
    for name, value in workload.THRESHOLDS.items():
        workload.set_threshold(name, value)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(json.loads(line))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(task: dict[str, Any]) -> None:
    try:
        if "hook" in task:
            _die_at_a_point(**task)
        else:
            _write_until_killed(**task)
    except BaseException:  # noqa: BLE001 - the parent shows it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _die_at_a_point(directory: str, call: str, hook: str) -> None:
    if call == "open":
        points.HOOKS[hook]()
        chroma_nb.Client(directory)
    else:
        client = chroma_nb.Client(directory)
        points.HOOKS[hook]()
        points.CALLS[call](client)
    raise AssertionError(f"{call} did not come by: {hook}")


def _write_until_killed(
    directory: str, log: str, seed: int, step: int, emphasis: str, dimension: int, space: str
) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*words: Any) -> None:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())

    settings = {"hnsw:space": space, "hnsw:num_threads": 1}
    client = chroma_nb.Client(directory)
    collection = client.get_or_create_collection(workload.NAME, metadata=settings, embedding_function=None)
    model = workload.read(client)
    note("ready")
    while True:
        operation = workload.make_operation(seed, step, model, emphasis, dimension)
        after = model.after(operation)
        note("begin", step, operation.kind)
        operation.run(collection)
        if operation.kind == "index":
            # Saving in turn by asking for it and by closing.
            if step % 2:
                client.persist()
            else:
                client.close()
                client = chroma_nb.Client(directory)
                collection = client.get_collection(workload.NAME, embedding_function=None)
        note("end", step)
        model, step = after, step + 1


if __name__ == "__main__":
    main()
