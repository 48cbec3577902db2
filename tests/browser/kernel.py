"""Values from the kernel behind a page of JupyterLab."""

from __future__ import annotations

import ast
import json
import re
import time
from typing import Any

from tests.browser.pages import WatchedPage

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# JupyterLab's connection to the kernel of the notebook in front.
KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
_EXECUTE = f"""async ([code, expressions, timeout]) => {{
    const content = {{ code, silent: true, store_history: false, stop_on_error: false, user_expressions: expressions }};
    const future = {KERNEL}.requestExecute(content, true);
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("the kernel does not answer")), timeout));
    return (await Promise.race([future.done, late])).content;
}}"""


class KernelError(Exception):
    """Code failed in the kernel; the message holds the traceback."""


class KernelPage(WatchedPage):
    """A page with a kernel, which can be asked for values."""

    def python(self, expression: str, timeout: float = 60) -> Any:
        """The value of an expression in the kernel, by way of JSON; arrays as lists, other objects as their repr.

        The widgets of the page talk to the kernel in their own time: after a click use ``wait``.
        """
        plain = "lambda o: o.tolist() if hasattr(o, 'tolist') else repr(o)"
        as_json = f"__import__('json').dumps(({expression}), default={plain})"
        found = self._execute("", {"value": as_json}, timeout)["user_expressions"]["value"]
        check(found)
        return json.loads(ast.literal_eval(found["data"]["text/plain"]))

    def execute(self, code: str, timeout: float = 60) -> None:
        """Run statements in the kernel, without a cell."""
        self._execute(code, {}, timeout)

    def wait(self, expression: str, timeout: float = 30) -> Any:
        """Poll an expression in the kernel until it is true; returns its value."""
        end = time.monotonic() + timeout
        while not (value := self.python(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is still {value!r} after {timeout} s")
            self.page.wait_for_timeout(100)
        return value

    def _execute(self, code: str, expressions: dict[str, str], timeout: float) -> dict[str, Any]:
        """Run code in the kernel; what it answers.

        After an error of a cell the kernel refuses for a moment what comes next ("aborted": it has not been run, see
        "Execution" in Jupyter's messaging protocol), so that is asked again.
        """
        end = time.monotonic() + timeout
        while True:
            reply: dict[str, Any] = self.page.evaluate(_EXECUTE, [code, expressions, timeout * 1000])
            if reply["status"] != "aborted":
                check(reply)
                return reply
            if time.monotonic() > end:
                raise TimeoutError(f"the kernel refuses since {timeout} s to run {code or expressions}")
            self.page.wait_for_timeout(20)


def check(reply: dict[str, Any], where: str = "") -> None:
    """Raise KernelError if a reply or an output tells of an error."""
    if reply.get("status") == "error" or reply.get("output_type") == "error":
        traceback = _ANSI.sub("", "\n".join(reply.get("traceback") or ()))
        raise KernelError(f"{where}{reply.get('ename')}: {reply.get('evalue')}\n{traceback}")
