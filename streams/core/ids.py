"""Ids made from what caused a thing, so that doing it again gives the same id."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

_SEPARATOR = "\x1f"


def digest(*parts: str) -> str:
    """32 hexadecimal characters that stand for `parts`, in their order."""
    return blake2b(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def mark(*parts: str) -> bytes:
    """8 bytes that stand for `parts`: enough to know them again among the few hundred that one customer has."""
    return blake2b(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def instance_id(customer_id: str, flow: str, trigger_key: str) -> str:
    """The run of `flow` that `trigger_key` (an order, a parcel) started for the customer."""
    return digest("instance", customer_id, flow, trigger_key)


def send_id(instance: str, step: str) -> str:
    """The one mail that step `step` of an instance may send."""
    return digest("send", instance, step)


def timer_id(instance: str, step: str, due_at: datetime) -> str:
    """The timer that wakes an instance for `step` at `due_at`."""
    return digest("timer", instance, step, due_at.isoformat())


def decision_id(instance: str, step: str, rule: str, moment: str = "") -> str:
    """A decision about a step; `moment` tells decisions apart that the same rule takes again and again."""
    return digest("decision", instance, step, rule, moment)
