"""Names of embedding functions, and the ways from a name or a specification to the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from chroma_nb.embedding import providers
from chroma_nb.embedding.minilm import DefaultEmbeddingFunction
from chroma_nb.embedding.spec import MINILM_NAME, EmbeddingFunction, EmbeddingSpec, canonical, name_of
from chroma_nb.embedding.static import WordLlamaEmbeddingFunction
from chroma_nb.errors import EmbeddingFunctionError, suggest

if TYPE_CHECKING:
    import numpy.typing as npt

Factory = Callable[..., EmbeddingFunction]

# Called with the configuration as keywords; the part of a name after ":" is the keyword model_name.
_factories: dict[str, Factory] = {
    MINILM_NAME: DefaultEmbeddingFunction,
    "default": DefaultEmbeddingFunction,
    "wordllama": WordLlamaEmbeddingFunction,
    "cohere": providers.CohereEmbeddingFunction,
    "google-palm": providers.GooglePalmEmbeddingFunction,
    "google-vertex": providers.GoogleVertexEmbeddingFunction,
    "huggingface": providers.HuggingFaceEmbeddingFunction,
    "instructor": providers.InstructorEmbeddingFunction,
    "openai": providers.OpenAIEmbeddingFunction,
    "sentence-transformers": providers.SentenceTransformerEmbeddingFunction,
    "text2vec": providers.Text2VecEmbeddingFunction,
}
_WITHOUT_MODEL = frozenset({MINILM_NAME, "default", "wordllama"})
_ALIASES = {
    "all-minilm-l6-v2": MINILM_NAME,
    f"sentence-transformers/{MINILM_NAME}".lower(): MINILM_NAME,
    "google-palm": "google-palm",
    "sentence-transformer": "sentence-transformers",
    "onnx-mini-lm-l6-v2": MINILM_NAME,
}
_ACCEPTED = (
    "An embedding function is a callable that takes a list of str and returns one vector for each, "
    f'or the name of one, such as "{MINILM_NAME}", "wordllama" or "openai:text-embedding-3-small", or None.'
)


class _Registered:
    """A plain function that came out of the registry and answers to the name it has there."""

    def __init__(self, name: str, config: dict[str, Any], function: EmbeddingFunction) -> None:
        self._name = name
        self._config = config
        self._function = function

    def __call__(self, input: list[str]) -> Sequence[Sequence[float]] | npt.NDArray[Any]:
        return self._function(input)

    def __repr__(self) -> str:
        return f"<embedding function {self._name!r}>"

    def name(self) -> str:
        return self._name

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)


def register(name: str, factory: Factory) -> None:
    """Make an embedding function known by name, in this process.

    Args:
        name: the name, without ":"; an existing one is replaced.
        factory: a class or function that returns the embedding function. It is called without arguments
            for ``name``, with ``model_name="x"`` for ``name:x``, and with the kept configuration as
            keywords when a collection is opened again (a class with ``build_from_config`` gets it there).

    Raises:
        EmbeddingFunctionError: the name is no text or holds ":", or the factory is not callable.

    >>> register("constant", lambda: lambda texts: [[1.0, 0.0] for _ in texts])
    >>> constant = resolve("constant")
    >>> constant(["a", "b"])
    [[1.0, 0.0], [1.0, 0.0]]
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise EmbeddingFunctionError(f'The name of an embedding function is a non-empty str without ":", not {name!r}.')
    if not callable(factory):
        raise EmbeddingFunctionError(f"A factory is a callable that returns an embedding function, not {factory!r}.")
    _factories[name] = factory


def resolve(ef: str | EmbeddingFunction | None) -> EmbeddingFunction | None:
    """The embedding function that a name stands for; a callable and None pass through.

    Args:
        ef: ``"all-MiniLM-L6-v2"`` (or ``"default"``), ``"wordllama"``, ``"openai:MODEL"``,
            ``"cohere:MODEL"``, ``"sentence-transformers:MODEL"``, ``"huggingface:MODEL"``,
            ``"instructor:MODEL"``, ``"text2vec:MODEL"``, ``"google-palm:MODEL"``,
            ``"google-vertex:MODEL"``, a name given to `register`, a callable, or None.

    Returns:
        The function; nothing is loaded and no key is asked for before its first call.

    Raises:
        EmbeddingFunctionError: an unknown name (with the close ones), or an object that cannot be called.

    >>> resolve("all-MiniLM-L6-v2")
    DefaultEmbeddingFunction()
    >>> resolve("word-llama")
    Traceback (most recent call last):
    ...
    chroma_nb.errors.EmbeddingFunctionError: No embedding function is named "word-llama". Did you mean "wordllama"?
    """
    if ef is None:
        return None
    if isinstance(ef, str):
        return _make(EmbeddingSpec(ef))
    given: object = ef
    if isinstance(given, type):
        raise EmbeddingFunctionError(f"{given.__name__} is a class; give an instance: {given.__name__}().")
    return ef if callable(given) else _reject(given)


def rebuild(spec: EmbeddingSpec) -> EmbeddingFunction | None:
    """Make the embedding function of a specification again.

    Args:
        spec: what `spec_of` said, or a name and configuration that Chroma 1.x kept.

    Returns:
        The function, or None if no registered name is meant: a function of the user's own.

    Raises:
        EmbeddingFunctionError: the name is known and its configuration is refused.

    >>> rebuild(EmbeddingSpec("sentence-transformers:all-mpnet-base-v2", {"device": "cpu"})).model_name
    'all-mpnet-base-v2'
    >>> print(rebuild(EmbeddingSpec("<lambda>")))
    None
    """
    spec = canonical(spec)
    return _make(spec) if _split(spec.name)[0] in _factories else None


def _make(spec: EmbeddingSpec) -> EmbeddingFunction:
    """Call the factory of a name."""
    key, model = _split(spec.name)
    if key not in _factories:
        raise EmbeddingFunctionError(_unknown(spec.name))
    if model is not None and (not model or key in _WITHOUT_MODEL):
        what = "takes no model" if model else "lacks the model after the colon"
        raise EmbeddingFunctionError(f'The name "{spec.name}" {what}.')
    factory = _factories[key]
    config = dict(spec.config) if model is None else {**spec.config, "model_name": model}
    from_config = getattr(factory, "build_from_config", None)
    try:
        made = from_config(config) if callable(from_config) else factory(**config)
    except (TypeError, ValueError) as error:
        raise EmbeddingFunctionError(f'"{spec.name}" cannot be made from {config}: {error}') from error
    if not callable(made):
        raise EmbeddingFunctionError(f'The factory of "{spec.name}" returned {made!r}. {_ACCEPTED}')
    known = _split(canonical(EmbeddingSpec(name_of(made))).name)[0] in _factories
    return cast("EmbeddingFunction", made if known else _Registered(spec.name, spec.config, made))


def _split(name: str) -> tuple[str, str | None]:
    """The key in the registry, and the model after the colon if there is one."""
    family, colon, model = name.partition(":")
    if family not in _factories:
        folded = family.lower().replace("_", "-")
        family = _ALIASES.get(folded, folded if folded in _factories else family)
    return family, model if colon else None


def _unknown(name: str) -> str:
    family, colon, _ = name.partition(":")
    hint = suggest(family, [known for known in _factories if not colon or known not in _WITHOUT_MODEL])
    model = ' Models follow a colon, as in "openai:text-embedding-3-small".' if colon else ""
    return f'No embedding function is named "{name}".{hint}{model}'


def _reject(ef: object) -> Any:
    for method in ("embed_documents", "encode"):
        if callable(getattr(ef, method, None)):
            raise EmbeddingFunctionError(f"A {type(ef).__name__} cannot be called; give its method .{method} instead.")
    raise EmbeddingFunctionError(f"{ef!r} is not an embedding function. {_ACCEPTED}")
