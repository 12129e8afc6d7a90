"""The data of a parcel for an email's templates, in JSON types: times are ISO 8601 in UTC, and days are local."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.core.model.orders.order import Parcel, ParcelDetails, PickupPoint
from streams.core.model.orders.order_state import OrderState
from streams.core.sending.order_data import address_data, order_number
from streams.core.values.local_time import text_of

_NO_DETAILS = ParcelDetails()


def parcel_data(parcel: Parcel, order: OrderState | None, customer_id: str) -> dict[str, Any]:
    """Return the data of a parcel, `shipment` in templates. `order` is its order, which names the content."""
    facts = order.facts if order is not None else None
    titles = {line.sku: line.title for line in facts.lines} if facts is not None else {}
    return {
        "customer_id": customer_id,
        "order_id": order.order_id if order is not None else "",
        "parcel_id": parcel.parcel_id,
        "parcels_in_order": order.parcels_in_order if order is not None else 0,
        "carrier": parcel.carrier,
        "tracking_number": parcel.tracking_number,
        "tracking_url": parcel.tracking_url,
        "status": parcel.status,
        "window_from": _iso(parcel.window_from) if parcel.window_from else None,
        "window_to": _iso(parcel.window_to) if parcel.window_to else None,
        "lines": [{"sku": sku, "quantity": quantity, "title": titles.get(sku, "")} for sku, quantity in parcel.lines],
        "occurred_at": _iso(parcel.at),
        "order_number": order_number(order) if order is not None else "",
        **_extras(parcel.details or _NO_DETAILS),
    }


def complete_parcel(shipment: dict[str, Any]) -> None:
    """Add to the data of a parcel what an earlier version did not write. Its fields stay.

    Args:
        shipment: `shipment` of a command, changed in place.
    """
    added: dict[str, Any] = {"order_number": shipment.get("order_id", ""), **_extras(_NO_DETAILS)}
    shipment.update({key: value for key, value in added.items() if key not in shipment})


def _extras(details: ParcelDetails) -> dict[str, Any]:
    return {
        "exception_reason": details.exception_reason,
        "pickup": _pickup_data(details.pickup, details) if details.pickup is not None else None,
        "estimated_day": details.estimated_day,
        "carrier_status": details.carrier_status,
    }


def _pickup_data(place: PickupPoint, details: ParcelDetails) -> dict[str, Any]:
    return {
        "name": place.name,
        "address": address_data(place.address),
        "opening_hours": place.opening_hours,
        "code": details.code,
        "last_day": details.last_day,
    }


def _iso(at: datetime) -> str:
    return text_of(at.astimezone(UTC))
