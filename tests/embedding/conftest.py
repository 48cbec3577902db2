from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES = (
    "CHROMA_NB_MODEL_DIR",
    "CHROMA_NB_MODEL_SHA256",
    "CHROMA_OPENAI_API_KEY",
    "OPENAI_API_KEY",
    "CHROMA_COHERE_API_KEY",
    "COHERE_API_KEY",
    "CO_API_KEY",
    "CHROMA_HUGGINGFACE_API_KEY",
    "HF_TOKEN",
    "CHROMA_GOOGLE_PALM_API_KEY",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "CHROMA_GOOGLE_VERTEX_API_KEY",
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test downloads anything or sees the keys of whoever runs it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHROMA_NB_OFFLINE", "1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home directory, with no caches and no package that carries weights."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    yield tmp_path
    assert not list(tmp_path.rglob(".partial-*")), "a temporary file was left behind"
