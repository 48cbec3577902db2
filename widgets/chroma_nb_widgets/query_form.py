"""The form for a query: what to look for, how many hits, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chroma_nb.errors import ChromaNbError, InvalidArgumentError
from chroma_nb_widgets.models import asked
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.panel import Panel, module

_MODES = ("text", "vector", "like")


class QueryForm(Panel):
    """A box for a text, a vector or the id of an item, over a `QueryModel`; it also shows the model's errors.

    Args:
        model: what is asked.
    """

    _esm = module("query.js")
    _model: QueryModel

    def __init__(self, model: QueryModel) -> None:
        self._stale: int | None = None
        super().__init__(model, ("query", "n_results", "where", "where_document", "error", "version", "results"))

    def _actions(self) -> dict[str, Callable[..., object]]:
        return {
            "ask": self._ask,
            "count": self._count,
            "clear": self._clear,
            "dismiss": self._dismiss,
            "look": self._look,
            "refresh": self._refresh,
        }

    # what is done -----------------------------------------------------------------------------

    def _ask(self, mode: str, text: str, count: str) -> None:
        if mode not in _MODES:
            raise InvalidArgumentError(f"A query is a {', a '.join(_MODES)}, not a {mode}.")
        model = self._model
        with model.guarded():
            query = {"text": asked.checked, "vector": asked.typed, "like": _like}[mode](text)
            before, wanted = asked.to_json(model.query), _number(count)
            same = (before, model.n_results) == (asked.to_json(query), wanted)
            model.n_results = wanted
            model.query = query
            if same and query is not None:
                model.ask_again()

    def _count(self, count: str) -> None:
        with self._model.guarded():
            self._model.n_results = _number(count)

    def _clear(self) -> None:
        with self._model.guarded():
            self._model.query = None

    def _dismiss(self) -> None:
        self._model.error = None

    def _look(self) -> None:
        """See whether others have written meanwhile; the page asks when the pointer comes in."""
        self._stale = self._model.version if self._model.stale else None

    def _refresh(self) -> None:
        with self._model.guarded():
            self._model.refresh()

    # what is shown ----------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        model = self._model
        query = model.query
        ids = model.snapshot.ids
        mode, text = _shown(query)
        return {
            "mode": mode,
            "asked": query is not None,
            "text": text,
            "label": model.query_label,
            "hits": len(model.results),
            "count": model.n_results,
            "error": model.error,
            "passing": self._passing(),
            "total": len(model.snapshot),
            "filtered": model.where is not None or model.where_document is not None,
            "stale": self._stale == model.version,
            "dimension": model.snapshot.info.dimension,
            "example": ids[0].as_py() if len(ids) else "",
        }

    def _passing(self) -> int | None:
        """How many rows pass the filters; None when these cannot be evaluated, of which the error tells."""
        try:
            return len(self._model.positions)
        except ChromaNbError:
            return None


def _shown(query: asked.Query) -> tuple[str, str]:
    """The mode of a query, and what stands in the box; nobody reads a vector there."""
    if isinstance(query, asked.Like):
        return "like", query.id
    return ("text", query or "") if query is None or isinstance(query, str) else ("vector", "")


def _like(text: str) -> asked.Query:
    return asked.Like(text.strip()) if text.strip() else None


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidArgumentError(f"How many results? A whole number from 1 on, not {text!r}.") from error
