from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import chroma_nb
from chroma_nb import cli, inspecting
from tests.cli.conftest import Command

COMMANDS = [[], ["demo"], ["info"]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two collections."""
    path = tmp_path / "db"
    with chroma_nb.Client(path) as client:
        docs = client.create_collection("docs", {"hnsw:space": "cosine", "by": "me"}, "all-MiniLM-L6-v2")
        docs.add(
            ids=["a", "b", "c"],
            embeddings=[[1, 0], [0, 1], [1, 1]],
            metadatas=[{"lang": "en", "n": 1}, {"n": "one"}, None],
        )
        client.create_collection("empty")
    return path


def one_line(text: str) -> bool:
    return text.startswith("chroma-nb: ") and text.count("\n") == 1 and text.endswith("\n")


# help and usage -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=["chroma-nb", "demo", "info"])
def test_help_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  chroma-nb " in text
    assert max(map(len, text.splitlines())) <= 120


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {command[0]} " in text for command in COMMANDS[1:])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"chroma-nb {chroma_nb.__version__}\n")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "examples:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["dmo"], "invalid choice: 'dmo'"),
        (["info"], "PATH"),
        (["demo", "--port", "x"], "a port is a number from 1 to 65535, got 'x'"),
        (["demo", "--port", "70000"], "a port is a number from 1 to 65535"),
        (["demo", "--execute", "--port", "8888"], "--execute does not start it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_exit_with_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_script_and_the_module_are_the_same(run: Command) -> None:
    assert run("--version").stdout == f"chroma-nb {chroma_nb.__version__}\n"
    scripts = importlib.metadata.entry_points(group="console_scripts", name="chroma-nb")
    assert all(script.value == "chroma_nb.cli:main" for script in scripts)


# info -----------------------------------------------------------------------------------------


def test_info_for_people(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(store)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(str(store.resolve()))
    for expected in (
        "2 collections, ",
        "on disk",
        f"chroma_nb {chroma_nb.__version__}, tables ",
        "\ndocs\n  items      3\n  dimension  2\n  space      cosine\n  embedding  all-MiniLM-L6-v2\n",
        "  index      exact search",
        "by = me",
        "  keys       lang (str), n (int/str)",
        "\nempty\n  items      0\n  dimension  not known before the first item\n",
    ):
        assert expected in text


def test_info_for_programs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--json", str(store)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["location"] == str(store.resolve())
    assert facts["size_bytes"] == sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    assert set(facts["versions"]) == {"chroma_nb", "tables", "duckdb", "hnswlib"}
    docs, empty = facts["collections"]
    assert {key: docs[key] for key in ("name", "count", "dimension", "space")} == {
        "name": "docs",
        "count": 3,
        "dimension": 2,
        "space": "cosine",
    }
    assert docs["metadata"] == {"hnsw:space": "cosine", "by": "me"}
    assert docs["metadata_keys"] == {"lang": ["str"], "n": ["int", "str"]}
    assert docs["embedding_function"]["name"] == "all-MiniLM-L6-v2"
    assert docs["index"] == {"state": "exact", "size_bytes": 0}
    assert (empty["count"], empty["dimension"], empty["embedding_function"]) == (0, None, None)


def test_info_changes_nothing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def picture() -> dict[str, tuple[int, bytes]]:
        return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in store.rglob("*") if file.is_file()}

    before = picture()
    assert cli.main(["info", str(store)]) == 0
    assert picture() == before
    capsys.readouterr()


def test_info_says_where_a_graph_is_missing(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chroma_nb.store.search.EXACT_ELEMENTS", 1)
    assert cli.main(["info", str(store)]) == 0
    assert "no graph saved yet" in capsys.readouterr().out
    with chroma_nb.Client(store) as client:
        client["docs"].create_index()
    assert cli.main(["info", str(store), "--json"]) == 0
    index = json.loads(capsys.readouterr().out)["collections"][0]["index"]
    assert index["state"] == "graph"
    assert index["size_bytes"] > 0


def test_info_shows_control_characters_and_obeys_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chroma_nb.Client(tmp_path / "db") as client:
        docs = client.create_collection("docs", {"note": "a\x1b[31mb"})
        docs.add(ids="a", embeddings=[1, 0], metadatas={"ключ": 1, "\x07": 2})
    assert cli.main(["info", str(tmp_path / "db")]) == 0
    text = capsys.readouterr().out
    assert "ключ (int), '\\x07' (int)" in text
    assert "\x1b" not in text


def test_info_of_nothing(tmp_path: Path, run: Command) -> None:
    done = run("info", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr)
    assert "nowhere does not exist" in done.stderr


def test_info_of_an_empty_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(tmp_path)]) == 1
    text = capsys.readouterr().err
    assert one_line(text)
    assert "holds no store" in text


def test_info_of_a_directory_with_a_store_in_it(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(store.parent)]) == 1
    text = capsys.readouterr().err
    assert one_line(text)
    assert f"but {store} does" in text


@pytest.mark.parametrize("name", ["chroma.sqlite3", "chroma-embeddings.parquet", "chroma_nb.duckdb"])
def test_info_of_something_else(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(b"something else" * 1000)
    assert cli.main(["info", str(tmp_path)]) == 1
    assert one_line(capsys.readouterr().err)


def test_info_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert cli.main(["info", str(tmp_path / "notes.txt")]) == 1
    assert "is a file" in capsys.readouterr().err


def test_info_of_a_store_that_is_open_elsewhere(store: Path, run: Command) -> None:
    with chroma_nb.Client(store) as client:
        client.create_collection("made-just-now", embedding_function=None)
        done = run("info", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert "made-just-now" in done.stdout


def test_no_reader_is_no_error(store: Path, environment: dict[str, str]) -> None:
    """As in ``chroma-nb info ./db | head -1``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chroma_nb", "info", str(store)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert complaint == b""


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (5e15, "5000.0 TB")]
)
def test_sizes(number: float, text: str) -> None:
    assert inspecting._size(number) == text
