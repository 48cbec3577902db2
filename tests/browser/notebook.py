"""One notebook, open in JupyterLab in the browser: its cells, its kernel, its page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.browser.kernel import KERNEL, KernelError, KernelPage, check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Locator, Page

_IDLE = f"""() => {{
    const kernel = {KERNEL};
    return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}}"""
_RUN = """(indices) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    window.chromaNbRun = "running";
    const run = async () => {
        if (indices === null) return await window.jupyterapp.commands.execute("notebook:run-all-cells");
        for (const index of indices) {
            notebook.deselectAll();
            notebook.activeCellIndex = index;
            await window.jupyterapp.commands.execute("notebook:run-cell");
        }
    };
    run().then(() => { window.chromaNbRun = "done"; }, (error) => { window.chromaNbRun = `failed: ${error}`; });
}"""
_OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
    (cell) => cell.model.type === "code" ? cell.model.sharedModel.getOutputs() : []
)"""
_SOURCES = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
    (cell) => cell.model.sharedModel.getSource()
)"""
# A kernel that does not answer within 5 s is left to its server.
_SHUT_DOWN = """() => {
    const late = new Promise((done) => setTimeout(done, 5000));
    const ended = window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown();
    return Promise.race([ended, late]).catch(() => null);
}"""
_APPEND = """(source) => {
    const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
    model.insertCell(model.cells.length, { cell_type: "code", source });
    return model.cells.length - 1;
}"""


class Notebook(KernelPage):
    """A notebook in a page of its own; made by ``lab.notebook``.

    Args:
        page: A page that shows nothing yet.
        address: Where JupyterLab shows the notebook.
        path: The file.
        artefacts: Where its screenshots go.
    """

    def __init__(self, page: Page, address: str, path: Path, artefacts: Path) -> None:
        super().__init__(page, artefacts)
        self.path = path
        self.folder = path.parent
        self._address = address
        self._open()

    # cells ------------------------------------------------------------------------------------

    def run_all(self, timeout: float = 120) -> None:
        """Run all cells; return when they have ended. Raises KernelError with the traceback of a cell that failed."""
        self._run(None, timeout)

    def run(self, *indices: int, timeout: float = 120) -> None:
        """Run the cells with these indices, one after the other; negative ones count from the end."""
        n = len(self._all_outputs())
        self._run([index % n for index in indices], timeout)

    def add(self, source: str, *, run: bool = True, timeout: float = 120) -> int:
        """Put a code cell at the end, and run it; returns its index."""
        index: int = self.page.evaluate(_APPEND, source)
        if run:
            self.run(index, timeout=timeout)
        return index

    def cell(self, index: int) -> Locator:
        """The output of a cell on screen."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")

    def sources(self) -> list[str]:
        """The sources of all cells."""
        found: list[str] = self.page.evaluate(_SOURCES)
        return found

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """The outputs of a cell as the notebook's file would hold them."""
        return self._all_outputs()[index]

    def text(self, index: int) -> str:
        """What a cell printed, and the plain text of what it shows."""
        parts = []
        for output in self.outputs(index):
            text = output.get("text", output.get("data", {}).get("text/plain", ""))
            parts.append(text if isinstance(text, str) else "".join(text))
        return "".join(parts)

    def save(self) -> dict[str, Any]:
        """Save the file; returns its content."""
        self.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save(); }")
        content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return content

    # kernel and page -------------------------------------------------------------------------

    def restart(self, timeout: float = 60) -> None:
        """Restart the kernel; return when it is ready."""
        self.page.evaluate(f"async () => {{ await {KERNEL}.restart(); }}")
        self.page.wait_for_function(_IDLE, timeout=timeout * 1000)

    def interrupt(self) -> None:
        """What the stop button of the toolbar does."""
        self.page.evaluate(f"async () => {{ await {KERNEL}.interrupt(); }}")

    def reload(self) -> None:
        """Save and open the page anew; the kernel goes on."""
        self.save()
        self._open()

    def resize(self, width: int, height: int = 1000) -> None:
        """Another size for the window; unit: CSS pixels."""
        self.page.set_viewport_size({"width": width, "height": height})

    def close(self) -> None:
        """End the kernel and close the page."""
        if not self.page.is_closed():
            self.page.evaluate(_SHUT_DOWN)
        super().close()

    # ------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.page.goto(self._address)
        self.page.wait_for_function(_IDLE, timeout=120_000)
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()

    def _run(self, indices: Sequence[int] | None, timeout: float) -> None:
        self.page.evaluate(_RUN, indices)
        self.page.wait_for_function("() => window.chromaNbRun !== 'running'", timeout=timeout * 1000)
        said = self.page.evaluate("() => window.chromaNbRun")
        if said != "done":
            raise KernelError(said)
        for number, outputs in enumerate(self._all_outputs()):
            if indices is None or number in indices:
                for output in outputs:
                    check(output, f"cell {number}: ")

    def _all_outputs(self) -> list[list[dict[str, Any]]]:
        found: list[list[dict[str, Any]]] = self.page.evaluate(_OUTPUTS)
        return found
