from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings

from chroma_nb import Client
from tests.contract import scope
from tests.migrate.reading import SAMPLES
from tests.store.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.contract.backends import Hosts

_IN_BROWSER = ("tests/browser/", "tests/js/test_browser.py")
_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)

# function_scoped_fixture: the tests make a collection of their own for every example.
_CHECKS = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=25, stateful_step_count=25, suppress_health_check=_CHECKS
)
settings.register_profile(
    "nightly",
    deadline=None,
    derandomize=False,
    max_examples=1000,
    stateful_step_count=60,
    print_blob=True,
    suppress_health_check=_CHECKS,
)
# For a first look: says that something fails, not the smallest case of it.
settings.register_profile("quick", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str | None:
    """That there is less to be tested."""
    return None if SAMPLES.is_dir() else f"tests/migrate/test_samples.py is left out: there is no {SAMPLES}"


def _refuse_skips(report: _Report) -> _Report:
    """In CI everything is installed: a test that cannot run there is a failure."""
    if report.skipped and os.environ.get("CHROMA_NB_CI") and sys.platform == "linux":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For ``pytest -n 2``: what a file sets up is set up once, and one browser at a time is enough."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "browser" if path.startswith(_IN_BROWSER) else path

    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skipped tests."""
    return _refuse_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skipped modules."""
    return _refuse_skips((yield))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests about behaviour run over every kind of backend, the others over memory and disk."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", scope.kinds(metafunc), indirect=True)


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """Whoever has a store that tests reach from outside; started when needed."""
    from tests.contract.backends import Hosts

    running = Hosts()
    yield running
    running.close()


@pytest.fixture
def dialect() -> type[Client]:
    """The class of the clients under test."""
    return Client


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path, dialect: type[Client]) -> Iterator[Backend]:
    """A store of any kind, and the way to open it again."""
    if request.param in scope.LOCAL:
        made = Backend(tmp_path / "store" if request.param == "disk" else None, dialect)
    else:
        made = request.getfixturevalue("hosts").backend(request.param, dialect)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Backend]:
    """A store on disk, for tests about opening it again."""
    made = Backend(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture(scope="module")
def memory() -> Iterator[Client]:
    """One client in memory for the tests of a module that try much; each makes collections of its own."""
    with Client() as made:
        yield made


@pytest.fixture
def client(backend: Backend) -> Client:
    """An empty client of any kind of backend."""
    return backend.client
