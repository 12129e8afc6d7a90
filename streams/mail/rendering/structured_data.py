"""Structured data of an order or a parcel for email clients: JSON-LD with the vocabulary of schema.org, for a `<script>` element.

Source: schema.org/Order and schema.org/ParcelDelivery, as Gmail reads them (developers.google.com/gmail/markup).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import msgspec
from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from streams.core.model.orders.order import GOODS
from streams.mail.rendering.filters import decimal, link
from streams.mail.rendering.sandbox import Sandbox
from streams.mail.rendering.template_limits import CHARS_PER_STEP


@pass_context
def order_data(context: Context, order: Mapping[str, Any]) -> Markup:
    """Return a received order with its lines as JSON-LD, the filter `order_facts`."""
    total = order["total"]
    facts = _json_ld(
        "Order",
        orderNumber=order.get("order_number") or order["order_id"],
        orderStatus="http://schema.org/OrderProcessing",
        orderDate=order["placed_at"],
        merchant=_shop(context),
        priceCurrency=total["currency"],
        price=decimal(total),
    )
    offers = [
        _offer(line["title"], line["sku"], (price := line["unit_price"])["minor"], price["currency"], line["quantity"])
        for line in order["lines"]
        if line["quantity"] > 0 and line.get("kind", "product") in GOODS
    ]
    text = f'{facts[:-1]},"acceptedOffer":[{",".join(offers)}]}}'
    cast(Sandbox, context.environment).budget.step(len(text) // CHARS_PER_STEP)
    return Markup(text)  # noqa: S704 - serialized and escaped in the two calls


@lru_cache(maxsize=4096, typed=True)
def _offer(title: Any, sku: Any, minor: Any, currency: Any, quantity: Any) -> str:
    """Return a line of an order as JSON. A shop sells the same products again and again."""
    return htmlsafe_json_dumps(
        {
            "@type": "Offer",
            "itemOffered": {"@type": "Product", "name": title, "sku": sku},
            "price": decimal({"minor": minor, "currency": currency}),
            "priceCurrency": currency,
            "eligibleQuantity": {"@type": "QuantitativeValue", "value": quantity},
        },
        dumps=_dumps,
    )


@pass_context
def parcel_data(context: Context, shipment: Mapping[str, Any]) -> Markup:
    """Return a shipped parcel as JSON-LD, the filter `parcel_facts`."""
    return _json_ld(
        "ParcelDelivery",
        trackingNumber=shipment["tracking_number"],
        trackingUrl=link(shipment["tracking_url"]),
        carrier={"@type": "Organization", "name": shipment["carrier"]},
        expectedArrivalFrom=shipment["window_from"],
        expectedArrivalUntil=shipment["window_to"],
        partOfOrder={
            "@type": "Order",
            "orderNumber": shipment.get("order_number") or shipment["order_id"],
            "merchant": _shop(context),
        },
    )


#: Filters of the templates by name.
STRUCTURED_DATA: Mapping[str, Callable[..., str]] = MappingProxyType(
    {"order_facts": order_data, "parcel_facts": parcel_data}
)


def _shop(context: Context) -> dict[str, Any]:
    return {"@type": "Organization", "name": context["shop_name"]}


def _json_ld(kind: str, **fields: Any) -> Markup:
    # Serialized and escaped for a script in one call: escaping forty values one by one took a third of the rendering time.
    return htmlsafe_json_dumps({"@context": "http://schema.org", "@type": kind, **fields}, dumps=_dumps)


def _dumps(data: dict[str, Any]) -> str:
    return msgspec.json.encode(data).decode()
