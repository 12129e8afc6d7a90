"""Time zones, days of the calendar, and scaled time."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from streams.core.values.country_zones import COUNTRY_ZONES

#: The weekdays as flows name them. Their positions are those of `date.weekday()`.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH, _MS, _YEAR = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1), timedelta(days=365)


@lru_cache(maxsize=1024)
def zone(name: str | None) -> ZoneInfo | None:
    """Return the IANA time zone `name`, or None if it is not a valid name."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # zoneinfo raises these for unknown, malformed and directory names
        return None


@lru_cache(maxsize=4096)
def local_zone(time_zone: str | None, country: str, shop_zone: str) -> ZoneInfo:
    """Return the customer's time zone: their own, else that of their country (ISO 3166-1 alpha-2), else the shop's."""
    return zone(time_zone) or zone(COUNTRY_ZONES.get(country)) or ZoneInfo(shop_zone)


def zone_of_shop(name: str) -> ZoneInfo:
    """Return the shop's time zone."""
    return local_zone(None, "", name)


def subtract_calendar_days(at: datetime, length: timedelta, tz: ZoneInfo, day_scale: float) -> datetime:
    """Return the time `length` before `at`. Its whole days are days of the calendar in `tz`.

    Args:
        at: the time (UTC).
        length: the time span.
        tz: the time zone of the calendar.
        day_scale: how many real days a day takes, see `scale`. Unless it is 1, there is no calendar.
    """
    if day_scale != 1.0:
        return at - scale(length, day_scale)
    days = timedelta(days=length.days)
    return (at.astimezone(tz) - days).astimezone(UTC) - (length - days)


def months_after(at: datetime, months: int) -> datetime:
    """Return the same day that many months later, or the last day of a shorter month (31 January and a month: 28 February)."""
    if not months:
        return at
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]), fold=0)


def next_day(day: date, after: datetime, tz: ZoneInfo, days_before: int = 0) -> datetime:
    """Return when an anniversary begins next.

    Args:
        day: the date whose month and day recur every year. One that is still to come begins first in its own year.
        after: the anniversary begins after this time (UTC).
        tz: the time zone in which it begins.
        days_before: return the time that many days earlier. It still has to be after `after`.

    Returns:
        The time in UTC.
    """
    local = after.astimezone(tz)
    # With `days_before` an anniversary in January may begin in December.
    first = max(local.year, day.year)
    for year in range(first, first + 3):
        midnight = datetime.combine(day_in(year, day), time(), tz)
        at = (midnight - timedelta(days=days_before)).astimezone(UTC)
        if at > after:
            return at
    raise ValueError(f"no such day within three years: {day}")


def next_scaled_day(since: datetime, after: datetime, days_before: int, day_scale: float) -> datetime:
    """Return when an anniversary begins next in scaled time, where a year has 365 days and no day has a date.

    Args:
        since: the day whose anniversaries begin, at the earliest one year later (UTC).
        after: the anniversary begins after this time (UTC).
        days_before: return the time that many days earlier. It still has to be after `after`.
        day_scale: how many real days a day takes, see `scale`.

    Returns:
        The time in UTC, in whole milliseconds, the precision of the wire.
    """
    year_ms = max(1, round(scale(_YEAR, day_scale) / _MS))
    first_ms = (since - _EPOCH) // _MS - round(scale(timedelta(days=days_before), day_scale) / _MS)
    years = max(1, ((after - _EPOCH) // _MS - first_ms) // year_ms + 1)
    return _EPOCH + (first_ms + years * year_ms) * _MS


def scaled_day(day: date, day_scale: float) -> datetime:
    """Return the begin of a date's first anniversary since 1970 in scaled time (UTC), from which `next_scaled_day` counts."""
    return _EPOCH + scale(timedelta(days=day.timetuple().tm_yday - 1), day_scale)


def day_in(year: int, day: date) -> date:
    """Return the anniversary of `day` in `year`. That of 29 February is 28 February, except in leap years."""
    return date(year, day.month, min(day.day, monthrange(year, day.month)[1]))


def end_of_quiet_hours(at: datetime, begins: time, ends: time, tz: ZoneInfo) -> datetime:
    """Return when the quiet hours that contain `at` end, or `at` itself if it is outside of them.

    Args:
        at: the time (UTC).
        begins, ends: the quiet hours, which may span midnight.
        tz: the time zone of the quiet hours.

    Returns:
        The time in UTC.
    """
    local = at.astimezone(tz)
    clock = local.time()
    is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    if not is_quiet:
        return at
    day = local.date() if clock < ends else local.date() + timedelta(days=1)
    for fold in (0, 1):
        end = datetime.combine(day, ends, tz).replace(fold=fold).astimezone(UTC)
        if end > at:
            return end
    return end


def text_of(at: datetime) -> str:
    """Return a time in ISO 8601, exactly as `isoformat` does. orjson takes a quarter of its time."""
    return orjson.dumps(at)[1:-1].decode()


def scale(length: timedelta, day_scale: float) -> timedelta:
    """Return `length` if a day takes `day_scale` real days, as in a demo. Usually it is 1, and multiplying a timedelta is slow."""
    return length if day_scale == 1.0 else length * day_scale


def unscale(length: timedelta, day_scale: float) -> timedelta:
    """Return the time span whose scaled length is `length`: the inverse of `scale`."""
    return length if day_scale == 1.0 else length / day_scale


def scale_deadline(start: datetime, end: datetime, day_scale: float) -> datetime:
    """Return the deadline `end` of a wait from `start`, scaled by `day_scale`.

    It is rounded up to a millisecond, the precision of the wire.
    """
    return round_up(end if day_scale == 1.0 else start + (end - start) * day_scale)


def round_up(at: datetime) -> datetime:
    """Return a time rounded up to a millisecond, the precision of the wire."""
    rest = at.microsecond % 1000
    return at + timedelta(microseconds=1000 - rest) if rest else at


# Cached so that all records of a batch share one object, which the encoders recognize by identity.
@lru_cache(maxsize=64)
def utc_from_ms(ms: int) -> datetime:
    """Return the UTC-aware time of `ms` milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)
