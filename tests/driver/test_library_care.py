"""The shipped flows that help customers with their order: when they write, and when they do not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from streams.core.rules.ruleset import Ruleset
from streams.testing import START, OrderLine, Scenario
from tests.harness.library import messages_of

LAMP = OrderLine("LMP-1", "Lamp", "lighting", 1, 50_000)
SOCKS = OrderLine("S-1", "Socks", "clothes", 2, 10_000)
CREATINE = OrderLine("CR-1", "Creatine", "supplements", 1, 20_000)


def shop_at(ruleset: Ruleset, start: datetime = START) -> Scenario:
    """Return a shop with the shipped flows."""
    return Scenario(ruleset, start=start)


@pytest.mark.parametrize(
    ("ordered_at", "after_hours"),
    [(START, 3), (START + timedelta(hours=13), 9), (START - timedelta(hours=5), 3)],
)
def test_what_next(ruleset: Ruleset, ordered_at: datetime, after_hours: float) -> None:
    """A first order is explained three hours later, or in the morning after a late evening."""
    shop = shop_at(ruleset, ordered_at)
    shop.order("anna")
    shop.after(hours=after_hours - 1)
    assert messages_of(shop, "what-next") == []
    shop.after(hours=2)
    assert messages_of(shop, "what-next") == ["what-next"]
    shop.order("anna")
    shop.after(days=1)
    assert messages_of(shop, "what-next") == ["what-next"]


def test_what_next_is_for_orders_that_are_not_sent(ruleset: Ruleset) -> None:
    """A parcel that is sent within three hours needs no explanation, and an order abroad gets another one."""
    shop = shop_at(ruleset)
    shop.order("anna")
    shop.after(hours=1)
    shop.parcel("anna", "shipped")
    shop.order("bo", ship_country="SE")
    shop.after(days=1)
    assert messages_of(shop, "what-next") == messages_of(shop, "what-next", "bo") == []


@pytest.mark.parametrize(
    ("country", "expected"), [("DK", []), ("SE", ["longer"]), ("NO", ["customs"]), ("FO", ["customs"])]
)
def test_abroad(ruleset: Ruleset, country: str, expected: list[str]) -> None:
    """Orders to other countries are explained: those within the EU only take longer, others pass through customs."""
    shop = shop_at(ruleset)
    shop.order("anna", ship_country=country)
    shop.after(days=1)
    assert messages_of(shop, "abroad") == expected


def test_abroad_is_explained_once(ruleset: Ruleset) -> None:
    """A customer who orders again within half a year gets the explanation once."""
    shop = shop_at(ruleset)
    for _ in range(3):
        shop.order("anna", ship_country="US")
        shop.after(days=10)
    assert messages_of(shop, "abroad") == ["customs"]


@pytest.mark.parametrize(("lines", "expected"), [((LAMP, SOCKS), ["how-to"]), ((SOCKS,), ["care"]), ((CREATINE,), [])])
def test_how_to(ruleset: Ruleset, lines: tuple[OrderLine, ...], expected: list[str]) -> None:
    """Advice by category comes the morning before the delivery window."""
    shop = shop_at(ruleset)
    shop.order("anna", lines=lines)
    window = START + timedelta(days=4)
    shop.parcel("anna", "shipped", window=(window, window + timedelta(hours=3)))
    shop.after(days=2, hours=23)
    assert messages_of(shop, "how-to") == []
    shop.after(hours=3)
    assert messages_of(shop, "how-to") == expected


def test_how_to_is_not_late(ruleset: Ruleset) -> None:
    """A parcel that arrives before the advice gets none."""
    shop = shop_at(ruleset)
    shop.order("anna", lines=(LAMP,))
    shop.parcel("anna", "shipped")
    shop.after(hours=20)
    shop.parcel("anna", "delivered")
    shop.after(days=3)
    assert messages_of(shop, "how-to") == []


def test_usage(ruleset: Ruleset) -> None:
    """Customers are reminded to use such a product after a week, then twice more; a second order within half a year adds nothing."""
    shop = shop_at(ruleset)
    shop.order("anna", lines=(CREATINE,))
    shop.parcel("anna", "delivered")
    shop.after(days=8)
    assert messages_of(shop, "usage") == ["remind"]
    assert shop.mail("anna").context["repeat"] == {"round": 1, "rounds": 3}
    shop.order("anna", lines=(CREATINE,))
    shop.parcel("anna", "delivered")
    shop.after(days=90)
    assert messages_of(shop, "usage") == ["remind"] * 3


def test_usage_ends(ruleset: Ruleset) -> None:
    """A return or an unsubscription ends the reminders, and other products have none."""
    shop = shop_at(ruleset)
    for customer, line in (("anna", CREATINE), ("bo", CREATINE), ("eve", LAMP)):
        shop.order(customer, lines=(line,))
        shop.parcel(customer, "delivered")
    shop.after(days=8)
    shop.parcel("anna", "returned")
    shop.unsubscribes("bo")
    shop.after(days=90)
    assert [len(messages_of(shop, "usage", customer)) for customer in ("anna", "bo", "eve")] == [1, 1, 0]


def test_good_to_know(ruleset: Ruleset) -> None:
    """Answers to frequent questions come four days after the delivery, once a year, and not after a return."""
    shop = shop_at(ruleset)
    for customer in ("anna", "bo"):
        shop.order(customer)
        shop.parcel(customer, "delivered")
    shop.after(days=2)
    shop.parcel("bo", "returned")
    shop.after(days=3)
    assert messages_of(shop, "good-to-know") == ["tips"]
    assert messages_of(shop, "good-to-know", "bo") == []
    shop.order("anna")
    shop.parcel("anna", "delivered")
    shop.after(days=10)
    assert messages_of(shop, "good-to-know") == ["tips"]


@pytest.mark.parametrize("hours", [(0, 0, 0), (0, 0, 3), (0, 4, 8), (0, 11, 23)])
def test_thanks_for_several_orders(ruleset: Ruleset, hours: tuple[int, ...]) -> None:
    """Orders within a day bring one thank-you. It welcomes customers back who have ordered on an earlier day."""
    shop = shop_at(ruleset)
    for expected in ("thanks", "returning"):
        before = 0
        for hour in hours:
            shop.after(hours=hour - before)
            shop.order("anna")
            before = hour
        shop.after(days=10)
        assert messages_of(shop, "thank-you").pop() == expected
    assert messages_of(shop, "thank-you") == ["thanks", "returning"]


def test_thanks_for_the_order_that_is_kept(ruleset: Ruleset) -> None:
    """A customer who cancels an order and places another one is thanked for that one."""
    shop = shop_at(ruleset)
    wrong = shop.order("anna")
    shop.after(hours=1)
    shop.order("anna", order_id=wrong, kind="cancelled")
    shop.order("anna")
    shop.after(days=5)
    assert messages_of(shop, "thank-you") == ["thanks"]


def test_history_gets_no_help(ruleset: Ruleset) -> None:
    """Orders that a shop imports start none of these flows."""
    shop = shop_at(ruleset)
    shop.order("anna", lines=(LAMP, CREATINE), ship_country="SE", is_imported=True)
    shop.after(days=100)
    assert shop.mails("anna") == []
