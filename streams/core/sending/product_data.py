"""The products that an email is about, for its templates, in JSON types: money is {"minor": int, "currency": str}."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.core.conditions import order_values
from streams.core.conditions.context import EvalContext
from streams.core.model.orders.order import NO_LINE_DETAILS, OrderLine
from streams.core.rules.flow import Flow
from streams.core.sending.order_data import order_number


def product_of(flow: Flow, context: EvalContext) -> dict[str, Any] | None:
    """Return the product of a flow that runs per product, `product` in templates; None for other flows."""
    sku = context.data("sku")
    if flow.trigger.once_per != "product" or not sku:
        return None
    line = order_values.product(context)
    product = _data(line if line is not None else OrderLine(sku, "", "", 1, 0), context if line is not None else None)
    return product | _change(context) if context.data("price") else product


def products_of(flow: Flow, contexts: Iterable[EvalContext]) -> list[dict[str, Any]]:
    """Return the products of all instances that send one email, each once: that of each instance, else those of its order."""
    found: dict[str, dict[str, Any]] = {}
    for context in contexts:
        own = product_of(flow, context)
        for product in [own] if own is not None else [_data(line, context) for line in order_values.lines(context)]:
            key = product["sku"] or product["title"]
            if key in found:
                product = {**found[key], "quantity": found[key]["quantity"] + product["quantity"]}
            found[key] = product
    return list(found.values())


def _data(line: OrderLine, context: EvalContext | None) -> dict[str, Any]:
    """Return the data of a line of the context's order. Without a context, only the SKU is known."""
    details, facts = line.details or NO_LINE_DETAILS, context.facts if context is not None else None
    order = context.order if context is not None else None
    return {
        "sku": line.sku,
        "title": line.title or line.sku,
        "category": line.category,
        "variant": details.variant,
        "quantity": line.quantity,
        "price": {"minor": line.unit_price_minor, "currency": facts.currency} if facts is not None else None,
        "url": details.product_url or None,
        "image_url": details.image_url or None,
        "order_number": order_number(order) if order is not None else "",
        "old_price": None,
        "replaces": "",
    }


def _change(context: EvalContext) -> dict[str, Any]:
    """Return the data of the change of the catalogue that started the flow. The mailer adds what the catalogue says of the product."""
    currency, old_price = context.data("currency"), context.data("old_price")
    return {
        "price": {"minor": int(context.data("price")), "currency": currency},
        "old_price": {"minor": int(old_price), "currency": currency} if old_price else None,
        "replaces": context.data("replaced_sku"),
    }
