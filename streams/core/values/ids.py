"""Deterministic ids: derived from the cause of a record, so that processing it again gives the same id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from hashlib import blake2b
from types import MappingProxyType, NoneType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from streams.core.values.local_time import text_of

# Crockford's base 32, without letters that resemble another letter or a digit.
_CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATOR = "\x1f"
#: Between the id of an email and the number of times that a person has sent it again.
_AGAIN, _MAX_DIGITS = "-again-", 6
# Copying a hash object is cheaper than creating one.
_DIGEST, _FINGERPRINT = blake2b(digest_size=16), blake2b(digest_size=8)
# Types whose `repr` contains no name of this project.
_PLAIN_TYPES = frozenset((NoneType, bool, int, float, str, bytes, date, datetime))


class TextLayout(NamedTuple):
    """The frozen names in the text of a struct, see `frozen_text`.

    Attributes:
        name: the name of the class.
        fields: the names of its first fields, in their order. Fields that were added later have no name here.
        items: the layouts of the structs within fields, by the names of `fields`.
    """

    name: str = ""
    fields: tuple[str, ...] = ()
    items: Mapping[str, TextLayout] = MappingProxyType({})


def digest(*parts: str) -> str:
    """Return an id of 32 hexadecimal characters (BLAKE2b, 128 bits) for `parts` in this order."""
    hashed = _DIGEST.copy()
    hashed.update(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def digest_of(*parts: bytes) -> str:
    """Return an id like `digest` for parts that may contain any bytes. Where a part ends counts."""
    hashed = _DIGEST.copy()
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.hexdigest()


def fingerprint(*parts: str) -> bytes:
    """Return a fingerprint of 8 bytes for `parts`. It is long enough to distinguish the few hundred of one customer."""
    hashed = _FINGERPRINT.copy()
    hashed.update(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"))
    return hashed.digest()


def fingerprint_of(content: bytes) -> bytes:
    """Return a fingerprint of 8 bytes for `content`."""
    hashed = _FINGERPRINT.copy()
    hashed.update(content)
    return hashed.digest()


def instance_id(customer_id: str, flow: str, trigger_key: str) -> str:
    """Return the id of the instance of `flow` that `trigger_key` (an order, a parcel) starts for the customer."""
    return digest("instance", customer_id, flow, trigger_key)


def migrated_id(instance: str, version: int) -> str:
    """Return the id of an instance after its migration to `version`.

    The new id keeps the ids of its steps apart from those of the older version.
    """
    return digest("migrated", instance, str(version))


def send_id(instance: str, step: str) -> str:
    """Return the id of the only email that step `step` of an instance can send."""
    return digest("send", instance, step)


def reward_code(key: bytes, instance: str, step: str) -> str:
    """Return the code of the only reward that step `step` of an instance can give: 12 characters, 60 bits, easy to read aloud.

    Args:
        key: the shop's secret, 64 bytes at most. Without it the code cannot be derived from the ids, which are not secret.
        instance: the id of the instance.
        step: the path of the step.
    """
    signed = blake2b(_SEPARATOR.join((instance, step)).encode(), digest_size=8, key=key, person=b"takk-reward")
    number = int.from_bytes(signed.digest(), "big")
    return "".join([_CODE_LETTERS[number >> 5 * place & 31] for place in range(12)])


def timer_id(instance: str, step: str, due_at: datetime) -> str:
    """Return the id of the timer that fires at `due_at` for `step` of an instance."""
    return digest("timer", instance, step, text_of(due_at))


def decision_id(instance: str, step: str, rule: str, repeat: str = "") -> str:
    """Return the id of a decision about a step. `repeat` distinguishes repeated decisions of the same rule."""
    return digest("decision", instance, step, rule, repeat)


def frozen_text(struct: Struct, layout: TextLayout) -> str:
    """Return a text of all values in `struct`, to be part of an id.

    The text has the form of a struct's `repr`, because the first versions hashed that: `Name(first='a', second=(1, 2))`. All names come
    from `layout`, so classes and fields can be renamed. Fields may be added at the end, with a default that never changes. A later
    field is written, under its position, only if it differs from its default. Data without it has the same text in every version.

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
        texts = [_text(item, layout) for item in value]
        return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"
    if type(value) not in _PLAIN_TYPES:
        raise TypeError(f"the text of a {type(value).__name__} may change between versions")
    return repr(value)


def repeated_send_id(send_id: str, times: int) -> str:
    """Return the id of an email that a person sends again for the `times`-th time, from 1. `send_id` is that of the first email."""
    return f"{send_id}{_AGAIN}{times}"


def split_send_id(send_id: str) -> tuple[str, int]:
    """Return the id of the first email, and how many times a person has sent it again: 0 for the first email itself."""
    first, again, times = send_id.rpartition(_AGAIN)
    return (first, int(times)) if again and first and times.isdecimal() and len(times) <= _MAX_DIGITS else (send_id, 0)
