"""The services that are asked over HTTP without a library of their own; nothing leaves the process."""

from __future__ import annotations

import io
import json
import urllib.error
from email.message import Message
from typing import TYPE_CHECKING, Any

import pytest

from chroma_nb.embedding import embed
from chroma_nb.embedding import providers as p
from chroma_nb.errors import EmbeddingFunctionError

if TYPE_CHECKING:
    import urllib.request
    from collections.abc import Callable
    from contextlib import AbstractContextManager

TEXTS = ["a", "bb"]
EXPECTED = [[1.0, 0.5], [2.0, 0.5]]


def vectors(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 0.5] for text in texts]


class Recorder:
    """Stands for the network: keeps the requests, answers in JSON."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer
        self.requests: list[urllib.request.Request] = []

    def __call__(self, request: urllib.request.Request) -> AbstractContextManager[Any]:
        self.requests.append(request)
        assert isinstance(request.data, bytes)
        return io.BytesIO(json.dumps(self.answer(json.loads(request.data))).encode())


def test_google_vertex() -> None:
    network = Recorder(
        lambda body: {"predictions": [{"embeddings": {"values": vectors([body["instances"][0]["content"]])[0]}}]}
    )
    ef = p.GoogleVertexEmbeddingFunction("token", "text-embedding-005", "project", "europe-west1", opener=network)
    assert embed(ef, TEXTS).tolist() == EXPECTED
    first = network.requests[0]
    assert first.full_url == (
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/project/locations/europe-west1"
        "/publishers/google/models/text-embedding-005:predict"
    )
    assert first.get_header("Authorization") == "Bearer token"
    broken = p.GoogleVertexEmbeddingFunction("token", opener=Recorder(lambda body: {"error": "quota"}))
    with pytest.raises(EmbeddingFunctionError, match=r"answered \{'error': 'quota'\} where a vector is expected"):
        embed(broken, TEXTS)


def test_huggingface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "token")
    network = Recorder(lambda body: vectors(body["inputs"]))
    ef = p.HuggingFaceEmbeddingFunction(api_key_env_var="MY_TOKEN", opener=network)
    assert embed(ef, TEXTS).tolist() == EXPECTED
    request = network.requests[0]
    assert request.full_url == (
        "https://router.huggingface.co/hf-inference/models/sentence-transformers/all-MiniLM-L6-v2"
        "/pipeline/feature-extraction"
    )
    assert request.get_method() == "POST"
    assert request.get_header("Authorization") == "Bearer token"
    ef(["x"] * 70)
    assert len(network.requests) == 4


def test_huggingface_on_a_server_of_ones_own_needs_no_key() -> None:
    network = Recorder(lambda body: vectors(body["inputs"]))
    ef = p.HuggingFaceEmbeddingFunction(url="http://127.0.0.1:8080/embed", opener=network)
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert network.requests[0].full_url == "http://127.0.0.1:8080/embed"
    assert not network.requests[0].has_header("Authorization")


def refusing(request: urllib.request.Request) -> AbstractContextManager[Any]:
    raise urllib.error.HTTPError(request.full_url, 503, "no", Message(), io.BytesIO(b'{"error": "loading"}'))


def unreachable(request: urllib.request.Request) -> AbstractContextManager[Any]:
    raise urllib.error.URLError("no route to host")


@pytest.mark.parametrize(
    ("opener", "message"),
    [
        (refusing, 'was refused with status 503: {"error": "loading"}'),
        (unreachable, "could not be reached or gave no JSON: .*no route to host"),
        (lambda request: io.BytesIO(b"<html>"), "could not be reached or gave no JSON"),
        (Recorder(lambda body: {"error": "gone"}), r"answered \{'error': 'gone'\} where vectors are expected"),
    ],
)
def test_huggingface_failures_are_told(opener: Any, message: str) -> None:
    with pytest.raises(EmbeddingFunctionError, match=message):
        embed(p.HuggingFaceEmbeddingFunction("token", opener=opener), TEXTS)


def test_only_web_addresses_are_opened() -> None:
    with pytest.raises(EmbeddingFunctionError, match="is not a web address"):
        embed(p.HuggingFaceEmbeddingFunction("token", url="file:///etc/hostname"), TEXTS)


def test_no_texts_reach_no_service() -> None:
    assert len(p.HuggingFaceEmbeddingFunction("key", opener=unreachable)([])) == 0
    assert len(p.GoogleVertexEmbeddingFunction("key", opener=unreachable)([])) == 0
