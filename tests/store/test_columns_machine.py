"""Any sequence of calls with columns in files, opened again at any moment: the store is as its model."""

from __future__ import annotations

import warnings

from hypothesis.stateful import run_state_machine_as_test

from chroma_nb.store import columns, schema

from .strategies import few
from .test_machine import LowDiskMachine


class ColumnsMachine(LowDiskMachine):
    """Chunks of five rows, written as soon as they lack two."""

    def __init__(self) -> None:
        super().__init__()
        self.patch.setattr(schema, "CHUNK", 5)
        self.patch.setattr(columns, "CHUNK", 5)
        self.patch.setattr(columns, "_FEW", 2)
        self.patch.setattr(columns, "PAUSE", 0.0)


def test_any_sequence_of_calls() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_state_machine_as_test(ColumnsMachine, settings=few)
