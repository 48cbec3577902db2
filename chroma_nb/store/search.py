"""The planner: which way each query goes - exact, graph, or both - and why.

* Little work is done exactly: whole collections up to `EXACT_ELEMENTS` numbers, filters that
  leave at most `EXACT_SURVIVORS` items, many filtered queries at once.
* Else the graph answers for the slots it covers and an exact scan for those behind; a filter goes
  into the graph as a callable over allowed slots. That finds what is allowed near the query. Where
  the filter keeps whole regions, and the query lies in none of them, recall fell to 0.87: so the
  graph is first asked without the filter, and if few of the nearest are allowed, the answer is exact.
* Whenever the graph yields fewer hits than exist, the query is answered exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chroma_nb.store import exact
from chroma_nb.store.cores import CORES
from chroma_nb.store.covering import Covering
from chroma_nb.types import BoolArray, IntArray, Matrix, Metric

# A full product over this many numbers takes 2-3 ms: nobody waits for that, so nobody gets an
# approximate answer either, and no graph is built.
EXACT_ELEMENTS = 8_000_000
# Gathering and multiplying this many rows (of 384) costs as much as the graph with a filter, among 100,000 slots:
# the price of the one grows with the rows, that of the other with slots / rows.
EXACT_SURVIVORS = 12_000
_SURVIVORS_AMONG = 100_000
# A filter is looked for among so many of the nearest, and is at home there if it keeps at least this part of the share
# that it keeps of all. Where three times as many as are wanted are likely to pass, some more are looked at.
_PROBED = 80
_AT_HOME = 0.5
_OVERFETCHED = 3
_OVERFETCHED_EF = 2.5
_MOST_FETCHED = 200
# Slots behind the graph that are still scanned beside it, as numbers; and, while a graph is first built, as a share:
# a query of that time is answered exactly.
_TAIL_ELEMENTS = EXACT_ELEMENTS
_TAIL_SLOTS = 2048
_TAIL_SHARE = 0.05
# From this many queries on, one matrix product beats the graph with a filter, which runs in one
# thread because its filter is a Python callable.
_MANY_QUERIES = 8
_MANY_SURVIVORS = 200_000
# Asked for a larger share of all items, the graph is slower than a scan, and misses more.
_MOST_RESULTS = 0.05
# Above this share of all slots a scan of everything beats gathering.
_SCAN_SHARE = 0.25


@dataclass
class Space:
    """The vectors of a collection as one consistent state sees them.

    Attributes:
        metric: how to compare.
        vectors: float32 (slots, dim).
        position_of_slot: int64 (slots,), -1 where no live item's vector is.
        dead: whether some slot is not live.
        lengths: of the vectors, for full scans.
        graph: None while there is none.
    """

    metric: Metric
    vectors: Matrix
    position_of_slot: IntArray
    dead: bool
    lengths: exact.Lengths
    graph: Covering | None = None
    _agreed: tuple[Covering | None, int, int] = (None, -1, -1)
    _complete: bool = True

    @cached_property
    def live(self) -> BoolArray:
        """Bool per slot: holds the vector of a live item."""
        return self.position_of_slot >= 0

    @cached_property
    def count(self) -> int:
        """How many of the slots are live."""
        return int(np.count_nonzero(self.live)) if self.dead else len(self.position_of_slot)

    def agree(self, graph: Covering) -> int | None:
        """Tell the graph which slots are gone, once per state of both.

        Returns:
            The graph's `deletions` that this holds for; None if the graph has lost items that are live in this state,
            because a newer state deleted them.
        """
        if self._agreed != (graph, graph.upto, graph.deletions):
            if self.dead:
                graph.forget(self.live)
            agreed = (graph, graph.upto, graph.deletions)
            self._complete = not graph.lacks(self.live)
            self._agreed = agreed
        return self._agreed[2] if self._complete else None


class Allowed:
    """The slots that a search may find, as numbers or as bools; the one that is not given is made when needed.

    Args:
        slots: int64, ascending, each once.
        mask: bool per slot.
    """

    def __init__(self, *, slots: IntArray | None = None, mask: BoolArray | None = None) -> None:
        if slots is not None:
            self.slots = slots
        if mask is not None:
            self._mask = mask

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return len(self.slots) if "slots" in self.__dict__ else int(np.count_nonzero(self._mask))

    @cached_property
    def slots(self) -> IntArray:
        """Int64, ascending."""
        return np.flatnonzero(self._mask)

    def mask(self, slots: int) -> BoolArray:
        """Bool for each of so many slots."""
        if "_mask" not in self.__dict__:
            self._mask = np.zeros(slots, dtype=np.bool_)
            self._mask[self.slots] = True
        return self._mask

    def split(self, upto: int) -> tuple[int, IntArray]:
        """How many lie below a slot, and which do not."""
        if "slots" in self.__dict__:
            below = int(np.searchsorted(self.slots, upto))
            return below, self.slots[below:]
        behind = np.flatnonzero(self._mask[upto:]) + upto
        return len(self) - len(behind), behind


def wants_graph(slots: int, dimension: int) -> bool:
    """Whether a collection of this size is worth a graph.

    >>> wants_graph(10_000, 384), wants_graph(100_000, 384)
    (False, True)
    """
    return slots * dimension > EXACT_ELEMENTS


def can_scan_beside(covered: int, slots: int, dimension: int) -> bool:
    """Whether what a graph that covers so many of the slots lacks is scanned beside it.

    >>> can_scan_beside(98_000, 100_000, 384), can_scan_beside(90_000, 100_000, 384)
    (True, False)
    """
    behind = slots - covered
    return behind * dimension <= _TAIL_ELEMENTS and behind <= max(_TAIL_SLOTS, _TAIL_SHARE * slots)


def nearest(
    space: Space, queries: Matrix, k: int, allowed: Allowed | None, *, force_exact: bool
) -> list[tuple[IntArray, npt.NDArray[np.float64]]]:
    """The k nearest live (and allowed) slots of each query with their distances, closest first.

    Args:
        space: where to search.
        queries: float32 (m, dim).
        k: positive; fewer come back when fewer exist.
        allowed: slots of the items that pass the filters; None if there is no filter.
        force_exact: never use the graph.
    """
    existing = len(space.vectors) if allowed is None else len(allowed)
    if existing == 0:
        return [(np.empty(0, dtype=np.int64), np.empty(0))] * len(queries)
    k = min(k, existing)
    found = {} if force_exact else _by_graph(space, queries, k, allowed)
    left = [number for number in range(len(queries)) if number not in found]
    if left:
        found.update(zip(left, _by_product(space, queries[left], k, allowed), strict=True))
    return [_ranked(space, query, found[number], k) for number, query in enumerate(queries)]


def _ranked(space: Space, query: Matrix, slots: IntArray, k: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
    distances = exact.distances(space.metric, space.vectors[slots], query)
    # Equal distances: older items first, whatever path found them.
    order = np.lexsort((space.position_of_slot[slots], distances))[:k]
    return slots[order], distances[order]


def _by_product(space: Space, queries: Matrix, k: int, allowed: Allowed | None) -> list[IntArray]:
    slots = len(space.vectors)
    if allowed is not None and len(allowed) <= _SCAN_SHARE * slots:
        return _among(space, queries, k, allowed.slots)
    live: BoolArray | None = space.live if space.dead else None
    if allowed is not None:
        live = allowed.mask(slots)
    length = space.lengths.of(space.vectors)
    found: list[IntArray | None]
    if len(queries) > 1:
        found = exact.nearest_of_many(space.metric, space.vectors, length, queries, k, live)
    else:
        found = [exact.nearest_of_one(space.metric, space.vectors, length, queries[0], k, live)]
    if all(one is not None for one in found):
        return [one for one in found if one is not None]
    everything = np.arange(slots) if live is None else np.flatnonzero(live)
    return _completed(space, queries, k, found, everything)


def _among(space: Space, queries: Matrix, k: int, slots: IntArray) -> list[IntArray]:
    found: list[IntArray | None]
    if len(queries) >= _MANY_QUERIES:
        rows = space.vectors[slots]
        length = exact.lengths(space.metric, rows)
        picked = exact.nearest_of_many(space.metric, rows, length, queries, k, None)
        found = [None if one is None else slots[one] for one in picked]
    else:
        found = [exact.nearest_among(space.metric, space.vectors, slots, query, k) for query in queries]
    return _completed(space, queries, k, found, slots)


def _completed(space: Space, queries: Matrix, k: int, found: list[IntArray | None], slots: IntArray) -> list[IntArray]:
    """Queries that float32 could not answer, answered in float64."""
    return [
        exact.nearest_in_float64(space.metric, space.vectors, slots, query, k) if one is None else one
        for query, one in zip(queries, found, strict=True)
    ]


def _by_graph(space: Space, queries: Matrix, k: int, allowed: Allowed | None) -> dict[int, IntArray]:
    """Candidates from the graph and the slots behind it, by query; none where an exact answer is better or needed."""
    graph = space.graph
    slots, dimension = space.vectors.shape
    if graph is None or not wants_graph(slots, dimension) or _exact_is_better(slots, len(queries), k, allowed):
        return {}
    upto = graph.upto
    if upto > slots or not can_scan_beside(upto, slots, dimension):
        return {}
    deletions = space.agree(graph)
    if deletions is None:
        return {}
    covered, behind = _split(space, allowed, upto)
    wanted = min(k, covered)
    if wanted == 0:
        return {}
    if allowed is None:
        labels = graph.search(queries, wanted, None, CORES)
        found = {} if labels is None else dict(enumerate(labels))
    else:
        # The graph may grow meanwhile; what it gains is not in this state.
        found = _filtered(graph, queries, wanted, allowed.mask(slots), covered / upto)
    hits = np.concatenate([*found.values()]) if found else behind[:0]
    if graph.deletions != deletions or hits.max(initial=0) >= upto or (space.position_of_slot[hits] < 0).any():
        # The graph moved on, or forgot an item of this state, while we searched.
        return {}
    if len(behind) and found:
        beside = _among(space, queries[[*found]], k, behind)
        found = {number: np.concatenate([found[number], more]) for number, more in zip(found, beside, strict=True)}
    return found


def _filtered(graph: Covering, queries: Matrix, k: int, mask: BoolArray, share: float) -> dict[int, IntArray]:
    """Candidates by query from a graph of whose slots the mask, a bool per slot, keeps this share.

    First more than k are asked for without the filter. Where k of them pass, these are the answer. Where the filter
    keeps about as many as elsewhere, the graph is asked with it. Other queries are left: what they look for is far.
    """
    fetched = int(_OVERFETCHED * k / share)
    fetched = min(_PROBED if fetched > _MOST_FETCHED else max(_PROBED, fetched), graph.upto)
    around = graph.search(queries, fetched, None, CORES, ef=int(_OVERFETCHED_EF * fetched))
    if around is None:
        return {}
    passed = mask[np.minimum(around, len(mask) - 1)]
    counts = passed.sum(axis=1)
    found = {number: around[number][passed[number]][:k] for number in np.flatnonzero(counts >= k).tolist()}
    at_home = np.flatnonzero((counts < k) & (counts >= _AT_HOME * share * fetched))
    labels = graph.search(queries[at_home], k, mask, CORES) if len(at_home) else None
    if labels is not None:
        found.update(zip(at_home.tolist(), labels, strict=True))
    return found


def _exact_is_better(slots: int, queries: int, k: int, allowed: Allowed | None) -> bool:
    if k > _MOST_RESULTS * slots:
        return True
    if allowed is None:
        return False
    few = int(EXACT_SURVIVORS * max(1.0, slots / _SURVIVORS_AMONG) ** 0.5)
    return len(allowed) <= max(few, _MANY_SURVIVORS if queries >= _MANY_QUERIES else 0)


def _split(space: Space, allowed: Allowed | None, upto: int) -> tuple[int, IntArray]:
    """How many (allowed) live slots the graph covers, and which lie behind it."""
    if allowed is not None:
        return allowed.split(upto)
    behind = np.flatnonzero(space.position_of_slot[upto:] >= 0) + upto
    return space.count - len(behind), behind
