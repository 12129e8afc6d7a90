"""The fields that flows store about a customer: texts, of which some are numbers, and amounts that expire.

An amount that expires is stored beside its field, under the name of the field, an `@` and the time of its end in seconds since 1970. The
field has the sum. No field has an `@` in its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.ruleset import Limits

#: Characters of a value, at most.
LONGEST = 200
#: Decimals of a number that is stored.
_DECIMALS = 3
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:[.,][0-9]{1,9})?\Z")
#: Numbers that are stored have no more digits than those that are read.
_LARGEST = Decimal(10**15 - 1)
_AMOUNT = "@"


def field_of(uow: UnitOfWork, name: str) -> str | None:
    """Return the value of a field, with its amounts that have not expired; None if it is not set."""
    base, total, mark = None, 0, name + _AMOUNT
    for key, value in uow.fields:
        if key == name:
            base = value
        elif key.startswith(mark) and _end_of(key) > uow.now:
            total += int(value)
    return base if not total else as_stored(as_number(base) + total)


def all_fields(uow: UnitOfWork) -> tuple[tuple[str, str], ...]:
    """Return the value of each field that is set, sorted by name."""
    names = sorted({key.partition(_AMOUNT)[0] for key, _ in uow.fields})
    return tuple([(name, value) for name in names if (value := field_of(uow, name)) is not None])


def ends_of(uow: UnitOfWork, name: str) -> list[datetime]:
    """Return when the amounts of a field expire (UTC)."""
    return [_end_of(key) for key, _ in uow.fields if key.startswith(name + _AMOUNT)]


def put_field(uow: UnitOfWork, name: str, value: str) -> None:
    """Store the value of a field in place of its earlier value and amounts. An empty one removes it."""
    fields = {key: other for key, other in uow.fields if key.partition(_AMOUNT)[0] != name}
    _store(uow, fields | {name: value})


def add_to_field(uow: UnitOfWork, name: str, value: int, expires_at: datetime | None) -> None:
    """Add to the number in a field. A negative value is taken from the amounts that expire first, the rest from the number itself.

    Args:
        uow: the customer.
        name: the field. Without a number it counts as 0.
        value: what is added.
        expires_at: when a positive value expires, UTC; None if it does not.
    """
    fields = dict(uow.fields)
    amounts = sorted((_end_of(key), key) for key in fields if key.startswith(name + _AMOUNT))
    for end, key in amounts:
        taken = int(fields[key]) if end <= uow.now else max(0, min(int(fields[key]), -value))
        fields[key] = str(int(fields[key]) - taken)
        value += taken if end > uow.now else 0
    if value and expires_at is not None:
        key = f"{name}{_AMOUNT}{int(expires_at.timestamp())}"
        fields[key] = str(whole(int(fields.get(key, 0)) + value))
    elif value:
        fields[name] = as_stored(as_number(fields.get(name)) + value)
    _store(uow, {key: number for key, number in fields.items() if _AMOUNT not in key or number != "0"})


def kept_fields(fields: Mapping[str, str], limits: Limits) -> tuple[tuple[str, str], ...]:
    """Return fields within the limits. The last ones in alphabetical order are dropped, and amounts of one field are joined.

    Of the field with the most amounts, the two that expire first become one, with the later end.
    """
    kept = dict(
        sorted((name, value) for name, value in fields.items() if value and _AMOUNT not in name)[: limits.fields]
    )
    amounts = {key: value for key, value in fields.items() if _AMOUNT in key}
    while len(amounts) > limits.amounts:
        names = [key.partition(_AMOUNT)[0] for key in amounts]
        most = max(sorted(set(names)), key=names.count)
        keys = sorted((key for key in amounts if key.startswith(most + _AMOUNT)), key=_end_of)
        joined = int(amounts.pop(keys[0]))
        if len(keys) > 1:
            amounts[keys[1]] = str(int(amounts[keys[1]]) + joined)
    return tuple(sorted((kept | amounts).items()))


def _store(uow: UnitOfWork, fields: Mapping[str, str]) -> None:
    uow.changed = True
    uow.fields = kept_fields(fields, uow.ruleset.limits)


def _end_of(key: str) -> datetime:
    return datetime.fromtimestamp(int(key.partition(_AMOUNT)[2]), UTC)


def as_number(value: Any) -> Decimal | int:
    """Return a value as a number: 0 if it is unknown or not a number."""
    if isinstance(value, int):
        return value
    return Decimal(value.replace(",", ".")) if value is not None and _NUMBER.match(value) else 0


def whole(value: Decimal | int) -> int:
    """Return a number without its decimals, with 15 digits at most."""
    return int(max(-_LARGEST, min(value, _LARGEST)))


def as_stored(value: Any) -> str:
    """Return a text or a number as a field stores it: numbers with three decimals at most, texts with their first 200 characters."""
    if isinstance(value, str):
        return value[:LONGEST]
    number = max(-_LARGEST, min(Decimal(value), _LARGEST))
    text = f"{round(number, _DECIMALS):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
