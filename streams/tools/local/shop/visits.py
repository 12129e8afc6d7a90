"""The customers of the simulated shop when they do not buy: they look at products, fill a cart, wish, and recommend the shop to friends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import Struct

from streams.tools.local.shop.lines import Record
from streams.tools.local.shop.news import LAUNCHED, REDUCED, SOLD_OUT
from streams.tools.local.shop.people import PRODUCTS, Person, Product, price
from streams.wire import topics

#: Share of the orders after which their customer visits the shop again without buying, and when, in days after the order.
VISIT_SHARE, VISIT_DAYS = 0.5, (3.0, 25.0)
#: Shares of the visitors who look at the product that is sold out, at the one whose price drops, and at the one that is not launched yet.
SOLD_OUT_SHARE, REDUCED_SHARE, LAUNCH_SHARE = 0.15, 0.2, 0.3
#: Share of the visitors who look at it a second time, and when, in days after the first time.
AGAIN_SHARE, AGAIN_DAYS = 0.7, (0.5, 2.0)
#: Share of those who wish for what they looked at, and could not buy or found too dear.
WISH_SHARE = 0.8
#: Shares of the other visitors who fill a cart, and of those who empty it again.
CART_SHARE, EMPTIED_SHARE = 0.5, 0.3
_BY_SKU = {product.sku: product for product in (*PRODUCTS, LAUNCHED)}


class Visit(Struct, frozen=True):
    """Something that a customer did in the shop: the topic of its record, and the record."""

    topic: str
    record: Record


def visit_after(
    order: Record, buyer: Person, launches_at: datetime, later: Callable[[datetime, float], datetime]
) -> Iterator[Visit]:
    """Yield what the customer of an order does in the shop some days later. Only those who agreed to tracking are recognised.

    Args:
        order: the record of the order.
        buyer: its customer.
        launches_at: when the announced product is launched, UTC.
        later: returns the time a number of days after a time.
    """
    rng = random.Random(f"{order['order_id']}/visit")
    if not buyer.tracking_consent or rng.random() >= VISIT_SHARE:
        return
    at = later(order["placed_at"], rng.uniform(*VISIT_DAYS))
    product, session = _product(rng, is_launched=at >= launches_at), f"visit-{order['order_id']}"

    def browse(kind: str, days: float, sku: str) -> Visit:
        record: Record = {
            "customer_id": buyer.customer_id,
            "kind": kind,
            "sku": sku,
            "session_id": session,
            "occurred_at": later(at, days),
            "launches_at": launches_at if sku == LAUNCHED.sku and at < launches_at else None,
        }
        return Visit(topics.BROWSING, record)

    yield browse("viewed", 0.0, product.sku)
    if rng.random() >= AGAIN_SHARE:
        return
    at = later(at, rng.uniform(*AGAIN_DAYS))
    yield browse("viewed", 0.0, product.sku)
    if product.sku in (SOLD_OUT, REDUCED):
        if rng.random() < WISH_SHARE:
            yield _wish(product, buyer, order["order_id"], later(at, 0.02))
    elif product.sku != LAUNCHED.sku and rng.random() < CART_SHARE:
        yield browse("added_to_cart", 0.02, product.sku)
        if rng.random() < EMPTIED_SHARE:
            yield browse("cart_emptied", 0.05, "")


def redeemed_referral(friend: Record, referrer: Person, at: datetime) -> Visit:
    """Return the record that a friend of a customer has ordered.

    Args:
        friend: the record of the friend's order.
        referrer: who recommended the shop.
        at: the time of the order, UTC.
    """
    record: Record = {
        "customer_id": referrer.customer_id,
        "kind": "referral_redeemed",
        "order_id": friend["order_id"],
        "event_id": f"friend-{friend['order_id']}",
        "occurred_at": at,
    }
    return Visit(topics.ENGAGEMENT, record)


def _product(rng: random.Random, *, is_launched: bool) -> Product:
    chance = rng.random()
    if chance < SOLD_OUT_SHARE:
        return _BY_SKU[SOLD_OUT]
    if chance < SOLD_OUT_SHARE + REDUCED_SHARE:
        return _BY_SKU[REDUCED]
    if chance < SOLD_OUT_SHARE + REDUCED_SHARE + LAUNCH_SHARE and not is_launched:
        return LAUNCHED
    return rng.choice([product for product in PRODUCTS if product.is_available])


def _wish(product: Product, buyer: Person, order_id: str, at: datetime) -> Visit:
    record: Record = {
        "customer_id": buyer.customer_id,
        "kind": "wished",
        "sku": product.sku,
        "event_id": f"wish-{order_id}",
        "unit_price_minor": price(product, buyer.rate),
        "currency": buyer.currency,
        "occurred_at": at,
    }
    return Visit(topics.ENGAGEMENT, record)
