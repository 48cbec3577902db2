"""What is sent to other libraries and services, and how their answers are read; all of them are fakes."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.embedding import embed
from chroma_nb.embedding import providers as p
from chroma_nb.errors import EmbeddingFunctionError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chroma_nb.embedding.provider import Provider

    Fake = Callable[..., ModuleType]

TEXTS = ["a", "bb"]
EXPECTED = [[1.0, 0.5], [2.0, 0.5]]


def vectors(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 0.5] for text in texts]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a module of these attributes where a client library would be imported from."""

    def put(name: str, **attributes: Any) -> ModuleType:
        module = ModuleType(name)
        vars(module).update(attributes)
        parent, _, child = name.rpartition(".")
        if parent:
            if parent not in sys.modules:
                monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
            monkeypatch.setattr(sys.modules[parent], child, module, raising=False)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return put


def openai_data(texts: list[str]) -> list[Any]:
    """Items in another order than asked, as the index allows."""
    return [SimpleNamespace(index=n, embedding=v) for n, v in enumerate(vectors(texts))][::-1]


def openai_module(fake: Fake, calls: list[Any], kind: str = "OpenAI") -> None:
    def client(**options: Any) -> Any:
        def create(**asked: Any) -> Any:
            calls.append(asked)
            return SimpleNamespace(data=openai_data(asked["input"]))

        calls.append(options)
        return SimpleNamespace(embeddings=SimpleNamespace(create=create))

    fake("openai", **{"OpenAI": None, kind: client})


def test_openai(fake: Fake) -> None:
    calls: list[Any] = []
    openai_module(fake, calls)
    ef = p.OpenAIEmbeddingFunction("key", "text-embedding-3-small", "org", "https://host.example/v1", dimensions=2)
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert calls == [
        {"api_key": "key", "organization": "org", "default_headers": None, "base_url": "https://host.example/v1"},
        {"model": "text-embedding-3-small", "input": TEXTS, "dimensions": 2},
    ]
    ef(TEXTS)
    assert len(calls) == 3, "one client for all calls"


def test_openai_on_azure(fake: Fake) -> None:
    calls: list[Any] = []
    openai_module(fake, calls, "AzureOpenAI")
    ef = p.OpenAIEmbeddingFunction(
        "key", api_base="https://x.example", api_type="azure", api_version="2024-02-01", deployment_id="mine"
    )
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert calls[0]["azure_endpoint"] == "https://x.example"
    assert calls[0]["azure_deployment"] == "mine"
    assert calls[0]["api_version"] == "2024-02-01"
    assert calls[1] == {"model": "text-embedding-ada-002", "input": TEXTS}


def test_openai_before_1_0(fake: Fake) -> None:
    calls: list[Any] = []

    class Embedding:
        @staticmethod
        def create(**asked: Any) -> Any:
            calls.append(asked)
            return {"data": [vars(item) for item in openai_data(asked["input"])]}

    fake("openai", Embedding=Embedding)
    assert embed(p.OpenAIEmbeddingFunction("key"), TEXTS).tolist() == EXPECTED
    assert calls == [{"input": TEXTS, "api_key": "key", "engine": "text-embedding-ada-002"}]


def test_openai_requests_stay_within_the_limits(fake: Fake) -> None:
    calls: list[Any] = []
    openai_module(fake, calls)
    ef = p.OpenAIEmbeddingFunction("key")
    assert len(ef(["x"] * 5_000)) == 5_000
    ef(["long " * 30_000] * 3)
    assert [len(call["input"]) for call in calls[1:]] == [2_048, 2_048, 904, 1, 1, 1]


def test_cohere(fake: Fake) -> None:
    calls: list[Any] = []

    class ClientV2:
        def __init__(self, key: str) -> None:
            calls.append(key)

        def embed(self, **asked: Any) -> Any:
            calls.append(asked)
            return SimpleNamespace(embeddings=SimpleNamespace(float_=vectors(asked["texts"])))

    fake("cohere", ClientV2=ClientV2)
    ef = p.CohereEmbeddingFunction("key", "embed-v4.0")
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert embed(ef, TEXTS, query=True).tolist() == EXPECTED
    asked = {"texts": TEXTS, "model": "embed-v4.0", "embedding_types": ["float"]}
    assert calls == ["key", {**asked, "input_type": "search_document"}, {**asked, "input_type": "search_query"}]
    ef(["x"] * 200)
    assert [len(call["texts"]) for call in calls[3:]] == [96, 96, 8]


def test_cohere_before_client_v2(fake: Fake) -> None:
    class Client:
        def __init__(self, key: str) -> None:
            assert key == "key"

        def embed(self, texts: list[str], model: str, input_type: str) -> Any:
            assert (model, input_type) == ("large", "search_document")
            return SimpleNamespace(embeddings=vectors(texts))

    fake("cohere", Client=Client)
    assert embed(p.CohereEmbeddingFunction("key"), TEXTS).tolist() == EXPECTED


def test_sentence_transformers(fake: Fake) -> None:
    calls: list[Any] = []

    class SentenceTransformer:
        def __init__(self, name: str, **options: Any) -> None:
            calls.append((name, options))

        def encode(self, texts: list[str], **options: Any) -> Any:
            calls.append(options)
            return np.array(vectors(texts))

    fake("sentence_transformers", SentenceTransformer=SentenceTransformer)
    ef = p.SentenceTransformerEmbeddingFunction("all-mpnet-base-v2", "cuda", True, trust_remote_code=True)
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert calls == [
        ("all-mpnet-base-v2", {"device": "cuda", "trust_remote_code": True}),
        {"convert_to_numpy": True, "normalize_embeddings": True, "show_progress_bar": False},
    ]
    again = p.SentenceTransformerEmbeddingFunction.build_from_config(ef.get_config())
    assert again.get_config() == {
        "model_name": "all-mpnet-base-v2",
        "device": "cuda",
        "normalize_embeddings": True,
        "kwargs": {"trust_remote_code": True},
    }


@pytest.mark.parametrize(("instruction", "sent"), [(None, TEXTS), ("Represent:", [["Represent:", t] for t in TEXTS])])
def test_instructor(fake: Fake, instruction: str | None, sent: list[Any]) -> None:
    calls: list[Any] = []

    class Instructor:
        def __init__(self, name: str, device: str) -> None:
            assert (name, device) == ("hkunlp/instructor-base", "cpu")

        def encode(self, asked: list[Any]) -> Any:
            calls.append(asked)
            return np.array(EXPECTED)

    fake("InstructorEmbedding", INSTRUCTOR=Instructor)
    assert embed(p.InstructorEmbeddingFunction(instruction=instruction), TEXTS).tolist() == EXPECTED
    assert calls == [sent]


def test_text2vec(fake: Fake) -> None:
    class SentenceModel:
        def __init__(self, model_name_or_path: str) -> None:
            assert model_name_or_path == "shibing624/text2vec-base-chinese"

        def encode(self, texts: list[str], convert_to_numpy: bool) -> Any:
            assert convert_to_numpy
            return np.array(vectors(texts))

    fake("text2vec", SentenceModel=SentenceModel)
    assert embed(p.Text2VecEmbeddingFunction(), TEXTS).tolist() == EXPECTED


def test_google_genai(fake: Fake) -> None:
    def embed_content(model: str, contents: list[str]) -> Any:
        assert model == "gemini-embedding-001"
        return SimpleNamespace(embeddings=[SimpleNamespace(values=vector) for vector in vectors(contents)])

    def client(api_key: str) -> Any:
        assert api_key == "key"
        return SimpleNamespace(models=SimpleNamespace(embed_content=embed_content))

    fake("google.genai", Client=client)
    ef = p.GooglePalmEmbeddingFunction("key", "gemini-embedding-001")
    assert embed(ef, TEXTS).tolist() == EXPECTED
    assert embed(ef, ["x"] * 250).shape == (250, 2)


@pytest.mark.parametrize("generation", ["generate_embeddings", "embed_content"])
def test_google_generativeai(fake: Fake, monkeypatch: pytest.MonkeyPatch, generation: str) -> None:
    keys: list[str] = []
    answers = {
        "generate_embeddings": lambda model, text: {"embedding": vectors([text])[0]},
        "embed_content": lambda model, content: {"embedding": vectors(content)},
    }
    fake(
        "google.generativeai",
        configure=lambda **given: keys.append(given["api_key"]),
        **{generation: answers[generation]},
    )
    monkeypatch.setitem(sys.modules, "google.genai", None)
    assert embed(p.GooglePalmEmbeddingFunction("key"), TEXTS).tolist() == EXPECTED
    assert keys == ["key"]


WITH_LIBRARY: list[tuple[Provider, str, str]] = [
    (p.OpenAIEmbeddingFunction("key"), "openai", "openai"),
    (p.CohereEmbeddingFunction("key"), "cohere", "cohere"),
    (p.SentenceTransformerEmbeddingFunction(), "sentence_transformers", "sentence-transformers"),
    (p.InstructorEmbeddingFunction(), "InstructorEmbedding", "InstructorEmbedding"),
    (p.Text2VecEmbeddingFunction(), "text2vec", "text2vec"),
    (p.GooglePalmEmbeddingFunction("key"), "google", "google-genai"),
]


@pytest.mark.parametrize(("ef", "module", "package"), WITH_LIBRARY)
def test_missing_packages_are_named(ef: Provider, module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"needs the package '{package}'.*pip install {package}"):
        embed(ef, TEXTS)


WITH_KEY: list[tuple[type[Provider], str]] = [
    (p.OpenAIEmbeddingFunction, "OPENAI_API_KEY"),
    (p.CohereEmbeddingFunction, "COHERE_API_KEY"),
    (p.HuggingFaceEmbeddingFunction, "HF_TOKEN"),
    (p.GooglePalmEmbeddingFunction, "GOOGLE_API_KEY"),
    (p.GoogleVertexEmbeddingFunction, "CHROMA_GOOGLE_VERTEX_API_KEY"),
]


@pytest.mark.parametrize(("kind", "variable"), WITH_KEY)
def test_keys_come_from_the_environment_and_stay_there(
    kind: type[Provider], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ef = kind.build_from_config({})
    with pytest.raises(EmbeddingFunctionError, match=f"needs a key: give api_key=.*{variable}"):
        ef._key()
    monkeypatch.setenv(variable, "from the environment")
    assert ef._key() == "from the environment"
    given = kind.build_from_config({"api_key": "s3cret", "api_key_env_var": "MINE"})
    assert given._key() == "s3cret"
    assert "s3cret" not in repr(given) + json.dumps(given.get_config())
    assert given.get_config()["api_key_env_var"] == "MINE"


@pytest.mark.parametrize(
    "ef",
    [
        *(ef for ef, _, _ in WITH_LIBRARY),
        p.HuggingFaceEmbeddingFunction("key", "BAAI/bge-small-en-v1.5"),
        p.GoogleVertexEmbeddingFunction("key", region="europe-west1"),
        p.OpenAIEmbeddingFunction("key", "m", dimensions=8, default_headers={"x": "y"}),
    ],
)
def test_configuration_makes_the_same_function(ef: Provider) -> None:
    again = type(ef).build_from_config(ef.get_config())
    assert again.get_config() == json.loads(json.dumps(ef.get_config()))
    assert again.name() == ef.name()


def test_exports_are_chromas() -> None:
    assert all(hasattr(p, name) for name in p.__all__)
    assert len(p.__all__) == 10
