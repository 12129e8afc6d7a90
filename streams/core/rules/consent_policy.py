"""The consent policy: which consent an email needs, by purpose and country.

A shop writes its policy in `consent.yaml`; `definitions/language/consent.py` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from math import inf
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

Purpose: TypeAlias = Literal["order", "service", "review", "survey", "marketing", "profile"]
Verdict: TypeAlias = Literal["allowed", "needs_consent", "soft_opt_in", "own_opt_in"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
#: The purposes of transactional emails, which the shop sends regardless of consent to marketing.
TRANSACTIONAL = frozenset(("order", "service"))
#: The purposes with a consent of their own (`review_consent` and others of the topic `customers`).
OWN_SCOPES = frozenset(("review", "survey", "profile"))
#: In the policy beside the purposes: whether opens and clicks of an email may be measured.
TRACKING = "tracking"
TRACKING_VERDICTS: frozenset[Verdict] = frozenset(("allowed", "needs_consent"))
#: Stands for every country without a line of its own.
ANY_COUNTRY = "*"
#: The age from which customers get emails that are not transactional, in years, in a policy without another one.
MINIMUM_AGE = 18


def is_transactional(purpose: str) -> bool:
    """Return whether emails of this purpose are transactional: sent regardless of consent to marketing."""
    return purpose in TRANSACTIONAL


def has_opt_out(purpose: str) -> bool:
    """Return whether customers can unsubscribe from emails of this purpose: from all but those about an order itself."""
    return purpose != "order"


class PolicyLine(Struct, frozen=True, kw_only=True):
    """The consent that an email of `purpose` needs in `country`.

    Attributes:
        purpose: the purpose, or `TRACKING`.
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

    @property
    def strictness(self) -> tuple[int, float]:
        """Compares lines of one purpose: of two, the one with the greater value allows less."""
        # A soft opt-in allows less the sooner it ends.
        return _STRICTNESS[self.verdict], -inf if self.within is None else -self.within.total_seconds()


_NO_AGES: Mapping[str, int] = MappingProxyType({})
_STRICTNESS: Mapping[Verdict, int] = MappingProxyType(
    {"allowed": 0, "soft_opt_in": 1, "needs_consent": 2, "own_opt_in": 3}
)


class ConsentPolicy:
    """An immutable table of policy lines.

    Args:
        lines: the lines. Each purpose needs one for `ANY_COUNTRY`. Tracking needs consent if it has none.
        minimum_ages: the age in years from which customers get emails that are not transactional, by country. Without one for
            `ANY_COUNTRY` it is `MINIMUM_AGE`.
        is_built_in: whether it stands in for a missing policy of the shop.

    Raises:
        ValueError: a purpose has no line for `ANY_COUNTRY`, or a line restricts transactional emails.
    """

    __slots__ = ("_lines", "is_built_in", "minimum_ages")

    def __init__(
        self, lines: Iterable[PolicyLine], *, minimum_ages: Mapping[str, int] = _NO_AGES, is_built_in: bool = False
    ) -> None:
        self.is_built_in = is_built_in
        self.minimum_ages = MappingProxyType({ANY_COUNTRY: MINIMUM_AGE, **minimum_ages})
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
        line = lines.get((purpose, country)) or lines.get((purpose, ANY_COUNTRY))
        if line is None and purpose == TRACKING:
            return NO_TRACKING
        return line or lines[purpose, ANY_COUNTRY]

    def strictest(self, purpose: str, countries: Iterable[str]) -> tuple[PolicyLine, str]:
        """Return the line that allows least in any of `countries`, and its country. Of equal lines that of the first country counts.

        Args:
            purpose: the purpose, or `TRACKING`.
            countries: at least one country (ISO 3166-1 alpha-2).
        """
        lines = [(self.line(purpose, country), country) for country in countries]
        return max(lines, key=lambda pair: pair[0].strictness)

    def minimum_age(self, country: str) -> int:
        """Return the age in years from which customers of `country` (ISO 3166-1 alpha-2) get emails that are not transactional."""
        return self.minimum_ages.get(country, self.minimum_ages[ANY_COUNTRY])

    def highest_minimum_age(self, countries: Iterable[str]) -> tuple[int, str]:
        """Return the highest minimum age in any of `countries` (at least one), and its country. Of equal ages the first country counts."""
        return max([(self.minimum_age(country), country) for country in countries], key=lambda pair: pair[0])

    def lines(self) -> tuple[PolicyLine, ...]:
        """Return all lines, in the order of the file."""
        return tuple(self._lines.values())


#: The line for tracking of a policy without one.
NO_TRACKING = PolicyLine(
    purpose=TRACKING, country=ANY_COUNTRY, verdict="needs_consent", law="Directive 2002/58/EC", article="5(3)"
)


def _strict(purpose: str) -> PolicyLine:
    verdict: Verdict = "needs_consent"
    if purpose in TRANSACTIONAL:
        verdict = "allowed"
    elif purpose in OWN_SCOPES:
        verdict = "own_opt_in"
    return PolicyLine(purpose=purpose, country=ANY_COUNTRY, verdict=verdict, law="built in", article="the strictest")


#: The policy of a shop without one: transactional emails, and those with explicit consent. It is lawful in every country.
STRICT = ConsentPolicy([_strict(purpose) for purpose in PURPOSES], is_built_in=True)
