"""Every value that passes between two processes comes out as it went in."""

from __future__ import annotations

import dataclasses
import math
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chroma_nb import errors
from chroma_nb.errors import ChromaNbError, InvalidArgumentError, StoreError
from chroma_nb.sharing import calls
from chroma_nb.sharing.channel import Channel, Gone
from chroma_nb.sharing.codec import decode, encode
from chroma_nb.types import (
    ARROW_TYPES,
    CollectionInfo,
    CollectionStats,
    Hits,
    IndexSettings,
    Kind,
    Metric,
    Records,
    Selection,
    StoredLayout,
)
from chroma_nb.where import All, AnyOf, Compare, OneOf, Text

_text = st.text(max_size=8)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    _text,
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.binary(max_size=8),
    st.uuids(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.sampled_from([*Kind, *Metric, Path("/a/b")]),
)
_arrays = hnp.arrays(
    st.sampled_from(["<f4", "<f8", "<i8", "<i4", "?", "u1", "<M8[us]", "<U3"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
_metadata_values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), _text)
_wheres = st.recursive(
    st.one_of(
        st.builds(Compare, _text, st.sampled_from(["$eq", "$gt"]), _metadata_values),
        st.builds(OneOf, _text, st.lists(_metadata_values, max_size=3).map(tuple), st.booleans()),
        st.builds(Text, st.none() | _text, _text, st.booleans(), st.booleans()),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple).flatmap(lambda m: st.sampled_from([All(m), AnyOf(m)])),
    max_leaves=6,
)


@st.composite
def _columns(draw: st.DrawFn, kind: Kind, length: int) -> pa.Array:
    values = {
        Kind.STR: _text,
        Kind.INT: st.integers(-(2**63), 2**63 - 1),
        Kind.FLOAT: st.floats(),
        Kind.BOOL: st.booleans(),
    }[kind]
    drawn = draw(st.lists(st.none() | values, min_size=length, max_size=length))
    # A part of a larger one, as `slice` makes them.
    return pa.array([None, *drawn, None], ARROW_TYPES[kind]).slice(1, length)


@st.composite
def _records(draw: st.DrawFn) -> Records:
    count = draw(st.integers(0, 5))
    keys = draw(st.dictionaries(_text, st.sets(st.sampled_from(list(Kind))), max_size=3))
    metadata = {key: {kind: draw(_columns(kind, count)) for kind in sorted(kinds)} for key, kinds in keys.items()}
    return Records(
        ids=pa.array([f"id{number}" for number in range(count)], pa.large_string()),
        documents=draw(st.none() | _columns(Kind.STR, count)),
        metadata=draw(st.sampled_from([None, metadata])),
        embeddings=draw(st.none() | hnp.arrays(np.float32, (count, 3))),
        gaps=frozenset(keys),
        keeps=draw(st.none() | hnp.arrays(np.bool_, count)),
    )


_values = st.recursive(
    st.one_of(
        _scalars,
        _arrays,
        _records(),
        _wheres,
        st.builds(Selection, st.none() | st.lists(_text, max_size=4), st.none() | _wheres),
        st.builds(IndexSettings, st.sampled_from(list(Metric)), st.integers(1, 64)),
        st.builds(CollectionInfo, st.uuids(), _text, st.none() | st.dictionaries(_text, _metadata_values, max_size=3)),
        st.builds(CollectionStats, st.integers(0), st.dictionaries(_text, st.tuples(st.sampled_from(list(Kind))))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_text | st.integers() | st.booleans(), inner, max_size=4),
        st.frozensets(_text | st.integers() | st.uuids(), max_size=4),
    ),
    max_leaves=8,
)


@given(_values)
def test_what_goes_in_comes_out(value: Any) -> None:
    assert _same(decode(*_travelled(value)), value)


def _travelled(value: Any) -> tuple[bytes, list[bytearray]]:
    text, buffers = encode(value)
    return text, [bytearray(memoryview(buffer)) for buffer in buffers]


def _same(found: Any, expected: Any) -> bool:
    """Equal in value and type, NaN to NaN and -0.0 to -0.0."""
    if isinstance(expected, np.ndarray):
        return bool(
            found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()
        )
    if type(found) is not type(expected) and not isinstance(expected, Path | pa.Array):
        return False
    if dataclasses.is_dataclass(expected):
        return all(_same(getattr(found, f.name), getattr(expected, f.name)) for f in dataclasses.fields(expected))
    if isinstance(expected, dict):
        return list(map(_key, found)) == list(map(_key, expected)) and all(
            map(_same, found.values(), expected.values())
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, pa.Array):
        return found.type == expected.type and _same(found.to_pylist(), expected.to_pylist())
    if isinstance(expected, float):
        return (math.isnan(found) and math.isnan(expected)) or (
            found == expected and math.copysign(1, found) == math.copysign(1, expected)
        )
    return bool(found == expected)


def _key(key: Any) -> tuple[type, Any]:
    return type(key), key


def test_results_of_stores() -> None:
    records = Records(pa.array(["a"], pa.large_string()), embeddings=np.ones((1, 2), np.float32))
    hits = Hits(records, np.array([0]), np.array([0]), np.array([0.5]), 1)
    layout = StoredLayout(np.ones((1, 2), np.float32), "umap", {"seed": None, "x": 0.5}, 1, 2, datetime.now(UTC))
    table = pa.table({"a": [1, None], "b": [["x"], []], "c": [{"d": 1.5}, None]})
    for value in (hits, layout, np.float32(0.5), np.int64(7), np.str_("x"), [np.bool_(True)]):
        assert _same(decode(*_travelled(value)), value if not isinstance(value, np.str_) else np.str_("x"))
    assert decode(*_travelled(table)).equals(table)
    assert decode(*_travelled(table.slice(1))).equals(table.slice(1))
    assert decode(*_travelled({"k": (timedelta(days=-1, microseconds=1), Decimal("1.50"), date.max, time.max)})) == {
        "k": (timedelta(days=-1, microseconds=1), Decimal("1.50"), date.max, time.max)
    }


def test_arrays_that_arrive_can_be_written_to() -> None:
    """As those of a store of one's own: they are copies."""
    left, right = _pair()
    with left, right:
        Channel(left, 5).send(np.zeros((2, 3), dtype=np.float32))
        found = Channel(right, 5).receive()
    found += 1
    assert found.sum() == 6


def test_what_cannot_travel() -> None:
    for value in (object(), [threading.Lock()], {"a": iter([])}, lambda: None, 1j):
        with pytest.raises(InvalidArgumentError, match="cannot be handed to the process that has the store open"):
            encode(value)


@given(
    st.binary(max_size=40) | _values.map(lambda value: encode(value)[0]), st.lists(st.binary(max_size=20), max_size=2)
)
def test_nonsense_is_refused(text: bytes, buffers: list[bytes]) -> None:
    """With ValueError, whatever it is; or it is no nonsense."""
    try:
        decode(text, [bytearray(buffer) for buffer in buffers])
    except ValueError:
        return


def test_what_is_nested_too_deeply() -> None:
    tree: Any = Compare("k", "$eq", 1)
    for _ in range(50):
        tree = AnyOf((tree,))
    assert decode(*_travelled(tree)) == tree
    for _ in range(2000):
        tree = All((tree,))
    with pytest.raises(InvalidArgumentError, match="nested too deeply"):
        encode(tree)


def test_no_pickle() -> None:
    names = set(decode.__globals__) | set(Channel.receive.__globals__)
    assert not {name for name in names if "pickle" in name or name in ("eval", "exec", "marshal")}


# messages -------------------------------------------------------------------------------------


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    first, second = (Channel(end, 10) for end in _pair())
    yield first, second
    first.close()
    second.close()


def test_messages_of_every_size(channels: tuple[Channel, Channel]) -> None:
    """In pieces, in one, and several in one."""
    first, second = channels
    rng = np.random.default_rng(1)
    values = [rng.integers(0, 255, size, dtype=np.uint8) for size in (0, 1, 65_535, 65_536, 65_537, 3_000_000, 5)]
    messages: list[Any] = [*values, values, {"text": "x" * 200_000}, 0, None]

    def send() -> None:
        for message in messages:
            first.send(message)

    sender = threading.Thread(target=send)
    sender.start()
    for message in messages:
        assert _same(second.receive(), message)
    sender.join()


def test_the_other_end_is_gone(channels: tuple[Channel, Channel]) -> None:
    first, second = channels
    assert not first.peer_left()
    second.send(1)
    assert not first.peer_left()
    second.close()
    assert first.receive() == 1
    assert first.peer_left()
    with pytest.raises(Gone):
        first.receive()
    with pytest.raises(Gone):
        first.send(np.zeros(10_000_000))


def test_silence(channels: tuple[Channel, Channel]) -> None:
    first, _ = channels
    asked: list[bool] = []

    def silent(sending: bool) -> None:
        asked.append(sending)
        if len(asked) == 3:
            raise LookupError("enough")

    first.wait_longer(0.02, silent)
    with pytest.raises(LookupError):
        first.receive()
    assert asked == [False] * 3
    asked.clear()
    with pytest.raises(LookupError):
        first.send(np.zeros(10_000_000))
    assert asked == [True] * 3


# errors ---------------------------------------------------------------------------------------


def test_errors_keep_their_class_and_text() -> None:
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ChromaNbError)]
    assert len(classes) > 20
    for cls in {*classes, ValueError, IndexError, MemoryError}:
        found = calls.raised(calls.described(cls("what, happened: it's\n'this'")))
        assert type(found) is cls
        assert str(found) == "what, happened: it's\n'this'"


def test_errors_of_other_classes() -> None:
    class SystemExit2(BaseException):
        pass

    for error in (SystemExit2("x"), KeyboardInterrupt("x"), SystemExit(3)):
        found = calls.raised(calls.described(error))
        assert type(found) is StoreError
        assert f"failed: {type(error).__name__}: " in str(found)
    # Nothing else of that module is reached by its name.
    for name in ("annotations", "suggest", "error_types", "difflib", "__builtins__"):
        assert type(calls.raised([name, "x"])) is StoreError
