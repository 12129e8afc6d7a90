"""The ruleset of a worker, which a reload replaces."""

from __future__ import annotations

from streams.core.rules.ruleset import Ruleset


class CurrentRuleset:
    """The ruleset in use. Each batch uses the one that is current when it begins, to its end.

    Attributes:
        ruleset: the flows and policies.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
