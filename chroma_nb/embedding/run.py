"""Calling an embedding function, whoever wrote it, and checking what it returned."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from chroma_nb.embedding.spec import EmbeddingFunction, name_of
from chroma_nb.errors import ChromaNbError, EmbeddingFunctionError, InvalidDimensionError
from chroma_nb.progress import bar

Matrix: TypeAlias = npt.NDArray[np.float32]

BAR_FROM = 1_000  # texts; below that a bar only flickers
SLICE = 256  # texts of one call while a bar is shown


def embed(
    ef: EmbeddingFunction,
    texts: Sequence[str],
    *,
    dimension: int | None = None,
    progress: bool = False,
    query: bool = False,
) -> Matrix:
    """Embed texts and check the vectors.

    Args:
        ef: any callable from a list of str to vectors; it is called with one positional argument.
        texts: n texts.
        dimension: the dimension the vectors must have, if it is known already.
        progress: show a tqdm bar above 1,000 texts; the function is then called with 256 at a time.
        query: the texts are queries; used by functions that have Chroma's ``embed_query``.

    Returns:
        An array of shape (n, dim), float32, C-contiguous, in the order of the texts.

    Raises:
        EmbeddingFunctionError: the function failed (its exception is the cause), or did not return one
            finite vector for each text, all of one dimension; or no texts and no known dimension.
        InvalidDimensionError: the vectors do not have ``dimension`` numbers.

    >>> embed(lambda texts: [[len(text), 0.5] for text in texts], ["abc", "de"])
    array([[3. , 0.5],
           [2. , 0.5]], dtype=float32)
    >>> embed(lambda texts: [[1.0]], ["abc", "de"])
    Traceback (most recent call last):
    ...
    chroma_nb.errors.EmbeddingFunctionError: The embedding function "<lambda>" returned 1 vector for 2 texts.
    """
    if isinstance(texts, str):
        raise EmbeddingFunctionError("The texts to embed are a list of str, not one str.")
    texts = list(texts)
    if not texts:
        return np.empty((0, _known_dimension(ef, dimension)), dtype=np.float32)
    call, label = _callable(ef, query=query), name_of(ef)
    embedder = _with_bar if progress and len(texts) > BAR_FROM else _call
    vectors = embedder(call, label, texts)
    if dimension is not None and vectors.shape[1] != dimension:
        raise InvalidDimensionError(
            f'The embedding function "{label}" returned vectors of {vectors.shape[1]} dimensions '
            f"where {dimension} are expected."
        )
    return vectors


def _known_dimension(ef: EmbeddingFunction, dimension: int | None) -> int:
    known = dimension if dimension is not None else getattr(ef, "dimension", None)
    if not isinstance(known, int):
        raise EmbeddingFunctionError(
            f'No texts were given, and the dimension of the embedding function "{name_of(ef)}" is not known yet.'
        )
    return known


def _callable(ef: EmbeddingFunction, *, query: bool) -> Callable[[list[str]], Any]:
    """The function, or its ``embed_query`` for queries.

    LangChain's method of that name takes one str; the objects that have it also have ``embed_documents``.
    """
    embed_query = getattr(ef, "embed_query", None)
    if query and callable(embed_query) and not hasattr(ef, "embed_documents"):
        return embed_query  # type: ignore[no-any-return]
    return ef


def _with_bar(call: Callable[[list[str]], Any], label: str, texts: list[str]) -> Matrix:
    parts: list[Matrix] = []
    with bar(f"embedding ({label})", "texts") as move:
        move(0, len(texts))
        for start in range(0, len(texts), SLICE):
            part = texts[start : start + SLICE]
            parts.append(_call(call, label, part))
            move(start + len(part), len(texts))
    sizes = sorted({part.shape[1] for part in parts})
    if len(sizes) > 1:
        raise _complaint(label, f"returned vectors of different dimensions: {_listing(sizes)}.")
    return np.concatenate(parts)


def _call(call: Callable[[list[str]], Any], label: str, texts: list[str]) -> Matrix:
    """One call, its result checked. Interrupts are no `Exception` and pass, as our own errors do."""
    try:
        answer = call(list(texts))
        rows = answer if isinstance(answer, np.ndarray | str | bytes) else _rows(answer, label)
    except ChromaNbError:
        raise
    except Exception as error:
        raise _complaint(label, f"failed on {_count(texts)}: {type(error).__name__}: {error}") from error
    return _checked(rows, label, texts)


def _rows(answer: object, label: str) -> Any:
    """Take vectors out of whatever holds them: a list, a tuple, a generator, a tensor."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise _complaint(label, "is asynchronous; give a function that returns the vectors themselves.")
    if hasattr(answer, "__array__"):
        return np.asarray(answer)
    if isinstance(answer, dict) or not isinstance(answer, Iterable):
        raise _complaint(label, f"returned {_kind(answer)} where a list of vectors is expected.")
    return list(answer)


def _checked(rows: Any, label: str, texts: list[str]) -> Matrix:
    if isinstance(rows, np.ndarray) and rows.ndim == 0:
        raise _complaint(label, "returned a single number where a list of vectors is expected.")
    if isinstance(rows, str | bytes):
        raise _complaint(label, f"returned {_kind(rows)} where a list of vectors is expected.")
    if len(rows) and all(np.ndim(row) == 0 and not isinstance(row, str) for row in rows[:3]):
        raise _complaint(label, f"returned {len(rows)} single numbers where a list of vectors is expected.")
    if len(rows) != len(texts):
        vectors = "vector" if len(rows) == 1 else "vectors"
        raise _complaint(label, f"returned {len(rows)} {vectors} for {_count(texts)}.")
    matrix = _numbers(rows, label)
    if matrix.shape[1] == 0:
        raise _complaint(label, "returned empty vectors.")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        first = texts[int(bad[0])]
        shown = repr(first if len(first) <= 40 else first[:40] + "...")
        raise _complaint(
            label, f"returned NaN or infinity in {bad.size} of {len(texts)} vectors, first for text {bad[0]}: {shown}."
        )
    return matrix


def _numbers(rows: Any, label: str) -> Matrix:
    """The rows as one array of shape (n, dim), float32."""
    try:
        raw = np.asarray(rows)
    except (ValueError, TypeError):  # vectors of several lengths
        raw = np.empty(0, dtype=object)
    if raw.dtype.kind == "O" and isinstance(rows, list | np.ndarray):
        try:
            raw = np.stack([np.asarray(row, dtype=np.float32) for row in rows])
        except (ValueError, TypeError) as error:
            raise _complaint(label, _ragged(rows)) from error
    if raw.dtype.kind not in "fiu":
        raise _complaint(label, f"returned vectors of {raw.dtype}, not of numbers.")
    if raw.ndim != 2:
        raise _complaint(label, f"returned an array of shape {raw.shape} where (n, dim) is expected.")
    with np.errstate(over="ignore"):  # beyond float32: infinity, reported below
        return np.ascontiguousarray(raw, dtype=np.float32)


def _ragged(rows: Iterable[Any]) -> str:
    sizes = sorted({len(row) for row in rows if hasattr(row, "__len__") and not isinstance(row, str)})
    if len(sizes) > 1:
        return f"returned vectors of different dimensions: {_listing(sizes)}."
    return "returned vectors that do not hold numbers only."


def _complaint(label: str, what: str) -> EmbeddingFunctionError:
    return EmbeddingFunctionError(f'The embedding function "{label}" {what}')


def _count(texts: list[str]) -> str:
    return f"{len(texts)} text{'s' if len(texts) != 1 else ''}"


def _listing(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes[:5])) + (", ..." if len(sizes) > 5 else "")


def _kind(answer: object) -> str:
    return "None" if answer is None else f"a {type(answer).__name__}"
