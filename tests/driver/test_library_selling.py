"""The shipped flows that sell, and those of birthdays and anniversaries: whom they write to, when, and when they do not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from streams.testing import OrderLine, Scenario
from tests.harness.library import emails_of

TEA = OrderLine("TEA", "Tea", "tea", 1, 10_000, 30)
HONEY = OrderLine("HONEY", "Honey", "food", 2, 8_000, 15)
POT = OrderLine("POT", "Teapot", "tea", 1, 40_000)


def test_buy_again(shop: Scenario) -> None:
    """The email comes five days before a product is used up and again a week after, for several products at once; a new order ends it."""
    shop.order("anna", lines=(TEA, HONEY, POT))
    shop.after(days=26)
    assert emails_of(shop, "buy-again") == ["buy-again/again"]
    assert [product["sku"] for product in shop.mail("anna").context["products"]] == ["TEA", "HONEY"]
    shop.after(days=13)
    assert emails_of(shop, "buy-again") == ["buy-again/again", "buy-again/remind"]
    shop.order("anna", lines=(TEA,))
    shop.after(days=20)
    shop.order("anna", lines=(TEA,))
    shop.after(days=14)
    assert len(emails_of(shop, "buy-again")) == 2
    shop.after(days=60)
    assert len(emails_of(shop, "buy-again")) == 4


def test_wish_list(shop: Scenario) -> None:
    """Products of the wish list that are back or cost less are announced, those that were bought are not."""
    for sku in ("TEA", "POT"):
        shop.product(sku, stock=0)
    shop.order("anna")
    for sku in ("TEA", "POT"):
        shop.wishes("anna", sku)
    shop.order("anna", lines=(POT,))
    shop.after(days=2)
    for sku in ("TEA", "POT"):
        shop.product(sku, stock=5)
    shop.after(hours=1)
    assert emails_of(shop, "back-in-stock") == ["back-in-stock/back"]
    shop.after(days=2)
    shop.product("TEA", price="95 DKK")
    shop.after(days=1)
    shop.product("TEA", price="70 DKK")
    shop.after(hours=1)
    assert emails_of(shop, "price-dropped") == ["price-dropped/lower"]


def test_newer_version(shop: Scenario) -> None:
    """Customers with the older version hear of the newer one on the next weekday morning."""
    shop.product("POT")
    shop.order("anna", lines=(POT,))
    shop.after(days=4)
    shop.product("POT-2", replaces="POT")
    shop.after(days=1, hours=3)  # Saturday
    assert emails_of(shop, "newer-version") == []
    shop.after(days=2)
    assert emails_of(shop, "newer-version") == ["newer-version/newer"]


def test_win_back(shop: Scenario) -> None:
    """Customers who have not ordered for a year get three emails and no birthday wishes, and an order ends it."""
    shop.profile("anna", birthday=date(1990, 3, 20))
    shop.order("anna")
    shop.after(days=372)
    assert emails_of(shop, "win-back") == ["win-back/miss"]
    shop.after(days=50)
    assert emails_of(shop, "win-back", "birthday") == [
        "birthday/wishes",
        "win-back/miss",
        "win-back/picks",
        "win-back/last",
    ]
    shop.order("anna")
    shop.after(days=372)
    shop.order("anna")
    shop.after(days=60)
    assert emails_of(shop, "win-back")[3:] == ["win-back/miss"]


def test_birthday_and_anniversary(shop: Scenario) -> None:
    """Wishes come on the day, and a year after the first order to those who came back."""
    shop.profile("anna", birthday=date(1990, 5, 1))
    shop.order("anna")
    shop.after(days=59)
    assert emails_of(shop, "birthday") == []
    shop.after(days=1)
    assert emails_of(shop, "birthday") == ["birthday/wishes"]
    shop.after(days=100)
    shop.order("anna")
    shop.after(days=206)
    assert emails_of(shop, "anniversary") == ["anniversary/a-year"]
    shop.order("anna")
    shop.after(days=365)
    assert emails_of(shop, "anniversary") == ["anniversary/a-year", "anniversary/years"]
    assert shop.now.date() == date(2026, 3, 2) + timedelta(days=731)


def test_after_the_first_order(shop: Scenario) -> None:
    """A complement follows a month after the delivery, ideas and a letter after 45 and 75 days, and nothing after a second order."""
    shop.product("POT", complements=("TEA",))
    shop.product("TEA")
    shop.product("CUP", category="tea")
    for customer in ("anna", "bo"):
        shop.order(customer, lines=(POT,))
        shop.parcel(customer, "delivered")
    shop.order("eve", lines=(OrderLine("CUP", "Cup", "tea", 1, 5_000),))
    shop.after(days=35)
    shop.order("bo", lines=(OrderLine("CUP", "Cup", "tea", 1, 5_000),))
    shop.after(days=60)
    assert emails_of(shop, "complement", "second-purchase") == [
        "complement/products", "second-purchase/nudge", "second-purchase/remind",
    ]  # fmt: skip
    assert not any(each.startswith("second-purchase") for each in shop.mails("bo"))


@pytest.mark.parametrize("delivered", [0, *range(20, 30), *range(48, 58)])
def test_the_code_and_the_ideas_come_apart(shop: Scenario, delivered: int) -> None:
    """However late the first order arrives, the code for the next purchase and the ideas after 45 and 75 days are days apart."""
    for sku in ("TEA", "CUP"):
        shop.product(sku, category="tea")
    shop.product("POT", category="tea", complements=("TEA", "CUP"))
    shop.order("anna", lines=(POT,))
    days_of: dict[str, int] = {}
    for day in range(100):
        if day == delivered:
            shop.parcel("anna", "delivered")
        before = len(emails_of(shop, "next-purchase", "second-purchase"))
        shop.after(days=1)
        days_of |= dict.fromkeys(emails_of(shop, "next-purchase", "second-purchase")[before:], day)
    code = days_of.pop("next-purchase/code")
    assert all(abs(code - day) > 7 for day in days_of.values())
    assert delivered or days_of.keys() == {"second-purchase/nudge", "second-purchase/remind"}
