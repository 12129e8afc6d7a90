"""The filters of templates: money, numbers, days, times and links, in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import pass_context
from jinja2.runtime import Context

from streams.core.values.money import exponent, major
from streams.mail.rendering.languages import USUAL_DEFAULT, language_chain

#: Amounts, numbers and patterns of one locale that are cached.
_MOST_AMOUNTS = 8192
#: Characters of a day such as 2026-11-25, which has no time zone.
_LENGTH_OF_DAY = 10
#: The beginning of a day without a year, such as --11-25, and a year that has all of them.
_NO_YEAR, _LEAP_YEAR = "--", 2024
#: Characters of an address that is cached.
_LONGEST_LINK = 500
_DIGIT = re.compile(r"[0-9]")
_FROM_NUMBER = re.compile(r"[0-9].*")
#: Where CLDR has a space between the letters of a currency and the digits (currency spacing), which Babel leaves out.
_LETTER_BESIDE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
#: The signs that CLDR makes up because yen and yuan share one. Nobody writes them, and everyone knows the codes.
_MADE_UP = {"JP¥": "JPY", "CN¥": "CNY"}
_HYPHEN, _MINUS = "-", "\N{MINUS SIGN}"
_LINK = re.compile(r"https?://[^\s\"<>]+\Z")


@pass_context
def money(context: Context, amount: Mapping[str, Any], times: int = 1) -> str:
    """Return `{"minor": 12500, "currency": "DKK"}` as `125,00 kr.`, multiplied by `times` (a line's quantity)."""
    formats: Formats = context.parent["_formats"]
    minor = amount["minor"]
    total = (minor if type(minor) is int else int(minor)) * times
    currency = amount["currency"]
    return formats.amount(total, currency if type(currency) is str else str(currency))


@pass_context
def day(context: Context, iso_time: str) -> str:
    """Return the local day of an ISO 8601 time, or a day such as `2026-11-25`: `onsdag den 25. november 2026`.

    A day without a year, such as `--11-25`, is `25. november`. HTML has no-break spaces after the first number.
    """
    value, locale = _date(context, iso_time), context.parent["_formats"].locale
    text = _day_of_any_year(value, locale) if iso_time.startswith(_NO_YEAR) else _formatted_day(value, "full", locale)
    return _unbroken(text) if context.eval_ctx.autoescape else text


@pass_context
def weekday(context: Context, iso_time: str) -> str:
    """Return the word for the local weekday of an ISO 8601 time, or of a day such as `2026-11-25`: `onsdag`."""
    if iso_time.startswith(_NO_YEAR):
        return ""  # it is another one in each year
    return _formatted_day(_date(context, iso_time), "EEEE", context.parent["_formats"].locale)


@pass_context
def month(context: Context, iso_time: str) -> str:
    """Return the word for the local month of an ISO 8601 time, or of a day such as `2026-11-25`: `november`."""
    return _formatted_day(_date(context, iso_time), "LLLL", context.parent["_formats"].locale)


@pass_context
def clock(context: Context, iso_time: str) -> str:
    """Return the local time of day of an ISO 8601 time: `10.00`."""
    # The cache needs a naive time: aware times of two zones are equal if they are the same instant.
    return _time(
        _local(iso_time, context["_zone"]).time().replace(second=0, microsecond=0), context.parent["_formats"].locale
    )


def long_day(iso_time: str, zone: str, locale: Locale) -> str:
    """Return the local day of an ISO 8601 time without its weekday: `25. november 2026`."""
    return _formatted_day(_local(iso_time, zone).date(), "long", locale)


def decimal(amount: Mapping[str, Any]) -> str:
    """Return an amount as a plain number, `125.00`, for structured data."""
    return plain_amount(int(amount["minor"]), str(amount["currency"]))


@pass_context
def number(context: Context, value: str) -> str:
    """Return a decimal number such as `0.5` as the locale writes it: `0,5`."""
    formats: Formats = context.parent["_formats"]
    return formats.number(str(value))


@pass_context
def percent(context: Context, value: str) -> str:
    """Return a rate in percent such as `12.5` as the locale writes it: `12,5 %`."""
    formats: Formats = context.parent["_formats"]
    return formats.percent(str(value))


def link(url: str | None) -> str:
    """Return `url` if it is an http or https address, else "". A `javascript:` link is not allowed in an email."""
    if not url:
        return ""
    return _short_link(url) if len(url) <= _LONGEST_LINK else _checked_link(url)


def _checked_link(url: str) -> str:
    return url if _LINK.match(url) else ""


#: Pages and pictures of products are in many emails.
_short_link = lru_cache(maxsize=4096)(_checked_link)


FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "money": money,
        "day": day,
        "weekday": weekday,
        "month": month,
        "clock": clock,
        "decimal": decimal,
        "link": link,
        "number": number,
        "percent": percent,
    }
)


def _date(context: Context, iso_time: str) -> date:
    """Return the local day of a time, or a day. One without a year is in a leap year."""
    if iso_time.startswith(_NO_YEAR):
        iso_time = f"{_LEAP_YEAR}{iso_time[1:]}"
    if len(iso_time) == _LENGTH_OF_DAY:
        return date.fromisoformat(iso_time)
    return _local(iso_time, context["_zone"]).date()


def _local(iso_time: str, zone: str) -> datetime:
    return datetime.fromisoformat(iso_time).astimezone(_zone(zone))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The core falls back to the shop's zone. A zone that only this machine does not know must not stop a receipt.
        return ZoneInfo("UTC")


class Formats:
    """How one locale writes money, days and times. It caches what it writes: most orders have common amounts.

    Attributes:
        locale: the locale.
        amount: returns an amount of money, such as `125,00 kr.`, for minor units and a currency.
        number: returns a decimal number, such as `0,5`, for its plain text.
        percent: returns a rate, such as `12,5 %`, for its plain text.
    """

    def __init__(self, locale: Locale) -> None:
        self.locale = locale
        self.amount = lru_cache(_MOST_AMOUNTS)(self._amount)
        self.number = lru_cache(_MOST_AMOUNTS)(self._number)
        self.percent = lru_cache(_MOST_AMOUNTS)(self._percent)
        self._pattern = lru_cache(_MOST_AMOUNTS)(self._formatted)

    def _amount(self, minor: int, currency: str) -> str:
        # Few orders have the same total, and Babel takes a tenth of an email's rendering time to format one. Only the number of digits
        # decides where separators are.
        plain = plain_amount(minor, currency)
        pattern = self._pattern(_DIGIT.sub("1", plain), currency)
        remaining = iter(_DIGIT.findall(plain))
        return "".join([next(remaining) if sign == "1" else sign for sign in pattern])

    def _formatted(self, plain: str, currency: str) -> str:
        # CLDR writes some currencies without decimals, such as dinars. Rounded amounts would not add up.
        text = format_currency(Decimal(plain), currency, locale=self.locale, decimal_quantization=False)
        for sign, code in _MADE_UP.items():
            text = text.replace(sign, code)
        return _LETTER_BESIDE_DIGIT.sub("\N{NO-BREAK SPACE}", text.replace(_HYPHEN, _MINUS))

    def _number(self, value: str) -> str:
        return format_decimal(Decimal(value), locale=self.locale).replace(_HYPHEN, _MINUS)

    def _percent(self, value: str) -> str:
        # CLDR has a space for English in Denmark, because Danish has one. English texts never have it.
        rate = Decimal(value)
        text = format_percent(rate / 100, locale=self.locale, decimal_quantization=False).replace(_HYPHEN, _MINUS)
        return "".join(text.split()) if self.locale.language == "en" else text


@lru_cache(maxsize=1024)
def formats_of(locale: Locale) -> Formats:
    """Return the formats of a locale."""
    return Formats(locale)


@lru_cache(maxsize=1024)
def regional_formats(requested: str, language: str, country: str) -> Formats:
    """Return the formats of money and dates: the copy's language, in the customer's region or country if that locale exists."""
    own = [requested] if language in language_chain(requested) else []
    regional = [name for name in own if "-" in name or "_" in name]
    base = language.partition("-")[0]
    for name in (*regional, f"{base}_{country}", *own, language, base):
        try:
            return formats_of(Locale.parse(name.replace("-", "_")))
        except (UnknownLocaleError, ValueError):
            continue
    return formats_of(Locale(USUAL_DEFAULT))


def plain_amount(minor: int, currency: str) -> str:
    """Return an amount as a plain number, `125.00`."""
    if minor >= 0 and exponent(currency) == 2:  # most amounts; a decimal takes five times as long
        return f"{minor // 100}.{minor % 100:02}"
    return str(major(minor, currency))


@lru_cache(maxsize=1024)
def _day_of_any_year(value: date, locale: Locale) -> str:
    return format_skeleton("MMMMd", value, locale=locale)


@lru_cache(maxsize=2048)
def _formatted_day(value: date, pattern: str, locale: Locale) -> str:
    return format_date(value, pattern, locale=locale)


@lru_cache(maxsize=2048)
def _unbroken(day: str) -> str:
    return _FROM_NUMBER.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), day)


@lru_cache(maxsize=8192)
def _time(value: time, locale: Locale) -> str:
    return format_time(value, "short", locale=locale)
