from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chroma_nb

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def _kernel_finds_the_library() -> Iterator[None]:
    """Kernels import the chroma_nb that is tested, installed or not, and download nothing."""
    with pytest.MonkeyPatch.context() as patch:
        root = Path(chroma_nb.__file__).parents[1]
        paths = [str(root), str(root / "widgets"), os.environ.get("PYTHONPATH")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("CHROMA_NB_OFFLINE", "1")
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        yield
