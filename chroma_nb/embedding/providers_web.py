"""Embedding functions that ask a service; each sends requests no larger than the service takes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from chroma_nb.embedding.available import require
from chroma_nb.embedding.provider import SECRET, Provider, Vectors, slices
from chroma_nb.errors import EmbeddingFunctionError

if TYPE_CHECKING:
    import urllib.request
    from collections.abc import Callable
    from contextlib import AbstractContextManager

Opener: TypeAlias = "Callable[[urllib.request.Request], AbstractContextManager[Any]]"

_TIMEOUT = 120.0  # seconds; a model may have to be started


@dataclass(eq=False)
class OpenAIEmbeddingFunction(Provider):
    """OpenAI's embeddings, also on Azure (``api_type="azure"``) or on a compatible server (``api_base``).

    Works with the package openai from 1.0 up, and with the older ones. Models of the third generation
    take ``dimensions``.

    >>> OpenAIEmbeddingFunction(model_name="text-embedding-3-small", dimensions=256).get_config()
    {'model_name': 'text-embedding-3-small', 'dimensions': 256, 'api_key_env_var': 'CHROMA_OPENAI_API_KEY'}
    """

    api_key: str | None = field(default=None, repr=False, metadata=SECRET)
    model_name: str = "text-embedding-ada-002"
    organization_id: str | None = None
    api_base: str | None = None
    api_type: str | None = None
    api_version: str | None = None
    deployment_id: str | None = None
    default_headers: dict[str, str] | None = field(default=None, repr=False, metadata=SECRET)
    dimensions: int | None = None
    api_key_env_var: str = "CHROMA_OPENAI_API_KEY"

    family: ClassVar[str] = "openai"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)

    def _connect(self) -> Callable[[list[str]], Vectors]:
        openai = require("openai", f'"{self.name()}"')
        wanted = {"dimensions": self.dimensions} if self.dimensions is not None else {}
        if not hasattr(openai, "OpenAI"):
            return self._before_1_0(openai, wanted)
        common = {"api_key": self._key(), "organization": self.organization_id, "default_headers": self.default_headers}
        if self.api_type == "azure":
            place = {"azure_endpoint": self.api_base, "azure_deployment": self.deployment_id}
            client = openai.AzureOpenAI(**common, **place, api_version=self.api_version)
        else:
            client = openai.OpenAI(**common, base_url=self.api_base)

        def ask(texts: list[str]) -> Vectors:
            data = client.embeddings.create(model=self.model_name, input=texts, **wanted).data
            return [item.embedding for item in sorted(data, key=lambda item: item.index)]

        return ask

    def _before_1_0(self, openai: Any, wanted: dict[str, int]) -> Callable[[list[str]], Vectors]:
        given = {
            "api_key": self._key(),
            "engine": self.deployment_id or self.model_name,
            "organization": self.organization_id,
            "api_base": self.api_base,
            "api_type": self.api_type,
            "api_version": self.api_version,
        }
        given = {key: value for key, value in given.items() if value is not None}

        def ask(texts: list[str]) -> Vectors:
            data = openai.Embedding.create(input=texts, **given, **wanted)["data"]
            return [item["embedding"] for item in sorted(data, key=lambda item: item["index"])]

        return ask

    def _embed(self, texts: list[str]) -> Vectors:
        # The service takes 2,048 texts and 300,000 tokens in one request.
        return [vector for part in slices(texts, 2_048, 250_000) for vector in self.connection(part)]


@dataclass(eq=False)
class CohereEmbeddingFunction(Provider):
    """Cohere's embeddings; queries are embedded as queries. Works with the package cohere 4 to 7."""

    api_key: str | None = field(default=None, repr=False, metadata=SECRET)
    model_name: str = "large"
    api_key_env_var: str = "CHROMA_COHERE_API_KEY"

    family: ClassVar[str] = "cohere"
    key_variables: ClassVar[tuple[str, ...]] = ("COHERE_API_KEY", "CO_API_KEY")

    def _connect(self) -> Callable[[list[str], str], Vectors]:
        cohere = require("cohere", f'"{self.name()}"')
        if not hasattr(cohere, "ClientV2"):
            client = cohere.Client(self._key())
            return lambda texts, kind: client.embed(texts=texts, model=self.model_name, input_type=kind).embeddings
        modern = cohere.ClientV2(self._key())

        def ask(texts: list[str], kind: str) -> Vectors:
            asked = {"texts": texts, "model": self.model_name, "input_type": kind, "embedding_types": ["float"]}
            found: Vectors = modern.embed(**asked).embeddings.float_
            return found

        return ask

    def _embed(self, texts: list[str]) -> Vectors:
        return self._ask(texts, "search_document")

    def embed_query(self, input: list[str]) -> Vectors:
        """Embed n queries."""
        return self._ask(list(input), "search_query")

    def _ask(self, texts: list[str], kind: str) -> Vectors:
        return [vector for part in slices(texts, 96, 1_000_000) for vector in self.connection(part, kind)]


@dataclass(eq=False)
class HuggingFaceEmbeddingFunction(Provider):
    """The feature extraction of the hub's inference service, or of a server of your own (``url``).

    Args:
        api_key: the key; a server of your own may do without one.
        model_name: a name on the hub.
        api_key_env_var: the environment variable with the key.
        url: where to send the texts instead.
        opener: what sends a `urllib.request.Request`; for tests and proxies.
    """

    api_key: str | None = field(default=None, repr=False, metadata=SECRET)
    model_name: str = "sentence-transformers/all-MiniLM-L6-v2"
    api_key_env_var: str = "CHROMA_HUGGINGFACE_API_KEY"
    url: str | None = None
    opener: Opener | None = field(default=None, repr=False, metadata=SECRET)

    family: ClassVar[str] = "huggingface"
    key_variables: ClassVar[tuple[str, ...]] = ("HF_TOKEN",)

    def _connect(self) -> str:
        home = "https://router.huggingface.co/hf-inference/models"
        return self.url or f"{home}/{self.model_name}/pipeline/feature-extraction"

    def _embed(self, texts: list[str]) -> Vectors:
        try:
            key: str | None = self._key()
        except EmbeddingFunctionError:
            if self.url is None:
                raise
            key = None
        found: list[list[float]] = []
        for part in slices(texts, 32, 100_000):
            answer = _post(self.name(), self.connection, {"inputs": part}, key, self.opener)
            if not isinstance(answer, list):
                raise EmbeddingFunctionError(f'"{self.name()}" answered {_short(answer)} where vectors are expected.')
            found += answer
        return found


@dataclass(eq=False)
class GooglePalmEmbeddingFunction(Provider):
    """Google's generative language service, with the package google-genai or google-generativeai."""

    api_key: str | None = field(default=None, repr=False, metadata=SECRET)
    model_name: str = "models/embedding-gecko-001"
    api_key_env_var: str = "CHROMA_GOOGLE_PALM_API_KEY"

    family: ClassVar[str] = "google-palm"
    key_variables: ClassVar[tuple[str, ...]] = ("GOOGLE_API_KEY", "GEMINI_API_KEY")

    def _connect(self) -> Callable[[list[str]], Vectors]:
        feature = f'"{self.name()}"'
        try:
            models = require("google.genai", feature).Client(api_key=self._key()).models
        except ImportError:
            palm = require("google.generativeai", feature, package="google-genai")
        else:
            return lambda texts: [
                item.values for item in models.embed_content(model=self.model_name, contents=texts).embeddings
            ]
        palm.configure(api_key=self._key())
        if hasattr(palm, "generate_embeddings"):  # the PaLM interface of 2023: one text at a time
            return lambda texts: [
                palm.generate_embeddings(model=self.model_name, text=text)["embedding"] for text in texts
            ]
        return lambda texts: palm.embed_content(model=self.model_name, content=texts)["embedding"]

    def _embed(self, texts: list[str]) -> Vectors:
        return [vector for part in slices(texts, 100, 200_000) for vector in self.connection(part)]


@dataclass(eq=False)
class GoogleVertexEmbeddingFunction(Provider):
    """Vertex AI's text embeddings over its REST interface; the key is an access token.

    Args:
        api_key: the access token.
        model_name: e.g. ``"text-embedding-005"``.
        project_id: the project that is billed.
        region: where the model runs.
        api_key_env_var: the environment variable with the access token.
        opener: what sends a `urllib.request.Request`; for tests and proxies.
    """

    api_key: str | None = field(default=None, repr=False, metadata=SECRET)
    model_name: str = "textembedding-gecko-001"
    project_id: str = "cloud-large-language-models"
    region: str = "us-central1"
    api_key_env_var: str = "CHROMA_GOOGLE_VERTEX_API_KEY"
    opener: Opener | None = field(default=None, repr=False, metadata=SECRET)

    family: ClassVar[str] = "google-vertex"

    def _connect(self) -> str:
        place = f"projects/{self.project_id}/locations/{self.region}/publishers/google/models/{self.model_name}"
        return f"https://{self.region}-aiplatform.googleapis.com/v1/{place}:predict"

    def _embed(self, texts: list[str]) -> Vectors:
        return np.asarray([self._one(text) for text in texts])  # some of its models take one text a request

    def _one(self, text: str) -> list[float]:
        answer = _post(self.name(), self.connection, {"instances": [{"content": text}]}, self._key(), self.opener)
        try:
            return list(answer["predictions"][0]["embeddings"]["values"])
        except (KeyError, IndexError, TypeError) as error:
            raise EmbeddingFunctionError(
                f'"{self.name()}" answered {_short(answer)} where a vector is expected.'
            ) from error


def _post(name: str, url: str, body: dict[str, Any], key: str | None, opener: Opener | None) -> Any:
    """Send JSON, read JSON; what went wrong is said in the service's own words."""
    import urllib.error
    import urllib.request

    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 an address of ours or the user's
    try:
        with (opener or _open)(request) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            said = _short(error.read().decode("utf-8", "replace"))
        raise EmbeddingFunctionError(f'"{name}" was refused with status {error.code}: {said}') from error
    except (OSError, ValueError) as error:
        raise EmbeddingFunctionError(f'"{name}" could not be reached or gave no JSON: {error}') from error


def _open(request: urllib.request.Request) -> AbstractContextManager[Any]:
    import urllib.request

    if request.type not in ("http", "https"):
        raise ValueError(f"{request.full_url} is not a web address")
    return urllib.request.urlopen(request, timeout=_TIMEOUT)  # type: ignore[no-any-return] # noqa: S310 checked above


def _short(answer: object) -> str:
    text = answer if isinstance(answer, str) else repr(answer)
    return text if len(text) <= 300 else text[:300] + "..."
