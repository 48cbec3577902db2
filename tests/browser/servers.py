"""JupyterLab and Voila as processes of the tests' own, with nothing of the user's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.rest.process import free_port

ROOT = Path(__file__).parents[2]
_THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# A server that lost its tests (killed without a word) ends itself after this time; unit: seconds.
_ORPHANED = 1800


class Server:
    """A web server on a free port of this machine.

    Args:
        module: Run as ``python -m module``.
        arguments: Its command line; ``{port}`` is filled in.
        folder: Where it runs; its output goes to a file there.
        environment: All of its environment variables.
        ready: A path that answers once the server is up.
    """

    def __init__(
        self, module: str, arguments: list[str], folder: Path, environment: dict[str, str], *, ready: str
    ) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._log = folder / f"{module}.log"
        command = [sys.executable, "-m", module, *(argument.format(port=port) for argument in arguments)]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches pytest alone, which then stops the server in good order.
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait(self.address + ready)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it and, through it, its kernels."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _wait(self, address: str, timeout: float = 120) -> None:
        end = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < end:
            try:
                with urlopen(address, timeout=5):  # noqa: S310 - our own server
                    return
            except (URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        raise RuntimeError(f"The server does not answer at {address}. It said:\n{self.log()}")


class JupyterLab(Server):
    """JupyterLab over the notebooks of a folder."""

    def __init__(self, folder: Path) -> None:
        self._settings = folder / "settings"
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self._set("apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
        # Autosave would write in the middle of a test; cells outside the window would not exist in the page.
        self._set("docmanager-extension/plugin", {"autosave": False})
        self._set("notebook-extension/tracker", {"windowingMode": "none"})
        self.use_theme("light")
        arguments = [
            "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port={port}",
            f"--ServerApp.root_dir={self.notebooks}", "--IdentityProvider.token=", "--log-level=WARN",
            "--LabApp.expose_app_in_browser=True", f"--ServerApp.shutdown_no_activity_timeout={_ORPHANED}",
            f"--MappingKernelManager.cull_idle_timeout={_ORPHANED}",
        ]  # fmt: skip
        super().__init__("jupyterlab", arguments, folder, _environment(folder), ready="/api")

    def use_theme(self, theme: str) -> None:
        """The theme of the pages opened from now on: "light" or "dark"."""
        self._set("apputils-extension/themes", {"theme": _THEMES[theme]})

    def _set(self, name: str, values: dict[str, object]) -> None:
        file = self._settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")


class Voila(Server):
    """Voila over the notebooks of a folder: each page runs its notebook in a kernel of its own."""

    def __init__(self, folder: Path, notebooks: Path) -> None:
        folder.mkdir()
        arguments = ["--no-browser", "--port={port}", "--Voila.ip=127.0.0.1", str(notebooks)]
        super().__init__("voila", arguments, folder, _environment(folder), ready="/voila/static/voila.js")


def _environment(folder: Path) -> dict[str, str]:
    """For servers and their kernels: settings in a folder, the library under test, no downloads."""
    paths = [str(ROOT), str(ROOT / "widgets"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "CHROMA_NB_OFFLINE": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
