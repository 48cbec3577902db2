"""Advice on the memory of graphs: where it goes, and that nothing depends on it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from chroma_nb.store import huge_pages
from chroma_nb.store.hnsw import Graph
from chroma_nb.types import IndexSettings

MB = 1 << 20
SIZE = 48 * MB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such advice")


@contextmanager
def allocated(size: int) -> Iterator[int]:
    """The address of memory that is allocated as hnswlib does it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    address = libc.malloc(size)
    yield address
    libc.free(address)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int, int]]:
    """What the system is told: address, length, advice."""
    calls: list[tuple[int, int, int]] = []

    def told(start: int, length: int, advice: int) -> bool:
        calls.append((start, length, advice))
        return True

    monkeypatch.setattr(huge_pages, "_madvise", told)
    setting = tmp_path / "enabled"
    setting.write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "_SETTING", setting)
    return calls


@pytest.mark.parametrize("filled", [False, True])
def test_the_place_is_found(told: list[tuple[int, int, int]], filled: bool) -> None:
    with ExitStack() as stack:
        for _ in range(5):  # the system joins what lies side by side
            with huge_pages.asked_for(SIZE, filled=filled):
                address = stack.enter_context(allocated(SIZE))
            assert [advice for *_, advice in told] == [huge_pages._HUGEPAGE, huge_pages._COLLAPSE][: 1 + filled]
            for start, length, _ in told:
                assert start % (2 * MB) == length % (2 * MB) == 0
                assert address - 4096 <= start <= start + length <= address + SIZE + 4096
                assert length >= SIZE - 4 * MB
            told.clear()


def test_what_is_small_or_unknown_or_unwanted_is_left_alone(
    told: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with huge_pages.asked_for(10 * MB), allocated(10 * MB):
        pass
    with ExitStack() as stack:
        with huge_pages.asked_for(SIZE):
            stack.enter_context(allocated(2 * SIZE))
        with huge_pages.asked_for(SIZE):
            pass
        for name, file in (("_MAPS", "nothing"), ("_SETTING", "nothing"), ("_SETTING", "never")):
            (tmp_path / "never").write_text("always madvise [never]\n")
            with monkeypatch.context() as patch:
                patch.setattr(huge_pages, name, tmp_path / file)
                with huge_pages.asked_for(SIZE):
                    stack.enter_context(allocated(SIZE))
    assert told == []


def test_what_the_system_refuses_is_no_error() -> None:
    with allocated(SIZE) as address:
        assert not huge_pages._madvise(address + 1, MB, huge_pages._HUGEPAGE), "not at the beginning of a page"
        forget = 4  # MADV_DONTNEED, which every system knows
        assert huge_pages._madvise(-(-address // 4096) * 4096, MB, forget)


def test_the_size_of_a_graph_is_that_of_hnswlib(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def asked_for(size: int) -> AbstractContextManager[None]:
        sizes.append(size)
        return nullcontext()

    monkeypatch.setattr(huge_pages, "asked_for", asked_for)
    graph = Graph(24, IndexSettings(m=12, resize_factor=1.5), 2_000)
    graph.extend(np.random.default_rng(1).random((3_500, 24), dtype=np.float32), np.arange(3_500), 3_500, 1)
    state = graph._index.__getstate__()[0]
    assert sizes == [3_000 * state["size_data_per_element"], 5_250 * state["size_data_per_element"]]
    assert state["max_elements"] == 5_250
