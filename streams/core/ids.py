"""Ids made from what caused a thing, so that doing it again gives the same id."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from streams.core.local_time import text_of

# Crockford's base 32: no letter that is taken for another or for a number.
_CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATOR = "\x1f"
# Copying a hash that was set up once is cheaper than setting one up.
_DIGEST, _MARK = blake2b(digest_size=16), blake2b(digest_size=8)


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
