"""What ``chroma-nb info`` says of a store."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from chroma_nb import __version__
from chroma_nb.errors import NotFoundError


def store_facts(path: Path) -> dict[str, Any]:
    """Everything that ``chroma-nb info`` says, as plain JSON values.

    Raises:
        NotFoundError: there is no store at the path.
        StoreError: there is one, but it cannot be read; or what is there is something else.
    """
    from chroma_nb.sharing import open_store
    from chroma_nb.store.directory import DATABASE
    from chroma_nb.store.schema import VERSION

    if not path.exists():
        raise NotFoundError(f"{path} does not exist.")
    if path.is_dir() and not (path / DATABASE).exists():
        inside = sorted(child.name for child in path.iterdir() if (child / DATABASE).is_file())
        if inside:
            raise NotFoundError(f"{path} holds no store itself, but {path / inside[0]} does.")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())  # without the view opened now
    store = open_store(path, read_only=True)
    try:
        collections = [_collection_facts(store, info, path) for info in store.list_collections()]
    finally:
        store.close()
    return {
        "location": str(path.resolve()),
        "size_bytes": size,
        "versions": {
            "chroma_nb": __version__,
            "tables": VERSION,
            "duckdb": metadata.version("duckdb"),
            "hnswlib": metadata.version("hnswlib"),
        },
        "collections": collections,
    }


def _collection_facts(store: Any, info: Any, path: Path) -> dict[str, Any]:
    stats = store.stats(info.id)
    return {
        "name": info.name,
        "id": str(info.id),
        "count": stats.count,
        "dimension": info.dimension,
        "space": info.settings.space.value,
        "metadata": info.metadata,
        "metadata_keys": {key: [kind.value for kind in kinds] for key, kinds in stats.keys.items()},
        "embedding_function": None if info.embedding_function is None else json.loads(info.embedding_function),
        "index": _index_state(path / "graphs", info, stats.count),
    }


def _index_state(graphs: Path, info: Any, count: int) -> dict[str, Any]:
    from chroma_nb.store.search import wants_graph

    size = sum(file.stat().st_size for file in graphs.glob(f"{info.id}.*.graph"))
    state = "graph" if size else "pending" if wants_graph(count, info.dimension or 0) else "exact"
    return {"state": state, "size_bytes": size}


_INDEX_STATES = {
    "exact": "exact search (small enough to need no graph)",
    "pending": "no graph saved yet: it is built in the background when the collection is next searched",
    "graph": "graph of {size}",
}


def lines(facts: dict[str, Any]) -> list[str]:
    """The same, as text."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    number = len(facts["collections"])
    told = [
        facts["location"],
        f"  {number} collection{'' if number == 1 else 's'}, {_size(facts['size_bytes'])} on disk",
        f"  {versions}",
    ]
    for found in facts["collections"]:
        function = found["embedding_function"]
        index = found["index"]
        described = {
            "items": f"{found['count']:,}",
            "dimension": found["dimension"] or "not known before the first item",
            "space": found["space"],
            "embedding": function["name"] if function else "none recorded",
            "index": _INDEX_STATES[index["state"]].format(size=_size(index["size_bytes"])),
            "metadata": ", ".join(f"{_safe(k)} = {_safe(v)}" for k, v in (found["metadata"] or {}).items()) or "none",
            "keys": ", ".join(f"{_safe(k)} ({'/'.join(kinds)})" for k, kinds in found["metadata_keys"].items())
            or "none",
        }
        told += ["", found["name"], *(f"  {name:<10} {value}" for name, value in described.items())]
    return told


def _size(number: float) -> str:
    """A number of bytes for people.

    >>> _size(512), _size(7_729_152)
    ('512 bytes', '7.7 MB')
    """
    if number < 1000:
        return f"{number:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def _safe(value: object) -> str:
    """A value for the terminal: control characters in keys and texts are shown, not obeyed."""
    text = str(value)
    return text if text.isprintable() else ascii(text)
