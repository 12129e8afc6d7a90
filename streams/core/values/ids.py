"""Ids made from what caused a thing, so that doing it again gives the same id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from hashlib import blake2b
from types import MappingProxyType, NoneType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from streams.core.values.local_time import text_of

# Crockford's base 32: no letter that is taken for another or for a number.
_CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATOR = "\x1f"
# Copying a hash that was set up once is cheaper than setting one up.
_DIGEST, _MARK = blake2b(digest_size=16), blake2b(digest_size=8)
# Types whose `repr` contains no name that this project may change.
_PLAIN_TYPES = frozenset((NoneType, bool, int, float, str, bytes, date, datetime))


class TextLayout(NamedTuple):
    """The frozen names in the text of a struct, see `frozen_text`.

    Attributes:
        name: what stands for the class.
        fields: what stands for each of its first fields, by place. A field that was added later has no name here.
        items: the layout of the structs in a field, by the field's name here.
    """

    name: str = ""
    fields: tuple[str, ...] = ()
    items: Mapping[str, TextLayout] = MappingProxyType({})


def digest(*parts: str) -> str:
    """32 hexadecimal characters that stand for `parts`, in their order."""
    hashed = _DIGEST.copy()
    hashed.update(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def mark(*parts: str) -> bytes:
    """8 bytes that stand for `parts`: enough to know them again among the few hundred that one customer has."""
    hashed = _MARK.copy()
    hashed.update(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"))
    return hashed.digest()


def instance_id(customer_id: str, flow: str, trigger_key: str) -> str:
    """The run of `flow` that `trigger_key` (an order, a parcel) started for the customer."""
    return digest("instance", customer_id, flow, trigger_key)


def migrated_id(instance: str, version: int) -> str:
    """The run that goes on, on `version` of the flow, for the run `instance`: with an id of its own its steps are not taken for the old ones."""
    return digest("migrated", instance, str(version))


def send_id(instance: str, step: str) -> str:
    """The one mail that step `step` of an instance may send."""
    return digest("send", instance, step)


def reward_code(key: bytes, instance: str, step: str) -> str:
    """The code of the one reward that step `step` of an instance may give: 12 characters that are easily read aloud, of 60 bits.

    Without the shop's `key` (64 bytes at most) nobody can tell it from the ids, which are no secrets.
    """
    signed = blake2b(_SEPARATOR.join((instance, step)).encode(), digest_size=8, key=key, person=b"takk-reward")
    number = int.from_bytes(signed.digest(), "big")
    return "".join([_CODE_LETTERS[number >> 5 * place & 31] for place in range(12)])


def timer_id(instance: str, step: str, due_at: datetime) -> str:
    """The timer that wakes an instance for `step` at `due_at`."""
    return digest("timer", instance, step, text_of(due_at))


def decision_id(instance: str, step: str, rule: str, moment: str = "") -> str:
    """A decision about a step; `moment` tells decisions apart that the same rule takes again and again."""
    return digest("decision", instance, step, rule, moment)


def frozen_text(struct: Struct, layout: TextLayout) -> str:
    """Return a text of all values in `struct`, to be part of an id.

    The text has the form of a struct's `repr`, since the first versions hashed that: `Name(first='a', second=(1, 2))`. All names come from
    `layout`, so classes and fields can be renamed. Fields may be added at the end, with a default that never changes: a later field
    is written, under its place, only if it differs from its default. Data without it therefore has the same text in every version.

    Raises:
        ValueError: `struct` has fewer fields than `layout`.
        TypeError: a value has a type whose text may change.
    """
    values, named = astuple(struct), len(layout.fields)
    parts = [
        f"{field}={_text(value, layout.items.get(field))}"
        for field, value in zip(layout.fields, values[:named], strict=True)
    ]
    if len(values) > named:
        defaults = struct.__struct_defaults__
        first_default = len(values) - len(defaults)
        for place in range(named, len(values)):
            is_default = place >= first_default and values[place] == defaults[place - first_default]
            if not is_default:
                parts.append(f"{place}={_text(values[place], None)}")
    return f"{layout.name}({', '.join(parts)})"


def _text(value: object, layout: TextLayout | None) -> str:
    if isinstance(value, Struct):
        return frozen_text(value, layout or TextLayout())
    if type(value) is tuple:
        texts = [_text(one, layout) for one in value]
        return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"
    if type(value) not in _PLAIN_TYPES:
        raise TypeError(f"the text of a {type(value).__name__} is not frozen")
    return repr(value)
