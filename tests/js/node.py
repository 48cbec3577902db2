"""Node.js, its packages, and what its test runner says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "widgets" / "js"
TESTS = sorted(path.name for path in (PACKAGE / "test").iterdir() if path.name.endswith((".test.js", ".test.cjs")))
_OLDEST = 20  # what the package asks for


def missing() -> str | None:
    """What the tests of the JavaScript client lack here, in words; None if they can run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js and npm"
    said = run("node", "--version").stdout.strip()
    number = re.match(r"v(\d+)", said)
    return None if number and int(number[1]) >= _OLDEST else f"needs Node.js {_OLDEST} or later, not {said}"


def install() -> str | None:
    """Put what the tests need into the package's node_modules, if it is not there; what went wrong, in words."""
    if _installed():
        return None
    ended = run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", timeout=300)
    return None if _installed() else f"npm cannot install what the tests need: {ended.stderr.strip()[-500:]}"


def _installed() -> bool:
    ended = run("npm", "ls", "--silent", "--depth=0", timeout=60)
    return ended.returncode == 0


def run(
    *command: str, cwd: Path = PACKAGE, environment: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """One command, in the package's folder unless told otherwise."""
    program = shutil.which(command[0])  # on Windows npm is a script
    assert program is not None
    return subprocess.run(
        [program, *command[1:]],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | (environment or {}),
        timeout=timeout,
    )


@dataclass(frozen=True)
class Tally:
    """How the tests of a file ended."""

    passed: int
    failed: int
    skipped: int
    output: str


def run_tests(name: str, environment: dict[str, str]) -> Tally:
    """Run one file of the package's tests."""
    ended = run("node", "--test", "--test-reporter=tap", f"test/{name}", environment=environment)
    output = ended.stdout + ended.stderr
    counts = dict(re.findall(r"^# (pass|fail|cancelled|skipped) (\d+)$", ended.stdout, re.MULTILINE))
    assert counts.keys() == {"pass", "fail", "cancelled", "skipped"}, output
    failed = int(counts["fail"]) + int(counts["cancelled"])
    assert (ended.returncode == 0) == (failed == 0), output
    return Tally(int(counts["pass"]), failed, int(counts["skipped"]), output)
