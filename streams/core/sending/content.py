"""The data that an email's templates get, built from its content.

It is built where an email is encoded or rendered. A simulation, which only counts emails, never builds it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.core.model.effects import Content
from streams.core.offers.recommendations import REQUEST_KEY, request_for
from streams.core.sending.greeting import mood
from streams.core.values.local_time import text_of
from streams.core.values.person_names import first_name, printable_name


def template_data(content: Content) -> dict[str, Any]:
    """Return the content in JSON types: money is {"minor": int, "currency": str}, times are ISO 8601 in UTC."""
    given_name, order, parcel = first_name(content.name), content.order, content.parcel
    facts = order.facts if order is not None else None
    order_id = order.order_id if order is not None else ""
    data: dict[str, Any] = {
        "customer": {
            "name": printable_name(content.name),
            "first_name": given_name,
            "purchases": content.purchases,
            "country": content.country,
            "locale": content.locale,
        },
        "mood": mood(content.greeted_at.astimezone(content.zone)),
        # Mailers of earlier versions ignore the mood and print this as the greeting.
        "greeting": given_name,
    }
    if facts is not None:
        currency = facts.currency
        data["order"] = {
            "order_id": order_id,
            "placed_at": _iso(facts.placed_at),
            "total": {"minor": facts.total_minor, "currency": currency},
            "lines": [
                {
                    "sku": line.sku,
                    "title": line.title,
                    "category": line.category,
                    "quantity": line.quantity,
                    "unit_price": {"minor": line.unit_price_minor, "currency": currency},
                }
                for line in facts.lines
            ],
            "ship_country": facts.ship_country,
        }
    if parcel is not None:
        data["shipment"] = {
            "customer_id": content.customer_id,
            "order_id": order_id,
            "parcel_id": parcel.parcel_id,
            "parcels_in_order": order.parcels_in_order if order is not None else 0,
            "carrier": parcel.carrier,
            "tracking_number": parcel.tracking_number,
            "tracking_url": parcel.tracking_url,
            "status": parcel.status,
            "window_from": _iso(parcel.window_from) if parcel.window_from else None,
            "window_to": _iso(parcel.window_to) if parcel.window_to else None,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in parcel.lines],
            "occurred_at": _iso(parcel.at),
        }
    if content.products:
        data[REQUEST_KEY] = request_for(content.orders, content.products, content.at_least)
    if content.chosen is not None:
        data["products"] = list(content.chosen)
    if content.reward:
        data["reward"] = {"code": content.reward}
    return data


def _iso(at: datetime) -> str:
    return text_of(at.astimezone(UTC))
