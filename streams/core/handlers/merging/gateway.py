"""The pages and requests of two customer ids that are one person."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.model.gateway_state import GatewayState, Request
from streams.core.values.moments import latest


def merged_gateway(own: GatewayState, other: GatewayState, most: int) -> GatewayState:
    """Return both states merged, in whatever order both are given; the page is that of `own`. Fewer emails count more than the usual number."""
    requests: dict[str, Request] = {}
    for request in (*other.requests, *own.requests):
        stored = requests.get(request.request_id)
        # An address that was confirmed is not stored any more.
        requests[request.request_id] = stored if stored is not None and stored.is_confirmed else request
    newest = sorted(requests.values(), key=lambda each: (each.asked_at, each.request_id))[-most:]
    return replace(
        own,
        wants_fewer=own.wants_fewer or other.wants_fewer,
        frequency_at=latest(own.frequency_at, other.frequency_at),
        requests=tuple(newest),
        cart_emptied_at=latest(own.cart_emptied_at, other.cart_emptied_at),
    )
