"""Values -> colours of points: categories, scales, bools and distances.

The palette of categories is Okabe & Ito's, made to be told apart with any colour vision
("Color Universal Design", 2008); the scale is a sampling of viridis (van der Walt & Smith, 2015),
even to the eye, and in grey too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chroma_nb.types import Kind
from chroma_nb_widgets.map.interface import NO_VALUE, ColourKind, Colours, LegendEntry

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999933")
# Beyond eight nobody tells hues apart for sure; these repeat them in other shades, for the legend's sake.
CATEGORIES = (
    *OKABE_ITO,
    *("#003F63", "#A87300", "#00614A", "#8C4A70", "#2A7CB0", "#8F3F00", "#A79E20", "#5F5F1F"),
    *("#7FB8D8", "#F2CF80", "#80CEB9", "#E5BCD3"),
)
OTHER = "#8A8A8A"
PLAIN = OKABE_ITO[0]
FEW_INTS = 20
_YES, _NO = "yes", "no"
STEPS = 256
_VIRIDIS = (
    *((68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142)),
    *((31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37)),
)


def scale() -> tuple[str, ...]:
    """256 colours from low to high."""
    anchors = np.asarray(_VIRIDIS, dtype=np.float64)
    places = np.linspace(0, len(anchors) - 1, STEPS)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return tuple("#%02x%02x%02x" % tuple(colour) for colour in np.rint(np.stack(channels, axis=1)).astype(int))  # noqa: UP031 - three values at once


def one_colour(count: int) -> Colours:
    """All points alike."""
    return Colours(codes=np.zeros(count, dtype=np.uint16), palette=(PLAIN,), kind="none", label="", legend=())


def by_column(label: str, kinds: dict[Kind, pa.Array], count: int) -> Colours:
    """Colours for the values of a metadata key.

    Args:
        label: the key.
        kinds: its values by kind, ``count`` each.
        count: how many points there are.

    Returns:
        Numbers get a scale, unless they are few different ints; all else gets categories, the most frequent a
        colour each and the rest "others". The counts of a legend add up to ``count``.
    """
    present = {kind: column for kind, column in kinds.items() if column.null_count < len(column)}
    if not present:
        codes = np.full(count, NO_VALUE, dtype=np.uint16)
        return Colours(codes, (OTHER,), kind="categorical", label=label, legend=_missing(codes))
    if set(present) <= {Kind.INT, Kind.FLOAT} and not _few_ints(present):
        return by_number(label, _numbers(present, count))
    return _by_category(label, _texts(present), "boolean" if set(present) == {Kind.BOOL} else "categorical")


def by_number(label: str, numbers: npt.NDArray[np.float64]) -> Colours:
    """A scale from the smallest to the largest finite number; others have no colour.

    A few extreme values do not take the scale for themselves: where the range is more than ten times
    that of the middle 96 %, it ends there, and what lies outside has the colour of the end.
    """
    codes = np.full(len(numbers), NO_VALUE, dtype=np.uint16)
    there = np.flatnonzero(np.isfinite(numbers))
    if len(there) == 0:
        return Colours(codes, scale(), kind="continuous", label=label, low=0.0, high=0.0)
    # Made smaller where the difference of two numbers may exceed a double.
    shrink = 0.125 if np.abs(numbers[there]).max() > 1e300 else 1.0
    found = numbers[there] * shrink
    low, high = found.min(), found.max()
    inner_low, inner_high = np.quantile(found, [0.02, 0.98])
    if inner_high > inner_low and (high - low) / 10 > inner_high - inner_low:
        low, high = inner_low, inner_high
    share = (np.clip(found, low, high) - low) / (high - low) if high > low else np.zeros(len(found))
    codes[there] = np.rint(share * (STEPS - 1)).astype(np.uint16)
    low, high = float(low / shrink), float(high / shrink)
    return Colours(codes, scale(), kind="continuous", label=label, low=low, high=high)


def _few_ints(kinds: dict[Kind, pa.Array]) -> bool:
    return set(kinds) == {Kind.INT} and len(pc.unique(kinds[Kind.INT].drop_null())) <= FEW_INTS


def _numbers(kinds: dict[Kind, pa.Array], count: int) -> npt.NDArray[np.float64]:
    numbers = np.full(count, np.nan)
    for column in kinds.values():
        there = column.is_valid().to_numpy(zero_copy_only=False)
        numbers[there] = column.drop_null().to_numpy(zero_copy_only=False)
    return numbers


def _texts(kinds: dict[Kind, pa.Array]) -> pa.Array:
    """One column; of values of several kinds their text, of one kind the values themselves."""
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    return pc.coalesce(*(_text(kind, column) for kind, column in kinds.items()))


def _text(kind: Kind, column: pa.Array) -> pa.Array:
    if kind is Kind.BOOL:
        yes, no = (pa.scalar(word, pa.large_string()) for word in (_YES, _NO))
        return pc.if_else(column, yes, no)
    return pc.cast(column, pa.large_string())


def _by_category(label: str, values: pa.Array, kind: ColourKind) -> Colours:
    encoded = pc.dictionary_encode(values)
    indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    counts = np.bincount(indices[indices >= 0], minlength=len(encoded.dictionary))
    own = len(counts) if len(counts) <= len(CATEGORIES) else len(CATEGORIES) - 1
    shown = _most_frequent(encoded.dictionary, counts, own)
    code_of = np.full(len(counts) + 1, own, dtype=np.uint16)
    code_of[-1] = NO_VALUE  # where the index is -1
    code_of[shown] = np.arange(own)
    texts = encoded.dictionary.take(pa.array(shown)).to_pylist()
    legend = [
        LegendEntry(text=_shown(text), colour=CATEGORIES[code], count=int(counts[at]), code=code)
        for code, (at, text) in enumerate(zip(shown, texts, strict=True))
    ]
    palette = CATEGORIES[:own]
    if own < len(counts):
        palette = (*palette, OTHER)
        rest = int(counts.sum() - counts[shown].sum())
        legend.append(LegendEntry(f"{len(counts) - own:,} others", OTHER, rest, own))
    codes = code_of[indices]
    return Colours(codes, palette, kind=kind, label=label, legend=(*legend, *_missing(codes)))


def _most_frequent(values: pa.Array, counts: npt.NDArray[np.int64], own: int) -> list[int]:
    """Positions of the values with a colour of their own, ascending, so that more rows do not change the colours."""
    if pa.types.is_boolean(values.type):
        return sorted(range(len(values)), key=lambda at: bool(values[at].as_py()))
    table = pa.table({"count": counts, "value": values})
    by_count = pc.select_k_unstable(table, own, sort_keys=[("count", "descending"), ("value", "ascending")]).to_pylist()
    return sorted(map(int, by_count), key=lambda at: values[at].as_py())


def _missing(codes: npt.NDArray[np.uint16]) -> tuple[LegendEntry, ...]:
    """The line of the points without a value, if there are any."""
    count = int((codes == NO_VALUE).sum())
    return (LegendEntry("no value", OTHER, count, NO_VALUE),) if count else ()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _YES if value else _NO
    return str(value) if str(value).strip() else repr(value)
