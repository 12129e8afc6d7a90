"""When time alone turns a condition: the moments at which what it asks of days, ages and months is no longer what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import TypeAlias

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NEVER_DAYS, RECENCY, SINCE
from streams.core.model.customer import NO_YEAR
from streams.core.model.flow import Turns
from streams.core.values import local_time

#: The moments at which what a name gives passes one of some numbers, the past ones too.
_Passing: TypeAlias = Callable[[EvalContext, Iterable[int]], Iterator[datetime]]
_OLDEST = 150  # years that somebody can be old


def next_turn(context: EvalContext, turns: Turns, after: datetime) -> datetime | None:
    """When, after `after` (UTC), a condition may turn though nothing happens; None if it never does."""
    moments = [moment for name, numbers in turns for moment in _PASSING[name](context, numbers) if moment > after]
    return min(moments, default=None)


def _days_since(name: str) -> _Passing:
    def passing(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
        begin = SINCE[name](context)
        if begin is not None:
            scale = context.uow.ruleset.day_scale
            days = [timedelta(days=number) for number in numbers if 0 <= number < NEVER_DAYS]
            yield from [begin + local_time.scale(one, scale) for one in days]

    return passing


def _recency(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    return _PASSING["customer.days_since_last_order"](context, [1 - bound for bound in RECENCY])


def _age(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    born = context.uow.profile.birthday
    if born is None or born.year <= NO_YEAR:
        return
    where = context.uow.zone_of(None)
    for number in numbers:
        if 0 < number <= _OLDEST:
            birthday = local_time.day_in(born.year + number, born)
            yield datetime.combine(birthday, time(), where).astimezone(UTC)


def _birthday_month(context: EvalContext, numbers: Iterable[int]) -> Iterator[datetime]:
    born = context.uow.profile.birthday
    if born is not None:
        for month in (born.month, born.month % 12 + 1):
            yield local_time.next_day(date(born.year, month, 1), context.uow.now, context.uow.zone_of(None))


_PASSING: Mapping[str, _Passing] = MappingProxyType(
    {
        **{name: _days_since(name) for name in SINCE},
        "customer.recency": _recency,
        "customer.age": _age,
        "customer.is_birthday_month": _birthday_month,
    }
)
#: The names whose answer changes with time.
TIME_DEPENDENT = frozenset(_PASSING)
