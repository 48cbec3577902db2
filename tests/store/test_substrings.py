"""Texts within texts, as bytes: what numpy finds is what Python's ``in`` finds."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.store import substrings
from chroma_nb.store.substrings import Needle

# Characters of one to four bytes, some of which share bytes, and few of them so that patterns are found.
TEXTS = st.lists(st.none() | st.text(alphabet="abé\xe8\xa9日旦😀😁\0", max_size=12), max_size=40)
PATTERNS = st.text(alphabet="abé\xe8\xa9日旦😀😁\0", min_size=1, max_size=4)


def _found(texts: pa.Array, pattern: str) -> list[bool]:
    needle = Needle.among(texts, pattern)
    assert needle is not None
    found: list[bool] = needle.within(texts).tolist()
    return found


@pytest.fixture(autouse=True)
def anything_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else patterns of few letters would be left to Arrow."""
    monkeypatch.setattr(substrings, "_MOST_LOOKED_AT", 1.0)


@given(TEXTS, PATTERNS, st.integers(0, 5), st.integers(0, 5))
def test_as_python_finds_them(texts: list[str | None], pattern: str, skipped: int, dropped: int) -> None:
    array = pa.array(texts, pa.large_string()).slice(skipped, max(0, len(texts) - skipped - dropped))
    expected = [text is not None and pattern in text for text in array.to_pylist()]
    if any(array.to_pylist()):
        assert _found(array, pattern) == expected
    else:
        assert Needle.among(array, pattern) is None, "there is nothing to learn how rare bytes are from"


@given(st.integers(1, 9), st.integers(0, 200), st.text(alphabet="abc", min_size=1, max_size=5))
def test_across_the_pieces_that_are_compared_at_once(piece: int, at: int, pattern: str) -> None:
    text = "x" * at + pattern + "x" * (200 - at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(substrings, "_PIECE", piece)
        assert _found(pa.array([text, "x" * 300, text], pa.large_string()), pattern) == [True, False, True]


def test_what_is_rare_only_in_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    texts = pa.array(["a house " * 1000, *["queue quay quiz " * 400] * 60], pa.large_string())
    assert Needle.among(texts, "qu") is None
    assert Needle.among(texts, "q") is None


def test_not_what_begins_in_one_text_and_ends_in_the_next() -> None:
    assert _found(pa.array(["a ri", "ver", "", "river", "r", "iver"], pa.large_string()), "river") == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]


def test_what_stands_everywhere_is_left_to_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    texts = pa.array(["the river and the other one", "a house"] * 1000, pa.large_string())
    assert Needle.among(texts, "e") is None
    assert Needle.among(texts, "the") is None
    assert Needle.among(texts, "glacier") is not None
    assert Needle.among(texts, "") is None
