"""Validation: the rules that a record from outside must fulfil before it reaches the core.

An id or an address is used unchanged or rejected. Texts for people lose their control characters. A text may contain HTML, which the
renderer escapes.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from streams.addresses import MAX_ADDRESS, parse_address
from streams.core.model.customer import NO_YEAR
from streams.core.values.text import NAME
from streams.runtime.errors import InvalidRecord

Record: TypeAlias = dict[str, Any]

#: Rule -> its text. The rules are the closed list of `ValidationFailed.rule`.
RULES: dict[str, str] = {
    "no_value": "The record has a value, unless it erases a customer (`customers`) or cancels timers (`flow-delays`).",
    "unknown_topic": "The topic is one that Takk reads.",
    "no_customer": "`customer_id` is not empty.",
    "bad_id": "An id is not empty, has at most 200 characters, and contains no control characters. The sku of an order's line may be empty.",
    "bad_time": "A time is between 2000 and 2100.",
    "future_time": "An event occurred at most one day after its record was written.",
    "negative_amount": "An amount of money is 0 or more, except the price and the total of a line.",
    "too_much": "An amount of money is at most 10^15 minor units; a quantity, or a number of parcels, days or attempts 1,000,000.",
    "bad_currency": "A currency has three uppercase letters.",
    "bad_quantity": "A quantity, or the days that a piece lasts, is 1 or more. The quantity of an order's line may be any number.",
    "too_many_lines": "There are at most 1,000 lines, and 100 discounts, taxes or returns.",
    "bad_address": "An address is a single user@host, with at most 254 characters, without spaces and control characters inside. "
    "An order with another address is processed as one without.",
    "bad_date": "A birthday is a date like 1984-05-01, or --05-01 without the year.",
    "bad_country": "A country has two uppercase letters, or is empty.",
    "bad_locale": "A locale is like da or en-GB, or is empty.",
    "bad_link": "A link starts with http:// or https://, or is empty.",
    "too_long": "Texts have at most 500 characters; links, answers and bounce reasons 2,000.",
    "too_large": "Each record written because of this one, such as an email command, fits into 4 MiB and into its topic.",
    "unknown_kind": "This version knows the kind, status or purpose.",
    "missing_field": "Fields that this kind of record requires are present; a click has a link.",
    "bad_pool": "A pool is like spring-10: a lowercase letter, then lowercase letters, digits and -, at most 64 characters.",
    "bad_code": "A discount code has 1 to 32 characters, without spaces and control characters.",
    "bad_merge": "A customer is merged into another customer.",
    "bad_handover": "A hand-over has the state of a customer, in a version that this program reads.",
    "merge_loop": "A hand-over has passed through 1 to 32 customer ids.",
    "bad_context": "The context of a command is a JSON object.",
}
MAX_LINES = 1000
#: Minor units of any amount of money: far above any order in any currency, and far below the 64 bits in which amounts and sums are stored.
MAX_MINOR = 10**15
#: The largest other number that has a meaning: a quantity, or a number of parcels, days or attempts.
MAX_NUMBER = 1_000_000
#: Bytes of a record that Takk writes. The topics accept twice as much.
MAX_RECORD = 4 << 20
MAX_ID = 200
MAX_TEXT = 500
MAX_GENDER = 40
MAX_SOURCE = 40
MAX_LINK = 2000
MAX_WORDING = 300  # the state of a customer may hold four of them
MAX_CODE = 32  # the state of a customer may hold forty of them
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
LATEST_MS = int(LATEST.timestamp() * 1000)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# C0 and C1 controls, line and paragraph separators, and the characters that change the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CURRENCY = re.compile("[A-Z]{3}")
_DAY = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_COUNTRY = re.compile("(?:[A-Z]{2})?")
_ALSO_IN_USE = {"UK": "GB", "EL": "GR"}
# Also prevents a locale from naming a file outside the copy's folder.
_LOCALE = re.compile("(?:[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4})?")
_LINK = re.compile(r"(?:https?://[^\s\"<>\x00-\x1f\x7f-\x9f]+)?")


class ValidationFailed(InvalidRecord):
    """A record that can be decoded but breaks a rule.

    Attributes:
        rule: name of the rule in `RULES`, also the `reason`.
        detail: an explanation without data of the record.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule


def parse_id(record: Record, field: str) -> str:
    """Return the id in `field`. Raise ValidationFailed (`bad_id`)."""
    value: str = record[field]
    is_ordinary = 0 < len(value) <= MAX_ID and value.isprintable()
    return value if is_ordinary else _checked_id(value, field)


def parse_ids(record: Record, field: str) -> tuple[str, ...]:
    """Return the ids in the array `field`. Raise ValidationFailed (`bad_id`)."""
    return tuple([_checked_id(value, field) for value in record[field]])


def _checked_id(value: str, field: str) -> str:
    if not 0 < len(value) <= MAX_ID:
        raise ValidationFailed("bad_id", f"{field}: {len(value)} characters")
    if not value.isprintable() and _CONTROL.search(value):
        raise ValidationFailed("bad_id", f"{field} has control characters")
    return value


def check_amount(value: int, field: str) -> None:
    """Raise ValidationFailed (`negative_amount`, `too_much`) unless `value` is an amount of money in minor units."""
    if value < 0:
        raise ValidationFailed("negative_amount", f"{field} is below 0")
    if value > MAX_MINOR:
        raise ValidationFailed("too_much", f"{field} is above {MAX_MINOR:,}")


def check_signed_amount(value: int, field: str) -> None:
    """Raise ValidationFailed (`too_much`) unless `value` is an amount of money in minor units, which may be below 0."""
    if not -MAX_MINOR <= value <= MAX_MINOR:
        raise ValidationFailed("too_much", f"{field} is above {MAX_MINOR:,} or below -{MAX_MINOR:,}")


def parse_optional_amount(record: Record, field: str) -> int | None:
    """Return the amount in `field` or None. Raise ValidationFailed (`negative_amount`, `too_much`)."""
    value: int | None = record[field]
    if value is not None:
        check_amount(value, field)
    return value


def check_number(value: int, field: str) -> None:
    """Raise ValidationFailed (`bad_quantity`, `too_much`) unless `value` is a number from 1 to `MAX_NUMBER`."""
    if value < 1:
        raise ValidationFailed("bad_quantity", f"{field} is below 1")
    if value > MAX_NUMBER:
        raise ValidationFailed("too_much", f"{field} is above {MAX_NUMBER:,}")


def parse_pool(record: Record) -> str:
    """Return the pool's name in `pool`. Raise ValidationFailed (`bad_pool`)."""
    value: str = record["pool"]
    if not NAME.match(value):
        raise ValidationFailed("bad_pool", f"pool: {len(value)} characters that are not a valid pool name")
    return value


def parse_code(record: Record) -> str:
    """Return the code in `code`, which customers must be able to type. Raise ValidationFailed (`bad_code`)."""
    value: str = record["code"]
    if not 0 < len(value) <= MAX_CODE:
        raise ValidationFailed("bad_code", f"code: {len(value)} characters")
    if not value.isprintable() or any(character.isspace() for character in value):
        raise ValidationFailed("bad_code", "code has spaces or unprintable characters")
    return value


def parse_text(value: str, field: str, limit: int = MAX_TEXT) -> str:
    """Return a text for people, with spaces for control characters and line breaks. Raise ValidationFailed (`too_long`)."""
    if len(value) > limit:
        raise ValidationFailed("too_long", f"{field}: {len(value)} characters, {limit} at most")
    return value if value.isprintable() else _CONTROL.sub(" ", value)


def clipped(value: str, limit: int = MAX_TEXT) -> str:
    """Return a text for people like `parse_text`, cut to `limit` characters: for a text without which the record is still useful."""
    kept = value[:limit]
    return kept if kept.isprintable() else _CONTROL.sub(" ", kept)


def link_or_empty(value: str, limit: int = MAX_LINK) -> str:
    """Return an http or https address, or "" for anything else: for a link without which the record is still useful."""
    return value if len(value) <= limit and _LINK.fullmatch(value) else ""


def country_or_empty(value: str) -> str:
    """Return a country that looks like ISO 3166-1 alpha-2, or "" for anything else."""
    return value if _COUNTRY.fullmatch(value) else ""


def day_or_empty(value: str | None) -> str:
    """Return a day as 2026-11-30, or "" for anything else."""
    if value is None or not _DAY.fullmatch(value):
        return ""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""


def parse_email(value: str, field: str) -> str:
    """Return the email address in `value`, see `streams.addresses`. Raise ValidationFailed (`bad_address`)."""
    address = parse_address(value)
    if address is None:
        raise ValidationFailed("bad_address", f"{field} is not one email address of at most {MAX_ADDRESS} characters")
    return address


# Records have few currencies, countries and locales. Only valid ones are cached: an exception is not.
_cached = lru_cache(maxsize=1024)


@_cached
def check_currency(value: str) -> None:
    """Raise ValidationFailed (`bad_currency`) unless `value` looks like ISO 4217."""
    if not _CURRENCY.fullmatch(value):
        raise ValidationFailed("bad_currency", "currency is not three uppercase letters")


def check_link(value: str, field: str) -> None:
    """Raise ValidationFailed (`bad_link`, `too_long`) unless `value` is empty or an http or https address."""
    if len(value) > MAX_LINK:
        raise ValidationFailed("too_long", f"{field}: {len(value)} characters, {MAX_LINK} at most")
    if not _LINK.fullmatch(value):
        raise ValidationFailed("bad_link", f"{field} is not http or https")


@_cached
def check_country(value: str, field: str) -> None:
    """Raise ValidationFailed (`bad_country`) unless `value` is empty or looks like ISO 3166-1 alpha-2."""
    if not _COUNTRY.fullmatch(value):
        raise ValidationFailed("bad_country", f"{field} is not two uppercase letters")


@_cached
def parse_country(value: str, field: str) -> str:
    """Return a country in uppercase, with the code of ISO 3166-1 for two others in use. Raise ValidationFailed (`bad_country`)."""
    code = value.strip().upper()
    check_country(code, field)
    return _ALSO_IN_USE.get(code, code)


@_cached
def check_locale(value: str) -> None:
    """Raise ValidationFailed (`bad_locale`) unless `value` is empty or looks like BCP 47."""
    if not _LOCALE.fullmatch(value):
        raise ValidationFailed("bad_locale", "locale does not look like da or en-GB")


def parse_time_zone(value: str | None) -> str | None:
    """Return a time zone's name or None. The core checks whether the zone exists and falls back to the shop's."""
    return parse_text(value, "time_zone", MAX_ID) if value else None


def parse_birthday(value: str | None) -> date | None:
    """Return a birthday `1984-05-01`, or `--05-01` with the year `NO_YEAR`. Raise ValidationFailed (`bad_date`)."""
    if not value:
        return None
    try:
        return date.fromisoformat(f"{NO_YEAR}{value[1:]}" if value.startswith("--") else value)
    except ValueError:
        raise ValidationFailed("bad_date", "birthday is not a date like 1984-05-01 or --05-01") from None


def parse_time(value: Any, field: str, written_at: datetime | None) -> datetime:
    """Return the time `value`, UTC-aware.

    Args:
        value: a datetime, or an integer in ms since 1970.
        field: name of the field, for the error.
        written_at: when the record was written, UTC, or None if unknown or irrelevant.

    Raises:
        ValidationFailed: `bad_time`, `future_time`.
    """
    if type(value) is int:  # the schema of the writer has a long without a logical type
        value = EPOCH + timedelta(milliseconds=value) if 0 <= value <= LATEST_MS else LATEST
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValidationFailed("bad_time", f"{field} is not a time in UTC")
    if not EARLIEST <= value < LATEST:
        raise ValidationFailed("bad_time", f"{field} is in the year {value.year}")
    if written_at is not None and value - written_at > DAY:
        raise ValidationFailed(
            "future_time", f"{field} is {(value - written_at).days} days after its record was written"
        )
    return value


def parse_optional_time(record: Record, field: str) -> datetime | None:
    """Return the time in `field` or None. It may be in the future. Raise ValidationFailed (`bad_time`)."""
    value = record[field]
    return None if value is None else parse_time(value, field, None)
