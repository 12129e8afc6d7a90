"""What a mail's templates are given: the facts as they were when the mail was decided, and the JSON that is made of them.

The facts are kept as they are until somebody writes the mail down: a simulation, which only counts mails, never does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.core.model.effects import Content
from streams.core.offers.recommendations import WISH, wish_for
from streams.core.sending.greeting import first_name, mood
from streams.core.values.local_time import text_of


def template_data(content: Content) -> dict[str, Any]:
    """The content in JSON types: money is {"minor": int, "currency": str}, times are ISO 8601 in UTC."""
    first, order, parcel = first_name(content.name), content.order, content.parcel
    facts = order.facts if order is not None else None
    order_id = order.order_id if order is not None else ""
    context: dict[str, Any] = {
        "customer": {
            "name": content.name,
            "first_name": first,
            "purchases": content.purchases,
            "country": content.country,
            "locale": content.locale,
        },
        "mood": mood(content.moment.astimezone(content.where)),
        # A mailer of an earlier version does not know moods and writes this in the place of the greeting.
        "greeting": first,
    }
    if facts is not None:
        currency = facts.currency
        context["order"] = {
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
        context["shipment"] = {
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
        context[WISH] = wish_for(content.orders, content.products, content.at_least)
    if content.chosen is not None:
        context["products"] = list(content.chosen)
    if content.reward:
        context["reward"] = {"code": content.reward}
    return context


def _iso(moment: datetime) -> str:
    return text_of(moment.astimezone(UTC))
