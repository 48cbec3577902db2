"""Downloading one file: to a temporary name, checked against its SHA-256, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte


class DownloadError(Exception):
    """A download did not arrive, or is not what was expected; nothing of it was kept."""


@dataclass(frozen=True)
class Source:
    """Where a file is published.

    Attributes:
        url: http or https.
        sha256: of what the URL gives, in hexadecimal.
        member: the path of the file inside, if the URL gives a tar archive.
    """

    url: str
    sha256: str
    member: str | None = None


def fetch(source: Source, target: Path, *, label: str) -> Path:
    """Download ``source`` and put it, or its member, at ``target``, whole or not at all.

    Args:
        source: what to download.
        target: the file to write; its directory is made if need be.
        label: for the progress bar.

    Raises:
        DownloadError: the server did not answer, the digest is wrong, or the disk refused.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(target.parent) as arrived:
            digest = _download(source.url, arrived, label)
            if digest != source.sha256:
                raise DownloadError(f"{source.url}: SHA-256 {digest} where {source.sha256} is expected")
            if source.member is None:
                arrived.replace(target)
            else:
                with _scratch(target.parent) as unpacked:
                    _unpack(arrived, source.member, unpacked)
                    unpacked.replace(target)
    except (OSError, HTTPException, tarfile.TarError, KeyError) as error:
        raise DownloadError(f"{source.url}: {error}") from error
    return target


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A new file in ``directory``, gone at the end unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=".partial-", dir=directory)
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _download(url: str, path: Path, label: str) -> str:
    """Write what the URL gives; returns its SHA-256."""
    from tqdm.auto import tqdm

    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url}: not a web address")
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, path.open("wb") as out:  # noqa: S310 checked above
        size = int(response.headers.get("Content-Length") or 0)
        with tqdm(total=size or None, desc=label, unit="B", unit_scale=True) as bar:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _unpack(archive: Path, member: str, path: Path) -> None:
    """Copy one file out of a tar archive; nothing else of it is looked at."""
    with tarfile.open(archive) as tar, path.open("wb") as out:
        packed: IO[bytes] | None = tar.extractfile(member)
        if packed is None:
            raise DownloadError(f"{member} is no file in the archive")
        shutil.copyfileobj(packed, out)
