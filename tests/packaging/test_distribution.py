"""What is shipped: sdist, wheel, an installation from it; and what must never be in the repository."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import chroma_nb
from chroma_nb.demo import NOTEBOOKS

ROOT = Path(__file__).parents[2]
WIDGETS = ROOT / "widgets" / "chroma_nb_widgets"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an sdist, and a wheel that was built from it."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def _dist_info(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [found for found in archive.namelist() if found.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def test_top_level_names(wheel: Path) -> None:
    top = {name.split("/")[0] for name in _names(wheel)}
    (metadata,) = [name for name in top if name.endswith(".dist-info")]
    assert top == {"chroma_nb", "chroma_nb_widgets", metadata}


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    names = set(_names(wheel))
    sources = [path.relative_to(ROOT).as_posix() for path in (ROOT / "chroma_nb").rglob("*.py")]
    widgets = [path for path in WIDGETS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sources += [path.relative_to(WIDGETS.parent).as_posix() for path in widgets]
    assert {path.suffix for path in widgets} >= {".py", ".js", ".css", ".typed"}
    assert len(sources) > 70
    assert [name for name in sources if name not in names] == []
    data = ["data/sample.parquet", "data/minilm_vocab.txt", "data/NOTICE", "py.typed"]
    data += [f"data/notebooks/{name}" for name in NOTEBOOKS]
    assert [name for name in data if f"chroma_nb/{name}" not in names] == []
    assert [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".duckdb", ".f32"))] == []


def test_wheel_is_small_and_for_every_system(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 10_000_000


def test_metadata(wheel: Path) -> None:
    metadata = Parser().parsestr(_dist_info(wheel, "METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("chroma-nb", chroma_nb.__version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload(), "the README is its long description"
    required = {re.split(r"[^\w-]", line)[0] for line in metadata.get_all("Requires-Dist", []) if "extra" not in line}
    assert {"duckdb", "hnswlib", "pandas", "ipywidgets", "plotly", "umap-learn", "anywidget", "httpx"} <= required
    assert not required & {"onnxruntime", "polars", "jupyterlab", "starlette", "fastapi", "uvicorn", "scikit-learn"}
    licences = [name for name in _names(wheel) if "/licenses/" in name]
    assert {Path(name).name for name in licences} >= {"LICENSE", "NOTICE"}


def test_entry_point(wheel: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(_dist_info(wheel, "entry_points.txt"))
    assert dict(parser["console_scripts"]) == {"chroma-nb": "chroma_nb.cli:main"}


def test_sdist(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "chroma_nb/__init__.py", "tests/packaging/__init__.py"} <= names
    assert {"widgets/js/package.json", "widgets/js/src/index.js"} <= names
    assert [name for name in names if name.startswith((".git/", ".venv/", ".ci/"))] == []
    assert [name for name in names if "__pycache__" in name or "node_modules" in name] == []


def test_installation(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, which only borrows the dependencies of this one: nothing is downloaded."""
    venv.create(tmp_path / "env", with_pip=True)
    variables = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    scripts = Path(sysconfig.get_path("scripts", "venv", variables))
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    python = scripts / Path(sys.executable).name
    _run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel, cwd=tmp_path)
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)))

    code = (
        "import chroma_nb; docs = chroma_nb.Client('db').create_collection('docs');"
        "docs.add(ids=['a'], embeddings=[[1, 2]], documents=['x']); print(chroma_nb.__file__);"
        "from chroma_nb import data; print(len(data.load_sample()));"
        "from chroma_nb_widgets import style; from chroma_nb_widgets.map import front;"
        "print(style.__file__); print(len(style.stylesheet()), len(front.WebGLFront._esm))"
    )
    said = _run(python, "-I", "-c", code, cwd=tmp_path).splitlines()
    assert Path(said[0]).is_relative_to(packages)
    assert said[1] == "4000"
    assert Path(said[2]).is_relative_to(packages)
    assert all(int(length) > 1000 for length in said[3].split())
    command = next(scripts.glob("chroma-nb*"))
    assert "usage: chroma-nb" in _run(command, "--help", cwd=tmp_path)
    assert chroma_nb.__version__ in _run(python, "-I", "-m", "pip", "show", "chroma-nb", cwd=tmp_path)


def _run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# the repository -------------------------------------------------------------------------------

# Hosts that packages come from, and paths of somebody's machine. Written so that this file does not name any.
_FORBIDDEN = (
    r"\bpypi\.\w+",
    r"pythonhosted\.",
    r"npmjs\.",
    r"yarnpkg\.",
    r"anaconda\.org",
    r"(?<![\w.$}])/(work|root)/",
    r"(?<![\w.$}])/home/(?!jovyan)\w+",
    r"/tm" + r"p/\w*venv",
)


def _files() -> list[Path]:
    """What is, or is about to be, in the repository; without git, all there is."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        ended = None
    if ended is None or ended.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".git" not in path.parts]
    return [ROOT / name for name in ended.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    pattern, found, read = re.compile("|".join(_FORBIDDEN)), [], 0
    for path in _files():
        if "__pycache__" in path.parts:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        read += 1
        for number, line in enumerate(text.splitlines(), 1):
            match = pattern.search(line)
            if match:
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []
    assert read > 50


def test_what_is_forbidden_would_be_found() -> None:
    pattern = re.compile("|".join(_FORBIDDEN))
    for text in ("https://py" + "pi.org/simple", "cd /" + "work/main", "/" + "home/me/x", "registry.npm" + "js.org"):
        assert pattern.search(text)
    for text in ("docs/work/x", "./root/", "a framework/", "$HOME/work/", "pip install chroma-nb"):
        assert not pattern.search(text)


def test_no_lock_file_of_uv() -> None:
    assert [path for path in _files() if path.name == "uv.lock"] == []
