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
_DAY = re.compile(r"(?:(\d{4})|-)-(\d\d)-(\d\d)\Z")


class DayFields(Struct, frozen=True):
    """The fields as they were typed."""

    day: str = ""
    month: str = ""
    year: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (self.day or self.month or self.year)


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
