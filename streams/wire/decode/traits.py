"""The fields of a profile besides name and address: place, attributes, important dates and external ids.

A customer is more than an odd value: a text that is too long is cut, and a value that breaks a rule is left out. Neither makes the record a
dead letter. `flaws` says how many values that were, without any of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from streams.core.values.text import FIELD_NAME, counted
from streams.wire.validation import MAX_ID, Record, ValidationFailed, clipped, parse_birthday

T = TypeVar("T")
#: Characters of an attribute's text, of a city and of a postal code. The state keeps thirty attributes of each customer.
MAX_ATTRIBUTE, MAX_CITY, MAX_POSTAL_CODE = 100, 100, 20
#: Values of one kind that are read of one record: more than the state keeps, so that it can count those that do not fit.
MOST_VALUES = 100
_TO_UNDERSCORES = re.compile(r"[\s\-]+")
_BAD_NAME, _BAD_VALUE, _CUT, _TOO_MANY = "invalid name", "invalid value", "text that was cut", "value too many"
_PLURALS = {_TOO_MANY: "values too many", _CUT: "texts that were cut"}


def parse_traits(record: Record) -> dict[str, Any]:
    """Return the fields of `ProfileUpdated` that a record of `customers` states besides the profile."""
    flaws: Counter[str] = Counter()
    fields: dict[str, Any] = {
        "postal_code": _cut((record["postal_code"] or "").strip(), MAX_POSTAL_CODE, flaws) or None,
        "city": _cut((record["city"] or "").strip(), MAX_CITY, flaws) or None,
        "is_company": record["is_company"],
        "attributes": _values(record["attributes"], _attribute, flaws),
        "dates": _values(record["dates"], lambda value, _: parse_birthday(value), flaws),
        "external_ids": _values(record["external_ids"], _external_id, flaws),
    }
    parts = [counted(number, flaw, _PLURALS.get(flaw, "")) for flaw, number in sorted(flaws.items())]
    return fields | {"flaws": ", ".join(parts)}


def parse_dates(stated: Mapping[str, str | None]) -> tuple[tuple[str, date | None], ...]:
    """Return important dates by name; None removes one. Invalid names and days are left out."""
    return _values(stated, lambda value, _: parse_birthday(value), Counter())


def _values(
    stated: Mapping[str, Any], parse: Callable[[Any, Counter[str]], T], flaws: Counter[str]
) -> tuple[tuple[str, T | None], ...]:
    values: dict[str, T | None] = {}
    for raw, value in stated.items():
        name = _TO_UNDERSCORES.sub("_", raw[:MAX_ID].strip().lower())
        if not FIELD_NAME.match(name):
            flaws[_BAD_NAME] += 1
        elif len(values) >= MOST_VALUES:
            flaws[_TOO_MANY] += 1
        else:
            text = value.strip() if isinstance(value, str) else value
            try:
                values[name] = None if text is None or text == "" else parse(text, flaws)
            except ValidationFailed:
                flaws[_BAD_VALUE] += 1
    return tuple(sorted(values.items()))


def _attribute(value: str | int, flaws: Counter[str]) -> str | int:
    return _cut(value, MAX_ATTRIBUTE, flaws) if isinstance(value, str) else value


def _external_id(value: str, flaws: Counter[str]) -> str:
    if len(value) > MAX_ID or not value.isprintable():
        raise ValidationFailed("bad_id", "an external id is too long, or has control characters")
    return value


def _cut(text: str, limit: int, flaws: Counter[str]) -> str:
    if len(text) > limit:
        flaws[_CUT] += 1
    return clipped(text, limit)
