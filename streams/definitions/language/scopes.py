"""The scopes of conditions about a customer alone: of segments, and of the thresholds of flows."""

from __future__ import annotations

from types import MappingProxyType

from streams.definitions.language.conditions import Absence, Scope

_OTHERS = ("order", "shipment", "product", "event", "reward", "repeat", "today")
_HINT = "use customer.* or field.*"
_NO_SEGMENT: Absence = ("a threshold cannot refer to segments", "repeat the condition of the segment")

SEGMENT_SCOPE = Scope(
    MappingProxyType(dict.fromkeys(_OTHERS, ("a segment describes only the customer", _HINT))),
    None,
)
THRESHOLD_SCOPE = Scope(
    MappingProxyType(
        {
            **dict.fromkeys(_OTHERS, ("a threshold is about the customer alone", _HINT)),
            "customer.segments": _NO_SEGMENT,
        }
    )
)
