"""The JavaScript client's own tests, and npm's old clients, against real servers."""

from __future__ import annotations

import pytest

from tests.js import node


@pytest.mark.parametrize("name", node.TESTS)
@pytest.mark.usefixtures("npm")
def test_in_node(name: str, servers: dict[str, str]) -> None:
    tally = node.run_tests(name, servers)
    assert tally.failed == 0, tally.output
    assert tally.skipped == 0, tally.output
    assert tally.passed > 0, tally.output


@pytest.mark.usefixtures("npm")
def test_without_servers_their_tests_are_skipped() -> None:
    """Else they could pass without having asked anybody."""
    tally = node.run_tests("old-named.test.js", {"CHROMA_URL": "", "CHROMA_LOCKED_URL": ""})
    assert (tally.passed, tally.failed) == (0, 0)
    assert tally.skipped > 0
