"""Limits of writer schemas: a schema that others registered must not cost more memory, time or stack than its records are long.

fastavro decodes in C with the GIL held. An array of items without bytes (`null`) makes it loop as often as a number in the record says,
and a recursive record makes it recurse as deep as the bytes do. Such schemas are refused before any record is decoded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The most characters of a schema: the largest of Takk has 15,000.
MAX_SCHEMA_CHARS = 262_144
#: The most levels of types within types.
MAX_DEPTH = 16
#: The most values of one record besides the items of arrays and maps; a named type counts at each place that refers to it.
MAX_VALUES = 10_000
#: The most symbols of an enum, branches of a union, and bytes of a fixed.
MAX_SYMBOLS, MAX_BRANCHES, MAX_FIXED_BYTES = 1_000, 64, 65_536
#: The most values that one byte of an array or a map may become.
MAX_VALUES_PER_BYTE = 16
#: The most digits of a decimal.
MAX_DIGITS = 1_000

_PRIMITIVES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


class UnsafeSchema(ValueError):
    """A schema that is invalid, or beyond the limits. The text names the limit and no data."""


@dataclass(frozen=True)
class _Cost:
    """The values of a type, and the fewest bytes of them."""

    values: int
    min_bytes: int


def parse_safely(text: str) -> Any:
    """Return the schema in a JSON text.

    Raises:
        UnsafeSchema: it is not JSON, or beyond the limits.
    """
    schema = parse_json(text)
    check_safe(schema)
    return schema


def parse_json(text: str) -> Any:
    """Return the JSON of a schema, which is not checked otherwise.

    Raises:
        UnsafeSchema: it is not JSON, or too long.
    """
    if len(text) > MAX_SCHEMA_CHARS:
        raise UnsafeSchema(f"the schema has {len(text)} characters, the limit is {MAX_SCHEMA_CHARS}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnsafeSchema("the schema is not valid JSON") from None


def check_safe(schema: Any) -> None:
    """Check a parsed JSON schema against the limits.

    Raises:
        UnsafeSchema: the schema is invalid, recursive, or beyond a limit, or its records can have no bytes.
    """
    if _Checker().cost(schema, "", 0).min_bytes == 0:
        raise UnsafeSchema("a record of the schema can have no bytes")


class _Checker:
    def __init__(self) -> None:
        #: Full name -> the cost of the type, or None while it is being defined.
        self._named: dict[str, _Cost | None] = {}

    def cost(self, kind: Any, namespace: str, depth: int) -> _Cost:
        if depth > MAX_DEPTH:
            raise UnsafeSchema(f"types are nested more than {MAX_DEPTH} levels deep")
        if isinstance(kind, str):
            return self._reference(kind, namespace)
        if isinstance(kind, list):
            return self._union(kind, namespace, depth)
        if not isinstance(kind, Mapping):
            raise UnsafeSchema("a type is neither a name, a list nor an object")
        return self._object(kind, namespace, depth)

    def _reference(self, name: str, namespace: str) -> _Cost:
        if name in _PRIMITIVES:
            return _Cost(1, _PRIMITIVES[name])
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._named:
            raise UnsafeSchema("a type is used before it is defined")
        if (known := self._named[full]) is None:
            raise UnsafeSchema("a type contains itself")
        return known

    def _union(self, branches: list[Any], namespace: str, depth: int) -> _Cost:
        if not 0 < len(branches) <= MAX_BRANCHES:
            raise UnsafeSchema(f"a union has {len(branches)} branches, the limit is {MAX_BRANCHES}")
        costs = [self.cost(branch, namespace, depth + 1) for branch in branches]
        return _bounded(1 + max(cost.values for cost in costs), 1 + min(cost.min_bytes for cost in costs))

    def _object(self, kind: Mapping[str, Any], namespace: str, depth: int) -> _Cost:
        name = kind.get("type")
        if name in ("record", "error"):
            return self._define(kind, namespace, lambda inner: self._record(kind, inner, depth))
        if name == "enum":
            return self._define(kind, namespace, lambda inner: _enum(kind))
        if name == "fixed":
            _check_decimal(kind)
            return self._define(kind, namespace, lambda inner: _fixed(kind))
        if name == "array":
            return self._repeated(kind.get("items"), 0, namespace, depth)
        if name == "map":
            return self._repeated(kind.get("values"), 1, namespace, depth)
        _check_decimal(kind)
        return self.cost(name, namespace, depth + 1)

    def _define(self, kind: Mapping[str, Any], namespace: str, measure: Any) -> _Cost:
        name = kind.get("name")
        if not isinstance(name, str) or not name:
            raise UnsafeSchema("a type has no name")
        own = kind.get("namespace", namespace)
        if not isinstance(own, str):
            raise UnsafeSchema("a namespace is not text")
        full = name if "." in name or not own else f"{own}.{name}"
        if full in self._named:
            raise UnsafeSchema("a type is defined twice")
        self._named[full] = None
        cost: _Cost = measure(full.rpartition(".")[0])
        self._named[full] = cost
        return cost

    def _record(self, kind: Mapping[str, Any], namespace: str, depth: int) -> _Cost:
        fields = kind.get("fields")
        if not isinstance(fields, list):
            raise UnsafeSchema("a record has no list of fields")
        values, min_bytes = 1, 0
        for field in fields:
            if not isinstance(field, Mapping) or not isinstance(field.get("name"), str):
                raise UnsafeSchema("a field has no name")
            cost = self.cost(field.get("type"), namespace, depth + 1)
            values, min_bytes = values + cost.values, min_bytes + cost.min_bytes
        return _bounded(values, min_bytes)

    def _repeated(self, item: Any, key_bytes: int, namespace: str, depth: int) -> _Cost:
        cost = self.cost(item, namespace, depth + 1)
        item_bytes = cost.min_bytes + key_bytes
        if item_bytes == 0:
            raise UnsafeSchema("the items of an array can have no bytes")
        if cost.values > MAX_VALUES_PER_BYTE * item_bytes:
            raise UnsafeSchema(
                f"an item of an array can have {cost.values} values in {item_bytes} bytes, the limit is {MAX_VALUES_PER_BYTE} per byte"
            )
        return _Cost(1, 1)


def _bounded(values: int, min_bytes: int) -> _Cost:
    if values > MAX_VALUES:
        raise UnsafeSchema(f"a record has more than {MAX_VALUES} values")
    return _Cost(values, min_bytes)


def _enum(kind: Mapping[str, Any]) -> _Cost:
    symbols = kind.get("symbols")
    if not isinstance(symbols, list) or not 0 < len(symbols) <= MAX_SYMBOLS:
        raise UnsafeSchema(f"an enum does not have 1 to {MAX_SYMBOLS} symbols")
    return _Cost(1, 1)


def _fixed(kind: Mapping[str, Any]) -> _Cost:
    size = kind.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_FIXED_BYTES:
        raise UnsafeSchema(f"a fixed does not have 0 to {MAX_FIXED_BYTES} bytes")
    return _Cost(1, size)


def _check_decimal(kind: Mapping[str, Any]) -> None:
    if kind.get("logicalType") != "decimal":
        return
    for number in (kind.get("precision", 1), kind.get("scale", 0)):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_DIGITS:
            raise UnsafeSchema(f"a decimal does not have 0 to {MAX_DIGITS} digits")
