from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np
import pytest

from chroma_nb.embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    EmbeddingSpec,
    WordLlamaEmbeddingFunction,
    providers,
    rebuild,
    register,
    resolve,
    spec_of,
)
from chroma_nb.embedding import registry as registry_module
from chroma_nb.errors import EmbeddingFunctionError, EmbeddingFunctionWarning


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_factories", dict(registry_module._factories))


def ones(texts: list[str]) -> list[list[float]]:
    return [[1.0] for _ in texts]


class Plain:
    def __call__(self, input: list[str]) -> list[list[float]]:
        return ones(input)

    def other(self, texts: list[str]) -> list[list[float]]:
        return ones(texts)


class ChromaForm(Plain):
    def __init__(self, size: int = 1) -> None:
        self.size = size

    @staticmethod
    def name() -> str:
        return "mine"

    def get_config(self) -> dict[str, Any]:
        return {"size": self.size}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> ChromaForm:
        return ChromaForm(config["size"])


@pytest.mark.parametrize(
    ("ef", "name"),
    [
        (ones, "ones"),
        (lambda texts: [[1.0]], "<lambda>"),
        (functools.partial(ones), "ones"),
        (Plain(), "Plain"),
        (Plain().other, "Plain.other"),
        (ChromaForm(), "mine"),
        (DefaultEmbeddingFunction(), "all-MiniLM-L6-v2"),
        (providers.ONNXMiniLM_L6_V2(), "all-MiniLM-L6-v2"),
        (WordLlamaEmbeddingFunction(), "wordllama"),
        (providers.OpenAIEmbeddingFunction("key", "text-embedding-3-small"), "openai:text-embedding-3-small"),
        (
            providers.SentenceTransformerEmbeddingFunction("all-mpnet-base-v2"),
            "sentence-transformers:all-mpnet-base-v2",
        ),
    ],
)
def test_names(ef: EmbeddingFunction, name: str) -> None:
    assert spec_of(ef).name == name


def test_a_nested_function_is_named_without_its_surroundings() -> None:
    def inner(texts: list[str]) -> list[list[float]]:
        return ones(texts)

    assert spec_of(inner).name == "inner"


def test_unfinished_chroma_class_is_named_by_its_class() -> None:
    class Unfinished(Plain):
        def name(self) -> str:
            raise NotImplementedError

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError

    assert spec_of(Unfinished()) == EmbeddingSpec("Unfinished")


def test_json_round_trip() -> None:
    spec = EmbeddingSpec("mine", {"b": [1, None], "a": {"x": 1.5, "text": "日本"}})
    assert EmbeddingSpec.from_json(spec.to_json()) == spec
    assert EmbeddingSpec.from_json('{"name": "x", "config": null}') == EmbeddingSpec("x")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": ""}', '{"name": "x", "config": [1]}', "null"])
def test_foreign_json_is_refused(text: str) -> None:
    with pytest.raises(EmbeddingFunctionError, match=r"Not the specification|non-empty str|must be a dict"):
        EmbeddingSpec.from_json(text)


def test_a_spec_keeps_its_own_copy() -> None:
    config = {"sizes": [1]}
    spec = EmbeddingSpec("mine", config)
    config["sizes"].append(2)
    assert spec.config == {"sizes": [1]}


@pytest.mark.parametrize("config", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}])
def test_a_spec_refuses_what_is_no_json(config: dict[str, Any]) -> None:
    with pytest.raises(EmbeddingFunctionError, match='configuration of "mine" is not JSON-able'):
        EmbeddingSpec("mine", config)


def test_strange_configuration_is_left_out_with_a_warning() -> None:
    class Strange(ChromaForm):
        def get_config(self) -> dict[str, Any]:
            return {"model": object()}

    with pytest.warns(EmbeddingFunctionWarning, match="not JSON-able.*kept by name only"):
        assert spec_of(Strange()) == EmbeddingSpec("mine")


def test_credentials_are_left_out_at_any_depth() -> None:
    class Careless(ChromaForm):
        def get_config(self) -> dict[str, Any]:
            return {
                "api_key": "s3cret",
                "api_key_env_var": "MY_KEY",
                "max_tokens": 5,
                "size": np.int64(3),
                "client": [
                    {"Authorization": "s3cret", "hf_token": "s3cret", "url": "x", "default_headers": {"a": "b"}}
                ],
            }

    spec = spec_of(Careless())
    assert spec.config == {"api_key_env_var": "MY_KEY", "max_tokens": 5, "size": 3, "client": [{"url": "x"}]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("all-MiniLM-L6-v2", DefaultEmbeddingFunction),
        ("default", DefaultEmbeddingFunction),
        ("ALL-minilm-l6-v2", DefaultEmbeddingFunction),
        ("sentence-transformers/all-MiniLM-L6-v2", DefaultEmbeddingFunction),
        ("wordllama", WordLlamaEmbeddingFunction),
        ("openai", providers.OpenAIEmbeddingFunction),
        ("openai:text-embedding-3-large", providers.OpenAIEmbeddingFunction),
        ("cohere:embed-v4.0", providers.CohereEmbeddingFunction),
        ("sentence-transformers:all-mpnet-base-v2", providers.SentenceTransformerEmbeddingFunction),
        ("sentence_transformer:all-mpnet-base-v2", providers.SentenceTransformerEmbeddingFunction),
        ("huggingface:BAAI/bge-small-en-v1.5", providers.HuggingFaceEmbeddingFunction),
        ("instructor:hkunlp/instructor-xl", providers.InstructorEmbeddingFunction),
        ("text2vec", providers.Text2VecEmbeddingFunction),
        ("google-palm:models/embedding-001", providers.GooglePalmEmbeddingFunction),
        ("google_vertex:text-embedding-005", providers.GoogleVertexEmbeddingFunction),
    ],
)
def test_names_resolve(name: str, kind: type) -> None:
    ef = resolve(name)
    assert type(ef) is kind
    again = rebuild(spec_of(cast("EmbeddingFunction", ef)))
    assert again is not None
    assert type(again) is kind
    assert spec_of(again) == spec_of(cast("EmbeddingFunction", ef))


def test_callables_and_none_pass_through() -> None:
    assert resolve(None) is None
    assert resolve(ones) is ones


@pytest.mark.parametrize(
    ("ef", "message"),
    [
        ("wordlama", 'named "wordlama". Did you mean "wordllama"'),
        ("opnai:text-embedding-3-small", 'Did you mean "openai"\\? Models follow a colon'),
        ("zebra", 'Available: "all-MiniLM-L6-v2", "default", "wordllama"'),
        ("openai:", "lacks the model after the colon"),
        ("wordllama:64", "takes no model"),
        ("", "is a non-empty str, not ''"),
        (7, r"7 is not an embedding function. An embedding function is a callable that takes a list of str"),
        (DefaultEmbeddingFunction, r"give an instance: DefaultEmbeddingFunction\(\)"),
    ],
)
def test_what_cannot_be_resolved_says_why(ef: Any, message: str) -> None:
    with pytest.raises(EmbeddingFunctionError, match=message):
        resolve(ef)


@pytest.mark.parametrize("method", ["embed_documents", "encode"])
def test_models_that_cannot_be_called_name_their_method(method: str) -> None:
    model = type("Model", (), {method: lambda self, texts: ones(texts)})()
    with pytest.raises(EmbeddingFunctionError, match=rf"A Model cannot be called; give its method \.{method} instead"):
        resolve(model)


@pytest.mark.parametrize("name", ["<lambda>", "ones", "mine", "mine:x"])
def test_unknown_functions_are_not_rebuilt(name: str) -> None:
    assert rebuild(EmbeddingSpec(name, {"a": 1})) is None


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("default", {}, "all-MiniLM-L6-v2"),
        ("onnx_mini_lm_l6_v2", {"preferred_providers": None}, "all-MiniLM-L6-v2"),
        (
            "sentence_transformer",
            {"model_name": "all-mpnet-base-v2", "device": "cpu", "normalize_embeddings": True, "kwargs": {}},
            "sentence-transformers:all-mpnet-base-v2",
        ),
        (
            "openai",
            {"api_key_env_var": "MY_KEY", "model_name": "text-embedding-3-small", "dimensions": None},
            "openai:text-embedding-3-small",
        ),
    ],
)
def test_what_chroma_kept_is_understood(name: str, config: dict[str, Any], expected: str) -> None:
    ef = rebuild(EmbeddingSpec(name, config))
    assert ef is not None
    assert spec_of(ef).name == expected


def test_settings_of_other_versions_are_left_out_with_a_warning() -> None:
    with pytest.warns(EmbeddingFunctionWarning, match="OpenAIEmbeddingFunction does not know the settings flavour"):
        assert rebuild(EmbeddingSpec("openai:m", {"flavour": "new"})) is not None


def test_registered_class_is_rebuilt_with_its_configuration() -> None:
    register("mine", ChromaForm)
    ef = rebuild(spec_of(ChromaForm(7)))
    assert isinstance(ef, ChromaForm)
    assert ef.size == 7


def test_registered_plain_function_answers_to_its_name() -> None:
    register("constant", lambda: ones)
    ef = resolve("constant")
    assert ef is not None
    assert spec_of(ef) == EmbeddingSpec("constant")
    assert ef(["a"]) == [[1.0]]
    again = rebuild(spec_of(ef))
    assert again is not None
    assert again(["a", "b"]) == [[1.0], [1.0]]


def test_registered_family_gets_the_model() -> None:
    register("family", lambda model_name: lambda texts: [[float(model_name)] for _ in texts])
    ef = resolve("family:2")
    assert ef is not None
    assert ef(["a"]) == [[2.0]]
    assert spec_of(ef).name == "family:2"


def test_factories_that_fail_are_named() -> None:
    register("silent", lambda: cast("EmbeddingFunction", None))
    with pytest.raises(EmbeddingFunctionError, match='"silent" returned None'):
        resolve("silent")
    register("bare", lambda: ones)
    with pytest.raises(EmbeddingFunctionError, match='"bare" cannot be made from'):
        rebuild(EmbeddingSpec("bare", {"x": 1}))


@pytest.mark.parametrize(("name", "factory"), [("", ones), ("a:b", ones), (3, ones), ("good", 3)])
def test_register_checks_its_arguments(name: Any, factory: Any) -> None:
    with pytest.raises(EmbeddingFunctionError, match=r"is a non-empty str|A factory is a callable"):
        register(name, factory)
