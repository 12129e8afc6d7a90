"""The shipped flows and a customer who orders several times in a row."""

from __future__ import annotations

from collections import Counter

from streams.testing import Scenario


def test_three_orders_of_a_day_get_one_email_of_each_kind() -> None:
    """Each order has its own transactional emails. Recommendations come once for all three."""
    shop = Scenario("templates")
    for sku, complements in (("S-1", ("S-2", "S-3")), ("S-2", ()), ("S-3", ()), ("S-4", ())):
        shop.product(sku, complements=complements)
    orders = []
    for _ in range(3):
        orders.append(shop.order("anna"))
        shop.after(hours=2)
    shop.after(days=4)
    for order in orders:
        shop.parcel("anna", "delivered", order_id=order, parcel_id=order)
        shop.after(minutes=3)
    shop.after(days=45)
    mails = Counter(shop.mails("anna"))
    assert mails["order-confirmation/confirmation"] == mails["delivered/delivered"] == 3
    for message in ("goes-well-with/products", "complement/products"):
        assert mails[message] == 1, message
