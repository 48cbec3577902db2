"""The npm package as it is shipped."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

import chroma_nb
from tests.js import node

SOURCES = sorted((node.PACKAGE / "src").glob("*.js"))


def _manifest() -> dict[str, object]:
    loaded: dict[str, object] = json.loads((node.PACKAGE / "package.json").read_text(encoding="utf-8"))
    return loaded


def test_version_is_that_of_the_library() -> None:
    assert _manifest()["version"] == chroma_nb.__version__


def test_nothing_is_needed_to_use_it() -> None:
    assert not {"dependencies", "peerDependencies", "optionalDependencies", "bundleDependencies"} & _manifest().keys()


def test_old_clients_are_those_that_are_promised() -> None:
    needed = _manifest()["devDependencies"]
    assert isinstance(needed, dict)
    assert {"npm:chromadb@1.3.1", "npm:chromadb@1.5.6"} <= set(needed.values())
    assert all(re.fullmatch(r"(npm:\w+@)?\d+\.\d+\.\d+", version) for version in needed.values())


def test_no_lock_file() -> None:
    assert [name for name in ("package-lock.json", "yarn.lock") if (node.PACKAGE / name).exists()] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_run_in_browsers(path: Path) -> None:
    """Standard modules that import nothing but each other, and no name that only Node.js has."""
    code = re.sub(r"/\*[^]*?\*/|//[^\n]*".replace("[^]", r"[\s\S]"), "", path.read_text(encoding="utf-8"))
    imported = re.findall(r"(?:from|import)\s*\(?\s*[\"']([^\"']+)", code)
    assert [name for name in imported if not re.fullmatch(r"\./\w+\.js", name)] == []
    assert not re.search(r"\b(require|process|Buffer|__dirname|global|setImmediate|innerHTML|eval)\b", code)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_what_only_node_has_would_be_found() -> None:
    assert {"client.js", "index.js", "transport.js"} <= {path.name for path in SOURCES}
    assert re.findall(r"(?:from|import)\s*\(?\s*[\"']([^\"']+)", 'import { a } from "node:fs"') == ["node:fs"]


@pytest.fixture(scope="module")
def installed(npm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody's own, with the packed package in it."""
    folder = tmp_path_factory.mktemp("project")
    ended = node.run("npm", "pack", "--silent", "--pack-destination", str(folder))
    assert ended.returncode == 0, ended.stderr
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "node_modules", filter="data")
    (folder / "node_modules" / "package").rename(folder / "node_modules" / "chroma-nb")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def test_files_of_the_package(installed: Path) -> None:
    root = installed / "node_modules" / "chroma-nb"
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert names == {"package.json", "README.md", "types/index.d.ts"} | {f"src/{path.name}" for path in SOURCES}


def test_packed_package_is_imported(installed: Path) -> None:
    code = "import * as chroma from 'chroma-nb'; console.log(new chroma.ChromaClient().constructor.name)"
    ended = node.run("node", "--input-type=module", "--eval", code, cwd=installed)
    assert (ended.stdout, ended.stderr) == ("ChromaClient\n", "")


@pytest.mark.parametrize(
    "options",
    [
        ["--module", "nodenext"],
        ["--module", "esnext", "--moduleResolution", "bundler", "--exactOptionalPropertyTypes"],
    ],
    ids=["node", "bundler"],
)
def test_packed_types_are_found_by_typescript(installed: Path, options: list[str]) -> None:
    compiler = str(node.PACKAGE / "node_modules" / "typescript" / "bin" / "tsc")
    code = (node.PACKAGE / "test" / "types" / "consumer.ts").read_text(encoding="utf-8")
    (installed / "consumer.ts").write_text(code, encoding="utf-8")
    arguments = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", *options]
    ended = node.run("node", compiler, *arguments, "consumer.ts", cwd=installed)
    assert ended.returncode == 0, ended.stdout

    (installed / "wrong.ts").write_text("import { Nothing } from 'chroma-nb'; Nothing;", encoding="utf-8")
    ended = node.run("node", compiler, *arguments, "wrong.ts", cwd=installed)
    assert "Nothing" in ended.stdout


def test_readme_runs(installed: Path, servers: dict[str, str]) -> None:
    """Its snippets, one after the other, with a real server in the place of port 8000."""
    text = (node.PACKAGE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```js\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    moved = (
        "const { fetch } = globalThis; globalThis.fetch = (url, init) => "
        f"fetch(url.replace('http://localhost:8000', '{servers['CHROMA_URL']}'), init);"
    )
    # The code of a module runs after all of its imports.
    (installed / "readme.js").write_text("\n".join([moved, *blocks]), encoding="utf-8")
    ended = node.run("node", "readme.js", cwd=installed)
    assert ended.stderr == ""
    said = ended.stdout.splitlines()
    assert said[0].startswith("a cheap flights 0.5")
    assert said[1] == "b"
    assert said[2].startswith("ChromaNotFoundError 404 ")


def test_readme_names_every_call_and_error() -> None:
    text = (node.PACKAGE / "README.md").read_text(encoding="utf-8")
    types = (node.PACKAGE / "types" / "index.d.ts").read_text(encoding="utf-8")
    errors = re.findall(r"class (\w+Error) ", types)
    assert len(errors) == 11
    assert [name for name in errors if f"`{name}`" not in text] == []
    for owner, cls in (("client", "ChromaClient"), ("collection", "Collection")):
        found = re.search(rf"class {cls} {{(.*?)\n}}", types, re.DOTALL)
        assert found is not None
        calls = set(re.findall(r"^  (\w+)\(", found[1], re.MULTILINE)) - {"constructor"}
        assert len(calls) >= 9
        assert [call for call in calls if f"`{owner}.{call}`" not in text] == []
