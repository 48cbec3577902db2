from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from chroma_nb.embedding import EmbeddingFunction, embed
from chroma_nb.errors import EmbeddingFunctionError, InvalidDimensionError, ModelNotFoundError


def answering(answer: Any) -> EmbeddingFunction:
    def fixed(texts: list[str]) -> Any:
        return answer

    return fixed


@pytest.mark.parametrize(
    "answer",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        [np.array([1, 2]), np.array([3, 4], dtype=np.float64)],
        np.array([[1, 2], [3, 4]], dtype=np.float16),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 2], [3, 4]], dtype=object),
        (vector for vector in ([1, 2], [3, 4])),
    ],
    ids=["lists", "tuples", "arrays", "half", "fortran", "object", "generator"],
)
def test_many_forms_become_one_float32_matrix(answer: Any) -> None:
    matrix = embed(answering(answer), ["a", "b"])
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert matrix.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_tensors_are_read_through_array_protocol() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
            return np.ones((2, 3), dtype=dtype or np.float32)

    assert embed(answering(Tensor()), ["a", "b"]).shape == (2, 3)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[1.0]] * 3, 'The embedding function "fixed" returned 3 vectors for 4 texts'),
        ([[1.0]], "returned 1 vector for 4 texts"),
        (np.ones((5, 2)), "returned 5 vectors for 4 texts"),
        ([[1.0], [1.0, 2.0], [1.0], [1.0]], "vectors of different dimensions: 1, 2"),
        ([[]] * 4, "returned empty vectors"),
        ([[1.0], [float("nan")], [1.0], [float("inf")]], r"NaN or infinity in 2 of 4 vectors, first for text 1: 'b'"),
        ([[1e300]] * 4, "NaN or infinity in 4 of 4"),
        ([[None]] * 4, "NaN or infinity in 4 of 4"),
        ([[[]], 1, 2, 3], "do not hold numbers only|different dimensions"),
        ([[{}]] * 4, "do not hold numbers only"),
        ([["x"]] * 4, "returned vectors of <U1, not of numbers"),
        ([[True]] * 4, "vectors of bool"),
        ([1.0, 2.0, 3.0, 4.0], "returned 4 single numbers"),
        (np.ones(4), "returned 4 single numbers"),
        (np.ones((4, 2, 2)), r"array of shape \(4, 2, 2\) where \(n, dim\)"),
        (np.float32(1), "returned a single number"),
        (None, "returned None where a list of vectors"),
        (7, "returned a int"),
        ("text", "returned a str"),
        ({"embeddings": [[1.0]]}, "returned a dict"),
    ],
)
def test_wrong_answers_are_named(answer: Any, message: str) -> None:
    with pytest.raises(EmbeddingFunctionError, match=message):
        embed(answering(answer), ["a", "b", "c", "d"])


def test_failure_is_wrapped_with_its_cause() -> None:
    def broken(texts: list[str]) -> Any:
        raise RuntimeError("out of memory")

    with pytest.raises(EmbeddingFunctionError, match=r'"broken" failed on 2 texts: RuntimeError: out of') as info:
        embed(broken, ["a", "b"])
    assert isinstance(info.value.__cause__, RuntimeError)


def test_failure_inside_a_generator_is_wrapped() -> None:
    def broken(texts: list[str]) -> Iterator[list[float]]:
        yield [1.0]
        raise KeyError("b")

    with pytest.raises(EmbeddingFunctionError, match='"broken" failed on 1 text: KeyError'):
        embed(cast("EmbeddingFunction", broken), ["a"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ModelNotFoundError("none here"), InvalidDimensionError("2")])
def test_interrupts_and_own_errors_pass(error: BaseException) -> None:
    def stopped(texts: list[str]) -> Any:
        raise error

    with pytest.raises(type(error)) as info:
        embed(stopped, ["a"])
    assert info.value is error


def test_async_function_is_refused_without_a_warning() -> None:
    async def later(texts: list[str]) -> list[list[float]]:
        return [[1.0]]

    with pytest.raises(EmbeddingFunctionError, match='"later" is asynchronous'):
        embed(cast("EmbeddingFunction", later), ["a"])


def test_parameter_may_have_any_name() -> None:
    def chroma(input: list[str]) -> list[list[float]]:
        return [[1.0] for _ in input]

    class Model:
        def encode(self, sentences: list[str], batch: int = 32) -> list[list[float]]:
            return [[2.0] for _ in sentences]

    assert embed(chroma, ["a"]).tolist() == [[1.0]]
    assert embed(Model().encode, ["a"]).tolist() == [[2.0]]


def test_expected_dimension_is_checked() -> None:
    with pytest.raises(InvalidDimensionError, match='"fixed" returned vectors of 2 dimensions where 3 are expected'):
        embed(answering([[1.0, 2.0]]), ["a"], dimension=3)


def test_no_texts() -> None:
    called: list[int] = []

    class Known:
        dimension = 5

        def __call__(self, input: list[str]) -> Any:
            called.append(1)

    assert embed(answering([]), [], dimension=3).shape == (0, 3)
    assert embed(Known(), []).shape == (0, 5)
    assert embed(Known(), []).dtype == np.float32
    assert called == []
    with pytest.raises(EmbeddingFunctionError, match='the dimension of the embedding function "fixed" is not known'):
        embed(answering([]), [])


def test_one_str_is_not_a_list_of_texts() -> None:
    with pytest.raises(EmbeddingFunctionError, match="a list of str, not one str"):
        embed(answering([[1.0]]), "a")


def numbered(sizes: list[int]) -> EmbeddingFunction:
    def slow(texts: list[str]) -> list[list[float]]:
        sizes.append(len(texts))
        return [[float(text)] for text in texts]

    return slow


def test_progress_calls_in_slices_and_keeps_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    sizes: list[int] = []
    matrix = embed(numbered(sizes), [str(n) for n in range(1_100)], progress=True)
    assert matrix[:, 0].tolist() == list(range(1_100))
    assert sizes == [256] * 4 + [76]
    shown = capsys.readouterr().err
    assert "embedding (slow)" in shown
    assert "1,100/1,100 [" in shown


@pytest.mark.parametrize(("count", "progress"), [(1_000, True), (1_100, False)])
def test_no_bar_means_one_call(count: int, progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    sizes: list[int] = []
    embed(numbered(sizes), [str(n) for n in range(count)], progress=progress)
    assert sizes == [count]
    assert capsys.readouterr().err == ""


def test_dimensions_may_not_change_between_slices() -> None:
    def growing(texts: list[str]) -> list[list[float]]:
        return [[0.0] * (1 + (len(texts) < 256)) for _ in texts]

    with pytest.raises(EmbeddingFunctionError, match='"growing" returned vectors of different dimensions: 1, 2'):
        embed(growing, ["x"] * 1_100, progress=True)


def test_queries_use_embed_query() -> None:
    class Asymmetric:
        def __call__(self, input: list[str]) -> list[list[float]]:
            return [[0.0] for _ in input]

        def embed_query(self, input: list[str]) -> list[list[float]]:
            return [[1.0] for _ in input]

    class LangChain(Asymmetric):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[2.0] for _ in texts]

    assert embed(Asymmetric(), ["a"]).tolist() == [[0.0]]
    assert embed(Asymmetric(), ["a"], query=True).tolist() == [[1.0]]
    assert embed(LangChain(), ["a"], query=True).tolist() == [[0.0]]


def test_function_cannot_change_the_callers_list() -> None:
    def greedy(texts: list[str]) -> list[list[float]]:
        found = [[1.0] for _ in texts]
        texts.clear()
        return found

    texts = ["a", "b"]
    assert embed(greedy, texts).shape == (2, 1)
    assert texts == ["a", "b"]
