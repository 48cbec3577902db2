"""The fixture of the tests that write their own directories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.migrate.modern_directory import ModernDirectory

Write: TypeAlias = Callable[..., ModernDirectory]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Makes the directory ``chroma``; closed at the end."""
    made: list[ModernDirectory] = []

    def new(layout: str = "1.5.9") -> ModernDirectory:
        made.append(ModernDirectory(tmp_path / "chroma", layout))
        return made[-1]

    yield new
    for directory in made:
        directory.close()
