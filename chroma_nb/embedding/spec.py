"""What an embedding function is, and the JSON that says which one a collection was made with."""

from __future__ import annotations

import functools
import inspect
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import EmbeddingFunctionError, EmbeddingFunctionWarning

# Values under such keys are credentials: they are never written beside the data.
_SECRET_KEY = re.compile(r"(^|[_-])(api_?key|token|secret|password|authorization|headers)$", re.IGNORECASE)

# Chroma's classes have one name per library; the model stands in their configuration.
_CHROMA_NAMES = {
    "cohere": "cohere",
    "google_palm": "google-palm",
    "google_vertex": "google-vertex",
    "huggingface": "huggingface",
    "instructor": "instructor",
    "openai": "openai",
    "sentence_transformer": "sentence-transformers",
    "text2vec": "text2vec",
}
_CHROMA_DEFAULTS = ("default", "onnx_mini_lm_l6_v2")
MINILM_NAME = "all-MiniLM-L6-v2"


class EmbeddingFunction(Protocol):
    """Any callable from a list of n texts to n vectors of one dimension.

    A plain function will do. Chroma's class form may have more, and is then found again by name:
    ``name()``, ``get_config()`` (JSON-able, without keys) and ``build_from_config(config)``; and
    ``embed_query(texts)`` where queries are embedded differently from documents.
    """

    def __call__(self, input: list[str], /) -> Sequence[Sequence[float]] | npt.NDArray[Any]:
        """Embed ``input``, n texts, as n vectors: an array of shape (n, dim) or what converts to one."""
        ...


@dataclass(frozen=True)
class EmbeddingSpec:
    """Which embedding function a collection uses.

    Attributes:
        name: identifies the model, e.g. ``"all-MiniLM-L6-v2"`` or ``"openai:text-embedding-3-small"``.
        config: the rest of what is needed to make it again; JSON-able, never with credentials.

    Raises:
        EmbeddingFunctionError: no name, or a configuration that is not JSON-able.

    >>> spec = EmbeddingSpec("openai:text-embedding-3-small", {"dimensions": 256})
    >>> spec.to_json()
    '{"config": {"dimensions": 256}, "name": "openai:text-embedding-3-small"}'
    >>> EmbeddingSpec.from_json(spec.to_json()) == spec
    True
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise EmbeddingFunctionError(f"The name of an embedding function is a non-empty str, not {self.name!r}.")
        try:
            copied = json.loads(json.dumps(self.config, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise EmbeddingFunctionError(f'The configuration of "{self.name}" is not JSON-able: {error}') from error
        if not isinstance(copied, dict):
            raise EmbeddingFunctionError(f'The configuration of "{self.name}" must be a dict, not {self.config!r}.')
        object.__setattr__(self, "config", copied)

    def to_json(self) -> str:
        """The specification as one line of JSON, the same text for equal specifications."""
        return json.dumps({"name": self.name, "config": self.config}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> EmbeddingSpec:
        """Read what `to_json` wrote.

        Raises:
            EmbeddingFunctionError: the text is not such JSON.
        """
        try:
            found = json.loads(text)
            return cls(found["name"], found.get("config") or {})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise EmbeddingFunctionError(f"Not the specification of an embedding function: {text!r}") from error


def spec_of(ef: EmbeddingFunction) -> EmbeddingSpec:
    """The specification of an embedding function: its name and configuration.

    The name is that of ``name()`` if it has one; else the class of an object, or the name of a function.
    Chroma's own classes are named as in our registry. Credentials are left out of the configuration;
    one that is not JSON-able is left out whole, with an `EmbeddingFunctionWarning`.

    >>> spec_of(lambda texts: [[1.0]] * len(texts))
    EmbeddingSpec(name='<lambda>', config={})
    """
    name = name_of(ef)
    try:
        spec = EmbeddingSpec(name, _without_secrets(_config_of(ef)))
    except EmbeddingFunctionError as error:
        warnings.warn(f"{error} It is kept by name only.", EmbeddingFunctionWarning, stacklevel=2)
        spec = EmbeddingSpec(name)
    return canonical(spec)


def canonical(spec: EmbeddingSpec) -> EmbeddingSpec:
    """The same specification under the name of our registry, if Chroma wrote it under its own.

    >>> canonical(EmbeddingSpec("openai", {"model_name": "text-embedding-3-small"})).name
    'openai:text-embedding-3-small'
    >>> canonical(EmbeddingSpec("default")).name
    'all-MiniLM-L6-v2'
    """
    if spec.name in _CHROMA_DEFAULTS:
        return EmbeddingSpec(MINILM_NAME, spec.config)
    model = spec.config.get("model_name") or spec.config.get("model")
    if spec.name in _CHROMA_NAMES and isinstance(model, str):
        return EmbeddingSpec(f"{_CHROMA_NAMES[spec.name]}:{model}", spec.config)
    return spec


def name_of(ef: object) -> str:
    """The name of an embedding function, for its specification and for messages; never fails.

    >>> name_of(str.upper), name_of(functools.partial(str.upper))
    ('str.upper', 'str.upper')
    """
    named = getattr(ef, "name", None)
    if callable(named):
        try:
            named = named()
        except (TypeError, NotImplementedError, AttributeError):
            named = None
    if isinstance(named, str) and named:
        return named
    if isinstance(ef, functools.partial):
        return name_of(ef.func)
    if isinstance(ef, type) or inspect.isroutine(ef) or inspect.isfunction(ef):
        return str(ef.__qualname__).rpartition("<locals>.")[2]
    return type(ef).__name__


def _config_of(ef: object) -> object:
    """What ``get_config`` says; an empty configuration where there is none."""
    get_config = getattr(ef, "get_config", None)
    if not callable(get_config):
        return {}
    try:
        return get_config() or {}
    except (NotImplementedError, TypeError):  # Chroma's base class raises the first
        return {}


def _without_secrets(config: object) -> Any:
    """The configuration without credentials, at any depth."""
    if isinstance(config, Mapping):
        return {
            key: _without_secrets(value)
            for key, value in config.items()
            if not (isinstance(key, str) and _SECRET_KEY.search(key))
        }
    if isinstance(config, list | tuple):
        return [_without_secrets(value) for value in config]
    return config.item() if isinstance(config, np.generic) else config
