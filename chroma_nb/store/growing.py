"""Arrays that grow at their end while older, shorter views of them stay valid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self._buffer = values
        self._used = len(values)

    @classmethod
    def joined(cls, *parts: npt.NDArray[Any]) -> Growing:
        """A copy of these (at least one, alike but for their lengths), with room for a quarter more.

        The room costs no memory before it is used, and the first append no copy of everything.

        >>> Growing.joined(np.arange(2), np.arange(3)).view
        array([0, 1, 0, 1, 2])
        """
        used = sum(map(len, parts))
        grown = cls(np.empty((used + used // 4, *parts[0].shape[1:]), dtype=parts[0].dtype))
        grown._used = used
        np.concatenate(parts, out=grown.view)
        return grown

    @property
    def view(self) -> npt.NDArray[Any]:
        """All elements, without a copy."""
        return self._buffer[: self._used]

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add rows of the same shape and dtype at the end."""
        self.write(self._used, values)

    def write(self, at: int, values: npt.NDArray[Any]) -> None:
        """Put rows at a position not handed out yet; what lies behind is forgotten."""
        end = at + len(values)
        if end > len(self._buffer):
            # The first append takes just what it needs: one large add is the common case.
            room = end if len(self._buffer) == 0 else max(end, len(self._buffer) * 3 // 2)
            larger = np.empty((room, *self._buffer.shape[1:]), dtype=self._buffer.dtype)
            larger[:at] = self._buffer[:at]
            self._buffer = larger
        self._buffer[at:end] = values
        self._used = end
