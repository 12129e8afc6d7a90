"""Which consent a mail needs: a table of purpose and country. A shop's own lies in templates/consent.yaml (see consent_language.py)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

Purpose: TypeAlias = Literal["order", "service", "review", "survey", "marketing", "profile"]
Verdict: TypeAlias = Literal["allowed", "needs_consent", "soft_opt_in", "own_opt_in"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
#: What the shop owes, whatever the customer thinks of marketing.
TRANSACTIONAL = frozenset(("order", "service"))
#: Purposes to which a customer can say yes or no by themselves (`customers`: review_consent, ...).
OWN_SCOPES = frozenset(("review", "survey", "profile"))
#: In the place of a country: every country that has no line.
ANY_COUNTRY = "*"


def is_transactional(purpose: str) -> bool:
    """Whether the shop owes this mail whatever the customer thinks of marketing."""
    return purpose in TRANSACTIONAL


class PolicyLine(Struct, frozen=True, kw_only=True):
    """What a mail of `purpose` needs in `country`, and the law or guidance (`law`, `article`) that says so.

    `within`: soft opt-in only, how long after a purchase it lasts; None: as long as the customer does not object.
    """

    purpose: str
    country: str
    verdict: Verdict
    law: str
    article: str
    within: timedelta | None = None


class ConsentPolicy:
    """The table, read-only. `is_built_in`: it is not the shop's own.

    Raises:
        ValueError: a purpose has no line for `ANY_COUNTRY`, or a line forbids a receipt.
    """

    __slots__ = ("_lines", "is_built_in")

    def __init__(self, lines: Iterable[PolicyLine], *, is_built_in: bool = False) -> None:
        self.is_built_in = is_built_in
        self._lines = {(line.purpose, line.country): line for line in lines}
        for purpose in PURPOSES:
            if (purpose, ANY_COUNTRY) not in self._lines:
                raise ValueError(f"the purpose {purpose} has no line for {ANY_COUNTRY}")
        for line in self._lines.values():
            if line.purpose in TRANSACTIONAL and line.verdict != "allowed":
                raise ValueError(f"{line.purpose} mail is owed and must be allowed ({line.country})")

    def line(self, purpose: str, country: str) -> PolicyLine:
        """The line for `purpose` in `country` (ISO 3166-1 alpha-2), else the purpose's line for all other countries."""
        lines = self._lines
        return lines.get((purpose, country)) or lines[purpose, ANY_COUNTRY]

    def lines(self) -> tuple[PolicyLine, ...]:
        """Every line, in the order of the file."""
        return tuple(self._lines.values())


def _strict(purpose: str) -> PolicyLine:
    verdict: Verdict = "needs_consent"
    if purpose in TRANSACTIONAL:
        verdict = "allowed"
    elif purpose in OWN_SCOPES:
        verdict = "own_opt_in"
    return PolicyLine(purpose=purpose, country=ANY_COUNTRY, verdict=verdict, law="built in", article="the strictest")


#: Where a shop has no table: only what is owed, and what was asked for in so many words. Never wrong anywhere, and receipts go on.
STRICT = ConsentPolicy([_strict(purpose) for purpose in PURPOSES], is_built_in=True)
