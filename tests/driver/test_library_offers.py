"""The shipped flows that thank and sell gently: whom they write to, when, and when they do not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.events import ProductBrowsed
from streams.settings import PROJECT_ROOT
from streams.testing import OrderLine, Scenario
from tests.harness.library import messages_of

TEMPLATES = PROJECT_ROOT / "templates"
TEA = OrderLine("TEA", "Tea", "tea", 1, 10_000)


def subscribe(shop: Scenario, *customers: str) -> None:
    """Let customers agree to marketing who have not ordered yet."""
    for customer in customers:
        shop.profile(customer, email=f"{customer}@example.com", country="DK", marketing_consent=True)


@pytest.mark.parametrize(
    ("country", "consent", "expected"),
    [("DK", None, ["first-time"]), ("DK", True, ["first-time-subscriber"]), ("PL", None, []), ("PL", True, ["first-time-subscriber"])],
)  # fmt: skip
def test_invitation(country: str, consent: bool | None, expected: list[str]) -> None:
    """New customers who have not agreed to marketing are invited to, where the law allows that email; subscribers are not."""
    shop = Scenario(TEMPLATES)  # knows all earlier orders
    if consent:
        shop.profile("anna", email="anna@example.com", country=country, marketing_consent=True)
    shop.order("anna", country=country, ship_country=country, locale="en")
    shop.after(days=2)
    assert messages_of(shop, "thank-you") == expected


def test_next_purchase(shop: Scenario) -> None:
    """A code comes three weeks after a delivery, at most twice a year, and not to customers who have ordered again."""
    for customer in ("anna", "bo"):
        shop.order(customer)
        shop.parcel(customer, "delivered")
    shop.after(days=10)
    shop.order("bo")
    shop.after(days=12)
    assert messages_of(shop, "next-purchase") == ["code"]
    assert shop.mail("anna", "code").context["reward"]["code"]
    assert messages_of(shop, "next-purchase", "bo") == []
    shop.order("anna")
    shop.parcel("anna", "delivered")
    shop.after(days=40)
    assert messages_of(shop, "next-purchase") == ["code"]


@pytest.mark.parametrize(
    ("category", "pool", "expected"),
    [
        ("tea", "favourite-tea", "offer"),
        ("tea", "favourite", "picks"),
        ("lighting", "favourite", "offer"),
        ("lighting", "", "picks"),
    ],
)
def test_favourite_category(shop: Scenario, category: str, pool: str, expected: str) -> None:
    """A third order of any category brings more of it a month later, with a code of its pool, or of the pool of all others, if there is one."""
    for sku in ("TEA-2", "TEA-3", "TEA-4"):
        shop.product(sku, category=category)
    if pool:
        shop.codes(pool, "TE-1")
    for _ in range(3):
        shop.order("anna", lines=(OrderLine("TEA", "TEA", category, 1, 10_000),))
        shop.after(days=20)
    for number in range(4):  # bestsellers of the category
        shop.order(
            f"c{number}", lines=tuple(OrderLine(sku, sku, category, 1, 10_000) for sku in ("TEA-2", "TEA-3", "TEA-4"))
        )
    shop.after(days=20)
    assert messages_of(shop, "favourite-category") == [expected]


def test_favourite_category_needs_a_habit(shop: Scenario) -> None:
    """Two orders are not a habit, a new order ends the wait, and imported orders start nothing."""
    shop.order("anna", lines=(TEA,))
    shop.order("anna", lines=(TEA,))
    for number in range(5):
        shop.order("bo", lines=(TEA,), order_id=f"old-{number}", is_imported=True)
    for _ in range(3):
        shop.order("eve", lines=(TEA,))
    shop.after(days=20)
    shop.order("eve", lines=(TEA,))
    shop.after(days=60)
    assert all(messages_of(shop, "favourite-category", customer) == [] for customer in ("anna", "bo", "eve"))


def test_early_access(shop: Scenario) -> None:
    """A VIP who viewed a product hears of it before its launch and at its launch; other customers and buyers do not."""
    shop.order("anna", total="20000 DKK")
    shop.order("bo")
    launch = shop.now + timedelta(days=10)
    for customer in ("anna", "bo"):
        shop.views(customer, "NEW", launches_at=launch)
    shop.after(days=9)
    assert messages_of(shop, "early-access") == ["before"]
    shop.after(days=2)
    assert messages_of(shop, "early-access") == ["before", "launched"]
    assert messages_of(shop, "early-access", "bo") == []


def test_cart(shop: Scenario) -> None:
    """A cart that is left gets an email after four hours and an offer of help two days later, once in two weeks."""
    shop.product("TEA", category="tea")
    subscribe(shop, "anna")
    shop.views("anna", "TEA", kind="added_to_cart")
    shop.after(hours=3)
    assert messages_of(shop, "cart-left") == []
    shop.after(hours=2)
    assert messages_of(shop, "cart-left") == ["left"]
    assert shop.recommended("anna") == ["TEA"]
    shop.after(days=4)
    shop.views("anna", "TEA", kind="added_to_cart")
    shop.after(days=4)
    assert messages_of(shop, "cart-left") == ["left", "remind"]


def test_cart_that_is_not_left(shop: Scenario) -> None:
    """An order or an emptied cart ends the flow, a purchase of the last days starts none, and without consent nothing is sent."""
    shop.product("TEA", category="tea")
    subscribe(shop, "anna", "bo", "eve")
    shop.order("eve")
    for customer in ("anna", "bo", "eve", "new"):
        shop.views(customer, "TEA", kind="added_to_cart")
    shop.after(hours=1)
    shop.order("anna", lines=(TEA,))
    shop.tell(ProductBrowsed(customer_id="bo", kind="cart_emptied", sku="", occurred_at=shop.now))
    shop.after(days=5)
    assert all(messages_of(shop, "cart-left", customer) == [] for customer in ("anna", "bo", "eve", "new"))


def test_browsed(shop: Scenario) -> None:
    """A second visit within three days brings one email on the evening of the next day; one visit, a cart and a recent order do not."""
    shop.product("TEA", category="tea")
    subscribe(shop, "anna", "bo", "eve", "ida")
    shop.order("ida")
    for customer in ("anna", "bo", "eve", "ida"):
        shop.views(customer, "TEA")
        shop.views(customer, "TEA")
    shop.after(days=1)
    for customer in ("anna", "eve", "ida"):
        shop.views(customer, "TEA")
    shop.views("eve", "TEA", kind="added_to_cart")
    shop.after(hours=20)
    assert messages_of(shop, "browsed") == []
    shop.after(days=6)
    assert messages_of(shop, "browsed") == ["seen"]
    assert all(messages_of(shop, "browsed", customer) == [] for customer in ("bo", "eve", "ida"))
