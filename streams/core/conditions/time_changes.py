"""When time alone changes the value of a condition: it may compare days, ages and months."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import TypeAlias

from streams.core.conditions import date_values, purchase_values
from streams.core.conditions.context import EvalContext
from streams.core.conditions.date_values import NEVER_DAYS
from streams.core.conditions.names import RECENCY, SINCE
from streams.core.conditions.open_values import FIELDS
from streams.core.conditions.purchase_values import is_period
from streams.core.model.customer import NO_YEAR
from streams.core.model.fields import ends_of
from streams.core.rules.flow import TimeDependencies
from streams.core.values import local_time

#: Yield the times (UTC), past ones included, at which the value of a name reaches each of some numbers.
_ChangeTimes: TypeAlias = Callable[[EvalContext, Iterable[int]], Iterator[datetime]]
_MAX_AGE = 150


def next_change(context: EvalContext, dependencies: TimeDependencies, after: datetime) -> datetime | None:
    """Return the next time at which a condition may change without an event.

    Args:
        context: the data that the condition reads.
        dependencies: the condition's `time_dependencies`.
        after: only later times count (UTC).

    Returns:
        The time in UTC, or None if only an event can change the condition.
    """
    times = [at for name, numbers in dependencies for at in _change_times(name, context, numbers) if at > after]
    return min(times, default=None)


def _change_times(name: str, context: EvalContext, numbers: Iterable[int]) -> Iterable[datetime]:
    if date_values.is_countdown(name):
        return date_values.changes_of(context, name, numbers)
    if is_period(name):
        return purchase_values.ends_of(context, name)
    if name.startswith(FIELDS):
        return ends_of(context.uow, name.removeprefix(FIELDS))
    return _CHANGE_TIMES[name](context, numbers)


def _days_since(name: str) -> _ChangeTimes:
    def change_times(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
        since = SINCE[name](context)
        if since is not None:
            day_scale = context.uow.ruleset.day_scale
            spans = [timedelta(days=number) for number in numbers if 0 <= number < NEVER_DAYS]
            yield from [since + local_time.scale(span, day_scale) for span in spans]

    return change_times


def _recency(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    return _CHANGE_TIMES["customer.days_since_last_order"](context, [1 - bound for bound in RECENCY])


def _age(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    born = context.uow.profile.birthday
    if born is None or born.year <= NO_YEAR:
        return
    zone = context.uow.zone_of(None)
    for number in numbers:
        if 0 < number <= _MAX_AGE:
            birthday = local_time.day_in(born.year + number, born)
            yield datetime.combine(birthday, time(), zone).astimezone(UTC)


def _birthday_month(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    born = context.uow.profile.birthday
    if born is not None:
        for month in (born.month, born.month % 12 + 1):
            yield local_time.next_day(date(born.year, month, 1), context.uow.now, context.uow.zone_of(None))


_CHANGE_TIMES: Mapping[str, _ChangeTimes] = MappingProxyType(
    {
        **{name: _days_since(name) for name in SINCE},
        "customer.recency": _recency,
        "customer.age": _age,
        "customer.is_birthday_month": _birthday_month,
    }
)
#: The names whose value changes with time.
TIME_DEPENDENT = frozenset(_CHANGE_TIMES)
