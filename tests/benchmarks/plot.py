"""Plots as SVG text: light, the same for the same numbers, and readable as a difference between two runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

# Okabe and Ito's colours, which people who see colours differently can tell apart; yellow is too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GREY, _INK = "#DDDDDD", "#222222"
_INSET = 16  # of the outermost marks
_MARKS = ("circle", "square", "diamond", "triangle", "inverted", "cross", "bar")


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: values from ``low`` to ``high`` on pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """The whole decades that hold these positive values.

        >>> Axis.around([0.3, 20], 0, 100)
        Axis(low=0.1, high=100.0, start=0, end=100)
        """
        low = math.floor(math.log10(min(values)) + 1e-9)
        high = math.ceil(math.log10(max(values)) - 1e-9)
        return cls(10.0**low, 10.0 ** max(high, low + 1), start, end)

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """From the least to the greatest of these positive values; of a single one, its decade."""
        if min(values) == max(values):
            return cls.around(values, start, end)
        return cls(min(values), max(values), start, end)

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def decades(self) -> list[float]:
        """Where the grid is drawn."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


class Drawing:
    """An SVG picture, piece by piece."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        self._title = title
        self._pieces = [f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>']

    def line(self, points: Sequence[tuple[float, float]], colour: str = _GREY, width: float = 1) -> None:
        """A line through these points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._pieces.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>')

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> None:
        """Words with their base line at y; ``anchor`` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._pieces.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>')

    def mark(self, x: float, y: float, series: int, tip: str = "") -> None:
        """The mark of a series: colour and shape both say which."""
        shape = _shape(_MARKS[series % len(_MARKS)], x, y)
        colour = COLOURS[series % len(COLOURS)]
        tip = f"<title>{escape(tip)}</title>" if tip else ""
        self._pieces.append(f'<g fill="{colour}" stroke="#FFFFFF" stroke-width="0.8">{tip}{shape}</g>')

    def svg(self) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" {self._size} role="img" font-family="sans-serif" '
            f'font-size="12" fill="{_INK}">'
        )
        return "\n".join([head, f"<title>{escape(self._title)}</title>", *self._pieces, "</svg>"]) + "\n"


def _shape(kind: str, x: float, y: float) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
    corners: dict[str, list[tuple[float, float]]] = {
        "square": [(-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)],
        "diamond": [(0, -6.5), (6.5, 0), (0, 6.5), (-6.5, 0)],
        "triangle": [(0, -6), (6, 5), (-6, 5)],
        "inverted": [(0, 6), (6, -5), (-6, -5)],
        "bar": [(-2, -6.5), (2, -6.5), (2, 6.5), (-2, 6.5)],
        "cross": [
            *[(-2, -6), (2, -6), (2, -2), (6, -2), (6, 2), (2, 2)],
            *[(2, 6), (-2, 6), (-2, 2), (-6, 2), (-6, -2), (-2, -2)],
        ],
    }
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[kind])}"/>'


def dots(title: str, rows: Mapping[str, Mapping[str, float]], series: Sequence[str], unit: str = "s") -> str:
    """One line for each row, one mark for each series that has a value there; logarithmic. SVG text.

    Args:
        title: of the picture.
        rows: values by series, by label; those that are not positive are left out.
        series: names in the order of colours.
        unit: of all values: s, or what stands under the axis.
    """
    left, right, top, step = 40 + _width(max(rows, key=len, default="")), 30, 74, 24
    width, height = max(900, left + 500), top + step * len(rows) + 44
    values = [value for row in rows.values() for value in row.values() if value > 0]
    axis = Axis.around(values or [1.0], left, width - right)
    drawing = Drawing(width, height, title)
    drawing.text(16, 24, title, bold=True)
    _legend(drawing, series, 16, 48)
    _vertical_grid(drawing, axis, axis.decades(), (top - 12, height - 36), unit)
    for at, (label, row) in enumerate(rows.items()):
        y = top + step * at + step / 2
        drawing.text(left - 12, y + 4, label, anchor="end")
        shown = [axis.at(value) for value in row.values() if value > 0]
        if shown:
            drawing.line([(min(shown), y), (max(shown), y)], "#BBBBBB", 1.5)
        places = _apart({name: axis.at(row[name]) for name in series if row.get(name, 0) > 0}, y)
        for name in reversed(places):
            drawing.mark(*places[name], series.index(name), f"{name}, {label}: {amount(row[name], unit)}")
    return drawing.svg()


def _apart(across: Mapping[str, float], y: float) -> dict[str, tuple[float, float]]:
    """A place (x, y) for each mark, above or below the line where an earlier one would hide it.

    >>> _apart({"a": 10.0, "b": 12.0, "c": 11.0, "d": 30.0}, 100)
    {'a': (10.0, 100), 'b': (12.0, 93), 'c': (11.0, 107), 'd': (30.0, 100)}
    """
    places: dict[str, tuple[float, float]] = {}
    for name, x in across.items():
        free = (up for up in (0, -7, 7) if all(math.dist((x, y + up), there) >= 7 for there in places.values()))
        places[name] = (x, y + next(free, 0))
    return places


def curves(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, across: str = "items", unit: str = "s"
) -> str:
    """Both axes logarithmic: how something grows. SVG text.

    Args:
        title: of the picture.
        lines: points (x, y) by name, x ascending, all positive.
        across: what x counts.
        unit: of y.
    """
    left, top, bottom, width, height = 76, 50, 50, 900, 520
    right = width - 60 - _width(max(lines, key=len))
    points = [point for line in lines.values() for point in line]
    x_axis = Axis.over([x for x, _ in points], left + _INSET, right - _INSET)
    y_axis = Axis.around([y for _, y in points], height - bottom, top)
    drawing = Drawing(width, height, title)
    drawing.text(16, 24, title, bold=True)
    _vertical_grid(drawing, x_axis, sorted({x for x, _ in points}), (top, height - bottom + 4), across)
    for value in y_axis.decades():
        drawing.line([(left, y_axis.at(value)), (right, y_axis.at(value))])
        drawing.text(left - 6, y_axis.at(value) + 4, amount(value, unit), anchor="end")
    for number, (name, line) in reversed(list(enumerate(lines.items()))):  # the first one lies on top
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in line]
        drawing.line(places, COLOURS[number % len(COLOURS)], 2)
        for (x, y), (_, value) in zip(places, line, strict=True):
            drawing.mark(x, y, number, f"{name}: {amount(value, unit)}")
        drawing.mark(right + 22, top + 12 + 22 * number, number)
        drawing.text(right + 36, top + 16 + 22 * number, name)
    return drawing.svg()


def _legend(drawing: Drawing, series: Sequence[str], x: float, y: float) -> None:
    for number, name in enumerate(series):
        drawing.mark(x + 6, y - 4, number)
        drawing.text(x + 18, y, name)
        x += 40 + _width(name)


def _vertical_grid(drawing: Drawing, axis: Axis, values: Sequence[float], ends: tuple[float, float], unit: str) -> None:
    """Lines from the first of ``ends`` to the second; of labels that would touch, only the first."""
    free = 0.0
    for value in values:
        x, words = axis.at(value), amount(value, unit)
        drawing.line([(x, end) for end in ends])
        if x - _width(words) / 2 >= free:
            drawing.text(x, ends[1] + 16, words, anchor="middle")
            free = x + _width(words) / 2 + 6


def _width(words: str) -> int:
    """About how many pixels a text takes: fonts differ, so rather more than less."""
    return 7 * len(words)


def amount(value: float, unit: str) -> str:
    """A number as people read it: seconds in the unit that suits them.

    >>> amount(0.0012, "s"), amount(171.4, "s"), amount(0.0000004, "s"), amount(100000.0, "items")
    ('1.2 ms', '171 s', '0.0004 ms', '100,000 items')
    """
    if unit == "s":
        return f"{_short(value)} s" if value >= 1 else f"{_short(value * 1000)} ms"
    return f"{_short(value)} {unit}"


def _short(value: float) -> str:
    """Two or three digits that count, never an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 0 if value == 0 else max(0, (2 if value >= 10 else 1) - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
