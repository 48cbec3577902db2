"""Advice on the memory of graphs: where it goes, and that nothing depends on it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chroma_nb.store import huge_pages
from chroma_nb.store.hnsw import Graph
from chroma_nb.types import IndexSettings

MB = 1 << 20
SIZE = 48 * MB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such advice")


@pytest.fixture
def piece() -> Iterator[int]:
    """The address of 48 MB of memory, allocated as hnswlib does it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    address = libc.malloc(SIZE)
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


def test_the_place_is_found_and_only_what_is_used_is_moved(piece: int, told: list[tuple[int, int, int]]) -> None:
    assert huge_pages.advise(SIZE, 10 * MB)
    (start, length, advice), (moved, used, collapse) = told
    assert (advice, collapse) == (huge_pages._HUGEPAGE, huge_pages._COLLAPSE)
    assert start % (2 * MB) == length % (2 * MB) == used % (2 * MB) == 0
    assert piece - 4096 <= start <= start + length <= piece + SIZE + 4096
    assert length >= SIZE - 4 * MB
    assert moved == start
    assert 6 * MB <= used <= 10 * MB


def test_what_is_small_or_unknown_or_unwanted_is_left_alone(
    piece: int, told: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not huge_pages.advise(10 * MB, 10 * MB)
    assert not huge_pages.advise(1 << 45, 0)
    monkeypatch.setattr(huge_pages, "_MAPS", tmp_path / "nothing")
    assert not huge_pages.advise(SIZE, SIZE)
    monkeypatch.undo()
    never = tmp_path / "never"
    never.write_text("always madvise [never]\n")
    monkeypatch.setattr(huge_pages, "_SETTING", never)
    assert not huge_pages.advise(SIZE, SIZE)
    assert told == []


def test_what_the_system_refuses_is_no_error(piece: int) -> None:
    assert not huge_pages._madvise(piece + 1, MB, huge_pages._HUGEPAGE), "not at the beginning of a page"
    forget = 4  # MADV_DONTNEED, which every system knows
    assert huge_pages._madvise(-(-piece // 4096) * 4096, MB, forget)


def test_the_size_of_a_graph_is_that_of_hnswlib(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(huge_pages, "advise", lambda size, used: sizes.append((size, used)))
    graph = Graph(24, IndexSettings(m=12, resize_factor=1.5), 2_000)
    graph.extend(np.random.default_rng(1).random((3_500, 24), dtype=np.float32), np.arange(3_500), 3_500, 1)
    state = graph._index.__getstate__()[0]
    record = state["size_data_per_element"]
    assert sizes == [(3_000 * record, 0), (5_250 * record, 0)]
    assert state["max_elements"] == 5_250
