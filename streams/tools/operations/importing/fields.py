"""Convert the values of a row to the types of a schema's fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.core.values import money
from streams.core.values.local_time import zone
from streams.core.values.text import counted
from streams.tools.operations.importing.mapping import Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Numbers from here on are milliseconds since 1970, not seconds.
_FIRST_MS = 100_000_000_000
_MAX_DIGITS = 30
_YES, _NO = frozenset(("true", "1", "yes", "y")), frozenset(("false", "0", "no", "n", ""))


class RowInvalid(ValueError):
    """A row that is not imported.

    Attributes:
        reason: a short name; that of the rule if the record breaks one.
        detail: an explanation without data of the row.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def types_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the type of each field of a record schema, without null."""
    return {field["name"]: _without_null(field["type"]) for field in schema["fields"]}


def _without_null(kind: Any) -> Any:
    return next(part for part in kind if part != "null") if isinstance(kind, list) else kind


def convert(value: Any, kind: Any, field: str, source: Source) -> Any:
    """Return a value as a field of an Avro type needs it; None for an empty cell.

    Raises:
        RowInvalid: it cannot be converted.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    name = kind if isinstance(kind, str) else "timestamp" if "logicalType" in kind else kind["type"]
    if name == "array":
        return _array(value, kind["items"], field)
    if name == "map":
        return _map(value, field)
    if name == "record":
        return _record(value, kind, field)
    parse: Callable[[Any, str, Source], Any] = _SCALARS.get(name, _text)
    return parse(value, field, source)


def amount(value: Any, currency: str, field: str, source: Source) -> int:
    """Return an amount in major units, such as 129.50, in minor units of the currency.

    Raises:
        RowInvalid: it is not an amount, or has more decimals than the currency.
    """
    text = str(value).strip().replace(" ", "").replace("\N{NO-BREAK SPACE}", "").replace("'", "")
    text = text.replace(".", "").replace(",", ".") if source.decimal == "," else text.replace(",", "")
    try:
        number = Decimal(text) if len(text) <= _MAX_DIGITS else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise RowInvalid("bad_amount", f"{field} is not an amount such as 129.50")
    minor = money.minor(number, currency)
    if money.major(minor, currency) != number:
        raise RowInvalid("bad_amount", f"{field} has more than {counted(money.exponent(currency), 'decimal')}")
    return minor


def _text(value: Any, field: str, source: Source) -> str:
    if isinstance(value, (dict, list, bytes)):
        raise RowInvalid("bad_text", f"{field} is not a text")
    return str(value)


def _number(value: Any, field: str, source: Source) -> int:
    try:
        number = Decimal(str(value)) if len(str(value)) <= _MAX_DIGITS else Decimal("NaN")
        if number == number.to_integral_value() and abs(number) < 1 << 63:
            return int(number)
    except InvalidOperation:
        pass
    raise RowInvalid("bad_number", f"{field} is not a whole number")


def _boolean(value: Any, field: str, source: Source) -> bool:
    text = str(value).lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise RowInvalid("bad_boolean", f"{field} is neither true nor false")


def _time(value: Any, field: str, source: Source) -> datetime:
    tz = zone(source.zone) or UTC
    try:
        if isinstance(value, datetime):
            at = value
        elif isinstance(value, date):
            at = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone follows
        elif source.format:
            at = datetime.strptime(str(value), source.format)  # noqa: DTZ007 - the zone follows
        elif (
            str(value).isascii()
            and str(value).removeprefix("-").isdigit()
            and len(str(value)) < 18
            and len(str(value)) != 8
        ):
            number = int(value)
            at = _EPOCH + (timedelta(milliseconds=number) if number >= _FIRST_MS else timedelta(seconds=number))
        else:
            at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError):
        expected = f"written as {source.format}" if source.format else "in ISO 8601, such as 2026-03-02T09:00:00Z"
        raise RowInvalid("bad_time", f"{field} is not a time {expected}") from None
    at = at.replace(tzinfo=tz) if at.tzinfo is None else at
    # The precision of the records is a millisecond.
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def _structure(value: Any, field: str, kind: type, reason: str, noun: str) -> Any:
    """Return a list or a dict, from JSON or as it is.

    Raises:
        RowInvalid: `reason`, if the value is not of this kind.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=str)
        except (ValueError, RecursionError):
            raise RowInvalid(reason, f"{field} is not {noun} in JSON") from None
    if not isinstance(value, kind):
        raise RowInvalid(reason, f"{field} is not {noun}")
    return value


def _array(value: Any, items: Any, field: str) -> list[Any]:
    value = _structure(value, field, list, "bad_list", "a list")
    return [convert(item, items, field, Source()) for item in value]


def _map(value: Any, field: str) -> dict[str, Any]:
    """Return a mapping of names to texts and whole numbers, from JSON or an object. Other values become texts."""
    value = _structure(value, field, dict, "bad_map", "an object")
    return {str(name): map_value(item, f"{field}.{name}", Source()) for name, item in value.items()}


def map_value(value: Any, field: str, source: Source) -> str | int | None:
    """Return a value of a mapping: a text or a whole number of 64 bits; None for an empty cell. A `format` is that of a day.

    Raises:
        RowInvalid: it is neither.
    """
    if isinstance(value, date) or (source.format and value not in (None, "")):
        return _time(value, field, source).astimezone(zone(source.zone) or UTC).date().isoformat()
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value, field, Source()).strip() or None


def _record(value: Any, schema: Mapping[str, Any], field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RowInvalid("bad_list", f"{field} has an item that is not an object")
    converted = {}
    for name, kind in types_of(schema).items():
        item = convert(value.get(name), kind, f"{field}.{name}", Source())
        if item is not None:
            converted[name] = item
    return completed(converted, schema, field)


def completed(values: dict[str, Any], schema: Mapping[str, Any], field: str = "") -> dict[str, Any]:
    """Return the values with the defaults of the fields that they lack; a text without a default is empty.

    Raises:
        RowInvalid: a field without a default is missing.
    """
    complete = {}
    for entry in schema["fields"]:
        name = entry["name"]
        if values.get(name) is not None:
            complete[name] = values[name]
        elif "default" in entry:
            complete[name] = entry["default"]
        elif entry["type"] == "string" and name not in _NEEDED:
            complete[name] = ""
        elif isinstance(entry["type"], dict) and entry["type"]["type"] == "array":
            complete[name] = []
        else:
            raise RowInvalid("missing_field", f"{field + '.' if field else ''}{name} is missing")
    return complete


#: Texts that must not be empty.
_NEEDED = frozenset(("customer_id", "order_id", "parcel_id", "sku", "currency"))
_SCALARS: Mapping[str, Callable[[Any, str, Source], Any]] = {
    "int": _number,
    "long": _number,
    "boolean": _boolean,
    "timestamp": _time,
}
