"""What templates may do with values: money, days, times and links, in the customer's language and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_currency
from jinja2 import pass_context
from jinja2.runtime import Context

from streams.core.values.money import major

_DIGIT = re.compile(r"[0-9]")
_LINK = re.compile(r"https?://[^\s\"<>]+\Z")


@pass_context
def money(context: Context, amount: Mapping[str, Any], times: int = 1) -> str:
    """`{"minor": 12500, "currency": "DKK"}` as `125,00 kr.`; `times` multiplies it (a line's quantity)."""
    currency = str(amount["currency"])
    return _amount(int(amount["minor"]) * times, currency, context["_locale"])


@pass_context
def day(context: Context, moment: str) -> str:
    """An ISO 8601 time as the customer's day: `onsdag den 25. november 2026`."""
    return _day(_local(moment, context["_zone"]).date(), context["_locale"])


@pass_context
def clock(context: Context, moment: str) -> str:
    """An ISO 8601 time as the time of the customer's day: `10.00`."""
    # A naive time: aware ones are equal as instants, and the cache would give one zone's words to another.
    return _time(_local(moment, context["_zone"]).time().replace(second=0, microsecond=0), context["_locale"])


def decimal(amount: Mapping[str, Any]) -> str:
    """The amount as a plain number, `125.00`, for machines that read the mail."""
    return str(major(int(amount["minor"]), str(amount["currency"])))


def link(url: str | None) -> str:
    """`url` if it is an http or https address, else "": a `javascript:` link is no link."""
    return url if url and _LINK.match(url) else ""


FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {"money": money, "day": day, "clock": clock, "decimal": decimal, "link": link}
)


def _local(moment: str, zone: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(_zone(zone))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The core falls back to the shop's zone; one that this machine does not know must not stop a receipt.
        return ZoneInfo("UTC")


@lru_cache(maxsize=8192)
def _amount(minor: int, currency: str, locale: Locale) -> str:
    # Hardly two orders have the same total, and Babel takes a tenth of a mail's time to write one.
    plain = str(major(minor, currency))
    shape = _shape(_DIGIT.sub("1", plain), currency, locale)
    digits = _DIGIT.findall(plain)
    if shape.count("1") != len(digits):  # a currency whose decimals CLDR leaves out is rounded, not only written
        return format_currency(major(minor, currency), currency, locale=locale)
    left = iter(digits)
    return "".join([next(left) if sign == "1" else sign for sign in shape])


@lru_cache(maxsize=1024)
def _shape(ones: str, currency: str, locale: Locale) -> str:
    """How an amount of so many digits is written, each of them a 1: where signs and separators stand depends on their number alone."""
    return format_currency(Decimal(ones), currency, locale=locale)


@lru_cache(maxsize=2048)
def _day(value: date, locale: Locale) -> str:
    return format_date(value, "full", locale=locale)


@lru_cache(maxsize=8192)
def _time(value: time, locale: Locale) -> str:
    return format_time(value, "short", locale=locale)
