"""The order in which a parcel goes through its statuses."""

from __future__ import annotations

from datetime import datetime

#: Of two statuses at the same time, the later one in this list is the newer one.
STATUS_ORDER = (
    "created",
    "shipped",
    "in_transit",
    "delayed",
    "exception",
    "out_for_delivery",
    "ready_for_pickup",
    "delivered",
    "returned",
    "returned_to_sender",
    "cancelled",
)
#: The place of each event in the life of an order. The tracking of a parcel usually becomes known when it is shipped.
_PLACES = {
    "order.placed": -1,
    **{f"shipment.{status}": place for place, status in enumerate(STATUS_ORDER)},
    "shipment.tracked": STATUS_ORDER.index("shipped"),
}


def is_after(name: str, at: datetime, earlier: str, earlier_at: datetime) -> bool:
    """Return whether the event `name` of an order or its parcels occurred after the event `earlier`.

    Shops and carriers round times, so two events may have the same one. Then their order in the life of an order decides; of events
    without a place in it, neither is after the other.

    Args:
        name: the event, for example "shipment.delivered".
        at: when it occurred, UTC.
        earlier: the other event.
        earlier_at: when that occurred, UTC.
    """
    if at != earlier_at:
        return at > earlier_at
    place, earlier_place = _PLACES.get(name), _PLACES.get(earlier)
    return place is not None and earlier_place is not None and place > earlier_place
