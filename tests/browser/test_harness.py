"""The harness itself: a button, an anywidget with buffers, a plotly figure; the objects in Python are what counts."""

from __future__ import annotations

import pytest

from tests.browser.gestures import drag
from tests.browser.kernel import KERNEL, KernelError
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

BUTTON = """
import ipywidgets
clicks = []
button = ipywidgets.Button(description="Press me")
button.on_click(lambda _: clicks.append(button.description))
button
"""
COUNTER = """
import anywidget, traitlets, numpy

class Counter(anywidget.AnyWidget):
    _esm = '''
    function render({ model, el }) {
        const button = document.createElement("button");
        const show = () => {
            const numbers = new Float32Array(model.get("data").buffer.slice(0));
            button.textContent = `count ${model.get("count")}, sum ${numbers.reduce((a, b) => a + b, 0)}`;
        };
        button.addEventListener("click", () => {
            model.set("count", model.get("count") + 1);
            model.save_changes();
            model.send({ kind: "numbers" }, undefined, [Int32Array.from({ length: 1000 }, (_, i) => i).buffer]);
        });
        model.on("change", show);
        show();
        el.appendChild(button);
    }
    export default { render };
    '''
    count = traitlets.Int(0).tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)

counter = Counter(data=numpy.arange(4, dtype="float32").tobytes())
sums = []

def on_message(_, content, buffers):
    sums.append((content["kind"], numpy.frombuffer(buffers[0], "int32").sum()))

counter.on_msg(on_message)
counter
"""
FIGURE = """
import plotly.graph_objects as go
figure = go.FigureWidget(go.Scatter(x=[0, 1, 2, 3], y=[0, 1, 2, 3], mode="markers"))
figure.update_layout(dragmode="select", hovermode=False, width=600, height=400, margin={"l": 0, "r": 0, "t": 0, "b": 0})
selected = []
figure.data[0].on_selection(lambda trace, points, selector: selected.append(list(points.point_inds)))
figure
"""


@pytest.fixture(scope="module")
def nb(shared_lab: Lab) -> Notebook:
    """One notebook with all three widgets."""
    made = shared_lab.notebook([BUTTON, COUNTER, FIGURE])
    made.run_all()
    return made


def test_button(nb: Notebook) -> None:
    nb.cell(0).get_by_role("button", name="Press me").click()
    assert nb.wait("clicks") == ["Press me"]


def test_anywidget_with_buffers_both_ways(nb: Notebook) -> None:
    button = nb.cell(1).get_by_role("button")
    assert button.text_content() == "count 0, sum 6"
    button.click()
    assert nb.wait("sums") == [["numbers", 499_500]]
    assert nb.python("counter.count") == 1
    nb.execute("counter.data = numpy.ones(5, 'float32').tobytes()")
    button.filter(has_text="count 1, sum 5").wait_for()


def test_figure(nb: Notebook) -> None:
    plot = nb.cell(2).locator(".plotly .nsewdrag")
    plot.wait_for()
    drag(plot, [(0.2, 0.95), (0.8, 0.2)])
    assert nb.wait("selected") == [[1, 2]]


def test_values_come_back(nb: Notebook) -> None:
    assert nb.python("{'a': [1, 2.5, None], 'ü': numpy.arange(2), 'o': {1}}") == {
        "a": [1, 2.5, None],
        "ü": [0, 1],
        "o": "{1}",
    }
    with pytest.raises(KernelError, match="NameError: name 'nothing'"):
        nb.python("nothing")
    with pytest.raises(KernelError, match="ZeroDivisionError"):
        nb.execute("1 / 0")
    with pytest.raises(TimeoutError, match="is still"):
        nb.wait("[]", timeout=0.3)


def test_a_new_cell_and_its_output(nb: Notebook) -> None:
    index = nb.add("print('printed')\nlen(clicks) + 41")
    assert nb.text(index).startswith("printed\n4")
    with pytest.raises(KernelError, match=r"cell \d+: ValueError: no\n(.|\n)*raise ValueError"):
        nb.add("raise ValueError('no')")


def test_asked_behind_an_error(nb: Notebook) -> None:
    # The kernel refuses what waits behind a cell that fails.
    failing = "import time; time.sleep(0.5); raise ValueError"
    nb.page.evaluate(f"code => {{ {KERNEL}.requestExecute({{ code, stop_on_error: true }}); }}", failing)
    assert nb.python("6 * 7") == 42


def test_screenshot(nb: Notebook) -> None:
    path = nb.screenshot("harness", nb.cell(2))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_page_had_no_errors(nb: Notebook) -> None:
    assert nb.errors == []
    nb.page.evaluate("() => console.error('wrong')")
    nb.page.evaluate("() => fetch('http://example.org/').catch(() => null)")
    assert any("wrong" in line for line in nb.errors)
    assert any("example.org" in line for line in nb.errors)


def test_reload_and_restart(lab: Lab) -> None:
    nb = lab.notebook(["x = 1"], theme="dark", width=800)
    assert nb.page.evaluate("() => document.body.dataset.jpThemeLight") == "false"
    nb.run_all()
    nb.reload()
    assert nb.python("x") == 1
    nb.restart()
    assert nb.python("'x' in globals()") is False
    nb.run(0)
    assert nb.python("x") == 1
    assert nb.python("__import__('os').getcwd()") == str(nb.folder)


def test_voila(lab: Lab) -> None:
    write = "import pathlib\nbutton.on_click(lambda _: pathlib.Path('clicked').write_text(button.description))"
    shown = lab.voila([BUTTON, write, FIGURE], theme="dark")
    shown.page.locator(".js-plotly-plot").wait_for()
    shown.page.get_by_role("button", name="Press me").click()
    written = shown.folder / "clicked"
    for _ in range(100):
        if written.exists() and written.read_text():
            break
        shown.page.wait_for_timeout(100)
    assert written.read_text() == "Press me"
    assert shown.errors == []
