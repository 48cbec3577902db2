"""What the embedding functions of other libraries and services have in common."""

from __future__ import annotations

import dataclasses
import os
import threading
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from chroma_nb.errors import EmbeddingFunctionError, EmbeddingFunctionWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    import numpy.typing as npt


Vectors: TypeAlias = "Sequence[Sequence[float]] | npt.NDArray[Any]"

SECRET = {"secret": True}  # metadata of dataclass fields that are not written down


class Provider(ABC):
    """Base of the provider classes: dataclasses whose fields are Chroma's constructor arguments.

    A subclass says how to connect (once, at the first call) and how to embed.
    """

    family: ClassVar[str]
    key_variables: ClassVar[tuple[str, ...]] = ()  # looked at after api_key_env_var

    model_name: str

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None

    def __call__(self, input: list[str] | str) -> Vectors:
        """Embed n texts: n vectors of the model's dimension.

        Raises:
            MissingDependencyError: the client library is not installed.
            EmbeddingFunctionError: no key, or an answer of another form.
        """
        return self._embed([input] if isinstance(input, str) else list(input))

    @abstractmethod
    def _connect(self) -> Any:
        """The client or model; called once."""

    @abstractmethod
    def _embed(self, texts: list[str]) -> Vectors:
        """The vectors of n texts."""

    @property
    def connection(self) -> Any:
        """The client or model, made at the first use."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection

    def name(self) -> str:
        """The name in the registry: ``"family:MODEL"``."""
        return f"{self.family}:{self.model_name}"

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments, without keys and without those left at None."""
        found = {field.name: getattr(self, field.name) for field in self._fields() if not field.metadata.get("secret")}
        return {key: value for key, value in found.items() if value is not None}

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Self:
        """Make the function again from what `get_config` (or Chroma's) said.

        Settings of other versions that this class does not know are left out with an
        `EmbeddingFunctionWarning`.
        """
        names = {field.name for field in cls._fields()}
        unknown = sorted(key for key in config if key not in names)
        if unknown:
            warnings.warn(
                f"{cls.__name__} does not know the settings {', '.join(unknown)}; they are left out.",
                EmbeddingFunctionWarning,
                stacklevel=2,
            )
        return cls(**{key: value for key, value in config.items() if key in names})

    @classmethod
    def _fields(cls) -> tuple[dataclasses.Field[Any], ...]:
        return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()

    def _key(self) -> str:
        """The key of the service: the argument, or the first environment variable that has one."""
        given = getattr(self, "api_key", None)
        variables = tuple(dict.fromkeys((getattr(self, "api_key_env_var", ""), *self.key_variables)))
        found = given or next((os.environ[name] for name in variables if os.environ.get(name)), None)
        if not found:
            raise EmbeddingFunctionError(
                f'"{self.name()}" needs a key: give api_key=..., or set the environment variable '
                f"{' or '.join(filter(None, variables))}."
            )
        return str(found)


def slices(texts: list[str], count: int, characters: int) -> Iterator[list[str]]:
    """Cut texts into requests of at most ``count`` texts and, unless one alone is longer, ``characters``.

    >>> list(slices(["aa", "bb", "cc"], 2, 100)), list(slices(["aa", "bb", "cc"], 9, 4))
    ([['aa', 'bb'], ['cc']], [['aa', 'bb'], ['cc']])
    """
    part: list[str] = []
    size = 0
    for text in texts:
        if part and (len(part) == count or size + len(text) > characters):
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text)
    if part:
        yield part
