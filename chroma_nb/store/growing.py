"""Arrays that grow at their end while older, shorter views of them stay valid."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

_MAKING = threading.RLock()


class Growing:
    """An append-only array. A view, once handed out, never changes.

    Appending writes behind the last view if there is room and moves to a buffer half as large
    again if not, so that n appends copy O(n) elements in total.

    >>> numbers = Growing(np.arange(3))
    >>> before = numbers.view
    >>> numbers.append(np.array([7]))
    >>> before, numbers.view
    (array([0, 1, 2]), array([0, 1, 2, 7]))
    """

    def __init__(self, values: Array) -> None:
        self._values: Array | None = values
        self._used = len(values)
        self._make: Callable[[], Growing] | None = None

    @classmethod
    def later(cls, length: int, make: Callable[[], Growing]) -> Growing:
        """One of that length that is made when it is first asked for.

        >>> Growing.later(3, lambda: Growing(np.arange(3))).first(2)
        array([0, 1])
        """
        grown = cls(np.empty(0))
        grown._values, grown._used, grown._make = None, length, make
        return grown

    @property
    def _buffer(self) -> Array:
        values = self._values
        return self._made() if values is None else values

    def _made(self) -> Array:
        with _MAKING:
            if self._make is not None:
                self._values, self._make = self._make()._buffer, None
            return cast("Array", self._values)

    @classmethod
    def joined(cls, *parts: Array) -> Growing:
        """A copy of these (at least one, alike but for their lengths), with room as in `unset`.

        >>> Growing.joined(np.arange(2), np.arange(3)).view
        array([0, 1, 0, 1, 2])
        """
        grown = cls.unset((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
        np.concatenate(parts, out=grown.view)
        return grown

    @classmethod
    def unset(cls, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Growing:
        """An array whose view has yet to be set, with room for a quarter more.

        The room costs no memory before it is used, and the first append no copy of everything.

        >>> Growing.unset((3, 2), np.float32).view.shape
        (3, 2)
        """
        used, *row = shape
        grown = cls(np.empty((used + used // 4, *row), dtype=dtype))
        grown._used = used
        return grown

    @property
    def view(self) -> Array:
        """All elements, without a copy."""
        return self._buffer[: self._used]

    def first(self, count: int) -> Array:
        """So many elements, without a copy."""
        return self._buffer[:count]

    def append(self, values: Array) -> None:
        """Add rows of the same shape and dtype at the end."""
        self.write(self._used, values)

    def write(self, at: int, values: Array) -> None:
        """Put rows at a position not handed out yet; what lies behind is forgotten."""
        end = at + len(values)
        if end > len(self._buffer):
            # The first append takes just what it needs: one large add is the common case.
            room = end if len(self._buffer) == 0 else max(end, len(self._buffer) * 3 // 2)
            larger = np.empty((room, *self._buffer.shape[1:]), dtype=self._buffer.dtype)
            larger[:at] = self._buffer[:at]
            self._values = larger
        self._buffer[at:end] = values
        self._used = end
