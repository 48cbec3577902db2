"""A notebook that was run without a browser, and what its cells show."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"


class Run:
    """An executed notebook, its code cells found by what they say.

    Attributes:
        content: the notebook, with outputs.
        cells: its code cells.

    Args:
        path: of the notebook; it runs in its folder, and the file is not changed.
    """

    def __init__(self, path: Path) -> None:
        self.content: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        client = NotebookClient(
            self.content,
            timeout=300,
            startup_timeout=180,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=["--IPKernelApp.log_level=40"],
            store_widget_state=False,
        )
        client.execute()
        self.cells = [cell for cell in self.content.cells if cell.cell_type == "code"]

    def outputs(self, snippet: str) -> list[Any]:
        """All that the one cell that contains this shows, without bars of progress."""
        (cell,) = [cell for cell in self.cells if snippet in cell.source]
        return [output for output in cell.outputs if not is_progress(output)]

    def result(self, snippet: str) -> dict[str, Any]:
        """What the one cell that contains this shows, by mime type."""
        found: dict[str, Any] = {}
        for output in self.outputs(snippet):
            found |= output.get("data", {})
        return found

    def text(self, snippet: str) -> str:
        """The same, as plain text."""
        found: str = self.result(snippet)["text/plain"]
        return found

    def printed(self, snippet: str) -> str:
        """What the one cell that contains this prints."""
        return "".join(output.text for output in self.outputs(snippet) if output.output_type == "stream")

    def frame(self, snippet: str) -> tuple[list[str], list[list[str]]]:
        """The columns and the rows (index first) of the table that a cell shows."""
        page = self.result(snippet)["text/html"]
        head, body = page.split("</thead>")
        columns = [html.unescape(name) for name in re.findall(r"<th>(.*?)</th>", head.split("</tr>")[0]) if name]
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        return columns, [[html.unescape(v) for v in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)] for row in rows]

    def figure(self, snippet: str) -> dict[str, Any]:
        """The plotly figure that a cell shows."""
        found: dict[str, Any] = self.result(snippet)[PLOTLY]
        return found

    def strays(self) -> list[Any]:
        """What was printed to standard error: warnings, tracebacks of callbacks."""
        return [output for cell in self.cells for output in cell.outputs if output.get("name") == "stderr"]


def is_progress(output: Any) -> bool:
    """Whether an output is the empty place of a bar that is gone."""
    return output.output_type == "display_data" and not any(output.data.values())


def series(text: str) -> dict[str, str]:
    """What a pandas Series looks like in plain text, back as a dict of texts."""
    lines = [line for line in text.splitlines() if not line.startswith(("dtype:", "Name:"))]
    return {key.strip(): value for key, _, value in (line.rpartition(" ") for line in lines) if key.strip()}
