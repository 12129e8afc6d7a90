"""The part of a customer's state that belongs to the pages of the gateway. For `array_like` and `gc=False` see customer.py."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Request(Struct, frozen=True, gc=False, array_like=True):
    """A request that waits for its confirmation, or was confirmed.

    Attributes:
        kind: `export`, `erase` or `change_address`.
        asked_at: when the customer asked (UTC).
        email: the new address of a change, "" for other kinds and once the request was confirmed.
        is_confirmed: whether it was confirmed in time.
    """

    request_id: str
    kind: str
    asked_at: datetime
    email: str = ""
    is_confirmed: bool = False


class GatewayState(Struct, frozen=True, gc=False, array_like=True):
    """The record on `customer-pages`, and the wishes of the customer on the pages.

    Attributes:
        page: the fingerprint of the newest record on `customer-pages`, b"" if the topic has none.
        wants_fewer: whether the customer wants fewer emails.
        frequency_at: when the customer said that (UTC).
        requests: the newest requests, the oldest first.
        cart_emptied_at: when the customer last emptied the cart (UTC).
    """

    page: bytes = b""
    wants_fewer: bool = False
    frequency_at: datetime | None = None
    requests: tuple[Request, ...] = ()
    cart_emptied_at: datetime | None = None

    def request(self, request_id: str) -> Request | None:
        """Return a request, or None if it is not stored."""
        for request in self.requests:
            if request.request_id == request_id:
                return request
        return None


NO_GATEWAY = GatewayState()
