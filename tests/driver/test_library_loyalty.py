"""The shipped flows of loyalty: rewards, points, the club, codes that end, important dates and surprises."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from streams.core.model.events import CustomerActed, OrderPlaced
from streams.core.model.orders.order import Order
from streams.core.rules.ruleset import Ruleset
from streams.testing import OrderLine, Scenario
from tests.harness.library import emails_of


def orders(shop: Scenario, number: int, *, every: float, total: str = "500 DKK", customer: str = "anna") -> None:
    """Place orders at a distance of so many days."""
    for _ in range(number):
        shop.order(customer, total=total)
        shop.after(days=every)


def import_orders(shop: Scenario, number: int, *, every: int, customer: str = "anna") -> None:
    """Import earlier orders, the newest of 30 days ago."""
    for index in range(number, 0, -1):
        placed_at = shop.now - timedelta(days=30 + (index - 1) * every)
        order = Order(
            order_id=f"old-{customer}-{index}", customer_id=customer, placed_at=placed_at, email=f"{customer}@example.com",
            name=customer.title(), locale="da", country="DK", ship_country="DK", currency="DKK", total_minor=300_000,
            lines=(OrderLine("S-1", "Something", "things", 1, 300_000),),
        )  # fmt: skip
        shop.tell(OrderPlaced(order, placed_at))


def test_frequent_buyer(shop: Scenario) -> None:
    """The third order within half a year brings thanks, and a code if the shop has filled the pool. The next ones bring nothing for a year."""
    shop.codes("frequent-buyer", "FREQ-1")
    orders(shop, 3, every=20)
    assert emails_of(shop, "frequent-buyer") == ["frequent-buyer/reward"]
    assert shop.mail("anna", "reward").context["reward"]["code"] == "FREQ-1"
    orders(shop, 3, every=30, customer="bo")
    assert emails_of(shop, "frequent-buyer", customer="bo") == ["frequent-buyer/thanks"]
    orders(shop, 4, every=20)
    assert emails_of(shop, "frequent-buyer") == ["frequent-buyer/reward"]


def test_seldom_buyer(shop: Scenario) -> None:
    """Three orders in a year are not frequent, and neither are three of which one is cancelled."""
    orders(shop, 3, every=120)
    orders(shop, 2, every=10, customer="bo")
    shop.order("bo")
    shop.order("bo", kind="cancelled")
    shop.after(days=10)
    assert emails_of(shop, "frequent-buyer") == emails_of(shop, "frequent-buyer", customer="bo") == []


def test_big_spender(shop: Scenario) -> None:
    """Customers who spend much in a year learn of their privileges when the returns are in, and get a code a month later if there is one."""
    shop.codes("big-spender", "BIG-1")
    orders(shop, 2, every=40, total="2600 DKK")
    shop.after(days=20)
    assert emails_of(shop, "big-spender") == ["big-spender/privileges", "big-spender/offer"]
    shop.order("bo", total="6000 DKK")
    shop.after(days=5)
    shop.order("bo", kind="refunded", refunded_minor=300_000)
    shop.after(days=70)
    assert emails_of(shop, "big-spender", customer="bo") == []
    shop.order("eve", total="6000 DKK")
    shop.after(days=70)
    assert emails_of(shop, "big-spender", customer="eve") == ["big-spender/privileges"]


def test_imported_orders(shop: Scenario) -> None:
    """Earlier orders and a profile that are imported start nothing, although they pass each threshold."""
    import_orders(shop, 5, every=20)
    shop.profile("anna", email="anna@example.com")
    shop.after(days=60)
    assert shop.mails("anna") == []
    shop.order("anna")
    shop.after(days=30)
    assert emails_of(shop, "frequent-buyer", "big-spender", "club-invite", "points") == [
        "frequent-buyer/thanks", "club-invite/invite", "points/points", "big-spender/privileges",
    ]  # fmt: skip


def test_points(shop: Scenario) -> None:
    """Each order adds points once its returns are in. Tiers are reached once, and lost with the points."""
    orders(shop, 2, every=30, total="600 DKK")
    assert emails_of(shop, "points") == []
    orders(shop, 1, every=30, total="600 DKK")
    assert emails_of(shop, "points") == ["points/points"]
    assert shop.mail("anna", "points").context["customer"]["fields"] == {"points": "1800", "points_mailed": "1"}
    orders(shop, 1, every=30, total="600 DKK")
    assert emails_of(shop, "points")[1:] == ["points/silver"]
    orders(shop, 1, every=30, total="3000 DKK")
    assert emails_of(shop, "points")[2:] == ["points/gold"]
    shop.after(days=400)
    orders(shop, 1, every=30, total="2400 DKK")
    assert emails_of(shop, "points")[3:] == ["points/points"]
    assert shop.mail("anna", "points").context["customer"]["fields"] == {
        "points": "2400",
        "points_mailed": "1",
        "tier": "silver",
    }


@pytest.mark.parametrize("hours", [(0, 0, 0), (0, 0, 3), (0, 4, 8), (0, 11, 23), (14, 15, 16)])
def test_points_of_several_orders(shop: Scenario, hours: tuple[int, ...]) -> None:
    """Orders within a day add their points one by one, and bring one email when all are added; a new tier as well."""
    orders(shop, 2, every=30, total="200 DKK")
    for total, expected, points in (("300 DKK", "points/points", "1300"), ("400 DKK", "points/silver", "2500")):
        before = 0
        for hour in hours:
            shop.after(hours=hour - before)
            shop.order("anna", total=total)
            before = hour
        shop.after(days=40)
        assert emails_of(shop, "points").pop() == expected
        assert shop.mail("anna", expected.partition("/")[2]).context["customer"]["fields"]["points"] == points
    assert emails_of(shop, "points") == ["points/points", "points/silver"]


def test_points_of_orders_two_days_apart(ruleset: Ruleset) -> None:
    """Each order has an email, also if the second day of the two has only 23 hours, in the night of 29 March."""
    shop = Scenario(ruleset, start=datetime(2026, 1, 3, 10, tzinfo=UTC))
    orders(shop, 2, every=30, total="200 DKK")
    orders(shop, 2, every=2, total="100 DKK")
    shop.after(days=40)
    assert emails_of(shop, "points") == ["points/points", "points/points"]


def test_no_points_for_returns(shop: Scenario) -> None:
    """An order that is returned brings no points."""
    shop.order("anna", total="9000 DKK")
    shop.order("anna", kind="refunded")
    shop.after(days=30)
    assert emails_of(shop, "points") == []


def test_club_invite(shop: Scenario) -> None:
    """The second order brings the invitation, on a weekday, and later ones do not repeat it."""
    orders(shop, 1, every=20)
    assert emails_of(shop, "club-invite") == []
    orders(shop, 3, every=20)
    assert emails_of(shop, "club-invite") == ["club-invite/invite"]
    shop.unsubscribes("anna")
    orders(shop, 2, every=20, customer="bo")
    assert emails_of(shop, "club-invite", customer="bo") == ["club-invite/invite"]


def test_reward_ending(shop: Scenario) -> None:
    """A code is shown again a week before it ends, unless an order used it."""
    shop.codes("frequent-buyer", "FREQ-1", "FREQ-2")
    orders(shop, 3, every=3)
    shop.after(days=53)
    assert emails_of(shop, "reward-ending") == ["reward-ending/ending"]
    assert shop.mail("anna", "ending").context["reward"]["code"] == "FREQ-1"


def test_code_for_a_friend(shop: Scenario) -> None:
    """A code that the customer gives to friends is not the customer's to use, so nothing is said of its end."""
    shop.order("anna")
    shop.tell(CustomerActed(customer_id="anna", kind="reviewed", occurred_at=shop.now, stars=5))
    shop.after(days=80)
    assert emails_of(shop, "refer-a-friend") == ["refer-a-friend/invite"]
    assert emails_of(shop, "reward-ending") == []


def test_important_date(shop: Scenario) -> None:
    """Two weeks before the date, customers get ideas for a present."""
    for sku in ("TEA", "POT"):
        shop.product(sku)
        shop.order("bo", lines=(OrderLine(sku, sku, "things", 1, 10_000),))
    shop.order("anna")
    shop.profile("anna", dates={"partner_birthday": date(1988, 5, 1)})
    shop.after(days=45)
    assert emails_of(shop, "important-date") == []
    shop.after(days=1)
    assert emails_of(shop, "important-date") == ["important-date/soon"]
    assert len(shop.mail("anna", "soon").context["products"]) == 2


def test_surprise(shop: Scenario) -> None:
    """One returning customer in five gets a code weeks after a parcel; customers with one order, and those by whom the pool is empty, get nothing."""
    shop.codes("surprise", *[f"SUR-{number}" for number in range(60)])
    customers = [f"c{number}" for number in range(100)]
    for customer in customers:
        shop.order(customer)
        shop.parcel(customer, "delivered")
    shop.after(days=60)
    assert not any(emails_of(shop, "surprise", customer=customer) for customer in customers)
    for customer in customers:
        shop.order(customer)
        shop.parcel(customer, "delivered")
    shop.after(days=60)
    lucky = [customer for customer in customers if emails_of(shop, "surprise", customer=customer) == ["surprise/gift"]]
    assert 10 <= len(lucky) <= 30
