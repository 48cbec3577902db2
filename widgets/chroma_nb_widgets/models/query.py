"""A query with filters, its results, and pages of the rows that pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import traitlets

from chroma_nb import arguments, frames
from chroma_nb.collection import Collection
from chroma_nb.columns import column_of
from chroma_nb.errors import InvalidArgumentError, suggest
from chroma_nb.store.protocol import Snapshot
from chroma_nb.types import IntArray, Kind, Matrix, Selection
from chroma_nb.where import parse_where, parse_where_document
from chroma_nb_widgets.models import asked, code
from chroma_nb_widgets.models.conditions import Condition, Custom, Match, from_where, to_where
from chroma_nb_widgets.models.facets import Facet, facet
from chroma_nb_widgets.models.guarded import Guarded
from chroma_nb_widgets.models.places import places_of
from chroma_nb_widgets.models.sorting import order

_COLUMNS = frozenset({"documents", "metadatas"})


class QueryModel(Guarded):
    """The state of a query widget. Setting a trait does what it says; failures end in ``error``.

    Attributes:
        query: a text, a vector (dim,), `Like` or ``{"like": id}``; None for none.
        n_results: how many hits, at most.
        where: the filter on metadata; None for none.
        where_document: the filter on documents; None for none.
        results: the hits of the query, as `Collection.query` gives them; EMPTY without a query.
        showing: which rows the table shows: "rows" (all that pass the filters) or "results".
        page: of the table, from 0.
        page_size: rows of a page.
        sort: (column, descending), a column of `table` or "id"; None for the order of insertion, or of the hits.
        version: of the collection's data as shown; changes when others write to it.
    """

    query = traitlets.Any(None, allow_none=True)
    n_results = traitlets.Int(10)
    where = traitlets.Any(None, allow_none=True)
    where_document = traitlets.Any(None, allow_none=True)
    results: Any = traitlets.Any()
    showing = traitlets.Unicode("rows")
    page = traitlets.Int(0)
    page_size = traitlets.Int(10)
    sort = traitlets.Any(None, allow_none=True)
    version = traitlets.Int(0)

    tables: tuple[str, ...] = ("rows", "results")

    def __init__(self, collection: Collection, **values: Any) -> None:
        self.collection = collection
        self._store = collection._store
        self._snapshot: Snapshot = self._store.snapshot(collection.id)
        self._facets: dict[str, Facet] = {}
        self._positions: IntArray | None = None
        self._sorted: tuple[Any, IntArray] | None = None
        self._vector: Matrix | None = None
        self._embedded: tuple[str, Matrix] | None = None
        self._holding = self._wanted = False
        super().__init__()
        self.set_trait("version", self._snapshot.info.version)
        self.set_trait("results", self._no_results())
        self.observe(self._filter_changed, ["where", "where_document"])
        self.observe(self._ask, ["query", "n_results"])
        self.observe(self._table_changed, ["showing", "sort", "page_size"])
        for name, value in values.items():
            setattr(self, name, value)

    # checks -----------------------------------------------------------------------------------

    @traitlets.validate("query")
    def _check_query(self, proposal: Any) -> asked.Query:
        query = asked.checked(proposal["value"])
        dimension = self._snapshot.info.dimension
        if isinstance(query, np.ndarray) and dimension is not None and len(query) != dimension:
            raise InvalidArgumentError(
                f"The collection {self.collection.name} holds vectors of {dimension} numbers, the query has "
                f"{len(query)}."
            )
        return query

    @traitlets.validate("n_results")
    def _check_n_results(self, proposal: Any) -> int:
        return arguments.n_results(proposal["value"])

    @traitlets.validate("where")
    def _check_where(self, proposal: Any) -> dict[str, Any] | None:
        parse_where(proposal["value"])
        return code.plain(proposal["value"]) or None

    @traitlets.validate("where_document")
    def _check_where_document(self, proposal: Any) -> dict[str, Any] | None:
        parse_where_document(proposal["value"])
        return code.plain(proposal["value"]) or None

    @traitlets.validate("showing")
    def _check_showing(self, proposal: Any) -> str:
        if proposal["value"] not in self.tables:
            raise InvalidArgumentError(f"showing is one of {', '.join(self.tables)}, got {proposal['value']!r}")
        return str(proposal["value"])

    @traitlets.validate("page")
    def _check_page(self, proposal: Any) -> int:
        """The nearest page there is."""
        return min(proposal["value"], max(0, -(-self.total // self.page_size) - 1)) if proposal["value"] > 0 else 0

    @traitlets.validate("page_size")
    def _check_page_size(self, proposal: Any) -> int:
        if proposal["value"] < 1:
            raise InvalidArgumentError(f"A page has at least one row, not {proposal['value']}.")
        return int(proposal["value"])

    @traitlets.validate("sort")
    def _check_sort(self, proposal: Any) -> tuple[str, bool] | None:
        if proposal["value"] is None:
            return None
        column, descending = proposal["value"]
        if column not in self._sortable():
            hint = suggest(column, self._sortable())
            raise InvalidArgumentError(f"There is no column {column!r} to sort by.{hint}")
        return str(column), bool(descending)

    def _sortable(self) -> tuple[str, ...]:
        return "id", *map(column_of, self.keys)

    # what there is ----------------------------------------------------------------------------

    @property
    def read_only(self) -> bool:
        """Whether the store can only be read."""
        return self._store.read_only

    @property
    def snapshot(self) -> Snapshot:
        """All items at the moment shown."""
        return self._snapshot

    @property
    def sample_note(self) -> str:
        """What has to be said if the items shown are a sample of a large collection on a server; else ""."""
        shown, total = len(self._snapshot), self._snapshot.total
        if shown >= total:
            return ""
        return (
            f"A sample of {shown:,} of {total:,} items: filters, rows and map show the sample. Queries search them all."
        )

    @property
    def keys(self) -> dict[str, tuple[Kind, ...]]:
        """Metadata keys in order of first appearance, with the kinds their values have."""
        return self._snapshot.keys

    def facet(self, key: str) -> Facet:
        """What a control for this metadata key needs to know; unknown keys have no values."""
        if key not in self._facets:
            self._facets[key] = facet(key, self._snapshot.column(key))
        return self._facets[key]

    @property
    def positions(self) -> IntArray:
        """Positions in the snapshot of the items that pass the filters, ascending."""
        return self._passing()

    def _passing(self) -> IntArray:
        if self._positions is None:
            if self.where is None and self.where_document is None:
                self._positions = np.arange(len(self._snapshot))
            else:
                selection = arguments.selection(None, self.where, self.where_document)
                self._positions = self._snapshot.matching(selection)
        return self._positions

    @property
    def view(self) -> pd.DataFrame:
        """All rows that pass the filters, as `Collection.get` gives them."""
        return self._frame(self.positions)

    @property
    def query_vector(self) -> Matrix | None:
        """The vector that was searched for, shape (1, dim); None without a query."""
        return self._vector

    @property
    def query_label(self) -> str:
        """The query in a few words."""
        return asked.label(self.query)

    @property
    def stale(self) -> bool:
        """Whether the collection has changed since the moment shown; `refresh` looks again."""
        return self._store.collection_by_id(self.collection.id).version != self.version

    def refresh(self) -> bool:
        """Look at the collection as it is now; whether anything was new."""
        if not self.stale:
            return False
        self._snapshot = self._store.snapshot(self.collection.id)
        self._forget()
        self.set_trait("version", self._snapshot.info.version)
        self._search()
        return True

    def _forget(self) -> None:
        self._facets.clear()
        self._positions = self._sorted = None
        if self.sort is not None and self.sort[0] not in self._sortable():
            self.sort = None

    # filters of the form ----------------------------------------------------------------------

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The filter on metadata, as the form shows it."""
        return from_where(self.where)[0]

    @property
    def match(self) -> Match:
        """Whether "all" or "any" of the conditions must hold."""
        return from_where(self.where)[1]

    def put(self, condition: Condition) -> None:
        """Add a condition, in the place of the one of that key."""
        kept = list(self.conditions)
        places = [at for at, old in enumerate(kept) if old.key == condition.key and not isinstance(old, Custom)]
        if places:
            kept[places[0]] = condition
        else:
            kept.append(condition)
        self.where = to_where(kept, self.match)

    def remove(self, condition: Condition) -> None:
        """Take a condition away."""
        self.where = to_where([old for old in self.conditions if old != condition], self.match)

    def combine(self, match: Match) -> None:
        """Let "all" or "any" of the conditions hold."""
        self.where = to_where(self.conditions, match)

    def clear_filters(self) -> None:
        """Let every row pass."""
        with self._one_search():
            self.where = None
            self.where_document = None

    def _filter_changed(self, change: Any) -> None:
        self._positions = self._sorted = None
        self.page = 0
        with self.guarded():
            self._passing()  # here, so that a pattern that DuckDB refuses is reported
        self._search()

    # the query --------------------------------------------------------------------------------

    def like(self, id_: str) -> None:
        """Ask for the items nearest to this one."""
        self.query = asked.Like(id_)

    def ask_vector(self, text: str) -> None:
        """Ask for a vector typed into the form."""
        with self.guarded():
            self.query = asked.typed(text)

    def ask_again(self) -> None:
        """Run the same query once more, over the data as it is now."""
        self._embedded = None
        if not self.refresh():
            self._search()

    def _ask(self, change: Any) -> None:
        if change["name"] == "query":
            self.showing = "results" if self.query is not None else "rows"
        if self.query is None:
            with self.guarded():  # the failure of the query is over, that of a filter is not
                self._passing()
        self._search()

    @contextmanager
    def _one_search(self) -> Iterator[None]:
        """Several changes, and one search after the last of them."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            wanted, self._wanted = self._wanted, False
            if wanted:
                self._search()

    def _search(self) -> None:
        """Run the query again."""
        if self._holding:
            self._wanted = True
            return
        self._vector = None
        found = self.results.iloc[:0]
        with self.guarded(clear=False):  # a snapshot may be gone with the process that held it
            found = self._no_results()
        if self.query is not None:
            with self.guarded():
                self._vector, found = self._found()
        self.page = 0
        self.results = found

    def _found(self) -> tuple[Matrix, pd.DataFrame]:
        filters = {"where": self.where, "where_document": self.where_document}
        if isinstance(self.query, asked.Like):
            vector = self._vector_of(self.query.id)
            hits = self.collection.query(vector, n_results=self.n_results + 1, **filters)
            hits = hits[hits.index != self.query.id].head(self.n_results)
            return vector, hits.assign(rank=np.arange(len(hits)))
        vector = self._embedding()
        return vector, self.collection.query(vector, n_results=self.n_results, **filters)

    def _embedding(self) -> Matrix:
        """The vector asked for; a text is embedded once, not at every change of a filter."""
        if not isinstance(self.query, str):
            return self.collection._vectors_of(self.query)
        if self._embedded is None or self._embedded[0] != self.query:
            self._embedded = self.query, self.collection._vectors_of(self.query)
        return self._embedded[1]

    def _vector_of(self, id_: str) -> Matrix:
        positions = self.places_of([id_])
        if len(positions):
            return self._snapshot.vectors(positions)
        if len(self._snapshot) < self._snapshot.total:
            found = self._store.get(self.collection.id, Selection([id_]), frozenset({"embeddings"})).embeddings
            if found is not None and len(found):
                return found
        raise InvalidArgumentError(f"There is no item {id_!r} in {self.collection.name} any more.")

    def _no_results(self) -> pd.DataFrame:
        empty = self._frame(np.zeros(0, dtype=np.int64))
        for at, (name, dtype) in enumerate((("query", "int64"), ("rank", "int64"), ("distance", "float64"))):
            empty.insert(at, name if name not in empty else f"metadata.{name}", pd.Series(dtype=dtype))
        return empty

    # the table --------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many rows the table has on all its pages."""
        return len(self.results) if self.showing == "results" else len(self._rows())

    def table(self) -> pd.DataFrame:
        """The rows of the page, as `Collection.get` or `Collection.query` gives them."""
        start = self.page * self.page_size
        if self.showing == "results":
            return self._sorted_results().iloc[start : start + self.page_size]
        return self._frame(self._rows()[start : start + self.page_size])

    def _rows(self) -> IntArray:
        """Positions of the rows of the table, in its order."""
        shown = self._shown_positions()
        if self.sort is None:
            return shown
        if self._sorted is None or self._sorted[0] != (self.sort, self.showing):
            self._sorted = (self.sort, self.showing), shown[order(self._snapshot, shown, *self.sort)]
        return self._sorted[1]

    def _sorted_results(self) -> pd.DataFrame:
        results: pd.DataFrame = self.results
        if self.sort is None:
            return results
        ids = pa.array(list(results.index), type=pa.large_string())
        places = pc.index_in(ids, value_set=self._snapshot.ids)
        known = places.is_valid().to_numpy(zero_copy_only=False)
        ranked = order(self._snapshot, np.asarray(places.drop_null(), dtype=np.int64), *self.sort)
        # Hits that are newer than the snapshot have no place among the others.
        return results.iloc[np.concatenate([np.flatnonzero(known)[ranked], np.flatnonzero(~known)])]

    def _shown_positions(self) -> IntArray:
        return self.positions

    def _table_changed(self, change: Any) -> None:
        self.page = 0

    def places_of(self, ids: Sequence[str]) -> IntArray:
        """Positions in the snapshot of these ids, in their order; unknown ones are left out."""
        return places_of(self._snapshot, ids)

    def _frame(self, positions: IntArray) -> pd.DataFrame:
        records = self._snapshot.records(positions, _COLUMNS)
        return frames.records_frame(records, {"collection": self.collection.name, "call": "get"})
