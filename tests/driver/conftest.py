"""The shipped flows, read once for all tests of the library."""

from __future__ import annotations

import pytest

from streams.core.rules.ruleset import Ruleset
from streams.definitions.loader import load_ruleset
from streams.testing import Scenario
from tests.harness.commands import TEMPLATES


@pytest.fixture(scope="session")
def ruleset() -> Ruleset:
    """The shipped flows."""
    return load_ruleset(TEMPLATES)


@pytest.fixture
def shop(ruleset: Ruleset) -> Scenario:
    """A shop with the shipped flows."""
    return Scenario(ruleset)
