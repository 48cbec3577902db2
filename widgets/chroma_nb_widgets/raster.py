"""Pictures of maps without a browser: points, a selection and a query as a PNG, by numpy alone.

Points are discs on a canvas that is two or three times as fine as the picture; it is averaged down at the end, which
gives smooth edges. The canvas holds indexes into a table of colours.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from chroma_nb_widgets.map.interface import NO_VALUE, Colours, Mask, Overlay, Points

DRAWN = 150_000
"""More points than this are sampled: the picture would look the same."""
_MARGIN = 18  # pixels
_CHUNK = 50_000  # points stamped together
_GREY = "#9a9a9a"
_LIGHT = ("#ffffff", "#d9dce0", "#24292f", "#6b7480", "#d55e00")  # background, faint, ring, line, query
_DARK = ("#111418", "#343a42", "#e6e8eb", "#aeb6c0", "#ff8c3a")
_BACKGROUND, _FAINT, _RING, _LINE, _QUERY, _NOTHING = range(6)
_FIRST = 6  # of the palette's colours in the table, after _NOTHING; their paler shades follow

_Offsets: TypeAlias = npt.NDArray[np.int64]


def size_of_points(count: int) -> float:
    """Diameter in pixels that shows so many points well.

    >>> size_of_points(10), size_of_points(1_000_000)
    (9.0, 2.0)
    """
    return float(np.clip(13.0 - 2.1 * math.log10(max(count, 1)), 2.0, 9.0))


def map_png(
    xy: Points,
    colours: Colours,
    *,
    selected: Mask | None = None,
    visible: Mask | None = None,
    overlay: Overlay | None = None,
    width: int = 800,
    height: int = 480,
    dark: bool = False,
) -> bytes:
    r"""A picture of a map.

    Args:
        xy: places, float32 (n, 2), finite.
        colours: of the n points.
        selected: bool (n,); the others are paler. None when nothing is selected.
        visible: bool (n,); the others are faint. None for all.
        overlay: a query with its hits.
        width: in pixels.
        height: in pixels.
        dark: on a dark ground.

    Returns:
        A PNG.

    >>> from chroma_nb_widgets.map.interface import plain
    >>> map_png(np.zeros((1, 2), dtype=np.float32), plain(1), width=40, height=30)[:4]
    b'\x89PNG'
    """
    canvas = _Canvas(width, height, 3 if len(xy) <= 20_000 else 2)
    places = canvas.places(xy)
    codes = colours.codes.astype(np.int64)
    drawn = np.ones(len(xy), dtype=np.bool_)
    if colours.hidden:
        drawn &= ~np.isin(codes, list(colours.hidden))
    shown = drawn if visible is None else drawn & visible
    shades = np.where(codes == NO_VALUE, _NOTHING, codes + _FIRST)
    radius = size_of_points(len(xy)) / 2
    canvas.discs(places, _mixed(drawn & ~shown), np.full(len(xy), _FAINT), radius)
    if selected is None:
        canvas.discs(places, _mixed(shown), shades, radius)
    else:
        pale = np.where(codes == NO_VALUE, _FAINT, shades + len(colours.palette))
        canvas.discs(places, _mixed(shown & ~selected), pale, radius)
        canvas.discs(places, _mixed(shown & selected), shades, radius, rim=True)
    if overlay is not None:
        canvas.query(places, overlay)
    return _png(canvas.pixels(_table(colours.palette, _DARK if dark else _LIGHT)))


def _mixed(mask: Mask) -> npt.NDArray[np.int64]:
    """Positions in an order without meaning, always the same: no category lies on top because it came last."""
    found = np.flatnonzero(mask)
    mixed = np.random.default_rng(0).permutation(found)
    return mixed[:DRAWN]


class _Canvas:
    """Indexes of colours, ``fine`` times as many as pixels in each direction."""

    def __init__(self, width: int, height: int, fine: int) -> None:
        self._width, self._height, self._fine = width, height, fine
        self._cells = np.zeros((height * fine, width * fine), dtype=np.uint16)

    def places(self, xy: Points) -> npt.NDArray[np.int64]:
        """Cells (n, 2) of points: the map in the middle, its proportions kept."""
        self._middle, self._scale = np.zeros(2), 1.0
        if len(xy):
            low, high = xy.min(axis=0).astype(np.float64), xy.max(axis=0).astype(np.float64)
            room = np.asarray([self._width, self._height]) - 2 * _MARGIN
            with np.errstate(divide="ignore"):
                self._scale = float(np.min(room / (high - low))) if (high > low).any() else 1.0
            self._middle = (low + high) / 2
        return self._cell(xy)

    def _cell(self, xy: npt.ArrayLike) -> npt.NDArray[np.int64]:
        moved = (np.asarray(xy, dtype=np.float64) - self._middle) * self._scale * [1, -1]
        moved += [self._width / 2, self._height / 2]
        cells: npt.NDArray[np.int64] = np.rint(moved * self._fine).astype(np.int64)
        return cells

    def discs(
        self,
        places: npt.NDArray[np.int64],
        order: npt.NDArray[np.int64],
        shades: npt.NDArray[np.int64],
        radius: float,
        *,
        rim: bool = False,
    ) -> None:
        """A disc at each of the places in that order, the last on top; with a rim in the colour of the ground."""
        inner = self._ring(0, radius)
        outer = self._ring(radius, radius + 0.8) if rim else inner[:0]
        stamp = np.concatenate([outer, inner])
        for start in range(0, len(order), _CHUNK):
            part = order[start : start + _CHUNK]
            values = np.repeat(shades[part, None], len(stamp), axis=1)
            values[:, : len(outer)] = _BACKGROUND
            self._stamp(places[part], stamp, values)

    def query(self, places: npt.NDArray[np.int64], overlay: Overlay) -> None:
        """Lines, rings, and a star where the query is."""
        hits = places[overlay.hits]
        if overlay.query is not None and overlay.lines:
            at = self._cell(overlay.query)
            for hit in hits:
                steps = np.linspace(0, 1, int(np.abs(hit - at).max()) + 2)[:, None]
                self._stamp(np.rint(at + (hit - at) * steps).astype(np.int64), self._ring(0, 0.45), _LINE)
        self._stamp(hits, self._ring(8.2, 9.2), _BACKGROUND)
        self._stamp(hits, self._ring(6.4, 8.2), _RING)
        if overlay.query is not None:
            self._stamp(self._cell(overlay.query)[None], self._star(13.5), _BACKGROUND)
            self._stamp(self._cell(overlay.query)[None], self._star(11.0), _QUERY)

    def _grid(self, reach: float) -> _Offsets:
        cells = math.ceil(reach * self._fine)
        steps = np.arange(-cells, cells + 1)
        return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)

    def _ring(self, inner: float, outer: float) -> _Offsets:
        grid = self._grid(outer)
        far = np.hypot(grid[:, 0], grid[:, 1])
        return grid[(far <= outer * self._fine) & ((far > inner * self._fine) | (inner == 0))]

    def _star(self, outer: float) -> _Offsets:
        """Five points, the first upwards: the edge between a tip and a notch, mirrored ten times."""
        grid = self._grid(outer)
        tenth = np.pi / 5
        angle = np.abs((np.arctan2(grid[:, 0], -grid[:, 1]) + tenth) % (2 * tenth) - tenth)
        far = np.hypot(grid[:, 0], grid[:, 1]) / (outer * self._fine)
        notch = 0.42
        along, across = far * np.cos(angle), far * np.sin(angle)
        edge = (1 - along) * notch * np.sin(tenth) - across * (1 - notch * np.cos(tenth))
        star: _Offsets = grid[edge >= 0]
        return star

    def _stamp(self, places: npt.NDArray[np.int64], stamp: _Offsets, values: npt.NDArray[np.int64] | int) -> None:
        columns = places[:, None, 0] + stamp[None, :, 0]
        rows = places[:, None, 1] + stamp[None, :, 1]
        inside = (columns >= 0) & (columns < self._cells.shape[1]) & (rows >= 0) & (rows < self._cells.shape[0])
        flat = rows * self._cells.shape[1] + columns
        if isinstance(values, int):
            self._cells.reshape(-1)[flat[inside]] = values
        else:
            self._cells.reshape(-1)[flat[inside]] = values[inside]

    def pixels(self, table: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture, uint8 (height, width, 3): the mean colour of the cells of each pixel."""
        colours = table[self._cells]
        sums = np.zeros((self._height, self._width, 3), dtype=np.uint16)
        for down in range(self._fine):
            for right in range(self._fine):
                sums += colours[down :: self._fine, right :: self._fine]
        means: npt.NDArray[np.uint8] = (sums // self._fine**2).astype(np.uint8)
        return means


def _table(palette: tuple[str, ...], look: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    own = np.asarray([_channels(colour) for colour in (*look, _GREY)], dtype=np.float64)
    full = np.asarray([_channels(colour) for colour in palette], dtype=np.float64).reshape(-1, 3)
    pale = 0.22 * full + 0.78 * own[_BACKGROUND]
    table: npt.NDArray[np.uint8] = np.rint(np.concatenate([own, full, pale])).astype(np.uint8)
    return table


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + width * 3), dtype=np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
