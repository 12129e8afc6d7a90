"""The rules that a record from outside must keep before the core sees it.

Ids and addresses are taken as they are or not at all; texts for people lose their control characters; a text may hold HTML, which
is escaped where it is shown.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from streams.core.model.customer import NO_YEAR
from streams.core.values.text import NAME
from streams.runtime.errors import InvalidRecord

Record: TypeAlias = dict[str, Any]

#: The rules that a record can break, the closed list of `ValidationFailed.rule`, and what each asks.
RULES: dict[str, str] = {
    "no_value": "a record of this topic has a value",
    "unknown_topic": "facts come from the topics of the flows agent",
    "no_customer": "customer_id is not empty",
    "bad_id": "an id is not empty, has 200 characters at most, and no control characters",
    "bad_time": "a time has a zone and lies between 2000 and 2100",
    "future_time": "what happened did not happen more than a day after its record was written",
    "negative_amount": "an amount of money is 0 or more",
    "bad_currency": "a currency is three upper-case letters",
    "bad_quantity": "a quantity, and the days that a piece lasts, are 1 or more",
    "too_many_lines": "an order or parcel has 1,000 lines at most",
    "bad_address": "an address is one address, user@host, without spaces and control characters",
    "bad_date": "a birthday is a day like 1984-05-01, or --05-01 without the year",
    "bad_country": "a country is two upper-case letters, or empty",
    "bad_locale": "a locale looks like da or en-GB, or is empty",
    "bad_link": "a link starts with http:// or https://, or is empty",
    "too_long": "a text is within its bound",
    "too_large": "what is to be said of a record fits into one of 4 MiB",
    "unknown_kind": "the record's kind is one that this version knows",
    "missing_field": "what this kind of record needs is there",
    "bad_pool": "a pool's name is small letters, digits and -, a letter first, 64 characters at most",
    "bad_code": "a discount code has 1 to 100 characters, no spaces and no control characters",
    "bad_context": "a command's context is a JSON object",
}
MAX_LINES = 1000
#: Bytes of an output; the topics take twice as much.
MAX_RECORD = 4 << 20
MAX_ID = 200
MAX_TEXT = 500
MAX_GENDER = 40
MAX_SOURCE = 40
MAX_LINK = 2000
MAX_ADDRESS = 254
MAX_CODE = 32  # forty runs may each keep one in a customer's state
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
LATEST_MS = int(LATEST.timestamp() * 1000)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# C0 and C1 controls, line and paragraph separators, and what reverses the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_IN_ADDRESS = r"\s@<>()\[\],;:\"\\\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"
_ADDRESS = re.compile(f"[^{_NOT_IN_ADDRESS}]{{1,64}}@[^{_NOT_IN_ADDRESS}]+")
_CURRENCY = re.compile("[A-Z]{3}")
_COUNTRY = re.compile("(?:[A-Z]{2})?")
# Also keeps a locale from naming a file outside the folder of the copy.
_LOCALE = re.compile("(?:[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4})?")
_LINK = re.compile(r"(?:https?://[^\s\"<>\x00-\x1f\x7f-\x9f]+)?")


class ValidationFailed(InvalidRecord):
    """A record that can be read but is not to be believed. `rule` (also `reason`) is a name in `RULES`; `detail` holds no data."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule


def parse_id(record: Record, field: str) -> str:
    """The id in `field`. Raises ValidationFailed (`bad_id`)."""
    return _checked_id(record[field], field)


def parse_ids(record: Record, field: str) -> tuple[str, ...]:
    """The ids in the array `field`. Raises ValidationFailed (`bad_id`)."""
    return tuple([_checked_id(value, field) for value in record[field]])


def _checked_id(value: str, field: str) -> str:
    if not 0 < len(value) <= MAX_ID:
        raise ValidationFailed("bad_id", f"{field}: {len(value)} characters")
    if not value.isprintable() and _CONTROL.search(value):
        raise ValidationFailed("bad_id", f"{field} has control characters")
    return value


def parse_pool(record: Record) -> str:
    """The pool in `pool`, named as flows can name it. Raises ValidationFailed (`bad_pool`)."""
    value: str = record["pool"]
    if not NAME.match(value):
        raise ValidationFailed("bad_pool", f"pool: {len(value)} characters that are no name of a pool")
    return value


def parse_code(record: Record) -> str:
    """The code in `code`, which a customer must be able to type in. Raises ValidationFailed (`bad_code`)."""
    value: str = record["code"]
    if not 0 < len(value) <= MAX_CODE:
        raise ValidationFailed("bad_code", f"code: {len(value)} characters")
    if not value.isprintable() or any(one.isspace() for one in value):
        raise ValidationFailed("bad_code", "code has spaces or characters that cannot be shown")
    return value


def parse_text(value: str, field: str, bound: int = MAX_TEXT) -> str:
    """A text for people; control characters, line breaks among them, become spaces. Raises ValidationFailed (`too_long`)."""
    if len(value) > bound:
        raise ValidationFailed("too_long", f"{field}: {len(value)} characters, {bound} at most")
    return value if value.isprintable() else _CONTROL.sub(" ", value)


def check_address(value: str, field: str) -> None:
    """Raise ValidationFailed (`bad_address`) unless `value` is one mail address."""
    if len(value) > MAX_ADDRESS or not _ADDRESS.fullmatch(value):
        raise ValidationFailed("bad_address", f"{field} is not one address of {MAX_ADDRESS} characters at most")


# There are few currencies, countries and locales: most records bring one that was looked at before. What is wrong is never remembered.
_remembered = lru_cache(maxsize=1024)


@_remembered
def check_currency(value: str) -> None:
    """Raise ValidationFailed (`bad_currency`) unless `value` looks like ISO 4217."""
    if not _CURRENCY.fullmatch(value):
        raise ValidationFailed("bad_currency", "currency is not three upper-case letters")


def check_link(value: str, field: str) -> None:
    """Raise ValidationFailed (`bad_link`, `too_long`) unless `value` is empty or leads to the web."""
    if len(value) > MAX_LINK:
        raise ValidationFailed("too_long", f"{field}: {len(value)} characters, {MAX_LINK} at most")
    if not _LINK.fullmatch(value):
        raise ValidationFailed("bad_link", f"{field} is not http or https")


@_remembered
def check_country(value: str, field: str) -> None:
    """Raise ValidationFailed (`bad_country`) unless `value` is empty or looks like ISO 3166-1 alpha-2."""
    if not _COUNTRY.fullmatch(value):
        raise ValidationFailed("bad_country", f"{field} is not two upper-case letters")


@_remembered
def check_locale(value: str) -> None:
    """Raise ValidationFailed (`bad_locale`) unless `value` is empty or looks like BCP 47."""
    if not _LOCALE.fullmatch(value):
        raise ValidationFailed("bad_locale", "locale does not look like da or en-GB")


def parse_time_zone(value: str | None) -> str | None:
    """A time zone's name; whether there is such a zone is for the core to see, which knows what to fall back on."""
    return parse_text(value, "time_zone", MAX_ID) if value else None


def parse_birthday(value: str | None) -> date | None:
    """A birthday `1984-05-01`, or `--05-01`, which gets the year `NO_YEAR`. Raises ValidationFailed `bad_date`."""
    if not value:
        return None
    try:
        return date.fromisoformat(f"{NO_YEAR}{value[1:]}" if value.startswith("--") else value)
    except ValueError:
        raise ValidationFailed("bad_date", "birthday is no day like 1984-05-01 or --05-01") from None


def parse_time(value: Any, field: str, written: datetime | None) -> datetime:
    """The time `value`, UTC-aware; `written` is the time of its record, if known. Raises ValidationFailed (`bad_time`, `future_time`)."""
    if type(value) is int:  # the writer's schema has a long without a logical type
        value = EPOCH + timedelta(milliseconds=value) if 0 <= value <= LATEST_MS else LATEST
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValidationFailed("bad_time", f"{field} is no time in UTC")
    if not EARLIEST <= value < LATEST:
        raise ValidationFailed("bad_time", f"{field} is in the year {value.year}")
    if written is not None and value - written > DAY:
        raise ValidationFailed("future_time", f"{field} is {(value - written).days} days after its record was written")
    return value


def parse_optional_time(record: Record, field: str) -> datetime | None:
    """The time in `field`, if there is one; may lie in the future. Raises ValidationFailed (`bad_time`)."""
    value = record[field]
    return None if value is None else parse_time(value, field, None)
