"""``%chroma`` and ``%%chroma_sql`` in a real shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import chroma_nb


def _client() -> chroma_nb.Client:
    client = chroma_nb.Client()
    docs = client.create_collection(
        "docs", embedding_function=lambda texts: [[float(len(text)), 1.0] for text in texts]
    )
    docs.add(ids=["a", "b"], documents=["x", "xxxx"], metadatas=[{"n": 1, "lang": "en"}, {"n": 2, "lang": "de"}])
    return client


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = InteractiveShell()  # type: ignore[no-untyped-call]
    made.history_manager.enabled = False  # type: ignore[union-attr]
    made.run_line_magic("load_ext", "chroma_nb_widgets")
    made.user_ns["client"] = _client()
    yield made
    made.history_manager.end_session()  # type: ignore[union-attr]


def run(shell: InteractiveShell, cell: str) -> Any:
    ended = shell.run_cell(cell)  # type: ignore[no-untyped-call]
    error = ended.error_before_exec or ended.error_in_exec
    if error is not None:
        raise error
    return ended.result


def test_list_and_peek(shell: InteractiveShell) -> None:
    assert list(run(shell, "%chroma list").index) == ["docs"]
    assert list(run(shell, "%chroma ls")["count"]) == [2]
    assert list(run(shell, "%chroma peek docs").index) == ["a", "b"]
    assert list(run(shell, "%chroma peek docs 1").index) == ["a"]
    run(shell, "kept = %chroma peek docs 1")
    assert len(shell.user_ns["kept"]) == 1


def test_query(shell: InteractiveShell) -> None:
    client = chroma_nb.Client()
    docs = client.create_collection("docs", embedding_function="wordllama")
    docs.add(ids=["a", "b"], documents=["a cat", "the stock market"], metadatas=[{"lang": "en"}, {"lang": "de"}])
    shell.user_ns["client"] = client
    assert list(run(shell, '%chroma query docs "kitten of a cat" -n 1').index) == ["a"]
    assert len(run(shell, "%chroma query docs some words without quotes")) == 2
    for where in ("""--where "{'lang': 'de'}" """, """--where '{"lang": "de"}'"""):
        assert list(run(shell, f"%chroma query docs cat {where}").index) == ["b"]


def test_sql(shell: InteractiveShell) -> None:
    found = run(shell, "%%chroma_sql\nselect lang, count(*) as n from docs group by lang order by lang")
    assert found.to_dict("list") == {"lang": ["de", "en"], "n": [1, 1]}
    cell = "%%chroma_sql --param least=2 --param lang=de\nselect id from docs where n >= $least and lang = $lang"
    assert run(shell, cell)["id"].tolist() == ["b"]
    shell.user_ns["least"] = 1
    assert len(run(shell, "%%chroma_sql --param x=$least\nselect id from docs where n = $x")) == 1
    assert run(shell, "%%chroma_sql --into kept\nselect id from docs") is None
    assert len(shell.user_ns["kept"]) == 2


def test_help(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "%chroma")
    assert "%chroma peek NAME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("%chroma pek docs", 'Did you mean "peek"'),
        ("%chroma peek dosc", 'Did you mean "docs"'),
        ("%chroma peek", "required: NAME"),
        ("%chroma peek docs many", "invalid int value"),
        ("%chroma query docs x --where nonsense{", "--where takes a dict"),
        ("%chroma peek 'docs", "No closing quotation"),
        ("%%chroma_sql\nselect nothing from docs", "nothing"),
        ("%%chroma_sql --param x\nselect 1", "--param takes name=value"),
        ("%%chroma_sql --into 'a b'\nselect 1", "--into takes the name"),
        ("%%chroma_sql\ndrop table docs", "reading|read"),
    ],
)
def test_mistakes_are_one_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str, match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        run(shell, cell)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


def test_which_client(shell: InteractiveShell, tmp_path: Path) -> None:
    shell.user_ns["same"] = shell.user_ns["client"]
    assert len(run(shell, "%chroma ls")) == 1, "two names of one client are one client"
    shell.user_ns["other"] = chroma_nb.Client()
    with pytest.raises(UsageError, match="several clients: client, other"):
        run(shell, "%chroma ls")
    assert run(shell, "%chroma use other") is shell.user_ns["other"]
    assert len(run(shell, "%chroma ls")) == 0
    opened = run(shell, f"%chroma use {tmp_path / 'db'}")
    assert (tmp_path / "db").is_dir()
    opened.close()
    for name in ("client", "same", "other"):
        del shell.user_ns[name]


def test_no_client(shell: InteractiveShell) -> None:
    del shell.user_ns["client"]
    with pytest.raises(UsageError, match="There is no client yet"):
        run(shell, "%chroma ls")


def completions(shell: InteractiveShell, line: str) -> list[str]:
    with provisionalcompleter():
        return [found.text for found in shell.Completer.completions(line, len(line))]


def test_completion(shell: InteractiveShell) -> None:
    assert "docs" in completions(shell, "%chroma peek d")
    assert "docs" in completions(shell, "%chroma query ")
    assert "explore" in completions(shell, "%chroma ex")
    assert "client" in completions(shell, "%chroma use cl")
    assert "docs" not in completions(shell, "%chroma list ")
    del shell.user_ns["client"]
    assert "docs" not in completions(shell, "%chroma peek d")


def test_explore(shell: InteractiveShell) -> None:
    browser = run(shell, "%chroma explore")
    assert browser is shell.user_ns["client"].explore()
    explorer = run(shell, "%chroma explore docs")
    assert explorer.collection.name == "docs"
    explorer.close()
    browser.close()


def test_unload(shell: InteractiveShell) -> None:
    shell.run_line_magic("unload_ext", "chroma_nb_widgets")
    with pytest.raises(UsageError, match="not found"):
        shell.run_line_magic("chroma", "ls")
    assert "docs" not in completions(shell, "%chroma peek d")
    shell.run_line_magic("load_ext", "chroma_nb_widgets")
    assert len(run(shell, "%chroma ls")) == 1
