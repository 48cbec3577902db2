"""Work shared by threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chroma_nb.store import cores
from chroma_nb.store.cores import on_all_cores


@pytest.fixture(params=(1, 2, 5))
def number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of cores."""
    found: int = request.param
    monkeypatch.setattr(cores, "CORES", found)
    return found


def test_each_piece_is_taken_once(number: int) -> None:
    taken = on_all_cores(list, range(100))
    assert len(taken) == number
    assert sorted(piece for pieces in taken for piece in pieces) == list(range(100))
    assert on_all_cores(list, []) == [[]]
    assert on_all_cores(list, ["one"]) == [["one"]]


def test_all_cores_take_part(number: int) -> None:
    met = threading.Barrier(number, timeout=20)

    def work(pieces: Iterator[int]) -> int:
        next(pieces)
        met.wait()
        return threading.get_ident()

    assert len({*on_all_cores(work, range(number))}) == number


def test_what_fails_is_raised_when_all_have_ended(number: int) -> None:
    before = threading.active_count()

    def work(pieces: Iterator[int]) -> None:
        for piece in pieces:
            if piece == 50:
                raise ValueError("no. 50")

    with pytest.raises(ValueError, match=r"no\. 50"):
        on_all_cores(work, range(100))
    assert threading.active_count() == before


def test_an_interrupt_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "CORES", 2)
    here = threading.get_ident()
    begun = threading.Event()
    done: list[int] = []

    def work(pieces: Iterator[int]) -> None:
        if threading.get_ident() == here:
            assert begun.wait(20)
            raise KeyboardInterrupt
        for piece in pieces:
            begun.set()
            done.append(piece)
            threading.Event().wait(0.01)

    with pytest.raises(KeyboardInterrupt):
        on_all_cores(work, range(10_000))
    assert 0 < len(done) < 1_000


def test_after_the_end_of_the_main_thread(tmp_path: Path) -> None:
    program = tmp_path / "ending.py"
    program.write_text(
        "import atexit\n"
        "from chroma_nb.store import cores\n"
        "cores.CORES = 3\n"
        "atexit.register(lambda: print(cores.on_all_cores(sum, range(10))))\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[45]\n", "")
