"""The traits of a customer: statements of the shop besides the profile, and the products that the customer wished for or liked.

Each value has the time at which it was stated, so the newest counts in whatever order records arrive. A value that was removed stays for a
while without content, so that an older record does not restore it. For `array_like` and `gc=False` see customer.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Protocol, TypeVar

from msgspec import Struct

#: The kinds of products that a customer collects.
WISH, LIKE = "wish", "like"


class Attribute(Struct, frozen=True, gc=False, array_like=True):
    """A value that the shop gave a name: a text, a whole number, or None if it was removed at `at` (UTC)."""

    name: str
    value: str | int | None
    at: datetime


class ImportantDate(Struct, frozen=True, gc=False, array_like=True):
    """A day that comes every year, such as a wedding day; None if it was removed. Without a year it is in `customer.NO_YEAR`.

    Attributes:
        removed: the days that the customer removed: see removed_dates.py.
        since: since when the same day has been stated, UTC; None: since `at`.
    """

    name: str
    value: date | None
    at: datetime
    removed: bytes = b""
    since: datetime | None = None


class ExternalId(Struct, frozen=True, gc=False, array_like=True):
    """The customer's id in the system `name`; None if it was removed."""

    name: str
    value: str | None
    at: datetime


class Collected(Struct, frozen=True, gc=False, array_like=True):
    """A product that the customer wished for or liked (`kind`), or no longer does (`is_kept`), since `at` (UTC).

    `unit_price_minor` is its price at that time in minor units of `currency`, as the record of the wish has it; None if it is unknown.
    """

    kind: str
    sku: str
    at: datetime
    is_kept: bool = True
    unit_price_minor: int | None = None
    currency: str = ""


class Traits(Struct, frozen=True, gc=False, array_like=True):
    """The shop's statements about a customer besides the profile. `ruleset.Limits` bounds each row; the oldest values are dropped.

    Attributes:
        postal_code, city: where the customer lives, "" if unknown.
        is_company: whether the customer buys for a company; None if unknown.
        attributes, dates, external_ids: sorted by name.
        collected: wishes and likes, the oldest first.
    """

    postal_code: str = ""
    city: str = ""
    is_company: bool | None = None
    attributes: tuple[Attribute, ...] = ()
    dates: tuple[ImportantDate, ...] = ()
    external_ids: tuple[ExternalId, ...] = ()
    collected: tuple[Collected, ...] = ()

    def attribute(self, name: str) -> str | int | None:
        """Return the value of an attribute, or None if it is unknown."""
        return next((each.value for each in self.attributes if each.name == name), None)

    def date(self, name: str) -> date | None:
        """Return an important date, or None if it is unknown."""
        return next((each.value for each in self.dates if each.name == name), None)

    def skus(self, kind: str) -> tuple[str, ...]:
        """Return the products of a kind that the customer has not taken back, the newest first."""
        return tuple([each.sku for each in reversed(self.collected) if each.kind == kind and each.is_kept])


NO_TRAITS = Traits()


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> object: ...
    @property
    def at(self) -> datetime: ...


_N = TypeVar("_N", bound=_Named)


def merge_named(stored: tuple[_N, ...], stated: Iterable[_N], most: int) -> tuple[tuple[_N, ...], int]:
    """Return the newest value of each name, sorted by name, and how many values did not fit.

    Of two values at the same time the larger counts, so that the order in which they arrive does not matter. If there are too many names,
    removed ones go first, then the oldest.
    """
    newest = {each.name: each for each in stored}
    for each in stated:
        if each.name not in newest or _rank(each) > _rank(newest[each.name]):
            newest[each.name] = each
    kept = _newest(newest.values(), most, lambda each: (each.value is not None, each.at, each.name))
    lost = [each for each in newest.values() if each.value is not None and each not in kept]
    return tuple(sorted(kept, key=lambda each: each.name)), len(lost)


def _rank(each: _Named) -> tuple[datetime, str]:
    return each.at, f"{type(each.value).__name__} {each.value}"


def merge_collected(stored: tuple[Collected, ...], change: Collected, most: int) -> tuple[Collected, ...]:
    """Return the wishes and likes after one more, or one that is taken back: the newest `most` of each kind, the oldest first.

    Of two changes of a product at the same time, the one that takes it back counts.
    """
    same = next((each for each in stored if (each.kind, each.sku) == (change.kind, change.sku)), None)
    if same is not None and (same.at, not same.is_kept) >= (change.at, not change.is_kept):
        return stored
    merged = [each for each in stored if each is not same] + [change]
    kept = _newest([each for each in merged if each.kind == change.kind], most, lambda each: (each.at, each.sku)) + [
        each for each in merged if each.kind != change.kind
    ]
    return tuple(sorted(kept, key=lambda each: (each.at, each.kind, each.sku)))


_T = TypeVar("_T")


def _newest(items: Iterable[_T], most: int, key: Callable[[_T], object]) -> list[_T]:
    return sorted(items, key=key, reverse=True)[:most]  # type: ignore[arg-type]  # the keys are tuples of comparable values
