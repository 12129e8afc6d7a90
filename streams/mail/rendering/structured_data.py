"""What mail programs may read of an order or a parcel: JSON-LD in the words of schema.org, to stand in a `<script>` of a mail.

Source: schema.org/Order and schema.org/ParcelDelivery, as Gmail reads them (developers.google.com/gmail/markup).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from streams.mail.rendering.filters import decimal, link


@pass_context
def order_facts(context: Context, order: Mapping[str, Any]) -> Markup:
    """An order that was received, with its lines."""
    offers = [
        {
            "@type": "Offer",
            "itemOffered": {"@type": "Product", "name": line["title"], "sku": line["sku"]},
            "price": decimal(line["unit_price"]),
            "priceCurrency": line["unit_price"]["currency"],
            "eligibleQuantity": {"@type": "QuantitativeValue", "value": line["quantity"]},
        }
        for line in order["lines"]
    ]
    return _facts(
        "Order",
        orderNumber=order["order_id"],
        orderStatus="http://schema.org/OrderProcessing",
        orderDate=order["placed_at"],
        merchant=_shop(context),
        priceCurrency=order["total"]["currency"],
        price=decimal(order["total"]),
        acceptedOffer=offers,
    )


@pass_context
def parcel_facts(context: Context, shipment: Mapping[str, Any]) -> Markup:
    """A parcel on its way."""
    return _facts(
        "ParcelDelivery",
        trackingNumber=shipment["tracking_number"],
        trackingUrl=link(shipment["tracking_url"]),
        carrier={"@type": "Organization", "name": shipment["carrier"]},
        expectedArrivalFrom=shipment["window_from"],
        expectedArrivalUntil=shipment["window_to"],
        partOfOrder={"@type": "Order", "orderNumber": shipment["order_id"], "merchant": _shop(context)},
    )


FACTS: Mapping[str, Callable[..., str]] = MappingProxyType({"order_facts": order_facts, "parcel_facts": parcel_facts})


def _shop(context: Context) -> dict[str, Any]:
    return {"@type": "Organization", "name": context["shop_name"]}


def _facts(kind: str, **fields: Any) -> Markup:
    # Written in one go, safe to stand in a script: forty values escaped one by one took a third of a mail's rendering.
    return htmlsafe_json_dumps({"@context": "http://schema.org", "@type": kind, **fields}, dumps=_dumps)


def _dumps(facts: dict[str, Any]) -> str:
    return msgspec.json.encode(facts).decode()
