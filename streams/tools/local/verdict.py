"""The result of the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Verdict:
    """The result of a comparison.

    Attributes:
        sends: send ids of the commands that the input requires.
        lost: send ids of emails that did not arrive, without a reason.
        duplicates: send ids of emails that arrived twice, or were not required.
        waiting: send ids of emails that wait for a retry, when the workers ended while flows went on.
        unknown: send ids of emails that may have arrived: the mailer does not know.
        skipped: the number of emails that the mailer did not send, by rule.
        problems: one line per kind of difference, with examples by id.
        states: the encoded state of each customer, by key.
    """

    sends: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    states: dict[bytes, bytes] = field(default_factory=dict)

    def add_problem(self, kind: str, items: Iterable[Any]) -> None:
        """Add a problem if there are `items`."""
        examples = list(items)
        if examples:
            self.problems.append(f"{kind}: {len(examples)}, e.g. {examples[:3]}")
