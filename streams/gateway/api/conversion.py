"""JSON values to the values of an Avro schema, with an issue for each field that does not fit.

The converters are built once from a schema. JSON has the field names of the schema. A time is a text in ISO 8601 or a number of milliseconds
since 1970. Fields with a default may be left out, and unknown fields are refused: a field with a typo would be lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from streams.core.values.text import nearest, similar
from streams.gateway.api.json_text import shown
from streams.wire.validation import EARLIEST, EPOCH, LATEST_MS

#: Issues that are reported of one record.
MOST_ISSUES = 20
#: Characters of a name for which a typo is looked for, and of a time.
_LONGEST_NAME, _LONGEST_TIME = 40, 40
_INT, _LONG = 1 << 31, 1 << 63
#: Numbers up to here are whole also as a float.
_EXACT = 1 << 53
_EARLIEST_MS = int(EARLIEST.timestamp() * 1000)
_REFERENCE = "GET /v1/openapi.json lists the fields"
_NOT_NULL = "leave the field out if there is no value"


class Issue(NamedTuple):
    """A reason why a record is refused, for the developer of the shop.

    Attributes:
        field: the path of the field, such as `lines[0].sku`; "" for the whole record.
        message: what is wrong.
        hint: what to do; may be empty.
    """

    field: str
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the issue for an answer. Empty parts are left out."""
        return {name: value for name, value in self._asdict().items() if value}


class Issues(list[Issue]):
    """The issues of one record, `MOST_ISSUES` at most."""

    def add(self, field: str, message: str, hint: str = "") -> None:
        """Add an issue, unless there are too many."""
        if not self.is_full:
            self.append(Issue(field, message, hint))

    @property
    def is_full(self) -> bool:
        """Whether no more issues are added."""
        return len(self) >= MOST_ISSUES


#: Converts a value; the path of its field is the second argument. It returns anything if it adds an issue.
Convert: TypeAlias = Callable[[Any, str, Issues], Any]


def named_types(schema: Any, found: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the records and enums in a schema by name, with and without the namespace."""
    found = {} if found is None else found
    if isinstance(schema, list):
        for part in schema:
            named_types(part, found)
    elif isinstance(schema, Mapping):
        if "name" in schema and "type" in schema and schema["type"] in ("record", "enum"):
            found[schema["name"]] = found[f"takk.{schema['name']}"] = schema
        for field in schema.get("fields", ()):
            named_types(field["type"], found)
        for part in ("items", "values"):
            named_types(schema.get(part), found)
    return found


def symbols_of(kind: Mapping[str, Any], doc: str) -> list[str]:
    """Return the symbols of an enum that a writer may use, given the documentation of the field."""
    hidden = "`unknown` is never written" in doc
    return [symbol for symbol in kind["symbols"] if not (hidden and symbol == "unknown")]


def converter(schema: Mapping[str, Any], optional: Mapping[str, Any]) -> Convert:
    """Return the converter of a record schema.

    Args:
        schema: the Avro schema.
        optional: values of fields without a default in the schema, by `Record.field`; they may then be left out.
    """
    return _record(schema, named_types(schema), optional)


def _record(schema: Mapping[str, Any], named: Mapping[str, Any], optional: Mapping[str, Any]) -> Convert:
    fields: dict[str, Convert] = {}
    plain: dict[str, type | None] = {}
    defaults: dict[str, Any] = {}
    for field in schema["fields"]:
        name = field["name"]
        fields[name] = _converter(field["type"], named, optional, field.get("doc", ""))
        plain[name] = _plain_type(field["type"])
        if "default" in field:
            defaults[name] = field["default"]
        elif (key := f"{schema['name']}.{name}") in optional:
            defaults[name] = optional[key]
    required, names = fields.keys() - defaults.keys(), tuple(fields)

    def convert(value: Any, path: str, issues: Issues) -> Any:
        if type(value) is not dict:
            issues.add(path, f"expected an object, not {_kind_of(value)}")
            return None
        record, prefix = defaults.copy(), f"{path}." if path else ""
        for name, item in value.items():
            kind = type(item)
            # Most values are what they become. To keep them without a call saves half of the time, 100 µs for an order of 50 lines.
            if kind is plain.get(name) and (kind is not int or -_INT <= item < _INT):
                record[name] = item
            elif (field := fields.get(name)) is not None:
                record[name] = field(item, prefix + name, issues)
            elif not issues.is_full:
                issues.add(prefix + clipped_name(name), "unknown field", _meant(name, names))
        if len(record) < len(fields):
            for name in names:
                if name in required and name not in value:
                    issues.add(prefix + name, "missing field")
        return record

    return convert


def _plain_type(kind: Any) -> type | None:
    """Return the type of the JSON values that an Avro type takes as they are, given that integers have 32 bits; None for no type."""
    if isinstance(kind, list):
        return _plain_type(next(part for part in kind if part != "null"))
    return _PLAIN_TYPES.get(kind) if isinstance(kind, str) else None


def _meant(name: str, known: tuple[str, ...]) -> str:
    if len(name) > _LONGEST_NAME:
        return _REFERENCE
    if f"{name}_minor" in known:
        return f"use '{name}_minor', in minor units of the currency: 12950 is 129.50"
    meant = similar(name, known)
    return _REFERENCE if meant is None else f"did you mean '{meant}'?"


def clipped_name(name: str) -> str:
    """Return the name of an unknown field for an answer."""
    return shown(name)[1:-1]


def _converter(kind: Any, named: Mapping[str, Any], optional: Mapping[str, Any], doc: str) -> Convert:
    if isinstance(kind, str):
        return _SCALARS[kind] if kind in _SCALARS else _converter(named[kind], named, optional, doc)
    if isinstance(kind, list):
        return _union(kind, named, optional, doc)
    if "logicalType" in kind:
        return _time
    if kind["type"] == "record":
        return _record(kind, named, optional)
    if kind["type"] == "enum":
        return _enum(symbols_of(kind, doc))
    if kind["type"] == "array":
        return _array(_converter(kind["items"], named, optional, doc))
    if kind["type"] == "map":
        return _map(_converter(kind["values"], named, optional, doc))
    return _converter(kind["type"], named, optional, doc)


def _union(kinds: list[Any], named: Mapping[str, Any], optional: Mapping[str, Any], doc: str) -> Convert:
    parts = [part for part in kinds if part != "null"]
    if parts == ["string", "long"]:
        some: Convert = _text_or_number
    else:
        (part,) = parts
        some = _converter(part, named, optional, doc)
    return lambda value, path, issues: None if value is None else some(value, path, issues)


def _text_or_number(value: Any, path: str, issues: Issues) -> Any:
    if type(value) is int:
        return _number(value, path, issues, _LONG)
    if type(value) is float or type(value) is bool:
        issues.add(path, f"expected a text or a whole number, not {_kind_of(value)}", "write the value as a text")
        return None
    return _text(value, path, issues)


def _array(item: Convert) -> Convert:
    def convert(value: Any, path: str, issues: Issues) -> Any:
        if type(value) is not list:
            issues.add(path, f"expected an array, not {_kind_of(value)}")
            return None
        converted = []
        for number, part in enumerate(value):
            if issues.is_full:
                break
            converted.append(item(part, f"{path}[{number}]", issues))
        return converted

    return convert


def _map(item: Convert) -> Convert:
    def convert(value: Any, path: str, issues: Issues) -> Any:
        if type(value) is not dict:
            issues.add(path, f"expected an object, not {_kind_of(value)}")
            return None
        return {name: item(part, f"{path}.{clipped_name(name)}", issues) for name, part in value.items()}

    return convert


def _enum(symbols: list[str]) -> Convert:
    known = frozenset(symbols)

    def convert(value: Any, path: str, issues: Issues) -> Any:
        if type(value) is not str:
            issues.add(path, f"expected a text, not {_kind_of(value)}", f"known: {', '.join(symbols)}")
        elif value not in known:
            issues.add(path, f"unknown value {shown(value)}", nearest(value[:_LONGEST_NAME], symbols))
        return value

    return convert


def _text(value: Any, path: str, issues: Issues) -> Any:
    if type(value) is not str:
        hint = "put the number in quotes" if type(value) in (int, float) else _NOT_NULL if value is None else ""
        issues.add(path, f"expected a text, not {_kind_of(value)}", hint)
    return value


def _boolean(value: Any, path: str, issues: Issues) -> Any:
    if type(value) is not bool:
        issues.add(
            path,
            f"expected true or false, not {_kind_of(value)}",
            "write true or false without quotes, or leave it out",
        )
    return value


def _number(value: Any, path: str, issues: Issues, bound: int) -> Any:
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)  # some languages write 5.0 for 5
    if type(value) is int and -bound <= value < bound:
        return value
    if type(value) is float and not value.is_integer() and path.endswith("_minor"):
        issues.add(path, "amounts are whole numbers", "count in minor units of the currency: 12950 is 129.50")
    elif type(value) in (int, float):
        is_whole = type(value) is int or value.is_integer()
        issues.add(path, "the number is too large" if is_whole else "expected a whole number")
    else:
        hint = _NOT_NULL if value is None else "write the number without quotes" if type(value) is str else ""
        issues.add(path, f"expected a whole number, not {_kind_of(value)}", hint)
    return None


def _time(value: Any, path: str, issues: Issues) -> Any:
    if type(value) is str and len(value) <= _LONGEST_TIME:
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is None:
                issues.add(path, "the time has no offset from UTC", "end it with Z or with an offset such as +01:00")
                return None
            # The precision of the records is a millisecond.
            return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
        except (ValueError, OverflowError):
            value = None
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)
    if type(value) is int and _EARLIEST_MS <= value < LATEST_MS:
        return EPOCH + timedelta(milliseconds=value)
    if type(value) is int:
        seconds = _EARLIEST_MS <= value * 1000 < LATEST_MS
        issues.add(path, "expected a time between 2000 and 2100", "use milliseconds, not seconds" if seconds else "")
    else:
        issues.add(path, "expected a time", "use ISO 8601, such as 2026-11-27T09:30:00Z, or milliseconds since 1970")
    return None


def _kind_of(value: Any) -> str:
    return _KINDS[type(value)]


_KINDS = {
    dict: "an object", list: "an array", str: "a text", int: "a number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip
_PLAIN_TYPES: Mapping[str, type] = {"string": str, "boolean": bool, "int": int, "long": int}
_SCALARS: Mapping[str, Convert] = {
    "string": _text,
    "boolean": _boolean,
    "int": lambda value, path, issues: _number(value, path, issues, _INT),
    "long": lambda value, path, issues: _number(value, path, issues, _LONG),
}
