"""Tests in a real browser: fixtures ``lab`` and ``shared_lab``, and the evidence that a failed test leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import missing
from tests.browser.lab import Desk, Lab, keep_evidence

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


# Not for the session: playwright keeps an event loop in this thread, in which no later test could start its own.
@pytest.fixture(scope="package")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The one JupyterLab and the one browser."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = Desk(playwright, tmp_path_factory.mktemp("lab"))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def lab(desk: Desk) -> Iterator[Lab]:
    """Opens notebooks in JupyterLab; they are closed after the test."""
    made = Lab(desk)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_lab(desk: Desk) -> Iterator[Lab]:
    """The same for a module's tests that share a notebook: make it in a fixture of scope "module"."""
    made = Lab(desk)
    yield made
    made.close()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that start a browser."""
    if {"lab", "shared_lab"} & set(getattr(item, "fixturenames", ())):
        item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep pictures and console logs of a failed test."""
    report = yield
    if report.failed and report.when != "teardown":
        fixtures = getattr(item, "funcargs", {})
        labs = [value for value in fixtures.values() if isinstance(value, Lab)]
        pages = [page for lab in labs for page in lab.pages]
        kept = keep_evidence(pages, item.nodeid)
        report.sections.append(("Browser", "\n".join([*map(str, kept), *(e for page in pages for e in page.errors)])))
    return report
