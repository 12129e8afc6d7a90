"""The page to order the items of the last order again, with one button.

Items, quantities and prices are those of the last order. Today's price and stock stand beside them, if the shop states them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from aiohttp import web

from streams.core.model.customer_page import PageLine, PageOrder
from streams.core.offers.catalogue import Product
from streams.gateway.pages.base.forms import Form
from streams.gateway.pages.base.records import event_id, publish
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown
from streams.wire import topics

TEMPLATE = "reorder.html.j2"
_MS_PER_DAY = 86_400_000


async def show(visit: Visit) -> web.Response:
    """Return the page with the items, or the thanks after the order."""
    return await again(visit, Form(), "")


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the page with the items, and an error."""
    order = _order(visit)
    lines = [_shown(visit, line, order.currency) for line in order.lines] if order is not None else []
    return visit.page(
        TEMPLATE,
        error=error,
        order=None
        if order is None
        else {"order_id": order.order_id, "currency": order.currency, "city": order.city, "lines": lines},
        is_other=order is not None and order.order_id != visit.link.target,
        more_lines=order.more_lines if order is not None else 0,
        total_minor=sum(line["total_minor"] for line in lines),
        has_pictures=any(line["image_url"] for line in lines),
        cart=_cart(visit, order) if order is not None else "",
    )


def _order(visit: Visit) -> PageOrder | None:
    """Return the last order. Only the last one is known: it may be newer than the email."""
    order = visit.person.order if visit.person is not None else None
    return order if order is not None and order.lines else None


def _shown(visit: Visit, line: PageLine, currency: str) -> dict[str, Any]:
    product = visit.gateway.products.get(line.sku)
    pictures = (line.image_url, product.image_url if product is not None else "")
    return {
        "title": line.title,
        "variant": line.variant,
        "quantity": str(_quantity(line)),
        "unit_price_minor": line.unit_price_minor,
        "total_minor": int((_quantity(line) * line.unit_price_minor).quantize(Decimal(1), ROUND_HALF_UP)),
        "price_now_minor": _price_now(line, product, currency),
        "is_in_stock": None if product is None else _is_in_stock(product, visit.now),
        "image_url": next((url for url in pictures if url.startswith("https://")), ""),
    }


def _price_now(line: PageLine, product: Product | None, currency: str) -> int | None:
    """Return today's price of an item if it is another one than last time, in the same currency."""
    if product is None or product.currency != currency or product.unit_price_minor == line.unit_price_minor:
        return None
    return product.unit_price_minor


def _is_in_stock(product: Product, now: datetime) -> bool:
    is_awaited = any(at is not None and at > now for at in (product.launches_at, product.back_in_stock_at))
    return product.is_available and product.stock != 0 and not is_awaited


def _quantity(line: PageLine) -> Decimal:
    try:
        quantity = Decimal(line.quantity)
    except InvalidOperation:
        return Decimal(1)
    return quantity if quantity.is_finite() and quantity > 0 else Decimal(1)


def _cart(visit: Visit, order: PageOrder) -> str:
    """Return the address that fills the shop's cart, or "" if the shop has none. The shop sees the click on the link."""
    template = visit.site.brand.cart
    items = ",".join(f"{quote(line.sku, safe='')}:{_quantity(line):f}" for line in order.lines)
    return template.replace("{items}", items) if template else ""


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Publish the order. The same order again on one day, from the same email, is the same request."""
    form, link, order = submission.form, visit.link, _order(visit)
    if order is None or form.exact("order") != order.order_id or visit.site.brand.cart:
        return await again(visit, form, "error.order-changed")
    day = int(submission.made, 16) // _MS_PER_DAY
    id = event_id(visit, "reordered", f"{order.order_id}.{day}")
    reorder = {
        "reorder_id": id,
        "customer_id": link.customer_id,
        "send_id": link.send_id,
        "order_id": order.order_id,
        "items": [
            {"sku": line.sku, "quantity": line.quantity, "shown_price_minor": line.unit_price_minor}
            for line in order.lines
        ],
        "currency": order.currency,
        "occurred_at": visit.now,
    }
    await publish(visit, visit.gateway.encoder.record(topics.REORDERS, link.customer_id, id, reorder))
    return visit.redirect("ordered")


get, post = shown("b", show), acted("b", act, again)
