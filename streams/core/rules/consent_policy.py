"""The consent policy: which consent an email needs, by purpose and country.

A shop writes its policy in `consent.yaml`; `definitions/language/consent.py` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

Purpose: TypeAlias = Literal["order", "service", "review", "survey", "marketing", "profile"]
Verdict: TypeAlias = Literal["allowed", "needs_consent", "soft_opt_in", "own_opt_in"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
#: The purposes of transactional emails, which the shop sends regardless of consent to marketing.
TRANSACTIONAL = frozenset(("order", "service"))
#: The purposes with a consent of their own (`review_consent` and others of the topic `customers`).
OWN_SCOPES = frozenset(("review", "survey", "profile"))
#: Stands for every country without a line of its own.
ANY_COUNTRY = "*"


def is_transactional(purpose: str) -> bool:
    """Return whether emails of this purpose are transactional: sent regardless of consent to marketing."""
    return purpose in TRANSACTIONAL


class PolicyLine(Struct, frozen=True, kw_only=True):
    """The consent that an email of `purpose` needs in `country`.

    Attributes:
        purpose: the purpose.
        country: the country (ISO 3166-1 alpha-2), or `ANY_COUNTRY`.
        verdict: the consent that is needed.
        law, article: the law or guidance that requires it.
        within: for soft opt-in, how long it is valid after a purchase. None: until the customer objects.
    """

    purpose: str
    country: str
    verdict: Verdict
    law: str
    article: str
    within: timedelta | None = None


class ConsentPolicy:
    """An immutable table of policy lines.

    Args:
        lines: the lines. Each purpose needs one for `ANY_COUNTRY`.
        is_built_in: whether it stands in for a missing policy of the shop.

    Raises:
        ValueError: a purpose has no line for `ANY_COUNTRY`, or a line restricts transactional emails.
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
                raise ValueError(f"{line.purpose} emails are transactional and must be allowed ({line.country})")

    def line(self, purpose: str, country: str) -> PolicyLine:
        """Return the line of `purpose` for `country` (ISO 3166-1 alpha-2), else the one for all other countries."""
        lines = self._lines
        return lines.get((purpose, country)) or lines[purpose, ANY_COUNTRY]

    def lines(self) -> tuple[PolicyLine, ...]:
        """Return all lines, in the order of the file."""
        return tuple(self._lines.values())


def _strict(purpose: str) -> PolicyLine:
    verdict: Verdict = "needs_consent"
    if purpose in TRANSACTIONAL:
        verdict = "allowed"
    elif purpose in OWN_SCOPES:
        verdict = "own_opt_in"
    return PolicyLine(purpose=purpose, country=ANY_COUNTRY, verdict=verdict, law="built in", article="the strictest")


#: The policy of a shop without one: transactional emails, and those with explicit consent. It is lawful in every country.
STRICT = ConsentPolicy([_strict(purpose) for purpose in PURPOSES], is_built_in=True)
