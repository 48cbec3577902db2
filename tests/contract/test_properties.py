"""What holds for anything that can be generated holds behind every client: the same properties, with fewer examples."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from chroma_nb import Client
from tests.contract import scope
from tests.face import test_frames as frames
from tests.store import test_filters as filters
from tests.store import test_machine as machine
from tests.store.strategies import item_lists

if TYPE_CHECKING:
    from tests.contract.backends import Hosts
    from tests.store.backend import Backend
    from tests.store.reference import Item

# A request costs more than a call.
fewest = settings(max_examples=max(1, settings().max_examples // 6))


@pytest.mark.slow
@pytest.mark.parametrize("kind", scope.ELSEWHERE)
def test_any_sequence_of_calls(kind: str, hosts: Hosts) -> None:
    class Machine(machine.StoreMachine):
        reopens = True

        def opened(self) -> Backend:
            return hosts.backend(kind, Client)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_state_machine_as_test(Machine, settings=fewest)


@fewest
@given(case=filters.cases())
def test_filters(client: Client, case: Any) -> None:
    inner(filters.test_filters_match_what_the_reference_says)(client, "dense", case)


@fewest
@given(items=item_lists, missing=st.just(None), as_index=st.booleans())
def test_frames_go_in_and_come_out(client: Client, items: list[Item], missing: Any, as_index: bool) -> None:
    inner(frames.test_pandas_round_trip_of_anything)(client, items, missing, as_index)


def inner(test: Any) -> Any:
    """The test without its examples."""
    return test.hypothesis.inner_test
