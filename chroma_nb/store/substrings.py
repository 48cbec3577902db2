"""Which texts contain a text: a search of all of them at once, as one stretch of bytes.

Arrow searches text by text, which costs 0.1 us and more for each: 10 ms for 100,000 of 90 characters. Here numpy
compares all bytes with the two rarest of the pattern, and only where both stand with the others: 2 to 3 ms. Bytes
will do, for in UTF-8 those of one character never begin within another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chroma_nb.types import BoolArray, IntArray

# Bytes compared at once: what numpy makes of them stays in the cache, and small.
_PIECE = 1 << 18
# How rare bytes are is seen in so many stretches of so many bytes; where more than this share of them would have to be
# looked at, Arrow is faster.
_SAMPLES, _SAMPLE = 16, 256
_MOST_LOOKED_AT = 0.01
_WORD = 8

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Needle:
    """A text to look for.

    Attributes:
        text: not empty.
        order: the places of its bytes, the rarest first.
    """

    text: _Bytes
    order: tuple[int, ...]

    @classmethod
    def among(cls, texts: pa.Array, pattern: str) -> Needle | None:
        """Of a pattern to be looked for in texts like these; None: Arrow finds it faster.

        Args:
            texts: Arrow ``large_string``; only some of them are looked at.
            pattern: what to look for.
        """
        stretch = _sample(_stretch(texts)[1])
        text = np.frombuffer(pattern.encode(errors="surrogatepass"), dtype=np.uint8)
        if not len(text) or not len(stretch):
            return None
        order = np.argsort(np.bincount(stretch, minlength=256)[text], kind="stable")
        needle = cls(text, tuple(order.tolist()))
        return needle if len(needle._candidates(stretch)) <= _MOST_LOOKED_AT * len(stretch) else None

    def within(self, texts: pa.Array) -> BoolArray:
        """Which texts (Arrow ``large_string``) contain it, bool (n,); nulls do not.

        >>> texts = pa.array(["a river", None, "ri", "ver"], pa.large_string())
        >>> Needle(np.frombuffer(b"river", np.uint8), order=(2, 0, 1, 3, 4)).within(texts)
        array([ True, False, False, False])
        """
        stops, stretch = _stretch(texts)
        found = np.zeros(len(texts), dtype=np.bool_)
        overlap = len(self.text) - 1
        for start in range(0, len(stretch) - overlap, _PIECE):
            at = self._places(stretch[start : start + _PIECE + overlap]) + start
            rows = np.searchsorted(stops, at, side="right") - 1
            # Not what begins in one text and ends in the next.
            found[rows[at + len(self.text) <= stops[rows + 1]]] = True
        if texts.null_count:
            found &= texts.is_valid().to_numpy(zero_copy_only=False)
        return found

    def _places(self, stretch: _Bytes) -> IntArray:
        """Where the text begins in some bytes, ascending."""
        at = self._candidates(stretch)
        for place in self.order[2:]:
            at = at[stretch[at + place] == self.text[place]]
        return at

    def _candidates(self, stretch: _Bytes) -> IntArray:
        """Where it would begin, as its two rarest bytes stand there."""
        count = len(stretch) - len(self.text) + 1
        if count <= 0:
            return np.empty(0, dtype=np.int64)
        first, second = self.order[0], self.order[min(1, len(self.order) - 1)]
        hit = stretch[first : first + count] == self.text[first]
        if second != first:
            hit &= stretch[second : second + count] == self.text[second]
        return _nonzero(hit)


def _sample(stretch: _Bytes) -> _Bytes:
    """Some bytes, evenly from everywhere."""
    if len(stretch) <= _SAMPLES * _SAMPLE:
        return stretch
    starts = np.linspace(0, len(stretch) - _SAMPLE, _SAMPLES).astype(np.int64)
    return np.take(stretch, (starts[:, None] + np.arange(_SAMPLE)).ravel())


def _stretch(texts: pa.Array) -> tuple[IntArray, _Bytes]:
    """Where each text begins, and after the last one the end, int64 (n + 1,), in the bytes of all."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts) + 1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    stops = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return stops - stops[0], np.frombuffer(data, dtype=np.uint8)[stops[0] : stops[-1]]


def _nonzero(hit: BoolArray) -> IntArray:
    """As ``np.flatnonzero``, several times faster where little is true."""
    whole = len(hit) // _WORD * _WORD
    words = np.flatnonzero(hit[:whole].view(np.uint64) != 0)
    rows, columns = np.nonzero(hit[:whole].reshape(-1, _WORD)[words])
    return np.concatenate([words[rows] * _WORD + columns, whole + np.flatnonzero(hit[whole:])])
