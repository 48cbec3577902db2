"""What can be done with the selected rows: tag, copy, delete, undo. Each says first what it will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from chroma_nb.errors import ChromaNbError
from chroma_nb_widgets.closing import close_all
from chroma_nb_widgets.models.curation import Plan, typed_value
from chroma_nb_widgets.models.explorer import ExplorerModel

_WATCHED = ["selected_ids", "version"]


class SelectionBar(w.VBox):
    """Buttons for the selection of an `ExplorerModel`, and the form of the one that was pressed.

    Args:
        model: of the explorer.
    """

    def __init__(self, model: ExplorerModel) -> None:
        self._model = model
        self._plan: Plan | None = None
        self._make: Callable[[], Plan] | None = None
        self.count = w.Label()
        no = "The store was opened with read_only=True: it cannot be changed." if model.read_only else None
        self.tag = self._button("Tag…", no or "Write a metadata value to the selected rows")
        self.copy = self._button("Copy…", no or "Copy the selected rows to a new collection")
        self.delete = self._button("Delete…", no or "Delete the selected rows")
        self.clear = self._button("Clear selection", "Select nothing")
        self.undo = self._button("Undo", "Take the last change back")
        self.key = w.Text(placeholder="name, such as reviewed", layout=w.Layout(width="180px"))
        self.value = w.Text(placeholder="value, such as yes, 3 or a text", layout=w.Layout(width="200px"))
        self.name = w.Text(placeholder="name of the new collection", layout=w.Layout(width="240px"))
        self.confirm = self._button("Do it", "Make this change", "primary")
        self.back = self._button("Back", "Change nothing")
        self.says = w.Label()
        for field, said in ((self.key, "Name of the tag"), (self.value, "Value of the tag"), (self.name, "Name")):
            field.tooltip = said
        self._form = w.HBox([])
        super().__init__([w.HBox([self.count, self.tag, self.copy, self.delete, self.clear, self.undo]), self._form])
        self.add_class("chroma-nb-selection")
        self.says.add_class("chroma-nb-says")
        for box in self.children:
            box.add_class("chroma-nb-toolbar")
        self._connect()
        self._update()

    def _button(self, text: str, tooltip: str, style: str = "") -> w.Button:
        return w.Button(description=text, tooltip=tooltip, button_style=style, layout=w.Layout(width="auto"))

    def _connect(self) -> None:
        model = self._model
        self.tag.on_click(lambda _: self._open([self.key, self.value], self._tag_plan))
        self.copy.on_click(lambda _: self._open([self.name], lambda: model.plan_copy(self.name.value.strip())))
        self.delete.on_click(lambda _: self._open([], model.plan_delete))
        self.undo.on_click(lambda _: self._open([], self._undo_plan))
        self.clear.on_click(lambda _: model.select([]))
        self.confirm.on_click(lambda _: self._do())
        self.back.on_click(lambda _: self._close_form())
        for field in (self.key, self.value, self.name):
            field.observe(self._look, "value")
        model.observe(self._update, _WATCHED)

    def _tag_plan(self) -> Plan:
        return self._model.plan_tag(self.key.value.strip(), typed_value(self.value.value))

    def _undo_plan(self) -> Plan:
        plan = self._model.curation.undo
        return plan if plan is not None else Plan("There is nothing to undo any more.", 0, lambda: None)

    # the form ---------------------------------------------------------------------------------

    def _open(self, fields: list[w.Text], make: Callable[[], Plan]) -> None:
        self._make = make
        self._form.children = [*fields, self.says, self.confirm, self.back]
        self._look()

    def _look(self, change: Any = None) -> None:
        """Say what would happen with what is typed so far."""
        if self._make is None:
            return
        fields = [field for field in self._form.children if isinstance(field, w.Text)]
        if any(not field.value.strip() for field in fields):
            self._plan, self.says.value = None, ""
        else:
            try:
                self._plan = self._make()
                self.says.value = self._plan.text
            except ChromaNbError as error:
                self._plan, self.says.value = None, str(error)
        self.confirm.disabled = self._plan is None or self._plan.rows == 0

    def _do(self) -> None:
        if self._plan is not None and self._model.carry_out(self._plan):
            self._close_form()
        self._update()

    def _close_form(self) -> None:
        self._make = self._plan = None
        self._form.children = []

    def _update(self, change: Any = None) -> None:
        count = len(self._model.selected)
        self.count.value = f"{count:,} selected" if count else "Nothing selected"
        for button in (self.tag, self.copy, self.delete):
            button.disabled = count == 0 or self._model.read_only
        self.clear.disabled = count == 0
        self.undo.disabled = self._model.curation.undo is None
        self._look()

    def close(self) -> None:
        """Take it off the screen; the model goes on."""
        if self.comm is not None:
            self._model.unobserve(self._update, _WATCHED)
            close_all(*self.children, self.key, self.value, self.name, self.says, self.confirm, self.back)
        super().close()
