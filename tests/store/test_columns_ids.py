"""Positions by id: as a dict of all live items says, whatever the hashes are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.store import columns_ids
from chroma_nb.store.columns_ids import Ids, Sorted, hashes
from chroma_nb.store.mirror import Mirror, Part

from .strategies import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

_all_ids = st.lists(texts | st.text(max_size=12), unique=True, max_size=40)


def _mirror(ids: Sequence[str]) -> Mirror:
    numbers = np.arange(len(ids))
    part = Part(numbers, numbers, {"id": pa.array(ids, pa.large_string())}, {})
    return Mirror.load([part], {"id": pa.large_string()}, len(ids))


@given(ids=_all_ids, other=_all_ids, data=st.data())
@pytest.mark.parametrize("different", [1, 3, 2**64])
def test_positions(different: int, ids: list[str], other: list[str], data: st.DataObject) -> None:
    """With hashes of which only so many are different."""
    with pytest.MonkeyPatch.context() as patch:
        if different < 2**64:
            patch.setattr(columns_ids, "hashes", lambda array: hashes(array) % np.uint64(different))
        mirror = _mirror(ids)
        bounds = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=4, unique=True)))
        stretches = [(a, b) for a, b in pairwise(bounds) if data.draw(st.booleans(), f"is {a} to {b} filed")]
        found = Ids(mirror, {a: Sorted.of(pa.array(ids[a:b], pa.large_string())) for a, b in stretches})
        model = {id_: at for at, id_ in enumerate(ids)}

        def check() -> None:
            asked = [*ids, *other]
            expected = [model.get(id_, -1) for id_ in asked]
            for _ in range(2):
                assert found.find(asked, mirror).tolist() == expected
            assert found.find([], mirror).tolist() == []

        if data.draw(st.booleans(), "ask before changes"):
            check()
        gone = data.draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
        mirror = mirror.remove(np.array(sorted(model.pop(id_) for id_ in gone), dtype=np.int64))
        found.removed(gone)
        if data.draw(st.booleans(), "ask between"):
            check()
        back = [id_ for id_ in other if id_ not in model] + [id_ for id_ in gone if id_ not in other]
        rows = len(mirror) + np.arange(len(back))
        found.added(back, len(mirror))
        model |= dict(zip(back, rows.tolist(), strict=True))
        mirror = mirror.append(rows, rows, {"id": pa.array(back, pa.large_string())}, mirror.types)
        check()


def test_hashes_tell_ids_apart() -> None:
    ids = [
        *map(str, range(50_000)),
        *(f"item-{at:08d}" for at in range(50_000)),
        "\0",
        "\0\0",
        "",
        "a\0",
        "a",
        "é" * 999,
    ]
    found = hashes(pa.array(ids, pa.large_string()))
    assert len(np.unique(found)) == len(ids)
    changed = np.unpackbits((found[50_000:99_999] ^ found[50_001:100_000]).view(np.uint8)).mean()
    assert 0.48 < changed < 0.52


def test_hashes_do_not_depend_on_what_is_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    ids: Any = pa.array(["x", "", "long " * 50, "é"] * 7, pa.large_string())
    whole = hashes(ids)
    monkeypatch.setattr(columns_ids, "_BLOCK", 3)
    assert hashes(ids).tolist() == whole.tolist()
    assert hashes(ids.slice(5, 9)).tolist() == whole[5:14].tolist()
    assert [int(hashes(ids.slice(at, 1))[0]) for at in range(len(ids))] == whole.tolist()
