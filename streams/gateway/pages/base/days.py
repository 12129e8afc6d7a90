"""Days that come every year, as three fields of a form: day, month and, if the customer likes, the year."""

from __future__ import annotations

import calendar
import re
from datetime import date

from msgspec import Struct

from streams.gateway.pages.base.forms import Form, whole_number

#: The first year of a birthday. A leap year stands in for a year that is not stated.
FIRST_YEAR, _LEAP_YEAR = 1900, 2000
#: The characters that are read of a field: those of 1984-05-01.
_MOST = 10
_DAY = re.compile(r"(?:([0-9]{4})|-)-([0-9]{2})-([0-9]{2})\Z")


class DayFields(Struct, frozen=True):
    """The fields as they were typed."""

    day: str = ""
    month: str = ""
    year: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (self.day or self.month or self.year)

    def is_same(self, other: DayFields) -> bool:
        """Return whether both mean the same day; zeros in front do not count."""
        return self._values() == other._values()

    def _values(self) -> tuple[str, ...]:
        return tuple([part.lstrip("0") or part for part in (self.day, self.month, self.year)])


class InvalidDay(ValueError):
    """Fields that are not a day."""


def fields_of(value: str) -> DayFields:
    """Return the fields of a stored day, 1984-05-01 or --05-01."""
    match = _DAY.match(value)
    return DayFields(str(int(match[3])), str(int(match[2])), match[1] or "") if match else DayFields()


def read_fields(form: Form, name: str, *, has_year: bool) -> DayFields | None:
    """Return the fields of the day `name` in a form, or None if the form has no such fields.

    Args:
        form: the form.
        name: the name of the day.
        has_year: whether customers see the year. A hidden one does not count without a day and a month.
    """
    if f"{name}-day" not in form.fields or f"{name}-month" not in form.fields:
        return None
    day, month, year = (form.text(f"{name}-{part}")[:_MOST] for part in ("day", "month", "year"))
    return DayFields(day, month, year if day or month or has_year else "")


def shown_day(form: Form, name: str) -> str | None:
    """Return the stored day `name` that the page of a form showed, "" for none. None: the form does not say."""
    field = f"{name}-shown"
    return form.text(field)[:_MOST] if field in form.fields else None


def changed_day(typed: DayFields, shown: str, today: date, *, has_year: bool) -> str | None:
    """Return the stored day that a customer changed `shown` to, "" if they removed it, or None if it is unchanged.

    A day that is unchanged is not judged: the shop may have stated one that the form does not accept.

    Args:
        typed: the fields of the form.
        shown: the stored day that the page showed, "" for none.
        today: the present day.
        has_year: whether customers see the year. A hidden one that does not fit to what they typed is left out.

    Raises:
        InvalidDay: there is no such day, or it is in the future.
    """
    if typed.is_same(fields_of(shown)):
        return None
    try:
        day = stored_day(typed, today)
    except InvalidDay:
        if has_year or not typed.year:
            raise
        day = stored_day(DayFields(typed.day, typed.month), today)
    return day if day != shown else None


def stored_day(fields: DayFields, now: date) -> str:
    """Return a day as it is stored, or "" if nothing was typed.

    Raises:
        InvalidDay: there is no such day, or it is in the future.
    """
    if fields.is_empty:
        return ""
    day, month = whole_number(fields.day, 1, 31), whole_number(fields.month, 1, 12)
    year = whole_number(fields.year, FIRST_YEAR, now.year) if fields.year else _LEAP_YEAR
    if day is None or month is None or year is None or day > calendar.monthrange(year, month)[1]:
        raise InvalidDay
    if fields.year and date(year, month, day) > now:
        raise InvalidDay
    return f"{year}-{month:02}-{day:02}" if fields.year else f"--{month:02}-{day:02}"
