"""The house as the design draws it: who may import what, how long things may be, what is public."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import chroma_nb
from chroma_nb import compat, errors

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "chroma_nb"
WIDGETS = ROOT / "widgets" / "chroma_nb_widgets"
SOURCES = sorted(LIBRARY.rglob("*.py"))


@dataclass(frozen=True)
class Import:
    """One import of a module."""

    where: str  # the importing file, relative to its package
    line: int
    name: str  # what is imported: "pandas.api", "chroma_nb.store.local"
    typing_only: bool
    inside_function: bool

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.name}"


class _Imports(ast.NodeVisitor):
    def __init__(self, where: str) -> None:
        self.found: list[Import] = []
        self._where = where
        self._typing_only = False
        self._functions = 0

    def visit_If(self, node: ast.If) -> None:
        guarded = ast.unparse(node.test).removeprefix("typing.") == "TYPE_CHECKING"
        before, self._typing_only = self._typing_only, self._typing_only or guarded
        for child in node.body:
            self.visit(child)
        self._typing_only = before
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"{self._where}:{node.lineno}: imports are absolute here"
        for alias in node.names:
            self._note(node, f"{node.module}.{alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func).endswith("import_module") and node.args and isinstance(node.args[0], ast.Constant):
            self._note(node, str(node.args[0].value))
        self.generic_visit(node)

    def _note(self, node: ast.stmt | ast.expr, name: str) -> None:
        self.found.append(Import(self._where, node.lineno, name, self._typing_only, self._functions > 0))


def _imports(package: Path) -> Iterator[Import]:
    for path in sorted(package.rglob("*.py")):
        visitor = _Imports(path.relative_to(package).as_posix())
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        yield from visitor.found


IMPORTS = list(_imports(LIBRARY))
WIDGET_IMPORTS = list(_imports(WIDGETS))

# Libraries -> the files, or folders, that may import them (annotations apart). No entry: nobody may.
HOMES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("duckdb",): (
        "store/catalog.py",
        "store/confined_child.py",
        "store/duck_errors.py",
        "store/items.py",
        "store/schema.py",
        "store/sql_views.py",
        "migrate/",
    ),
    ("hnswlib",): ("store/hnsw.py", "store/plain_index.py"),
    ("pandas",): ("frames.py", "data/"),
    ("narwhals",): ("tables.py",),
    ("umap", "fastumap", "sklearn", "numba", "pynndescent", "scipy"): ("projection/",),
    ("ipywidgets", "plotly", "anywidget", "traitlets"): (),
    ("IPython",): ("progress.py",),
    ("httpx", "starlette", "fastapi", "uvicorn", "orjson", "threadpoolctl", "aiohttp", "flask", "requests"): ("rest/",),
    ("onnxruntime", "tokenizers", "wordllama"): ("embedding/",),
    ("polars",): ("exporting.py",),
    ("pickle", "cloudpickle", "joblib", "dill"): (),
}


@pytest.mark.parametrize(("libraries", "homes"), HOMES.items(), ids=[libraries[0] for libraries in HOMES])
def test_one_library_one_home(libraries: tuple[str, ...], homes: tuple[str, ...]) -> None:
    strays = [
        str(found)
        for found in IMPORTS
        if found.name.split(".")[0] in libraries and not found.typing_only and not found.where.startswith(homes or "-")
    ]
    assert strays == []


def test_the_walk_sees_imports() -> None:
    """Else the tests above could not fail."""
    seen = {(found.where, found.name.split(".")[0]) for found in IMPORTS}
    assert {("store/hnsw.py", "hnswlib"), ("frames.py", "pandas"), ("tables.py", "narwhals")} <= seen
    assert ("store/catalog.py", "duckdb") in seen
    found = next(found for found in IMPORTS if (found.where, found.name) == ("collection.py", "pandas"))
    assert found.typing_only
    visitor = _Imports("x.py")
    visitor.visit(ast.parse("def f():\n    import plotly.graph_objects\n    importlib.import_module('umap')\n"))
    assert [(found.name, found.inside_function) for found in visitor.found] == [
        ("plotly.graph_objects", True),
        ("umap", True),
    ]


# Files or folders -> what of the library they may import; everything else of it is forbidden to them.
_DIRECTIONS = {
    "errors.py": (),
    "types.py": ("errors",),
    "where.py": ("errors", "types"),
    "store/": ("errors", "types", "where", "columns", "store", "progress"),
    "projection/": ("errors", "types", "store", "projection"),
    "embedding/": ("errors", "types", "progress", "embedding", "data"),
    "sharing/": ("errors", "types", "where", "progress", "store", "sharing"),
    "rest/": (
        "errors",
        "types",
        "where",
        "columns",
        "batch",
        "rules",
        "embedding",
        "progress",
        "store",
        "sharing",
        "rest",
        "__version__",
    ),
    "copying.py": ("errors", "types", "progress", "store", "halves"),
    "halves.py": ("errors", "types", "store"),
    "migrate/": (
        "errors",
        "types",
        "progress",
        "store",
        "arrow",
        "columns",
        "rules",
        "batch",
        "halves",
        "tables",
        "embedding",
        "migrate",
    ),
}


@pytest.mark.parametrize(("place", "allowed"), _DIRECTIONS.items(), ids=list(_DIRECTIONS))
def test_directions(place: str, allowed: tuple[str, ...]) -> None:
    inner = [found for found in IMPORTS if found.where.startswith(place) and found.name.startswith("chroma_nb.")]
    assert [str(found) for found in inner if found.name.split(".")[1] not in allowed] == []


def test_where_knows_no_sql() -> None:
    tree = ast.parse((LIBRARY / "where.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if re.search(r"\b(SELECT|WHERE|FROM|LIKE|ILIKE)\b", text)] == []


def test_widgets_are_imported_inside_functions_only() -> None:
    assert [
        str(found)
        for found in IMPORTS
        if found.name.startswith("chroma_nb_widgets") and not (found.inside_function or found.typing_only)
    ] == []


# In the explorers: what is a model, a picture or plain text knows no widget. Their other files may import all of these.
_WITHOUT_WIDGETS = (
    "models/",
    "figures.py",
    "raster.py",
    "plot.py",
    "map/__init__.py",
    "map/interface.py",
    "__init__.py",
)
_NOT_IN_WIDGETS = (
    "umap",
    "sklearn",
    "numba",
    "pynndescent",
    "scipy",
    "duckdb",
    "hnswlib",
    "narwhals",
    "polars",
    "pickle",
)


def test_models_and_pictures_know_no_widget() -> None:
    strays = [
        str(found)
        for found in WIDGET_IMPORTS
        if found.name.split(".")[0] in ("ipywidgets", "anywidget", "IPython")
        and found.where.startswith(_WITHOUT_WIDGETS)
        and not found.typing_only
    ]
    assert strays == []
    assert {found.where for found in WIDGET_IMPORTS if found.name == "ipywidgets"}, "the walk sees the views"


def test_models_know_no_picture_and_no_view() -> None:
    inner = [
        found
        for found in WIDGET_IMPORTS
        if found.where.startswith("models/")
        and found.name.startswith(("plotly", "chroma_nb_widgets."))
        and not (found.typing_only or found.inside_function)
    ]
    allowed = ("chroma_nb_widgets.models", "chroma_nb_widgets.map.interface")
    assert [str(found) for found in inner if not found.name.startswith(allowed)] == []


def test_explorers_leave_the_work_to_the_library() -> None:
    assert [str(found) for found in WIDGET_IMPORTS if found.name.split(".")[0] in _NOT_IN_WIDGETS] == []


def test_no_drawer_for_everything() -> None:
    drawers = ("utils", "util", "helpers", "common", "misc")
    assert [path for path in WIDGETS.rglob("*") if path.stem in drawers] == []
    names = [path for path in SOURCES if path.stem in drawers]
    folders = [path.parent for path in SOURCES if path.name == "__init__.py" and path.parent.name in ("utils", "util")]
    # Chroma has a `utils`, so its dialect has one.
    assert {path.relative_to(LIBRARY).parts[0] for path in [*names, *folders]} <= {"compat"}


# size -----------------------------------------------------------------------------------------

_LONGEST_FILE = 400
_LONGEST_FUNCTION = 60


def _python_files() -> list[Path]:
    return [*SOURCES, *sorted(WIDGETS.rglob("*.py"))]


@pytest.mark.parametrize("path", _python_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_size(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= _LONGEST_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _length(node) <= _LONGEST_FUNCTION, f"{node.name} in line {node.lineno}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, without its docstring."""
    assert node.end_lineno is not None
    length = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        first = node.body[0]
        assert first.end_lineno is not None
        length -= first.end_lineno - first.lineno + 1
    return length


# public names ---------------------------------------------------------------------------------

PUBLIC = [
    "Client",
    "Collection",
    "EphemeralClient",
    "HttpClient",
    "PersistentClient",
    "Settings",
    "__version__",
    "errors",
]
PUBLIC_COMPAT = [
    "API",
    "Client",
    "ClientAPI",
    "Collection",
    "CollectionMetadata",
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "GetResult",
    "HttpClient",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "PersistentClient",
    "QueryResult",
    "Search",
    "Settings",
    "Where",
    "WhereDocument",
    "__version__",
    "api",
    "config",
    "configure",
    "errors",
    "get_settings",
    "install_as_chromadb",
    "types",
    "utils",
]


@pytest.mark.parametrize(("module", "names"), [(chroma_nb, PUBLIC), (compat, PUBLIC_COMPAT)], ids=["own", "compat"])
def test_public_names(module: types.ModuleType, names: list[str]) -> None:
    assert sorted(module.__all__) == sorted(names)
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("cls", [chroma_nb.Client, chroma_nb.Collection, chroma_nb.Settings], ids=lambda c: c.__name__)
def test_public_methods_have_docstrings(cls: type) -> None:
    members = {name: member for name, member in vars(cls).items() if not name.startswith("_")}
    assert [name for name, member in members.items() if hasattr(member, "__doc__") and not inspect.getdoc(member)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_every_name_in_all_exists(path: Path) -> None:
    if path.name == "__main__.py":
        return  # importing it runs the command line; it exports nothing
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


_HEAVY = (
    "umap",
    "numba",
    "sklearn",
    "scipy",
    "plotly",
    "ipywidgets",
    "IPython",
    "anywidget",
    "polars",
    "onnxruntime",
    "tokenizers",
    "wordllama",
    "httpx",
    "fastapi",
    "uvicorn",
    "tqdm.notebook",
    "tqdm.auto",
    "chroma_nb_widgets",
    "chroma_nb.compat",
)


def _modules_after(code: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return set(ended.stdout.split())


def test_import_is_light() -> None:
    loaded = _modules_after("import chroma_nb")
    assert {"chroma_nb.client", "pandas", "duckdb"} <= loaded
    assert loaded & set(_HEAVY) == set()


def test_models_load_no_widgets() -> None:
    loaded = _modules_after(
        "import chroma_nb_widgets, chroma_nb_widgets.models.explorer, chroma_nb_widgets.models.browser"
    )
    assert "chroma_nb_widgets.models.map" in loaded
    assert loaded & set(_HEAVY) - {"chroma_nb_widgets", "IPython"} == set()


def test_ordinary_work_loads_nothing_heavy() -> None:
    loaded = _modules_after(
        "import chroma_nb\n"
        "docs = chroma_nb.Client().create_collection('docs')\n"
        "docs.add(ids=['a', 'b'], embeddings=[[1, 0], [0, 1]], documents=['x', 'y'], metadatas=[{'n': 1}, {'n': 2}])\n"
        "docs.query([[1, 0]], where={'n': 1}), docs.peek(), docs.get(include=['embeddings'])\n"
        "docs.update(['a'], [[2, 0]])"
    )
    assert "chroma_nb.store.local" in loaded
    assert loaded & set(_HEAVY) == set()


# errors ---------------------------------------------------------------------------------------

_DRAWN = re.compile(
    r'^(?P<indent>[ │├└─]*)(?P<name>\w+)(?: \((?P<bases>[\w, ]+)\))?(?: +(?P<status>\d+))?(?: +"(?P<wire>\w+)")?$'
)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn: list[tuple[str, str | None, list[str], int, str | None]] = []
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = _DRAWN.match(line)
        if match is None or not match["name"].endswith("Error") or (not match["status"] and path):
            continue
        depth = (len(match["indent"]) - 4) // 4
        del path[depth:]
        bases = match["bases"].split(", ") if match["bases"] else []
        drawn.append((match["name"], path[-1] if path else None, bases, int(match["status"] or 500), match["wire"]))
        path.append(match["name"])

    classes = _error_classes()
    assert sorted(name for name, *_ in drawn) == sorted(classes)
    for name, parent, bases, status, wire in drawn:
        cls = classes[name]
        own = [base.__name__ for base in cls.__bases__ if base.__name__ in classes]
        builtin = [base.__name__ for base in cls.__bases__ if base.__name__ not in classes]
        assert own == ([parent] if parent else []), name
        assert builtin == (bases if parent else ["Exception"]), name
        assert cls.http_status == status, name
        assert wire in (None, cls.wire_name), name


def _error_classes() -> dict[str, type[errors.ChromaNbError]]:
    members = vars(errors).values()
    return {m.__name__: m for m in members if inspect.isclass(m) and issubclass(m, errors.ChromaNbError)}


def test_every_error_has_a_status_and_a_docstring() -> None:
    for name, cls in _error_classes().items():
        assert 400 <= cls.http_status < 600, name
        assert cls.__doc__, name
        assert str(cls("what happened")) == "what happened", name
        assert cls("what happened").code() == cls.http_status
