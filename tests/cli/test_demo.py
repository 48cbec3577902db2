from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

import chroma_nb
from chroma_nb import cli, demo
from tests.cli.conftest import Command

EXECUTED = "01_quickstart.executed.ipynb"
FAKE_LAB = """\
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("lab", *sys.argv[1:], flush=True)
if "--ServerApp.port=1111" in sys.argv:
    sys.exit(0)
if "--ServerApp.port=2222" in sys.argv:
    sys.exit(3)
time.sleep(60)
"""


@pytest.fixture
def fake_lab(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment whose JupyterLab only says how it was called."""
    package = tmp_path / "fake" / "jupyterlab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(FAKE_LAB)
    return environment | {"PYTHONPATH": os.pathsep.join([str(package.parent), environment["PYTHONPATH"]])}


def with_lab(fake_lab: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chroma_nb", "demo", "--path", str(folder), *arguments]
    return subprocess.run(command, env=fake_lab, capture_output=True, text=True, timeout=120)


def small_notebook(folder: Path, *sources: str, name: str = demo.NOTEBOOK) -> Path:
    """A notebook in place of the one that ships."""
    folder.mkdir(parents=True, exist_ok=True)
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])  # type: ignore[no-untyped-call]
    nbformat.write(content, folder / name)  # type: ignore[no-untyped-call]
    return folder


# --execute ------------------------------------------------------------------------------------


def test_execute(run: Command, tmp_path: Path) -> None:
    done = run("demo", "--execute")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "here" / "chroma_nb_demo"
    assert sorted(path.name for path in folder.iterdir()) == sorted([EXECUTED, *demo.NOTEBOOKS, "db"])
    result = Path("chroma_nb_demo") / EXECUTED
    assert f"Result:   {result} (19 code cells ran in " in done.stdout
    content = nbformat.read(folder / EXECUTED, as_version=4)  # type: ignore[no-untyped-call]
    assert all(cell.execution_count for cell in content.cells if cell.cell_type == "code")
    info = run("info", "--json", "chroma_nb_demo/db")
    wordnet = json.loads(info.stdout)["collections"][0]
    assert (wordnet["name"], wordnet["count"], wordnet["dimension"]) == ("wordnet", 4000, 384)
    assert (wordnet["space"], wordnet["embedding_function"]["name"]) == ("cosine", "all-MiniLM-L6-v2")


def test_execute_says_which_cell_failed(run: Command, tmp_path: Path) -> None:
    folder = small_notebook(tmp_path / "tour", "1 + 1", "# a comment\nwrong = 1 / 0", "2 + 2")
    done = run("demo", "--execute", "--path", folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "code cell 2 (# a comment) failed: ZeroDivisionError: division by zero" in done.stderr
    assert str(folder / EXECUTED) in done.stderr
    assert "(yours, changed; delete it to get the original back)" in done.stdout


def test_execute_another_notebook(run: Command, tmp_path: Path) -> None:
    folder = small_notebook(tmp_path / "tour", "40 + 2", name="03_map.ipynb")
    done = run("demo", "--execute", "--notebook", "03_map", "--path", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Notebook: {folder / '03_map.ipynb'} (yours, changed" in done.stdout
    assert "Beside:   01_quickstart, 02_explore, 04_your_data, 05_page, 06_servers\n" in done.stdout
    assert f"Result:   {folder / '03_map.executed.ipynb'} (1 code cells ran in " in done.stdout


def test_execute_all(run: Command, tmp_path: Path) -> None:
    """One that fails does not keep the others from running."""
    folder = tmp_path / "tour"
    for number, name in enumerate(demo.NOTEBOOKS):
        small_notebook(folder, f"1 / (1 - {number})", name=name)
    done = run("demo", "--execute", "--all", "--path", folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ZeroDivisionError" in done.stderr
    assert "02_explore.executed.ipynb" in done.stderr
    assert len(list(folder.glob("*.executed.ipynb"))) == len(demo.NOTEBOOKS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--notebook", "02_exlore", "--execute"], "There is no notebook '02_exlore'. Did you mean \"02_explore\"?"),
        (["--all"], "--all is for --execute"),
        (["--all", "--execute", "--notebook", "03_map"], "not allowed with argument"),
    ],
)
def test_wrong_notebooks(arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--path", str(tmp_path / "tour"), *arguments])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "tour").exists()


def test_execute_notices_a_kernel_that_dies(run: Command, tmp_path: Path) -> None:
    dying = "import os; os.write(2, b'out of everything\\n'); os._exit(1)"
    folder = small_notebook(tmp_path / "tour", "1", dying)
    done = run("demo", "--execute", "--path", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("out of everything\n")
    assert f"chroma-nb: code cell 2 ({dying}) did not finish" in done.stderr
    assert "Traceback" not in done.stderr


def test_execute_leaves_out_what_libraries_say_as_a_kernel_ends(run: Command, tmp_path: Path) -> None:
    folder = small_notebook(tmp_path / "tour", "import atexit, os", "_ = atexit.register(os.write, 2, b'a leak')")
    done = run("demo", "--execute", "--path", folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_execute_of_what_is_no_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_notebook(tmp_path).joinpath(demo.NOTEBOOK).write_text("hello")
    assert cli.main(["demo", "--execute", "--path", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "is not a notebook" in error
    assert error.count("\n") == 1


# the store and the notebook -------------------------------------------------------------------


def test_prepare_makes_then_finds(tmp_path: Path) -> None:
    first, second = demo.prepare(tmp_path / "deep" / "down"), demo.prepare(tmp_path / "deep" / "down")
    assert (first.items, first.new, first.own_notebook) == (4000, True, False)
    assert (second.items, second.new, second.own_notebook) == (4000, False, False)


def test_what_the_user_changed_is_kept(tmp_path: Path) -> None:
    made = demo.prepare(tmp_path)
    small_notebook(tmp_path, "mine = 1")
    with chroma_nb.Client(made.store) as client:
        client["wordnet"].delete(where={"lexname": "noun.food"})
    again = demo.prepare(tmp_path)
    assert (again.items, again.own_notebook) == (3500, True)
    assert "mine = 1" in again.notebook.read_text()


def test_the_notebook_of_an_installed_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "chroma_nb"
    monkeypatch.setattr("chroma_nb.demo.resources.files", lambda _: package)
    with pytest.raises(chroma_nb.errors.StoreError, match="lacks 01_quickstart"):
        demo.shipped_notebook()
    for folder in (package.parent / "notebooks", package / "data" / "notebooks"):
        path = small_notebook(folder) / demo.NOTEBOOK
        assert demo.shipped_notebook() == path


def test_a_file_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--execute", "--path", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith(f"chroma-nb: {tmp_path / 'file'} is a file.")


def test_a_foreign_store_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "chroma.sqlite3").write_text("")
    assert cli.main(["demo", "--execute", "--path", str(tmp_path)]) == 1
    assert "Chroma 0.4 or later" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


@pytest.mark.parametrize(
    ("arguments", "package"), [(["--execute"], "nbclient"), ([], "jupyterlab"), (["--execute"], "onnxruntime")]
)
def test_missing_packages(
    arguments: list[str],
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find_spec = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == package else find_spec(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", without)
    assert cli.main(["demo", "--path", str(tmp_path / "tour"), *arguments]) == 1
    error = capsys.readouterr().err
    assert error == (
        f"chroma-nb: chroma-nb demo needs the package {package!r}, which is not installed. "
        'Run: pip install "chroma-nb[demo]"\n'
    )
    assert not (tmp_path / "tour").exists()


# JupyterLab -----------------------------------------------------------------------------------


def test_lab_is_started_on_the_notebook(fake_lab: dict[str, str], tmp_path: Path) -> None:
    done = with_lab(fake_lab, tmp_path / "tour", "--port", "1111")
    assert (done.returncode, done.stderr) == (0, "")
    called = next(line for line in done.stdout.splitlines() if line.startswith("lab "))
    assert str((tmp_path / "tour" / demo.NOTEBOOK).resolve()) in called
    assert "--ServerApp.port=1111" in called
    assert "--no-browser" not in called
    assert "--no-browser" in with_lab(fake_lab, tmp_path / "tour", "--port", "1111", "--no-browser").stdout


def test_lab_that_fails_fails_the_demo(fake_lab: dict[str, str], tmp_path: Path) -> None:
    assert with_lab(fake_lab, tmp_path / "tour", "--port", "2222").returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent to process groups in another way there")
def test_ctrl_c_ends_quietly(fake_lab: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chroma_nb", "demo", "--path", str(tmp_path / "tour"), "--no-browser"],
        env=fake_lab,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("lab "):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (cli.INTERRUPTED, "")


def test_ctrl_c_while_the_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "prepare", interrupted)
    assert cli.main(["demo", "--execute", "--path", str(tmp_path)]) == cli.INTERRUPTED
