"""When a wait ends, on the customer's or the shop's own clock."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import orjson

# The zone in which most people of a country live.
COUNTRY_ZONES: Mapping[str, str] = MappingProxyType(
    {
        "AT": "Europe/Vienna", "AU": "Australia/Sydney", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "BR": "America/Sao_Paulo",
        "CA": "America/Toronto", "CH": "Europe/Zurich", "CN": "Asia/Shanghai", "CY": "Asia/Nicosia", "CZ": "Europe/Prague",
        "DE": "Europe/Berlin", "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn", "ES": "Europe/Madrid", "FI": "Europe/Helsinki",
        "FO": "Atlantic/Faroe", "FR": "Europe/Paris", "GB": "Europe/London", "GL": "America/Nuuk", "GR": "Europe/Athens",
        "HK": "Asia/Hong_Kong", "HR": "Europe/Zagreb", "HU": "Europe/Budapest", "IE": "Europe/Dublin", "IL": "Asia/Jerusalem",
        "IN": "Asia/Kolkata", "IS": "Atlantic/Reykjavik", "IT": "Europe/Rome", "JP": "Asia/Tokyo", "KR": "Asia/Seoul",
        "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg", "LV": "Europe/Riga", "MT": "Europe/Malta", "MX": "America/Mexico_City",
        "NL": "Europe/Amsterdam", "NO": "Europe/Oslo", "NZ": "Pacific/Auckland", "PL": "Europe/Warsaw", "PT": "Europe/Lisbon",
        "RO": "Europe/Bucharest", "SE": "Europe/Stockholm", "SG": "Asia/Singapore", "SI": "Europe/Ljubljana", "SK": "Europe/Bratislava",
        "TR": "Europe/Istanbul", "UA": "Europe/Kyiv", "US": "America/New_York", "ZA": "Africa/Johannesburg",
    }
)  # fmt: skip


@lru_cache(maxsize=1024)
def zone(name: str | None) -> ZoneInfo | None:
    """The IANA zone `name`, or None if there is no such zone (names come from outside)."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # what zoneinfo raises for unknown, malformed and directory names
        return None


@lru_cache(maxsize=4096)
def local_zone(time_zone: str | None, country: str, shop_zone: str) -> ZoneInfo:
    """The customer's zone: what is known of the customer, else by the country (ISO 3166-1 alpha-2), else the shop's."""
    return zone(time_zone) or zone(COUNTRY_ZONES.get(country)) or ZoneInfo(shop_zone)


def zone_of_shop(name: str) -> ZoneInfo:
    """The shop's own zone."""
    return local_zone(None, "", name)


def subtract_calendar_days(moment: datetime, length: timedelta, where: ZoneInfo, day_scale: float) -> datetime:
    """`moment` (UTC) less `length`, of which the whole days are days of the calendar at the zone `where`; as UTC."""
    if day_scale != 1.0:  # where a day lasts a second there is no calendar
        return moment - scale(length, day_scale)
    days = timedelta(days=length.days)
    return (moment.astimezone(where) - days).astimezone(UTC) - (length - days)


def months_after(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the month's last day where it has no such day (31 January and a month: 28 February)."""
    if not months:
        return moment
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]), fold=0)


def next_day(day: date, after: datetime, where: ZoneInfo, days_before: int = 0) -> datetime:
    """When, after `after` (UTC), the day of the year that `day` is begins next in the zone `where`, so many days earlier; as UTC."""
    local = after.astimezone(where)
    for year in range(
        local.year, local.year + 3
    ):  # a day that lies some days before the new year belongs to the next year
        midnight = datetime.combine(day_in(year, day), time(), where)
        moment = (midnight - timedelta(days=days_before)).astimezone(UTC)
        if moment > after:
            return moment
    raise ValueError(f"no such day within three years: {day}")


def day_in(year: int, day: date) -> date:
    """The day of the year that `day` is, in `year`: 29 February is 28 February in years that have none."""
    return date(year, day.month, min(day.day, monthrange(year, day.month)[1]))


def end_of_quiet_hours(moment: datetime, begins: time, ends: time, where: ZoneInfo) -> datetime:
    """`moment` (UTC), or when the quiet hours from `begins` to `ends` in which it lies end at the zone `where`; as UTC."""
    local = moment.astimezone(where)
    clock = local.time()
    is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    if not is_quiet:
        return moment
    day = local.date() if clock < ends else local.date() + timedelta(days=1)
    for fold in (0, 1):
        end = datetime.combine(day, ends, where).replace(fold=fold).astimezone(UTC)
        if end > moment:
            return end
    return end


def text_of(moment: datetime) -> str:
    """A moment as ISO 8601, letter for letter what `isoformat` says: orjson needs a quarter of its time."""
    return orjson.dumps(moment)[1:-1].decode()


def scale(length: timedelta, day_scale: float) -> timedelta:
    """`length` where a day lasts `day_scale` days. Multiplying is slow, and a day nearly always lasts a day."""
    return length if day_scale == 1.0 else length * day_scale


def unscale(length: timedelta, day_scale: float) -> timedelta:
    """What passed as `length` where a day lasts `day_scale` days: the other way round."""
    return length if day_scale == 1.0 else length / day_scale


def scale_deadline(start: datetime, end: datetime, day_scale: float) -> datetime:
    """`end`, moved so that the time from `start` takes `day_scale` times as long, on a whole millisecond (what the wire keeps)."""
    moment = end if day_scale == 1.0 else start + (end - start) * day_scale
    rest = moment.microsecond % 1000
    return moment + timedelta(microseconds=1000 - rest) if rest else moment


# Cached so that all records of a batch share one object, which the encoders recognize by identity.
@lru_cache(maxsize=64)
def utc_from_ms(ms: int) -> datetime:
    """Return the UTC-aware time of `ms` milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)
