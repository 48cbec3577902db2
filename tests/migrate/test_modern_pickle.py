"""Pickles as Chroma writes them are read; what asks for anything else is refused, and nothing of it happens."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma_nb.errors import CorruptStoreError
from chroma_nb.migrate.modern_pickle import read_pickle
from tests.migrate.modern_directory import pickled_object

STATE: dict[str, Any] = {
    "dimensionality": None,
    "total_elements_added": 70_000,
    "max_seq_id": 2**40,
    "id_to_label": {f"Straße {n}": n for n in range(300)} | {"x" * 300: -1},
    "label_to_id": {n: f"Straße {n}" for n in range(300)},
    "flag": True,
    "share": 0.5,
}

_texts = st.text(max_size=20)
_numbers = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_dicts_and_objects(protocol: int) -> None:
    assert read_pickle(pickle.dumps(STATE, protocol)) == STATE
    assert read_pickle(pickled_object(STATE, protocol=protocol)) == STATE


@given(st.dictionaries(_texts, st.dictionaries(_texts | _numbers, _texts | _numbers | st.none())), st.integers(2, 5))
def test_any_dicts(state: dict[str, Any], protocol: int) -> None:
    assert read_pickle(pickle.dumps(state, protocol)) == state


class _Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._made = function, arguments

    def __reduce__(self) -> Any:
        return self._made


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_foreign_classes_are_refused(protocol: int, tmp_path: Path) -> None:
    sign = tmp_path / "it ran"
    for hidden in (_Calls(os.mkdir, str(sign)), {"id_to_label": {"a": _Calls(os.mkdir, str(sign))}}):
        with pytest.raises(CorruptStoreError):
            read_pickle(pickle.dumps(hidden, protocol))
    assert not sign.exists()
    pickle.loads(pickle.dumps(_Calls(os.mkdir, str(sign)), protocol))  # noqa: S301 - it would have run
    assert sign.exists()


def test_a_foreign_class_is_named() -> None:
    with pytest.raises(CorruptStoreError, match=r"it asks for builtins.eval, which is no part of Chroma's data"):
        read_pickle(pickle.dumps(_Calls(eval, "1"), 4))
    with pytest.raises(CorruptStoreError, match=r"it asks for chromadb\.Other"):
        read_pickle(pickled_object(STATE, "chromadb", "Other"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x05",
        b"\x80\x05.",
        b"\x80\x05]\x94.",  # a list
        b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",  # a text of 2**63 bytes
        b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",  # a frame of 2**63 bytes
        b"\x80\x05\x8b\xff\xff\xff\x7f" + bytes(50) + b".",  # a number of 2**31 bytes
        b"\x80\x05\x8a\xff" + bytes(255) + b".",  # a number of 255 bytes
        b"\x80\x05" + b"}" * 1_000_000 + b".",  # a million dicts
        b"\x80\x05}" + b"2" * 1_000_000 + b".",  # a million times the same
        b"\x80\x05}(K\x01u.",  # an odd number of keys and values
        b"\x80\x05}}K\x01s.",  # a dict as a key
        b"\x80\x05K\x01K\x02K\x03s.",  # items of a number
        b"\x80\x05h\x07.",  # what was never remembered
        b"\x80\x05u.",
        b"\x80\x05X\x02\x00\x00\x00\xff\xff.",  # no UTF-8
        b"\x80\x05}b.",  # attributes of nothing
        b"\x80\x05(.",  # a mark
        b"\x80\x05}K\x01(s.",  # a mark as a value
        b"\x80\x05}K\x01)s.",  # a tuple
        b"garbage",
    ],
)
def test_torn_and_hostile(content: bytes) -> None:
    with pytest.raises(CorruptStoreError):
        read_pickle(content)


_SMALL = {"id_to_label": {f"a{n}": n for n in range(20)}, "x": None, "y": 2**40}


@pytest.mark.parametrize("content", [pickle.dumps(_SMALL, 3), pickled_object(_SMALL)], ids=["dict", "object"])
def test_every_torn_end(content: bytes) -> None:
    for end in range(len(content)):
        with pytest.raises(CorruptStoreError):
            read_pickle(content[:end])


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(content: bytes) -> None:
    try:
        found = read_pickle(b"\x80\x04" + content)
    except CorruptStoreError:
        return
    assert found is None or isinstance(found, dict | str | int | float)
