"""An occurrence: an event in the form in which flows see it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.conditions.context import TriggerData
from streams.core.model.orders.order import Parcel
from streams.core.model.orders.order_state import OrderState


class Occurrence(Struct, frozen=True, gc=False):
    """An event that can start flows and resume instances.

    Attributes:
        name: the event as flow definitions call it, for example "order.placed".
        order: the order of the event.
        parcel: the parcel of the event.
        at: when it occurred, UTC.
        data: the values that conditions on `event.` and `product.` read.
        send_id: the email that the event belongs to.
    """

    name: str
    order: OrderState | None
    parcel: Parcel | None
    at: datetime
    data: TriggerData = ()
    send_id: str | None = None
