"""The values of days and times that a condition may use, all on the customer's clock, and the important dates of the customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from streams.core.conditions.context import EvalContext
from streams.core.values import local_time

#: The value of "days until" for a date that is unknown, and of "days since" for an event that never happened.
NEVER_DAYS = 100_000
#: The name that a condition calls: `customer.days_until("wedding")`.
DAYS_UNTIL = "customer.days_until"
#: The birthday, beside the names of the important dates.
BIRTHDAY = "birthday"
_SEPARATOR = " "
#: Dates that are more days away do not change segments as the days pass.
_FARTHEST = 5_000


def placed(context: EvalContext) -> datetime | None:
    """Return when the order was placed, by the customer's clock, or None without an order."""
    facts = context.facts
    return facts.placed_at.astimezone(context.uow.zone_of(context.order)) if facts is not None else None


def here(context: EvalContext) -> datetime:
    """Return the present time by the customer's clock."""
    return context.uow.now.astimezone(context.uow.zone_of(context.order))


def weekday(local: datetime | None) -> str:
    """Return the weekday of a local time, "" without one."""
    return local_time.WEEKDAYS[local.weekday()] if local is not None else ""


def month(local: datetime | None) -> int:
    """Return the month of a local time, 0 without one."""
    return local.month if local is not None else 0


def hour(local: datetime | None) -> int:
    """Return the hour of a local time, -1 without one."""
    return local.hour if local is not None else -1


def date_names(context: EvalContext) -> tuple[str, ...]:
    """Return the names of the customer's important dates that are known."""
    return tuple([each.name for each in context.uow.profile.traits.dates if each.value is not None])


def days_until(name: str) -> Callable[[Any], int]:
    """Return the function that reads the days until a date of the customer comes next: 0 on the day, many if it is unknown."""

    def read(context: EvalContext) -> int:
        day, today = _date_of(context, name), context.uow.now.astimezone(context.uow.zone_of(None)).date()
        if day is None:
            return NEVER_DAYS
        # A date that is still to come, such as next year's wedding, comes first in its own year.
        first = max(today.year, day.year)
        coming = local_time.day_in(first, day)
        if coming < today:
            coming = local_time.day_in(first + 1, day)
        return min((coming - today).days, NEVER_DAYS)

    return read


def dependency_of(name: str) -> str:
    """Return the name under which a condition depends on the days until a date (see `flow.TimeDependencies`)."""
    return f"{DAYS_UNTIL}{_SEPARATOR}{name}"


def is_countdown(dependency: str) -> bool:
    """Return whether a dependency is the number of days until a date."""
    return dependency.startswith(f"{DAYS_UNTIL}{_SEPARATOR}")


def changes_of(context: EvalContext, dependency: str, numbers: Iterable[int]) -> Iterator[datetime]:
    """Yield the times (UTC), past ones included, at which the days until a date are one of `numbers`, or start at a year again."""
    day, zone = _date_of(context, dependency.partition(_SEPARATOR)[2]), context.uow.zone_of(None)
    if day is None:
        return
    first = max(context.uow.now.astimezone(zone).year - 1, day.year)
    for year in range(first, min(first + 4, date.max.year)):
        coming = local_time.day_in(year, day)
        for before in (-1, *[number for number in numbers if 0 <= number <= _FARTHEST]):
            yield datetime.combine(coming - timedelta(days=before), time(), zone).astimezone(UTC)


def _date_of(context: EvalContext, name: str) -> date | None:
    profile = context.uow.profile
    return profile.birthday if name == BIRTHDAY else profile.traits.date(name)
