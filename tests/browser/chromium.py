"""The browser of the tests: where it is found and how it is started."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox",  # containers run tests as root
    "--disable-dev-shm-usage",  # and give them little shared memory
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing may come from outside: such a request fails at once, and is listed among the errors of its notebook.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    """The path of Chromium or Chrome: the variable CHROMIUM, then PATH; None if there is none."""
    for name in (os.environ.get("CHROMIUM"), *_NAMES):
        path = shutil.which(name) if name else None
        if path is not None:
            return path
    return None


def missing() -> str | None:
    """What a browser test lacks here, in words; None if it can run."""
    lacking = [package for package in ("playwright", "jupyterlab") if find_spec(package) is None]
    if find_chromium() is None:
        lacking.append(f"Chromium (set CHROMIUM, or put one of {', '.join(_NAMES)} in PATH)")
    return f"needs {' and '.join(lacking)}" if lacking else None


def launch(playwright: Playwright) -> Browser:
    """A headless browser that reaches this machine alone.

    SIGINT is left to pytest: it ends the tests first, and they end the browser.
    """
    return playwright.chromium.launch(
        executable_path=find_chromium(), headless=True, args=list(_ARGUMENTS), handle_sigint=False
    )
