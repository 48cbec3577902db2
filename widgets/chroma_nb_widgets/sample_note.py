"""What an explorer says of a collection that it shows only a part of."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from chroma_nb_widgets.models.query import QueryModel


class SampleNote(w.HTML):
    """One line above everything else; nothing where all items are shown.

    Args:
        model: whose items.
    """

    def __init__(self, model: QueryModel) -> None:
        self._model = model
        super().__init__(layout=w.Layout(display="none"))
        self.add_class("chroma-nb-sample")
        model.observe(self._update, "version")
        self._update()

    def _update(self, change: Any = None) -> None:
        self.value = self._model.sample_note
        self.layout.display = "" if self.value else "none"

    def close(self) -> None:
        """Take it off the screen; the model goes on."""
        if self.comm is not None:
            self._model.unobserve(self._update, "version")
        super().close()
