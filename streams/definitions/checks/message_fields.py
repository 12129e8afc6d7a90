"""Hints for a field that a message uses and the data lacks: the fields that exist where the message looks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streams.core.conditions.names import NAMES
from streams.core.values.text import nearest, similar

_STEP = re.compile(r"\w+")
_INDEX = re.compile(r"\[\d+\]")


def unknown_field(word: str, text: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with a field of a message, and a hint.

    Args:
        word: the unknown field.
        text: the template or text that uses it, from the line of the error on if that is known.
        data: the data of the message.
    """
    owner = _owner(word, text)
    value, is_known = _value(owner, text, data)
    if is_known and value is None:
        return (
            f"{owner} is empty in some emails: it has no {word!r}",
            f"put it between {{% if {owner} %}} and {{% endif %}}",
        )
    if is_known and not isinstance(value, Mapping):
        return (
            f"{owner} has no field {word!r}, because it is a single value",
            'see "Data of a message" in templates/LANGUAGE.md',
        )
    if not is_known:
        return f"unknown field {word!r}", nearest(word, sorted({*_fields(data)} - {word}))
    hint = nearest(word, [*value])
    if similar(word, value) is None:
        elsewhere = [path for path in _paths(value, owner) if path.endswith(f".{word}")]
        hint = f"did you mean {elsewhere[0]}?" if elsewhere else hint
        if f"{owner}.{word}" in NAMES:
            hint = f"only conditions have {owner}.{word}; {hint}"
    return f"unknown field {word!r} of {owner}", hint


def _owner(word: str, text: str) -> str:
    """Return what is before the dot of the first use of a field: `order` of `order.totl`, and "" if the text does not show it."""
    match = re.search(rf"(\w+(?:\[\d+\])?(?:\.\w+(?:\[\d+\])?)*)\.{re.escape(word)}\b", text)
    return match[1] if match else ""


def _value(path: str, text: str, data: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return the value at a path in the data, and whether the path is known. The items of a list count as its first."""
    steps = _STEP.findall(_INDEX.sub("", path))
    if not steps:
        return None, False
    if steps[0] not in data:
        loop = re.search(rf"\bfor\s+{steps[0]}\s+in\s+([\w.]+)", text)
        if loop is None or loop[1].partition(".")[0] not in data:
            return None, False
        steps = [*_STEP.findall(loop[1]), *steps[1:]]
    value: Any = data
    for step in steps:
        value = value[0] if isinstance(value, (list, tuple)) and value else value
        if not isinstance(value, Mapping) or step not in value:
            return None, False
        value = value[step]
    return (value[0] if isinstance(value, (list, tuple)) and value else value), True


def _paths(value: Mapping[str, Any], owner: str) -> Iterator[str]:
    """Yield the paths of all fields in a mapping, without those in lists."""
    for name, inner in value.items():
        yield f"{owner}.{name}"
        if isinstance(inner, Mapping):
            yield from _paths(inner, f"{owner}.{name}")


def _fields(data: Any) -> Iterator[str]:
    """Yield the names of all fields in the data of a message, at any depth."""
    if isinstance(data, Mapping):
        yield from data
    for inner in data.values() if isinstance(data, Mapping) else data if isinstance(data, (list, tuple)) else ():
        yield from _fields(inner)
