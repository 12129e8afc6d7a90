"""The values whose names a shop chooses: attributes and dates of the customer's record, and fields that flows set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import NAMES
from streams.core.model.customer import day_text
from streams.core.model.fields import field_of
from streams.core.values.text import FIELD_NAME

#: The first words of fields, attributes and dates, before the name of one.
FIELDS, ATTRIBUTES, DATES = "field.", "customer.attributes.", "customer.dates."


def open_value_of(name: str) -> Callable[[Any], Any] | None:
    """Return the function that reads a field, an attribute or a date by its name in a condition; None for other names."""
    for first, reader in _READERS:
        rest = name.removeprefix(first)
        if rest != name:
            return reader(rest) if FIELD_NAME.match(rest) else None
    return None


def reader_of(name: str) -> Callable[[Any], Any]:
    """Return the function that reads a valid name from an evaluation context."""
    return NAMES[name][1] if name in NAMES else open_value_of(name) or _nothing


def _nothing(context: EvalContext) -> None:
    """Return the value of a name that does not exist."""


def _field(name: str) -> Callable[[Any], Any]:
    def read(context: EvalContext) -> str | None:
        return field_of(context.uow, name)

    return read


def _attribute(name: str) -> Callable[[Any], Any]:
    def read(context: EvalContext) -> str | int | None:
        return context.uow.profile.traits.attribute(name)

    return read


def _date(name: str) -> Callable[[Any], Any]:
    def read(context: EvalContext) -> str | None:
        day = context.uow.profile.traits.date(name)
        return day_text(day) if day is not None else None

    return read


_READERS = ((FIELDS, _field), (ATTRIBUTES, _attribute), (DATES, _date))
