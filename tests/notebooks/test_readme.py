"""The README tells the truth: its code runs, in order, and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README writes to ./db; nothing may be downloaded meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHROMA_NB_OFFLINE", "1")


@pytest.mark.usefixtures("_scratch")
def test_code_prints_what_is_promised() -> None:
    blocks = [(found[1], found[2]) for found in BLOCK.finditer(README)]
    assert [language for language, _ in blocks].count("python") >= 7
    namespace: dict[str, Any] = {}
    printed, port = "", 8000
    with contextlib.ExitStack() as running:
        for language, text in blocks:
            if "chroma-nb serve ./db" in text:
                port = running.enter_context(_served())
                running.callback(lambda: namespace["remote"].close())  # noqa: PLW0108 - there is none yet
            elif language == "python":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(text.replace("8000", str(port)), "README.md", "exec"), namespace)  # noqa: S102 - our own README
                printed = out.getvalue()
            elif language == "text":
                assert _plain(printed) == _plain(text), printed
        namespace["client"].close()


@contextlib.contextmanager
def _served() -> Iterator[int]:
    """What the README says to type in a terminal, on a free port."""
    command = [sys.executable, "-m", "chroma_nb", "serve", "./db", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(re.search(r":(\d+) ", process.stdout.readline())[1])  # type: ignore[index]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def _plain(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def test_first_lines_give_the_frame_of_the_picture() -> None:
    """The alternative text says that a mortgage comes first."""
    import chroma_nb
    from chroma_nb.data import load_sample

    client = chroma_nb.Client()
    docs = client.create_collection("wordnet", metadata={"hnsw:space": "cosine"})
    docs.add(load_sample())
    hits = docs.query("the money you borrow to buy a house")
    assert "mortgage" in hits["document"].iloc[0]
    assert list(hits)[:4] == ["query", "rank", "distance", "document"]


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert len(local) >= 4
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_pictures_are_small_and_used() -> None:
    pictures = sorted((ROOT / "notebooks" / "images").glob("*.png"))
    used = re.findall(r"!\[.+?\]\(notebooks/images/(.+?)\)", README)
    assert [picture.name for picture in pictures] == sorted(used)
    assert len(used) >= 2
    assert all(picture.stat().st_size < 300_000 for picture in pictures)
